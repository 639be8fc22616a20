//! A session's figures since the gateway started.

use super::auth::{Caller, ToRead};
use super::extract::SessionName;
use super::problem::Problem;
use super::{HttpState, JsonAnswer};
use crate::metrics::Metrics;
use crate::sessions::SessionView;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use steadfast_core::time::UnixMs;
use utoipa::ToSchema;

/// How much of the time the session was there when it was wanted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AvailabilityJson {
    /// Since the gateway started, from the first link on, without the time for
    /// which its owner had stopped it.
    wanted_seconds: f64,
    ready_seconds: f64,
    /// Ready by wanted, 0 to 1; null where it was not wanted at all.
    pub(super) ratio: Option<f64>,
}

impl From<&SessionView> for AvailabilityJson {
    fn from(view: &SessionView) -> Self {
        let (wanted, ready) = (view.wanted_ms as f64, view.ready_ms as f64);
        Self {
            wanted_seconds: wanted / 1_000.0,
            ready_seconds: ready / 1_000.0,
            ratio: (view.wanted_ms > 0).then_some(ready / wanted),
        }
    }
}

/// Incidents that were healed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecoveriesJson {
    /// The failure kind.
    kind: String,
    /// The rung that healed it.
    rung: String,
    count: u64,
}

/// A name and how often.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CountJson {
    name: String,
    count: u64,
}

/// What is owed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OwedJson {
    /// Accepted, and not with WhatsApp yet.
    depth: u64,
    /// Waiting for a person.
    parked: u64,
    /// Age of the oldest message that is owed; 0 where none is.
    oldest_seconds: f64,
}

/// A session's figures since the gateway started.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatsJson {
    session: String,
    state: &'static str,
    ready: bool,
    /// How long it has been ready without a break.
    ready_for_seconds: f64,
    availability: AvailabilityJson,
    /// Failures noticed, by kind.
    incidents: Vec<CountJson>,
    incidents_open: u64,
    recoveries: Vec<RecoveriesJson>,
    /// Browsers replaced as planned, by reason.
    recycles: Vec<CountJson>,
    /// Steps of messages, by name, as in `steadfast_messages_total`.
    messages: Vec<CountJson>,
    accepted: u64,
    received: u64,
    /// Look-ups that found what a blind retry would have sent twice.
    duplicates_prevented: u64,
    outbox: OwedJson,
    /// Messages to oneself that prove the send path, by result.
    canary: Vec<CountJson>,
    browser_memory_bytes: Option<u64>,
}

impl StatsJson {
    fn new(view: &SessionView, metrics: &Metrics, now: UnixMs) -> Self {
        let session = view.name.as_str();
        let counts = |all: Vec<([String; 2], u64)>| -> Vec<CountJson> {
            all.into_iter()
                .filter(|([of, _], _)| of == session)
                .map(|([_, name], count)| CountJson { name, count })
                .collect()
        };
        let recoveries = metrics
            .recoveries
            .each()
            .into_iter()
            .filter(|([of, _, _], _)| of == session)
            .map(|([_, kind, rung], count)| RecoveriesJson { kind, rung, count })
            .collect();
        let oldest_ms = view.outbox.oldest_accepted_at.map_or(0, |at| now.since(at));
        Self {
            session: session.to_owned(),
            state: view.state.as_str(),
            ready: view.ready(),
            ready_for_seconds: view.uptime_ms as f64 / 1_000.0,
            availability: view.into(),
            incidents: counts(metrics.incidents.each()),
            incidents_open: u64::from(view.incident.is_some()),
            recoveries,
            recycles: counts(metrics.recycles.each()),
            messages: counts(metrics.outcomes.each()),
            accepted: metrics.accepted.get([session]),
            received: metrics.inbound.get([session]),
            duplicates_prevented: metrics.duplicates_prevented.get([session]),
            outbox: OwedJson {
                depth: view.outbox.accepted + view.outbox.sending,
                parked: view.outbox.parked,
                oldest_seconds: oldest_ms as f64 / 1_000.0,
            },
            canary: counts(metrics.canary.each()),
            browser_memory_bytes: view.browser_memory_bytes,
        }
    }
}

/// A session's figures since the gateway started: availability, recoveries by
/// kind and rung, messages. `/metrics` has the same for Prometheus.
#[utoipa::path(get, path = "/v1/sessions/{session}/stats", tag = "sessions",
    params(("session" = String, Path)), responses((status = 200, body = StatsJson)))]
pub(super) async fn stats(
    _: Caller<ToRead>,
    State(state): State<Arc<HttpState>>,
    SessionName(session): SessionName,
) -> Result<JsonAnswer<StatsJson>, Problem> {
    let view = state.app.sessions.get(&session).await?;
    let now = state.app.clock.unix();
    Ok(JsonAnswer(StatsJson::new(&view, &state.app.metrics, now)))
}
