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

/// Which of the example's figures is the floor of which fault.
const FLOORS: &[(&str, &str)] = &[
    ("recover_browser_kill", "browser_killed"),
    ("recover_new_tab", "page_closed"),
    ("recover_crash_reload", "renderer_killed"),
    ("terminate_hung_script", "script_hangs"),
];

/// Linked, synced and connected: what the gateway calls ready. Nothing is
/// asked of the page's modules before the page has started them itself.
const READY: &str = "window.Debug?.VERSION !== undefined \
    && require('WAWebSocketModel').Socket.hasSynced \
    && require('WAWebStreamModel').Stream.mode === 'MAIN'";

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

/// Measures the floor of every fault, in milliseconds, on a profile that is
/// linked and that no browser uses.
///
/// # Errors
///
/// Where the example fails.
pub(crate) fn measure(
    profile: PathBuf,
    simulator: &Simulator,
    runs: u32,
) -> Result<BTreeMap<&'static str, f64>, Error> {
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

fn read(lines: &str) -> BTreeMap<&'static str, f64> {
    lines
        .lines()
        .filter_map(|line| {
            let figure: Value = serde_json::from_str(line).ok()?;
            let (_, fault) = FLOORS.iter().find(|(name, _)| figure["what"] == **name)?;
            Some((*fault, figure["median"].as_f64()?))
        })
        .collect()
}

#[test]
fn figures_are_read_by_name() {
    let lines = r#"{"browser":"Chrome/156","cores":2}
{"what":"recover_browser_kill","unit":"ms","runs":3,"min":1.0,"median":344.5,"max":400.0}
{"what":"evaluate_sequential","unit":"per_s","runs":3,"min":1.0,"median":2.0,"max":3.0}"#;
    assert_eq!(read(lines), BTreeMap::from([("browser_killed", 344.5)]));
}
