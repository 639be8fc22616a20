//! The gateway's own figures: start to first accept, memory, recovery.

use super::Options;
use super::child::signal;
use super::floors;
use super::gateway::Gateway;
use super::simulator::Simulator;
use super::stats::{Summary, summary};
use crate::error::Error;
use rustix::process::Signal;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// Messages that a gateway has brought to WhatsApp before its memory is read.
const MESSAGES_BEFORE_MEMORY: u32 = 200;

/// All that was measured. Times are milliseconds, memory is MiB.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    /// From starting the process to its first 202, on an empty data folder.
    pub(crate) first_start_ms: Option<Summary>,
    /// The same on a data folder with a linked session.
    pub(crate) restart_ms: Option<Summary>,
    /// Resident memory with one session, ready and idle.
    pub(crate) memory_ready_mib: f64,
    /// The same after it has brought messages to WhatsApp.
    pub(crate) memory_after_messages_mib: f64,
    /// By fault: from the fault to ready again.
    pub(crate) recovery: BTreeMap<&'static str, Recovery>,
}

/// What one kind of fault cost.
#[derive(Debug, Serialize)]
pub(crate) struct Recovery {
    /// From the fault to ready, seen from outside.
    pub(crate) gateway_ms: Summary,
    /// The rung that healed it, each time.
    pub(crate) healed_by: Vec<String>,
    /// The same with no gateway between; of a hung script, ending it alone.
    pub(crate) floor_ms: Option<f64>,
}

/// What is done to the browser, by name.
const FAULTS: &[&str] = &[
    "browser_killed",
    "page_closed",
    "renderer_killed",
    "script_hangs",
];

/// Measures everything.
///
/// # Errors
///
/// Where the gateway or the simulator does not do what it must.
pub(crate) fn measure(options: &Options) -> Result<Figures, Error> {
    let binary = crate::root().join(&options.binary);
    let folder = crate::root().join("target/bench");
    std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    let simulator = Simulator::start(&binary, &folder)?;

    let (mut first_starts, mut restarts) = (Vec::new(), Vec::new());
    let mut times: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut healers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut memory = None;
    let mut floors = BTreeMap::new();
    for run in 1..=options.runs {
        eprintln!("round {run} of {}", options.runs);
        let data = fresh(&folder, run)?;
        let (gateway, ms) = start_to_first_accept(&binary, &data, &simulator)?;
        first_starts.push(ms);
        gateway.link(&simulator)?;
        if memory.is_none() {
            memory = Some(read_memory(&gateway)?);
        }
        for &fault in FAULTS {
            let (ms, healed_by) = break_and_heal(&gateway, &simulator, fault)?;
            times.entry(fault).or_default().push(ms);
            healers.entry(fault).or_default().push(healed_by);
        }
        gateway.process.stop()?;
        let (gateway, ms) = start_to_first_accept(&binary, &data, &simulator)?;
        restarts.push(ms);
        if run == options.runs {
            gateway.ready()?;
            let profile = floors::profile_of(&gateway)?;
            gateway.process.stop()?;
            floors = floors::measure(profile, &simulator, options.runs)?;
        } else {
            gateway.process.stop()?;
        }
        std::fs::remove_dir_all(&data).map_err(Error::file(&data))?;
    }

    let (memory_ready_mib, memory_after_messages_mib) = memory.unwrap_or_default();
    let recovery = times
        .into_iter()
        .filter_map(|(fault, ms)| {
            let gateway_ms = summary(ms)?;
            let healed_by = healers.remove(fault).unwrap_or_default();
            Some((
                fault,
                Recovery {
                    gateway_ms,
                    healed_by,
                    floor_ms: floors.get(fault).copied(),
                },
            ))
        })
        .collect();
    Ok(Figures {
        first_start_ms: summary(first_starts),
        restart_ms: summary(restarts),
        memory_ready_mib,
        memory_after_messages_mib,
        recovery,
    })
}

/// An empty place for a data folder; what an interrupted run left is removed.
fn fresh(folder: &Path, run: u32) -> Result<std::path::PathBuf, Error> {
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

fn read_memory(gateway: &Gateway) -> Result<(f64, f64), Error> {
    let ready = gateway.process.resident_mib()?;
    let ids = (0..MESSAGES_BEFORE_MEMORY)
        .map(|n| gateway.accept(n))
        .collect::<Result<Vec<_>, _>>()?;
    for id in &ids {
        gateway.sent(id)?;
    }
    Ok((ready, gateway.process.resident_mib()?))
}

fn break_and_heal(
    gateway: &Gateway,
    simulator: &Simulator,
    fault: &str,
) -> Result<(f64, String), Error> {
    let before = gateway.incident()?;
    let gone = || Error::Bench(format!("there is no process for {fault}"));
    let victim = match fault {
        "browser_killed" => Some(gateway.browser().ok_or_else(gone)?),
        "renderer_killed" => Some(gateway.renderer().ok_or_else(gone)?),
        _ => None,
    };
    let start = Instant::now();
    match (fault, victim) {
        (_, Some(pid)) => signal(pid, Signal::KILL)?,
        ("page_closed", None) => simulator.page_fault(&json!({ "kind": "close_page" }))?,
        (_, None) => simulator.page_fault(&json!({ "kind": "hang", "ms": 0 }))?,
    }
    let (incident, at) = gateway.recovered(before.as_ref(), start)?;
    let healed_by = incident["healed_by"]
        .as_str()
        .map_or_else(|| Value::Null.to_string(), str::to_owned);
    Ok((at.as_secs_f64() * 1_000.0, healed_by))
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1_000.0
}
