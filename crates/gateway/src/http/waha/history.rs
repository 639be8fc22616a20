//! The messages of a chat, in WAHA's words.

use super::super::auth::{Caller, Sorting, ToRead};
use super::super::chats::{off_the_point, perform};
use super::super::content::Named;
use super::super::extract::{ChatName, MessageInChat, Query, SessionName};
use super::super::media;
use super::super::problem::{Code, Problem};
use super::super::{HttpState, JsonAnswer};
use super::shape::WahaMessage;
use super::{Answer as Answered, AppState, MessageId, chat_named, session_named};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use steadfast_core::action::{Action, Answer, HistoryMessage};
use steadfast_core::ids::{ChatId, SessionId};
use steadfast_core::outbox::Ack;
use utoipa::{IntoParams, ToSchema};

/// Messages that the page gives at once.
const PAGE: u32 = 200;
/// How far one request looks back. Each page of it is a question to the browser.
const MOST_LOOKED_AT: usize = 1_000;

/// In which order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum WahaOrder {
    /// The oldest of those found first.
    Asc,
    /// The newest first.
    #[default]
    Desc,
}

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct WahaMessagesQuery {
    /// For the address without them in it; the session is `default` where left out.
    session: Option<String>,
    /// For the address without it.
    chat_id: Option<String>,
    /// At most so many; 10 where left out. With `offset` up to 1000.
    limit: Option<usize>,
    /// So many of the newest are left out.
    #[serde(default)]
    offset: usize,
    /// asc or desc (the default).
    #[serde(default)]
    #[param(inline)]
    sort_order: WahaOrder,
    /// Only those sent at this time or before, in seconds since 1970.
    #[serde(rename = "filter.timestamp.lte")]
    until: Option<i64>,
    /// Only those sent at this time or later.
    #[serde(rename = "filter.timestamp.gte")]
    since: Option<i64>,
    /// Only ours, or only those of others.
    #[serde(rename = "filter.fromMe")]
    from_me: Option<bool>,
    /// Only those that came this far: PENDING, SERVER, DEVICE, READ, PLAYED.
    #[serde(rename = "filter.ack")]
    ack: Option<String>,
}

impl WahaMessagesQuery {
    fn ack(&self) -> Result<Option<Ack>, Problem> {
        let named = |text: &str| {
            let all = [
                Ack::Pending,
                Ack::Server,
                Ack::Device,
                Ack::Read,
                Ack::Played,
            ];
            all.into_iter()
                .find(|ack| super::shape::ack_name(*ack) == text)
        };
        let Some(text) = self.ack.as_deref() else {
            return Ok(None);
        };
        named(text).map(Some).ok_or_else(|| {
            let detail = "filter.ack is PENDING, SERVER, DEVICE, READ or PLAYED";
            Problem::new(Code::InvalidRequest, detail)
        })
    }

    fn fits(&self, held: &HistoryMessage, ack: Option<Ack>) -> bool {
        let sent = held.message.sent_at.0.div_euclid(1_000);
        self.until.is_none_or(|until| sent <= until)
            && self.since.is_none_or(|since| sent >= since)
            && self.from_me.is_none_or(|ours| held.message.from_me == ours)
            && ack.is_none_or(|ack| held.ack == Some(ack))
    }
}

/// The messages of a chat, newest first, as WhatsApp Web has them.
#[utoipa::path(get, path = "/api/{session}/chats/{chat}/messages", tag = "waha",
    params(("session" = String, Path), ("chat" = String, Path), WahaMessagesQuery),
    responses((status = 200, body = Vec<WahaMessage>)))]
pub(super) async fn list(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    ChatName(chat): ChatName,
    Query(query): Query<WahaMessagesQuery>,
) -> Answered<Vec<WahaMessage>> {
    messages(&state, &session, &chat, &query).await
}

/// The messages of a chat, with session and chat in the query.
#[utoipa::path(get, path = "/api/messages", tag = "waha", params(WahaMessagesQuery),
    responses((status = 200, body = Vec<WahaMessage>)))]
pub(super) async fn list_by_query(
    caller: Caller<Sorting<ToRead>>,
    State(state): AppState,
    Query(query): Query<WahaMessagesQuery>,
) -> Answered<Vec<WahaMessage>> {
    let session = session_named(&caller, query.session.as_deref())?;
    let chat = query.chat_id.as_deref().ok_or_else(|| {
        Problem::new(
            Code::InvalidRequest,
            "chatId names the chat, and is missing",
        )
    })?;
    messages(&state, &session, &chat_named(chat)?, &query).await
}

async fn messages(
    state: &HttpState,
    session: &SessionId,
    chat: &ChatId,
    query: &WahaMessagesQuery,
) -> Answered<Vec<WahaMessage>> {
    let limit = query.limit.unwrap_or(10);
    let wanted = limit.saturating_add(query.offset);
    if limit == 0 || wanted > MOST_LOOKED_AT {
        let detail = format!("limit is at least 1, and with offset at most {MOST_LOOKED_AT}");
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    let ack = query.ack()?;
    let mut found = Vec::new();
    look_back(state, session, chat, wanted, |held| {
        if query.fits(held, ack) {
            found.push(held.clone());
        }
        found.len() < wanted
    })
    .await?;
    let me = me(state, session).await?;
    let mut page: Vec<WahaMessage> = found
        .into_iter()
        .skip(query.offset)
        .map(|held| WahaMessage::of_history(held, session, me.as_ref()))
        .collect();
    if query.sort_order == WahaOrder::Asc {
        page.reverse();
    }
    Ok(JsonAnswer(page))
}

async fn me(state: &HttpState, session: &SessionId) -> Result<Option<ChatId>, Problem> {
    let view = state.app.sessions.get(session).await?;
    Ok(view.me.map(|me| me.id))
}

/// Shows each message of a chat, newest first, until there are no more, enough
/// were seen, or `more` says no.
async fn look_back(
    state: &HttpState,
    session: &SessionId,
    chat: &ChatId,
    wanted: usize,
    mut more: impl FnMut(&HistoryMessage) -> bool,
) -> Result<(), Problem> {
    let mut before = None;
    let mut seen = 0;
    let limit = u32::try_from(wanted).unwrap_or(PAGE).clamp(20, PAGE);
    while seen < MOST_LOOKED_AT {
        let action = Action::History {
            chat: chat.clone(),
            limit,
            before,
        };
        let Answer::History(page) = perform(state, session, action).await? else {
            return Err(off_the_point("history"));
        };
        if !page.iter().rev().all(&mut more) {
            return Ok(());
        }
        seen += page.len();
        match page.first() {
            Some(oldest) if page.len() >= limit as usize => before = Some(oldest.message.key()),
            Some(_) | None => return Ok(()),
        }
    }
    Ok(())
}

/// One message of a chat, where it is among its newest thousand.
#[utoipa::path(get, path = "/api/{session}/chats/{chat}/messages/{message}", tag = "waha",
    params(("session" = String, Path), ("chat" = String, Path), ("message" = String, Path)),
    responses((status = 200, body = WahaMessage)))]
pub(super) async fn get(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    ChatName(chat): ChatName,
    MessageId(id): MessageId,
) -> Answered<WahaMessage> {
    let mut found = None;
    look_back(&state, &session, &chat, MOST_LOOKED_AT, |held| {
        if held.message.wa_message_id == id {
            found = Some(held.clone());
        }
        found.is_none()
    })
    .await?;
    let me = me(&state, &session).await?;
    found
        .map(|held| JsonAnswer(WahaMessage::of_history(held, &session, me.as_ref())))
        .ok_or_else(|| {
            let detail = format!("it is not among the newest {MOST_LOOKED_AT} of this chat");
            Problem::new(Code::MessageUnknown, detail)
        })
}

/// Which message's file.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct WahaDownloadQuery {
    /// The whole id of the message. The session is named beside it, or is `default`.
    message_id: String,
    session: Option<String>,
}

/// The file of a message, as the client `waha` asks for it.
#[utoipa::path(get, path = "/api/media/download", tag = "waha", params(WahaDownloadQuery),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The part that a Range header asks for")))]
pub(super) async fn download(
    caller: Caller<ToRead>,
    State(state): AppState,
    Query(query): Query<WahaDownloadQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let session = session_named(&caller, query.session.as_deref())?;
    let key = super::send::key_named(&query.message_id)?;
    let chat = ChatName(key.chat.clone());
    let message = MessageInChat(Named::Key(key));
    media::of_message(
        caller,
        State(state),
        SessionName(session),
        chat,
        message,
        headers,
    )
    .await
}
