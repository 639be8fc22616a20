//! Writes figures down: JSON under target/bench, a table into docs/PERFORMANCE.md.

use super::floors::{Beside, Spread};
use super::own::{Fault, Figures, most_common};
use super::stats::{Range, Summary};
use crate::error::Error;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::process::Command;

/// The lines between which a command writes.
fn marks(command: &str) -> [String; 2] {
    [
        format!("<!-- {command}: begin (written by the command) -->"),
        format!("<!-- {command}: end -->"),
    ]
}

/// What becomes of figures.
#[derive(Debug, clap::Args)]
pub(crate) struct Printing {
    /// Prints the figures as one JSON value, in place of tables.
    #[arg(long)]
    pub(crate) json: bool,
    /// Leaves docs/PERFORMANCE.md as it is.
    #[arg(long)]
    pub(crate) dry: bool,
}

/// Keeps the figures in target/bench, puts their table into
/// docs/PERFORMANCE.md unless that is to stay as it is, and prints the table
/// unless JSON is wanted. Gives the figures as JSON.
///
/// # Errors
///
/// Where a file cannot be written.
pub(crate) fn publish<F: Serialize + ?Sized>(
    command: &str,
    figures: &F,
    printing: &Printing,
    table: impl FnOnce(&F, &str) -> String,
) -> Result<Value, Error> {
    let json = serde_json::to_value(figures).map_err(|e| Error::Bench(e.to_string()))?;
    let file = command.replace(" --only ", "-");
    let path = crate::root().join(format!("target/bench/{file}.json"));
    std::fs::write(&path, format!("{json:#}\n")).map_err(Error::file(&path))?;
    let table = table(figures, &machine());
    if !printing.json {
        println!("{table}");
    }
    if !printing.dry {
        let command = format!("cargo xtask bench {command}");
        replaced_in("docs/PERFORMANCE.md", &command, &table)?;
    }
    Ok(json)
}

/// Prints all figures of a run as one JSON value, where that is wanted.
pub(crate) fn print(printing: &Printing, figures: &Value) {
    if printing.json {
        println!("{figures:#}");
    }
}

/// Writes what a command found into a document, between the command's marks.
///
/// # Errors
///
/// Where the file cannot be written, or has lost the marks.
pub(crate) fn replaced_in(document: &str, command: &str, with: &str) -> Result<(), Error> {
    let path = crate::root().join(document);
    let old = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
    let new = replaced(&old, command, with).ok_or_else(|| {
        let [begin, end] = marks(command);
        Error::Bench(format!("{document} has lost the lines {begin} and {end}"))
    })?;
    std::fs::write(&path, new).map_err(Error::file(&path))
}

/// The text with what stands between the marks replaced; nothing where a mark is missing.
fn replaced(text: &str, command: &str, with: &str) -> Option<String> {
    let [begin, end] = marks(command);
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n\n{with}\n{end}{after}"))
}

/// The gateway's own figures.
pub(crate) fn table(figures: &Figures, machine: &str) -> String {
    let mut out = format!(
        "Measured on {machine}, with {}.\n\n| what | goal | p50 | p95 | max | runs |\n|---|---|---|---|---|---|\n",
        figures.browser
    );
    let mut row = |what: &str, goal: &str, s: &Summary| {
        let Summary {
            runs,
            p50,
            p95,
            max,
        } = s;
        let _ = writeln!(
            out,
            "| {what} | {goal} | {p50:.0} ms | {p95:.0} | {max:.0} | {runs} |"
        );
    };
    for (what, goal, summary) in [
        (
            "start to first accept, empty data folder",
            "<= 100 ms",
            &figures.first_start_ms,
        ),
        (
            "start to first accept, linked session",
            "<= 100 ms",
            &figures.restart_ms,
        ),
    ] {
        if let Some(summary) = summary {
            row(what, goal, summary);
        }
    }
    for (fault, recovery) in &figures.recovery {
        let rung = most_common(&recovery.healed_by).unwrap_or("nothing");
        let name = format!("{}: fault to ready again, by `{rung}`", fault.words());
        row(
            &name,
            &goal(*fault, recovery.floor_ms.as_ref()),
            &recovery.gateway_ms,
        );
    }
    out.push_str(
        "\nThe engine alone, and a bare DevTools client, in the same rounds. *Noticed* is timed in one and the same \
         fault: when the bare client on the same pipe has the event, and when the engine has told what it \
         means. *Ready* is from the fault, or from the rung's beginning. p50 (min to max).\n\n\
         | what | bare | engine | ratio | goal | rounds |\n|---|---|---|---|---|---|\n",
    );
    for Beside { what, bare, engine } in &figures.engine {
        let goal = if what.starts_with("noticed") {
            1.2
        } else {
            1.25
        };
        let spread = |s: &Spread| format!("{:.1} ms ({:.0} to {:.0})", s.p50, s.min, s.max);
        let _ = writeln!(
            out,
            "| {what} | {} | {} | {:.2} | <= {goal} | {} |",
            spread(bare),
            spread(engine),
            engine.p50 / bare.p50,
            engine.runs
        );
    }
    let _ = write!(
        out,
        "\n| gateway memory, without Chromium, MiB | goal | p50 (min to max) |\n|---|---|---|\n\
         | one session, ready | <= 30 | {} |\n\
         | the same after 200 messages | <= 30 | {} |\n",
        mib(figures.memory_ready_mib),
        mib(figures.memory_after_messages_mib)
    );
    out
}

fn mib(range: Option<Range>) -> String {
    range.map_or_else(|| "not measured".to_owned(), |range| range.to_string())
}

/// How long a fault may cost: a quarter more than its floor. A hung script has
/// no event; two heartbeats of a second, and 100 ms, are its detection.
fn goal(fault: Fault, floor: Option<&Summary>) -> String {
    let Some(Summary { p50, max, .. }) = floor else {
        return "the floor was not measured".to_owned();
    };
    let (detection, said) = match fault {
        Fault::ScriptHangs => (2_100.0, "2100 + "),
        Fault::BrowserKilled | Fault::RendererKilled | Fault::PageReloaded => (0.0, ""),
    };
    format!(
        "<= {said}1.25 x {p50:.0} (max {max:.0}) = {:.0} ms",
        detection + 1.25 * p50
    )
}

/// What the figures were measured on, in a few words.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or_default();
    let cpu = cpu.trim_start_matches(|c: char| c == ':' || c.is_whitespace());
    let commit = Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .current_dir(crate::root())
        .output()
        .map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
        .unwrap_or_default();
    format!("{cores} cores ({cpu}), commit {commit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sections::Section;
    use clap::ValueEnum;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let [begin, end] = marks("self");
        let old = format!("a\n{begin}\nold\n{end}\nb\n");
        let new = replaced(&old, "self", "new").expect("the marks");
        assert_eq!(new, format!("a\n{begin}\n\nnew\n{end}\nb\n"));
        assert_eq!(
            replaced(&new, "self", "new").as_ref(),
            Some(&new),
            "twice is as once"
        );
        assert_eq!(replaced("a\nb\n", "self", "new"), None);
    }

    #[test]
    fn the_documents_have_the_marks() {
        let performance = Section::value_variants().iter().map(|section| {
            let (_, command) = section.names();
            (
                "docs/PERFORMANCE.md",
                format!("cargo xtask bench {command}"),
            )
        });
        let others = [
            ("docs/PERFORMANCE.md", "cargo xtask bench accept"),
            ("docs/CONFORMANCE.md", "cargo xtask conformance"),
            ("docs/COMPARISON.md", "cargo xtask bench peers"),
        ];
        let others = others.map(|(document, command)| (document, command.to_owned()));
        for (document, command) in performance.chain(others) {
            let text = std::fs::read_to_string(crate::root().join(document)).expect(document);
            assert!(replaced(&text, &command, "").is_some(), "{command}");
        }
    }
}
