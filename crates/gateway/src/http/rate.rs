//! How often one key may do one thing: so many a minute, and so many at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use steadfast_core::time::MonoMs;

/// Keys that are remembered. Beyond it those that have rested longest go.
const MAX_KEYS: usize = 10_000;
const MINUTE_US: u64 = 60_000_000;

/// A limit by key (the generic cell rate algorithm: one number a key).
#[derive(Debug)]
pub(super) struct Rate {
    /// Microseconds that one use costs.
    cost: u64,
    /// Microseconds that may be owed.
    credit: u64,
    /// Until when each key's uses so far are paid for, in microseconds.
    paid: Mutex<HashMap<String, u64>>,
}

impl Rate {
    /// A limit; `None` where `per_minute` is 0, which means no limit.
    pub(super) fn new(per_minute: u32, burst: u32) -> Option<Self> {
        let cost = MINUTE_US.checked_div(u64::from(per_minute))?.max(1);
        Some(Self {
            cost,
            credit: cost.saturating_mul(u64::from(burst.max(1)) - 1),
            paid: Mutex::default(),
        })
    }

    /// Uses it once, or says for how many milliseconds it cannot be used.
    pub(super) fn take(&self, key: &str, now: MonoMs) -> Result<(), u64> {
        let now = now.0.saturating_mul(1_000);
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let until = paid.get(key).copied().unwrap_or(0).max(now);
        let owed = until - now;
        if owed > self.credit {
            return Err((owed - self.credit).div_ceil(1_000));
        }
        if paid.len() >= MAX_KEYS && !paid.contains_key(key) {
            make_room(&mut paid, now);
        }
        paid.insert(key.to_owned(), until.saturating_add(self.cost));
        Ok(())
    }
}

/// Forgets keys that owe nothing; where all owe, the half that owes least.
fn make_room(paid: &mut HashMap<String, u64>, now: u64) {
    paid.retain(|_, until| *until > now);
    if paid.len() >= MAX_KEYS {
        let mut all: Vec<u64> = paid.values().copied().collect();
        let middle = all.len() / 2;
        let (_, median, _) = all.select_nth_unstable(middle);
        let median = *median;
        paid.retain(|_, until| *until > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let rate = Rate::new(60, 3).unwrap();
        for _ in 0..3 {
            assert_eq!(rate.take("a", MonoMs(0)), Ok(()));
        }
        assert_eq!(rate.take("a", MonoMs(0)), Err(1_000));
        assert_eq!(rate.take("a", MonoMs(999)), Err(1));
        assert_eq!(rate.take("b", MonoMs(999)), Ok(()), "keys never meet");
        assert_eq!(rate.take("a", MonoMs(1_000)), Ok(()));
        assert_eq!(rate.take("a", MonoMs(1_000)), Err(1_000));
        for _ in 0..3 {
            assert_eq!(rate.take("a", MonoMs(60_000)), Ok(()), "rest is credit");
        }
        assert!(
            rate.take("a", MonoMs(60_000)).is_err(),
            "never more than the burst"
        );
    }

    #[test]
    fn no_rate_is_no_limit() {
        assert!(Rate::new(0, 5).is_none());
    }

    #[test]
    fn strangers_do_not_fill_the_memory() {
        let rate = Rate::new(1, 1).unwrap();
        for n in 0..3 * MAX_KEYS {
            assert_eq!(rate.take(&n.to_string(), MonoMs(n as u64)), Ok(()));
        }
        assert!(rate.paid.lock().unwrap().len() <= MAX_KEYS);
    }
}
