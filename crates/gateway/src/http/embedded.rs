//! What a program that carries the gateway asks for in place of a request:
//! the same rules and the same problems.

use super::HttpState;
use super::accept::{self, Order};
use super::content::Pending;
use super::expiry::Expiry;
use super::extract::idempotency_key;
use super::messages::SendRequest;
use super::options::{Options, Schedule};
use super::patience::Patience;
use super::problem::{Code, Problem};
use crate::app::App;
use serde_json::Value;
use std::sync::Arc;
use steadfast_core::ids::{ChatId, MessageId, SessionId, WaMessageId};
use steadfast_core::outbox::{Body, Priority};
use steadfast_core::time::UnixMs;

/// Whose keys they are: no token has this name.
const CALLER: &str = "\u{0}embedded";

/// A message to be accepted.
#[derive(Debug, Clone)]
pub(crate) struct NewOrder {
    pub(crate) to: ChatId,
    pub(crate) body: Body,
    pub(crate) priority: Priority,
    pub(crate) send_at: Option<UnixMs>,
    pub(crate) expires_at: Option<UnixMs>,
}

/// A message that is on disk.
#[derive(Debug)]
pub(crate) struct OnDisk {
    pub(crate) id: MessageId,
    pub(crate) wa_message_id: WaMessageId,
    pub(crate) replayed: bool,
}

impl HttpState {
    /// What all surfaces share.
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Removes a session with everything that belongs to it.
    pub(crate) async fn remove_session(&self, session: &SessionId) -> Result<(), Problem> {
        super::sessions::remove(self, session).await
    }

    /// Ends when the gateway does.
    pub(crate) async fn ended(&self) {
        self.stopping.cancelled().await;
    }
}

impl NewOrder {
    pub(crate) fn text(to: ChatId, text: String) -> Result<Self, Problem> {
        Ok(Self {
            to,
            body: accept::text_body(text, "text")?,
            priority: Priority::default(),
            send_at: None,
            expires_at: None,
        })
    }
}

/// As `POST /v1/sessions/{session}/messages`.
pub(crate) async fn accept(
    state: &HttpState,
    session: &SessionId,
    order: NewOrder,
    key: Option<String>,
) -> Result<OnDisk, Problem> {
    let order = Order {
        to: order.to,
        body: Pending::Ready(order.body),
        options: Options {
            expiry: order.expires_at.map(Expiry::At),
            schedule: order.send_at.map(Schedule::At),
            priority: order.priority,
            wait: None,
        },
    };
    keep(state, session, order, key).await
}

/// As `POST /v1/sessions/{session}/messages` with this body.
pub(crate) async fn accept_request(
    state: &HttpState,
    session: &SessionId,
    request: Value,
    key: Option<String>,
) -> Result<OnDisk, Problem> {
    let request: SendRequest = serde_json::from_value(request)
        .map_err(|error| Problem::new(Code::InvalidField, error.to_string()))?;
    let order = request.order(state, session).await?;
    keep(state, session, order, key).await
}

async fn keep(
    state: &HttpState,
    session: &SessionId,
    order: Order,
    key: Option<String>,
) -> Result<OnDisk, Problem> {
    let key = key.map(|text| idempotency_key(&text)).transpose()?;
    let patience = Patience::boundless();
    let on_disk = accept::accept(state, CALLER, &patience, session, order, key).await?;
    let wa_message_id = WaMessageId::parse(&on_disk.answer.wa_message_id)?;
    Ok(OnDisk {
        id: on_disk.id,
        wa_message_id,
        replayed: on_disk.replayed,
    })
}

/// As the `phone` of `POST .../pairing-code`.
pub(crate) fn phone(text: &str) -> Result<String, Problem> {
    super::sessions::phone_digits(text)
        .ok_or_else(|| Problem::field("phone", "give 7 to 15 digits in international form"))
}
