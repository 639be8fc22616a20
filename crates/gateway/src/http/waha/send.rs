//! Sends, in WAHA's words. Each is accepted like any other: on disk before it
//! is answered, and answered as it stands once the server has it or the wait
//! is over. What is not with the server by then has ack 0 and is still sent.

use super::super::HttpState;
use super::super::JsonAnswer;
use super::super::accept::{self, OnDisk, Order};
use super::super::auth::{Caller, Sorting, ToSend};
use super::super::content::Pending;
use super::super::extract::{IdempotencyHeader, Json};
use super::super::options::Options;
use super::super::problem::{Code, Problem};
use super::shape::WahaMessage;
use super::{AppState, chat_named, not_supported, nullable, session_named};
use crate::sessions::AckWait;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::time::Duration;
use steadfast_core::ids::{ChatId, MessageKey, SessionId, WaMessageId};
use steadfast_core::outbox::{Ack, Body, Message, Status, Text};
use utoipa::ToSchema;

/// A text to be sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaText {
    /// `default` where left out.
    session: Option<String>,
    /// A chat id, or a number.
    chat_id: String,
    #[schema(min_length = 1, max_length = 65_536)]
    text: String,
    /// The id of the message that it answers.
    #[serde(alias = "reply_to")]
    reply_to: Option<String>,
    /// Whom it mentions.
    #[serde(default, alias = "mentionsIds", deserialize_with = "nullable")]
    mentions: Vec<String>,
    /// Whether WhatsApp may fetch a preview of its first link; yes where left out.
    link_preview: Option<bool>,
    /// Only null: ids are minted here.
    id: Option<String>,
}

/// Sends a text.
#[utoipa::path(post, path = "/api/sendText", tag = "waha",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = WahaText,
    responses((status = 201, body = WahaMessage)))]
pub(super) async fn text(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    IdempotencyHeader(key): IdempotencyHeader,
    Json(body): Json<WahaText>,
) -> Result<Response, Problem> {
    send_text(&state, &caller, key, body).await
}

/// Sends a text that answers a message. The older form.
#[utoipa::path(post, path = "/api/reply", tag = "waha",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = WahaText,
    responses((status = 201, body = WahaMessage)))]
pub(super) async fn reply(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    IdempotencyHeader(key): IdempotencyHeader,
    Json(body): Json<WahaText>,
) -> Result<Response, Problem> {
    if body.reply_to.is_none() {
        return Err(Problem::field("reply_to", "name the message to answer"));
    }
    send_text(&state, &caller, key, body).await
}

async fn send_text(
    state: &HttpState,
    caller: &Caller<Sorting<ToSend>>,
    key: Option<String>,
    body: WahaText,
) -> Result<Response, Problem> {
    no_id_of_its_own(body.id.as_deref())?;
    let session = session_named(caller, body.session.as_deref())?;
    let to = chat_named(&body.chat_id)?;
    let reply_to = answered(body.reply_to.as_deref(), &to)?;
    let mentions = people(&body.mentions)?;
    let Body::Text(text) = accept::text_body(body.text, "text")? else {
        return Err(Problem::new(Code::Internal, "a text is no text"));
    };
    let body = Body::Text(Text {
        mentions,
        link_preview: body.link_preview.unwrap_or(true),
        reply_to,
        ..text
    });
    send(state, &caller.name, &session, order(to, body), key).await
}

fn no_id_of_its_own(id: Option<&str>) -> Result<(), Problem> {
    match id {
        None => Ok(()),
        Some(_) => Err(not_supported(
            "a message id of the caller's own (send an Idempotency-Key instead)",
        )),
    }
}

fn order(to: ChatId, body: Body) -> Order {
    Order {
        to,
        body: Pending::Ready(body),
        options: Options::default(),
    }
}

/// The message that another one answers. A bare id is taken for one that came in.
fn answered(id: Option<&str>, chat: &ChatId) -> Result<Option<MessageKey>, Problem> {
    let Some(id) = id.filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    key_named(id, Some(chat), false).map(Some)
}

/// The name of a message: WAHA's, or a bare id in a chat that is known.
pub(super) fn key_named(
    id: &str,
    chat: Option<&ChatId>,
    from_me: bool,
) -> Result<MessageKey, Problem> {
    if let Some(chat) = chat
        && !id.contains('@')
    {
        return Ok(MessageKey {
            chat: chat.clone(),
            id: WaMessageId::parse(id)?,
            from_me,
            participant: None,
        });
    }
    id.parse().map_err(|_| {
        let id: String = id.chars().take(80).collect();
        let right = "true_4915123456789@c.us_3EB0...";
        Problem::new(
            Code::InvalidField,
            format!("{id:?} is no message id; it looks like {right}"),
        )
    })
}

fn people(ids: &[String]) -> Result<Vec<ChatId>, Problem> {
    ids.iter().map(|id| chat_named(id)).collect()
}

/// Accepts it, waits for the server's ack where the session works, and answers
/// the message as it stands.
pub(super) async fn send(
    state: &HttpState,
    caller: &str,
    session: &SessionId,
    order: Order,
    key: Option<String>,
) -> Result<Response, Problem> {
    let on_disk = accept::accept(state, caller, session, order, key).await?;
    let view = state.app.sessions.get(session).await.ok();
    let ready = view
        .as_ref()
        .is_some_and(crate::sessions::SessionView::ready);
    let me = view.and_then(|view| view.me).map(|me| me.id);
    let message = as_it_stands(state, &on_disk, ready).await?;
    if message.status == Status::Rejected {
        return Err(rejected(&message));
    }
    let body = JsonAnswer(WahaMessage::of_ours(&message, me.as_ref()));
    let mut response = (StatusCode::CREATED, body).into_response();
    if on_disk.replayed {
        let yes = HeaderValue::from_static("true");
        response.headers_mut().insert(accept::REPLAYED, yes);
    }
    Ok(response)
}

/// What goes wrong from here on is no failure of the send: the message is on
/// disk, and a caller who is told of an error would send it twice.
async fn as_it_stands(
    state: &HttpState,
    on_disk: &OnDisk,
    ready: bool,
) -> Result<Message, Problem> {
    if ready {
        let wait = Duration::from_millis(state.app.config.delivery.reply_wait_ms);
        let sessions = &state.app.sessions;
        match sessions.wait_for_ack(&on_disk.id, Ack::Server, wait).await {
            Ok(AckWait::Reached(message) | AckWait::Ended(message)) => return Ok(*message),
            Ok(AckWait::TimedOut) | Err(_) => {}
        }
    }
    let found = state.app.store.message(&on_disk.id).await?;
    found.ok_or_else(|| {
        // Its session was deleted under it, and all its messages with it.
        Problem::new(Code::MessageUnknown, "the message was deleted meanwhile")
    })
}

/// It can never be sent as it is: the caller should know now.
fn rejected(message: &Message) -> Problem {
    let reason = message.reason.clone().unwrap_or_default();
    let code = match reason.as_str() {
        "recipient_invalid" => Code::InvalidRecipient,
        _ => Code::InvalidField,
    };
    let detail = message.detail.clone().unwrap_or_else(|| reason.clone());
    Problem::new(code, detail)
        .with("id", message.id.as_str())
        .with("reason", reason)
}
