//! `cargo xtask conformance`: the published clients that know WhatsApp Web,
//! unmodified, in real Chromium, against the simulator. A simulator that only
//! its makers use proves little.
//!
//! Every client goes through the same steps (peers/conformance). What it fails
//! because of a bug of its own is pinned in `expected.rs`, with the reason;
//! anything else that fails, and anything pinned that passes, ends with 1.

mod client;
mod expected;
mod table;

use crate::bench::report::replaced_in;
use crate::error::Error;
use client::{Client, Ran};
use expected::Verdict;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::mpsc::channel;

/// How to run it.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The binary whose simulator is judged.
    #[arg(long, value_name = "FILE", default_value = "target/release/steadfast")]
    binary: PathBuf,
    /// Also tries what is known to be wrong with the clients (about two minutes more).
    #[arg(long)]
    full: bool,
    /// Only this client, by its name in peers/package.json; may be given several times.
    #[arg(long, value_name = "NAME")]
    client: Vec<String>,
    /// Prints the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Options {
    /// The short form, as a step of `ci`.
    pub(crate) fn short() -> Self {
        Self {
            binary: PathBuf::from("target/release/steadfast"),
            full: false,
            client: Vec::new(),
            json: false,
        }
    }
}

/// Everything that came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) date: String,
    pub(crate) browser: String,
    pub(crate) node: String,
    pub(crate) full: bool,
    pub(crate) clients: Vec<Ran>,
    /// Each step that ended otherwise than was pinned.
    pub(crate) unexpected: Vec<String>,
}

/// Where the table goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Into {
    /// docs/CONFORMANCE.md.
    Docs,
    /// target/conformance/, so that a test leaves the tree as it is.
    Target,
}

/// Runs every client through every step, all clients at once, each on a
/// simulator of its own.
///
/// # Errors
///
/// Where a step ends otherwise than pinned, or something cannot be run at all.
pub(crate) fn run(options: &Options, into: Into) -> Result<(), Error> {
    let binary = crate::root().join(&options.binary);
    let folder = crate::root().join("target/conformance");
    if folder.exists() {
        crate::peers::reap(&folder);
        std::fs::remove_dir_all(&folder).map_err(Error::file(&folder))?;
    }
    std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;

    let chosen: Vec<Client> = client::all()
        .into_iter()
        .filter(|c| options.client.is_empty() || options.client.iter().any(|name| name == c.name))
        .collect();
    let (to, ended) = channel();
    let ran: Vec<Result<Ran, Error>> = std::thread::scope(|scope| {
        for (place, client) in chosen.iter().enumerate() {
            let (to, binary, folder) = (to.clone(), &binary, &folder);
            scope.spawn(move || {
                let ran = client.run(binary, folder, options.full);
                let _ = to.send((place, ran));
            });
        }
        drop(to);
        let mut all: Vec<(usize, Result<Ran, Error>)> = Vec::new();
        for (place, ran) in ended {
            if let Ok(ran) = &ran {
                eprintln!("     {}", table::line(ran));
            }
            all.push((place, ran));
        }
        all.sort_by_key(|(place, _)| *place);
        all.into_iter().map(|(_, ran)| ran).collect()
    });
    let clients = ran.into_iter().collect::<Result<Vec<_>, _>>()?;
    crate::peers::reap(&folder);

    let unexpected = clients.iter().flat_map(unexpected).collect();
    let report = Report {
        date: crate::peers::today(),
        browser: crate::peers::browser_version(),
        node: crate::peers::node_version(),
        full: options.full,
        clients,
        unexpected,
    };
    write(&report, into)?;
    if options.json {
        let json = serde_json::to_string(&report).map_err(|e| Error::Bench(e.to_string()))?;
        println!("{json}");
    }
    if report.unexpected.is_empty() {
        Ok(())
    } else {
        Err(Error::Bench(format!(
            "not as pinned in xtask/src/conformance/expected.rs:\n  {}",
            report.unexpected.join("\n  ")
        )))
    }
}

fn unexpected(ran: &Ran) -> Vec<String> {
    let mut wrong: Vec<String> = ran
        .steps
        .iter()
        .filter_map(|step| match expected::judge(ran, step) {
            Verdict::Fine | Verdict::Known(_) => None,
            Verdict::Unexpected(why) => Some(format!("{} {}: {why}", ran.name, step.name)),
        })
        .collect();
    wrong.extend(ran.broken.iter().map(|why| format!("{}: {why}", ran.name)));
    wrong
}

fn write(report: &Report, into: Into) -> Result<(), Error> {
    let target = crate::root().join("target/conformance");
    let json = serde_json::to_string_pretty(report).map_err(|e| Error::Bench(e.to_string()))?;
    let path = target.join("conformance.json");
    std::fs::write(&path, json + "\n").map_err(Error::file(&path))?;
    let text = table::markdown(report);
    if into == Into::Target {
        let path = target.join("CONFORMANCE.md");
        return std::fs::write(&path, text).map_err(Error::file(&path));
    }
    replaced_in("docs/CONFORMANCE.md", "cargo xtask conformance", &text)
}
