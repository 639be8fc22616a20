//! `steadfast export` and `import`: a linked number, carried from the machine
//! where it was linked to the one where it is used.

use super::Context;
use super::exit::Exit;
use super::out::CliError;
use crate::app::DEFAULT_SESSION;
use crate::clock::SystemRandom;
use crate::data_dir::DataDir;
use crate::seal::{Opener, SealError, Sealer};
use clap::Args;
use serde_json::json;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use steadfast_core::ids::SessionId;
use steadfast_engine::{PortableError, pack_profile, unpack_profile};

/// The environment variable that may hold the passphrase.
const PASSPHRASE: &str = "STEADFAST_PASSPHRASE";

#[derive(Debug, Args)]
pub(super) struct CarryArgs {
    /// The sealed file
    file: PathBuf,
    /// The session
    #[arg(long, default_value = DEFAULT_SESSION)]
    session: String,
    /// A file whose first line is the passphrase; else STEADFAST_PASSPHRASE, else it is asked for
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

pub(super) fn export(context: &Context, args: &CarryArgs) -> Result<Exit, CliError> {
    let (dir, session) = place(context, args)?;
    let _lock = dir.lock()?;
    let passphrase = passphrase(args, true)?;
    // Never over something: it may be the only copy of another login.
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&args.file)
        .map_err(|e| file_failed(&args.file, &e))?;
    let written = write_out(&dir.profile(&session), file, &passphrase);
    if let Err(error) = written {
        // Half an export is worthless.
        let _ = std::fs::remove_file(&args.file);
        return Err(error);
    }
    let shown = args.file.display();
    context.out.line(format!(
        "{session} is in {shown}, sealed. Import it on the other machine, and do not start it here again: one link can be open in one place only."
    ));
    context
        .out
        .value(&json!({"exported": session.as_str(), "file": shown.to_string()}));
    Ok(Exit::Done)
}

fn write_out(profile: &Path, file: File, passphrase: &str) -> Result<(), CliError> {
    let mut sealer = Sealer::new(BufWriter::new(file), passphrase, &SystemRandom)
        .map_err(|e| seal_failed(&e))?;
    pack_profile(profile, &mut sealer).map_err(|e| portable_failed(&e))?;
    let synced = sealer
        .finish()
        .and_then(|buffer| buffer.into_inner().map_err(io::IntoInnerError::into_error))
        .and_then(|file| file.sync_all());
    synced.map_err(|e| seal_failed(&SealError::Io(e)))
}

pub(super) fn import(context: &Context, args: &CarryArgs) -> Result<Exit, CliError> {
    let (dir, session) = place(context, args)?;
    let _lock = dir.lock()?;
    let file = File::open(&args.file).map_err(|e| file_failed(&args.file, &e))?;
    let passphrase = passphrase(args, false)?;
    let opener = Opener::new(BufReader::new(file), &passphrase).map_err(|e| seal_failed(&e))?;
    unpack_profile(&dir.profile(&session), opener).map_err(|e| portable_failed(&e))?;
    context.out.line(format!(
        "{session} is linked here now. Start the gateway: steadfast serve"
    ));
    context.out.value(&json!({"imported": session.as_str()}));
    Ok(Exit::Done)
}

fn place(context: &Context, args: &CarryArgs) -> Result<(DataDir, SessionId), CliError> {
    let session = SessionId::parse(&args.session)
        .map_err(|e| CliError::new(Exit::Usage, e.to_string(), ""))?;
    Ok((DataDir::open_or_adopt(&context.data_dir()?)?, session))
}

/// The passphrase; a new one is asked for twice.
fn passphrase(args: &CarryArgs, new: bool) -> Result<String, CliError> {
    if let Some(path) = &args.passphrase_file {
        let text = std::fs::read_to_string(path).map_err(|e| file_failed(path, &e))?;
        return Ok(text.lines().next().unwrap_or_default().to_owned());
    }
    if let Some(word) = std::env::var_os(PASSPHRASE) {
        return Ok(word.to_string_lossy().into_owned());
    }
    if !io::stdin().is_terminal() {
        return Err(CliError::new(
            Exit::Usage,
            "there is no terminal to ask for the passphrase on",
            format!("name a file with --passphrase-file, or set {PASSPHRASE}"),
        ));
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt)
            .map_err(|e| CliError::new(Exit::Failed, format!("the terminal failed: {e}"), ""))
    };
    let word = ask("passphrase: ")?;
    if new && ask("once more: ")? != word {
        return Err(CliError::new(
            Exit::Usage,
            "the two passphrases differ",
            "run it again",
        ));
    }
    Ok(word)
}

fn file_failed(path: &Path, error: &io::Error) -> CliError {
    let remedy = match error.kind() {
        io::ErrorKind::AlreadyExists => "name a file that does not exist yet",
        io::ErrorKind::NotFound => "check its name",
        _ => "see who owns it: ls -l",
    };
    CliError::new(Exit::Failed, format!("{}: {error}", path.display()), remedy)
}

fn seal_failed(error: &SealError) -> CliError {
    let (exit, remedy) = match error {
        SealError::Short => (Exit::Usage, "take a longer one, of several words"),
        SealError::NotOurs => (Exit::Failed, "name a file that `steadfast export` wrote"),
        SealError::Refused => (
            Exit::Failed,
            "give the passphrase of the export, or copy the file again; nothing was changed",
        ),
        SealError::Key(_) | SealError::Random(_) | SealError::Io(_) => {
            (Exit::Failed, "mend that and try again")
        }
    };
    CliError::new(exit, error.to_string(), remedy)
}

fn portable_failed(error: &PortableError) -> CliError {
    let remedy = match error {
        PortableError::NotLinked(_) => "link it first: steadfast init",
        PortableError::AlreadyLinked(_) => {
            "log it out first (POST /v1/sessions/SESSION/logout), or import under another name with --session"
        }
        PortableError::Damaged(_) => "copy the file again; nothing was changed",
        PortableError::Write(_) => "make room, or choose another place",
        PortableError::Profile(_) => "stop the gateway on this data folder first",
    };
    CliError::new(Exit::Failed, error.to_string(), remedy)
}
