//! Writes down what failed and what healed it, and tells of every change of state.
//!
//! The record goes to the store through a queue of its own: healing never
//! waits for the disk.

use crate::sessions::IncidentSummary;
use std::sync::Arc;
use steadfast_core::event::{StateChange, Told};
use steadfast_core::failure::{Failure, Kind, Rung};
use steadfast_core::ids::{SessionId, ulid};
use steadfast_core::port::{Incident, IncidentStep, Store, StoreError};
use steadfast_core::session::IncidentEnd;
use steadfast_core::time::{MonoMs, UnixMs};
use tokio::sync::mpsc;

/// Steps kept per incident: an outage of days must not grow without bound.
const MAX_STEPS: usize = 100;
/// Records that may wait for the disk.
const QUEUE: usize = 1024;

/// What goes to the disk, in the order in which it happened.
enum Record {
    Incident(Incident),
    State(SessionId, StateChange, UnixMs),
}

/// The way to the disk.
#[derive(Clone)]
pub(super) struct IncidentLog(mpsc::Sender<Record>);

impl IncidentLog {
    /// The log, and the task that writes it; it ends when the log is dropped.
    pub(super) fn new(store: Arc<dyn Store>) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, mut queue) = mpsc::channel::<Record>(QUEUE);
        let task = async move {
            while let Some(record) = queue.recv().await {
                match record {
                    Record::Incident(incident) => {
                        if let Err(error) = store.put_incident(incident).await {
                            tracing::warn!(event = "incident_not_stored", %error);
                        }
                    }
                    Record::State(session, change, at) => {
                        // A session that is gone has no states to tell of.
                        match store.tell(Told::State(session, change), at).await {
                            Ok(()) | Err(StoreError::NoSession(_) | StoreError::Closed) => {}
                            Err(error) => tracing::warn!(event = "state_not_told", %error),
                        }
                    }
                }
            }
        };
        (Self(sender), task)
    }

    fn write(&self, incident: &Incident) {
        if self.0.try_send(Record::Incident(incident.clone())).is_err() {
            tracing::warn!(event = "incident_not_stored", error = "the queue is full");
        }
    }

    /// Tells of a change of state.
    pub(super) fn state(&self, session: &SessionId, change: StateChange, at: UnixMs) {
        let record = Record::State(session.clone(), change, at);
        if self.0.try_send(record).is_err() {
            tracing::warn!(event = "state_not_told", error = "the queue is full");
        }
    }
}

/// Closes what was open when the gateway ended: nobody else will. What the
/// store does not take stays as it is, and is tried at the next start.
pub(super) async fn close_interrupted(store: &dyn Store, session: &SessionId, now: UnixMs) {
    /// Only the newest can be open; a few more, for those of older versions.
    const LOOKED_AT: u32 = 20;
    let newest = match store.incidents(session, None, LOOKED_AT).await {
        Ok(newest) => newest,
        Err(error) => {
            tracing::warn!(event = "incident_not_stored", session = %session, %error);
            return;
        }
    };
    for mut incident in newest.into_iter().filter(|i| i.closed_at.is_none()) {
        incident.closed_at = Some(now);
        incident.outcome = Some("interrupted".to_owned());
        let step = IncidentStep {
            at: now,
            step: "gave_up".to_owned(),
            detail: "what ran the session ended before it did".to_owned(),
        };
        if incident.steps.len() < MAX_STEPS {
            incident.steps.push(step);
        }
        if let Err(error) = store.put_incident(incident).await {
            tracing::warn!(event = "incident_not_stored", session = %session, %error);
        }
    }
}

/// An incident that is open.
pub(super) struct OpenIncident {
    record: Incident,
    opened: MonoMs,
    rung: Option<Rung>,
    attempt: u32,
}

impl OpenIncident {
    pub(super) fn open(
        log: &IncidentLog,
        session: &SessionId,
        failure: &Failure,
        now: UnixMs,
        mono: MonoMs,
        random: [u8; 10],
    ) -> Self {
        let record = Incident {
            id: format!("inc_{}", ulid(now, random)),
            session: session.clone(),
            kind: failure.kind.as_str().to_owned(),
            evidence: failure.evidence.clone(),
            opened_at: now,
            closed_at: None,
            outcome: None,
            healed_by: None,
            recovery_ms: None,
            messages_waited: 0,
            steps: vec![IncidentStep {
                at: now,
                step: "detected".to_owned(),
                detail: format!("{} during {}", failure.evidence, failure.operation),
            }],
        };
        log.write(&record);
        Self {
            record,
            opened: mono,
            rung: None,
            attempt: 0,
        }
    }

    /// Notes what came to light on the way. The first sign is often no more
    /// than that: a context that went, and then the word that the phone has
    /// unlinked us. The incident is named after what says more.
    pub(super) fn learn(&mut self, log: &IncidentLog, failure: &Failure, now: UnixMs) {
        let vague = [Kind::TransientContext, Kind::Unknown].map(Kind::as_str);
        if vague.contains(&self.record.kind.as_str()) {
            failure.kind.as_str().clone_into(&mut self.record.kind);
            self.record.evidence.clone_from(&failure.evidence);
        }
        let detail = format!("{}: {}", failure.kind, failure.evidence);
        self.step(log, None, detail, now);
    }

    /// Adds a step. Beyond the bound only the count in the last one changes.
    pub(super) fn step(
        &mut self,
        log: &IncidentLog,
        rung: Option<Rung>,
        detail: String,
        now: UnixMs,
    ) {
        if let Some(rung) = rung {
            self.attempt = if self.rung == Some(rung) {
                self.attempt.saturating_add(1)
            } else {
                1
            };
            self.rung = Some(rung);
        }
        let step = IncidentStep {
            at: now,
            step: rung.map_or("waiting", Rung::as_str).to_owned(),
            detail,
        };
        if self.record.steps.len() < MAX_STEPS {
            self.record.steps.push(step);
        } else if let Some(last) = self.record.steps.last_mut() {
            *last = step;
        }
        log.write(&self.record);
    }

    /// Ends it; how long it took, in milliseconds, and what was written down.
    pub(super) fn close(
        mut self,
        log: &IncidentLog,
        end: IncidentEnd,
        messages_waited: u64,
        now: UnixMs,
        mono: MonoMs,
    ) -> (u64, Incident) {
        let took = mono.since(self.opened);
        let (outcome, step) = match end {
            IncidentEnd::Recovered { by } => {
                self.record.healed_by = Some(by.as_str().to_owned());
                self.record.recovery_ms = Some(took);
                ("recovered", "ready")
            }
            IncidentEnd::Stopped => ("stopped", "gave_up"),
            IncidentEnd::Parked => ("parked", "gave_up"),
            IncidentEnd::Yielded => ("yielded", "gave_up"),
        };
        self.record.closed_at = Some(now);
        self.record.outcome = Some(outcome.to_owned());
        self.record.messages_waited = messages_waited;
        self.record.steps.push(IncidentStep {
            at: now,
            step: step.to_owned(),
            detail: format!("{outcome} after {took} ms"),
        });
        log.write(&self.record);
        (took, self.record)
    }

    pub(super) fn kind(&self) -> &str {
        &self.record.kind
    }

    pub(super) fn summary(&self) -> IncidentSummary {
        IncidentSummary {
            id: self.record.id.clone(),
            kind: self.record.kind.clone(),
            opened_at: self.record.opened_at,
            rung: self.rung.map(|r| r.as_str().to_owned()),
            attempt: self.attempt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use steadfast_core::ids::LoginGeneration;
    use steadfast_core::port::SessionRecord;
    use steadfast_store::MemoryStore;

    #[tokio::test]
    async fn what_the_end_of_the_gateway_left_open_is_closed_at_the_next_start() {
        let store = MemoryStore::new();
        let session = SessionId::parse("default").unwrap();
        let record = SessionRecord {
            id: session.clone(),
            created_at: UnixMs(1),
            enabled: true,
            login: LoginGeneration(1),
            parked: None,
        };
        store.add_session(record).await.unwrap();
        let (log, _) = IncidentLog::new(Arc::new(MemoryStore::new()));
        let failure = Failure::unsupported(steadfast_core::failure::Operation::Send, "this");
        let at = |n: i64| UnixMs(1_705_314_600_000 + n);
        let open =
            |n| OpenIncident::open(&log, &session, &failure, at(n), MonoMs(0), [n as u8; 10]);
        let mut over = open(1).record;
        over.closed_at = Some(at(2));
        over.outcome = Some("recovered".to_owned());
        store.put_incident(over.clone()).await.unwrap();
        store.put_incident(open(3).record).await.unwrap();

        close_interrupted(&store, &session, at(9)).await;
        let kept = store.incidents(&session, None, 10).await.unwrap();
        assert_eq!(kept[0].closed_at, Some(at(9)));
        assert_eq!(kept[0].outcome.as_deref(), Some("interrupted"));
        assert_eq!(kept[1], over);
    }
}
