//! What the gateway answers. Fields that this client does not know are passed
//! over, and names that it does not know are `Other`: a newer gateway is no
//! error. Times are RFC 3339 in UTC.

use super::Secret;
use super::error::Problem;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

macro_rules! names {
    ($(#[$about:meta])* $name:ident { $($(#[$each:meta])* $variant:ident,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$each])* $variant,)*
            /// A name that this client does not know.
            #[serde(other)]
            Other,
        }
    };
}

names! {
    /// Where a message stands.
    Status {
        /// On the gateway's disk.
        Accepted,
        /// An attempt is under way, or ended unknown.
        Sending,
        /// WhatsApp's server has it.
        Sent,
        /// A device of the recipient has it.
        Delivered,
        /// It was shown to the recipient.
        Read,
        /// A voice note or video was played.
        Played,
        /// It can never be delivered.
        Rejected,
        /// Its time ran out before an attempt.
        Expired,
        /// It was taken back.
        Cancelled,
        /// It needs a person.
        Parked,
    }
}

names! {
    /// Where a session stands.
    SessionState {
        /// Nobody wants it to run.
        Stopped,
        /// Browser and page come up.
        Starting,
        /// A phone must scan.
        Linking,
        /// WhatsApp Web fetches what it missed.
        Syncing,
        /// Messages go out.
        Ready,
        /// A failure is being healed.
        Recovering,
        /// The link is open somewhere else.
        Conflict,
        /// Its owner logged it out.
        LoggedOut,
        /// A person must decide.
        Parked,
    }
}

/// One page of a list.
#[derive(Debug, Clone, Deserialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Leads to the next page; `None` on the last.
    pub next: Option<String>,
}

/// A message that is on the gateway's disk.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Accepted {
    /// The gateway's id of it.
    pub id: String,
    /// WhatsApp's id of it; it never changes.
    pub wa_message_id: String,
    /// The session that sends it.
    pub session: String,
    /// The chat that it goes to.
    pub to: String,
    /// Where it stands: of interest where the answer waited.
    pub status: Status,
    /// When it was accepted.
    pub accepted_at: String,
    /// Whether an earlier request with its key had been taken already.
    #[serde(skip)]
    pub replayed: bool,
    /// Whether it has come as far as the answer was to wait for.
    #[serde(skip)]
    pub reached: bool,
}

/// What became of a batch.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct BatchAnswer {
    /// How many are on disk.
    pub accepted: usize,
    /// How many are not, for their own fault.
    pub refused: usize,
    /// One for each message, in the order given.
    pub results: Vec<BatchResult>,
}

/// What became of one message of a batch: one of the two.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct BatchResult {
    /// Which of them, from 0.
    pub index: usize,
    /// It is on disk.
    pub message: Option<Accepted>,
    /// It is not, and why.
    pub problem: Option<Problem>,
}

/// A message as it stands.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct MessageView {
    /// The gateway's id of it.
    pub id: String,
    /// WhatsApp's id of it.
    pub wa_message_id: String,
    /// The session that sends it.
    pub session: String,
    /// The chat that it goes to.
    pub to: String,
    /// `text`, `image`, ...
    pub kind: String,
    /// Its text or caption.
    pub text: Option<String>,
    /// All of one that is more than a text.
    pub content: Option<Value>,
    /// Where it stands.
    pub status: Status,
    /// Why it was rejected or parked, or why it waits: a stable name.
    pub reason: Option<String>,
    /// One sentence for a person.
    pub detail: Option<String>,
    /// How many attempts have begun.
    pub attempts: u32,
    /// How far it came, and when.
    pub acks: Vec<Ack>,
    /// `high`, `normal`, `low`.
    pub priority: String,
    /// When it was accepted.
    pub accepted_at: String,
    /// It is not sent, or not tried again, before.
    pub due_at: String,
    /// What an owed one waits for.
    pub waits_for: Option<String>,
    /// Until when it is worth sending.
    pub expires_at: Option<String>,
    /// When it last changed.
    pub updated_at: String,
    /// The attempts themselves, where one message was asked for.
    #[serde(default)]
    pub attempt_log: Vec<Attempt>,
}

/// One ack with its time.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Ack {
    /// `pending`, `server`, `device`, `read`, `played`.
    pub ack: String,
    /// When it was first known.
    pub at: String,
}

/// One try to hand a message over.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// When it began.
    pub started_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// `sent`, `not_sent`, `unknown`, `rejected`, `parked`.
    pub outcome: Option<String>,
    /// One sentence for a person.
    pub detail: Option<String>,
}

/// A file that the gateway keeps.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Uploaded {
    /// Its name there.
    pub id: String,
    /// Its type, as its bytes show it.
    pub mime: String,
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of its content, in hex.
    pub sha256: String,
}

/// A session.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct SessionView {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: SessionState,
    /// Whether a message can be sent right now. One is accepted in every state.
    pub ready: bool,
    /// Why it stands there, a stable name.
    pub reason: Option<String>,
    /// One sentence for a person.
    pub detail: Option<String>,
    /// Since when it stands there.
    pub since: String,
    /// Whose account it is, once that is known.
    pub me: Option<Me>,
    /// How full its outbox is.
    pub outbox: OutboxDepth,
    /// What a person can do.
    pub recommendations: Vec<String>,
}

/// Whose account a session is.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Me {
    /// Its chat id.
    pub id: String,
    /// The name that others see.
    pub push_name: Option<String>,
}

/// How full an outbox is.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct OutboxDepth {
    /// Waiting.
    pub accepted: u64,
    /// In an attempt.
    pub sending: u64,
    /// Waiting for a person.
    pub parked: u64,
    /// When the oldest owed one was accepted.
    pub oldest_accepted_at: Option<String>,
}

/// That the process lives.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Alive {
    /// The gateway's version.
    pub version: String,
    /// How long it has run.
    pub uptime_seconds: f64,
}

/// Whether messages are accepted.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Readiness {
    /// Whether they are.
    pub ready: bool,
    /// Why not, one sentence each.
    pub reasons: Vec<String>,
    /// What was looked at.
    pub checks: BTreeMap<String, Check>,
    /// How many sessions there are, by state.
    pub sessions: BTreeMap<String, usize>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Check {
    /// `pass`, `warning`, `fail`, `session_closed`.
    pub status: String,
    /// One sentence for a person.
    pub detail: String,
}

/// Whether a number has WhatsApp.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Number {
    /// As it was given.
    pub number: String,
    /// Whether it has.
    pub exists: bool,
    /// Where it can be written to.
    pub chat_id: Option<String>,
}

/// An endpoint that events are pushed to.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// Where events are posted.
    pub url: String,
    /// Types of events that it wants; all, where none is named.
    pub events: Vec<String>,
    /// Sessions whose events it wants; all, where none is named.
    pub sessions: Vec<String>,
    /// `active`, `paused`, `disabled`.
    pub state: String,
    /// Why it is disabled.
    pub reason: Option<String>,
    /// When it was made.
    pub created_at: String,
}

/// An endpoint that was just made.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct WebhookWithSecret {
    /// The endpoint.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// What its events are signed with. It is not shown again.
    pub secret: Option<Secret>,
}
