//! How much of the time a session was there when it was wanted.

use steadfast_core::time::MonoMs;

/// What a session is at a moment, as far as availability goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Standing {
    /// Its owner wants it to run, and it has been linked once: before the
    /// first link there is nothing that could be available.
    pub(super) wanted: bool,
    /// It sends and receives.
    pub(super) ready: bool,
}

/// Time wanted and time ready, summed up since the gateway started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Availability {
    standing: Standing,
    since: MonoMs,
    wanted_ms: u64,
    ready_ms: u64,
}

impl Availability {
    /// From here on it stands so.
    pub(super) fn note(&mut self, now: MonoMs, standing: Standing) {
        (self.wanted_ms, self.ready_ms) = self.at(now);
        self.since = now;
        self.standing = standing;
    }

    /// Where it stands.
    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    /// Milliseconds wanted, and of those ready, up to this moment.
    pub(super) fn at(&self, now: MonoMs) -> (u64, u64) {
        let passed = now.since(self.since);
        let (wanted, ready) = (self.standing.wanted, self.standing.ready);
        (
            self.wanted_ms + if wanted { passed } else { 0 },
            self.ready_ms + if wanted && ready { passed } else { 0 },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wanted_time_counts() {
        let mut sum = Availability::default();
        let at = |wanted, ready| Standing { wanted, ready };
        sum.note(MonoMs(1_000), at(true, false));
        sum.note(MonoMs(1_500), at(true, true));
        assert_eq!(sum.at(MonoMs(3_500)), (2_500, 2_000));
        sum.note(MonoMs(4_500), at(true, false));
        sum.note(MonoMs(4_600), at(false, false));
        sum.note(MonoMs(9_000), at(true, true));
        assert_eq!(sum.at(MonoMs(9_000)), (3_600, 3_000));
    }
}
