//! The gateway's own figures: start to first accept, memory, recovery.

use super::child::signal;
use super::floors::{self, Beside, Floors};
use super::gateway::Gateway;
use super::incidents::Incidents;
use super::simulator::Simulator;
use super::stats::{Range, Summary, range, summary};
use super::{Options, pause};
use crate::error::Error;
use rustix::process::Signal;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Messages that a gateway has brought to WhatsApp before its memory is read.
const MESSAGES_BEFORE_MEMORY: u32 = 200;

/// By then the gateway has given back what it had freed, which it does every
/// twenty seconds.
const GIVEN_BACK: Duration = Duration::from_secs(25);

/// All that was measured. Times are milliseconds, memory is MiB.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    /// The browser, with its version.
    pub(crate) browser: String,
    /// From starting the process to its first 202, on an empty data folder.
    pub(crate) first_start_ms: Option<Summary>,
    /// The same on a data folder with a linked session.
    pub(crate) restart_ms: Option<Summary>,
    /// Resident memory with one session, ready and idle.
    pub(crate) memory_ready_mib: Option<Range>,
    /// The same after it has brought messages to WhatsApp.
    pub(crate) memory_after_messages_mib: Option<Range>,
    /// By fault: from the fault to ready again.
    pub(crate) recovery: BTreeMap<Fault, Recovery>,
    /// The engine without the gateway, beside the bare client.
    pub(crate) engine: Vec<Beside>,
}

/// What one kind of fault cost.
#[derive(Debug, Serialize)]
pub(crate) struct Recovery {
    /// From the fault to ready, seen from outside.
    pub(crate) gateway_ms: Summary,
    /// The rung that healed it, each time.
    pub(crate) healed_by: Vec<String>,
    /// What the rung that healed it most often costs with no gateway between,
    /// in the same rounds; of a hung script, ending it alone.
    pub(crate) floor_ms: Option<Summary>,
}

/// What is done to the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// SIGKILL to the browser.
    BrowserKilled,
    /// SIGKILL to the process of the page.
    RendererKilled,
    /// The page loads itself anew.
    PageReloaded,
    /// A loop without end on the page's main thread.
    ScriptHangs,
}

impl Fault {
    const ALL: [Self; 4] = [
        Self::BrowserKilled,
        Self::RendererKilled,
        Self::PageReloaded,
        Self::ScriptHangs,
    ];

    /// In words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::BrowserKilled => "browser killed",
            Self::RendererKilled => "renderer killed",
            Self::PageReloaded => "page reloaded",
            Self::ScriptHangs => "script hangs",
        }
    }
}

/// Measures everything.
///
/// # Errors
///
/// Where the gateway or the simulator does not do what it must.
pub(crate) fn measure(options: &Options) -> Result<Figures, Error> {
    let (binary, folder) = (options.binary(), Options::folder()?);
    let examples = options.examples();
    let simulator = Simulator::start(&binary, &folder)?;

    let (mut first_starts, mut restarts) = (Vec::new(), Vec::new());
    let mut times: BTreeMap<Fault, Vec<f64>> = BTreeMap::new();
    let mut healers: BTreeMap<Fault, Vec<String>> = BTreeMap::new();
    let (mut ready_mib, mut after_mib) = (Vec::new(), Vec::new());
    let mut floors = Floors::default();
    for run in 1..=options.runs {
        eprintln!("round {run} of {}", options.runs);
        let data = fresh(&folder, run)?;
        let (gateway, ms) = start_to_first_accept(&binary, &data, &simulator)?;
        first_starts.push(ms);
        gateway.link(&simulator)?;
        let (ready, after) = read_memory(&gateway)?;
        ready_mib.push(ready);
        after_mib.push(after);
        let mut incidents = gateway.incidents()?;
        for fault in Fault::ALL {
            let (ms, healed_by) = break_and_heal(&gateway, &simulator, &mut incidents, fault)?;
            times.entry(fault).or_default().push(ms);
            healers.entry(fault).or_default().push(healed_by);
        }
        gateway.process.stop()?;
        let (gateway, ms) = start_to_first_accept(&binary, &data, &simulator)?;
        restarts.push(ms);
        // In the same round: whatever else the machine does meets both alike.
        gateway.ready()?;
        let profile = floors::profile_of(&gateway)?;
        gateway.process.stop()?;
        floors::measure(&examples, profile, &simulator, &mut floors)?;
        simulator.unlink()?;
        std::fs::remove_dir_all(&data).map_err(Error::file(&data))?;
    }

    let recovery = times
        .into_iter()
        .filter_map(|(fault, ms)| {
            let gateway_ms = summary(ms)?;
            let healed_by = healers.remove(&fault).unwrap_or_default();
            let floor_ms = most_common(&healed_by).and_then(|rung| floors.of(fault, rung));
            Some((
                fault,
                Recovery {
                    gateway_ms,
                    healed_by,
                    floor_ms,
                },
            ))
        })
        .collect();
    Ok(Figures {
        browser: floors.browser,
        first_start_ms: summary(first_starts),
        restart_ms: summary(restarts),
        memory_ready_mib: range(ready_mib),
        memory_after_messages_mib: range(after_mib),
        recovery,
        engine: floors::engine(&examples, options.runs)?,
    })
}

/// An empty place for a data folder; what an interrupted run left is removed.
///
/// # Errors
///
/// Where that cannot be removed.
pub(crate) fn fresh(folder: &Path, run: u32) -> Result<std::path::PathBuf, Error> {
    let data = folder.join(format!("data-{run}"));
    if data.exists() {
        std::fs::remove_dir_all(&data).map_err(Error::file(&data))?;
    }
    Ok(data)
}

fn start_to_first_accept(
    binary: &Path,
    data: &Path,
    simulator: &Simulator,
) -> Result<(Gateway, f64), Error> {
    let start = Instant::now();
    let gateway = Gateway::start(binary, data, simulator)?;
    gateway.accept(0)?;
    Ok((gateway, millis(start)))
}

/// Resident memory, idle: ready, and after messages.
fn read_memory(gateway: &Gateway) -> Result<(f64, f64), Error> {
    pause(GIVEN_BACK);
    let ready = gateway.process.resident_mib()?;
    let ids = (0..MESSAGES_BEFORE_MEMORY)
        .map(|n| gateway.accept(n))
        .collect::<Result<Vec<_>, _>>()?;
    for id in &ids {
        gateway.sent(id)?;
    }
    pause(GIVEN_BACK);
    Ok((ready, gateway.process.resident_mib()?))
}

/// Lets a fault loose; gives the milliseconds until ready again, and the rung that healed it.
fn break_and_heal(
    gateway: &Gateway,
    simulator: &Simulator,
    incidents: &mut Incidents,
    fault: Fault,
) -> Result<(f64, String), Error> {
    let gone = || {
        Error::Bench(format!(
            "there is no process to kill for: {}",
            fault.words()
        ))
    };
    // The process is sought, and the log's end noted, before the time runs.
    gateway.before_fault(incidents)?;
    let start = match fault {
        Fault::BrowserKilled | Fault::RendererKilled => {
            let victim = if fault == Fault::BrowserKilled {
                gateway.browser()
            } else {
                gateway.renderer()
            };
            let victim = victim.ok_or_else(gone)?;
            let start = Instant::now();
            signal(victim, Signal::KILL)?;
            start
        }
        Fault::PageReloaded => {
            let start = Instant::now();
            simulator.page_fault(&json!({ "kind": "reload" }))?;
            start
        }
        Fault::ScriptHangs => {
            let start = Instant::now();
            simulator.page_fault(&json!({ "kind": "hang", "ms": 0 }))?;
            start
        }
    };
    let (incident, at) = gateway.recovered(fault.words(), incidents, start)?;
    let healed_by = incident["healed_by"].as_str().unwrap_or("nothing");
    Ok((at.as_secs_f64() * 1_000.0, healed_by.to_owned()))
}

/// The value that comes most often; of several, the first in the alphabet.
pub(crate) fn most_common(values: &[String]) -> Option<&str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let most = counts.values().max().copied()?;
    counts
        .into_iter()
        .find(|(_, n)| *n == most)
        .map(|(value, _)| value)
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1_000.0
}

#[test]
fn the_most_common_rung_is_taken() {
    let rungs = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        most_common(&rungs(&["reload", "new_page", "reload"])),
        Some("reload")
    );
    assert_eq!(most_common(&rungs(&["b", "a"])), Some("a"));
    assert_eq!(most_common(&[]), None);
}
