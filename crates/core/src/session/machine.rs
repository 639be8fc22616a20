//! The machine itself: one match shows every legal move.

use super::effect::{Effect, IncidentEnd, TimerGen};
use super::event::Event;
use super::policy::Policy;
use super::recovery::phase_timeout;
use super::state::{Login, Recycle, Stage, State};
use crate::backoff::Random;
use crate::failure::{Failure, Kind, Operation};
use crate::ids::Epoch;
use crate::ladder::Ladder;
use crate::port::{Close, OpenStep};
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
    pub(super) state: State,
    pub(super) policy: Policy,
    pub(super) ladder: Ladder,
    pub(super) random: Random,
    /// Of the profile, whatever state it is in: a failure between the scan and
    /// ready does not put it on disk.
    pub(super) login: Login,
    epoch: Epoch,
    timer: TimerGen,
}

/// What a step leads to: the effects, in the order in which they are to run.
pub(super) type Effects = Vec<Effect>;

impl Machine {
    /// A stopped session. The seed makes its jitter repeatable; `epoch` is the
    /// last one used, so that epochs go on growing over restarts.
    pub fn new(policy: Policy, seed: u64, epoch: Epoch) -> Self {
        Self {
            state: State::Stopped,
            policy,
            ladder: Ladder::default(),
            random: Random::new(seed),
            login: Login::Stored,
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
            Event::PasskeyWanted {
                epoch,
                expires_in_ms,
            } if self.is_live(epoch) => Ok(self.passkey_wanted(epoch, expires_in_ms)),
            Event::Linked { epoch } if self.is_live(epoch) => Ok(self.linked(epoch)),
            Event::Failed { epoch, failure } if self.is_live(epoch) => {
                Ok(self.failed(now, &failure, Some(epoch)))
            }
            Event::Timer { timer } if self.state.timer() == Some(timer) => self.timer(now),
            Event::NetworkProbed { timer, reachable } if self.state.timer() == Some(timer) => {
                self.network_probed(now, reachable)
            }
            Event::Recycle { epoch, why } if self.is_live(epoch) => Ok(self.drain(epoch, why)),
            Event::Drained { epoch } if self.is_live(epoch) => Ok(self.drained()),
            // Late: the connection or timer that it belongs to is over.
            Event::Phase { .. }
            | Event::Qr { .. }
            | Event::PasskeyWanted { .. }
            | Event::Linked { .. }
            | Event::Failed { .. }
            | Event::Timer { .. }
            | Event::NetworkProbed { .. }
            | Event::Recycle { .. }
            | Event::Drained { .. } => Ok(vec![]),
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
            | State::Draining { .. }
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
            | State::Draining { .. }
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
            | State::Draining { .. }
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
            | State::Draining { .. }
            | State::Recovering { .. }
            | State::Conflict { .. }
            | State::LoggedOut
            | State::Parked { .. } => Err(Illegal {
                state: self.state.name(),
                event: format!("open of {epoch:?} failed"),
            }),
        }
    }

    // ------------------------------------------------------------ recycling

    /// A working browser is to be replaced: what is in flight ends first.
    fn drain(&mut self, epoch: Epoch, why: Recycle) -> Effects {
        let State::Ready { .. } = self.state else {
            // A failure came first, and its recovery does more than this would.
            return vec![];
        };
        let timer = self.arm();
        self.state = State::Draining { epoch, timer, why };
        vec![
            Effect::Drain { why },
            Effect::Arm {
                timer,
                after_ms: self.policy.deadlines.drain_ms,
            },
        ]
    }

    /// Nothing is in flight any more. The browser has worked, and closes
    /// cleanly: the time to keep a copy of its profile.
    fn drained(&mut self) -> Effects {
        match self.state {
            State::Draining { .. } => self.begin(OpenStep::Secure),
            State::Stopped
            | State::Starting { .. }
            | State::Linking { .. }
            | State::Syncing { .. }
            | State::Ready { .. }
            | State::Recovering { .. }
            | State::Conflict { .. }
            | State::LoggedOut
            | State::Parked { .. } => vec![],
        }
    }

    // ------------------------------------------------------------ timers

    fn timer(&mut self, now: MonoMs) -> Result<Effects, Illegal> {
        match self.state {
            State::Ready { .. } => {
                // Stable for long enough: past failures are forgotten.
                self.ladder.reset();
                Ok(vec![])
            }
            // What is still in flight is looked up afterwards.
            State::Draining { .. } => Ok(self.drained()),
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
            State::Starting { .. } => {
                let failure = phase_timeout(Operation::Navigate, self.policy.deadlines.starting_ms);
                Ok(self.climb(now, &failure))
            }
            State::Recovering {
                stage: Stage::Opening { within_ms, .. },
                ..
            } => {
                let failure = phase_timeout(Operation::Navigate, within_ms);
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
    pub(super) fn note_failure(&self, failure: &Failure) -> Effects {
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

    pub(super) fn next_epoch(&mut self) -> Epoch {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.epoch
    }

    pub(super) fn arm(&mut self) -> TimerGen {
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
