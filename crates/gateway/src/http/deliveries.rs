//! What a webhook endpoint is owed: attempts, events that it did not take, and their replay.

use super::auth::{Caller, ToAdmin};
use super::event_json::EventJson;
use super::extract::{Json, Query, WebhookName};
use super::problem::{Code, Problem};
use super::view::Page;
use super::{HttpState, JsonAnswer, page_limit};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use steadfast_core::port::{Delivery, DeliveryAttempt, DeliveryState, Replay};
use utoipa::{IntoParams, ToSchema};

type AppState = State<Arc<HttpState>>;
type Answer<T> = Result<JsonAnswer<T>, Problem>;

/// One attempt.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookAttemptJson {
    /// The id of the event.
    event: String,
    /// Its position; 0: a test.
    seq: i64,
    /// Its type.
    #[serde(rename = "type")]
    kind: &'static str,
    /// From 1; 0 where it was only asked whether the endpoint is back.
    number: u32,
    at: String,
    took_ms: u64,
    /// The status of the answer, where one came.
    status: Option<u16>,
    /// delivered, failed, refused, gone.
    outcome: String,
    detail: Option<String>,
}

impl From<DeliveryAttempt> for WebhookAttemptJson {
    fn from(attempt: DeliveryAttempt) -> Self {
        Self {
            event: attempt.event.to_string(),
            seq: attempt.seq,
            kind: attempt.kind.as_str(),
            number: attempt.number,
            at: attempt.at.rfc3339(),
            took_ms: attempt.took_ms,
            status: attempt.status,
            outcome: attempt.outcome,
            detail: attempt.detail,
        }
    }
}

/// Which attempts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AttemptsQuery {
    /// Only of the event at this position.
    seq: Option<i64>,
    /// Only older ones: the `next` of the page before.
    before: Option<i64>,
    /// At most so many, 1 to 200; 50 where not said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// The newest attempts at an endpoint, newest first; so many are kept, and for
/// `webhooks.keep_ms`.
#[utoipa::path(get, path = "/v1/webhooks/{webhook}/attempts", tag = "webhooks",
    params(("webhook" = String, Path), AttemptsQuery),
    responses((status = 200, body = Page<WebhookAttemptJson>)))]
pub(super) async fn attempts(
    _: Caller<ToAdmin>,
    State(state): AppState,
    WebhookName(id): WebhookName,
    Query(query): Query<AttemptsQuery>,
) -> Answer<Page<WebhookAttemptJson>> {
    let limit = page_limit(query.limit)?;
    state.app.webhooks.get(&id).await?;
    let store = &state.app.store;
    let found = store.delivery_attempts(&id, query.seq, query.before, limit);
    let found = found.await?;
    let full = found.len() == limit as usize;
    let next = found.last().filter(|_| full).map(|a| a.n.to_string());
    Ok(JsonAnswer(Page {
        items: found.into_iter().map(WebhookAttemptJson::from).collect(),
        next,
    }))
}

/// An event that an endpoint did not take at once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeliveryJson {
    event: EventJson,
    /// waiting, dead.
    state: &'static str,
    attempts: u32,
    /// When it is tried again, where it waits.
    next_at: Option<String>,
    updated_at: String,
    /// How the last attempt ended.
    detail: Option<String>,
}

impl From<Delivery> for DeliveryJson {
    fn from(delivery: Delivery) -> Self {
        let waits = delivery.state == DeliveryState::Waiting;
        Self {
            event: EventJson::from(&delivery.event),
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            next_at: waits.then(|| delivery.next_at.rfc3339()),
            updated_at: delivery.updated_at.rfc3339(),
            detail: delivery.detail,
        }
    }
}

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeliveriesQuery {
    /// `waiting`, or `dead`: those that were given up.
    state: Option<String>,
    /// Only events behind this position: the `next` of the page before.
    after: Option<i64>,
    /// At most so many, 1 to 200; 50 where not said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Events that an endpoint did not take: dead letters, or those that wait for
/// another try.
#[utoipa::path(get, path = "/v1/webhooks/{webhook}/deliveries", tag = "webhooks",
    params(("webhook" = String, Path), DeliveriesQuery),
    responses((status = 200, body = Page<DeliveryJson>)))]
pub(super) async fn deliveries(
    _: Caller<ToAdmin>,
    State(state): AppState,
    WebhookName(id): WebhookName,
    Query(query): Query<DeliveriesQuery>,
) -> Answer<Page<DeliveryJson>> {
    let limit = page_limit(query.limit)?;
    let of = match query.state.as_deref() {
        None | Some("dead") => DeliveryState::Dead,
        Some("waiting") => DeliveryState::Waiting,
        Some(_) => {
            let detail = "state is waiting or dead";
            return Err(Problem::new(Code::InvalidRequest, detail));
        }
    };
    state.app.webhooks.get(&id).await?;
    let store = &state.app.store;
    let found = store.deliveries(&id, of, query.after.unwrap_or(0), limit);
    let found = found.await?;
    let full = found.len() == limit as usize;
    let last = found.last().filter(|_| full);
    let next = last.map(|delivery| delivery.event.seq.to_string());
    Ok(JsonAnswer(Page {
        items: found.into_iter().map(DeliveryJson::from).collect(),
        next,
    }))
}

/// Which dead letters are to be tried again. All, where nothing is said.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayRequest {
    /// Only the event at this position.
    seq: Option<i64>,
    /// Only those from this position on.
    from: Option<i64>,
    /// Only those up to this position.
    to: Option<i64>,
}

/// How many.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReplayedJson {
    replayed: u64,
}

/// Tries dead letters again: one, a range or all, at once, with all attempts
/// before them.
#[utoipa::path(post, path = "/v1/webhooks/{webhook}/replay", tag = "webhooks",
    params(("webhook" = String, Path)), request_body = ReplayRequest,
    responses((status = 200, body = ReplayedJson)))]
pub(super) async fn replay(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    WebhookName(id): WebhookName,
    Json(body): Json<ReplayRequest>,
) -> Answer<ReplayedJson> {
    caller.act("webhook_replayed", id.as_str());
    let which = match (body.seq, body.from, body.to) {
        (None, None, None) => Replay::All,
        (Some(seq), None, None) => Replay::Range(seq, seq),
        (None, from, to) => Replay::Range(from.unwrap_or(0), to.unwrap_or(i64::MAX)),
        (Some(_), _, _) => {
            return Err(Problem::field("seq", "give seq alone, or from and to"));
        }
    };
    let replayed = state.app.webhooks.replay(&id, which).await?;
    Ok(JsonAnswer(ReplayedJson { replayed }))
}
