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
    fn series_are_bounded() {
        let counter = Counter::new("x_total", "X.", ["a"]);
        for i in 0..MAX_SERIES + 10 {
            counter.inc([&i.to_string()]);
        }
        assert_eq!(lock(&counter.values).len(), MAX_SERIES);
    }
}
