//! What an actor does about what its machine decided: the effects, and the
//! word to all who follow the session.

use super::actor::Actor;
use super::availability::Standing;
use super::canary::Canary;
use super::heartbeat;
use super::incidents::OpenIncident;
use super::operations::Operation;
use crate::clock::random_bytes;
use crate::delivery::Link;
use crate::traces::Span;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::event::StateChange;
use steadfast_core::failure::Failure;
use steadfast_core::ids::{Epoch, LoginGeneration};
use steadfast_core::port::{Engine, OpenStep};
use steadfast_core::session::{Effect, IncidentEnd, Recycle, State};
use tokio::time::Instant;

/// How long a probe of the network may take.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

impl Actor {
    pub(super) async fn run_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Open { step, epoch } => {
                self.leave_epoch(epoch);
                if starts_browser(step) {
                    self.parts.upkeep.browser_started(self.parts.clock.mono());
                }
                self.parts
                    .snapshot
                    .send_modify(|s| s.connection_attempts += 1);
                let _ = self
                    .parts
                    .operations
                    .send(Operation::Open { step, epoch })
                    .await;
            }
            Effect::Drain { why } => self.begin_recycle(why),
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
            Effect::Reconnect { epoch } => {
                let engine = self.parts.engine.borrow().clone();
                if let Some(engine) = engine.filter(|e| e.epoch() == epoch) {
                    // It has its own deadline; a page that does not answer is
                    // loaded anew when the wait for it is over.
                    self.vitals.spawn(async move {
                        if let Err(failure) = engine.reconnect().await {
                            tracing::debug!(kind = %failure.kind, "the page was not asked to connect");
                        }
                    });
                }
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
        self.login_kept.clear();
        self.parts.link.send_replace(None);
        self.parts.engine.send_replace(None);
        self.vitals.abort_all();
        self.vitals_epoch = None;
        self.alive_at = None;
        self.parts.snapshot.send_modify(|s| {
            s.qr = None;
            s.passkey = None;
        });
    }

    fn begin_recycle(&mut self, why: Recycle) {
        let session = self.parts.record.id.as_str();
        let memory_bytes = self
            .parts
            .snapshot
            .borrow()
            .health
            .as_ref()
            .and_then(|h| h.browser_memory_bytes);
        tracing::info!(
            event = "session_recycling",
            session,
            reason = why.as_str(),
            memory_bytes
        );
        self.parts.metrics.recycles.inc([session, why.as_str()]);
        self.recycling = Some((why, self.parts.clock.mono()));
    }

    async fn new_login(&mut self) {
        self.parts.record.login = LoginGeneration(self.parts.record.login.0 + 1);
        tracing::info!(event = "linked", session = %self.parts.record.id, login = self.parts.record.login.0);
        self.save().await;
    }

    pub(super) async fn entered(&mut self, before: &'static str, after: &'static str) {
        let session = self.parts.record.id.as_str().to_owned();
        tracing::info!(event = "session_state", session, from = before, to = after);
        self.parts.metrics.transitions.inc([&session, after]);
        let (now, mono) = (self.parts.clock.unix(), self.parts.clock.mono());
        // What failed last is why only where it still fails.
        let failure = self.parts.snapshot.borrow().last_failure.clone();
        let failing = matches!(after, "recovering" | "parked");
        let change = StateChange {
            from: before.to_owned(),
            to: after.to_owned(),
            reason: failure
                .filter(|_| failing)
                .map(|failure| failure.kind.as_str().to_owned()),
        };
        self.parts
            .incidents
            .state(&self.parts.record.id, change, now);
        self.parts.snapshot.send_modify(|s| {
            s.since = now;
            s.since_mono = mono;
            if after == "ready" {
                s.connection_attempts = 0;
                s.last_failure = None;
            }
        });
        if after == "ready"
            && let Some((why, begun)) = self.recycling.take()
        {
            let took_ms = mono.since(begun);
            tracing::info!(
                event = "session_recycled",
                session,
                reason = why.as_str(),
                took_ms
            );
        }
        self.alive_at = (after == "ready").then_some(mono);
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
        if let Some(alive_at) = self.alive_at {
            parts
                .metrics
                .detection_seconds
                .observe_ms([failure.kind.as_str()], parts.clock.mono().since(alive_at));
        }
        // What was planned is part of the incident now.
        self.recycling = None;
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
        let (took, written) = incident.close(
            &parts.incidents,
            end,
            waited,
            parts.clock.unix(),
            parts.clock.mono(),
        );
        parts.metrics.traces.tell(|| Span::of_incident(&written));
        if let IncidentEnd::Recovered { by } = end {
            tracing::info!(event = "restarted", session = %parts.record.id, kind, rung = %by, recovery_ms = took);
            let session = parts.record.id.as_str();
            parts.metrics.recoveries.inc([session, &kind, by.as_str()]);
            parts.metrics.recovery_seconds.observe_ms([&kind], took);
        } else {
            tracing::warn!(event = "incident_closed", session = %parts.record.id, kind, end = ?end);
        }
    }

    /// Tells delivery, the heartbeat and everybody who looks.
    pub(super) fn publish(&mut self) {
        let ready = match self.parts.machine.state() {
            State::Ready { epoch, .. } => Some(*epoch),
            State::Stopped
            | State::Starting { .. }
            | State::Linking { .. }
            | State::Syncing { .. }
            | State::Draining { .. }
            | State::Recovering { .. }
            | State::Conflict { .. }
            | State::LoggedOut
            | State::Parked { .. } => None,
        };
        let engine = self.parts.engine.borrow().clone();
        let engine = engine.filter(|e| Some(e.epoch()) == ready);
        let login = self.parts.record.login;
        // Nothing is sent under a login that the next start would not know of,
        // nor before it has a generation.
        let known = self.save_again_at.is_none() && login > LoginGeneration::default();
        let for_delivery = engine.as_ref().filter(|_| known);
        self.parts.link.send_if_modified(|link| {
            let linked = link.as_ref().map(|l| (l.engine.epoch(), l.login));
            let wanted = for_delivery.map(|e| (e.epoch(), login));
            if linked == wanted {
                return false;
            }
            *link = for_delivery.cloned().map(|engine| Link { engine, login });
            true
        });
        self.watch_over(engine);
        let incident = self.incident.as_ref().map(OpenIncident::summary);
        let state = self.parts.machine.state().clone();
        let standing = Standing {
            wanted: login > LoginGeneration::default()
                && !matches!(state, State::Stopped | State::LoggedOut),
            ready: ready.is_some(),
        };
        let now = self.parts.clock.mono();
        let to_be_started = self.parts.record.enabled && state == State::Stopped;
        self.parts.snapshot.send_if_modified(|s| {
            let awaits_turn = s.awaits_turn && to_be_started;
            let same = s.state == state
                && s.awaits_turn == awaits_turn
                && s.incident == incident
                && s.login == login;
            if s.availability.standing() != standing {
                s.availability.note(now, standing);
            }
            s.state = state;
            s.awaits_turn = awaits_turn;
            s.incident = incident;
            s.login = login;
            !same
        });
    }

    /// Heartbeat and canary go only while ready: starting, linking and
    /// syncing have deadlines.
    fn watch_over(&mut self, engine: Option<Arc<dyn Engine>>) {
        let epoch = engine.as_ref().map(|e| e.epoch());
        if self.vitals_epoch == epoch {
            return;
        }
        self.vitals.abort_all();
        self.vitals_epoch = epoch;
        let Some(engine) = engine else { return };
        if let Some(interval) = self.parts.canary_interval {
            let canary = Canary {
                engine: Arc::clone(&engine),
                session: self.parts.record.id.as_str().to_owned(),
                interval,
                clock: Arc::clone(&self.parts.clock),
                random: Arc::clone(&self.parts.random),
                metrics: Arc::clone(&self.parts.metrics),
                snapshot: self.parts.snapshot.subscribe(),
                inputs: self.parts.input.clone(),
            };
            self.vitals.spawn(canary.run());
        }
        let (epoch, rhythm) = (engine.epoch(), self.parts.rhythm);
        self.vitals.spawn(heartbeat::beat(
            engine,
            epoch,
            rhythm,
            self.parts.input.clone(),
        ));
    }
}

/// Whether a step ends the browser and starts another. A cheaper one may have
/// to start one too; that one then counts as older than it is.
fn starts_browser(step: OpenStep) -> bool {
    match step {
        OpenStep::Secure
        | OpenStep::RestartBrowser
        | OpenStep::RestoreProfile
        | OpenStep::FreshProfile => true,
        OpenStep::Launch
        | OpenStep::TerminateScript
        | OpenStep::TakeOver
        | OpenStep::Reload
        | OpenStep::NewPage => false,
    }
}
