//! `steadfast man`: the manual pages, made from the same words as `--help`.

use super::Context;
use super::exit::Exit;
use super::out::CliError;
use clap::Args;
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Write a page for each command into this folder instead
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(context: &Context, args: &ManArgs) -> Result<Exit, CliError> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(super::command())
            .render(&mut page)
            .map_err(|e| CliError::new(Exit::Failed, e.to_string(), ""))?;
        context.out.raw(String::from_utf8_lossy(&page).trim_end());
        return Ok(Exit::Done);
    };
    let pages = write_all(dir).map_err(|e| {
        let message = format!("cannot write into {}: {e}", dir.display());
        CliError::new(Exit::Failed, message, "name a folder that you may write to")
    })?;
    let shown = dir.display().to_string();
    context.out.line(format!("{pages} pages are in {shown}"));
    context.out.value(&json!({"dir": shown, "pages": pages}));
    Ok(Exit::Done)
}

fn write_all(dir: &Path) -> io::Result<usize> {
    std::fs::create_dir_all(dir)?;
    clap_mangen::generate_to(super::command(), dir)?;
    let ours = |entry: io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|e| e.file_name().to_string_lossy().starts_with("steadfast"))
    };
    Ok(std::fs::read_dir(dir)?
        .map(ours)
        .filter(|ours| *ours)
        .count())
}
