//! `cargo xtask bench`: measures what docs/PERFORMANCE.md and
//! docs/COMPARISON.md say, on the release binary, and writes what it found there itself.

mod accept;
pub(crate) mod child;
mod floors;
mod gateway;
mod http;
mod incidents;
mod own;
mod peers;
pub(crate) mod report;
pub(crate) mod simulator;
mod stats;

use crate::error::Error;
use std::path::PathBuf;

/// What to measure.
#[derive(clap::Subcommand)]
pub(crate) enum What {
    /// The gateway itself: start to first accept, memory, recovery against the bare floor.
    #[command(name = "self")]
    Own(Options),
    /// Messages accepted a second over HTTP, against SQLite by itself.
    Accept(accept::Options),
    /// Steadfast beside its rivals, in one run.
    Peers(peers::Options),
}

/// How to measure it.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The binary that is measured.
    #[arg(long, value_name = "FILE", default_value = "target/release/steadfast")]
    binary: PathBuf,
    /// Starts, and rounds of faults. More rounds, steadier medians.
    #[arg(long, value_name = "N", default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Prints the figures as JSON and leaves docs/PERFORMANCE.md as it is.
    #[arg(long)]
    dry: bool,
}

/// Measures, prints the figures as one JSON object, and writes them down.
///
/// # Errors
///
/// Where anything that is measured does not do what it must.
pub(crate) fn run(what: &What) -> Result<(), Error> {
    match what {
        What::Own(options) => {
            let figures = own::measure(options)?;
            report::publish("self", &figures, options.dry, report::table)
        }
        What::Accept(options) => {
            let figures = accept::measure(options)?;
            report::publish("accept", &figures, options.dry, accept::table)
        }
        What::Peers(options) => peers::run(options),
    }
}
