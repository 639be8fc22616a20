//! Sends, in WAHA's words. Each is accepted like any other: on disk before it
//! is answered, and answered as it stands once the server has it or the wait
//! is over. What is not with the server by then has ack 0 and is still sent.
//!
//! A body is turned into what `/v1` takes and checked there, so that the two
//! surfaces never differ in what can be sent.

use super::super::accept::{self, OnDisk, Order};
use super::super::auth::{Caller, Sorting, ToSend};
use super::super::content::Content;
use super::super::extract::{IdempotencyHeader, Json};
use super::super::media::WithFile;
use super::super::patience::Patience;
use super::super::problem::{Code, Problem};
use super::super::{HttpState, JsonAnswer};
use super::shape::WahaMessage;
use super::{AppState, chat_named, not_supported, nullable, session_named};
use crate::sessions::{AckWait, SessionView};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use steadfast_core::ids::{ChatId, MessageKey, SessionId};
use steadfast_core::outbox::{Ack, Message, Status};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

/// What every send says beside its content.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaSend {
    /// `default` where left out.
    session: Option<String>,
    /// A chat id, or a number.
    chat_id: String,
    /// The id of the message that it answers.
    #[serde(alias = "reply_to")]
    reply_to: Option<String>,
    /// Only null: ids are minted here.
    id: Option<String>,
}

/// Who sends, and under which key.
pub(super) struct Sender<D> {
    caller: Caller<D>,
    key: Option<String>,
    /// Held until a large request is on disk.
    turn: Option<OwnedSemaphorePermit>,
}

impl<D> Sender<D> {
    pub(super) fn new(caller: Caller<D>, key: Option<String>) -> Self {
        Self {
            caller,
            key,
            turn: None,
        }
    }

    /// The same of a request that may be a large one.
    fn in_turn(self, turn: Option<OwnedSemaphorePermit>) -> Self {
        Self { turn, ..self }
    }

    /// The session that a body names, where the sender's token is for it.
    pub(super) fn session(&self, name: Option<&str>) -> Result<SessionId, Problem> {
        session_named(&self.caller, name)
    }
}

impl WahaSend {
    /// Accepts it with this content, as `/v1` would take it.
    async fn send<D>(
        self,
        state: &HttpState,
        sender: Sender<D>,
        content: Value,
    ) -> Result<Response, Problem> {
        if self.id.is_some() {
            return Err(not_supported(
                "a message id of the caller's own (send an Idempotency-Key instead)",
            ));
        }
        let session = sender.session(self.session.as_deref())?;
        let to = chat_named(&self.chat_id)?;
        let mut content = content;
        if let Some(id) = self.reply_to.filter(|id| !id.is_empty()) {
            content["reply_to"] = id.into();
        }
        send(state, sender, &session, to, content, StatusCode::CREATED).await
    }
}

/// Accepts and answers it.
pub(super) async fn send<D>(
    state: &HttpState,
    sender: Sender<D>,
    session: &SessionId,
    to: ChatId,
    content: Value,
    status: StatusCode,
) -> Result<Response, Problem> {
    let content: Content = serde_json::from_value(content)
        .map_err(|error| Problem::new(Code::InvalidField, error.to_string()))?;
    let order = Order::from_draft(state, session, to, content.read()?).await?;
    let Sender { caller, key, turn } = sender;
    let patience = &caller.patience;
    let on_disk = accept::accept(state, &caller.name, patience, session, order, key).await?;
    // Its file is on disk; others need not wait for what comes of it.
    drop(turn);
    answer(state, session, on_disk, status, patience).await
}

/// Waits for the server's ack where the session works, and answers the
/// message as it stands.
async fn answer(
    state: &HttpState,
    session: &SessionId,
    on_disk: OnDisk,
    status: StatusCode,
    patience: &Patience,
) -> Result<Response, Problem> {
    let view = state.app.sessions.get(session).await.ok();
    let ready = view.as_ref().is_some_and(SessionView::ready);
    let me = view.and_then(|view| view.me).map(|me| me.id);
    let message = as_it_stands(state, &on_disk, ready, patience).await?;
    if message.status == Status::Rejected {
        return Err(rejected(&message));
    }
    let body = JsonAnswer(WahaMessage::of_ours(&message, me.as_ref()));
    let mut response = (status, body).into_response();
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
    patience: &Patience,
) -> Result<Message, Problem> {
    if ready {
        let wait = Duration::from_millis(state.app.config.delivery.reply_wait_ms);
        match accept::acked(state, &on_disk.id, Ack::Server, wait, patience).await {
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

/// A text to be sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaText {
    #[serde(flatten)]
    send: WahaSend,
    #[schema(min_length = 1, max_length = 65_536)]
    text: String,
    /// Whom it mentions.
    #[serde(default, alias = "mentionsIds", deserialize_with = "nullable")]
    mentions: Vec<String>,
    /// Whether WhatsApp may fetch a preview of its first link; yes where left out.
    link_preview: Option<bool>,
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
    send_text(&state, Sender::new(caller, key), body).await
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
    if body.send.reply_to.is_none() {
        return Err(Problem::field("reply_to", "name the message to answer"));
    }
    send_text(&state, Sender::new(caller, key), body).await
}

async fn send_text<D>(
    state: &HttpState,
    sender: Sender<D>,
    body: WahaText,
) -> Result<Response, Problem> {
    let content = json!({
        "type": "text",
        "text": body.text,
        "mentions": body.mentions,
        "link_preview": body.link_preview.unwrap_or(true),
    });
    body.send.send(state, sender, content).await
}

/// A file, by its URL or as its bytes.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct WahaFile {
    mimetype: Option<String>,
    filename: Option<String>,
    /// Where it is fetched.
    url: Option<String>,
    /// Its bytes in base64.
    data: Option<String>,
}

/// A file to be sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaFileSend {
    #[serde(flatten)]
    send: WahaSend,
    file: WahaFile,
    /// The text under it.
    caption: Option<String>,
    /// Whom the caption mentions.
    #[serde(default, alias = "mentionsIds", deserialize_with = "nullable")]
    mentions: Vec<String>,
    /// Only false: round video notes cannot be sent.
    #[serde(default, deserialize_with = "nullable")]
    as_note: bool,
}

async fn send_file<D>(
    state: &HttpState,
    sender: Sender<D>,
    kind: &str,
    body: WahaFileSend,
) -> Result<Response, Problem> {
    if body.as_note {
        return Err(not_supported("video notes (asNote)"));
    }
    let file = body.file;
    let mut content = json!({
        "type": kind,
        "media": {
            "url": file.url,
            "base64": file.data,
            "mime": file.mimetype,
            "filename": file.filename,
        },
    });
    // Voice notes and stickers have neither; clients send them empty all the same.
    if let Some(caption) = body.caption.filter(|caption| !caption.is_empty()) {
        content["caption"] = caption.into();
    }
    if !body.mentions.is_empty() {
        content["mentions"] = body.mentions.into();
    }
    body.send.send(state, sender, content).await
}

/// Sends a picture.
#[utoipa::path(post, path = "/api/sendImage", tag = "waha",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = WahaFileSend,
    responses((status = 201, body = WahaMessage)))]
pub(super) async fn image(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    IdempotencyHeader(key): IdempotencyHeader,
    WithFile { value, turn }: WithFile<WahaFileSend>,
) -> Result<Response, Problem> {
    let sender = Sender::new(caller, key).in_turn(turn);
    send_file(&state, sender, "image", value).await
}

/// Sends any file, shown by its name.
#[utoipa::path(post, path = "/api/sendFile", tag = "waha",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = WahaFileSend,
    responses((status = 201, body = WahaMessage)))]
pub(super) async fn file(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    IdempotencyHeader(key): IdempotencyHeader,
    WithFile { value, turn }: WithFile<WahaFileSend>,
) -> Result<Response, Problem> {
    let sender = Sender::new(caller, key).in_turn(turn);
    send_file(&state, sender, "document", value).await
}

/// Sends a voice note: Opus in Ogg. Nothing is converted here.
#[utoipa::path(post, path = "/api/sendVoice", tag = "waha",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = WahaFileSend,
    responses((status = 201, body = WahaMessage)))]
pub(super) async fn voice(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    IdempotencyHeader(key): IdempotencyHeader,
    WithFile { value, turn }: WithFile<WahaFileSend>,
) -> Result<Response, Problem> {
    let sender = Sender::new(caller, key).in_turn(turn);
    send_file(&state, sender, "voice", value).await
}

/// Sends a film. Nothing is converted here.
#[utoipa::path(post, path = "/api/sendVideo", tag = "waha",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = WahaFileSend,
    responses((status = 201, body = WahaMessage)))]
pub(super) async fn video(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    IdempotencyHeader(key): IdempotencyHeader,
    WithFile { value, turn }: WithFile<WahaFileSend>,
) -> Result<Response, Problem> {
    let sender = Sender::new(caller, key).in_turn(turn);
    send_file(&state, sender, "video", value).await
}

/// Sends a sticker.
#[utoipa::path(post, path = "/api/sendSticker", tag = "waha",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = WahaFileSend,
    responses((status = 201, body = WahaMessage)))]
pub(super) async fn sticker(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    IdempotencyHeader(key): IdempotencyHeader,
    WithFile { value, turn }: WithFile<WahaFileSend>,
) -> Result<Response, Problem> {
    let sender = Sender::new(caller, key).in_turn(turn);
    send_file(&state, sender, "sticker", value).await
}

/// A place to be sent.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct WahaLocationSend {
    #[serde(flatten)]
    send: WahaSend,
    /// Degrees north.
    latitude: f64,
    /// Degrees east.
    longitude: f64,
    /// Its name.
    title: Option<String>,
    address: Option<String>,
}

/// Sends a place.
#[utoipa::path(post, path = "/api/sendLocation", tag = "waha",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = WahaLocationSend,
    responses((status = 201, body = WahaMessage)))]
pub(super) async fn location(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    IdempotencyHeader(key): IdempotencyHeader,
    Json(body): Json<WahaLocationSend>,
) -> Result<Response, Problem> {
    let content = json!({
        "type": "location",
        "latitude": body.latitude,
        "longitude": body.longitude,
        "name": body.title,
        "address": body.address,
    });
    body.send
        .send(&state, Sender::new(caller, key), content)
        .await
}

/// A poll, in either client's form.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum WahaPoll {
    /// As WAHA and `waha-py` say it.
    Whole {
        /// The question.
        name: String,
        /// The answers.
        options: Vec<String>,
        /// Whether one may choose several.
        #[serde(default, rename = "multipleAnswers", deserialize_with = "nullable")]
        multiple_answers: bool,
    },
    /// As `waha` says it: the question, with the answers beside it.
    Question(String),
}

/// An answer, as `waha` names it.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct WahaPollOption {
    name: String,
}

/// A poll to be sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaPollSend {
    #[serde(flatten)]
    send: WahaSend,
    poll: WahaPoll,
    /// The answers, where `poll` is only the question.
    #[serde(default, deserialize_with = "nullable")]
    options: Vec<WahaPollOption>,
    /// Likewise: whether one may choose several.
    #[serde(default, deserialize_with = "nullable")]
    multiple_answers: bool,
}

/// Sends a poll.
#[utoipa::path(post, path = "/api/sendPoll", tag = "waha",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = WahaPollSend,
    responses((status = 201, body = WahaMessage)))]
pub(super) async fn poll(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    IdempotencyHeader(key): IdempotencyHeader,
    Json(body): Json<WahaPollSend>,
) -> Result<Response, Problem> {
    let (question, options, several) = match body.poll {
        WahaPoll::Whole {
            name,
            options,
            multiple_answers,
        } => (name, options, multiple_answers),
        WahaPoll::Question(question) => {
            let options = body.options.into_iter().map(|option| option.name);
            (question, options.collect(), body.multiple_answers)
        }
    };
    let content = json!({
        "type": "poll",
        "question": question,
        "options": options,
        // Any number of answers, or one.
        "selectable": u8::from(!several),
    });
    body.send
        .send(&state, Sender::new(caller, key), content)
        .await
}

/// A contact card: the card itself, or what it is made from.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaCard {
    /// The card itself.
    vcard: Option<String>,
    full_name: Option<String>,
    phone_number: Option<String>,
    organization: Option<String>,
}

impl WahaCard {
    fn content(self) -> Value {
        let vcard = self.vcard.filter(|vcard| !vcard.trim().is_empty());
        match vcard {
            Some(vcard) => {
                let line = |line: &str| line.strip_prefix("FN:").map(|name| name.trim().to_owned());
                let name = self.full_name.or_else(|| vcard.lines().find_map(line));
                json!({"name": name.unwrap_or_default(), "vcard": vcard})
            }
            None => json!({
                "name": self.full_name.unwrap_or_default(),
                "phone": self.phone_number,
                "organization": self.organization,
            }),
        }
    }
}

/// Contact cards to be sent.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct WahaCardsSend {
    #[serde(flatten)]
    send: WahaSend,
    #[schema(min_items = 1, max_items = 50)]
    contacts: Vec<WahaCard>,
}

/// Sends contact cards.
#[utoipa::path(post, path = "/api/sendContactVcard", tag = "waha",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = WahaCardsSend,
    responses((status = 201, body = WahaMessage)))]
pub(super) async fn cards(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    IdempotencyHeader(key): IdempotencyHeader,
    Json(body): Json<WahaCardsSend>,
) -> Result<Response, Problem> {
    let cards: Vec<Value> = body.contacts.into_iter().map(WahaCard::content).collect();
    let content = json!({"type": "contacts", "contacts": cards});
    body.send
        .send(&state, Sender::new(caller, key), content)
        .await
}

/// A message to be passed on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaForward {
    #[serde(flatten)]
    send: WahaSend,
    message_id: String,
}

/// Passes a message on.
#[utoipa::path(post, path = "/api/forwardMessage", tag = "waha",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = WahaForward,
    responses((status = 201, body = WahaMessage)))]
pub(super) async fn forward(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    IdempotencyHeader(key): IdempotencyHeader,
    Json(body): Json<WahaForward>,
) -> Result<Response, Problem> {
    // The message stands in another chat than it goes to.
    let message = key_named(&body.message_id)?.to_string();
    let content = json!({"type": "forward", "message": message});
    body.send
        .send(&state, Sender::new(caller, key), content)
        .await
}

/// The whole name of a message.
pub(super) fn key_named(id: &str) -> Result<MessageKey, Problem> {
    id.parse().map_err(|_| {
        let id: String = id.chars().take(80).collect();
        let right = "true_4915123456789@c.us_3EB0...";
        let what = format!("{id:?} is no message id; it looks like {right}");
        Problem::new(Code::InvalidField, what).with("field", "messageId")
    })
}
