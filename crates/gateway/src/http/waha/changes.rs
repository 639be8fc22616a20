//! What is done to a message that stands in a chat, in WAHA's words: a
//! reaction, a new text, its deletion for everyone. As durable as a send.

use super::super::HttpState;
use super::super::auth::{Caller, Sorting, ToSend};
use super::super::extract::{ChatName, IdempotencyHeader, Json, SessionName, path_text};
use super::super::problem::Problem;
use super::AppState;
use super::send::{Sender, key_named, send};
use super::shape::WahaMessage;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use steadfast_core::ids::{ChatId, SessionId};
use utoipa::ToSchema;

/// The message that an address names.
pub(super) struct Place {
    session: SessionId,
    chat: ChatId,
    /// Its whole name, or its bare id.
    message: String,
}

impl<S: Sync> FromRequestParts<S> for Place {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let SessionName(session) = SessionName::from_request_parts(parts, state).await?;
        let ChatName(chat) = ChatName::from_request_parts(parts, state).await?;
        let message = path_text(parts, "message").await?;
        Ok(Self {
            session,
            chat,
            message,
        })
    }
}

impl Place {
    async fn change<D>(
        self,
        state: &HttpState,
        sender: Sender<D>,
        content: Value,
    ) -> Result<Response, Problem> {
        send(
            state,
            sender,
            &self.session,
            self.chat,
            content,
            StatusCode::OK,
        )
        .await
    }
}

/// A reaction.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaReaction {
    /// `default` where left out.
    session: Option<String>,
    message_id: String,
    /// One emoji; empty takes the reaction back.
    reaction: String,
}

/// Puts an emoji on a message, or takes it back.
#[utoipa::path(put, path = "/api/reaction", tag = "waha",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = WahaReaction,
    responses((status = 200, body = WahaMessage)))]
pub(super) async fn react(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    IdempotencyHeader(key): IdempotencyHeader,
    Json(body): Json<WahaReaction>,
) -> Result<Response, Problem> {
    let sender = Sender::new(caller, key);
    let session = sender.session(body.session.as_deref())?;
    let message = key_named(&body.message_id)?;
    let content = json!({
        "type": "reaction",
        "message": message.to_string(),
        "emoji": body.reaction,
    });
    send(
        &state,
        sender,
        &session,
        message.chat,
        content,
        StatusCode::OK,
    )
    .await
}

/// Another text.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct WahaEdit {
    #[schema(min_length = 1, max_length = 65_536)]
    text: String,
}

/// Gives a message of this account another text.
#[utoipa::path(put, path = "/api/{session}/chats/{chat}/messages/{message}", tag = "waha",
    params(("session" = String, Path), ("chat" = String, Path), ("message" = String, Path),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = WahaEdit, responses((status = 200, body = WahaMessage)))]
pub(super) async fn edit(
    caller: Caller<ToSend>,
    State(state): AppState,
    place: Place,
    IdempotencyHeader(key): IdempotencyHeader,
    Json(body): Json<WahaEdit>,
) -> Result<Response, Problem> {
    let content = json!({"type": "edit", "message": place.message, "text": body.text});
    place
        .change(&state, Sender::new(caller, key), content)
        .await
}

/// Deletes a message of this account for everyone.
#[utoipa::path(delete, path = "/api/{session}/chats/{chat}/messages/{message}", tag = "waha",
    params(("session" = String, Path), ("chat" = String, Path), ("message" = String, Path),
        ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = WahaMessage)))]
pub(super) async fn delete(
    caller: Caller<ToSend>,
    State(state): AppState,
    place: Place,
    IdempotencyHeader(key): IdempotencyHeader,
) -> Result<Response, Problem> {
    let content = json!({"type": "revoke", "message": place.message});
    place
        .change(&state, Sender::new(caller, key), content)
        .await
}
