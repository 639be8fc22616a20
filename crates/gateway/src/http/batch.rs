//! Many messages in one request: one transaction, and a result for each.

use super::HttpState;
use super::accept::{self, Begun, Order, WholeKey};
use super::auth::{Caller, ToSend};
use super::extract::{IdempotencyHeader, Json, SessionName};
use super::messages::SendRequest;
use super::problem::{Code, Problem};
use super::view::AcceptedJson;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use steadfast_core::ids::SessionId;
use steadfast_core::time::UnixMs;
use utoipa::ToSchema;

/// Many messages.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchRequest {
    /// 1 to `server.max_bulk` of them (1,000 where nothing is configured), each
    /// as for one message, without `wait`.
    #[schema(value_type = Vec<SendRequest>, min_items = 1)]
    messages: Vec<Value>,
}

/// What became of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchAnswer {
    /// How many are on disk.
    accepted: usize,
    /// How many are not, for their own fault.
    refused: usize,
    /// One for each message, in the order given.
    results: Vec<BatchResult>,
}

/// What became of one: either it is accepted, or there is a problem.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchResult {
    /// Which of them, from 0.
    index: usize,
    /// `accepted` or `refused`.
    outcome: &'static str,
    /// The message, where it is on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<AcceptedJson>,
    /// What is wrong with it, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    problem: Option<Value>,
}

/// Accepts many messages in one transaction. What does not fit is refused by
/// itself, with its problem; all others are on disk with the 202, in the order
/// given. Where none fits, the answer is 422. With an Idempotency-Key the whole
/// request is safe to repeat.
#[utoipa::path(post, path = "/v1/sessions/{session}/messages/batch", tag = "messages",
    params(("session" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Covers the whole request: the first answer is given again.")),
    request_body = BatchRequest,
    responses((status = 202, body = BatchAnswer)))]
pub(super) async fn send_batch(
    caller: Caller<ToSend>,
    State(state): State<Arc<HttpState>>,
    SessionName(session): SessionName,
    IdempotencyHeader(key): IdempotencyHeader,
    Json(body): Json<BatchRequest>,
) -> Result<Response, Problem> {
    let max = state.app.live.get().server.max_bulk;
    if body.messages.is_empty() || body.messages.len() > max {
        let what = format!("give 1 to {max} messages, not {}", body.messages.len());
        return Err(Problem::field("messages", what));
    }
    let key = key.map(|text| {
        let mut parts = vec!["batch".to_owned(), session.to_string()];
        parts.extend(body.messages.iter().map(Value::to_string));
        WholeKey {
            text,
            digest: accept::digest(&parts),
        }
    });
    let key = match accept::begin_batch(&state, &caller.name, key).await? {
        Begun::Answered(whole) => return Ok(whole.into_response()),
        Begun::First(key) => key,
    };
    let now = state.app.clock.unix();
    let mut parsed: Vec<Result<Order, Problem>> = Vec::with_capacity(body.messages.len());
    for one in body.messages {
        let read = async { Ok(order(&state, &session, one, now).await) };
        parsed.push(caller.patience.lasts(read).await?);
    }
    let good = parsed.iter().filter_map(|order| order.as_ref().ok());
    let orders: Vec<Order> = good.cloned().collect();
    if orders.is_empty() {
        super::sessions::exists(&state, &session).await?;
        let what = "none of them can be accepted; results says why of each";
        let results = serde_json::to_value(results(&parsed, Vec::new())).unwrap_or_default();
        return Err(Problem::field("messages", what).with("results", results));
    }
    let answer = |accepted: Vec<AcceptedJson>| {
        accept::json(&BatchAnswer {
            accepted: accepted.len(),
            refused: parsed.len() - accepted.len(),
            results: results(&parsed, accepted),
        })
    };
    let whole =
        accept::accept_batch(&state, &caller.patience, &session, orders, key, answer).await?;
    Ok(whole.into_response())
}

async fn order(
    state: &HttpState,
    session: &SessionId,
    message: Value,
    now: UnixMs,
) -> Result<Order, Problem> {
    let request: SendRequest = serde_json::from_value(message)
        .map_err(|error| Problem::new(Code::InvalidField, error.to_string()))?;
    let order = request.order(state, session).await?;
    if let Some(schedule) = order.options.schedule {
        schedule.resolve(now)?;
    }
    if order.options.wait.is_some() {
        let what = "a batch is answered at once; look at its messages afterwards";
        return Err(Problem::field("wait", what));
    }
    // A file that cannot be had refuses its own message alone.
    order.whole(state).await
}

fn results(parsed: &[Result<Order, Problem>], accepted: Vec<AcceptedJson>) -> Vec<BatchResult> {
    let mut accepted = accepted.into_iter();
    let one = |(index, order): (usize, &Result<Order, Problem>)| match order {
        Ok(_) => BatchResult {
            index,
            outcome: "accepted",
            message: accepted.next(),
            problem: None,
        },
        Err(problem) => BatchResult {
            index,
            outcome: "refused",
            message: None,
            problem: Some(problem.json()),
        },
    };
    parsed.iter().enumerate().map(one).collect()
}
