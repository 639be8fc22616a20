//! How long to wait before the next try.

/// Exponential backoff with full jitter: the wait before try `n` is uniform
/// between zero and `base * 2^(n-1)`, capped. The first try is immediate.
///
/// Full jitter spreads those that failed together furthest apart (Brooker,
/// "Exponential Backoff And Jitter", 2015).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The cap of the first wait, in milliseconds.
    pub base_ms: u64,
    /// The cap of every wait, in milliseconds.
    pub max_ms: u64,
}

impl Backoff {
    /// The most that the wait before this try can be. `failures` counts the
    /// tries that failed so far; 0 gives no wait. Never overflows.
    pub fn ceiling(self, failures: u32) -> u64 {
        match failures.checked_sub(1) {
            None => 0,
            Some(doublings) => self
                .base_ms
                .saturating_mul(1_u64.checked_shl(doublings).unwrap_or(u64::MAX))
                .min(self.max_ms),
        }
    }

    /// The wait before the next try, in milliseconds.
    pub fn delay(self, failures: u32, random: &mut Random) -> u64 {
        random.up_to(self.ceiling(failures))
    }
}

/// A small deterministic source of jitter (SplitMix64); its seed comes from
/// outside, so that a run can be repeated. Not for secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random(u64);

impl Random {
    /// Starts the sequence that belongs to this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to `most`, both included.
    pub fn up_to(&mut self, most: u64) -> u64 {
        match most.checked_add(1) {
            Some(range) => self.next_u64() % range,
            None => self.next_u64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const B: Backoff = Backoff {
        base_ms: 500,
        max_ms: 60_000,
    };

    #[test]
    fn first_try_is_immediate_and_the_rest_double_to_the_cap() {
        let ceilings: Vec<u64> = (0..10).map(|n| B.ceiling(n)).collect();
        assert_eq!(
            ceilings,
            [
                0, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000
            ]
        );
        assert_eq!(B.ceiling(u32::MAX), 60_000);
    }

    #[test]
    fn jitter_uses_the_whole_range_and_repeats_with_its_seed() {
        let mut random = Random::new(7);
        let delays: Vec<u64> = (0..1000).map(|_| B.delay(3, &mut random)).collect();
        assert!(delays.iter().all(|d| *d <= 2000));
        assert!(delays.iter().any(|d| *d < 200));
        assert!(delays.iter().any(|d| *d > 1800));
        let mut again = Random::new(7);
        assert_eq!(delays[0], B.delay(3, &mut again));
    }
}
