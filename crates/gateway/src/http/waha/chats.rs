//! Chats and numbers, in WAHA's words.

use super::super::auth::{Caller, Sorting, ToRead, ToSend};
use super::super::extract::{Query, SessionName};
use super::super::{HttpState, JsonAnswer};
use super::{Answer, AppState, chat_named, session_named, within};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use steadfast_core::ids::SessionId;
use steadfast_core::port::ChatSummary;
use utoipa::{IntoParams, ToSchema};

/// One chat.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaChat {
    id: String,
    name: String,
    is_group: bool,
    unread_count: u32,
    /// Seconds since 1970, of the last message.
    timestamp: Option<i64>,
}

impl From<ChatSummary> for WahaChat {
    fn from(chat: ChatSummary) -> Self {
        Self {
            id: chat.id.into(),
            name: chat.name,
            is_group: chat.is_group,
            unread_count: chat.unread,
            timestamp: chat.last_message_at.map(|at| at.0.div_euclid(1_000)),
        }
    }
}

/// Which chats.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WahaChatsQuery {
    /// For the address without a session in it; `default` where left out.
    session: Option<String>,
    /// At most so many, up to 1000.
    limit: Option<usize>,
    /// So many are left out at the beginning.
    #[serde(default)]
    offset: usize,
}

/// The chats of this account, as WhatsApp Web orders them.
#[utoipa::path(get, path = "/api/{session}/chats", tag = "waha",
    params(("session" = String, Path), WahaChatsQuery),
    responses((status = 200, body = Vec<WahaChat>)))]
pub(super) async fn list(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    Query(query): Query<WahaChatsQuery>,
) -> Answer<Vec<WahaChat>> {
    chats(&state, &session, &query).await
}

/// The chats of this account, with the session in the query.
#[utoipa::path(get, path = "/api/chats", tag = "waha", params(WahaChatsQuery),
    responses((status = 200, body = Vec<WahaChat>)))]
pub(super) async fn list_by_query(
    caller: Caller<Sorting<ToRead>>,
    State(state): AppState,
    Query(query): Query<WahaChatsQuery>,
) -> Answer<Vec<WahaChat>> {
    let session = session_named(&caller, query.session.as_deref())?;
    chats(&state, &session, &query).await
}

async fn chats(
    state: &HttpState,
    session: &SessionId,
    query: &WahaChatsQuery,
) -> Answer<Vec<WahaChat>> {
    let limit = within(query.limit)?;
    let found = state.app.sessions.chats(session).await?;
    let page = found.into_iter().skip(query.offset).take(limit);
    Ok(JsonAnswer(page.map(WahaChat::from).collect()))
}

/// Which number.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WahaNumberQuery {
    /// 7 to 15 digits in international form.
    phone: String,
    /// `default` where left out.
    session: Option<String>,
}

/// Whether a number has WhatsApp.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaNumber {
    number_exists: bool,
    /// Where it can be written to.
    chat_id: Option<String>,
}

/// Asks WhatsApp whether a number has an account.
#[utoipa::path(get, path = "/api/contacts/check-exists", tag = "waha", params(WahaNumberQuery),
    responses((status = 200, body = WahaNumber)))]
pub(super) async fn check_exists(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    Query(query): Query<WahaNumberQuery>,
) -> Answer<WahaNumber> {
    let session = session_named(&caller, query.session.as_deref())?;
    checked(&state, &session, &query).await
}

/// The same at its older address.
#[utoipa::path(get, path = "/api/checkNumberStatus", tag = "waha", params(WahaNumberQuery),
    responses((status = 200, body = WahaNumber)))]
pub(super) async fn check_number_status(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    Query(query): Query<WahaNumberQuery>,
) -> Answer<WahaNumber> {
    let session = session_named(&caller, query.session.as_deref())?;
    checked(&state, &session, &query).await
}

async fn checked(
    state: &HttpState,
    session: &SessionId,
    query: &WahaNumberQuery,
) -> Answer<WahaNumber> {
    let number = chat_named(&query.phone)?;
    let found = state.app.sessions.check_number(session, &number).await?;
    Ok(JsonAnswer(WahaNumber {
        number_exists: found.is_some(),
        chat_id: found.map(Into::into),
    }))
}
