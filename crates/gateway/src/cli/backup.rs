//! `steadfast backup`: a copy of the data folder, also while the gateway runs.

use super::Context;
use super::exit::Exit;
use super::out::{CliError, Tone};
use crate::backup::{self, BackupError, Wanted};
use crate::data_dir::DataDir;
use clap::Args;
use serde_json::json;
use std::io;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The folder to make; it must not exist yet
    dir: PathBuf,
    /// Leave the files of messages out
    #[arg(long)]
    no_media: bool,
    /// Leave the logins out: every number must be linked again
    #[arg(long)]
    no_logins: bool,
}

pub(super) fn run(context: &Context, args: &BackupArgs) -> Result<Exit, CliError> {
    let dir = DataDir::open(&context.data_dir()?)?;
    let wanted = Wanted {
        media: !args.no_media,
        profiles: !args.no_logins,
    };
    let made = backup::make(&dir, &args.dir, wanted).map_err(failed)?;
    let out = context.out;
    let (manifest, shown) = (&made.manifest, args.dir.display().to_string());
    out.value(&json!({
        "backup": shown,
        "made_at": manifest.made_at,
        "files": manifest.files.len(),
        "bytes": manifest.bytes(),
        "logins": manifest.logins,
        "gateway_ran": made.gateway_ran,
    }));
    let (files, mib) = (manifest.files.len(), manifest.bytes().div_ceil(1_048_576));
    out.line(format!("{shown}: {files} files, {mib} MiB"));
    for login in &manifest.logins {
        let (tone, words) = match login.kept.as_str() {
            "whole" => (Tone::Good, "its login is in the backup"),
            "last_good" => (
                Tone::Good,
                "its login is in the backup, as of the last good copy",
            ),
            _ => (
                Tone::Warn,
                "its login is not in the backup: it is in use, and has no good copy yet",
            ),
        };
        out.line(format!("{}: {}", login.session, out.tone(tone, words)));
    }
    if !manifest.logins.is_empty() {
        out.line("Whoever has this folder can write as these numbers: keep it as you keep keys.");
    }
    Ok(Exit::Done)
}

/// How a backup that failed ends the command.
pub(super) fn failed(error: BackupError) -> CliError {
    let message = error.to_string();
    match error {
        BackupError::DataDir(error) => error.into(),
        BackupError::Store(error) => error.into(),
        BackupError::Profile(_) => CliError::new(
            Exit::Failed,
            message,
            "mend that, or leave the logins out with --no-logins",
        ),
        BackupError::Exists(_) => CliError::new(
            Exit::Failed,
            message,
            "name a folder that does not exist yet",
        ),
        BackupError::NotEmpty { .. } => CliError::new(
            Exit::DataFolder,
            message,
            "name an empty folder with --data-dir DIR, or say --replace: what is there is moved aside, not removed",
        ),
        BackupError::NotABackup { .. } => CliError::new(
            Exit::Failed,
            message,
            "name a folder that `steadfast backup` made",
        ),
        BackupError::Damaged { .. } => CliError::new(
            Exit::Failed,
            message,
            "copy the backup again from where it is kept, or take another; nothing was changed",
        ),
        BackupError::Io { error, .. } => {
            let remedy = match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "make room on that disk"
                }
                io::ErrorKind::PermissionDenied => {
                    "run it as the user of the gateway, and name a place that user may write to"
                }
                _ => "mend that and try again",
            };
            CliError::new(Exit::Failed, message, remedy)
        }
    }
}
