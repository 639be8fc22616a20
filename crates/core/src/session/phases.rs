//! How the machine reads what a connection reports of itself: its phase, by
//! level, its QR codes, and that a phone has linked it.

use super::effect::{Effect, IncidentEnd};
use super::machine::{Effects, Machine};
use super::state::{Login, Stage, State};
use crate::failure::{CdpFault, Evidence, Observed, Operation, Rung, classify};
use crate::ids::Epoch;
use crate::ladder::Climb;
use crate::port::{OpenStep, Phase};
use crate::time::MonoMs;

impl Machine {
    pub(super) fn phase(&mut self, now: MonoMs, epoch: Epoch, phase: Phase) -> Effects {
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
                // It is restarted soon anyway.
                | State::Draining { .. }
                | State::Stopped
                | State::LoggedOut
                | State::Parked { .. } => vec![],
            },
            Phase::Linking => match self.state {
                State::Starting { .. }
                | State::Syncing { .. }
                | State::Ready { .. }
                | State::Draining { .. }
                | State::Recovering { .. }
                | State::Conflict { .. } => self.linking(epoch),
                State::Linking { .. }
                | State::Stopped
                | State::LoggedOut
                | State::Parked { .. } => vec![],
            },
            Phase::Syncing => match self.state {
                State::Starting { .. } => self.syncing(epoch, None),
                State::Linking { climb, .. } => self.syncing(epoch, climb),
                State::Recovering { climb, .. } => self.recovering_syncs(epoch, climb),
                // A ready session that syncs again has missed messages: it
                // does not send until it has caught up.
                State::Ready { .. } => self.went_back(epoch),
                State::Syncing { .. }
                | State::Draining { .. }
                | State::Conflict { .. }
                | State::Stopped
                | State::LoggedOut
                | State::Parked { .. } => vec![],
            },
            Phase::Ready => match self.state {
                State::Starting { .. }
                | State::Linking { .. }
                | State::Syncing { .. }
                | State::Recovering { .. }
                | State::Conflict { .. } => match self.login {
                    Login::Fresh => self.secure(self.state.climb()),
                    Login::Stored => self.ready(now, epoch),
                },
                State::Ready { .. }
                | State::Draining { .. }
                | State::Stopped
                | State::LoggedOut
                | State::Parked { .. } => vec![],
            },
            Phase::Offline => match self.state {
                State::Starting { .. }
                | State::Linking { .. }
                | State::Syncing { .. }
                | State::Ready { .. }
                | State::Draining { .. }
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

    /// What a login that was ready before has missed is soon fetched: a page
    /// that takes long over it may have lost its storage, which nothing else
    /// tells. One that is only slow gets twice the time with each try.
    fn recovering_syncs(&mut self, epoch: Epoch, climb: Climb) -> Effects {
        let timer = self.arm();
        let deadlines = &self.policy.deadlines;
        let within_ms = deadlines
            .resync_ms
            .saturating_mul(1_u64.checked_shl(climb.syncs).unwrap_or(u64::MAX))
            .min(deadlines.syncing_ms);
        self.state = State::Recovering {
            climb: Climb {
                syncs: climb.syncs.saturating_add(1),
                ..climb
            },
            stage: Stage::Opening {
                epoch,
                timer,
                within_ms,
            },
        };
        vec![Effect::Arm {
            timer,
            after_ms: within_ms,
        }]
    }

    fn linking(&mut self, epoch: Epoch) -> Effects {
        let climb = self.state.climb();
        let timer = self.arm();
        self.state = State::Linking {
            epoch,
            timer,
            climb,
        };
        vec![Effect::Arm {
            timer,
            after_ms: self.policy.deadlines.linking_ms,
        }]
    }

    /// A phone has just linked the profile.
    pub(super) fn linked(&mut self, epoch: Epoch) -> Effects {
        let mut effects = vec![Effect::NewLogin];
        self.login = Login::Fresh;
        match self.state {
            State::Starting { .. } | State::Recovering { .. } | State::Conflict { .. } => {
                effects.extend(self.syncing(epoch, self.state.climb()));
            }
            State::Ready { .. } | State::Draining { .. } => effects.extend(self.secure(None)),
            // On its way to ready already, or nowhere.
            State::Linking { .. }
            | State::Syncing { .. }
            | State::Stopped
            | State::LoggedOut
            | State::Parked { .. } => {}
        }
        effects
    }

    /// Closes the browser cleanly, so that a fresh login is on disk, and
    /// starts it again, before the first message depends on that login.
    fn secure(&mut self, climb: Option<Climb>) -> Effects {
        let epoch = self.next_epoch();
        let timer = self.arm();
        self.login = Login::Stored;
        self.state = State::Syncing {
            epoch,
            timer,
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

    fn syncing(&mut self, epoch: Epoch, climb: Option<Climb>) -> Effects {
        let timer = self.arm();
        self.state = State::Syncing {
            epoch,
            timer,
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
            evidence: Evidence::Cdp(CdpFault::ContextLost { in_flight: false }),
        });
        let mut effects = self.note_failure(&failure);
        let climb = self.state.climb().unwrap_or(Climb {
            kind: failure.kind,
            rung: Rung::Retry,
            attempt: 1,
            restarts: 0,
            restored: false,
            syncs: 0,
        });
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
        effects.push(Effect::IncidentStep {
            rung: Some(Rung::Retry),
            detail: "the page loads anew by itself; waiting until it is ready".to_owned(),
        });
        effects.push(Effect::Arm {
            timer,
            after_ms: within_ms,
        });
        effects
    }

    /// No code comes while a person looks for the passkey: they get the time
    /// that WhatsApp gives them.
    pub(super) fn passkey_wanted(&mut self, epoch: Epoch, expires_in_ms: u64) -> Effects {
        match self.state {
            State::Linking { .. }
            | State::Starting { .. }
            | State::Syncing { .. }
            | State::Recovering { .. }
            | State::Conflict { .. } => self.qr(epoch, expires_in_ms),
            // Linked: whatever it is asked for is no part of linking.
            State::Ready { .. }
            | State::Draining { .. }
            | State::Stopped
            | State::LoggedOut
            | State::Parked { .. } => vec![],
        }
    }

    pub(super) fn qr(&mut self, epoch: Epoch, expires_in_ms: u64) -> Effects {
        let mut effects = match self.state {
            State::Linking { .. } => vec![],
            State::Starting { .. }
            | State::Syncing { .. }
            | State::Ready { .. }
            | State::Draining { .. }
            | State::Recovering { .. }
            | State::Conflict { .. }
            | State::Stopped
            | State::LoggedOut
            | State::Parked { .. } => self.linking(epoch),
        };
        if let State::Linking { climb, .. } = self.state {
            let timer = self.arm();
            self.state = State::Linking {
                epoch,
                timer,
                climb,
            };
            effects.push(Effect::Arm {
                timer,
                after_ms: expires_in_ms.saturating_add(self.policy.deadlines.linking_ms),
            });
        }
        effects
    }
}
