//! A message on its way into the outbox.

use super::Error;
use crate::http::embedded::{NewOrder, OnDisk};
use steadfast_core::ids::{ChatId, MessageId, WaMessageId};
use steadfast_core::outbox::{Body, Priority};
use steadfast_core::time::UnixMs;

/// What is to be sent, to whom, and how.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub(super) order: NewOrder,
    pub(super) key: Option<String>,
}

impl Outgoing {
    /// A text of 1 to 65,536 characters. `to`: 7 to 15 digits in international
    /// form, or a chat id.
    ///
    /// # Errors
    /// [`Error::Refused`]: `invalid_recipient`, `invalid_field`.
    pub fn text(to: &str, text: impl Into<String>) -> Result<Self, Error> {
        let to = ChatId::parse(to)?;
        Ok(Self {
            order: NewOrder::text(to, text.into())?,
            key: None,
        })
    }

    /// Makes it safe to repeat, also after a restart: the first one with this
    /// key is kept, and every later one gets its answer (`server.idempotency_keep_ms`).
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Until when it is worth sending: what WhatsApp surely does not have by
    /// then ends as expired.
    pub fn expires_at(mut self, at: UnixMs) -> Self {
        self.order.expires_at = Some(at);
        self
    }

    /// Not before this time. Until then it holds up no other message.
    pub fn send_at(mut self, at: UnixMs) -> Self {
        self.order.send_at = Some(at);
        self
    }

    /// The lane it waits in: a one-time code goes before a campaign. Each lane
    /// of a chat is in order of acceptance.
    pub fn priority(mut self, lane: Priority) -> Self {
        self.order.priority = lane;
        self
    }

    /// What is sent.
    pub fn body(&self) -> &Body {
        &self.order.body
    }
}

/// A message that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Our id.
    pub id: MessageId,
    /// WhatsApp's id, minted here; it never changes.
    pub wa_message_id: WaMessageId,
    /// Whether this was a repeat under a key: the ids are those of the first.
    pub replayed: bool,
}

impl From<OnDisk> for Accepted {
    fn from(on_disk: OnDisk) -> Self {
        Self {
            id: on_disk.id,
            wa_message_id: on_disk.wa_message_id,
            replayed: on_disk.replayed,
        }
    }
}
