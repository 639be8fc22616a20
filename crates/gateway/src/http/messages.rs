//! Messages under `/v1`: accept, look, take back, a person's word.

use super::accept::{self, Order};
use super::auth::{Caller, Sorting, ToRead, ToSend};
use super::content::Content;
use super::extract::{IdempotencyHeader, MessageName, Query, SessionName};
use super::files::MediaRequest;
use super::media::{SendForm, Sending};
use super::options::SendOptions;
use super::problem::{Code, Problem};
use super::view::{AcceptedJson, MessageJson, Page};
use super::waits;
use super::{HttpState, JsonAnswer, page_limit};
use crate::events;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;
use steadfast_core::ids::{MessageId, SessionId};
use steadfast_core::outbox::{Message, Status};
use steadfast_core::port::MessageQuery;
use utoipa::{IntoParams, ToSchema};

type AppState = State<Arc<HttpState>>;
type Answer<T> = Result<JsonAnswer<T>, Problem>;

/// What is to be sent, and to whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SendRequest {
    /// 7 to 15 digits in international form ('+' optional), or a chat id that
    /// ends in @c.us, @lid or @g.us.
    #[schema(example = "4915123456789")]
    to: String,
    #[serde(flatten)]
    content: Content,
    #[serde(flatten)]
    options: SendOptions,
}

impl SendRequest {
    /// Checks every field, and finds the messages that it speaks of.
    pub(super) async fn order(
        self,
        state: &HttpState,
        session: &SessionId,
    ) -> Result<Order, Problem> {
        Ok(Order {
            options: self.options.read()?,
            ..Order::of(state, session, &self.to, self.content).await?
        })
    }
}

impl SendRequest {
    /// How much of it is a file in base64.
    pub(super) fn inline_bytes(&self) -> usize {
        self.content.inline_bytes()
    }

    /// With a file that came in the same form.
    pub(super) fn with_file(mut self, file: MediaRequest) -> Result<Self, Problem> {
        self.content.set_file(file)?;
        Ok(self)
    }
}

/// Accepts a message. 202 means that it is on disk: it will be sent once, in
/// order within its chat and lane, as soon as the session is ready and it is
/// due. 200 where the caller waited for it, and it has come that far.
#[utoipa::path(post, path = "/v1/sessions/{session}/messages", tag = "messages",
    params(("session" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat: the first answer is given again.")),
    request_body(content((SendRequest = "application/json"), (SendForm = "multipart/form-data"))),
    responses((status = 202, body = AcceptedJson), (status = 200, body = MessageJson)))]
pub(super) async fn send(
    caller: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    IdempotencyHeader(key): IdempotencyHeader,
    Sending {
        request: body,
        turn,
    }: Sending,
) -> Result<Response, Problem> {
    let order = body.order(&state, &session).await?;
    let wait = order.options.wait;
    let on_disk =
        accept::accept(&state, &caller.name, &caller.patience, &session, order, key).await?;
    // Its file is on disk; others need not wait for what comes of it.
    drop(turn);
    accept::answer(&state, on_disk, wait, &caller.patience).await
}

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MessagesQuery {
    /// Only this status.
    status: Option<String>,
    /// Only after this position: the `next` of the page before.
    after: Option<i64>,
    /// Newest first, and only before this position: the `next` of the page
    /// before, or `end` for the newest.
    before: Option<String>,
    /// At most so many, 1 to 200; 50 where not said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// A session's messages, in the order in which they were accepted; newest
/// first where `before` is given.
#[utoipa::path(get, path = "/v1/sessions/{session}/messages", tag = "messages",
    params(("session" = String, Path), MessagesQuery),
    responses((status = 200, body = Page<MessageJson>)))]
pub(super) async fn list(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    Query(query): Query<MessagesQuery>,
) -> Answer<Page<MessageJson>> {
    let limit = page_limit(query.limit)?;
    let status = match query.status.as_deref() {
        None => None,
        Some(text) => Some(Status::parse(text).ok_or_else(|| {
            let names: Vec<_> = Status::ALL.iter().map(|s| s.as_str()).collect();
            Problem::new(
                Code::InvalidRequest,
                format!("status is one of {}", names.join(", ")),
            )
        })?),
    };
    let before = match query.before.as_deref().map(str::trim) {
        None => None,
        Some("end") => Some(i64::MAX),
        Some(text) => Some(text.parse().map_err(|_| {
            let detail = "before is a number from an answer's next, or end";
            Problem::new(Code::InvalidRequest, detail)
        })?),
    };
    super::sessions::exists(&state, &session).await?;
    let query = MessageQuery {
        status,
        after: query.after.unwrap_or(0),
        before,
        limit,
    };
    let found = state.app.store.messages(&session, query).await?;
    let full = found.len() == limit as usize;
    Ok(JsonAnswer(Page {
        items: waits::shown(&state, &found).await?,
        next: found.last().filter(|_| full).map(|m| m.seq.to_string()),
    }))
}

fn unknown(id: &MessageId) -> Problem {
    Problem::new(Code::MessageUnknown, format!("there is no message {id}"))
}

/// One message, with its attempts.
#[utoipa::path(get, path = "/v1/messages/{message}", tag = "messages",
    params(("message" = String, Path)), responses((status = 200, body = MessageJson)))]
pub(super) async fn get(
    caller: Caller<Sorting<ToRead>>,
    State(state): AppState,
    MessageName(id): MessageName,
) -> Answer<MessageJson> {
    let message = seen_by(&caller, &state, &id).await?;
    let attempts = state.app.store.attempts(&id).await?;
    let shown = waits::shown(&state, std::slice::from_ref(&message)).await?;
    let shown = shown.into_iter().next().ok_or_else(|| unknown(&id))?;
    Ok(JsonAnswer(shown.with_attempts(attempts)))
}

/// Takes a message back that no attempt has touched.
#[utoipa::path(delete, path = "/v1/messages/{message}", tag = "messages",
    params(("message" = String, Path)), responses((status = 200, body = MessageJson)))]
pub(super) async fn cancel(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    MessageName(id): MessageName,
) -> Answer<MessageJson> {
    seen_by(&caller, &state, &id).await?;
    let now = state.app.clock.unix();
    let message = state.app.store.cancel(&id, now).await?;
    let message = message.ok_or_else(|| unknown(&id))?;
    if message.status == Status::Cancelled {
        decided(&caller.name, &message, "cancel");
        state.app.sessions.notify_outbox(&message.session);
        Ok(JsonAnswer(MessageJson::from(&message)))
    } else {
        let detail = format!("the message is {} already", message.status.as_str());
        let problem = Problem::new(Code::NotCancellable, detail);
        Err(problem.with("status_of_message", message.status.as_str()))
    }
}

/// Sends a parked message again, under its old id.
#[utoipa::path(post, path = "/v1/messages/{message}/release", tag = "messages",
    params(("message" = String, Path)), responses((status = 200, body = MessageJson)))]
pub(super) async fn release(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    MessageName(id): MessageName,
) -> Answer<MessageJson> {
    unpark(&state, &caller, &id, true).await
}

/// Gives a parked message up.
#[utoipa::path(post, path = "/v1/messages/{message}/discard", tag = "messages",
    params(("message" = String, Path)), responses((status = 200, body = MessageJson)))]
pub(super) async fn discard(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    MessageName(id): MessageName,
) -> Answer<MessageJson> {
    unpark(&state, &caller, &id, false).await
}

/// A message of a session that the caller's token is for. Another one looks
/// to it as if it were not there.
async fn seen_by<D>(
    caller: &Caller<D>,
    state: &HttpState,
    id: &MessageId,
) -> Result<Message, Problem> {
    let found = state.app.store.message(id).await?;
    found
        .filter(|message| caller.sees(&message.session))
        .ok_or_else(|| unknown(id))
}

async fn unpark<D>(
    state: &HttpState,
    caller: &Caller<D>,
    id: &MessageId,
    release: bool,
) -> Answer<MessageJson> {
    let before = seen_by(caller, state, id).await?;
    if before.status != Status::Parked {
        let detail = format!("the message is {}", before.status.as_str());
        return Err(Problem::new(Code::NotParked, detail));
    }
    let act = if release {
        "message_released"
    } else {
        "message_discarded"
    };
    caller.act(act, id.as_str());
    let now = state.app.clock.unix();
    let after = state.app.store.unpark(id, release, now).await?;
    let after = after.ok_or_else(|| unknown(id))?;
    decided(
        &caller.name,
        &after,
        if release { "release" } else { "discard" },
    );
    state.app.sessions.notify_outbox(&after.session);
    Ok(JsonAnswer(MessageJson::from(&after)))
}

/// A person's word on a message goes into the log: who gave it, and which.
fn decided(token: &str, message: &Message, act: &'static str) {
    tracing::info!(
        event = events::MESSAGE_DECIDED,
        token,
        session = %message.session,
        message = %message.id,
        act,
        reason = message.reason,
        "a person decided"
    );
}
