//! What the store makes of a message however many are queued: the example
//! `accept_bench` of the store, whose figures are read here.

use super::Options;
use super::examples::numbers;
use super::stats::Range;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// One figure of the example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// What was done.
    what: String,
    /// `per_s`, `us`, or `x` for a ratio.
    unit: String,
    /// With so many messages queued; nothing where the databases were fresh.
    queued: Option<u64>,
    runs: u32,
    #[serde(flatten)]
    of: Range,
}

/// Measures everything. Databases are made below the target folder: the
/// folder for temporary files may be no disk.
///
/// # Errors
///
/// Where the example fails.
pub(crate) fn measure(options: &Options) -> Result<Vec<Figure>, Error> {
    let folder = crate::root().join("target/bench");
    let mut arguments = numbers(&[("--runs", options.runs.into())]);
    arguments.extend(["--json".into(), "--dir".into(), folder.into_os_string()]);
    if let Some(sizes) = &options.sizes {
        arguments.extend(["--sizes".into(), sizes.into()]);
    }
    let examples = options.examples();
    examples.figures("steadfast-store", "accept_bench", arguments)
}

/// The figures for docs/PERFORMANCE.md.
pub(crate) fn table(figures: &[Figure], machine: &str) -> String {
    let mut out = format!("Measured on {machine}. p50 (min to max).\n\n");
    let found = |what: &str| {
        figures
            .iter()
            .find(|f| f.what == what && f.queued.is_none())
    };
    if let [Some(store), Some(alone), Some(ratio), Some(processor)] = [
        "store, accepts",
        "SQLite alone, rows",
        "ratio",
        "ratio of processor time",
    ]
    .map(found)
    {
        let _ = write!(
            out,
            "| accepts/s, fresh database | SQLite alone, rows/s | ratio | goal | ratio of the writing thread's processor time | runs |\n\
             |---|---|---|---|---|---|\n\
             | {:.0} | {:.0} | {:.2} | >= 0.8 | {:.2} | {} |\n\n",
            store.of, alone.of, ratio.of, processor.of, store.runs
        );
    }
    out.push_str(
        "| queued | accept, us | claim and record, us | take a fence, us | count the queue, us | runs |\n\
         |---|---|---|---|---|---|\n",
    );
    let mut sizes: Vec<u64> = figures.iter().filter_map(|f| f.queued).collect();
    sizes.sort_unstable();
    sizes.dedup();
    for size in &sizes {
        let at = |what: &str| {
            let found = figures
                .iter()
                .find(|f| f.queued == Some(*size) && f.what == what);
            found.map_or("not measured".to_owned(), |f| format!("{:.1}", f.of))
        };
        let runs = figures.iter().find(|f| f.queued == Some(*size));
        let _ = writeln!(
            out,
            "| {size} | {} | {} | {} | {} | {} |",
            at("accept"),
            at("claim and record"),
            at("take_fence"),
            at("depth"),
            runs.map_or(0, |f| f.runs)
        );
    }
    if let (Some(least), Some(most)) = (sizes.first(), sizes.last()) {
        for what in ["accept", "claim and record"] {
            let cost = |size: &u64| {
                let found = figures
                    .iter()
                    .find(|f| f.queued == Some(*size) && f.what == what);
                found.map(|f| f.of.p50)
            };
            if let (Some(first), Some(last)) = (cost(least), cost(most)) {
                let _ = write!(
                    out,
                    "\nWith {most} queued, {what} costs {:.2} x what it costs with {least}.\n",
                    last / first
                );
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(line: &str) -> Figure {
        serde_json::from_str(line).expect("a figure")
    }

    #[test]
    fn the_table_has_a_row_for_each_size_and_says_whether_it_stays_flat() {
        let figures = vec![
            figure(
                r#"{"what":"accept","unit":"us","queued":0,"runs":5,"min":9.0,"p50":10.0,"max":11.0}"#,
            ),
            figure(
                r#"{"what":"claim and record","unit":"us","queued":0,"runs":5,"min":19.0,"p50":20.0,"max":25.0}"#,
            ),
            figure(
                r#"{"what":"accept","unit":"us","queued":1000000,"runs":5,"min":9.0,"p50":15.0,"max":19.0}"#,
            ),
            figure(
                r#"{"what":"claim and record","unit":"us","queued":1000000,"runs":5,"min":20.0,"p50":21.0,"max":22.0}"#,
            ),
        ];
        let table = table(&figures, "a machine");
        assert!(
            table.contains("| 0 | 10.0 (9.0 to 11.0) | 20.0 (19.0 to 25.0) | not measured |"),
            "{table}"
        );
        assert!(table.contains("With 1000000 queued, accept costs 1.50 x"));
        assert!(table.contains("With 1000000 queued, claim and record costs 1.05 x"));
        assert!(!table.contains("goal"), "fresh databases were not measured");
    }

    #[test]
    fn the_example_knows_every_name() {
        let path = crate::root().join("crates/store/examples/accept_bench.rs");
        let example = std::fs::read_to_string(path).expect("the example");
        for name in [
            "store, accepts",
            "SQLite alone, rows",
            "ratio",
            "ratio of processor time",
            "accept",
            "claim and record",
            "take_fence",
            "depth",
        ] {
            assert!(example.contains(&format!("\"{name}\"")), "{name}");
        }
    }
}
