//! Medians, since a mean is moved by one slow run.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What many runs of the same thing took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// How many runs.
    pub(crate) runs: usize,
    /// The median.
    pub(crate) p50: f64,
    /// 95 of 100 are not above it; with few runs, the largest.
    pub(crate) p95: f64,
    /// The largest.
    pub(crate) max: f64,
}

/// Sums up measurements; nothing where there are none.
pub(crate) fn summary(mut values: Vec<f64>) -> Option<Summary> {
    values.sort_by(f64::total_cmp);
    // The smallest value that at least this share of all does not exceed.
    let at = |share: f64| {
        let rank = (values.len() as f64 * share).ceil() as usize;
        values.get(rank.max(1) - 1).map(|value| tenths(*value))
    };
    Some(Summary {
        runs: values.len(),
        p50: at(0.50)?,
        p95: at(0.95)?,
        max: at(1.0)?,
    })
}

/// Rounded to what such a measurement can tell.
pub(crate) fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The median of a few runs, and between what they lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Range {
    /// The smallest.
    pub(crate) min: f64,
    /// The median.
    pub(crate) p50: f64,
    /// The largest.
    pub(crate) max: f64,
}

/// The range of measurements, to the hundredth; nothing where there are none.
pub(crate) fn range(mut values: Vec<f64>) -> Option<Range> {
    values.sort_by(f64::total_cmp);
    let hundredths = |value: f64| (value * 100.0).round() / 100.0;
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some(Range {
        min: hundredths(*values.first()?),
        p50: hundredths(f64::midpoint(*lower, *upper)),
        max: hundredths(*values.last()?),
    })
}

impl fmt::Display for Range {
    /// As in `12.3 (11.9 to 14.0)`, with as many decimals as the format asks for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = f.precision().unwrap_or(1);
        let Self { min, p50, max } = self;
        write!(f, "{p50:.decimals$} ({min:.decimals$} to {max:.decimals$})")
    }
}

#[test]
fn a_range_holds_its_median() {
    let four = range(vec![4.0, 1.0, 3.0, 2.004]).expect("values");
    assert_eq!((four.min, four.p50, four.max), (1.0, 2.5, 4.0));
    assert_eq!(format!("{four} {four:.0}"), "2.5 (1.0 to 4.0) 2 (1 to 4)");
    assert_eq!(range(Vec::new()), None);
}

#[test]
fn percentiles_are_values_that_were_measured() {
    let hundred = summary((1..=100).rev().map(f64::from).collect()).expect("values");
    assert_eq!((hundred.p50, hundred.p95, hundred.max), (50.0, 95.0, 100.0));
    let three = summary(vec![3.0, 1.0, 2.0]).expect("values");
    assert_eq!((three.runs, three.p50, three.p95), (3, 2.0, 3.0));
    assert_eq!(summary(Vec::new()), None);
}
