//! When a browser that works is replaced by a fresh one all the same: because
//! it uses more memory than it may, or because it has run for long and nothing
//! is going on. Decides only; the machine drains and replaces.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use steadfast_core::backoff::Random;
use steadfast_core::time::MonoMs;

/// When to replace a browser that works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpkeepPolicy {
    /// Memory that its processes may use together, in bytes.
    pub memory_limit_bytes: Option<u64>,
    /// For how long it must be over that, so that a spike does not count.
    pub memory_confirm_ms: u64,
    /// How long a browser that replaced one for its memory is left alone,
    /// however much it uses: a limit that is too low must not become a loop.
    pub memory_rest_ms: u64,
    /// The age from which on it is replaced while nothing is going on; up to
    /// a quarter is added, so that sessions do not all do it at once.
    pub max_age_ms: Option<u64>,
    /// How long nothing must have come or gone, and nothing be due.
    pub quiet_ms: u64,
}

impl Default for UpkeepPolicy {
    fn default() -> Self {
        Self {
            memory_limit_bytes: None,
            memory_confirm_ms: 20_000,
            memory_rest_ms: 1_800_000,
            max_age_ms: None,
            quiet_ms: 300_000,
        }
    }
}

/// When a message last came or went; shared by all that see one.
#[derive(Debug, Clone, Default)]
pub struct Activity(Arc<AtomicU64>);

impl Activity {
    /// Something came or went.
    pub fn touch(&self, now: MonoMs) {
        self.0.fetch_max(now.0, Ordering::Relaxed);
    }

    fn last(&self) -> MonoMs {
        MonoMs(self.0.load(Ordering::Relaxed))
    }
}

/// What is known of a session's browser.
#[derive(Debug)]
pub(super) struct Upkeep {
    policy: UpkeepPolicy,
    activity: Activity,
    random: Random,
    started: MonoMs,
    /// The age limit of this browser, with its jitter.
    max_age_ms: Option<u64>,
    over_since: Option<MonoMs>,
    /// Until when it is left alone, however much it uses.
    rests_until: MonoMs,
    asked_at: MonoMs,
}

/// Between two looks at the store for what is due.
const ASK_EVERY_MS: u64 = 10_000;

impl Upkeep {
    pub(super) fn new(policy: UpkeepPolicy, activity: Activity, seed: u64, now: MonoMs) -> Self {
        let mut upkeep = Self {
            policy,
            activity,
            random: Random::new(seed),
            started: now,
            max_age_ms: None,
            over_since: None,
            rests_until: MonoMs::default(),
            asked_at: MonoMs::default(),
        };
        upkeep.browser_started(now);
        upkeep
    }

    /// A fresh browser runs.
    pub(super) fn browser_started(&mut self, now: MonoMs) {
        self.started = now;
        self.over_since = None;
        self.max_age_ms = self
            .policy
            .max_age_ms
            .map(|age| age.saturating_add(self.random.up_to(age / 4)));
    }

    /// Its browser is about to be replaced for its memory.
    pub(super) fn recycled_for_memory(&mut self, now: MonoMs) {
        self.rests_until = now.plus(self.policy.memory_rest_ms);
    }

    /// Whether it uses more than it may: replace it.
    pub(super) fn is_too_large(&mut self, now: MonoMs, bytes: Option<u64>) -> bool {
        let over = match (self.policy.memory_limit_bytes, bytes) {
            (Some(limit), Some(bytes)) => bytes > limit,
            (None, _) | (_, None) => false,
        };
        if !over {
            self.over_since = None;
            return false;
        }
        let since = *self.over_since.get_or_insert(now);
        now.since(since) >= self.policy.memory_confirm_ms && now >= self.rests_until
    }

    /// Whether it is old, and nothing has come or gone for long enough. Then
    /// the store is to be asked what is due; `true` is not said more often
    /// than that is worth.
    pub(super) fn may_be_replaced_for_age(&mut self, now: MonoMs) -> bool {
        let old = self
            .max_age_ms
            .is_some_and(|age| now.since(self.started) >= age);
        let quiet = now.since(self.activity.last()) >= self.policy.quiet_ms;
        if !old || !quiet || now.since(self.asked_at) < ASK_EVERY_MS {
            return false;
        }
        self.asked_at = now;
        true
    }

    /// How long nothing may be due for that, in milliseconds.
    pub(super) fn quiet_ms(&self) -> u64 {
        self.policy.quiet_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn upkeep(activity: &Activity) -> Upkeep {
        let policy = UpkeepPolicy {
            memory_limit_bytes: Some(100 * MIB),
            max_age_ms: Some(1_000_000),
            ..UpkeepPolicy::default()
        };
        Upkeep::new(policy, activity.clone(), 7, MonoMs(0))
    }

    #[test]
    fn a_spike_is_no_reason_and_a_low_limit_is_no_loop() {
        let mut upkeep = upkeep(&Activity::default());
        let mut at = |s: u64, mib: u64| upkeep.is_too_large(MonoMs(s * 1_000), Some(mib * MIB));
        assert!(!at(1, 100));
        assert!(!at(2, 101));
        assert!(!at(10, 300));
        assert!(!at(11, 99), "it was a spike");
        assert!(!at(12, 200));
        assert!(!at(31, 200));
        assert!(at(32, 200));
        upkeep.recycled_for_memory(MonoMs(32_000));
        upkeep.browser_started(MonoMs(33_000));
        let mut at = |s: u64| upkeep.is_too_large(MonoMs(s * 1_000), Some(200 * MIB));
        assert!(!at(34));
        assert!(!at(100));
        assert!(!at(32 + 1_799));
        assert!(at(32 + 1_800));
        assert!(!upkeep.is_too_large(MonoMs(u64::MAX), None), "unknown");
    }

    #[test]
    fn an_old_browser_waits_for_a_quiet_moment() {
        let activity = Activity::default();
        let mut upkeep = upkeep(&activity);
        assert!(!upkeep.may_be_replaced_for_age(MonoMs(999_999)));
        let old = MonoMs(1_250_000);
        activity.touch(old);
        assert!(!upkeep.may_be_replaced_for_age(old.plus(299_999)));
        assert!(upkeep.may_be_replaced_for_age(old.plus(300_000)));
        assert!(
            !upkeep.may_be_replaced_for_age(old.plus(300_001)),
            "the store is not asked every second"
        );
        assert!(upkeep.may_be_replaced_for_age(old.plus(310_000)));
        upkeep.browser_started(old.plus(310_000));
        assert!(!upkeep.may_be_replaced_for_age(old.plus(400_000)));
    }

    #[test]
    fn sessions_do_not_all_do_it_at_once() {
        let ages: std::collections::BTreeSet<_> = (0..20)
            .map(|seed| {
                let policy = UpkeepPolicy {
                    max_age_ms: Some(1_000_000),
                    ..UpkeepPolicy::default()
                };
                Upkeep::new(policy, Activity::default(), seed, MonoMs(0)).max_age_ms
            })
            .collect();
        assert!(ages.len() > 10);
        assert!(
            ages.iter()
                .all(|age| (1_000_000..=1_250_000).contains(&age.unwrap_or(0)))
        );
    }
}
