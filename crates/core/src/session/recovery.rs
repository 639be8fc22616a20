//! How the machine answers a failure: the ladder's next step, a wait for the
//! network, a word to the other one, or a person.

use super::effect::{Effect, IncidentEnd};
use super::machine::{Effects, Illegal, Machine};
use super::policy::ConflictPolicy;
use super::state::{Stage, State};
use crate::failure::{Evidence, Failure, Kind, Observed, Operation, Rung, classify};
use crate::ids::Epoch;
use crate::ladder::{Climb, Next};
use crate::port::{Close, OpenStep};
use crate::time::MonoMs;

/// Loads of a page, after a probe found the network, that may find none
/// before the browser itself is doubted.
const LOADS_BEFORE_CLIMB: u32 = 3;

impl Machine {
    pub(super) fn failed(
        &mut self,
        now: MonoMs,
        failure: &Failure,
        alive: Option<Epoch>,
    ) -> Effects {
        if let State::Conflict { .. } = self.state {
            return self.failed_in_conflict(now, failure);
        }
        match failure.kind {
            // One message's own fault, or its pace: never the session's.
            Kind::RecipientInvalid
            | Kind::MediaInvalid
            | Kind::PermanentRequestError
            | Kind::RateLimited => vec![],
            // What could not be loaded is an error page, which never connects by itself.
            Kind::NetworkDown if failure.operation == Operation::Navigate => {
                self.outage(failure, None)
            }
            Kind::NetworkDown => self.outage(failure, alive),
            Kind::BannedOrRestricted => self.park(failure),
            Kind::Conflict => self.conflict(now, failure, alive),
            Kind::TransientContext
            | Kind::PageGone
            | Kind::BrowserGone
            | Kind::PageHung
            | Kind::NavigationTimeout
            | Kind::ProfileLocked
            | Kind::ProfileCorrupt
            | Kind::LaunchFailedMissingBrowser
            | Kind::LaunchFailedMissingLibs
            | Kind::LaunchFailedSandbox
            | Kind::ResourcesExhausted
            | Kind::WaIncompatible
            | Kind::AuthRequired
            | Kind::AuthFailed
            | Kind::Unknown => self.climb(now, failure),
        }
    }

    /// A page that has left the link to another one fails. Healing it would
    /// take the link back, which only a person may do.
    fn failed_in_conflict(&mut self, now: MonoMs, failure: &Failure) -> Effects {
        match failure.kind {
            // Nobody has the link any more.
            Kind::AuthRequired | Kind::AuthFailed => self.climb(now, failure),
            Kind::BannedOrRestricted => self.park(failure),
            // It is no use any more, and eats memory.
            Kind::PageGone
            | Kind::BrowserGone
            | Kind::PageHung
            | Kind::NavigationTimeout
            | Kind::ProfileLocked
            | Kind::ProfileCorrupt
            | Kind::LaunchFailedMissingBrowser
            | Kind::LaunchFailedMissingLibs
            | Kind::LaunchFailedSandbox
            | Kind::ResourcesExhausted => vec![Effect::Close { how: Close::Kill }],
            Kind::Conflict
            | Kind::TransientContext
            | Kind::NetworkDown
            | Kind::WaIncompatible
            | Kind::RecipientInvalid
            | Kind::MediaInvalid
            | Kind::PermanentRequestError
            | Kind::RateLimited
            | Kind::Unknown => vec![],
        }
    }

    pub(super) fn climb(&mut self, now: MonoMs, failure: &Failure) -> Effects {
        let mut effects = self.note_failure(failure);
        let climb = self.state.climb();
        effects.extend(self.next_rung(now, climb, failure.kind, session_rung(failure)));
        effects
    }

    /// The next step of an incident that is open.
    fn next_rung(
        &mut self,
        now: MonoMs,
        climb: Option<Climb>,
        kind: Kind,
        cheapest: Rung,
    ) -> Effects {
        let next = self.ladder.next(
            &self.policy.ladder,
            now,
            climb,
            kind,
            cheapest,
            &mut self.random,
        );
        match next {
            Next::GiveUp => self.give_up(kind),
            Next::Step { climb, after_ms } => self.take_or_wait(climb, open_step(climb), after_ms),
        }
    }

    fn take_or_wait(&mut self, climb: Climb, step: OpenStep, after_ms: u64) -> Effects {
        if after_ms == 0 {
            self.take_step(climb, step)
        } else {
            self.wait_for_step(climb, step, after_ms)
        }
    }

    pub(super) fn take_step(&mut self, climb: Climb, step: OpenStep) -> Effects {
        let epoch = self.next_epoch();
        let timer = self.arm();
        let within_ms = self.policy.deadlines.starting_ms;
        self.state = State::Recovering {
            climb,
            stage: Stage::Opening {
                epoch,
                timer,
                within_ms,
            },
        };
        vec![
            Effect::IncidentStep {
                rung: Some(climb.rung),
                detail: format!("{} (try {})", climb.rung, climb.attempt),
            },
            Effect::Open { step, epoch },
            Effect::Arm {
                timer,
                after_ms: within_ms,
            },
        ]
    }

    fn wait_for_step(&mut self, climb: Climb, step: OpenStep, after_ms: u64) -> Effects {
        let timer = self.arm();
        self.state = State::Recovering {
            climb,
            stage: Stage::Waiting { step, timer },
        };
        vec![
            Effect::IncidentStep {
                rung: None,
                detail: format!("waiting {after_ms} ms before {}", climb.rung),
            },
            Effect::Arm { timer, after_ms },
        ]
    }

    pub(super) fn outage(&mut self, failure: &Failure, alive: Option<Epoch>) -> Effects {
        let mut effects = self.note_failure(failure);
        let climb = Climb {
            kind: failure.kind,
            ..self.state.climb().unwrap_or(Climb {
                kind: failure.kind,
                rung: Rung::Retry,
                attempt: 1,
                restarts: 0,
                restored: false,
                syncs: 0,
            })
        };
        let timer = self.arm();
        self.state = State::Recovering {
            climb,
            stage: Stage::Outage {
                epoch: alive,
                timer,
                probes: 0,
                reachable: false,
            },
        };
        effects.push(Effect::IncidentStep {
            rung: None,
            detail: "the network is away; waiting for its return".to_owned(),
        });
        effects.push(Effect::ProbeNetwork { timer });
        effects
    }

    pub(super) fn network_probed(
        &mut self,
        now: MonoMs,
        reachable: bool,
    ) -> Result<Effects, Illegal> {
        let State::Recovering {
            climb,
            stage:
                Stage::Outage {
                    epoch,
                    probes,
                    reachable: was,
                    ..
                },
        } = self.state
        else {
            return Err(Illegal {
                state: self.state.name(),
                event: "network probed".to_owned(),
            });
        };
        if reachable && epoch.is_none() {
            // No page lives that could reconnect by itself.
            return Ok(self.load_again(now, climb));
        }
        let probes = if reachable {
            probes
        } else {
            probes.saturating_add(1)
        };
        let after_ms = if reachable {
            self.policy.deadlines.reconnect_ms
        } else {
            // Never zero: a probe that fails at once must not spin.
            self.policy
                .network_backoff
                .delay(probes, &mut self.random)
                .max(100)
        };
        let timer = self.arm();
        self.state = State::Recovering {
            climb,
            stage: Stage::Outage {
                epoch,
                timer,
                probes,
                reachable,
            },
        };
        let woken = epoch.filter(|_| reachable && !was);
        let mut effects: Effects = woken
            .map(|epoch| Effect::Reconnect { epoch })
            .into_iter()
            .collect();
        effects.push(Effect::Arm { timer, after_ms });
        Ok(effects)
    }

    /// The network is back, as far as a probe can tell: loads the page anew,
    /// or starts what does not run. Where that finds no network again and
    /// again, the probe and the browser disagree: then with growing waits, and
    /// at last by the ladder.
    fn load_again(&mut self, now: MonoMs, climb: Climb) -> Effects {
        let rung = climb.rung.max(Rung::Reload);
        let attempt = if climb.rung == rung {
            climb.attempt.saturating_add(1)
        } else {
            1
        };
        if attempt > LOADS_BEFORE_CLIMB {
            return self.next_rung(now, Some(climb), Kind::NetworkDown, Rung::Reload);
        }
        let climb = Climb {
            rung,
            attempt,
            ..climb
        };
        let after_ms = self
            .policy
            .ladder
            .backoff
            .delay(attempt - 1, &mut self.random);
        self.take_or_wait(climb, OpenStep::Reload, after_ms)
    }

    /// Leaves the link to the other one, or takes it back so often as is
    /// allowed: two that take over from each other for ever help nobody.
    fn conflict(&mut self, now: MonoMs, failure: &Failure, alive: Option<Epoch>) -> Effects {
        match (self.policy.conflict, alive) {
            (ConflictPolicy::Yield, Some(epoch)) => self.yield_to_other(failure, epoch),
            (ConflictPolicy::TakeOver, Some(epoch))
                if !self.ladder.may_take_over(&self.policy.ladder, now) =>
            {
                self.yield_to_other(failure, epoch)
            }
            // The page lives and need only ask for its link.
            (ConflictPolicy::TakeOver, Some(_)) => {
                let mut effects = self.note_failure(failure);
                let climb = self.state.climb();
                effects.extend(self.next_rung(now, climb, failure.kind, Rung::Retry));
                effects
            }
            // A link that never came up is no page to leave to others.
            (ConflictPolicy::Yield | ConflictPolicy::TakeOver, None) => self.climb(now, failure),
        }
    }

    fn yield_to_other(&mut self, failure: &Failure, epoch: Epoch) -> Effects {
        let mut effects = self.note_failure(failure);
        effects.push(Effect::CloseIncident {
            end: IncidentEnd::Yielded,
        });
        self.state = State::Conflict { epoch };
        effects
    }

    fn park(&mut self, failure: &Failure) -> Effects {
        let mut effects = self.note_failure(failure);
        effects.extend(self.give_up(failure.kind));
        effects
    }

    /// Only a person can help: closes the browser and waits for one.
    fn give_up(&mut self, kind: Kind) -> Effects {
        self.state = State::Parked { kind };
        vec![
            Effect::CloseIncident {
                end: IncidentEnd::Parked,
            },
            Effect::KeepParked {
                reason: Some(kind.as_str()),
            },
            Effect::Close {
                how: Close::Graceful {
                    deadline_ms: self.policy.deadlines.close_ms,
                },
            },
        ]
    }
}

/// The cheapest rung for a session, where it differs from the rung that the
/// failed call itself would need.
fn session_rung(failure: &Failure) -> Rung {
    match failure.kind {
        Kind::PageHung => Rung::TerminateScript,
        // The profile that WhatsApp refused is never offered again.
        Kind::AuthRequired | Kind::AuthFailed => Rung::Relink,
        // Bring the last good one back before a phone is asked for.
        Kind::ProfileCorrupt => Rung::RestoreProfile,
        Kind::BrowserGone | Kind::ProfileLocked | Kind::ResourcesExhausted => Rung::RestartBrowser,
        Kind::LaunchFailedMissingBrowser
        | Kind::LaunchFailedMissingLibs
        | Kind::LaunchFailedSandbox
        | Kind::WaIncompatible => Rung::Operator,
        Kind::PageGone
        | Kind::Conflict
        | Kind::TransientContext
        | Kind::NavigationTimeout
        | Kind::NetworkDown
        | Kind::BannedOrRestricted
        | Kind::RecipientInvalid
        | Kind::MediaInvalid
        | Kind::RateLimited
        | Kind::PermanentRequestError
        | Kind::Unknown => failure.rung.max(Rung::Reload).min(Rung::RestartBrowser),
    }
}

/// How a rung opens the next connection.
fn open_step(climb: Climb) -> OpenStep {
    match climb.rung {
        // What a person, or WhatsApp, must mend is in the page: load it anew.
        Rung::Operator if climb.kind == Kind::WaIncompatible => OpenStep::Reload,
        Rung::TerminateScript => OpenStep::TerminateScript,
        Rung::Retry if climb.kind == Kind::Conflict => OpenStep::TakeOver,
        Rung::Retry | Rung::Reload | Rung::RejectMessage => OpenStep::Reload,
        Rung::NewPage => OpenStep::NewPage,
        Rung::RestartBrowser | Rung::Operator => OpenStep::RestartBrowser,
        Rung::RestoreProfile => OpenStep::RestoreProfile,
        Rung::Relink => OpenStep::FreshProfile,
    }
}

/// A phase that outlived its deadline.
pub(super) fn phase_timeout(operation: Operation, after_ms: u64) -> Failure {
    classify(&Observed {
        operation,
        evidence: Evidence::PhaseTimeout { after_ms },
    })
}
