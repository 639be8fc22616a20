//! What is done to a message that stands in a chat: a reaction, a new text,
//! its deletion for everyone. Each is accepted like a message, and as durable.

use super::HttpState;
use super::accept::{self, Order};
use super::auth::{Caller, ToSend};
use super::content::{Draft, Said, emoji, new_text};
use super::extract::{ChatName, IdempotencyHeader, Json, MessageInChat, SessionName};
use super::problem::Problem;
use super::view::AcceptedJson;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;
use steadfast_core::ids::{ChatId, SessionId};
use utoipa::ToSchema;

type AppState = State<Arc<HttpState>>;

/// A reaction.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReactionRequest {
    /// One emoji; empty takes the reaction back.
    #[schema(example = "👍")]
    emoji: String,
}

/// A new text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EditRequest {
    /// The text from now on.
    #[schema(min_length = 1, max_length = 65_536)]
    text: String,
}

/// Where it is to be done, and under which key.
struct Place {
    session: SessionId,
    chat: ChatId,
    key: Option<String>,
}

async fn accept(
    state: &HttpState,
    caller: &Caller<ToSend>,
    place: Place,
    said: Said,
) -> Result<Response, Problem> {
    let draft = Draft {
        said,
        reply_to: None,
    };
    let Place { session, chat, key } = place;
    let order = Order::from_draft(state, &session, chat, draft).await?;
    let on_disk =
        accept::accept(state, &caller.name, &caller.patience, &session, order, key).await?;
    accept::answer(state, on_disk, None, &caller.patience).await
}

/// Puts an emoji on a message, in place of the one that this account put there before.
#[utoipa::path(put, path = "/v1/sessions/{session}/chats/{chat}/messages/{wa_id}/reaction", tag = "messages",
    params(("session" = String, Path), ("chat" = String, Path),
        ("wa_id" = String, Path, description = "The message's WhatsApp id, or its whole key (false_CHAT_ID)."),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = ReactionRequest, responses((status = 202, body = AcceptedJson)))]
pub(super) async fn react(
    caller: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    ChatName(chat): ChatName,
    MessageInChat(message): MessageInChat,
    IdempotencyHeader(key): IdempotencyHeader,
    Json(body): Json<ReactionRequest>,
) -> Result<Response, Problem> {
    let place = Place { session, chat, key };
    let said = Said::Reaction(message, emoji(body.emoji)?);
    accept(&state, &caller, place, said).await
}

/// Takes this account's reaction to a message back.
#[utoipa::path(delete, path = "/v1/sessions/{session}/chats/{chat}/messages/{wa_id}/reaction", tag = "messages",
    params(("session" = String, Path), ("chat" = String, Path), ("wa_id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, body = AcceptedJson)))]
pub(super) async fn unreact(
    caller: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    ChatName(chat): ChatName,
    MessageInChat(message): MessageInChat,
    IdempotencyHeader(key): IdempotencyHeader,
) -> Result<Response, Problem> {
    let place = Place { session, chat, key };
    let said = Said::Reaction(message, String::new());
    accept(&state, &caller, place, said).await
}

/// Gives a message of this account another text. WhatsApp allows it for some fifteen minutes.
#[utoipa::path(patch, path = "/v1/sessions/{session}/chats/{chat}/messages/{wa_id}", tag = "messages",
    params(("session" = String, Path), ("chat" = String, Path), ("wa_id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = EditRequest, responses((status = 202, body = AcceptedJson)))]
pub(super) async fn edit(
    caller: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    ChatName(chat): ChatName,
    MessageInChat(message): MessageInChat,
    IdempotencyHeader(key): IdempotencyHeader,
    Json(body): Json<EditRequest>,
) -> Result<Response, Problem> {
    let place = Place { session, chat, key };
    let said = Said::Edit(message, new_text(body.text)?);
    accept(&state, &caller, place, said).await
}

/// Deletes a message of this account for everyone. WhatsApp allows it for some two days.
#[utoipa::path(delete, path = "/v1/sessions/{session}/chats/{chat}/messages/{wa_id}", tag = "messages",
    params(("session" = String, Path), ("chat" = String, Path), ("wa_id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, body = AcceptedJson)))]
pub(super) async fn revoke(
    caller: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    ChatName(chat): ChatName,
    MessageInChat(message): MessageInChat,
    IdempotencyHeader(key): IdempotencyHeader,
) -> Result<Response, Problem> {
    let place = Place { session, chat, key };
    accept(&state, &caller, place, Said::Revoke(message)).await
}
