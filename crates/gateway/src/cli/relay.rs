//! `steadfast relay`: stands between a gateway under test and its browser.
//! Started by the script that `demo` and `chaos` set as `browser.path`.

use super::Context;
use super::exit::Exit;
use super::out::CliError;
use crate::harness::relay::{RelayOptions, run as relay};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct RelayArgs {
    /// The real browser
    #[arg(long)]
    browser: PathBuf,
    /// Where faults are asked for
    #[arg(long)]
    socket: PathBuf,
    /// The browser's arguments
    #[arg(last = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub(super) async fn run(_: &Context, args: RelayArgs) -> Result<Exit, CliError> {
    let code = relay(RelayOptions {
        browser: args.browser,
        socket: args.socket,
        args: args.args,
    })
    .await
    .map_err(|error| CliError::new(Exit::Failed, format!("the relay failed: {error}"), ""))?;
    // As the browser itself would end, so that the gateway reads its exit code.
    std::process::exit(code)
}
