//! What the Node programs of peers/ need: Node itself, the packages, the
//! browser, and an end for whatever they leave behind.

use crate::bench::child::{command_line, signal};
use crate::bench::simulator::Simulator;
use crate::error::Error;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Browsers in the order in which the gateway looks for them, by the paths
/// behind the distributions' wrapper scripts first: a script would add flags of
/// its own.
const BROWSERS: &[&str] = &[
    "/usr/lib/chromium/chromium",
    "/usr/lib/chromium-browser/chromium-browser",
    "/opt/google/chrome/chrome",
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/local/bin/chromium",
    "/snap/bin/chromium",
];

/// The folder peers/.
pub(crate) fn folder() -> PathBuf {
    crate::root().join("peers")
}

/// The browser that all of them run.
///
/// # Errors
///
/// Where there is none.
pub(crate) fn browser() -> Result<PathBuf, Error> {
    if let Some(named) = std::env::var_os("STEADFAST_BROWSER__PATH") {
        return Ok(named.into());
    }
    BROWSERS
        .iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Error::Bench("no Chromium was found; name one with STEADFAST_BROWSER__PATH".to_owned())
        })
}

/// What the browser calls itself.
pub(crate) fn browser_version() -> String {
    let said = browser()
        .ok()
        .and_then(|path| Command::new(path).arg("--version").output().ok())
        .map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    said.unwrap_or_default()
}

/// What Node calls itself.
pub(crate) fn node_version() -> String {
    Command::new("node")
        .arg("--version")
        .output()
        .map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned())
        .unwrap_or_default()
}

/// The version of a package that is installed in peers/, by its name there.
pub(crate) fn version(package: &str) -> Option<String> {
    let path = folder().join("node_modules").join(package);
    let text = std::fs::read(path.join("package.json")).ok()?;
    let value: Value = serde_json::from_slice(&text).ok()?;
    value["version"].as_str().map(str::to_owned)
}

/// A program of peers/, run in Node on this simulator.
///
/// # Errors
///
/// Where the packages are not installed, or there is no browser.
pub(crate) fn program(script: &str, simulator: &Simulator) -> Result<Command, Error> {
    if !folder().join("node_modules").is_dir() {
        return Err(Error::Bench(
            "the packages of peers/ are not installed; ./test does it, or: \
             cd peers && PUPPETEER_SKIP_DOWNLOAD=1 npm ci --ignore-scripts"
                .to_owned(),
        ));
    }
    let about = json!({
        "addr": simulator.address, "spki": simulator.spki, "control": simulator.control_address,
    });
    let mut command = Command::new("node");
    command
        .current_dir(folder())
        .arg(script)
        .env("STEADFAST_PEERS_SIM", about.to_string())
        .env("STEADFAST_PEERS_BROWSER", browser()?)
        // A desktop's bus and keyring are not what is tried here.
        .env_remove("DBUS_SESSION_BUS_ADDRESS");
    Ok(command)
}

/// Ends every process whose command line names this folder: a browser outlives
/// the Node program that started it where that is killed.
pub(crate) fn reap(folder: &Path) {
    let name = folder.display().to_string();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|n| n.parse().ok());
        if let Some(pid) = pid
            && pid != std::process::id().cast_signed()
            && command_line(pid).iter().any(|word| word.contains(&name))
        {
            let _ = signal(pid, Signal::KILL);
        }
    }
}

/// Today, in UTC: the year, month and day of a count of days since 1970
/// (Howard Hinnant's `civil_from_days`).
pub(crate) fn today() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    date_of(since.map_or(0, |t| t.as_secs() / 86_400))
}

fn date_of(days: u64) -> String {
    let z = days + 719_468;
    let era = z / 146_097;
    let of_era = z % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[test]
fn dates_are_right_around_leap_days() {
    for (days, date) in [
        (0, "1970-01-01"),
        (11_016, "2000-02-29"),
        (11_017, "2000-03-01"),
        (20_786, "2026-11-29"),
    ] {
        assert_eq!(date_of(days), date);
    }
}
