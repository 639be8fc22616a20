//! From a request to a message on disk: bounds, ids, idempotency, commit.
//! Whatever returns `Ok` here is durable.

use super::content::{Content, Draft, Named, Pending};
use super::options::{Options, Wait};
use super::patience::Patience;
use super::problem::{Code, Problem};
use super::view::{AcceptedJson, MessageJson};
use super::waits;
use super::{HttpState, JsonAnswer};
use crate::clock::random_bytes;
use crate::events;
use crate::sessions::{AckWait, SessionError};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use steadfast_core::ids::{ChatId, MessageId, MessageKey, SessionId, WaMessageId};
use steadfast_core::outbox::{Ack, Body, Message, NewMessage};
use steadfast_core::port::{Accepted, BatchAccepted, IdempotencyKey, KeptAnswer};

/// What of a request's time is left for everything but the wait.
const WAIT_MARGIN: Duration = Duration::from_millis(500);
/// Most characters of a text, WhatsApp's own bound.
pub(super) const MAX_TEXT_CHARS: usize = 65_536;

/// What somebody wants sent.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) to: ChatId,
    pub(super) body: Pending,
    /// When, in which lane, and what the answer waits for.
    pub(super) options: Options,
}

impl Order {
    /// Checks recipient and content, and finds the messages that it speaks of.
    pub(super) async fn of(
        state: &HttpState,
        session: &SessionId,
        to: &str,
        content: Content,
    ) -> Result<Self, Problem> {
        let to = ChatId::parse(to)?;
        let body = content.read()?;
        Self::from_draft(state, session, to, body).await
    }

    /// The order for a body whose messages are still to be found.
    pub(super) async fn from_draft(
        state: &HttpState,
        session: &SessionId,
        to: ChatId,
        draft: Draft,
    ) -> Result<Self, Problem> {
        let mut keys = Vec::new();
        for (named, ours) in draft.speaks_of() {
            let key = key_of(state, session, &to, named, ours).await?;
            keys.push((named.clone(), key));
        }
        let found = |named: &Named| {
            let found = keys.iter().find(|(known, _)| known == named);
            found.map(|(_, key)| key.clone())
        };
        Ok(Self {
            body: draft.body(found)?,
            to,
            options: Options::default(),
        })
    }

    /// Brings its file here, where it needs one.
    pub(super) async fn whole(mut self, state: &HttpState) -> Result<Self, Problem> {
        if let Pending::File(file) = self.body {
            self.body = Pending::Ready(file.bring(&state.app.media).await?);
        }
        Ok(self)
    }

    /// Checks recipient and text.
    pub(super) fn text(to: &str, text: String, field: &str) -> Result<Self, Problem> {
        let to = ChatId::parse(to)?;
        Ok(Self {
            to,
            body: Pending::Ready(text_body(text, field)?),
            options: Options::default(),
        })
    }
}

/// The whole key of a message that a caller names, perhaps by its id alone.
async fn key_of(
    state: &HttpState,
    session: &SessionId,
    chat: &ChatId,
    named: &Named,
    ours: bool,
) -> Result<MessageKey, Problem> {
    let key = match named {
        Named::Key(key) => key.clone(),
        Named::Id(id) => match state.app.store.message_key(session, chat, id).await? {
            Some(key) => key,
            // An id of ours whose message waits, or that an older outbox sent.
            None if ours || is_minted(id) => MessageKey {
                chat: chat.clone(),
                id: id.clone(),
                from_me: true,
                participant: None,
            },
            None => {
                let what = format!(
                    "no message {id} of this chat is known here; give its whole key (false_{chat}_{id}; in a group with _AUTHOR behind it)"
                );
                return Err(Problem::new(Code::InvalidField, what).with("field", "message"));
            }
        },
    };
    if ours && !key.from_me {
        let what = "this message was written by somebody else; only one of yours can be changed";
        return Err(Problem::new(Code::InvalidField, what).with("field", "message"));
    }
    Ok(key)
}

/// Whether an id has the form that web clients, and so we, make.
fn is_minted(id: &WaMessageId) -> bool {
    let text = id.as_str();
    text.len() == 22 && text.starts_with("3EB0") && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Checks a text.
pub(super) fn text_body(text: String, field: &str) -> Result<Body, Problem> {
    let chars = text.chars().count();
    if chars == 0 || chars > MAX_TEXT_CHARS {
        let what = format!("it has {chars} characters; 1 to {MAX_TEXT_CHARS} can be sent");
        return Err(Problem::field(field, what));
    }
    Ok(Body::text(text))
}

/// Tells a caller that its key was seen before, and this is the first answer.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A message that is on disk.
#[derive(Debug)]
pub(super) struct OnDisk {
    pub(super) id: MessageId,
    /// What the first request with its key was answered.
    pub(super) answer: AcceptedJson,
    /// Whether this request only repeated that one.
    pub(super) replayed: bool,
}

/// Keys whose first request still runs.
#[derive(Debug, Default)]
pub(super) struct InFlight(Mutex<HashSet<String>>);

struct Running<'a> {
    keys: &'a InFlight,
    key: String,
}

impl InFlight {
    fn begin(&self, key: &str) -> Option<Running<'_>> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key.to_owned()).then(|| Running {
            keys: self,
            key: key.to_owned(),
        })
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut keys = self.keys.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.remove(&self.key);
    }
}

/// Mints the ids and commits, under the caller's key where there is one.
///
/// Nothing is kept for a caller who waits no more: who was told of an error
/// would send it twice.
pub(super) async fn accept(
    state: &HttpState,
    caller: &str,
    patience: &Patience,
    session: &SessionId,
    order: Order,
    key: Option<String>,
) -> Result<OnDisk, Problem> {
    let key = key.map(|key| format!("{caller}\n{key}"));
    let _running = match &key {
        Some(key) => Some(state.in_flight.begin(key).ok_or_else(in_flight)?),
        None => None,
    };
    let said = said(session, &order);
    let now = state.app.clock.unix();
    let key = key.map(|key| IdempotencyKey {
        key,
        digest: digest(&said),
        keep_until: now.plus(state.app.config.server.idempotency_keep_ms),
    });
    // A file is not brought again for a request that only repeats another.
    if let (Pending::File(_), Some(key)) = (&order.body, &key)
        && let Some(seen) = state.app.store.seen_before(key, now).await?
    {
        return already(seen);
    }
    let message = patience
        .lasts(Box::pin(mint(state, session, order)))
        .await?;
    let answer = AcceptedJson::from(&message);
    let id = message.id.clone();
    match state.app.store.accept(message, key).await? {
        Accepted::Stored => {
            stored(state, session, 1);
            tracing::debug!(event = events::MESSAGE_ACCEPTED, %session, message = %id, "accepted");
            Ok(OnDisk {
                id,
                answer,
                replayed: false,
            })
        }
        seen @ (Accepted::Replayed { .. } | Accepted::KeyReused) => already(seen),
    }
}

/// What a request is answered whose key was used before.
fn already(seen: Accepted) -> Result<OnDisk, Problem> {
    match seen {
        Accepted::Replayed { message } => Ok(OnDisk {
            id: message.id.clone(),
            answer: AcceptedJson::first_answer(&message),
            replayed: true,
        }),
        Accepted::Stored | Accepted::KeyReused => Err(key_reused()),
    }
}

/// The answer to an accept: 202, and where the caller wants to wait for the
/// message, 200 once it has come that far.
///
/// What goes wrong while waiting is no failure of the request: the message is
/// on disk, and a caller who is told of an error would send it twice.
pub(super) async fn answer(
    state: &HttpState,
    on_disk: OnDisk,
    wait: Option<Wait>,
    patience: &Patience,
) -> Result<Response, Problem> {
    let location = format!("/v1/messages/{}", on_disk.id);
    let (status, body) = match wait {
        None => (
            StatusCode::ACCEPTED,
            JsonAnswer(on_disk.answer).into_response(),
        ),
        Some(wait) => {
            let usual_ms = state.app.config.delivery.reply_wait_ms;
            let wanted = Duration::from_millis(wait.for_ms.unwrap_or(usual_ms));
            match acked(state, &on_disk.id, wait.level, wanted, patience).await {
                Ok(AckWait::Reached(message)) => {
                    (StatusCode::OK, as_it_stands(state, *message).await)
                }
                // Its status says that it never will.
                Ok(AckWait::Ended(message)) => {
                    (StatusCode::ACCEPTED, as_it_stands(state, *message).await)
                }
                Ok(AckWait::TimedOut) | Err(_) => {
                    let body = match state.app.store.message(&on_disk.id).await {
                        Ok(Some(message)) => as_it_stands(state, message).await,
                        Ok(None) | Err(_) => JsonAnswer(on_disk.answer).into_response(),
                    };
                    (StatusCode::ACCEPTED, body)
                }
            }
        }
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::try_from(location) {
        headers.insert(header::LOCATION, location);
    }
    if on_disk.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Waits for a message's ack, for as long as the caller can be answered still.
pub(super) async fn acked(
    state: &HttpState,
    message: &MessageId,
    level: Ack,
    wanted: Duration,
    patience: &Patience,
) -> Result<AckWait, SessionError> {
    let deadline = wanted.min(patience.left().saturating_sub(WAIT_MARGIN));
    tokio::select! {
        ack = state.app.sessions.wait_for_ack(message, level, deadline) => ack,
        () = patience.over() => Ok(AckWait::TimedOut),
    }
}

async fn as_it_stands(state: &HttpState, message: Message) -> Response {
    let shown = waits::shown(state, std::slice::from_ref(&message)).await;
    let shown = shown.ok().and_then(|shown| shown.into_iter().next());
    JsonAnswer(shown.unwrap_or_else(|| MessageJson::from(&message))).into_response()
}

/// The key of a request that makes many messages.
#[derive(Debug)]
pub(super) struct WholeKey {
    /// The key as the caller sent it.
    pub(super) text: String,
    /// SHA-256 over all that the request asks for.
    pub(super) digest: [u8; 32],
}

/// The answer to a request that made many messages, as it is on disk.
#[derive(Debug)]
pub(super) struct Whole {
    /// JSON.
    answer: String,
    replayed: bool,
}

impl IntoResponse for Whole {
    fn into_response(self) -> Response {
        let json = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (StatusCode::ACCEPTED, json, self.answer).into_response();
        if self.replayed {
            let yes = HeaderValue::from_static("true");
            response.headers_mut().insert(REPLAYED, yes);
        }
        response
    }
}

/// A key whose request runs now: no other one with it is answered meanwhile.
pub(super) struct OpenKey<'a> {
    key: IdempotencyKey,
    _running: Running<'a>,
}

/// How a request that makes many messages begins.
pub(super) enum Begun<'a> {
    /// It only repeats another one, and is answered already.
    Answered(Whole),
    /// It is the first, under its key where it has one.
    First(Option<OpenKey<'a>>),
}

/// Looks a whole request's key up, before anything is done for it: a file is
/// not brought again for a request that only repeats another.
pub(super) async fn begin_batch<'a>(
    state: &'a HttpState,
    caller: &str,
    key: Option<WholeKey>,
) -> Result<Begun<'a>, Problem> {
    let Some(WholeKey { text, digest }) = key else {
        return Ok(Begun::First(None));
    };
    let key = format!("{caller}\n{text}");
    let running = state.in_flight.begin(&key).ok_or_else(in_flight)?;
    let now = state.app.clock.unix();
    let key = IdempotencyKey {
        key,
        digest,
        keep_until: now.plus(state.app.config.server.idempotency_keep_ms),
    };
    match state.app.store.answered_before(&key, now).await? {
        None | Some(BatchAccepted::Stored) => Ok(Begun::First(Some(OpenKey {
            key,
            _running: running,
        }))),
        Some(BatchAccepted::Replayed(answer)) => Ok(Begun::Answered(Whole {
            answer,
            replayed: true,
        })),
        Some(BatchAccepted::KeyReused) => Err(key_reused()),
    }
}

/// Commits many at once, all or none, under the request's key where there is
/// one. `answer` makes the answer of what will have been accepted; with a key
/// it goes to disk in the same transaction, and every repeat gets it again.
pub(super) async fn accept_batch(
    state: &HttpState,
    patience: &Patience,
    session: &SessionId,
    orders: Vec<Order>,
    key: Option<OpenKey<'_>>,
    answer: impl FnOnce(Vec<AcceptedJson>) -> Result<String, Problem>,
) -> Result<Whole, Problem> {
    let mut messages = Vec::with_capacity(orders.len());
    for order in orders {
        messages.push(patience.lasts(mint(state, session, order)).await?);
    }
    let answer = answer(messages.iter().map(AcceptedJson::from).collect())?;
    let count = messages.len();
    let at = state.app.clock.unix();
    let kept = key.as_ref().map(|open| KeptAnswer {
        session: session.clone(),
        key: open.key.clone(),
        answer: answer.clone(),
        at,
    });
    if count == 0 && kept.is_none() {
        super::sessions::exists(state, session).await?;
    }
    match state.app.store.accept_batch(messages, kept).await? {
        BatchAccepted::Stored => {
            if count > 0 {
                stored(state, session, count);
                tracing::debug!(event = events::MESSAGE_ACCEPTED, %session, count, "accepted");
            }
            Ok(Whole {
                answer,
                replayed: false,
            })
        }
        BatchAccepted::Replayed(answer) => Ok(Whole {
            answer,
            replayed: true,
        }),
        BatchAccepted::KeyReused => Err(key_reused()),
    }
}

/// An answer as it is kept.
pub(super) fn json(answer: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(answer).map_err(|error| Problem::new(Code::Internal, error.to_string()))
}

fn in_flight() -> Problem {
    Problem::new(
        Code::IdempotencyInFlight,
        "the first request with this key has not been answered yet",
    )
    .retry_after(1)
}

fn key_reused() -> Problem {
    Problem::new(
        Code::IdempotencyKeyReused,
        "this Idempotency-Key came with another request before",
    )
}

fn stored(state: &HttpState, session: &SessionId, count: usize) {
    let count = count as u64;
    state.app.metrics.accepted.add([session.as_str()], count);
    state.app.sessions.notify_outbox(session);
}

async fn mint(state: &HttpState, session: &SessionId, order: Order) -> Result<NewMessage, Problem> {
    let random = state.app.random.as_ref();
    let body = match order.body {
        Pending::Ready(body) => body,
        Pending::File(file) => file.bring(&state.app.media).await?,
    };
    let now = state.app.clock.unix();
    let due_at = match order.options.schedule {
        Some(schedule) => schedule.resolve(now)?,
        None => now,
    };
    Ok(NewMessage {
        id: MessageId::mint(now, random_bytes(random)?),
        wa_message_id: WaMessageId::mint(random_bytes(random)?),
        session: session.clone(),
        to: order.to,
        body,
        priority: order.options.priority,
        accepted_at: now,
        due_at,
        expires_at: order.options.expiry.map(|expiry| expiry.resolve(now)),
    })
}

/// What the caller asked for, as the parts of a digest. A body is compared in
/// the form in which it is stored, but for its file.
fn said(session: &SessionId, order: &Order) -> Vec<String> {
    let body = match &order.body {
        Pending::Ready(body) => serde_json::to_string(body).unwrap_or_default(),
        Pending::File(file) => file.said(),
    };
    let mut parts = vec![session.to_string(), order.to.to_string(), body];
    parts.extend(order.options.digested());
    parts
}

/// SHA-256 over what the caller asked for, in a form of its own: each part
/// with its length before it, so that no two requests look the same.
pub(super) fn digest(parts: &[impl AsRef<str>]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    // Older versions began so: keys that are on disk keep their meaning.
    hasher.update([0; 32]);
    for part in parts {
        let part = part.as_ref();
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}
