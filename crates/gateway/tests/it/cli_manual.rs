//! What the command line says about itself: help, manual, mistyped words; and
//! `status --watch`.

use crate::binary::{Serving, run, steadfast};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

#[test]
fn a_mistyped_command_or_flag_is_met_with_the_right_one() {
    let dir = tempfile::tempdir().unwrap();
    for (wrong, right) in [
        (&["statsu"][..], "'status'"),
        (&["outbox", "lst"], "'list'"),
        (&["status", "--wach"], "'--watch'"),
        (&["chaos", "--kinds", "browser_kil"], "'browser_kill'"),
    ] {
        let ended = run(steadfast(dir.path()).args(wrong));
        assert_eq!(ended.code, Some(2), "{wrong:?}");
        assert!(ended.stderr.contains(right), "{wrong:?}: {}", ended.stderr);
    }
}

#[test]
fn help_has_examples_and_no_colour_in_a_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let ended = run(steadfast(dir.path()).args(["help", "send"]));
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.contains("Examples:"), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("steadfast send +49"),
        "{}",
        ended.stdout
    );
    let whole = run(steadfast(dir.path()).arg("--help"));
    for text in [&ended.stdout, &whole.stdout] {
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let page = run(steadfast(dir.path()).arg("man"));
    assert!(page.stdout.contains(".TH steadfast 1"), "{}", page.stdout);
    let pages = dir.path().join("man1");
    let ended = run(steadfast(dir.path())
        .arg("man")
        .arg("--dir")
        .arg(&pages)
        .arg("--json"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let count = ended.values()[0]["pages"].as_u64().unwrap();
    assert!(count > 25, "{count}");
    for name in ["steadfast.1", "steadfast-send.1", "steadfast-token-new.1"] {
        let text = std::fs::read_to_string(pages.join(name)).unwrap();
        assert!(text.contains("Examples:"), "{name}: {text}");
    }
}

#[test]
fn status_watches_a_gateway_that_goes_away() {
    let dir = tempfile::tempdir().unwrap();
    let serving = Serving::start(dir.path());
    let mut command = steadfast(dir.path());
    command.args(["status", "--watch", "--every", "1", "--json"]);
    let mut watching = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = || -> Value {
        let line = lines.next().expect("it ended by itself").unwrap();
        serde_json::from_str(&line).unwrap()
    };
    assert_eq!(next()["ready"], true);
    assert_eq!(next()["sessions"][0]["name"], "default");
    assert_eq!(serving.end("TERM").0, Some(0));
    while next()["ready"] == true {}
    crate::binary::signal(watching.id(), "TERM");
    assert_eq!(watching.wait().unwrap().code(), Some(0));
}
