//! `/v1/sessions/{session}/chats/...`, presence and number checks: what is
//! asked of WhatsApp Web now, and never queued.

use super::auth::{Caller, ToRead, ToSend};
use super::extract::{ChatName, Json, Query, SessionName};
use super::problem::{Code, Problem};
use super::view::{Page, ack_name};
use super::{HttpState, JsonAnswer, page_limit};
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use steadfast_core::action::{Action, Activity, Answer, HistoryMessage};
use steadfast_core::ids::{ChatId, MessageKey, SessionId};
use steadfast_core::inbound::RemoteFile;
use utoipa::{IntoParams, ToSchema};

type AppState = State<Arc<HttpState>>;

/// Numbers that may be checked in one request.
pub(super) const MOST_NUMBERS: usize = 50;

/// Does one thing at WhatsApp.
pub(super) async fn perform(
    state: &HttpState,
    session: &SessionId,
    action: Action,
) -> Result<Answer, Problem> {
    Ok(state.app.sessions.perform(session, action).await?)
}

/// Does what is answered with no more than that it is done.
pub(super) async fn done(
    state: &HttpState,
    session: &SessionId,
    action: Action,
) -> Result<StatusCode, Problem> {
    perform(state, session, action).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An engine that answers another question than it was asked.
pub(super) fn off_the_point(action: &'static str) -> Problem {
    let detail = format!("the engine gave no answer to {action}");
    Problem::new(Code::WhatsAppFailed, detail).retry_after(2)
}

/// What others see us do.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ActivityJson {
    /// We type.
    Composing,
    /// We record a voice note.
    Recording,
    /// Neither, any more.
    Paused,
}

impl From<ActivityJson> for Activity {
    fn from(activity: ActivityJson) -> Self {
        match activity {
            ActivityJson::Composing => Self::Composing,
            ActivityJson::Recording => Self::Recording,
            ActivityJson::Paused => Self::Paused,
        }
    }
}

/// What is to be shown.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Typing {
    /// composing, recording or paused.
    activity: ActivityJson,
}

/// Shows the other side that we type, record, or stopped. WhatsApp takes it back by itself after some seconds.
#[utoipa::path(post, path = "/v1/sessions/{session}/chats/{chat}/typing", tag = "chats",
    params(("session" = String, Path), ("chat" = String, Path)), request_body = Typing,
    responses((status = 204)))]
pub(super) async fn typing(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    ChatName(chat): ChatName,
    Json(body): Json<Typing>,
) -> Result<StatusCode, Problem> {
    let activity = body.activity.into();
    done(&state, &session, Action::Typing { chat, activity }).await
}

/// Marks a chat as read, and tells its writers so.
#[utoipa::path(post, path = "/v1/sessions/{session}/chats/{chat}/read", tag = "chats",
    params(("session" = String, Path), ("chat" = String, Path)),
    responses((status = 204)))]
pub(super) async fn read(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    ChatName(chat): ChatName,
) -> Result<StatusCode, Problem> {
    done(&state, &session, Action::MarkRead { chat }).await
}

/// Whether we are shown as online.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Presence {
    /// Whether.
    online: bool,
}

/// Shows us as online, or not any more. While online, the phone gives no notifications.
#[utoipa::path(put, path = "/v1/sessions/{session}/presence", tag = "chats",
    params(("session" = String, Path)), request_body = Presence,
    responses((status = 204)))]
pub(super) async fn presence(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    Json(body): Json<Presence>,
) -> Result<StatusCode, Problem> {
    done(&state, &session, Action::Online(body.online)).await
}

/// Which messages of a chat.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// Only older than the message with this key.
    before: Option<String>,
    /// At most so many, 1 to 200; 50 where not said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// The file of a message, still at WhatsApp.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HistoryFileJson {
    /// Its type, by its sender's word.
    mime: String,
    /// Its length in bytes, by its sender's word.
    size: Option<u64>,
    name: Option<String>,
}

impl From<RemoteFile> for HistoryFileJson {
    fn from(file: RemoteFile) -> Self {
        Self {
            mime: file.mime,
            size: file.size,
            name: file.name,
        }
    }
}

/// A message as it stands in its chat.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HistoryJson {
    /// Its name on this account; give it as `before` to get older ones.
    key: String,
    wa_message_id: String,
    chat: String,
    sender: String,
    from_me: bool,
    /// WhatsApp's name for its kind: chat, image, ptt, ...
    kind: String,
    /// The text or caption as it is now.
    text: String,
    sent_at: String,
    /// How far one of ours came: pending, server, device, read, played.
    ack: Option<&'static str>,
    /// The name that its sender goes by.
    push_name: Option<String>,
    /// The id of the message that it answers.
    reply_to: Option<String>,
    /// Whom it mentions.
    mentions: Vec<String>,
    media: Option<HistoryFileJson>,
}

impl From<HistoryMessage> for HistoryJson {
    fn from(held: HistoryMessage) -> Self {
        let message = held.message;
        Self {
            key: message.key().to_string(),
            wa_message_id: message.wa_message_id.into(),
            chat: message.chat.into(),
            sender: message.sender.into(),
            from_me: message.from_me,
            kind: message.kind,
            text: message.text,
            sent_at: message.sent_at.rfc3339(),
            ack: held.ack.map(ack_name),
            push_name: message.extras.push_name,
            reply_to: message.extras.reply_to.map(Into::into),
            mentions: message
                .extras
                .mentions
                .into_iter()
                .map(Into::into)
                .collect(),
            media: message.extras.media.map(Into::into),
        }
    }
}

/// The newest messages of a chat, oldest first, as WhatsApp Web holds them.
/// `next` leads to older ones.
#[utoipa::path(get, path = "/v1/sessions/{session}/chats/{chat}/messages", tag = "chats",
    params(("session" = String, Path), ("chat" = String, Path), HistoryQuery),
    responses((status = 200, body = Page<HistoryJson>)))]
pub(super) async fn history(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    ChatName(chat): ChatName,
    Query(query): Query<HistoryQuery>,
) -> Result<JsonAnswer<Page<HistoryJson>>, Problem> {
    let limit = page_limit(query.limit)?;
    let before = query
        .before
        .map(|text| text.parse::<MessageKey>())
        .transpose()
        .map_err(|_| {
            Problem::new(
                Code::InvalidRequest,
                "before is the key of a message, as this list gives it",
            )
        })?;
    let action = Action::History {
        chat,
        limit,
        before,
    };
    let Answer::History(messages) = perform(&state, &session, action).await? else {
        return Err(off_the_point("history"));
    };
    let full = messages.len() == limit as usize;
    let next = messages
        .first()
        .filter(|_| full)
        .map(|oldest| oldest.message.key().to_string());
    Ok(JsonAnswer(Page {
        items: messages.into_iter().map(Into::into).collect(),
        next,
    }))
}

/// Where a picture is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PictureJson {
    /// At WhatsApp, for some days; null where there is none that we may see.
    url: Option<String>,
}

/// The picture of a person or a group.
#[utoipa::path(get, path = "/v1/sessions/{session}/chats/{chat}/picture", tag = "chats",
    params(("session" = String, Path), ("chat" = String, Path)),
    responses((status = 200, body = PictureJson)))]
pub(super) async fn picture(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    ChatName(chat): ChatName,
) -> Result<JsonAnswer<PictureJson>, Problem> {
    let Answer::Picture(url) = perform(&state, &session, Action::Picture(chat)).await? else {
        return Err(off_the_point("picture"));
    };
    Ok(JsonAnswer(PictureJson { url }))
}

/// Numbers to be checked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NumbersCheck {
    /// 1 to 50, each 7 to 15 digits in international form.
    #[schema(min_items = 1, max_items = 50)]
    numbers: Vec<String>,
}

/// What came of one number.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NumberJson {
    /// As it was given.
    number: String,
    exists: bool,
    /// Where it can be written to.
    chat_id: Option<String>,
}

/// Asks WhatsApp which of these numbers have an account. Answers are kept for
/// `session.number_cache_ms`.
#[utoipa::path(post, path = "/v1/sessions/{session}/numbers/check", tag = "chats",
    params(("session" = String, Path)), request_body = NumbersCheck,
    responses((status = 200, body = Page<NumberJson>)))]
pub(super) async fn check_numbers(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    Json(body): Json<NumbersCheck>,
) -> Result<JsonAnswer<Page<NumberJson>>, Problem> {
    if body.numbers.is_empty() || body.numbers.len() > MOST_NUMBERS {
        let what = format!("give 1 to {MOST_NUMBERS} of them");
        return Err(Problem::field("numbers", what));
    }
    let wanted: Vec<ChatId> = people("numbers", &body.numbers)?;
    let mut unique = wanted.clone();
    unique.sort();
    unique.dedup();
    let answer = perform(&state, &session, Action::CheckNumbers(unique)).await?;
    let Answer::Numbers(found) = answer else {
        return Err(off_the_point("check_numbers"));
    };
    let chat_of = |number: &ChatId| {
        let hit = found.iter().find(|(asked, _)| asked == number);
        hit.and_then(|(_, id)| id.clone())
    };
    let items = body.numbers.into_iter().zip(&wanted);
    Ok(JsonAnswer(Page {
        items: items
            .map(|(number, id)| {
                let chat_id = chat_of(id).map(String::from);
                NumberJson {
                    number,
                    exists: chat_id.is_some(),
                    chat_id,
                }
            })
            .collect(),
        next: None,
    }))
}

/// People, each by number or chat id; a group is none.
pub(super) fn people(field: &'static str, texts: &[String]) -> Result<Vec<ChatId>, Problem> {
    let read = |(i, text): (usize, &String)| match ChatId::parse(text) {
        Ok(id) if !id.is_group() => Ok(id),
        Ok(_) => Err(Problem::field(
            &format!("{field}[{i}]"),
            "a group is no person",
        )),
        Err(error) => Err(Problem::field(&format!("{field}[{i}]"), error)),
    };
    texts.iter().enumerate().map(read).collect()
}
