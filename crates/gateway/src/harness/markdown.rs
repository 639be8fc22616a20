//! A run as a part of a document, between two marks that stay where they are.

use super::campaign::Fought;
use super::report::{Report, Spread};
use std::fmt::Write as _;
use std::io;
use std::path::Path;

const BEGIN: &str = "<!-- chaos run: begin -->";
const END: &str = "<!-- chaos run: end -->";

/// Puts a run in the place of the one that stands in a document.
///
/// # Errors
/// Where the document cannot be read or written, or lacks the marks.
pub fn write(document: &Path, command: &str, took_s: u64, fought: &Fought) -> io::Result<()> {
    let text = std::fs::read_to_string(document)?;
    let mut run = run(command, took_s, &fought.report);
    if !fought.is_clean() {
        let findings = fought.findings().count();
        // Writing to a string cannot fail.
        let _ = writeln!(run, "\nThe run is not clean; findings: {findings}.");
    }
    let text = replaced(&text, &run)?;
    let new = document.with_extension("new");
    std::fs::write(&new, text)?;
    std::fs::rename(&new, document)
}

/// Whether a document can take a run, before hours are spent on one.
///
/// # Errors
/// As [`write()`].
pub fn check(document: &Path) -> io::Result<()> {
    replaced(&std::fs::read_to_string(document)?, "").map(drop)
}

fn replaced(text: &str, run: &str) -> io::Result<String> {
    let lacks = |mark: &str| io::Error::other(format!("the document has no line {mark}"));
    let (before, rest) = text.split_once(BEGIN).ok_or_else(|| lacks(BEGIN))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| lacks(END))?;
    Ok(format!("{before}{BEGIN}\n{run}{END}{after}"))
}

fn run(command: &str, took_s: u64, report: &Report) -> String {
    let mut text = format!(
        "`{command}` (seed {}): {} faults in {} min {} s, {} recovered.\n\n\
         accepted {} of {}, delivered {}, parked {}, lost {}, duplicated {}, reordered {}, \
         repeats dropped by the server {}\n\n\
         | kind | count | recovered | detection p50 / p95 / max ms | recovery p50 / p95 / max ms |\n\
         |---|---|---|---|---|\n",
        report.seed,
        report.faults,
        took_s / 60,
        took_s % 60,
        report.recovered,
        report.accepted,
        report.messages,
        report.delivered,
        report.parked,
        report.lost,
        report.duplicated,
        report.reordered,
        report.repeats_dropped,
    );
    for (kind, of) in &report.by_kind {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{kind}` | {} | {} | {} | {} |",
            of.count,
            of.recovered,
            spread(of.detection_ms),
            spread(of.recovery_ms),
        );
    }
    let _ = writeln!(
        text,
        "| all | {} | {} | | {} |",
        report.faults,
        report.recovered,
        spread(report.recovery_ms)
    );
    for (kind, why) in &report.skipped {
        let _ = writeln!(text, "\nNot run: `{kind}`, since {why}.");
    }
    text
}

/// Three figures; a dash where nothing was measured.
fn spread(spread: Spread) -> String {
    if spread == Spread::default() {
        return "–".to_owned();
    }
    format!("{} / {} / {}", spread.p50, spread.p95, spread.max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let text = format!("# Title\n{BEGIN}\nold\n{END}\nrest\n");
        let new = replaced(&text, "new\n").unwrap();
        assert_eq!(new, format!("# Title\n{BEGIN}\nnew\n{END}\nrest\n"));
        assert_eq!(replaced(&new, "new\n").unwrap(), new);
        assert!(replaced("nothing here", "new").is_err());
    }
}
