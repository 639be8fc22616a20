//! The table of steps by client.

use super::Report;
use super::client::{Outcome, Ran};
use super::expected::{Verdict, judge};
use std::fmt::Write as _;

/// What the steps are called in the table, in its order.
const STEPS: &[(&str, &str)] = &[
    ("qr", "a QR code is shown"),
    ("link", "the phone scans it, the device is linked"),
    ("ready", "ready"),
    ("text", "a text is sent and arrives"),
    (
        "acks",
        "its acks 1 (server), 2 (device), 3 (read) are heard",
    ),
    ("media", "a document arrives byte by byte"),
    ("reply", "a reply arrives with what it quotes"),
    ("reaction", "a reaction is sent, another's is heard"),
    ("incoming", "a message of somebody else is heard"),
    ("number_check", "numbers on WhatsApp and not are told apart"),
    ("group", "a group is made and written to"),
    ("reconnect", "the socket is cut: it comes back and sends"),
    (
        "conflict",
        "another page takes over: seen, taken back, sends",
    ),
    ("relaunch", "started again: linked as before, sends"),
    ("unlink", "the phone unlinks it: seen"),
    ("quick_sync", "known bug: synced before the client listens"),
    (
        "renamed_key",
        "known bug: a message key with a renamed member",
    ),
    ("page_closed", "known bug: the page is closed"),
];

/// One client in a few words.
pub(super) fn line(ran: &Ran) -> String {
    if let Some(why) = &ran.skipped {
        return format!("{}: not run ({why})", ran.name);
    }
    let passed = ran
        .steps
        .iter()
        .filter(|step| step.result == Outcome::Passed)
        .count();
    let seconds = ran.steps.iter().map(|step| step.ms).sum::<u64>() as f64 / 1_000.0;
    format!(
        "{} {}: {passed} of {} steps in {seconds:.1} s",
        ran.name,
        ran.version,
        ran.steps.len()
    )
}

/// Everything, as Markdown.
pub(super) fn markdown(report: &Report) -> String {
    let form = if report.full {
        "the full form, `cargo xtask conformance --full`"
    } else {
        "the short form, `cargo xtask conformance`"
    };
    let mut out = format!(
        "{}, {}, Node {}; {form}. Milliseconds are of one run, all clients at once.\n\n| step |",
        report.date,
        report.browser,
        report.node.trim_start_matches('v')
    );
    let shown: Vec<&Ran> = report
        .clients
        .iter()
        .filter(|ran| ran.skipped.is_none())
        .collect();
    for ran in &shown {
        let _ = write!(out, " {} {} |", ran.name, ran.version);
    }
    let _ = write!(out, "\n|---|{}\n", "---|".repeat(shown.len()));
    let mut notes: Vec<String> = Vec::new();
    for (step, words) in STEPS {
        let cells: Vec<_> = shown
            .iter()
            .map(|ran| {
                ran.steps
                    .iter()
                    .find(|s| s.name == *step)
                    .map(|s| (*ran, s))
            })
            .collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let _ = write!(out, "| {words} |");
        for cell in cells {
            let text = match cell.map(|(ran, s)| (ran, s, judge(ran, s))) {
                None => "-".to_owned(),
                Some((_, s, Verdict::Fine)) => format!("yes, {} ms", s.ms),
                Some((ran, _, Verdict::Known(known))) => {
                    notes.push(format!("{} {}: {}.", ran.name, ran.version, known.why));
                    format!("no [{}]", notes.len())
                }
                Some((_, _, Verdict::Unexpected(why))) => {
                    format!("**NO: {}**", why.replace('|', "/"))
                }
            };
            let _ = write!(out, " {text} |");
        }
        out.push('\n');
    }
    if !notes.is_empty() {
        out.push_str("\nBugs of the clients' own, seen in this run:\n\n");
        for (n, note) in notes.iter().enumerate() {
            let _ = writeln!(out, "{}. {note}", n + 1);
        }
    }
    for ran in report.clients.iter().filter(|ran| ran.skipped.is_some()) {
        let why = ran.skipped.as_deref().unwrap_or_default();
        let _ = writeln!(out, "\n{} was not run: {why}.", ran.name);
    }
    for ran in &shown {
        if let Some(why) = &ran.broken {
            let _ = writeln!(out, "\n**{}: {why}.**", ran.name);
        }
    }
    out
}
