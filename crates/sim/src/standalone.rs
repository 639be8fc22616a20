//! The simulator as a program of its own.

use crate::error::Error;
use crate::simulator::{SimConfig, Simulator};
use crate::world::NewAccount;
use serde_json::json;
use std::future::Future;
use std::io;

/// Starts a simulator, makes the accounts, tells `ready` where it all is (one
/// line of JSON: `addr`, `control`, `spki`, `control_header`), and runs until `stop` ends.
///
/// # Errors
///
/// As [`Simulator::start`] and [`crate::Control::create_account`]; [`Error::Io`] where
/// `ready` cannot be told.
pub async fn run_standalone(
    config: SimConfig,
    accounts: Vec<NewAccount>,
    ready: impl FnOnce(&str) -> io::Result<()>,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let simulator = Simulator::start(config).await?;
    for account in accounts {
        simulator.control().create_account(account)?;
    }
    let line = json!({
        "addr": simulator.addr().to_string(),
        "control": simulator.control_url(),
        "spki": simulator.spki(),
        "control_header": crate::CONTROL_HEADER,
    });
    ready(&line.to_string()).map_err(|source| Error::Io {
        what: "standard output",
        source,
    })?;
    stop.await;
    simulator.shutdown().await;
    Ok(())
}
