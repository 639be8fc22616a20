//! A short chaos run, as part of every test run: the kinds of fault in which
//! most can go wrong, once each, on a real Chromium. `steadfast chaos` alone
//! runs all of them, as often as one likes.

use crate::binary::run_within;
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const KINDS: [&str; 10] = [
    "gateway_kill",
    "gateway_terminate",
    "browser_kill",
    "main_thread_hang",
    "renderer_oom",
    "expired_qr",
    "profile_locked",
    "corrupt_profile",
    "disk_full_store",
    "clock_jump",
];

/// About a minute on an idle machine with two cores.
const DEADLINE: Duration = Duration::from_secs(280);

/// The command, with nothing of this machine's own configuration in it.
fn chaos(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_steadfast"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("STEADFAST_") {
            command.env_remove(name);
        }
    }
    // A name that no configuration can be under.
    command.env("STEADFAST_DATA_DIR", "/nonexistent/steadfast");
    command.args(["chaos", "--json"]).args(args);
    command
}

#[test]
fn nothing_is_lost_under_the_riskiest_faults() {
    let kinds = KINDS.join(",");
    let faults = KINDS.len().to_string();
    let mut command = chaos(&["--messages", "80", "--faults", &faults, "--seed", "7"]);
    let ended = run_within(command.args(["--kinds", &kinds]), DEADLINE);
    let values = ended.values();
    let said = format!("{}\n{}", ended.stdout, ended.stderr);
    let report = values.last().expect("no report");
    assert_eq!(ended.code, Some(0), "{said}");
    let count = |name: &str| {
        report[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name}: {said}"))
    };
    assert_eq!(count("accepted"), 80, "{said}");
    assert_eq!(count("delivered") + count("parked"), 80, "{said}");
    for nothing in ["lost", "duplicated", "reordered"] {
        assert_eq!(count(nothing), 0, "{said}");
    }
    assert_eq!(count("faults"), KINDS.len() as u64);
    assert_eq!(count("recovered"), KINDS.len() as u64);
    for kind in KINDS {
        let of = &report["by_kind"][kind];
        let ran = of["count"].as_u64().is_some_and(|n| n > 0);
        // What cannot run on this machine says why, and is no pass.
        assert!(ran != report["skipped"][kind].is_string(), "{kind}: {said}");
        if ran {
            assert_eq!(of["count"], of["recovered"], "{kind}: {said}");
        }
    }
}

#[test]
fn the_report_has_the_keys_that_others_rely_on() {
    let mut command = chaos(&["--messages", "6", "--faults", "1", "--kinds", "page_close"]);
    let ended = run_within(&mut command, DEADLINE);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let values = ended.values();
    let Some(Value::Object(report)) = values.last() else {
        panic!("{values:?}");
    };
    let keys: Vec<&str> = report.keys().map(String::as_str).collect();
    let mut wanted = [
        "accepted",
        "delivered",
        "parked",
        "lost",
        "duplicated",
        "reordered",
        "repeats_dropped",
        "faults",
        "recovered",
        "skipped",
        "recovery_ms",
        "by_kind",
        "seed",
    ];
    wanted.sort_unstable();
    let mut keys = keys;
    keys.sort_unstable();
    assert_eq!(keys, wanted);
    for spread in [
        &report["recovery_ms"],
        &report["by_kind"]["page_close"]["recovery_ms"],
        &report["by_kind"]["page_close"]["detection_ms"],
    ] {
        for figure in ["p50", "p95", "max"] {
            assert!(spread[figure].as_u64().is_some_and(|ms| ms > 0), "{spread}");
        }
    }
}

#[test]
fn a_document_without_the_marks_is_refused_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("plain.md");
    std::fs::write(&document, "# Nothing here\n").unwrap();
    let path = document.to_str().unwrap();
    let ended = run_within(&mut chaos(&["--report", path]), DEADLINE);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("chaos run: begin"),
        "{}",
        ended.stdout
    );
}
