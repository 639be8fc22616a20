//! One session's loop: feeds its machine, runs the machine's effects.

use super::heartbeat::{self, Rhythm};
use super::incidents::{IncidentLog, OpenIncident};
use super::operations::Operation;
use super::sink::CurrentEpoch;
use super::snapshot::Snapshot;
use crate::clock::{Clock, Random, random_bytes};
use crate::delivery::Link;
use crate::metrics::Metrics;
use crate::sessions::{Me, QrCode};
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::failure::Failure;
use steadfast_core::ids::{Epoch, LoginGeneration};
use steadfast_core::port::{
    Connector, Engine, EngineEvent, EngineHealth, Phase, SessionRecord, Store,
};
use steadfast_core::session::{Effect, Event, IncidentEnd, Machine, State, TimerGen};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
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
}

/// What a person wants. The reply comes when it is done, or has begun, as
/// the variants say.
pub(super) enum Want {
    /// Run. Replies once that is on disk.
    Start,
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
    pub(super) incidents: IncidentLog,
}

/// One session's actor.
pub(super) struct Actor {
    parts: Parts,
    timer: Option<(TimerGen, Instant)>,
    incident: Option<OpenIncident>,
    heartbeat: JoinSet<()>,
    heartbeat_epoch: Option<Epoch>,
    probes: JoinSet<(TimerGen, bool)>,
}

/// How long a probe of the network may take.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

impl Actor {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            parts,
            timer: None,
            incident: None,
            heartbeat: JoinSet::new(),
            heartbeat_epoch: None,
            probes: JoinSet::new(),
        }
    }

    /// Runs until the session is deleted, or shut down, or nobody holds its handle.
    pub(super) async fn run(mut self) {
        loop {
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
                    if let Ok((timer, reachable)) = probed {
                        self.feed(Event::NetworkProbed { timer, reachable }).await;
                    }
                }
                timer = fires(self.timer) => {
                    self.timer = None;
                    self.feed(Event::Timer { timer }).await;
                }
            }
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

    async fn save(&self) {
        if let Err(error) = self
            .parts
            .store
            .update_session(self.parts.record.clone())
            .await
        {
            tracing::error!(event = "session_not_stored", session = %self.parts.record.id, %error);
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
            Input::Beat(epoch, health) => {
                if self.parts.epoch.is(epoch) {
                    let phase = health.phase;
                    let seen = self.parts.clock.unix();
                    self.parts.snapshot.send_modify(|s| {
                        s.health = Some(health);
                        s.last_seen = Some(seen);
                    });
                    // By level: an event that was missed is made good here.
                    self.feed(Event::Phase { epoch, phase }).await;
                }
            }
            Input::Engine(epoch, event) => self.engine_event(epoch, event).await,
        }
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
                });
                tracing::info!(event = "qr_ready", session = %self.parts.record.id, expires_in_ms);
                self.feed(Event::Qr {
                    epoch,
                    expires_in_ms,
                })
                .await;
            }
            EngineEvent::PasskeyWanted { expires_in_ms, .. } => {
                tracing::warn!(event = "passkey_wanted", session = %self.parts.record.id, expires_in_ms);
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

    fn note(&self, failure: &Failure) {
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

    async fn run_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Open { step, epoch } => {
                self.leave_epoch(epoch);
                self.parts
                    .snapshot
                    .send_modify(|s| s.connection_attempts += 1);
                let _ = self
                    .parts
                    .operations
                    .send(Operation::Open { step, epoch })
                    .await;
            }
            Effect::Close { how } => {
                self.leave_epoch(Epoch::default());
                let _ = self.parts.operations.send(Operation::Close { how }).await;
            }
            Effect::LogOut { epoch } => {
                let engine = self.parts.engine.borrow().clone();
                let engine = engine.filter(|e| Some(e.epoch()) == epoch);
                self.leave_epoch(Epoch::default());
                self.parts.snapshot.send_modify(|s| s.me = None);
                let _ = self
                    .parts
                    .operations
                    .send(Operation::LogOut { engine })
                    .await;
            }
            Effect::Arm { timer, after_ms } => {
                self.timer = Some((timer, Instant::now() + Duration::from_millis(after_ms)));
            }
            Effect::ProbeNetwork { timer } => {
                let connector = Arc::clone(&self.parts.connector);
                self.probes.spawn(async move {
                    let probe = tokio::time::timeout(PROBE_LIMIT, connector.network_reachable());
                    (timer, probe.await.unwrap_or(false))
                });
            }
            Effect::NewLogin => self.new_login().await,
            Effect::KeepParked { reason } => {
                self.parts.record.parked = reason.map(str::to_owned);
                self.save().await;
            }
            Effect::OpenIncident { failure } => self.open_incident(&failure),
            Effect::IncidentFailure { failure } => {
                let now = self.parts.clock.unix();
                if let Some(incident) = &mut self.incident {
                    incident.learn(&self.parts.incidents, &failure, now);
                }
            }
            Effect::IncidentStep { rung, detail } => {
                if let Some(rung) = rung {
                    tracing::info!(event = "restart_attempt", session = %self.parts.record.id, %rung, detail);
                    self.parts.metrics.recovery_steps.inc([rung.as_str()]);
                }
                let now = self.parts.clock.unix();
                if let Some(incident) = &mut self.incident {
                    incident.step(&self.parts.incidents, rung, detail, now);
                }
            }
            Effect::CloseIncident { end } => self.close_incident(end).await,
        }
    }

    /// Nothing of an older connection counts from here on.
    fn leave_epoch(&mut self, next: Epoch) {
        self.parts.epoch.set(next);
        self.parts.link.send_replace(None);
        self.parts.engine.send_replace(None);
        self.heartbeat.abort_all();
        self.heartbeat_epoch = None;
        self.parts.snapshot.send_modify(|s| s.qr = None);
    }

    async fn new_login(&mut self) {
        self.parts.record.login = LoginGeneration(self.parts.record.login.0 + 1);
        tracing::info!(event = "linked", session = %self.parts.record.id, login = self.parts.record.login.0);
        self.save().await;
    }

    async fn entered(&mut self, before: &'static str, after: &'static str) {
        let session = self.parts.record.id.as_str().to_owned();
        tracing::info!(event = "session_state", session, from = before, to = after);
        self.parts.metrics.transitions.inc([&session, after]);
        let (now, mono) = (self.parts.clock.unix(), self.parts.clock.mono());
        self.parts.snapshot.send_modify(|s| {
            s.since = now;
            s.since_mono = mono;
            if after == "ready" {
                s.connection_attempts = 0;
                s.last_failure = None;
            }
        });
        // A profile that was linked elsewhere (restored, moved) has a login too.
        if after == "ready" && self.parts.record.login == LoginGeneration::default() {
            self.new_login().await;
        }
    }

    fn open_incident(&mut self, failure: &Failure) {
        let parts = &self.parts;
        let session = parts.record.id.as_str();
        tracing::warn!(
            event = "session_closed", session, kind = %failure.kind,
            operation = %failure.operation, evidence = failure.evidence,
        );
        parts
            .metrics
            .incidents
            .inc([session, failure.kind.as_str()]);
        // An id without randomness is still unique per session and millisecond.
        let random = random_bytes(parts.random.as_ref()).unwrap_or_default();
        self.incident = Some(OpenIncident::open(
            &parts.incidents,
            &parts.record.id,
            failure,
            parts.clock.unix(),
            parts.clock.mono(),
            random,
        ));
    }

    async fn close_incident(&mut self, end: IncidentEnd) {
        let Some(incident) = self.incident.take() else {
            return;
        };
        let parts = &self.parts;
        let waited = parts
            .store
            .depth(&parts.record.id)
            .await
            .map_or(0, |depth| depth.accepted + depth.sending);
        let kind = incident.kind().to_owned();
        let took = incident.close(
            &parts.incidents,
            end,
            waited,
            parts.clock.unix(),
            parts.clock.mono(),
        );
        if let IncidentEnd::Recovered { by } = end {
            tracing::info!(event = "restarted", session = %parts.record.id, kind, rung = %by, recovery_ms = took);
            parts.metrics.recoveries.inc([&kind, by.as_str()]);
            parts.metrics.recovery_seconds.observe_ms([&kind], took);
        } else {
            tracing::warn!(event = "incident_closed", session = %parts.record.id, kind, end = ?end);
        }
    }

    /// Tells delivery, the heartbeat and everybody who looks.
    fn publish(&mut self) {
        let ready = match self.parts.machine.state() {
            State::Ready { epoch, .. } => Some(*epoch),
            State::Stopped
            | State::Starting { .. }
            | State::Linking { .. }
            | State::Syncing { .. }
            | State::Recovering { .. }
            | State::Conflict { .. }
            | State::LoggedOut
            | State::Parked { .. } => None,
        };
        let engine = self.parts.engine.borrow().clone();
        let engine = engine.filter(|e| Some(e.epoch()) == ready);
        let login = self.parts.record.login;
        self.parts.link.send_if_modified(|link| {
            let linked = link.as_ref().map(|l| (l.engine.epoch(), l.login));
            let wanted = engine.as_ref().map(|e| (e.epoch(), login));
            if linked == wanted {
                return false;
            }
            *link = engine.clone().map(|engine| Link { engine, login });
            true
        });
        self.beat(engine);
        let incident = self.incident.as_ref().map(OpenIncident::summary);
        let state = self.parts.machine.state().clone();
        self.parts.snapshot.send_if_modified(|s| {
            let same = s.state == state && s.incident == incident && s.login == login;
            s.state = state;
            s.incident = incident;
            s.login = login;
            !same
        });
    }

    /// Beats only while ready: starting, linking and syncing have deadlines.
    fn beat(&mut self, engine: Option<Arc<dyn Engine>>) {
        let epoch = engine.as_ref().map(|e| e.epoch());
        if self.heartbeat_epoch == epoch {
            // Ended ones are taken away, so that the set does not grow.
            while self.heartbeat.try_join_next().is_some() {}
            return;
        }
        self.heartbeat.abort_all();
        self.heartbeat_epoch = epoch;
        if let Some(engine) = engine {
            let (epoch, rhythm) = (engine.epoch(), self.parts.rhythm);
            self.heartbeat.spawn(heartbeat::beat(
                engine,
                epoch,
                rhythm,
                self.parts.input.clone(),
            ));
        }
    }
}

impl Want {
    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::LogOut => "logout",
            Self::Delete => "delete",
            Self::Shutdown => "shutdown",
        }
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
