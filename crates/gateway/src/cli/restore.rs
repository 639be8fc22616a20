//! `steadfast restore`: a data folder made of a backup.

use super::Context;
use super::backup::failed;
use super::exit::Exit;
use super::out::CliError;
use crate::backup::{self, Manifest};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The folder that `backup` made
    dir: PathBuf,
    /// Only compare every file with its digest
    #[arg(long)]
    check: bool,
    /// Into a data folder that is not empty: what is in it is moved aside, below it
    #[arg(long, conflicts_with = "check")]
    replace: bool,
}

pub(super) fn run(context: &Context, args: &RestoreArgs) -> Result<Exit, CliError> {
    let out = context.out;
    if args.check {
        let manifest = backup::check(&args.dir).map_err(failed)?;
        out.value(&facts(&manifest));
        let (files, made) = (manifest.files.len(), &manifest.made_at);
        out.line(format!("whole: {files} files, made {made}"));
        return Ok(Exit::Done);
    }
    let target = context.data_dir()?;
    let restored = backup::restore(&args.dir, &target, args.replace).map_err(failed)?;
    let shown = target.display().to_string();
    let mut value = facts(&restored.manifest);
    value["data_dir"] = json!(shown);
    value["aside"] = json!(restored.aside);
    out.value(&value);
    out.line(format!(
        "{shown} is as it was at {}. Start the gateway: steadfast serve",
        restored.manifest.made_at
    ));
    if let Some(aside) = restored.aside {
        out.line(format!("what was there is in {}", aside.display()));
    }
    for login in &restored.manifest.logins {
        if login.kept == "in_use" {
            let session = &login.session;
            out.line(format!(
                "{session} must be linked again: steadfast init --session {session}"
            ));
        }
    }
    Ok(Exit::Done)
}

fn facts(manifest: &Manifest) -> serde_json::Value {
    json!({
        "made_at": manifest.made_at,
        "version": manifest.version,
        "files": manifest.files.len(),
        "bytes": manifest.bytes(),
        "logins": manifest.logins,
    })
}
