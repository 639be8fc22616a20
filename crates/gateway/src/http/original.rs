//! `/api/whatsapp`: the endpoints of the system that Steadfast began as, with
//! their names and shapes. They speak for the session `default`.
//!
//! What is new there: nothing sent is lost. Where the old backend answered
//! "queued" from memory, the message is on disk before the answer.

use super::accept::{self, Begun, OnDisk, Order, WholeKey};
use super::auth::{Caller, ToAdmin, ToRead, ToSend};
use super::content::Pending;
use super::extract::{IdempotencyHeader, Json};
use super::options::Options;
use super::patience::Patience;
use super::problem::{Code, Problem};
use super::stats::AvailabilityJson;
use super::view::{AcceptedJson, HealthJson};
use super::{HttpState, JsonAnswer};
use crate::app::DEFAULT_SESSION;
use crate::sessions::AckWait;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::ids::{ChatId, SessionId};
use steadfast_core::outbox::{Ack, Message, Status as MessageStatus};
use steadfast_core::time::UnixMs;
use utoipa::ToSchema;

type AppState = State<Arc<HttpState>>;
type Answer<T> = Result<JsonAnswer<T>, Problem>;

/// What the old backend said where it could not send at once.
const UNAVAILABLE: &str = "WhatsApp temporarily unavailable";

fn session() -> Result<SessionId, Problem> {
    Ok(SessionId::parse(DEFAULT_SESSION)?)
}

/// The original's status, flat, with more beside it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the original's shape")]
pub(super) struct Status {
    /// CONNECTED, OPENING, PAIRING, UNPAIRED, UNPAIRED_IDLE, TIMEOUT, CONFLICT, UNLAUNCHED.
    state: &'static str,
    is_ready: bool,
    is_authenticated: bool,
    session_closed: bool,
    #[serde(rename = "hasQR")]
    has_qr: bool,
    connection_attempts: u32,
    restart_in_progress: bool,
    last_seen: Option<String>,
    recommendations: Vec<String>,
    /// The state under its name in `/v1`.
    session_state: &'static str,
    reason: Option<String>,
    queued: u64,
    parked: u64,
}

/// How WhatsApp is.
#[utoipa::path(get, path = "/api/whatsapp/status", tag = "original",
    responses((status = 200, body = Status)))]
pub(super) async fn status(_: Caller<ToRead>, State(state): AppState) -> Answer<Status> {
    let view = state.app.sessions.get(&session()?).await?;
    Ok(JsonAnswer(Status {
        state: view.state.original(),
        is_ready: view.ready(),
        is_authenticated: view.is_authenticated,
        session_closed: view.session_closed(),
        has_qr: view.has_qr,
        connection_attempts: view.connection_attempts,
        restart_in_progress: view.restart_in_progress,
        last_seen: view.last_seen.map(UnixMs::rfc3339),
        session_state: view.state.as_str(),
        queued: view.outbox.accepted + view.outbox.sending,
        parked: view.outbox.parked,
        recommendations: view.recommendations,
        reason: view.reason,
    }))
}

/// The original's QR answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct QrAnswer {
    success: bool,
    #[serde(rename = "hasQR")]
    has_qr: bool,
    /// The whole string that a phone scans; null where there is none now.
    qr: Option<String>,
    expires_at: Option<String>,
    message: &'static str,
}

/// The QR code, where one waits to be scanned.
#[utoipa::path(get, path = "/api/whatsapp/qr", tag = "original",
    responses((status = 200, body = QrAnswer)))]
pub(super) async fn qr(_: Caller<ToAdmin>, State(state): AppState) -> Answer<QrAnswer> {
    let session = session()?;
    let qr = state.app.sessions.qr(&session).await?;
    let message = match &qr {
        Some(_) => "Scan this code with WhatsApp on the phone",
        None if state.app.sessions.get(&session).await?.ready() => {
            "WhatsApp is connected; no code is needed"
        }
        None => "There is no code now; ask again",
    };
    let expires_at = qr.as_ref().map(|qr| qr.expires_at.rfc3339());
    Ok(JsonAnswer(QrAnswer {
        success: true,
        has_qr: qr.is_some(),
        qr: qr.map(|qr| qr.code),
        expires_at,
        message,
    }))
}

/// The original's health check, with a time beside it.
#[utoipa::path(get, path = "/api/whatsapp/health", tag = "original",
    responses((status = 200, body = HealthJson)))]
pub(super) async fn health(_: Caller<ToRead>, State(state): AppState) -> Answer<HealthJson> {
    let view = state.app.sessions.health(&session()?).await?;
    Ok(JsonAnswer(view.into()))
}

/// The original's service statistics.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stats {
    is_ready: bool,
    connection_state: &'static str,
    session_closed: bool,
    /// Seconds since the gateway started.
    uptime: f64,
    /// Seconds for which the session has been ready without a break.
    ready_for: f64,
    queued: u64,
    /// Ready by wanted time, 0 to 1; null before the first link.
    availability: Option<f64>,
    /// Look-ups that found what a blind retry would have sent twice.
    duplicates_prevented: u64,
}

/// A few figures.
#[utoipa::path(get, path = "/api/whatsapp/stats", tag = "original",
    responses((status = 200, body = Stats)))]
pub(super) async fn stats(_: Caller<ToRead>, State(state): AppState) -> Answer<Stats> {
    let view = state.app.sessions.get(&session()?).await?;
    let uptime_ms = state.app.clock.mono().since(state.app.started);
    Ok(JsonAnswer(Stats {
        is_ready: view.ready(),
        connection_state: view.state.original(),
        session_closed: view.session_closed(),
        uptime: uptime_ms as f64 / 1_000.0,
        ready_for: view.uptime_ms as f64 / 1_000.0,
        queued: view.outbox.accepted + view.outbox.sending,
        availability: AvailabilityJson::from(&view).ratio,
        duplicates_prevented: state
            .app
            .metrics
            .duplicates_prevented
            .get([view.name.as_str()]),
    }))
}

/// One chat, in the original's words.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Chat {
    id: String,
    name: String,
    is_group: bool,
    unread_count: u32,
    /// Seconds since 1970, as WhatsApp Web counts.
    timestamp: Option<i64>,
}

/// The original's list of chats.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Chats {
    success: bool,
    chats: Vec<Chat>,
}

/// The chats of this account.
#[utoipa::path(get, path = "/api/whatsapp/chats", tag = "original",
    responses((status = 200, body = Chats)))]
pub(super) async fn chats(_: Caller<ToRead>, State(state): AppState) -> Answer<Chats> {
    let found = state.app.sessions.chats(&session()?).await?;
    let chats = found
        .into_iter()
        .map(|chat| Chat {
            id: chat.id.into(),
            name: chat.name,
            is_group: chat.is_group,
            unread_count: chat.unread,
            timestamp: chat.last_message_at.map(|at| at.0.div_euclid(1_000)),
        })
        .collect();
    Ok(JsonAnswer(Chats {
        success: true,
        chats,
    }))
}

/// That it was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Done {
    success: bool,
    message: &'static str,
}

/// Ends the browser and starts it anew.
#[utoipa::path(post, path = "/api/whatsapp/restart", tag = "original",
    responses((status = 200, body = Done)))]
pub(super) async fn restart(caller: Caller<ToAdmin>, State(state): AppState) -> Answer<Done> {
    caller.act("session_restarted", DEFAULT_SESSION);
    let session = session()?;
    state.app.sessions.restart(&session).await?;
    Ok(JsonAnswer(Done {
        success: true,
        message: "WhatsApp client restart initiated",
    }))
}

/// A number as callers of the original wrote it: a text, or a bare JSON number.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Number {
    /// `"4915123456789"`.
    Text(String),
    /// `4915123456789`.
    Digits(u64),
}

impl Number {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Digits(digits) => digits.to_string(),
        }
    }
}

/// What is to be sent, and to whom.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct SendMessage {
    number: Number,
    #[schema(min_length = 1, max_length = 65_536)]
    message: String,
}

/// WhatsApp's server has it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sent {
    success: bool,
    /// WhatsApp's id of it.
    message_id: String,
    /// Ours, for `/v1/messages/{message}`.
    id: String,
    to: String,
    status: &'static str,
}

/// It is on disk, and will be sent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the original's names")]
pub(super) struct Queued {
    success: bool,
    queued: bool,
    /// Ours, for `/v1/messages/{message}`.
    id: String,
    /// WhatsApp's id that it will have.
    message_id: String,
    error: &'static str,
}

impl Queued {
    fn from(answer: AcceptedJson) -> Self {
        Self {
            success: true,
            queued: true,
            id: answer.id,
            message_id: answer.wa_message_id,
            error: UNAVAILABLE,
        }
    }
}

/// Sends a text. 200 once WhatsApp's server has it; 202 where that takes
/// longer or WhatsApp is away: then it is on disk and will be sent.
#[utoipa::path(post, path = "/api/whatsapp/send-message", tag = "original",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = SendMessage,
    responses((status = 200, body = Sent), (status = 202, body = Queued)))]
pub(super) async fn send_message(
    caller: Caller<ToSend>,
    State(state): AppState,
    IdempotencyHeader(key): IdempotencyHeader,
    Json(body): Json<SendMessage>,
) -> Result<Response, Problem> {
    let order = Order::text(&body.number.text(), body.message, "message")?;
    hand_over(&state, &caller, order, key).await
}

/// What is to be sent, and to which group.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SendToGroup {
    /// With or without @g.us.
    group_id: String,
    #[schema(min_length = 1, max_length = 65_536)]
    message: String,
}

/// Sends a text to a group. Answers like send-message.
#[utoipa::path(post, path = "/api/whatsapp/send-to-group", tag = "original",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = SendToGroup,
    responses((status = 200, body = Sent), (status = 202, body = Queued)))]
pub(super) async fn send_to_group(
    caller: Caller<ToSend>,
    State(state): AppState,
    IdempotencyHeader(key): IdempotencyHeader,
    Json(body): Json<SendToGroup>,
) -> Result<Response, Problem> {
    let id = match body.group_id.trim() {
        whole if whole.contains('@') => whole.to_owned(),
        bare => format!("{bare}@g.us"),
    };
    let order = Order::text(&id, body.message, "message")?;
    if !order.to.is_group() {
        let detail = format!("{id:?} is no group: a group's id ends in @g.us");
        return Err(Problem::new(Code::InvalidRecipient, detail));
    }
    hand_over(&state, &caller, order, key).await
}

async fn hand_over(
    state: &Arc<HttpState>,
    caller: &Caller<ToSend>,
    order: Order,
    key: Option<String>,
) -> Result<Response, Problem> {
    let (name, patience) = (&caller.name, &caller.patience);
    let on_disk = accept::accept(state, name, patience, &session()?, order, key).await?;
    answer(state, on_disk, patience).await
}

/// Waits for the server's ack where the session is ready, but not for long.
async fn answer(
    state: &HttpState,
    on_disk: OnDisk,
    patience: &Patience,
) -> Result<Response, Problem> {
    let wait = Duration::from_millis(state.app.config.delivery.reply_wait_ms);
    // What goes wrong from here on is no failure of the request: the message
    // is on disk, and a caller who is told of an error would send it twice.
    let ready = match state.app.sessions.get(&session()?).await {
        Ok(view) => view.ready(),
        Err(_) => false,
    };
    let waited = if ready {
        accept::acked(state, &on_disk.id, Ack::Server, wait, patience)
            .await
            .unwrap_or(AckWait::TimedOut)
    } else {
        AckWait::TimedOut
    };
    match waited {
        AckWait::Reached(message) => Ok(sent(&message)),
        AckWait::Ended(message) if message.status == MessageStatus::Rejected => {
            let reason = message.reason.clone().unwrap_or_default();
            let code = match reason.as_str() {
                "recipient_invalid" => Code::InvalidRecipient,
                _ => Code::InvalidField,
            };
            let detail = message.detail.unwrap_or_else(|| reason.clone());
            Err(Problem::new(code, detail)
                .with("id", message.id.as_str())
                .with("reason", reason))
        }
        // Parked, expired and cancelled ones are still known under their id.
        AckWait::Ended(_) | AckWait::TimedOut => {
            let body = JsonAnswer(Queued::from(on_disk.answer));
            Ok((StatusCode::ACCEPTED, body).into_response())
        }
    }
}

fn sent(message: &Message) -> Response {
    JsonAnswer(Sent {
        success: true,
        message_id: message.wa_message_id.to_string(),
        id: message.id.to_string(),
        to: message.to.to_string(),
        status: message.status.as_str(),
    })
    .into_response()
}

/// One text to many.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct SendBulk {
    numbers: Vec<Number>,
    #[schema(min_length = 1, max_length = 65_536)]
    message: String,
}

/// What became of each.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BulkResult {
    success: bool,
    /// One for each number, in the order given: `{number, success, queued, id,
    /// messageId}`, or `{number, success: false, error}`.
    results: Vec<Value>,
    total: usize,
    queued: usize,
    failed: usize,
}

/// Sends one text to many, each on disk before the answer. A wrong number
/// fails alone. With an Idempotency-Key the whole request is safe to repeat.
#[utoipa::path(post, path = "/api/whatsapp/send-bulk", tag = "original",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = SendBulk,
    responses((status = 202, body = BulkResult)))]
pub(super) async fn send_bulk(
    caller: Caller<ToSend>,
    State(state): AppState,
    IdempotencyHeader(key): IdempotencyHeader,
    Json(body): Json<SendBulk>,
) -> Result<Response, Problem> {
    let session = session()?;
    let max = state.app.live.get().server.max_bulk;
    if body.numbers.is_empty() || body.numbers.len() > max {
        let what = format!("give 1 to {max} numbers, not {}", body.numbers.len());
        return Err(Problem::field("numbers", what));
    }
    let numbers: Vec<String> = body.numbers.iter().map(Number::text).collect();
    let key = key.map(|text| {
        let mut parts = vec!["send-bulk", body.message.as_str()];
        parts.extend(numbers.iter().map(String::as_str));
        WholeKey {
            text,
            digest: accept::digest(&parts),
        }
    });
    let text = accept::text_body(body.message, "message")?;
    let key = match accept::begin_batch(&state, &caller.name, key).await? {
        Begun::Answered(whole) => return Ok(whole.into_response()),
        Begun::First(key) => key,
    };
    let parsed: Vec<Result<Order, Problem>> = numbers
        .iter()
        .map(|number| {
            Ok(Order {
                to: ChatId::parse(number)?,
                body: Pending::Ready(text.clone()),
                options: Options::default(),
            })
        })
        .collect();
    let good = parsed.iter().filter_map(|order| order.as_ref().ok());
    let orders = good.cloned().collect();
    let answer = |accepted| bulk_answer(&numbers, &parsed, accepted);
    let whole =
        accept::accept_batch(&state, &caller.patience, &session, orders, key, answer).await?;
    Ok(whole.into_response())
}

/// A result for each number, in the order given.
fn bulk_answer(
    numbers: &[String],
    parsed: &[Result<Order, Problem>],
    accepted: Vec<AcceptedJson>,
) -> Result<String, Problem> {
    let queued = accepted.len();
    let mut accepted = accepted.into_iter();
    let results: Vec<Value> = numbers
        .iter()
        .zip(parsed)
        .map(
            |(number, order)| match order.as_ref().map(|_| accepted.next()) {
                Ok(Some(answer)) => json!({
                    "number": number,
                    "success": true,
                    "queued": true,
                    "id": answer.id,
                    "messageId": answer.wa_message_id,
                }),
                Ok(None) => json!({"number": number, "success": false, "error": UNAVAILABLE}),
                Err(problem) => json!({
                    "number": number,
                    "success": false,
                    "error": problem.detail(),
                    "code": problem.code().as_str(),
                }),
            },
        )
        .collect();
    accept::json(&BulkResult {
        success: queued > 0,
        total: results.len(),
        failed: results.len() - queued,
        queued,
        results,
    })
}

/// Which number.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct CheckNumber {
    number: Number,
}

/// Whether it has WhatsApp.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NumberChecked {
    success: bool,
    number: String,
    exists: bool,
    is_registered: bool,
    /// Where it can be written to.
    chat_id: Option<String>,
}

/// Asks WhatsApp whether a number has an account.
#[utoipa::path(post, path = "/api/whatsapp/check-number", tag = "original",
    request_body = CheckNumber, responses((status = 200, body = NumberChecked)))]
pub(super) async fn check_number(
    _: Caller<ToSend>,
    State(state): AppState,
    Json(body): Json<CheckNumber>,
) -> Answer<NumberChecked> {
    let number = body.number.text();
    let id = ChatId::parse(&number)?;
    let found = state.app.sessions.check_number(&session()?, &id).await?;
    Ok(JsonAnswer(NumberChecked {
        success: true,
        number,
        exists: found.is_some(),
        is_registered: found.is_some(),
        chat_id: found.map(Into::into),
    }))
}
