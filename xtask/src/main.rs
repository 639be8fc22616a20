//! What a developer runs: `cargo xtask ci`, `conformance`, `bench`, `licenses`.
//!
//! The rules about the tree itself are ordinary tests here: which crate may
//! depend on which (`direction.rs`), and links and words that must not stand
//! in it (`tree.rs`).

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool: its words go to the terminal"
)]

mod bench;
mod ci;
mod conformance;
mod deb;
mod error;
mod licenses;
mod metadata;
mod peers;

#[cfg(test)]
mod direction;
#[cfg(test)]
mod tree;

use clap::{Parser, Subcommand};
use error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "What a developer of Steadfast runs")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Every check and test, in the order that finds a fault soonest.
    Ci {
        /// Only this step; may be given several times.
        #[arg(long, value_name = "STEP")]
        only: Vec<ci::Step>,
    },
    /// The published clients that know WhatsApp Web against the simulator; writes docs/CONFORMANCE.md.
    Conformance(conformance::Options),
    /// Measures, and writes what it found into docs/PERFORMANCE.md and docs/COMPARISON.md.
    Bench {
        #[command(subcommand)]
        what: bench::What,
    },
    /// Makes a Debian package of a built binary.
    Deb {
        /// The binary.
        #[arg(long, value_name = "FILE", default_value = "target/release/steadfast")]
        binary: PathBuf,
        /// Where the package and its tree are put.
        #[arg(long, value_name = "DIR", default_value = "target/debian")]
        out: PathBuf,
    },
    /// Writes THIRD-PARTY.md: who wrote what the binary carries, and under which licence.
    Licenses {
        /// Writes nothing; fails where the file is not what it would write.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Ci { only } => ci::run(&only),
        Command::Conformance(options) => conformance::run(&options, conformance::Into::Docs),
        Command::Bench { what } => bench::run(&what),
        Command::Deb { binary, out } => {
            deb::make(&binary, &out).map(|package| println!("{}", package.display()))
        }
        Command::Licenses { check: true } => licenses::check(),
        Command::Licenses { check: false } => licenses::write(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The runner's own summary is the last word.
        Err(Error::Step(ci::Step::Test)) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the checkout.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}
