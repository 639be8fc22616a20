//! What is done at once and not queued: typing, read receipts, presence.

use super::super::auth::{Caller, Sorting, ToSend};
use super::super::chats::done;
use super::super::extract::{ChatName, Json, SessionName};
use super::super::problem::Problem;
use super::super::{HttpState, JsonAnswer};
use super::{AppState, chat_named, not_supported, session_named};
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use steadfast_core::action::{Action, Activity};
use utoipa::ToSchema;

/// That it was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WahaDone {
    pub(super) success: bool,
}

/// What WAHA's actions are answered with.
pub(super) type Done = Result<(StatusCode, JsonAnswer<WahaDone>), Problem>;

pub(super) const DONE: JsonAnswer<WahaDone> = JsonAnswer(WahaDone { success: true });

/// A chat of a session.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaChatNamed {
    /// `default` where left out.
    session: Option<String>,
    chat_id: String,
}

/// Marks a chat as read, whichever of its messages are named, and tells its writers so.
#[utoipa::path(post, path = "/api/sendSeen", tag = "waha", request_body = WahaChatNamed,
    responses((status = 201, body = WahaDone)))]
pub(super) async fn seen(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    Json(body): Json<WahaChatNamed>,
) -> Done {
    let session = session_named(&caller, body.session.as_deref())?;
    let chat = chat_named(&body.chat_id)?;
    done(&state, &session, Action::MarkRead { chat }).await?;
    Ok((StatusCode::CREATED, DONE))
}

/// Marks a chat as read.
#[utoipa::path(post, path = "/api/{session}/chats/{chat}/messages/read", tag = "waha",
    params(("session" = String, Path), ("chat" = String, Path)),
    responses((status = 201, body = WahaDone)))]
pub(super) async fn read(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    ChatName(chat): ChatName,
) -> Done {
    done(&state, &session, Action::MarkRead { chat }).await?;
    Ok((StatusCode::CREATED, DONE))
}

/// Shows the other side that we type.
#[utoipa::path(post, path = "/api/startTyping", tag = "waha", request_body = WahaChatNamed,
    responses((status = 201, body = WahaDone)))]
pub(super) async fn start_typing(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    Json(body): Json<WahaChatNamed>,
) -> Done {
    typing(&state, &caller, &body, Activity::Composing).await
}

/// Shows the other side that we stopped typing.
#[utoipa::path(post, path = "/api/stopTyping", tag = "waha", request_body = WahaChatNamed,
    responses((status = 201, body = WahaDone)))]
pub(super) async fn stop_typing(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    Json(body): Json<WahaChatNamed>,
) -> Done {
    typing(&state, &caller, &body, Activity::Paused).await
}

async fn typing(
    state: &HttpState,
    caller: &Caller<Sorting<ToSend>>,
    body: &WahaChatNamed,
    activity: Activity,
) -> Done {
    let session = session_named(caller, body.session.as_deref())?;
    let chat = chat_named(&body.chat_id)?;
    done(state, &session, Action::Typing { chat, activity }).await?;
    Ok((StatusCode::CREATED, DONE))
}

/// How the account is to be shown, to all or in one chat.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaPresence {
    /// For typing, recording and paused.
    chat_id: Option<String>,
    /// online, offline, typing, recording, paused.
    presence: String,
}

/// Shows the account as online or offline, or that it types or records in a chat.
#[utoipa::path(post, path = "/api/{session}/presence", tag = "waha",
    params(("session" = String, Path)), request_body = WahaPresence,
    responses((status = 201, body = WahaDone)))]
pub(super) async fn presence(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    Json(body): Json<WahaPresence>,
) -> Done {
    let in_chat = |activity| {
        let id = body.chat_id.as_deref().ok_or_else(|| {
            Problem::field("chatId", "name the chat in which this is to be shown")
        })?;
        let chat = chat_named(id)?;
        Ok::<_, Problem>(Action::Typing { chat, activity })
    };
    let action = match body.presence.as_str() {
        // One of the clients says it in the words of the protocol.
        "online" | "available" => Action::Online(true),
        "offline" | "unavailable" => Action::Online(false),
        "typing" | "composing" => in_chat(Activity::Composing)?,
        "recording" => in_chat(Activity::Recording)?,
        "paused" => in_chat(Activity::Paused)?,
        other => {
            let other: String = other.chars().take(20).collect();
            return Err(not_supported(&format!("the presence {other:?}")));
        }
    };
    done(&state, &session, action).await?;
    Ok((StatusCode::CREATED, DONE))
}
