//! The bare floors: the same Chromium and the same page with no gateway
//! between, as the example `floors` of the crate cdp measures them; and the
//! engine against the bare client, as its example `recovery_timing` does.

use super::child::command_line;
use super::examples::{Examples, numbers};
use super::gateway::Gateway;
use super::own::Fault;
use super::simulator::Simulator;
use super::stats::{Summary, summary};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// Which of the example's figures is the floor of which fault, by the rung
/// that heals it.
const FLOORS: &[(&str, Fault, &str)] = &[
    (
        "recover_browser_kill",
        Fault::BrowserKilled,
        "restart_browser",
    ),
    ("recover_renderer_kill", Fault::RendererKilled, "new_page"),
    ("recover_crash_reload", Fault::RendererKilled, "reload"),
    ("recover_reload", Fault::PageReloaded, "retry"),
    (
        "terminate_hung_script",
        Fault::ScriptHangs,
        "terminate_script",
    ),
];

/// Linked, synced and connected: what the gateway calls ready. Nothing is
/// asked of the page's modules before the page has started them itself.
const READY: &str = "window.Debug?.VERSION !== undefined \
    && require('WAWebSocketModel').Socket.hasSynced \
    && require('WAWebStreamModel').Stream.mode === 'MAIN'";

/// What the example found.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Floors {
    /// The browser, with its version.
    pub(crate) browser: String,
    /// Each round's milliseconds, by fault and the rung that heals it.
    pub(crate) by_fault: BTreeMap<(Fault, &'static str), Vec<f64>>,
}

impl Floors {
    /// What the fault costs where this rung heals it, with no gateway between.
    pub(crate) fn of(&self, fault: Fault, rung: &str) -> Option<Summary> {
        let (_, rounds) = self
            .by_fault
            .iter()
            .find(|((of, by), _)| *of == fault && *by == rung)?;
        summary(rounds.clone())
    }
}

/// What the engine, without a gateway, costs beside the bare client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Beside {
    /// What was measured: `noticed: FAULT` or `ready: FAULT or rung`.
    pub(crate) what: String,
    /// The bare client.
    pub(crate) bare: Spread,
    /// The engine, in the same rounds.
    pub(crate) engine: Spread,
}

/// What rounds of the same thing took, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    /// How many rounds.
    pub(crate) runs: u32,
    /// The shortest.
    pub(crate) min: f64,
    /// The median.
    pub(crate) p50: f64,
    /// The longest.
    pub(crate) max: f64,
}

/// Where the gateway's browser has its profile.
///
/// # Errors
///
/// Where no browser of it runs.
pub(crate) fn profile_of(gateway: &Gateway) -> Result<PathBuf, Error> {
    let browser = gateway.browser().map(command_line).unwrap_or_default();
    browser
        .iter()
        .find_map(|argument| argument.strip_prefix("--user-data-dir="))
        .map(PathBuf::from)
        .ok_or_else(|| Error::Bench("the gateway has no browser".to_owned()))
}

/// Measures the floor of every fault once, on a profile that is linked and
/// that no browser uses, and adds it to those of the rounds before.
///
/// # Errors
///
/// Where the example fails.
pub(crate) fn measure(
    examples: &Examples,
    profile: PathBuf,
    simulator: &Simulator,
    floors: &mut Floors,
) -> Result<(), Error> {
    let mut arguments = numbers(&[("--runs", 1)]);
    arguments.extend(["--profile".into(), profile.into_os_string()]);
    for (figure, ..) in FLOORS {
        arguments.extend(["--only".into(), figure.into()]);
    }
    let rules = format!(
        "--host-resolver-rules=MAP web.whatsapp.com:443 {},MAP * ~NOTFOUND,EXCLUDE 127.0.0.1",
        simulator.address
    );
    let key = format!("--ignore-certificate-errors-spki-list={}", simulator.spki);
    let more = ["--arg", &rules, "--arg", &key];
    arguments.extend(more.map(OsString::from));
    let page = ["--url", "https://web.whatsapp.com/", "--ready-expr", READY];
    arguments.extend(page.map(OsString::from));
    read(&examples.run("steadfast-cdp", "floors", arguments)?, floors);
    Ok(())
}

/// Measures the engine beside the bare client, in rounds of both.
///
/// # Errors
///
/// Where the example fails.
pub(crate) fn engine(examples: &Examples, rounds: u32) -> Result<Vec<Beside>, Error> {
    let arguments = [rounds.to_string().into(), "--json".into()];
    examples.figures("steadfast-engine", "recovery_timing", arguments)
}

fn read(lines: &str, floors: &mut Floors) {
    for line in lines.lines() {
        let said: Value = serde_json::from_str(line).unwrap_or_default();
        if let Some(browser) = said["browser"].as_str() {
            browser.clone_into(&mut floors.browser);
        }
        let known = FLOORS.iter().find(|(name, ..)| said["what"] == **name);
        if let (Some((_, fault, rung)), Some(median)) = (known, said["median"].as_f64()) {
            floors
                .by_fault
                .entry((*fault, rung))
                .or_default()
                .push(median);
        }
    }
}

#[test]
fn figures_are_read_by_name() {
    let lines = r#"{"browser":"Chrome/156","cores":2}
{"what":"recover_browser_kill","unit":"ms","runs":3,"min":1.0,"median":344.5,"max":400.0}
{"what":"evaluate_sequential","unit":"per_s","runs":3,"min":1.0,"median":2.0,"max":3.0}"#;
    let mut floors = Floors::default();
    read(lines, &mut floors);
    read(lines, &mut floors);
    assert_eq!(floors.browser, "Chrome/156");
    let floor = floors.of(Fault::BrowserKilled, "restart_browser");
    assert_eq!(floor.map(|f| (f.runs, f.p50)), Some((2, 344.5)));
    assert_eq!(floors.of(Fault::BrowserKilled, "reload"), None);
}
