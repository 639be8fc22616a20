//! `cargo xtask bench peers`: Steadfast and its rivals in one run, on the same
//! simulator, Chromium and flags. Writes docs/COMPARISON.md.

mod contender;
mod document;
mod faults;
mod judge;
mod kinds;
mod node;
mod steady;
mod svg;

use super::report::{machine, replaced_in};
use super::simulator::Simulator;
use crate::error::Error;
use crate::peers;
use contender::{Contender, Ground, Who};
use document::{Faulty, Setting, Steady};
use kinds::Kind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// How long the simulated server takes to sync a page. whatsapp-web.js is
/// ready only where it listens before the sync ends; with this it always is.
const SYNC_DELAY_MS: u64 = 2_500;

const PACKAGES: &[&str] = &["whatsapp-web.js", "@wppconnect-team/wppconnect"];

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Cold start, sends, latency, memory.
    Steady,
    /// Faults.
    Faults,
    /// Nothing: writes the document anew from the last figures, kept in target/bench.
    Document,
}

/// How to measure it.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The binary that is measured, and whose simulator all use.
    #[arg(long, value_name = "FILE", default_value = "target/release/steadfast")]
    binary: PathBuf,
    /// Runs of everything.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Only this part; the document keeps the last figures of the other.
    #[arg(long, value_name = "PART")]
    only: Option<Part>,
    /// Who takes part.
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_values_t = Who::ALL)]
    who: Vec<Who>,
    /// Which faults.
    #[arg(long, value_name = "KIND", value_delimiter = ',', default_values_t = Kind::ALL)]
    kinds: Vec<Kind>,
    /// Where the order of the faults comes from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How long a contender may take to recover; what has not is shown as such.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..=600))]
    bound: u64,
    /// Prints the figures as JSON.
    #[arg(long)]
    json: bool,
    /// Leaves docs/COMPARISON.md as it is.
    #[arg(long)]
    dry: bool,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        named(self, f)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        named(self, f)
    }
}

/// Writes the name by which clap knows a value.
fn named<V: clap::ValueEnum>(value: &V, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    let value = value.to_possible_value();
    f.write_str(
        value
            .as_ref()
            .map_or("", clap::builder::PossibleValue::get_name),
    )
}

/// Measures, and writes it down.
///
/// # Errors
///
/// Where a contender does not do what it must before anything is done to it.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let wanted = |part| options.only.is_none_or(|only| only == part);
    let target = crate::root().join("target/bench");
    if wanted(Part::Steady) {
        let (ground, setting) = prepare(options, &target.join("peers-steady"))?;
        steady::measure(&ground, &options.who, options.runs, |all| {
            let figures = Steady {
                setting: setting.clone(),
                all: all.to_vec(),
            };
            keep(&target.join("peers-steady.json"), &figures)
        })?;
    }
    if wanted(Part::Faults) {
        let (ground, setting) = prepare(options, &target.join("peers-faults"))?;
        let plan = faults::Plan {
            rounds: options.runs,
            seed: options.seed,
            bound_s: options.bound,
            kinds: options.kinds.clone(),
            who: options.who.clone(),
        };
        faults::measure(&ground, &plan, |all| {
            let figures = Faulty {
                setting: setting.clone(),
                plan: plan.clone(),
                all,
            };
            keep(&target.join("peers-faults.json"), &figures)
        })?;
    }
    let steady: Option<Steady> = kept(&target.join("peers-steady.json"));
    let faulty: Option<Faulty> = kept(&target.join("peers-faults.json"));
    if options.json {
        println!("{}", json!({ "steady": steady, "faults": faulty }));
    }
    if options.dry {
        return Ok(());
    }
    let text = document::markdown(steady.as_ref(), faulty.as_ref())?;
    replaced_in("docs/COMPARISON.md", "cargo xtask bench peers", &text)
}

/// A simulator with an account for each, and the flags of the gateway's browser.
fn prepare(options: &Options, folder: &Path) -> Result<(Arc<Ground>, Setting), Error> {
    if folder.exists() {
        peers::reap(folder);
        std::fs::remove_dir_all(folder).map_err(Error::file(folder))?;
    }
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let binary = crate::root().join(&options.binary);
    let simulator = Arc::new(Simulator::start(&binary, folder)?);
    simulator.ask(
        "PATCH",
        "/knobs",
        &json!({ "sync_delay_ms": SYNC_DELAY_MS }),
    )?;
    for who in Who::ALL {
        simulator.account(&who.phone())?;
    }
    let mut ground = Ground {
        binary,
        folder: folder.to_owned(),
        simulator,
        flags: Vec::new(),
    };
    // The gateway once, for the flags with which it starts its browser.
    let shared = Arc::new(Ground {
        binary: ground.binary.clone(),
        folder: folder.join("flags"),
        simulator: Arc::clone(&ground.simulator),
        flags: Vec::new(),
    });
    let mut gateway = Contender::new(Who::Steadfast, &shared);
    gateway.start()?;
    gateway.ready()?;
    let browser = gateway
        .browser()
        .ok_or_else(|| Error::Bench("the gateway has no browser".to_owned()))?;
    ground.flags = contender::flags_of(browser);
    gateway.stop();
    ground.simulator.ask(
        "POST",
        &format!("/accounts/{}/unlink", Who::Steadfast.phone()),
        &json!({}),
    )?;
    let setting = Setting {
        date: peers::today(),
        machine: machine(),
        gateway: gateway_version(&ground.binary),
        browser: peers::browser_version(),
        node: peers::node_version(),
        versions: PACKAGES
            .iter()
            .map(|name| ((*name).to_owned(), peers::version(name).unwrap_or_default()))
            .collect(),
        flags: ground
            .flags
            .iter()
            // The simulator's address and key are new each time.
            .filter(|f| !f.starts_with("--host-resolver") && !f.starts_with("--ignore-certificate"))
            .cloned()
            .collect(),
        sync_delay_ms: SYNC_DELAY_MS,
    };
    Ok((Arc::new(ground), setting))
}

fn gateway_version(binary: &Path) -> String {
    let said = Command::new(binary).arg("--version").output();
    said.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned())
        .unwrap_or_default()
}

fn keep<F: Serialize>(path: &Path, figures: &F) -> Result<(), Error> {
    let json = serde_json::to_string(figures).map_err(|e| Error::Bench(e.to_string()))?;
    std::fs::write(path, json + "\n").map_err(Error::file(path))
}

fn kept<F: DeserializeOwned>(path: &Path) -> Option<F> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
