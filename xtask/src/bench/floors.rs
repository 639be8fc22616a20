//! The bare floors: the same Chromium and the same page with no gateway
//! between, as the example `floors` of the crate cdp measures them.

use super::child::command_line;
use super::gateway::Gateway;
use super::simulator::Simulator;
use crate::error::Error;
use crate::metadata::cargo;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

/// Which of the example's figures is the floor of which rung. A retry heals a
/// page that was loaded anew by itself.
const FLOORS: &[(&str, &str)] = &[
    ("recover_browser_kill", "restart_browser"),
    ("recover_new_tab", "new_page"),
    ("recover_crash_reload", "reload"),
    ("recover_reload", "retry"),
    ("terminate_hung_script", "terminate_script"),
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
    /// Medians in milliseconds, by rung.
    pub(crate) by_rung: BTreeMap<&'static str, f64>,
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

/// Measures the floor of every rung, in milliseconds, on a profile that is
/// linked and that no browser uses.
///
/// # Errors
///
/// Where the example fails.
pub(crate) fn measure(profile: PathBuf, simulator: &Simulator, runs: u32) -> Result<Floors, Error> {
    let mut command = cargo();
    command.args(["run", "--release", "--locked", "--quiet"]);
    command.args(["--package", "steadfast-cdp", "--example", "floors", "--"]);
    command
        .args(["--runs", &runs.to_string(), "--profile"])
        .arg(profile);
    for (figure, _) in FLOORS {
        command.args(["--only", figure]);
    }
    let rules = format!(
        "--host-resolver-rules=MAP web.whatsapp.com:443 {},MAP * ~NOTFOUND,EXCLUDE 127.0.0.1",
        simulator.address
    );
    let key = format!("--ignore-certificate-errors-spki-list={}", simulator.spki);
    command.args(["--arg", &rules, "--arg", &key]);
    command.args(["--url", "https://web.whatsapp.com/", "--ready-expr", READY]);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Error::Start {
            program: "cargo".to_owned(),
            source,
        })?;
    if !output.status.success() {
        return Err(Error::Bench(format!("floors ended with {}", output.status)));
    }
    Ok(read(&String::from_utf8_lossy(&output.stdout)))
}

fn read(lines: &str) -> Floors {
    let mut floors = Floors::default();
    for line in lines.lines() {
        let said: Value = serde_json::from_str(line).unwrap_or_default();
        if let Some(browser) = said["browser"].as_str() {
            browser.clone_into(&mut floors.browser);
        }
        let rung = FLOORS.iter().find(|(name, _)| said["what"] == **name);
        if let (Some((_, rung)), Some(median)) = (rung, said["median"].as_f64()) {
            floors.by_rung.insert(rung, median);
        }
    }
    floors
}

#[test]
fn figures_are_read_by_name() {
    let lines = r#"{"browser":"Chrome/156","cores":2}
{"what":"recover_browser_kill","unit":"ms","runs":3,"min":1.0,"median":344.5,"max":400.0}
{"what":"evaluate_sequential","unit":"per_s","runs":3,"min":1.0,"median":2.0,"max":3.0}"#;
    let floors = read(lines);
    assert_eq!(floors.browser, "Chrome/156");
    assert_eq!(floors.by_rung, BTreeMap::from([("restart_browser", 344.5)]));
}
