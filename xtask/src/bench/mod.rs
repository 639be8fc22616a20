//! `cargo xtask bench`: measures what docs/PERFORMANCE.md and
//! docs/COMPARISON.md say, on the release binary, and writes what it found there itself.

mod accept;
pub(crate) mod child;
mod examples;
mod floors;
mod gateway;
mod http;
mod incidents;
mod load;
mod own;
mod peers;
mod proc;
mod queue;
pub(crate) mod report;
mod round_trips;
mod sections;
mod sessions;
pub(crate) mod simulator;
mod stats;

use crate::error::Error;
use examples::Examples;
use report::Printing;
use sections::Section;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// What to measure.
#[derive(clap::Subcommand)]
pub(crate) enum What {
    /// Our own limits: starts, recovery and round trips against the bare floors, memory, processor, queue, sessions.
    #[command(name = "self")]
    Own(Options),
    /// Messages accepted a second over HTTP, against SQLite by itself.
    Accept(accept::Options),
    /// Steadfast beside its rivals, in one run.
    Peers(peers::Options),
}

/// How to measure our own limits.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The binary that is measured.
    #[arg(long, value_name = "FILE", default_value = "target/release/steadfast")]
    binary: PathBuf,
    /// A folder with the examples as cargo built them; without it cargo builds and runs them, in release.
    #[arg(long, value_name = "DIR")]
    examples: Option<PathBuf>,
    /// Only this; may be given several times. Without it all but `sessions`, which takes a quarter of an hour.
    #[arg(long, value_name = "SECTION")]
    only: Vec<Section>,
    /// Starts, rounds, and windows of everything. More rounds, steadier medians.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Of `load`: how long each window is.
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    window: u64,
    /// Of `load`: messages a second.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Of `queue`: how many messages are queued; each above the one before. 0 to 1,000,000 where not said.
    #[arg(long, value_name = "N,N")]
    sizes: Option<String>,
    /// Of `sessions`: how many without browsers.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1000))]
    scripted: u32,
    /// Of `sessions`: how many with browsers at most.
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1000))]
    browsers: u32,
    #[command(flatten)]
    printing: Printing,
}

impl Options {
    fn binary(&self) -> PathBuf {
        crate::root().join(&self.binary)
    }

    fn examples(&self) -> Examples {
        Examples {
            built: self.examples.clone(),
        }
    }

    /// Where what is measured has its files.
    ///
    /// # Errors
    ///
    /// Where it cannot be made.
    fn folder() -> Result<PathBuf, Error> {
        let folder = crate::root().join("target/bench");
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        Ok(folder)
    }
}

/// Measures, prints the figures, and writes them down.
///
/// # Errors
///
/// Where anything that is measured does not do what it must.
pub(crate) fn run(what: &What) -> Result<(), Error> {
    match what {
        What::Own(options) => sections::run(options),
        What::Accept(options) => {
            let figures = accept::measure(options)?;
            let figures = report::publish("accept", &figures, &options.printing, accept::table)?;
            report::print(&options.printing, &figures);
            Ok(())
        }
        What::Peers(options) => peers::run(options),
    }
}

/// Lets time pass, where nothing that is measured tells when to go on.
fn pause(time: Duration) {
    let (_never, nothing): (Sender<()>, Receiver<()>) = channel();
    let _ = nothing.recv_timeout(time);
}
