//! Notices that the wall clock was set back while we ran.
//!
//! When a message is due stands in the store by the wall clock, since it must
//! outlive a restart. A clock that is set back by hours would let everything
//! wait for hours that was to wait for a moment.

use crate::clock::Clock;
use steadfast_core::time::{MonoMs, UnixMs};

/// What clocks drift, and are slewed, by themselves, in milliseconds.
const DRIFT_MS: u64 = 1_000;
/// When to look a second time, in milliseconds: somebody may have read the
/// clock before it was set and have written down what it said afterwards.
const AGAIN_MS: u64 = 5_000;

/// When to try again what failed, in milliseconds.
const RETRY_MS: u64 = 500;

/// Compares the wall clock with the one that never goes back.
#[derive(Debug)]
pub(super) struct SetBack {
    unix: UnixMs,
    mono: MonoMs,
    /// Set back by so much, and when that is to be made good.
    owed: Option<(MonoMs, u64)>,
}

impl SetBack {
    pub(super) fn new(clock: &dyn Clock) -> Self {
        Self {
            unix: clock.unix(),
            mono: clock.mono(),
            owed: None,
        }
    }

    /// By how many milliseconds the clock was set back, where that is to be
    /// made good now.
    pub(super) fn look(&mut self, clock: &dyn Clock) -> Option<u64> {
        let (unix, mono) = (clock.unix(), clock.mono());
        let expected = self.unix.plus(mono.since(self.mono));
        (self.unix, self.mono) = (unix, mono);
        let by_ms = expected.since(unix);
        if by_ms > DRIFT_MS {
            let before = self.owed.take().map_or(0, |(_, before)| before);
            self.owed = Some((mono.plus(AGAIN_MS), by_ms.max(before)));
            return Some(by_ms);
        }
        match self.owed {
            Some((at, by_ms)) if at <= mono => {
                self.owed = None;
                Some(by_ms)
            }
            Some(_) | None => None,
        }
    }

    /// It could not be made good: again soon.
    pub(super) fn failed(&mut self, by_ms: u64) {
        self.owed = Some((self.mono.plus(RETRY_MS), by_ms));
    }

    /// How long until it is to be made good again.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.owed.map(|(at, _)| at.since(self.mono))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    #[derive(Default)]
    struct Hands {
        unix: AtomicI64,
        mono: AtomicU64,
    }

    impl Hands {
        fn pass(&self, ms: u64) {
            self.mono.fetch_add(ms, Ordering::Relaxed);
            self.set(i64::try_from(ms).unwrap());
        }

        fn set(&self, by_ms: i64) {
            self.unix.fetch_add(by_ms, Ordering::Relaxed);
        }
    }

    impl Clock for Hands {
        fn unix(&self) -> UnixMs {
            UnixMs(self.unix.load(Ordering::Relaxed))
        }

        fn mono(&self) -> MonoMs {
            MonoMs(self.mono.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn only_a_clock_that_was_set_back_is_noticed() {
        let clock = Hands::default();
        let mut watch = SetBack::new(&clock);
        clock.pass(3_600_000);
        assert_eq!(watch.look(&clock), None);
        clock.set(21_600_000);
        assert_eq!(watch.look(&clock), None, "ahead: everything is due early");
        clock.set(-900);
        assert_eq!(watch.look(&clock), None, "a drift");
        clock.pass(10_000);
        clock.set(-21_600_000);
        assert_eq!(watch.look(&clock), Some(21_600_000));
    }

    #[test]
    fn it_is_made_good_twice_and_until_it_is() {
        let clock = Hands::default();
        let mut watch = SetBack::new(&clock);
        clock.set(-60_000);
        assert_eq!(watch.look(&clock), Some(60_000));
        watch.failed(60_000);
        assert_eq!(watch.look(&clock), None);
        clock.pass(RETRY_MS);
        assert_eq!(watch.look(&clock), Some(60_000));
        assert_eq!(watch.look(&clock), None);
        clock.set(-60_000);
        assert_eq!(watch.look(&clock), Some(60_000));
        clock.pass(AGAIN_MS - 1);
        assert_eq!((watch.look(&clock), watch.due_ms()), (None, Some(1)));
        clock.pass(1);
        assert_eq!(watch.look(&clock), Some(60_000));
        clock.pass(AGAIN_MS);
        assert_eq!((watch.look(&clock), watch.due_ms()), (None, None));
    }
}
