//! One session's loop: feeds its machine, runs the machine's effects.

use super::canary::Sung;
use super::heartbeat::Rhythm;
use super::incidents::{IncidentLog, OpenIncident};
use super::operations::Operation;
use super::sink::CurrentEpoch;
use super::snapshot::{PasskeyStep, Snapshot};
use super::upkeep::Upkeep;
use crate::clock::{Clock, Random};
use crate::delivery::{InHand, Link};
use crate::metrics::Metrics;
use crate::sessions::{Me, PasskeyChallenge, QrCode};
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::failure::Failure;
use steadfast_core::ids::Epoch;
use steadfast_core::port::{
    Connector, Engine, EngineEvent, EngineHealth, PasskeyEnd, Phase, SessionRecord, Store,
    StoreError,
};
use steadfast_core::session::{Event, Machine, Recycle, Stage, State, TimerGen};
use steadfast_core::time::MonoMs;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

/// What happened outside of the machine.
pub(super) enum Input {
    /// The engine told something of its own accord.
    Engine(Epoch, EngineEvent),
    /// A connection was opened.
    Opened(Epoch, Arc<dyn Engine>),
    /// A connection could not be opened.
    OpenFailed(Epoch, Failure),
    /// A heartbeat was answered.
    Beat(Epoch, EngineHealth),
    /// Whoever asks wants to know when the login in use is on disk.
    LoginKept(Epoch, oneshot::Sender<()>),
    /// A canary came back, or did not.
    Canary(Epoch, Box<Sung>),
}

/// What a person wants. The reply comes when it is done, or has begun, as
/// the variants say.
pub(super) enum Want {
    /// Run. Replies once that has begun.
    Start,
    /// Run, where that is still what its record says and nobody has given
    /// another word meanwhile: the gateway's own start. Replies once that has begun.
    Begin,
    /// Do not run. Replies once the browser is gone.
    Stop,
    /// Begin anew. Replies once that has begun.
    Restart,
    /// Remove the link at WhatsApp and the profile here. Replies once both are done.
    LogOut,
    /// As `LogOut`, and end this actor. Replies once the profile is gone.
    Delete,
    /// Close for now: the wish to run is kept. Ends this actor. Replies once
    /// the browser is gone.
    Shutdown,
}

/// A wish and where to answer it.
pub(super) struct Command {
    pub(super) want: Want,
    pub(super) reply: oneshot::Sender<()>,
}

/// What an actor is made of.
pub(super) struct Parts {
    pub(super) record: SessionRecord,
    pub(super) machine: Machine,
    pub(super) rhythm: Rhythm,
    pub(super) upkeep: Upkeep,
    /// Between two canaries, where they are wanted.
    pub(super) canary_interval: Option<Duration>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) epoch: CurrentEpoch,
    pub(super) operations: mpsc::Sender<Operation>,
    pub(super) inputs: mpsc::Receiver<Input>,
    /// For tasks of the actor that report to it.
    pub(super) input: mpsc::Sender<Input>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) snapshot: watch::Sender<Snapshot>,
    pub(super) engine: watch::Sender<Option<Arc<dyn Engine>>>,
    pub(super) link: watch::Sender<Option<Link>>,
    /// What the session's delivery has in hand.
    pub(super) in_hand: watch::Receiver<InHand>,
    pub(super) incidents: IncidentLog,
}

/// One session's actor.
pub(super) struct Actor {
    pub(super) parts: Parts,
    pub(super) timer: Option<(TimerGen, Instant)>,
    pub(super) incident: Option<OpenIncident>,
    /// Heartbeat and canary of the connection that is ready.
    pub(super) vitals: JoinSet<()>,
    pub(super) vitals_epoch: Option<Epoch>,
    pub(super) probes: JoinSet<(TimerGen, bool)>,
    /// When the ready connection last gave a sign of life.
    pub(super) alive_at: Option<MonoMs>,
    /// A planned restart that is under way: why, and since when.
    pub(super) recycling: Option<(Recycle, MonoMs)>,
    /// When the record, which the store did not take, is offered again.
    pub(super) save_again_at: Option<Instant>,
    /// Who waits for the login to be on disk: one a connection at most.
    pub(super) login_kept: Vec<oneshot::Sender<()>>,
    /// When a heartbeat that ended under a live connection begins again.
    watch_again: Option<(Epoch, Instant)>,
}

/// Between two tries to store the record.
const SAVE_RETRY: Duration = Duration::from_secs(1);

impl Actor {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            parts,
            timer: None,
            incident: None,
            vitals: JoinSet::new(),
            vitals_epoch: None,
            probes: JoinSet::new(),
            alive_at: None,
            recycling: None,
            save_again_at: None,
            login_kept: Vec::new(),
            watch_again: None,
        }
    }

    /// Runs until the session is deleted, or shut down, or nobody holds its handle.
    pub(super) async fn run(mut self) {
        loop {
            let draining = match self.parts.machine.state() {
                State::Draining { epoch, .. } => Some(*epoch),
                _ => None,
            };
            tokio::select! {
                biased;
                command = self.parts.commands.recv() => match command {
                    Some(command) => {
                        if self.obey(command).await {
                            return;
                        }
                    }
                    None => return,
                },
                Some(input) = self.parts.inputs.recv() => self.take(input).await,
                Some(probed) = self.probes.join_next(), if !self.probes.is_empty() => {
                    // One that panicked has found no network; nobody else would go on.
                    let found = probed.ok().or_else(|| self.probe_timer().map(|t| (t, false)));
                    if let Some((timer, reachable)) = found {
                        self.feed(Event::NetworkProbed { timer, reachable }).await;
                    }
                }
                Some(ended) = self.vitals.join_next(), if !self.vitals.is_empty() => {
                    self.vital_ended(&ended);
                }
                () = at(self.watch_again.map(|(_, at)| at)) => self.watch_again(),
                () = at(self.save_again_at) => {
                    self.save().await;
                    // A link waits for its login to be on disk.
                    self.publish();
                }
                epoch = drained(draining, &mut self.parts.in_hand) => {
                    self.feed(Event::Drained { epoch }).await;
                }
                timer = fires(self.timer) => {
                    self.timer = None;
                    self.feed(Event::Timer { timer }).await;
                }
            }
        }
    }

    /// The timer of the probe that is waited for, where one is.
    fn probe_timer(&self) -> Option<TimerGen> {
        match self.parts.machine.state() {
            State::Recovering {
                stage: Stage::Outage { timer, .. },
                ..
            } => Some(*timer),
            _ => None,
        }
    }

    /// A heartbeat ends with what it found; where that, or a panic, left the
    /// session as it was, somebody has to watch it.
    fn vital_ended(&mut self, ended: &Result<(), JoinError>) {
        let aborted = ended.as_ref().is_err_and(JoinError::is_cancelled);
        if let Some(epoch) = self.vitals_epoch
            && !aborted
        {
            self.watch_again = Some((epoch, Instant::now() + self.parts.rhythm.interval));
        }
    }

    fn watch_again(&mut self) {
        let Some((epoch, _)) = self.watch_again.take() else {
            return;
        };
        if self.vitals_epoch == Some(epoch) {
            // Forgotten, so that it begins again where its connection is still ready.
            self.vitals.abort_all();
            self.vitals_epoch = None;
            self.publish();
        }
    }

    // ------------------------------------------------------------ people

    /// Does what a person wants; true where the actor is to end.
    async fn obey(&mut self, command: Command) -> bool {
        let Command { want, reply } = command;
        tracing::info!(event = "session_command", session = %self.parts.record.id, command = want.name());
        let ends = match want {
            Want::Start => {
                self.enable(true).await;
                self.feed(Event::Start).await;
                let _ = reply.send(());
                return false;
            }
            Want::Begin => {
                let stopped = matches!(self.parts.machine.state(), State::Stopped);
                if self.parts.record.enabled && stopped {
                    self.feed(Event::Start).await;
                }
                let _ = reply.send(());
                return false;
            }
            Want::Restart => {
                self.enable(true).await;
                self.feed(Event::Restart).await;
                let _ = reply.send(());
                return false;
            }
            Want::Stop => {
                self.enable(false).await;
                self.feed(Event::Stop).await;
                false
            }
            Want::LogOut => {
                self.enable(false).await;
                self.feed(Event::Logout).await;
                false
            }
            Want::Delete => {
                self.feed(Event::Logout).await;
                true
            }
            Want::Shutdown => {
                self.feed(Event::Stop).await;
                true
            }
        };
        // The caller may wait for the browser; the actor must not.
        let _ = self.parts.operations.send(Operation::Done(reply)).await;
        ends
    }

    async fn enable(&mut self, enabled: bool) {
        if self.parts.record.enabled != enabled {
            self.parts.record.enabled = enabled;
            self.save().await;
        }
    }

    /// Writes the record down. Where the store does not take it now, it is
    /// offered again until it does: what a person wished must outlive us.
    pub(super) async fn save(&mut self) {
        let record = self.parts.record.clone();
        self.save_again_at = match self.parts.store.update_session(record).await {
            Ok(()) | Err(StoreError::NoSession(_) | StoreError::Closed) => None,
            Err(error) => {
                tracing::error!(event = "session_not_stored", session = %self.parts.record.id, %error);
                Some(Instant::now() + SAVE_RETRY)
            }
        };
        self.tell_login_kept();
    }

    fn tell_login_kept(&mut self) {
        if self.save_again_at.is_none() {
            for reply in self.login_kept.drain(..) {
                let _ = reply.send(());
            }
        }
    }

    // ------------------------------------------------------------ engine

    async fn take(&mut self, input: Input) {
        match input {
            Input::Opened(epoch, engine) => {
                if self.parts.epoch.is(epoch) {
                    self.parts.engine.send_replace(Some(engine));
                    self.publish();
                }
            }
            Input::OpenFailed(epoch, failure) => {
                tracing::warn!(
                    event = "restart_failed", session = %self.parts.record.id,
                    kind = %failure.kind, evidence = failure.evidence,
                );
                self.note(&failure);
                self.feed(Event::OpenFailed { epoch, failure }).await;
            }
            Input::Beat(epoch, health) => self.beat_answered(epoch, health).await,
            Input::LoginKept(epoch, reply) => {
                if self.parts.epoch.is(epoch) {
                    self.login_kept.push(reply);
                    self.tell_login_kept();
                }
            }
            Input::Canary(epoch, sung) => {
                let Sung { report, evidence } = *sung;
                if !report.passed {
                    tracing::warn!(event = "canary_failed", session = %self.parts.record.id, detail = report.detail);
                }
                self.parts.snapshot.send_modify(|s| s.canary = Some(report));
                if let Some(failure) = evidence {
                    self.note(&failure);
                    self.feed(Event::Failed { epoch, failure }).await;
                }
            }
            Input::Engine(epoch, event) => self.engine_event(epoch, event).await,
        }
    }

    async fn beat_answered(&mut self, epoch: Epoch, health: EngineHealth) {
        if !self.parts.epoch.is(epoch) {
            return;
        }
        let (phase, memory) = (health.phase, health.browser_memory_bytes);
        let (seen, now) = (self.parts.clock.unix(), self.parts.clock.mono());
        self.alive_at = Some(now);
        self.parts.snapshot.send_modify(|s| {
            s.health = Some(health);
            s.last_seen = Some(seen);
        });
        // By level: an event that was missed is made good here.
        self.feed(Event::Phase { epoch, phase }).await;
        if let Some(why) = self.upkeep_due(now, memory).await {
            self.feed(Event::Recycle { epoch, why }).await;
        }
    }

    /// Whether the browser, which works, is to be replaced all the same.
    async fn upkeep_due(&mut self, now: MonoMs, memory: Option<u64>) -> Option<Recycle> {
        let State::Ready { .. } = self.parts.machine.state() else {
            return None;
        };
        if self.parts.upkeep.is_too_large(now, memory) {
            self.parts.upkeep.recycled_for_memory(now);
            return Some(Recycle::Memory);
        }
        if !self.parts.upkeep.may_be_replaced_for_age(now) {
            return None;
        }
        let session = &self.parts.record.id;
        let depth = self.parts.store.depth(session).await.ok()?;
        let due = self.parts.store.next_due(session).await.ok()?;
        let soon = self.parts.clock.unix().plus(self.parts.upkeep.quiet_ms());
        let nothing_owed = depth.sending == 0 && due.is_none_or(|due| due > soon);
        nothing_owed.then_some(Recycle::Age)
    }

    async fn engine_event(&mut self, epoch: Epoch, event: EngineEvent) {
        match event {
            EngineEvent::Phase(phase) => {
                let seen = self.parts.clock.unix();
                self.parts.snapshot.send_modify(|s| {
                    s.last_seen = Some(seen);
                    if phase != Phase::Linking {
                        s.qr = None;
                    }
                    // Between an answer and the next code a page seems to load.
                    if !matches!(phase, Phase::Linking | Phase::Loading) {
                        s.passkey = None;
                    }
                });
                self.feed(Event::Phase { epoch, phase }).await;
            }
            EngineEvent::Qr {
                code,
                expires_in_ms,
            } => {
                let expires_at = self.parts.clock.unix().plus(expires_in_ms);
                self.parts.snapshot.send_modify(|s| {
                    s.qr = Some(QrCode { code, expires_at });
                    s.passkey = s.passkey.take().map(PasskeyStep::and_a_code_again);
                });
                tracing::info!(event = "qr_ready", session = %self.parts.record.id, expires_in_ms);
                self.feed(Event::Qr {
                    epoch,
                    expires_in_ms,
                })
                .await;
            }
            EngineEvent::PasskeyWanted {
                options,
                expires_in_ms,
            } => {
                tracing::warn!(event = "passkey_wanted", session = %self.parts.record.id, expires_in_ms);
                let expires_at = self.parts.clock.unix().plus(expires_in_ms);
                self.feed(Event::PasskeyWanted {
                    epoch,
                    expires_in_ms,
                })
                .await;
                self.parts.snapshot.send_modify(|s| {
                    s.qr = None;
                    s.passkey = Some(PasskeyStep::Wanted(PasskeyChallenge {
                        options,
                        expires_at,
                    }));
                });
            }
            EngineEvent::PasskeyOver(end) => {
                tracing::info!(event = "passkey_over", session = %self.parts.record.id, ?end);
                let step = match end {
                    PasskeyEnd::Answered => PasskeyStep::Answered,
                    PasskeyEnd::TimedOut | PasskeyEnd::GivenUp => PasskeyStep::Missed,
                };
                self.parts.snapshot.send_modify(|s| {
                    if s.passkey.is_some() {
                        s.passkey = Some(step);
                    }
                });
            }
            EngineEvent::Linked => self.feed(Event::Linked { epoch }).await,
            EngineEvent::Me { id, push_name } => {
                self.parts.snapshot.send_modify(|s| {
                    s.me = Some(Me { id, push_name });
                });
            }
            EngineEvent::Failed(failure) => {
                self.note(&failure);
                self.feed(Event::Failed { epoch, failure }).await;
            }
            // The sink keeps these for the inbox.
            EngineEvent::Ack { .. } | EngineEvent::AckError { .. } => {}
        }
    }

    pub(super) fn note(&self, failure: &Failure) {
        let failure = failure.clone();
        self.parts
            .snapshot
            .send_modify(|s| s.last_failure = Some(failure));
    }

    // ------------------------------------------------------------ machine

    async fn feed(&mut self, event: Event) {
        let before = self.parts.machine.state().name();
        let effects = match self.parts.machine.step(self.parts.clock.mono(), event) {
            Ok(effects) => effects,
            Err(illegal) => {
                tracing::error!(event = "illegal_event", session = %self.parts.record.id, %illegal);
                self.parts.metrics.illegal_events.inc([]);
                debug_assert!(false, "{illegal}");
                return;
            }
        };
        // Seen before anything is done about it: nobody is told "ready" of a
        // session that has just failed.
        self.publish();
        for effect in effects {
            self.run_effect(effect).await;
        }
        let after = self.parts.machine.state().name();
        if before != after {
            self.entered(before, after).await;
        }
        self.publish();
    }
}

impl Want {
    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Begin => "begin",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::LogOut => "logout",
            Self::Delete => "delete",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Waits until nothing is in flight, where that is waited for.
async fn drained(draining: Option<Epoch>, in_hand: &mut watch::Receiver<InHand>) -> Epoch {
    let Some(epoch) = draining else {
        return std::future::pending().await;
    };
    // A delivery that has ended has nothing in hand either.
    let _ = in_hand.wait_for(InHand::is_nothing).await;
    epoch
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

async fn fires(timer: Option<(TimerGen, Instant)>) -> TimerGen {
    match timer {
        Some((timer, at)) => {
            tokio::time::sleep_until(at).await;
            timer
        }
        None => std::future::pending().await,
    }
}
