//! Which rung comes next.
//!
//! Each cheap rung has an *intensity*: so many uses in so long, over all
//! incidents, as in OTP's supervisors; when it is used up, the next rung is
//! taken. Within one incident the ladder is only climbed, never descended.
//! The top of the climb is a browser restart with growing waits: a fault
//! of the outside world then heals by itself when its cause goes away.

use crate::backoff::{Backoff, Random};
use crate::failure::{Kind, Rung};
use crate::time::MonoMs;
use std::collections::VecDeque;

/// So many uses in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// How many uses.
    pub uses: u32,
    /// In how many milliseconds.
    pub window_ms: u64,
}

/// How the ladder is climbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LadderPolicy {
    /// Of stopping a hung script.
    pub terminate_script: Intensity,
    /// Of reloading the page.
    pub reload: Intensity,
    /// Of opening a new page.
    pub new_page: Intensity,
    /// Of starting with an empty profile after WhatsApp refused one.
    pub relink: Intensity,
    /// Of taking the link back from another one that uses it.
    pub take_over: Intensity,
    /// Browser restarts within one incident before the profile is doubted.
    pub restarts_before_restore: u32,
    /// Waits between tries of the same rung.
    pub backoff: Backoff,
    /// Waits where only a person, or time, can help.
    pub slow_backoff: Backoff,
}

impl Default for LadderPolicy {
    fn default() -> Self {
        Self {
            // A script that hangs again within a minute is not an accident.
            terminate_script: Intensity {
                uses: 2,
                window_ms: 60_000,
            },
            reload: Intensity {
                uses: 3,
                window_ms: 60_000,
            },
            new_page: Intensity {
                uses: 3,
                window_ms: 120_000,
            },
            relink: Intensity {
                uses: 5,
                window_ms: 3_600_000,
            },
            // Whoever opens it elsewhere more often than this means it.
            take_over: Intensity {
                uses: 5,
                window_ms: 600_000,
            },
            restarts_before_restore: 3,
            backoff: Backoff {
                base_ms: 500,
                max_ms: 30_000,
            },
            slow_backoff: Backoff {
                base_ms: 2_000,
                max_ms: 60_000,
            },
        }
    }
}

/// What one incident has tried so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Climb {
    /// The kind that began it, or the latest one where it changed.
    pub kind: Kind,
    /// The highest rung tried.
    pub rung: Rung,
    /// Tries of this rung so far, the current one included.
    pub attempt: u32,
    /// Browser restarts tried in this incident.
    pub restarts: u32,
    /// Whether the last good profile was brought back in this incident.
    pub restored: bool,
    /// Synchronisations that began in this incident.
    pub syncs: u32,
}

/// The next step of a climb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Take this rung after this wait.
    Step {
        /// The climb with this step counted.
        climb: Climb,
        /// The wait before it, in milliseconds.
        after_ms: u64,
    },
    /// Nothing on the ladder helps: a person must decide.
    GiveUp,
}

/// Remembers how often each rung was used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ladder {
    terminate_script: VecDeque<MonoMs>,
    reload: VecDeque<MonoMs>,
    new_page: VecDeque<MonoMs>,
    relink: VecDeque<MonoMs>,
    take_over: VecDeque<MonoMs>,
}

impl Ladder {
    /// The next step for a failure of this kind, whose cheapest rung is given.
    pub fn next(
        &mut self,
        policy: &LadderPolicy,
        now: MonoMs,
        climb: Option<Climb>,
        kind: Kind,
        cheapest: Rung,
        random: &mut Random,
    ) -> Next {
        // Without room or memory the copy did not come back: that is no try of
        // it, and a phone must not be asked for while it is there.
        let undone =
            climb.filter(|c| c.rung == Rung::RestoreProfile && kind == Kind::ResourcesExhausted);
        let climb = undone
            .map(|c| Climb {
                restored: false,
                ..c
            })
            .or(climb);
        let start = match climb {
            Some(_) if undone.is_some() => Rung::RestoreProfile,
            // The same again, although this rung was just tried: a higher one.
            Some(climb) if kind == climb.kind => above(climb.rung).max(cheapest),
            // Only climbed: a cheaper rung has been tried in vain already.
            Some(climb) if climb.rung <= Rung::RestartBrowser => climb.rung.max(cheapest),
            _ => cheapest,
        };
        let Some(rung) = self.choose(policy, now, climb, kind, start) else {
            return Next::GiveUp;
        };
        let attempt = match climb {
            Some(c) if c.rung == rung => c.attempt.saturating_add(1),
            _ => 1,
        };
        let restarts = climb.map_or(0, |c| c.restarts);
        let starts_browser = matches!(
            rung,
            Rung::RestartBrowser | Rung::RestoreProfile | Rung::Operator
        );
        let next = Climb {
            kind,
            rung,
            attempt,
            restarts: restarts.saturating_add(u32::from(starts_browser)),
            restored: climb.is_some_and(|c| c.restored) || rung == Rung::RestoreProfile,
            syncs: climb.map_or(0, |c| c.syncs),
        };
        let after_ms = match rung {
            Rung::Operator => policy.slow_backoff.delay(attempt, random),
            _ => policy.backoff.delay(attempt - 1, random),
        };
        Next::Step {
            climb: next,
            after_ms,
        }
    }

    /// Whether the link may be taken back once more; counts the use.
    pub fn may_take_over(&mut self, policy: &LadderPolicy, now: MonoMs) -> bool {
        take(&mut self.take_over, policy.take_over, now)
    }

    /// Forgets all uses: the session was ready for long enough.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    fn choose(
        &mut self,
        policy: &LadderPolicy,
        now: MonoMs,
        climb: Option<Climb>,
        kind: Kind,
        start: Rung,
    ) -> Option<Rung> {
        let restarts = climb.map_or(0, |c| c.restarts);
        let restored = climb.is_some_and(|c| c.restored);
        let mut rung = start;
        loop {
            rung = match rung {
                // A page that stands still over a conflict asks for its link; how often
                // is bounded by `may_take_over`.
                Rung::Retry if kind == Kind::Conflict => return Some(rung),
                // Elsewhere "try the same again" is the reload for a session; a
                // retry of a single call is the caller's.
                Rung::Retry | Rung::RejectMessage => Rung::Reload,
                Rung::TerminateScript => {
                    if take(&mut self.terminate_script, policy.terminate_script, now) {
                        return Some(rung);
                    }
                    Rung::Reload
                }
                Rung::Reload => {
                    if take(&mut self.reload, policy.reload, now) {
                        return Some(rung);
                    }
                    Rung::NewPage
                }
                Rung::NewPage => {
                    if take(&mut self.new_page, policy.new_page, now) {
                        return Some(rung);
                    }
                    Rung::RestartBrowser
                }
                Rung::RestartBrowser => {
                    let doubt_profile = restarts >= policy.restarts_before_restore
                        && profile_may_be_at_fault(kind)
                        && !restored;
                    if !doubt_profile {
                        return Some(rung);
                    }
                    Rung::RestoreProfile
                }
                Rung::RestoreProfile => {
                    if !restored {
                        return Some(rung);
                    }
                    // The damaged profile is set aside, not deleted; a phone must scan.
                    if kind == Kind::ProfileCorrupt {
                        Rung::Relink
                    } else {
                        Rung::Operator
                    }
                }
                Rung::Relink => {
                    return take(&mut self.relink, policy.relink, now).then_some(rung);
                }
                Rung::Operator => return Some(rung),
            };
        }
    }
}

/// The rung to take when this one was in vain. A browser restart is repeated,
/// with growing waits: there is nothing above it but doubt in the profile.
fn above(rung: Rung) -> Rung {
    match rung {
        Rung::Retry | Rung::TerminateScript | Rung::RejectMessage => Rung::Reload,
        Rung::Reload => Rung::NewPage,
        Rung::NewPage | Rung::RestartBrowser => Rung::RestartBrowser,
        Rung::RestoreProfile => Rung::RestoreProfile,
        Rung::Relink => Rung::Relink,
        Rung::Operator => Rung::Operator,
    }
}

/// Whether bringing back an older profile could heal a failure of this kind.
/// An older profile has older keys, so it is never a step taken lightly.
fn profile_may_be_at_fault(kind: Kind) -> bool {
    match kind {
        Kind::ProfileCorrupt | Kind::BrowserGone => true,
        Kind::TransientContext
        | Kind::PageGone
        | Kind::PageHung
        | Kind::NavigationTimeout
        | Kind::NetworkDown
        | Kind::ProfileLocked
        | Kind::LaunchFailedMissingBrowser
        | Kind::LaunchFailedMissingLibs
        | Kind::LaunchFailedSandbox
        | Kind::ResourcesExhausted
        | Kind::WaIncompatible
        | Kind::AuthRequired
        | Kind::AuthFailed
        | Kind::Conflict
        | Kind::BannedOrRestricted
        | Kind::RecipientInvalid
        | Kind::MediaInvalid
        | Kind::RateLimited
        | Kind::PermanentRequestError
        | Kind::Unknown => false,
    }
}

/// Counts one use if the intensity allows it.
fn take(uses: &mut VecDeque<MonoMs>, intensity: Intensity, now: MonoMs) -> bool {
    while uses
        .front()
        .is_some_and(|at| now.since(*at) >= intensity.window_ms)
    {
        uses.pop_front();
    }
    if uses.len() < intensity.uses as usize {
        uses.push_back(now);
        true
    } else {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn climb_until_restart(kind: Kind, cheapest: Rung, steps: usize) -> Vec<Rung> {
        let policy = LadderPolicy::default();
        let mut ladder = Ladder::default();
        let mut random = Random::new(1);
        let mut climb = None;
        let mut rungs = Vec::new();
        for _ in 0..steps {
            match ladder.next(&policy, MonoMs(1_000), climb, kind, cheapest, &mut random) {
                Next::Step { climb: next, .. } => {
                    rungs.push(next.rung);
                    climb = Some(next);
                }
                Next::GiveUp => break,
            }
        }
        rungs
    }

    #[test]
    fn a_page_that_stays_bad_climbs_to_the_browser_and_stays_there() {
        use Rung::{NewPage, Reload, RestartBrowser};
        let rungs = climb_until_restart(Kind::PageGone, Reload, 12);
        assert_eq!(rungs[..2], [Reload, NewPage]);
        assert_eq!(rungs[2..], [RestartBrowser; 10]);
    }

    #[test]
    fn a_copy_that_finds_no_room_is_waited_for_and_no_phone_is_asked_for() {
        use Rung::{Relink, RestoreProfile};
        let policy = LadderPolicy::default();
        let mut ladder = Ladder::default();
        let mut random = Random::new(3);
        let mut step = |climb, kind, cheapest| {
            let next = ladder.next(&policy, MonoMs(0), climb, kind, cheapest, &mut random);
            let Next::Step { climb, after_ms } = next else {
                panic!("it gave up")
            };
            (climb, after_ms)
        };
        let full = (Kind::ResourcesExhausted, Rung::RestartBrowser);
        let (mut climb, first) = step(None, Kind::ProfileCorrupt, RestoreProfile);
        assert_eq!((climb.rung, first), (RestoreProfile, 0));
        for _ in 0..8 {
            let (next, _) = step(Some(climb), full.0, full.1);
            assert_eq!(next.rung, RestoreProfile);
            assert_eq!(next.attempt, climb.attempt + 1, "the waits must grow");
            climb = next;
        }
        // There was room, and it did not help.
        let (next, _) = step(Some(climb), Kind::ProfileCorrupt, RestoreProfile);
        assert_eq!(next.rung, Relink);
    }

    #[test]
    fn a_browser_that_dies_at_every_start_makes_us_doubt_the_profile_once() {
        use Rung::{Operator, RestartBrowser, RestoreProfile};
        let rungs = climb_until_restart(Kind::BrowserGone, RestartBrowser, 6);
        assert_eq!(
            rungs,
            [
                RestartBrowser,
                RestartBrowser,
                RestartBrowser,
                RestoreProfile,
                Operator,
                Operator
            ]
        );
    }

    #[test]
    fn a_full_disk_never_touches_the_profile() {
        let rungs = climb_until_restart(Kind::ResourcesExhausted, Rung::RestartBrowser, 20);
        assert!(rungs.iter().all(|r| *r == Rung::RestartBrowser));
    }

    #[test]
    fn relinking_is_bounded() {
        assert_eq!(
            climb_until_restart(Kind::AuthRequired, Rung::Relink, 20).len(),
            5
        );
    }

    #[test]
    fn intensity_is_given_back_by_time_and_by_reset() {
        let policy = LadderPolicy::default();
        let mut ladder = Ladder::default();
        let mut random = Random::new(1);
        let mut rung_at = |ladder: &mut Ladder, ms| match ladder.next(
            &policy,
            MonoMs(ms),
            None,
            Kind::TransientContext,
            Rung::Reload,
            &mut random,
        ) {
            Next::Step { climb, after_ms } => {
                assert_eq!(after_ms, 0, "a rung's first try is immediate");
                climb.rung
            }
            Next::GiveUp => panic!("gave up"),
        };
        for _ in 0..3 {
            assert_eq!(rung_at(&mut ladder, 0), Rung::Reload);
        }
        assert_eq!(rung_at(&mut ladder, 59_999), Rung::NewPage);
        assert_eq!(rung_at(&mut ladder, 60_000), Rung::Reload);
        ladder.reset();
        assert_eq!(rung_at(&mut ladder, 60_000), Rung::Reload);
    }
}
