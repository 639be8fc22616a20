//! The machine: who may begin now, and when if not.

use super::history::{History, Quarter, quarter_of};
use super::policy::Policy;
use crate::time::UnixMs;
use std::collections::VecDeque;

/// The longest history that matters, in milliseconds: two days of any clock.
const REMEMBERED_MS: u64 = 2 * 86_400_000;
/// Where no rate is configured and WhatsApp asks to slow down, the pace is
/// counted from this one: a message a second.
const UNPACED_PER_MINUTE: u32 = 60;
/// How long nothing begins after the first refusal, in milliseconds; it
/// doubles with each further one. Each try too soon prolongs a limit.
const PAUSE_MS: u64 = 30_000;
/// The longest such pause, in milliseconds.
const MAX_PAUSE_MS: u64 = 900_000;
/// How often the pace is halved at most.
const MAX_SLOWED: u32 = 6;

/// Why nothing begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Held {
    /// The rate, or the random pause.
    Pacing,
    /// WhatsApp asked to slow down.
    RateLimited,
    /// The quiet hours.
    QuietHours,
    /// As many as may in a day have begun.
    DailyCap,
}

impl Held {
    /// Every reason.
    pub const ALL: [Self; 4] = [
        Self::Pacing,
        Self::RateLimited,
        Self::QuietHours,
        Self::DailyCap,
    ];

    /// The stable name, in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pacing => "pacing",
            Self::RateLimited => "rate_limited",
            Self::QuietHours => "quiet_hours",
            Self::DailyCap => "daily_cap",
        }
    }
}

/// What one group of lanes may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// So many messages may begin now; at least one.
    Now(u32),
    /// None before this time.
    Later {
        /// When to ask again: not before then.
        at: UnixMs,
        /// Why.
        why: Held,
    },
}

impl Turn {
    /// How many may begin now.
    pub fn allowed(self) -> u32 {
        match self {
            Self::Now(count) => count,
            Self::Later { .. } => 0,
        }
    }

    /// When to ask again, where none may begin now.
    pub fn later(self) -> Option<(UnixMs, Held)> {
        match self {
            Self::Now(_) => None,
            Self::Later { at, why } => Some((at, why)),
        }
    }
}

/// What each lane may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    /// The high lane. What begins there counts for the others too.
    pub high: Turn,
    /// All other lanes.
    pub others: Turn,
}

impl Permit {
    /// When a lane that may not begin now may, at the earliest.
    pub fn changes_at(self) -> Option<UnixMs> {
        let at = |turn: Turn| turn.later().map(|(at, _)| at);
        match (at(self.high), at(self.others)) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }
}

/// Keeps one session within its policy.
#[derive(Debug, Clone)]
pub struct Pacer {
    policy: Policy,
    first_begun_at: Option<UnixMs>,
    quarters: VecDeque<Quarter>,
    /// When the pace would have sent all that has begun, message by message.
    paced_until: UnixMs,
    /// The random pause ends.
    pause_until: UnixMs,
    /// How often the pace is halved, and since when.
    slowed: u32,
    slowed_at: UnixMs,
    /// Nothing begins before, since WhatsApp has refused.
    refused_until: UnixMs,
}

impl Pacer {
    /// A pacer that knows what was before.
    ///
    /// What began in the last quarters of an hour counts as if it had begun
    /// just now: after a restart an account begins slowly, never with a burst
    /// on top of the last one.
    pub fn new(policy: Policy, history: &History, now: UnixMs) -> Self {
        let mut pacer = Self {
            policy,
            first_begun_at: history.first_begun_at,
            quarters: history.quarters.iter().copied().collect(),
            paced_until: UnixMs(0),
            pause_until: UnixMs(0),
            slowed: 0,
            slowed_at: UnixMs(0),
            refused_until: UnixMs(0),
        };
        pacer.forget(now);
        for quarter in &history.quarters {
            // More of them would change nothing.
            for _ in 0..quarter.refused.min(u64::from(MAX_SLOWED)) {
                pacer.slow_down(quarter.starts_at);
            }
        }
        pacer.recover(now);
        let since = UnixMs(quarter_of(now).0.saturating_sub(super::QUARTER_MS));
        let recent: u64 = pacer
            .quarters
            .iter()
            .filter(|quarter| quarter.starts_at >= since)
            .map(|quarter| quarter.begun)
            .sum();
        if let Some(interval) = pacer.interval_ms() {
            let recent = recent.min(u64::from(pacer.burst()));
            pacer.paced_until = now.plus(interval.saturating_mul(recent));
        }
        pacer
    }

    /// Who may begin now.
    pub fn permit(&mut self, now: UnixMs) -> Permit {
        self.recover(now);
        self.heed_a_clock_set_back(now);
        Permit {
            high: self.turn(now, true),
            others: self.turn(now, false),
        }
    }

    /// How many may begin on the day of this time and how many have, where that is bounded.
    pub fn day(&self, now: UnixMs) -> Option<(u64, u64)> {
        let cap = self.policy.cap_of_day(now, self.first_begun_at)?;
        Some((cap, self.begun_on_day_of(now)))
    }

    /// How often the pace is halved now.
    pub fn slowed(&self) -> u32 {
        self.slowed
    }

    /// The longest random pause; the caller draws one up to it for [`began`](Self::began).
    pub fn jitter_ms(&self) -> u64 {
        self.policy.jitter_ms
    }

    /// So many messages have begun, `again` of them not for the first time; a
    /// random pause follows. What begins again has been counted for a day before.
    pub fn began(&mut self, now: UnixMs, count: u32, again: u32, pause_ms: u64) {
        if count == 0 {
            return;
        }
        self.first_begun_at.get_or_insert(now);
        self.quarter(now).begun += u64::from(count.saturating_sub(again));
        if let Some(interval) = self.interval_ms() {
            self.paced_until = self
                .paced_until
                .max(now)
                .plus(interval.saturating_mul(u64::from(count)));
        }
        self.pause_until = now.plus(pause_ms.min(self.policy.jitter_ms));
    }

    /// WhatsApp has refused a message because messages came too fast. Several
    /// that were under way together count once. Says whether the pace dropped.
    pub fn refused(&mut self, now: UnixMs) -> bool {
        self.quarter(now).refused += 1;
        now >= self.refused_until && self.slow_down(now)
    }

    fn slow_down(&mut self, at: UnixMs) -> bool {
        if !self.policy.heeds_refusals {
            return false;
        }
        self.recover(at);
        self.slowed = (self.slowed + 1).min(MAX_SLOWED);
        self.slowed_at = at;
        let pause = PAUSE_MS << (self.slowed - 1);
        self.refused_until = at.plus(pause.min(MAX_PAUSE_MS));
        true
    }

    /// The pace doubles with each span without a refusal.
    fn recover(&mut self, now: UnixMs) {
        let span = self.policy.recover_ms.max(1);
        while self.slowed > 0 && now.since(self.slowed_at) >= span {
            self.slowed -= 1;
            self.slowed_at = self.slowed_at.plus(span);
        }
    }

    /// No wait is longer than the clock would have made it.
    fn heed_a_clock_set_back(&mut self, now: UnixMs) {
        let burst = u64::from(self.burst());
        let longest = self.interval_ms().unwrap_or(0).saturating_mul(burst + 1);
        self.paced_until = self.paced_until.min(now.plus(longest));
        self.pause_until = self.pause_until.min(now.plus(self.policy.jitter_ms));
        self.refused_until = self.refused_until.min(now.plus(MAX_PAUSE_MS));
        self.slowed_at = self.slowed_at.min(now);
    }

    fn turn(&self, now: UnixMs, high: bool) -> Turn {
        let skips = self.policy.high_skips;
        let later = |at, why| Turn::Later { at, why };
        let mut allowed = u32::MAX;
        if now < self.refused_until {
            return later(self.refused_until, Held::RateLimited);
        }
        if !(high && skips.per_day)
            && let Some((cap, begun)) = self.day(now)
        {
            let left = cap.saturating_sub(begun);
            if left == 0 {
                return later(self.policy.next_day(now), Held::DailyCap);
            }
            allowed = allowed.min(u32::try_from(left).unwrap_or(u32::MAX));
        }
        if !(high && skips.quiet)
            && let Some(until) = self.policy.quiet_until(now)
        {
            return later(until, Held::QuietHours);
        }
        // What WhatsApp has asked for holds for everybody.
        if !(high && skips.rate && self.slowed == 0)
            && let Some(interval) = self.interval_ms()
        {
            let ahead = self.paced_until.since(now);
            let room = interval.saturating_mul(u64::from(self.burst()));
            let count = room.saturating_sub(ahead) / interval.max(1);
            if count == 0 {
                let why = if self.slowed > 0 {
                    Held::RateLimited
                } else {
                    Held::Pacing
                };
                let wait = (ahead + interval).saturating_sub(room);
                return later(now.plus(wait), why);
            }
            allowed = allowed.min(u32::try_from(count).unwrap_or(u32::MAX));
        }
        if !(high && skips.jitter) && self.policy.jitter_ms > 0 {
            if now < self.pause_until {
                return later(self.pause_until, Held::Pacing);
            }
            allowed = 1;
        }
        Turn::Now(allowed)
    }

    /// Between two messages at the pace of now, where there is one.
    fn interval_ms(&self) -> Option<u64> {
        let per_minute = match self.policy.per_minute {
            0 if self.slowed == 0 => return None,
            0 => UNPACED_PER_MINUTE,
            per_minute => per_minute,
        };
        let usual = (60_000 / u64::from(per_minute)).max(1);
        Some(usual << self.slowed)
    }

    /// At once goes nothing while WhatsApp asks to slow down.
    fn burst(&self) -> u32 {
        if self.slowed > 0 {
            1
        } else {
            self.policy.burst.max(1)
        }
    }

    fn begun_on_day_of(&self, now: UnixMs) -> u64 {
        let (from, until) = (self.policy.day_of(now), self.policy.next_day(now));
        let of_day = |quarter: &&Quarter| (from..until).contains(&quarter.starts_at);
        self.quarters
            .iter()
            .filter(of_day)
            .map(|quarter| quarter.begun)
            .sum()
    }

    fn quarter(&mut self, now: UnixMs) -> &mut Quarter {
        self.forget(now);
        let starts_at = quarter_of(now);
        let place = self.quarters.partition_point(|q| q.starts_at < starts_at);
        if self
            .quarters
            .get(place)
            .is_none_or(|q| q.starts_at != starts_at)
        {
            let quarter = Quarter {
                starts_at,
                begun: 0,
                refused: 0,
            };
            self.quarters.insert(place, quarter);
        }
        &mut self.quarters[place]
    }

    fn forget(&mut self, now: UnixMs) {
        self.quarters
            .retain(|quarter| now.since(quarter.starts_at) <= REMEMBERED_MS);
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::QuietHours;
    use super::*;

    /// 2024-01-15T10:00:00Z.
    const TEN: UnixMs = UnixMs(1_705_312_800_000);
    const HOUR_MS: u64 = 3_600_000;

    fn pacer(policy: Policy) -> Pacer {
        Pacer::new(policy, &History::default(), TEN)
    }

    fn others(pacer: &mut Pacer, ms: u64) -> Turn {
        pacer.permit(TEN.plus(ms)).others
    }

    fn later(ms: u64, why: Held) -> Turn {
        Turn::Later {
            at: TEN.plus(ms),
            why,
        }
    }

    #[test]
    fn nothing_is_held_back_where_nothing_is_configured() {
        let mut free = pacer(Policy::default());
        for _ in 0..3 {
            free.began(TEN, 100_000, 0, 0);
            let permit = free.permit(TEN);
            assert_eq!(permit.others, Turn::Now(u32::MAX));
            assert_eq!(permit.changes_at(), None);
        }
    }

    #[test]
    fn a_rate_lets_a_burst_go_and_then_one_after_the_other() {
        let mut paced = pacer(Policy {
            per_minute: 30,
            burst: 3,
            ..Policy::default()
        });
        assert_eq!(others(&mut paced, 0), Turn::Now(3));
        paced.began(TEN, 3, 0, 0);
        assert_eq!(others(&mut paced, 0), later(2_000, Held::Pacing));
        assert_eq!(others(&mut paced, 1_999), later(2_000, Held::Pacing));
        assert_eq!(others(&mut paced, 2_000), Turn::Now(1));
        paced.began(TEN.plus(2_000), 1, 0, 0);
        assert_eq!(others(&mut paced, 2_000), later(4_000, Held::Pacing));
        assert_eq!(others(&mut paced, 3_600_000), Turn::Now(3));
    }

    #[test]
    fn the_rate_holds_over_any_hour() {
        let mut paced = pacer(Policy {
            per_minute: 10,
            burst: 5,
            ..Policy::default()
        });
        let mut sent = 0;
        let mut now = TEN;
        while now.since(TEN) < HOUR_MS {
            match paced.permit(now).others {
                Turn::Now(count) => {
                    paced.began(now, count, 0, 0);
                    sent += count;
                }
                Turn::Later { at, .. } => {
                    assert!(at > now);
                    now = at;
                }
            }
        }
        assert!((600..=605).contains(&sent), "{sent}");
    }

    #[test]
    fn a_random_pause_follows_each_message_but_those_of_the_high_lane() {
        let mut paced = pacer(Policy {
            jitter_ms: 5_000,
            ..Policy::default()
        });
        assert_eq!(others(&mut paced, 0), Turn::Now(1));
        paced.began(TEN, 1, 0, 3_000);
        let permit = paced.permit(TEN.plus(1_000));
        assert_eq!(permit.others, later(3_000, Held::Pacing));
        assert_eq!(permit.high, Turn::Now(u32::MAX));
        assert_eq!(permit.changes_at(), Some(TEN.plus(3_000)));
        // No pause is longer than was asked for.
        paced.began(TEN.plus(3_000), 1, 0, u64::MAX);
        assert_eq!(others(&mut paced, 8_000), Turn::Now(1));
    }

    #[test]
    fn quiet_hours_hold_all_but_the_high_lane() {
        let policy = Policy {
            quiet: QuietHours::parse("09:00-11:00"),
            ..Policy::default()
        };
        let permit = pacer(policy.clone()).permit(TEN);
        assert_eq!(permit.others, later(HOUR_MS, Held::QuietHours));
        assert_eq!(permit.high, Turn::Now(u32::MAX));
        let mut strict = policy;
        strict.high_skips.quiet = false;
        assert_eq!(
            pacer(strict).permit(TEN).high,
            later(HOUR_MS, Held::QuietHours)
        );
    }

    #[test]
    fn a_day_has_an_end_for_every_lane_and_a_restart_does_not_begin_it_anew() {
        let policy = Policy {
            per_day: 5,
            ..Policy::default()
        };
        let mut capped = pacer(policy.clone());
        capped.began(TEN, 3, 0, 0);
        assert_eq!(others(&mut capped, 0), Turn::Now(2));
        capped.began(TEN.plus(HOUR_MS), 2, 0, 0);
        let midnight = later(14 * HOUR_MS, Held::DailyCap);
        let permit = capped.permit(TEN.plus(HOUR_MS));
        assert_eq!((permit.high, permit.others), (midnight, midnight));
        let history = History {
            first_begun_at: Some(TEN),
            quarters: capped.quarters.iter().copied().collect(),
        };
        let mut again = Pacer::new(policy, &history, TEN.plus(2 * HOUR_MS));
        assert_eq!(others(&mut again, 2 * HOUR_MS), midnight);
        assert_eq!(again.day(TEN.plus(2 * HOUR_MS)), Some((5, 5)));
        assert_eq!(others(&mut again, 14 * HOUR_MS), Turn::Now(5));
    }

    #[test]
    fn after_a_restart_no_second_burst_follows_the_first() {
        let policy = Policy {
            per_minute: 6,
            burst: 10,
            ..Policy::default()
        };
        let history = History {
            first_begun_at: Some(TEN),
            quarters: vec![Quarter {
                starts_at: TEN,
                begun: 7,
                refused: 0,
            }],
        };
        let mut again = Pacer::new(policy, &history, TEN.plus(60_000));
        assert_eq!(others(&mut again, 60_000), Turn::Now(3));
    }

    #[test]
    fn a_refusal_halves_the_pace_and_time_brings_it_back() {
        let mut paced = pacer(Policy {
            per_minute: 60,
            burst: 10,
            recover_ms: HOUR_MS,
            ..Policy::default()
        });
        assert!(paced.refused(TEN));
        // Those that were under way at the same time tell nothing new.
        assert!(!paced.refused(TEN.plus(1)));
        let permit = paced.permit(TEN.plus(5));
        let pause = later(PAUSE_MS, Held::RateLimited);
        assert_eq!((permit.high, permit.others), (pause, pause));
        assert_eq!(others(&mut paced, PAUSE_MS), Turn::Now(1));
        paced.began(TEN.plus(PAUSE_MS), 1, 0, 0);
        assert_eq!(
            others(&mut paced, PAUSE_MS),
            later(PAUSE_MS + 2_000, Held::RateLimited)
        );
        assert!(paced.refused(TEN.plus(PAUSE_MS + 2_000)));
        assert_eq!(paced.slowed(), 2);
        assert_eq!(
            others(&mut paced, PAUSE_MS + 2_000),
            later(PAUSE_MS + 2_000 + 2 * PAUSE_MS, Held::RateLimited)
        );
        let mut quiet = PAUSE_MS + 2_000 + HOUR_MS;
        paced.permit(TEN.plus(quiet));
        assert_eq!(paced.slowed(), 1);
        quiet += HOUR_MS;
        assert_eq!(others(&mut paced, quiet), Turn::Now(10));
    }

    #[test]
    fn a_refusal_slows_an_account_without_a_rate_too_and_outlives_a_restart() {
        let history = History {
            first_begun_at: Some(TEN),
            quarters: vec![Quarter {
                starts_at: TEN,
                begun: 100,
                refused: 2,
            }],
        };
        let mut again = Pacer::new(Policy::default(), &history, TEN.plus(120_000));
        assert_eq!(again.slowed(), 2);
        assert_eq!(
            others(&mut again, 120_000),
            later(124_000, Held::RateLimited)
        );
        let deaf = Policy {
            heeds_refusals: false,
            ..Policy::default()
        };
        let mut deaf = Pacer::new(deaf, &history, TEN.plus(120_000));
        assert!(!deaf.refused(TEN.plus(120_000)));
        assert_eq!(others(&mut deaf, 120_000), Turn::Now(u32::MAX));
    }

    #[test]
    fn the_pace_is_halved_no_more_than_so_often() {
        let mut paced = pacer(Policy::default());
        let mut now = TEN;
        for _ in 0..20 {
            assert!(paced.refused(now));
            let (at, _) = paced.permit(now).others.later().unwrap();
            assert!(at.since(now) <= MAX_PAUSE_MS);
            now = at;
        }
        assert!(paced.slowed() <= MAX_SLOWED);
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nobody_for_long() {
        let mut paced = pacer(Policy {
            per_minute: 1,
            burst: 1,
            ..Policy::default()
        });
        paced.began(TEN, 1, 0, 0);
        paced.refused(TEN);
        let before = UnixMs(TEN.0 - 86_400_000);
        let (at, _) = paced.permit(before).others.later().unwrap();
        assert!(at.since(before) <= MAX_PAUSE_MS);
    }
}
