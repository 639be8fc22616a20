//! One message that we owe, as it is stored.

use super::{Ack, Body, Priority, Status};
use crate::ids::{ChatId, LoginGeneration, MessageId, SessionId, WaMessageId};
use crate::time::UnixMs;
use serde::{Deserialize, Serialize};

/// A message as accepted: all ids are minted, nothing is stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Our id.
    pub id: MessageId,
    /// WhatsApp's id, minted here and never changed: every attempt uses it.
    pub wa_message_id: WaMessageId,
    /// Whose message it is.
    pub session: SessionId,
    /// To whom.
    pub to: ChatId,
    /// What.
    pub body: Body,
    /// Which lane it waits in.
    pub priority: Priority,
    /// When we accepted it.
    pub accepted_at: UnixMs,
    /// Not before this time. Later than `accepted_at` where its owner
    /// scheduled it: it takes its place in the lane then, and holds up
    /// nobody before.
    pub due_at: UnixMs,
    /// Not after this time, where the owner set one.
    pub expires_at: Option<UnixMs>,
}

/// A message as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Position in the order of acceptance; unique in the store.
    pub seq: i64,
    /// Our id.
    pub id: MessageId,
    /// WhatsApp's id.
    pub wa_message_id: WaMessageId,
    /// Whose message it is.
    pub session: SessionId,
    /// To whom.
    pub to: ChatId,
    /// What.
    pub body: Body,
    /// Which lane it waits in.
    pub priority: Priority,
    /// Where it stands.
    pub status: Status,
    /// Why it was rejected or parked, or why it waits: a stable name.
    pub reason: Option<String>,
    /// One sentence for a person, beside the reason.
    pub detail: Option<String>,
    /// How many attempts have begun.
    pub attempts: u32,
    /// When we accepted it.
    pub accepted_at: UnixMs,
    /// Not before this time.
    pub due_at: UnixMs,
    /// Not after this time.
    pub expires_at: Option<UnixMs>,
    /// When it last changed.
    pub updated_at: UnixMs,
    /// The login under which the last attempt began; of a message in doubt, the
    /// one under which WhatsApp may have it.
    pub login: Option<LoginGeneration>,
    /// Each ack with the time at which it was first known.
    pub acks: Vec<(Ack, UnixMs)>,
}

/// The head of one chat's queue, taken for delivery. Its attempt is on disk:
/// from here on WhatsApp may have it, until an outcome is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The message, as it stood **before** this claim: `Accepted` means that
    /// WhatsApp surely lacks it, `Sending` that an earlier attempt ended unknown.
    pub message: Message,
    /// The number of the attempt that this claim began, from 1.
    pub attempt: u32,
}

/// One try to hand a message over, as kept for its owner to see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// When it began.
    pub started_at: UnixMs,
    /// When its outcome was recorded; `None` while it runs or where we died.
    pub ended_at: Option<UnixMs>,
    /// A stable name: `sent`, `not_sent`, `unknown`, `rejected`, `parked`.
    pub outcome: Option<String>,
    /// One sentence for a person.
    pub detail: Option<String>,
}
