//! From a request to a message on disk: bounds, ids, idempotency, commit.
//! Whatever returns `Ok` here is durable.

use super::options::{Options, Wait};
use super::problem::{Code, Problem};
use super::view::{AcceptedJson, MessageJson};
use super::{HttpState, JsonAnswer};
use crate::clock::random_bytes;
use crate::events;
use crate::sessions::AckWait;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use steadfast_core::ids::{ChatId, MessageId, SessionId, WaMessageId};
use steadfast_core::outbox::{Body, NewMessage};
use steadfast_core::port::{Accepted, IdempotencyKey};

/// Most characters of a text, WhatsApp's own bound.
pub(super) const MAX_TEXT_CHARS: usize = 65_536;

/// What somebody wants sent.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) to: ChatId,
    pub(super) body: Body,
    /// When, in which lane, and what the answer waits for.
    pub(super) options: Options,
}

impl Order {
    /// Checks recipient and text.
    pub(super) fn text(to: &str, text: String, field: &str) -> Result<Self, Problem> {
        let to = ChatId::parse(to)?;
        Ok(Self {
            to,
            body: text_body(text, field)?,
            options: Options::default(),
        })
    }
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

/// An Idempotency-Key, and what it covers beside the one message.
#[derive(Debug)]
pub(super) struct Key {
    text: String,
    whole: [u8; 32],
}

impl Key {
    /// A key that covers one message.
    pub(super) fn one(text: String) -> Self {
        Self {
            text,
            whole: [0; 32],
        }
    }

    /// The key of one message among many: it fits only where the whole request
    /// is the same.
    pub(super) fn part(text: &str, index: usize, whole: [u8; 32]) -> Self {
        Self {
            text: format!("{text}#{index}"),
            whole,
        }
    }
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
pub(super) async fn accept(
    state: &HttpState,
    caller: &str,
    session: &SessionId,
    order: Order,
    key: Option<Key>,
) -> Result<OnDisk, Problem> {
    let key = key.map(|key| (format!("{caller}\n{}", key.text), key.whole));
    let _running = match &key {
        Some((text, _)) => Some(state.in_flight.begin(text).ok_or_else(|| {
            Problem::new(
                Code::IdempotencyInFlight,
                "the first request with this key has not been answered yet",
            )
            .retry_after(1)
        })?),
        None => None,
    };
    let said = order.options.digested();
    let message = mint(state, session, order)?;
    let key = key.map(|(key, whole)| IdempotencyKey {
        key,
        digest: digest(&whole, &order_parts(&message, said)),
        keep_until: message
            .accepted_at
            .plus(state.app.config.server.idempotency_keep_ms),
    });
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
        Accepted::Replayed { message } => Ok(OnDisk {
            id: message.id.clone(),
            answer: AcceptedJson::first_answer(&message),
            replayed: true,
        }),
        Accepted::KeyReused => Err(Problem::new(
            Code::IdempotencyKeyReused,
            "this Idempotency-Key came with another request before",
        )),
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
) -> Result<Response, Problem> {
    let location = format!("/v1/messages/{}", on_disk.id);
    let (status, body) = match wait {
        None => (
            StatusCode::ACCEPTED,
            JsonAnswer(on_disk.answer).into_response(),
        ),
        Some(wait) => {
            let config = &state.app.config;
            let deadline = wait.deadline(
                config.delivery.reply_wait_ms,
                config.server.request_timeout_ms,
            );
            let waited = state
                .app
                .sessions
                .wait_for_ack(&on_disk.id, wait.level, deadline)
                .await;
            match waited {
                Ok(AckWait::Reached(message)) => {
                    let body = JsonAnswer(MessageJson::from(&*message));
                    (StatusCode::OK, body.into_response())
                }
                // Its status says that it never will.
                Ok(AckWait::Ended(message)) => {
                    let body = JsonAnswer(MessageJson::from(&*message));
                    (StatusCode::ACCEPTED, body.into_response())
                }
                Ok(AckWait::TimedOut) | Err(_) => {
                    let body = match state.app.store.message(&on_disk.id).await {
                        Ok(Some(message)) => {
                            JsonAnswer(MessageJson::from(&message)).into_response()
                        }
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

/// Commits many at once, all or none.
pub(super) async fn accept_many(
    state: &HttpState,
    session: &SessionId,
    orders: Vec<Order>,
) -> Result<Vec<AcceptedJson>, Problem> {
    let messages = orders
        .into_iter()
        .map(|order| mint(state, session, order))
        .collect::<Result<Vec<_>, _>>()?;
    let answers: Vec<_> = messages.iter().map(AcceptedJson::from).collect();
    if !messages.is_empty() {
        state.app.store.accept_many(messages).await?;
        stored(state, session, answers.len());
    }
    Ok(answers)
}

fn stored(state: &HttpState, session: &SessionId, count: usize) {
    let count = count as u64;
    state.app.metrics.accepted.add([session.as_str()], count);
    state.app.sessions.notify_outbox(session);
}

fn mint(state: &HttpState, session: &SessionId, order: Order) -> Result<NewMessage, Problem> {
    let random = state.app.random.as_ref();
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
        body: order.body,
        priority: order.options.priority,
        accepted_at: now,
        due_at,
        expires_at: order.options.expiry.map(|expiry| expiry.resolve(now)),
    })
}

/// What the caller asked for, as the parts of a digest. A body is compared in
/// the form in which it is stored.
fn order_parts(message: &NewMessage, options: Vec<String>) -> Vec<String> {
    let body = serde_json::to_string(&message.body).unwrap_or_default();
    let mut parts = vec![message.session.to_string(), message.to.to_string(), body];
    parts.extend(options);
    parts
}

/// SHA-256 over what the caller asked for, in a form of its own: each part
/// with its length before it, so that no two requests look the same.
pub(super) fn digest(seed: &[u8; 32], parts: &[impl AsRef<str>]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(seed);
    for part in parts {
        let part = part.as_ref();
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}
