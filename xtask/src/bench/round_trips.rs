//! A call into the page, and a message to the server's ack, through our layers
//! beside the least that they could cost: the example `round_trips` of the
//! gateway measures both in turn.

use super::Options;
use super::examples::numbers;
use super::stats::Range;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// One way, and the bare one beside it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Trip {
    /// What was done.
    what: String,
    /// Without what is measured.
    bare: Side,
    /// With it.
    ours: Side,
}

/// What one way took, in microseconds.
#[derive(Debug, Serialize, Deserialize)]
struct Side {
    rounds: u32,
    samples: u64,
    /// Of the rounds' medians.
    p50: Range,
    /// Of all samples.
    p99: f64,
    max: f64,
}

/// What each layer is compared with, by the name that the example gives it.
const BESIDE: &[(&str, &str, &str)] = &[
    (
        "evaluate: client",
        "evaluate on an empty page",
        "a loop over the bare pipe",
    ),
    (
        "call into the page: engine",
        "a call into WhatsApp Web's page, by the engine",
        "the DevTools client",
    ),
    (
        "send to ack: engine",
        "a text to the server's ack, by the engine",
        "wa-js, called in the page",
    ),
    (
        "send to ack: gateway",
        "the same through the gateway: from the request to the ack on disk",
        "wa-js, called in the page",
    ),
    (
        "accept (the part of the gateway's send that its caller waits for)",
        "of that, to the 202",
        "wa-js, called in the page",
    ),
];

/// Measures everything.
///
/// # Errors
///
/// Where the example fails.
pub(crate) fn measure(options: &Options) -> Result<Vec<Trip>, Error> {
    let arguments = numbers(&[("--rounds", options.runs.into())]);
    let examples = options.examples();
    examples.figures("steadfast-gateway", "round_trips", arguments)
}

/// The figures for docs/PERFORMANCE.md.
pub(crate) fn table(trips: &[Trip], machine: &str) -> String {
    let mut out = format!(
        "Measured on {machine}. p50 (min to max of the rounds' medians) and p99 of all, in microseconds.\n\n\
         | what | beside | bare p50 | bare p99 | ours p50 | ours p99 | ratio | more | rounds x each |\n\
         |---|---|---|---|---|---|---|---|---|\n"
    );
    for Trip { what, bare, ours } in trips {
        let known = BESIDE.iter().find(|(name, ..)| name == what);
        let (what, beside) =
            known.map_or((what.as_str(), "bare"), |(_, what, beside)| (what, beside));
        let _ = writeln!(
            out,
            "| {what} | {beside} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} | {:+.0} | {} x {} |",
            bare.p50,
            bare.p99,
            ours.p50,
            ours.p99,
            ours.p50.p50 / bare.p50.p50,
            ours.p50.p50 - bare.p50.p50,
            ours.rounds,
            ours.samples / u64::from(ours.rounds.max(1)),
        );
    }
    out
}

#[test]
fn a_line_of_the_example_becomes_a_row() {
    let line = r#"{"what":"evaluate: client",
        "bare":{"rounds":5,"samples":5000,"p50":{"min":90.0,"p50":100.0,"max":120.0},"p99":200.0,"max":900.0},
        "ours":{"rounds":5,"samples":5000,"p50":{"min":95.0,"p50":130.0,"max":140.0},"p99":300.0,"max":800.0}}"#;
    let trip: Trip = serde_json::from_str(line).expect("a figure");
    let table = table(&[trip], "a machine");
    let row = "| evaluate on an empty page | a loop over the bare pipe | 100 (90 to 120) | 200 \
               | 130 (95 to 140) | 300 | 1.30 | +30 | 5 x 1000 |";
    assert!(table.contains(row), "{table}");
}

#[test]
fn the_example_knows_every_name() {
    let path = crate::root().join("crates/gateway/examples/round_trips/main.rs");
    let example = std::fs::read_to_string(path).expect("the example");
    for (name, ..) in BESIDE {
        assert!(example.contains(&format!("\"{name}\"")), "{name}");
    }
}
