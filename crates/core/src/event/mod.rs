//! What is told of everything that happens: one log for all sessions.
//!
//! An event is written in the transaction of the change that it tells of, so
//! none is told that did not happen, and none is lost. Its position never
//! changes and is never used again: whoever knows the last position that it
//! has seen, misses nothing. Its id is made from what it tells, or from its
//! position, so that it is the same however often it is delivered.

mod kind;

pub use kind::{EventKind, EventKinds, NoEventKind};

use crate::ids::{ChatId, EventId, MessageId, SessionId, WaMessageId};
use crate::inbound::Happening;
use crate::outbox::Status;
use crate::port::{Incident, StoredInbound};
use crate::time::UnixMs;
use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its position in the log.
    pub seq: i64,
    /// Its id, the same for ever.
    pub id: EventId,
    /// What it tells of.
    pub kind: EventKind,
    /// Whose it is, where it belongs to one session.
    pub session: Option<SessionId>,
    /// When it happened, by our clock.
    pub at: UnixMs,
    /// The particulars.
    pub data: EventData,
}

/// The particulars of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "shape", content = "of", rename_all = "snake_case")]
pub enum EventData {
    /// A message of ours moved.
    Message(MessageMoved),
    /// A message came in, or was written on another device.
    Received(Box<StoredInbound>),
    /// Something happened to a message or a group.
    Happening(Happening),
    /// A session changed its state.
    State(StateChange),
    /// An incident began or ended; without its steps.
    Incident(Box<Incident>),
    /// An endpoint was switched off, or missed something.
    Webhook(WebhookNotice),
    /// There is nothing more to say.
    Nothing,
}

/// Where a message of ours stands now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageMoved {
    /// Our id of it.
    pub id: MessageId,
    /// WhatsApp's id of it.
    pub wa_message_id: WaMessageId,
    /// To whom it goes.
    pub to: ChatId,
    /// Its kind: `text`, `media`, ...
    pub kind: String,
    /// Where it stands.
    pub status: Status,
    /// Why it was rejected or parked: a stable name.
    pub reason: Option<String>,
    /// One sentence for a person.
    pub detail: Option<String>,
    /// When it was accepted.
    pub accepted_at: UnixMs,
}

/// A session's move from one state to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// The state before.
    pub from: String,
    /// The state now.
    pub to: String,
    /// Why, where something failed: the failure kind's stable name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What happened to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookNotice {
    /// Its id.
    pub webhook: String,
    /// How many events it missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<u64>,
    /// One sentence for a person.
    pub detail: String,
}

/// What the gateway tells that no other write of its store tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A session changed its state.
    State(SessionId, StateChange),
    /// An endpoint was switched off.
    WebhookDisabled(WebhookNotice),
    /// An endpoint missed something.
    WebhookGap(WebhookNotice),
}

impl Told {
    /// What it is told as.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::State(..) => EventKind::SessionState,
            Self::WebhookDisabled(_) => EventKind::WebhookDisabled,
            Self::WebhookGap(_) => EventKind::WebhookGap,
        }
    }

    /// Whose it is.
    pub fn session(&self) -> Option<&SessionId> {
        match self {
            Self::State(session, _) => Some(session),
            Self::WebhookDisabled(_) | Self::WebhookGap(_) => None,
        }
    }

    /// Its particulars.
    pub fn into_data(self) -> EventData {
        match self {
            Self::State(_, change) => EventData::State(change),
            Self::WebhookDisabled(notice) | Self::WebhookGap(notice) => EventData::Webhook(notice),
        }
    }
}

/// What a happening is told as.
pub fn kind_of(happening: &Happening) -> EventKind {
    match happening {
        Happening::Edited { .. } => EventKind::MessageEdited,
        Happening::Revoked { .. } => EventKind::MessageRevoked,
        Happening::Reaction { .. } => EventKind::MessageReaction,
        Happening::Group { .. } => EventKind::GroupChanged,
    }
}

/// What an incident that was written is told as, given whether it was known
/// before, and ended then.
pub fn told_of_incident(before: Option<bool>, ended: bool) -> &'static [EventKind] {
    match (before, ended) {
        (None, false) => &[EventKind::IncidentOpened],
        (None, true) => &[EventKind::IncidentOpened, EventKind::IncidentClosed],
        (Some(false), true) => &[EventKind::IncidentClosed],
        (Some(_), false) | (Some(true), true) => &[],
    }
}
