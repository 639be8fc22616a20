//! The machine itself: one match shows every legal move.

use super::effect::{Effect, IncidentEnd, TimerGen};
use super::event::Event;
use super::policy::{ConflictPolicy, Policy};
use super::state::{Login, Stage, State};
use crate::backoff::Random;
use crate::failure::{Evidence, Failure, Kind, Observed, Operation, Rung, classify};
use crate::ids::Epoch;
use crate::ladder::{Climb, Ladder, Next};
use crate::port::{Close, OpenStep, Phase};
use crate::time::MonoMs;

/// A move that the machine does not know: a defect of the driver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} is no legal event in state {state}")]
pub struct Illegal {
    /// The state's name.
    pub state: &'static str,
    /// The event.
    pub event: String,
}

/// One session's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    state: State,
    policy: Policy,
    ladder: Ladder,
    random: Random,
    epoch: Epoch,
    timer: TimerGen,
}

/// What a step leads to: the effects, in the order in which they are to run.
type Effects = Vec<Effect>;

impl Machine {
    /// A stopped session. The seed makes its jitter repeatable; `epoch` is the
    /// last one used, so that epochs go on growing over restarts.
    pub fn new(policy: Policy, seed: u64, epoch: Epoch) -> Self {
        Self {
            state: State::Stopped,
            policy,
            ladder: Ladder::default(),
            random: Random::new(seed),
            epoch,
            timer: TimerGen(0),
        }
    }

    /// A session that a person must look at first, as it was kept on disk.
    pub fn parked(policy: Policy, seed: u64, kind: Kind) -> Self {
        Self {
            state: State::Parked { kind },
            ..Self::new(policy, seed, Epoch(0))
        }
    }

    /// Where it stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes one event. Late ones, of an older epoch or timer, change nothing.
    pub fn step(&mut self, now: MonoMs, event: Event) -> Result<Effects, Illegal> {
        match event {
            Event::Start => Ok(self.start()),
            Event::Stop => Ok(self.stop()),
            Event::Restart => Ok(self.restart()),
            Event::Logout => Ok(self.log_out()),
            Event::OpenFailed { epoch, failure } => self.open_failed(now, epoch, &failure),
            Event::Phase { epoch, phase } if self.is_live(epoch) => {
                Ok(self.phase(now, epoch, phase))
            }
            Event::Qr {
                epoch,
                expires_in_ms,
            } if self.is_live(epoch) => Ok(self.qr(epoch, expires_in_ms)),
            Event::Linked { epoch } if self.is_live(epoch) => Ok(self.linked(epoch)),
            Event::Failed { epoch, failure } if self.is_live(epoch) => {
                Ok(self.failed(now, &failure, Some(epoch)))
            }
            Event::Timer { timer } if self.state.timer() == Some(timer) => self.timer(now),
            Event::NetworkProbed { timer, reachable } if self.state.timer() == Some(timer) => {
                self.network_probed(reachable)
            }
            // Late: the connection or timer that it belongs to is over.
            Event::Phase { .. }
            | Event::Qr { .. }
            | Event::Linked { .. }
            | Event::Failed { .. }
            | Event::Timer { .. }
            | Event::NetworkProbed { .. } => Ok(vec![]),
        }
    }

    fn is_live(&self, epoch: Epoch) -> bool {
        self.state.epoch() == Some(epoch)
    }

    // ------------------------------------------------------------ people

    fn start(&mut self) -> Effects {
        match self.state {
            State::Stopped => self.begin(OpenStep::Launch),
            // A person's start is the person's word on what we waited for.
            State::Conflict { .. } => self.begin(OpenStep::Reload),
            State::Parked { .. } => {
                self.ladder.reset();
                let mut effects = vec![Effect::KeepParked { reason: None }];
                effects.extend(self.begin(OpenStep::RestartBrowser));
                effects
            }
            State::LoggedOut => self.begin(OpenStep::FreshProfile),
            // It runs already.
            State::Starting { .. }
            | State::Linking { .. }
            | State::Syncing { .. }
            | State::Ready { .. }
            | State::Recovering { .. } => vec![],
        }
    }

    fn stop(&mut self) -> Effects {
        let mut effects = self.end_incident(IncidentEnd::Stopped);
        match self.state {
            // Nothing runs; that a person must decide is not forgotten.
            State::Stopped | State::LoggedOut | State::Parked { .. } => return effects,
            State::Starting { .. }
            | State::Linking { .. }
            | State::Syncing { .. }
            | State::Ready { .. }
            | State::Recovering { .. }
            | State::Conflict { .. } => {}
        }
        effects.push(Effect::Close {
            how: Close::Graceful {
                deadline_ms: self.policy.deadlines.close_ms,
            },
        });
        self.state = State::Stopped;
        effects
    }

    fn restart(&mut self) -> Effects {
        match self.state {
            State::Stopped | State::LoggedOut | State::Parked { .. } | State::Conflict { .. } => {
                return self.start();
            }
            State::Starting { .. }
            | State::Linking { .. }
            | State::Syncing { .. }
            | State::Ready { .. }
            | State::Recovering { .. } => {}
        }
        let mut effects = self.end_incident(IncidentEnd::Stopped);
        effects.push(Effect::Close {
            how: Close::Graceful {
                deadline_ms: self.policy.deadlines.close_ms,
            },
        });
        effects.extend(self.begin(OpenStep::RestartBrowser));
        effects
    }

    fn log_out(&mut self) -> Effects {
        let mut effects = self.end_incident(IncidentEnd::Stopped);
        effects.push(Effect::LogOut {
            epoch: self.state.epoch(),
        });
        if let State::Parked { .. } = self.state {
            effects.push(Effect::KeepParked { reason: None });
        }
        self.state = State::LoggedOut;
        effects
    }

    // ------------------------------------------------------------ engine

    fn open_failed(
        &mut self,
        now: MonoMs,
        epoch: Epoch,
        failure: &Failure,
    ) -> Result<Effects, Illegal> {
        if !self.is_live(epoch) {
            return Ok(vec![]);
        }
        match self.state {
            State::Starting { .. }
            | State::Syncing { .. }
            | State::Recovering {
                stage: Stage::Opening { .. },
                ..
            } => Ok(self.failed(now, failure, None)),
            State::Stopped
            | State::Linking { .. }
            | State::Ready { .. }
            | State::Recovering { .. }
            | State::Conflict { .. }
            | State::LoggedOut
            | State::Parked { .. } => Err(Illegal {
                state: self.state.name(),
                event: format!("open of {epoch:?} failed"),
            }),
        }
    }

    fn phase(&mut self, now: MonoMs, epoch: Epoch, phase: Phase) -> Effects {
        match phase {
            Phase::Loading => match self.state {
                // WhatsApp reloads itself for an update.
                State::Ready { .. } => self.went_back(epoch),
                // Between the scan and the first sync the page connects anew.
                State::Linking { .. }
                | State::Starting { .. }
                | State::Syncing { .. }
                | State::Recovering { .. }
                | State::Conflict { .. }
                | State::Stopped
                | State::LoggedOut
                | State::Parked { .. } => vec![],
            },
            Phase::Linking => match self.state {
                State::Starting { .. }
                | State::Syncing { .. }
                | State::Ready { .. }
                | State::Recovering { .. }
                | State::Conflict { .. } => self.linking(epoch),
                State::Linking { .. }
                | State::Stopped
                | State::LoggedOut
                | State::Parked { .. } => vec![],
            },
            Phase::Syncing => match self.state {
                State::Starting { .. } => self.syncing(epoch, Login::Stored, None),
                State::Linking { login, climb, .. } => self.syncing(epoch, login, climb),
                State::Recovering { climb, .. } => self.recovering_syncs(epoch, climb),
                // A ready session that syncs again has missed messages: it
                // does not send until it has caught up.
                State::Ready { .. } => self.went_back(epoch),
                State::Syncing { .. }
                | State::Conflict { .. }
                | State::Stopped
                | State::LoggedOut
                | State::Parked { .. } => vec![],
            },
            Phase::Ready => match self.state {
                State::Linking {
                    login: Login::Fresh,
                    climb,
                    ..
                }
                | State::Syncing {
                    login: Login::Fresh,
                    climb,
                    ..
                } => self.secure(climb),
                State::Starting { .. }
                | State::Linking { .. }
                | State::Syncing { .. }
                | State::Recovering { .. }
                | State::Conflict { .. } => self.ready(now, epoch),
                State::Ready { .. } | State::Stopped | State::LoggedOut | State::Parked { .. } => {
                    vec![]
                }
            },
            Phase::Offline => match self.state {
                State::Starting { .. }
                | State::Linking { .. }
                | State::Syncing { .. }
                | State::Ready { .. }
                | State::Recovering {
                    stage: Stage::Opening { .. },
                    ..
                } => {
                    let failure = classify(&Observed {
                        operation: Operation::Listen,
                        evidence: Evidence::SocketState {
                            state: "OFFLINE".to_owned(),
                        },
                    });
                    self.outage(&failure, Some(epoch))
                }
                State::Recovering {
                    stage: Stage::Waiting { .. } | Stage::Outage { .. },
                    ..
                }
                | State::Conflict { .. }
                | State::Stopped
                | State::LoggedOut
                | State::Parked { .. } => vec![],
            },
        }
    }

    fn recovering_syncs(&mut self, epoch: Epoch, climb: Climb) -> Effects {
        let timer = self.arm();
        self.state = State::Recovering {
            climb,
            stage: Stage::Opening { epoch, timer },
        };
        vec![Effect::Arm {
            timer,
            after_ms: self.policy.deadlines.syncing_ms,
        }]
    }

    fn linking(&mut self, epoch: Epoch) -> Effects {
        let climb = self.state.climb();
        let timer = self.arm();
        self.state = State::Linking {
            epoch,
            timer,
            login: Login::Stored,
            climb,
        };
        vec![Effect::Arm {
            timer,
            after_ms: self.policy.deadlines.linking_ms,
        }]
    }

    /// A phone has just linked the profile.
    fn linked(&mut self, epoch: Epoch) -> Effects {
        let mut effects = vec![Effect::NewLogin];
        let climb = self.state.climb();
        match &mut self.state {
            State::Linking { login, .. } | State::Syncing { login, .. } => *login = Login::Fresh,
            State::Starting { .. } | State::Recovering { .. } | State::Conflict { .. } => {
                effects.extend(self.syncing(epoch, Login::Fresh, climb));
            }
            State::Ready { .. } => effects.extend(self.secure(None)),
            State::Stopped | State::LoggedOut | State::Parked { .. } => {}
        }
        effects
    }

    /// Closes the browser cleanly, so that a fresh login is on disk, and
    /// starts it again, before the first message depends on that login.
    fn secure(&mut self, climb: Option<Climb>) -> Effects {
        let epoch = self.next_epoch();
        let timer = self.arm();
        self.state = State::Syncing {
            epoch,
            timer,
            login: Login::Stored,
            climb,
        };
        vec![
            Effect::Open {
                step: OpenStep::Secure,
                epoch,
            },
            Effect::Arm {
                timer,
                after_ms: self.policy.deadlines.syncing_ms,
            },
        ]
    }

    fn syncing(&mut self, epoch: Epoch, login: Login, climb: Option<Climb>) -> Effects {
        let timer = self.arm();
        self.state = State::Syncing {
            epoch,
            timer,
            login,
            climb,
        };
        vec![Effect::Arm {
            timer,
            after_ms: self.policy.deadlines.syncing_ms,
        }]
    }

    fn ready(&mut self, now: MonoMs, epoch: Epoch) -> Effects {
        let mut effects = match self.state.climb() {
            Some(climb) => vec![Effect::CloseIncident {
                end: IncidentEnd::Recovered { by: climb.rung },
            }],
            None => vec![],
        };
        let timer = self.arm();
        self.state = State::Ready {
            epoch,
            since: now,
            timer,
        };
        effects.push(Effect::Arm {
            timer,
            after_ms: self.policy.deadlines.stable_ms,
        });
        effects
    }

    /// A working page began anew by itself. Nothing is to be done but to wait,
    /// bounded: it is on its way to ready.
    fn went_back(&mut self, epoch: Epoch) -> Effects {
        let failure = classify(&Observed {
            operation: Operation::Listen,
            evidence: Evidence::Cdp(crate::failure::CdpFault::ContextLost { in_flight: false }),
        });
        let mut effects = self.note_failure(&failure);
        let climb = self.state.climb().unwrap_or(Climb {
            kind: failure.kind,
            rung: Rung::Retry,
            attempt: 1,
            restarts: 0,
            restored: false,
        });
        let timer = self.arm();
        self.state = State::Recovering {
            climb,
            stage: Stage::Opening { epoch, timer },
        };
        effects.push(Effect::IncidentStep {
            rung: Some(Rung::Retry),
            detail: "the page loads anew by itself; waiting until it is ready".to_owned(),
        });
        effects.push(Effect::Arm {
            timer,
            after_ms: self.policy.deadlines.starting_ms,
        });
        effects
    }

    fn qr(&mut self, epoch: Epoch, expires_in_ms: u64) -> Effects {
        let mut effects = match self.state {
            State::Linking { .. } => vec![],
            State::Starting { .. }
            | State::Syncing { .. }
            | State::Ready { .. }
            | State::Recovering { .. }
            | State::Conflict { .. }
            | State::Stopped
            | State::LoggedOut
            | State::Parked { .. } => self.linking(epoch),
        };
        if let State::Linking { login, climb, .. } = self.state {
            let timer = self.arm();
            self.state = State::Linking {
                epoch,
                timer,
                login,
                climb,
            };
            effects.push(Effect::Arm {
                timer,
                after_ms: expires_in_ms.saturating_add(self.policy.deadlines.linking_ms),
            });
        }
        effects
    }

    // ------------------------------------------------------------ failures

    fn failed(&mut self, now: MonoMs, failure: &Failure, alive: Option<Epoch>) -> Effects {
        match failure.kind {
            // One message's own fault, or its pace: never the session's.
            Kind::RecipientInvalid
            | Kind::MediaInvalid
            | Kind::PermanentRequestError
            | Kind::RateLimited => vec![],
            Kind::NetworkDown => self.outage(failure, alive),
            Kind::BannedOrRestricted => self.park(failure),
            Kind::Conflict => match (self.policy.conflict, alive) {
                (ConflictPolicy::Yield, Some(epoch)) => self.yield_to_other(failure, epoch),
                (ConflictPolicy::Yield, None) | (ConflictPolicy::TakeOver, _) => {
                    self.climb(now, failure)
                }
            },
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

    fn climb(&mut self, now: MonoMs, failure: &Failure) -> Effects {
        let mut effects = self.note_failure(failure);
        let next = self.ladder.next(
            &self.policy.ladder,
            now,
            self.state.climb(),
            failure.kind,
            session_rung(failure),
            &mut self.random,
        );
        match next {
            Next::GiveUp => {
                effects.extend(self.park(failure));
            }
            Next::Step { climb, after_ms } => {
                let step = open_step(climb);
                if after_ms == 0 {
                    effects.extend(self.take_step(climb, step));
                } else {
                    effects.extend(self.wait_for_step(climb, step, after_ms));
                }
            }
        }
        effects
    }

    fn take_step(&mut self, climb: Climb, step: OpenStep) -> Effects {
        let epoch = self.next_epoch();
        let timer = self.arm();
        self.state = State::Recovering {
            climb,
            stage: Stage::Opening { epoch, timer },
        };
        vec![
            Effect::IncidentStep {
                rung: Some(climb.rung),
                detail: format!("{} (try {})", climb.rung, climb.attempt),
            },
            Effect::Open { step, epoch },
            Effect::Arm {
                timer,
                after_ms: self.policy.deadlines.starting_ms,
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

    fn outage(&mut self, failure: &Failure, alive: Option<Epoch>) -> Effects {
        let mut effects = self.note_failure(failure);
        let climb = Climb {
            kind: failure.kind,
            ..self.state.climb().unwrap_or(Climb {
                kind: failure.kind,
                rung: Rung::Retry,
                attempt: 1,
                restarts: 0,
                restored: false,
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

    fn network_probed(&mut self, reachable: bool) -> Result<Effects, Illegal> {
        let State::Recovering {
            climb,
            stage: Stage::Outage { epoch, probes, .. },
        } = self.state
        else {
            return Err(Illegal {
                state: self.state.name(),
                event: "network probed".to_owned(),
            });
        };
        if reachable && epoch.is_none() {
            // No page lives that could reconnect by itself.
            return Ok(self.take_step(climb, OpenStep::Launch));
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
        Ok(vec![Effect::Arm { timer, after_ms }])
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
        effects.push(Effect::CloseIncident {
            end: IncidentEnd::Parked,
        });
        effects.push(Effect::KeepParked {
            reason: Some(failure.kind.as_str()),
        });
        effects.push(Effect::Close {
            how: Close::Graceful {
                deadline_ms: self.policy.deadlines.close_ms,
            },
        });
        self.state = State::Parked { kind: failure.kind };
        effects
    }

    // ------------------------------------------------------------ timers

    fn timer(&mut self, now: MonoMs) -> Result<Effects, Illegal> {
        match self.state {
            State::Ready { .. } => {
                // Stable for long enough: past failures are forgotten.
                self.ladder.reset();
                Ok(vec![])
            }
            State::Recovering {
                climb,
                stage: Stage::Waiting { step, .. },
            } => Ok(self.take_step(climb, step)),
            State::Recovering {
                stage: Stage::Outage {
                    reachable: false, ..
                },
                ..
            } => {
                let timer = self.rearm();
                Ok(vec![Effect::ProbeNetwork { timer }])
            }
            State::Recovering {
                stage: Stage::Outage { .. },
                ..
            } => {
                // The network is there, and the page did not come back by itself.
                let failure =
                    phase_timeout(Operation::Navigate, self.policy.deadlines.reconnect_ms);
                Ok(self.climb(now, &failure))
            }
            State::Starting { .. }
            | State::Recovering {
                stage: Stage::Opening { .. },
                ..
            } => {
                let failure = phase_timeout(Operation::Navigate, self.policy.deadlines.starting_ms);
                Ok(self.climb(now, &failure))
            }
            State::Linking { .. } => {
                let failure = phase_timeout(Operation::Navigate, self.policy.deadlines.linking_ms);
                Ok(self.climb(now, &failure))
            }
            State::Syncing { .. } => {
                let failure = phase_timeout(Operation::Navigate, self.policy.deadlines.syncing_ms);
                Ok(self.climb(now, &failure))
            }
            State::Stopped | State::Conflict { .. } | State::LoggedOut | State::Parked { .. } => {
                Err(Illegal {
                    state: self.state.name(),
                    event: "timer".to_owned(),
                })
            }
        }
    }

    // ------------------------------------------------------------ parts

    fn begin(&mut self, step: OpenStep) -> Effects {
        let epoch = self.next_epoch();
        let timer = self.arm();
        self.state = State::Starting { epoch, timer };
        vec![
            Effect::Open { step, epoch },
            Effect::Arm {
                timer,
                after_ms: self.policy.deadlines.starting_ms,
            },
        ]
    }

    /// Opens an incident, or adds to the one that is open.
    fn note_failure(&self, failure: &Failure) -> Effects {
        if self.state.climb().is_some() {
            vec![Effect::IncidentFailure {
                failure: failure.clone(),
            }]
        } else {
            vec![Effect::OpenIncident {
                failure: failure.clone(),
            }]
        }
    }

    fn end_incident(&self, end: IncidentEnd) -> Effects {
        match self.state.climb() {
            Some(_) => vec![Effect::CloseIncident { end }],
            None => vec![],
        }
    }

    fn next_epoch(&mut self) -> Epoch {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.epoch
    }

    fn arm(&mut self) -> TimerGen {
        self.timer = TimerGen(self.timer.0 + 1);
        self.timer
    }

    /// A new generation for the outage's own timer, kept in the state.
    fn rearm(&mut self) -> TimerGen {
        let next = self.arm();
        if let State::Recovering {
            stage: Stage::Outage { timer, .. },
            ..
        } = &mut self.state
        {
            *timer = next;
        }
        next
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
        Rung::Retry | Rung::Reload | Rung::RejectMessage => OpenStep::Reload,
        Rung::NewPage => OpenStep::NewPage,
        Rung::RestartBrowser | Rung::Operator => OpenStep::RestartBrowser,
        Rung::RestoreProfile => OpenStep::RestoreProfile,
        Rung::Relink => OpenStep::FreshProfile,
    }
}

fn phase_timeout(operation: Operation, after_ms: u64) -> Failure {
    classify(&Observed {
        operation,
        evidence: Evidence::PhaseTimeout { after_ms },
    })
}
