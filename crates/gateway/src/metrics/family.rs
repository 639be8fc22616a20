//! Counters and histograms with labels, and their Prometheus text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most label sets of one family. Labels are names of our own (sessions,
/// kinds, routes), so that this is never met; past it nothing new is counted.
const MAX_SERIES: usize = 4_096;

/// What was counted stays true, whoever panicked while counting.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number that only grows, by label set.
#[derive(Debug)]
pub struct Counter<const L: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; L],
    values: Mutex<BTreeMap<[String; L], u64>>,
}

impl<const L: usize> Counter<L> {
    pub(super) const fn new(
        name: &'static str,
        help: &'static str,
        labels: [&'static str; L],
    ) -> Self {
        Self {
            name,
            help,
            labels,
            values: Mutex::new(BTreeMap::new()),
        }
    }

    /// Counts one.
    pub fn inc(&self, labels: [&str; L]) {
        self.add(labels, 1);
    }

    /// Counts many.
    pub fn add(&self, labels: [&str; L], by: u64) {
        let mut values = lock(&self.values);
        let key = labels.map(str::to_owned);
        if let Some(value) = values.get_mut(&key) {
            *value = value.saturating_add(by);
        } else if values.len() < MAX_SERIES {
            values.insert(key, by);
        }
    }

    /// What was counted so far.
    pub fn get(&self, labels: [&str; L]) -> u64 {
        lock(&self.values)
            .get(&labels.map(str::to_owned))
            .copied()
            .unwrap_or(0)
    }

    /// What was counted so far, by label set.
    pub fn each(&self) -> Vec<([String; L], u64)> {
        lock(&self.values)
            .iter()
            .map(|(key, value)| (key.clone(), *value))
            .collect()
    }

    pub(super) fn write(&self, out: &mut String) {
        header(out, self.name, self.help, "counter");
        let values = lock(&self.values);
        if L == 0 && values.is_empty() {
            let _ = writeln!(out, "{} 0", self.name);
        }
        for (key, value) in values.iter() {
            series(out, self.name, &pairs(&self.labels, key), value);
        }
    }
}

#[derive(Debug)]
struct Buckets {
    counts: Vec<u64>,
    sum: f64,
    count: u64,
}

/// How durations are spread: how many fell below each bound, and how many
/// there were.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spread {
    bounds: &'static [f64],
    counts: Vec<u64>,
    count: u64,
}

impl Spread {
    /// How many durations there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What was added since an earlier look.
    pub fn since(&self, before: &Self) -> Self {
        let old = before.counts.iter().chain(std::iter::repeat(&0));
        let counts = self.counts.iter().zip(old);
        Self {
            bounds: self.bounds,
            counts: counts.map(|(now, old)| now.saturating_sub(*old)).collect(),
            count: self.count.saturating_sub(before.count),
        }
    }

    /// Adds those of another.
    pub fn add(&mut self, other: &Self) {
        if self.counts.is_empty() {
            self.bounds = other.bounds;
            self.counts = vec![0; other.counts.len()];
        }
        for (sum, more) in self.counts.iter_mut().zip(&other.counts) {
            *sum += more;
        }
        self.count += other.count;
    }

    /// The duration, in seconds, that this share of them did not exceed: between
    /// the bounds around it by proportion. What lies beyond the last bound
    /// counts as the last bound. `None` where there were none.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = (self.count > 0).then_some(self.count as f64 * share)?;
        let (mut below, mut lower) = (0.0, 0.0);
        for (bound, count) in self.bounds.iter().zip(&self.counts) {
            let count = *count as f64;
            if count > 0.0 && below + count >= wanted {
                return Some(lower + (bound - lower) * ((wanted - below) / count).max(0.0));
            }
            below += count;
            lower = *bound;
        }
        Some(lower)
    }
}

/// How long things took, in seconds, by label set.
#[derive(Debug)]
pub struct Histogram<const L: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; L],
    bounds: &'static [f64],
    values: Mutex<BTreeMap<[String; L], Buckets>>,
}

impl<const L: usize> Histogram<L> {
    pub(super) const fn new(
        name: &'static str,
        help: &'static str,
        labels: [&'static str; L],
        bounds: &'static [f64],
    ) -> Self {
        Self {
            name,
            help,
            labels,
            bounds,
            values: Mutex::new(BTreeMap::new()),
        }
    }

    /// Notes one duration, in milliseconds.
    pub fn observe_ms(&self, labels: [&str; L], ms: u64) {
        self.observe(labels, ms as f64 / 1_000.0);
    }

    /// Notes one duration, in seconds.
    pub fn observe(&self, labels: [&str; L], seconds: f64) {
        let mut values = lock(&self.values);
        let key = labels.map(str::to_owned);
        if !values.contains_key(&key) && values.len() >= MAX_SERIES {
            return;
        }
        let buckets = values.entry(key).or_insert_with(|| Buckets {
            counts: vec![0; self.bounds.len()],
            sum: 0.0,
            count: 0,
        });
        if let Some(first) = self.bounds.iter().position(|bound| seconds <= *bound) {
            buckets.counts[first] += 1;
        }
        buckets.sum += seconds;
        buckets.count += 1;
    }

    /// What was noted so far, for one label set.
    pub fn spread(&self, labels: [&str; L]) -> Spread {
        let values = lock(&self.values);
        let buckets = values.get(&labels.map(str::to_owned));
        buckets.map_or_else(Spread::default, |buckets| Spread {
            bounds: self.bounds,
            counts: buckets.counts.clone(),
            count: buckets.count,
        })
    }

    pub(super) fn write(&self, out: &mut String) {
        header(out, self.name, self.help, "histogram");
        for (key, buckets) in lock(&self.values).iter() {
            let labels = pairs(&self.labels, key);
            let comma = if labels.is_empty() { "" } else { "," };
            let bucket_name = format!("{}_bucket", self.name);
            let mut below = 0;
            for (bound, count) in self.bounds.iter().zip(&buckets.counts) {
                below += count;
                let with_bound = format!("{labels}{comma}le=\"{bound}\"");
                series(out, &bucket_name, &with_bound, below);
            }
            let with_bound = format!("{labels}{comma}le=\"+Inf\"");
            series(out, &bucket_name, &with_bound, buckets.count);
            series(out, &format!("{}_sum", self.name), &labels, buckets.sum);
            series(out, &format!("{}_count", self.name), &labels, buckets.count);
        }
    }
}

pub(super) fn header(out: &mut String, name: &str, help: &str, kind: &str) {
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

pub(super) fn series(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    if labels.is_empty() {
        let _ = writeln!(out, "{name} {value}");
    } else {
        let _ = writeln!(out, "{name}{{{labels}}} {value}");
    }
}

fn pairs<const L: usize>(names: &[&'static str; L], values: &[String; L]) -> String {
    let mut text = String::new();
    for (name, value) in names.iter().zip(values) {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{}", pair(name, value));
    }
    text
}

/// One label, escaped as the text format asks.
pub(super) fn pair(name: &str, value: &str) -> String {
    let value = value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("{name}=\"{value}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_by_label() {
        let counter = Counter::new("x_total", "X.", ["a", "b"]);
        counter.inc(["1", "2"]);
        counter.add(["1", "2"], 2);
        counter.inc(["1", "q\"\n\\"]);
        let mut out = String::new();
        counter.write(&mut out);
        assert_eq!(
            out,
            "# HELP x_total X.\n# TYPE x_total counter\nx_total{a=\"1\",b=\"2\"} 3\nx_total{a=\"1\",b=\"q\\\"\\n\\\\\"} 1\n"
        );
        assert_eq!(counter.get(["1", "2"]), 3);
    }

    #[test]
    fn buckets_are_cumulative() {
        let histogram = Histogram::new("x_seconds", "X.", [], &[0.1, 1.0]);
        for seconds in [0.05, 0.5, 0.5, 7.0] {
            histogram.observe([], seconds);
        }
        let mut out = String::new();
        histogram.write(&mut out);
        assert_eq!(
            out,
            "# HELP x_seconds X.\n# TYPE x_seconds histogram\nx_seconds_bucket{le=\"0.1\"} 1\nx_seconds_bucket{le=\"1\"} 3\nx_seconds_bucket{le=\"+Inf\"} 4\nx_seconds_sum 8.05\nx_seconds_count 4\n"
        );
    }

    #[test]
    fn quantiles_lie_between_the_bounds_around_them() {
        let histogram = Histogram::new("x_seconds", "X.", ["a"], &[0.1, 1.0]);
        assert_eq!(histogram.spread(["1"]).quantile(0.5), None);
        for seconds in [0.05, 0.05, 0.5, 0.5] {
            histogram.observe(["1"], seconds);
        }
        let first = histogram.spread(["1"]);
        assert_eq!(first.quantile(0.25), Some(0.05));
        assert_eq!(first.quantile(0.5), Some(0.1));
        assert_eq!(first.quantile(1.0), Some(1.0));
        histogram.observe(["1"], 7.0);
        let new = histogram.spread(["1"]).since(&first);
        assert_eq!((new.count(), new.quantile(0.5)), (1, Some(1.0)));
        let mut sum = Spread::default();
        sum.add(&first);
        sum.add(&new);
        assert_eq!(sum, histogram.spread(["1"]));
    }

    #[test]
    fn series_are_bounded() {
        let counter = Counter::new("x_total", "X.", ["a"]);
        for i in 0..MAX_SERIES + 10 {
            counter.inc([&i.to_string()]);
        }
        assert_eq!(lock(&counter.values).len(), MAX_SERIES);
    }
}
