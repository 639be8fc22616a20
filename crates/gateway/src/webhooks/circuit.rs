//! Whether an endpoint is up. After so many failures in a row it counts as
//! down; from then on one event at a time asks whether it is back, with
//! growing pauses, and the others wait without using up their attempts.

use steadfast_core::time::MonoMs;

/// When an endpoint counts as down, and how often it is asked then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Failures in a row.
    pub failures: u32,
    /// First pause between two questions, in milliseconds.
    pub probe_min_ms: u64,
    /// Longest pause, in milliseconds.
    pub probe_max_ms: u64,
}

/// One endpoint's circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// Up, with so many failures in a row.
    Closed {
        /// How many.
        failures: u32,
    },
    /// Down.
    Open {
        /// How often it has been asked since, without success.
        probes: u32,
        /// When it may be asked next.
        until: MonoMs,
    },
    /// Being asked.
    Probing {
        /// How often it was asked before this.
        probes: u32,
    },
}

impl Default for Circuit {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// What may be sent to an endpoint now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Whatever is due.
    Free,
    /// One event.
    One,
    /// Nothing before this time.
    NotBefore(MonoMs),
    /// Nothing until the event under way has ended.
    Busy,
}

impl Circuit {
    /// What may be sent now.
    pub fn leave(self, now: MonoMs) -> Leave {
        match self {
            Self::Closed { .. } => Leave::Free,
            Self::Open { until, .. } if now < until => Leave::NotBefore(until),
            Self::Open { .. } => Leave::One,
            Self::Probing { .. } => Leave::Busy,
        }
    }

    /// An attempt begins.
    pub fn begun(self) -> Self {
        match self {
            Self::Open { probes, .. } => Self::Probing { probes },
            Self::Closed { .. } | Self::Probing { .. } => self,
        }
    }

    /// An attempt ended. Those that began while it was up may end later; a
    /// success of any of them says that it is back.
    pub fn ended(self, success: bool, now: MonoMs, limits: Limits) -> Self {
        if success {
            return Self::default();
        }
        match self {
            Self::Closed { failures } if failures + 1 < limits.failures => Self::Closed {
                failures: failures + 1,
            },
            Self::Closed { .. } => Self::down(0, now, limits),
            Self::Probing { probes } => Self::down(probes.saturating_add(1), now, limits),
            Self::Open { .. } => self,
        }
    }

    /// It asked to be left alone until this time. Where it is up, that holds
    /// for the event that it did not take and no other.
    #[must_use]
    pub fn rest(self, until: MonoMs) -> Self {
        match self {
            Self::Open {
                probes,
                until: planned,
            } => Self::Open {
                probes,
                until: planned.max(until),
            },
            Self::Closed { .. } | Self::Probing { .. } => self,
        }
    }

    /// Whether it counts as down.
    pub fn is_down(self) -> bool {
        !matches!(self, Self::Closed { .. })
    }

    /// A person, or a change of its settings, says that it is worth asking now.
    pub fn ask_now(self, now: MonoMs) -> Self {
        match self {
            Self::Open { .. } => Self::Open {
                probes: 0,
                until: now,
            },
            Self::Closed { .. } | Self::Probing { .. } => self,
        }
    }

    fn down(probes: u32, now: MonoMs, limits: Limits) -> Self {
        let factor = 1_u64.checked_shl(probes).unwrap_or(u64::MAX);
        let pause = limits
            .probe_min_ms
            .saturating_mul(factor)
            .min(limits.probe_max_ms);
        Self::Open {
            probes,
            until: now.plus(pause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        failures: 3,
        probe_min_ms: 1_000,
        probe_max_ms: 6_000,
    };

    #[test]
    fn a_dead_endpoint_is_asked_ever_more_rarely() {
        let mut circuit = Circuit::default();
        let mut now = MonoMs(0);
        for _ in 0..2 {
            assert_eq!(circuit.leave(now), Leave::Free);
            circuit = circuit.begun().ended(false, now, LIMITS);
        }
        assert!(!circuit.is_down());
        circuit = circuit.begun().ended(false, now, LIMITS);
        let mut pauses = Vec::new();
        for _ in 0..5 {
            assert!(circuit.is_down());
            let Leave::NotBefore(at) = circuit.leave(now) else {
                panic!("{circuit:?}");
            };
            pauses.push(at.since(now));
            now = at;
            assert_eq!(circuit.leave(now), Leave::One);
            circuit = circuit.begun();
            assert_eq!(circuit.leave(now), Leave::Busy, "one at a time");
            circuit = circuit.ended(false, now, LIMITS);
        }
        assert_eq!(pauses, [1_000, 2_000, 4_000, 6_000, 6_000]);
        assert_eq!(circuit.ended(true, now, LIMITS), Circuit::default());
    }

    #[test]
    fn late_failures_of_attempts_from_before_change_nothing() {
        let open = Circuit::Closed { failures: 2 }.ended(false, MonoMs(0), LIMITS);
        assert_eq!(open.ended(false, MonoMs(900), LIMITS), open);
        assert_eq!(open.ended(true, MonoMs(900), LIMITS), Circuit::default());
    }

    #[test]
    fn who_asks_for_rest_is_left_alone_for_so_long() {
        let now = MonoMs(10);
        let open = Circuit::Closed { failures: 2 }.ended(false, now, LIMITS);
        let rests = open.rest(MonoMs(3_600_000));
        assert_eq!(rests.leave(now), Leave::NotBefore(MonoMs(3_600_000)));
        // A shorter rest than is planned anyway shortens nothing.
        assert_eq!(rests.rest(MonoMs(20)), rests);
        // A person may have it asked all the same.
        assert_eq!(rests.ask_now(now).leave(now), Leave::One);
        assert_eq!(Circuit::default().rest(MonoMs(9)), Circuit::default());
    }

    #[test]
    fn one_success_forgets_what_failed_before() {
        let mut circuit = Circuit::default();
        for _ in 0..10 {
            circuit = circuit.ended(false, MonoMs(0), LIMITS);
            circuit = circuit.ended(false, MonoMs(0), LIMITS);
            circuit = circuit.ended(true, MonoMs(0), LIMITS);
        }
        assert_eq!(circuit, Circuit::default());
    }

    #[test]
    fn a_person_may_have_it_asked_at_once() {
        let down = Circuit::Open {
            probes: 9,
            until: MonoMs(300_000),
        };
        assert_eq!(down.ask_now(MonoMs(5)).leave(MonoMs(5)), Leave::One);
        assert_eq!(Circuit::default().ask_now(MonoMs(5)), Circuit::default());
    }
}
