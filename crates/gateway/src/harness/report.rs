//! What a run comes to: one object, the same for `demo` and `chaos`.

use super::fault::{FaultKind, Healed};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use steadfast_sim::checker::Verdict;

/// The sum of a run. `--json` prints it on one line.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Messages of the run: each was to be accepted.
    #[serde(skip)]
    pub messages: u64,
    /// Messages accepted.
    pub accepted: u64,
    /// Of them, those that reached the recipient.
    pub delivered: u64,
    /// Of them, those that wait for a person.
    pub parked: u64,
    /// Neither.
    pub lost: u64,
    /// Arrived more than once.
    pub duplicated: u64,
    /// Arrived out of order within their chat.
    pub reordered: u64,
    /// Copies under the same id that the server dropped.
    pub repeats_dropped: u64,
    /// Faults let loose.
    pub faults: u64,
    /// Faults after which the session was ready again.
    pub recovered: u64,
    /// Kinds that could not run here, with the reason.
    pub skipped: BTreeMap<&'static str, String>,
    /// From fault to ready again.
    pub recovery_ms: Spread,
    /// The same by kind.
    pub by_kind: BTreeMap<&'static str, KindReport>,
    /// Repeats the run.
    pub seed: u64,
}

/// One kind's share.
#[derive(Debug, Clone, Default, Serialize)]
pub struct KindReport {
    /// How often it was let loose.
    pub count: u64,
    /// How often the session was ready again.
    pub recovered: u64,
    /// From the fault to the gateway's first word about it.
    pub detection_ms: Spread,
    /// From the fault to ready again.
    pub recovery_ms: Spread,
}

/// Percentiles, in milliseconds. All 0 where nothing was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Half of them took no longer.
    pub p50: u64,
    /// 95 in 100 took no longer.
    pub p95: u64,
    /// The longest.
    pub max: u64,
}

impl Spread {
    /// The spread of these, by nearest rank.
    pub fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let rank = |percent: usize| {
            let i = (values.len() * percent).div_ceil(100).max(1) - 1;
            values.get(i).copied().unwrap_or_default()
        };
        Self {
            p50: rank(50),
            p95: rank(95),
            max: values.last().copied().unwrap_or_default(),
        }
    }
}

/// Collects faults as they come.
#[derive(Debug, Default)]
pub struct Tally {
    /// Those that struck, in order, and how they were healed.
    struck: Vec<(FaultKind, Option<Healed>)>,
    /// Kinds that could not run here.
    pub skipped: BTreeMap<&'static str, String>,
}

impl Tally {
    /// None yet, and these cannot run here.
    pub fn new(skipped: BTreeMap<&'static str, String>) -> Self {
        Self {
            struck: Vec::new(),
            skipped,
        }
    }

    /// Notes one; `None` where the session did not come back.
    pub fn note(&mut self, kind: FaultKind, healed: Option<Healed>) {
        self.struck.push((kind, healed));
    }

    /// Sums up a run of so many messages.
    pub fn report(&self, verdict: &Verdict, messages: u32, seed: u64) -> Report {
        let mut by_kind: BTreeMap<&'static str, Vec<Option<Healed>>> = BTreeMap::new();
        for (kind, healed) in &self.struck {
            by_kind.entry(kind.as_str()).or_default().push(*healed);
        }
        let healed = |of: &[Option<Healed>]| of.iter().flatten().count() as u64;
        let recovery = |of: &[Option<Healed>]| {
            Spread::of(of.iter().flatten().map(|h| ms(h.recovery)).collect())
        };
        let all: Vec<_> = self.struck.iter().map(|(_, h)| *h).collect();
        Report {
            messages: u64::from(messages),
            accepted: verdict.accepted as u64,
            delivered: verdict.delivered as u64,
            parked: verdict.parked as u64,
            lost: verdict.lost.len() as u64,
            duplicated: verdict.duplicated.len() as u64,
            reordered: verdict.reordered.len() as u64,
            repeats_dropped: verdict.repeats_dropped,
            faults: all.len() as u64,
            recovered: healed(&all),
            skipped: self.skipped.clone(),
            recovery_ms: recovery(&all),
            by_kind: by_kind
                .into_iter()
                .map(|(kind, of)| {
                    let detection = of.iter().flatten().filter_map(|h| h.detection);
                    let report = KindReport {
                        count: of.len() as u64,
                        recovered: healed(&of),
                        detection_ms: Spread::of(detection.map(ms).collect()),
                        recovery_ms: recovery(&of),
                    };
                    (kind, report)
                })
                .collect(),
            seed,
        }
    }
}

impl Report {
    /// Whether it may end with exit code 0.
    pub fn is_clean(&self) -> bool {
        self.lost == 0
            && self.duplicated == 0
            && self.reordered == 0
            && self.accepted == self.messages
            && self.delivered + self.parked == self.accepted
            && self.recovered == self.faults
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        assert_eq!(Spread::of(vec![]), Spread::default());
        assert_eq!(
            Spread::of(vec![7]),
            Spread {
                p50: 7,
                p95: 7,
                max: 7
            }
        );
        assert_eq!(
            Spread::of((1..=100).rev().collect()),
            Spread {
                p50: 50,
                p95: 95,
                max: 100
            }
        );
    }

    #[test]
    fn a_fault_that_was_not_healed_is_no_clean_run() {
        let mut tally = Tally::default();
        tally.note(FaultKind::BrowserKill, None);
        let nothing = steadfast_sim::checker::judge("", &[], &[], false);
        assert!(!tally.report(&nothing, 0, 1).is_clean());
    }

    #[test]
    fn a_run_that_nobody_accepted_is_no_clean_run() {
        let nothing = steadfast_sim::checker::judge("", &[], &[], false);
        let tally = Tally::default();
        assert!(tally.report(&nothing, 0, 1).is_clean());
        assert!(!tally.report(&nothing, 80, 1).is_clean());
    }
}
