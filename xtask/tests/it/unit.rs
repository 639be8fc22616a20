//! The systemd unit, by systemd's own judgement.

use std::path::Path;
use std::process::{Command, Stdio};

/// In tenths: 0 is a service that can do nothing, 100 one that may do all.
/// Chromium needs namespaces and memory that it writes and runs.
const MOST_EXPOSED: &str = "30";

#[expect(clippy::print_stderr, reason = "a test says why it did not run")]
fn analyze() -> Option<Command> {
    let there = Command::new("systemd-analyze")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if there.is_ok_and(|status| status.success()) {
        return Some(Command::new("systemd-analyze"));
    }
    eprintln!("not tested: systemd-analyze is not installed");
    None
}

#[test]
fn systemd_finds_nothing_wrong_in_the_unit() {
    let (Some(mut verify), Some(mut judge)) = (analyze(), analyze()) else {
        return;
    };
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd/steadfast.service");
    let text = std::fs::read_to_string(unit).expect("the unit");
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().join("steadfast.service");
    // The program is not installed here, and the one that is must be there.
    let text = text.replace("/usr/bin/steadfast", "/bin/true");
    std::fs::write(&here, text).expect("a copy of it");
    let run = |command: &mut Command| {
        let output = command.output().expect("systemd-analyze");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "{said}");
        said
    };
    let said = run(verify.args(["verify", "--man=no"]).arg(&here));
    assert!(!said.contains("steadfast.service"), "{said}");
    run(judge
        .args(["security", "--offline=true", "--threshold", MOST_EXPOSED])
        .arg(&here));
}
