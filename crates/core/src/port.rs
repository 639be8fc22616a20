//! What the outside must implement: [`Engine`] and [`Connector`] (what drives
//! a link), [`EventSink`] (where its events go), [`Store`] (what survives us).

use crate::failure::Failure;
use crate::ids::{ChatId, Epoch, Fence, LoginGeneration, MessageId, SessionId, WaMessageId};
use crate::inbound::InboundMessage;
use crate::outbox::{Ack, Attempt, Body, Claimed, Message, NewMessage, ParkReason, Status};
use crate::time::UnixMs;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

// ---------------------------------------------------------------- engine

/// How the next connection epoch of a session is to be opened. Each step
/// includes all that the cheaper ones would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenStep {
    /// Use whatever still runs; start what does not.
    Launch,
    /// Free a hung main thread and keep the page.
    TerminateScript,
    /// Load the page anew.
    Reload,
    /// Close the page, open another in the same browser.
    NewPage,
    /// Close the browser cleanly, so that all it holds is on disk, and start
    /// another on the same profile. Where the profile is good, this is the
    /// time to keep a copy of it.
    Secure,
    /// End the browser, start another on the same profile.
    RestartBrowser,
    /// End the browser, start another on the last good snapshot of the profile.
    RestoreProfile,
    /// End the browser, set the profile aside, start with an empty one.
    FreshProfile,
}

/// How to end an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// Let the browser write its profile, but not longer than this.
    Graceful {
        /// Milliseconds, after which it is killed.
        deadline_ms: u64,
    },
    /// Now.
    Kill,
}

/// How far a connection has come. Read by level: an engine reports the phase
/// that it finds, whether or not it saw the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The page loads.
    Loading,
    /// Waits for a phone: QR or pairing code.
    Linking,
    /// Linked; messages and chats are on their way.
    Syncing,
    /// Messages can be sent.
    Ready,
    /// Linked, but the socket is down; the page reconnects by itself.
    Offline,
}

/// What an engine tells of its own accord.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineEvent {
    /// The phase that the page is in now.
    Phase(Phase),
    /// A new QR code: the whole string that a phone scans.
    Qr {
        /// The string.
        code: String,
        /// How long a phone may still scan it, in milliseconds.
        expires_in_ms: u64,
    },
    /// A phone has just linked this profile: from here it is a new login.
    Linked,
    /// Who we are, once known.
    Me {
        /// The account's own number id.
        id: ChatId,
        /// The name that others see.
        push_name: Option<String>,
    },
    /// A message of ours came further.
    Ack {
        /// Which.
        wa_message_id: WaMessageId,
        /// How far.
        ack: Ack,
    },
    /// A message of ours failed after it was handed off.
    AckError {
        /// Which.
        wa_message_id: WaMessageId,
        /// WhatsApp's negative level.
        level: i64,
    },
    /// This epoch needs healing, or is dead.
    Failed(Failure),
}

/// Why an inbound message was not taken: the engine offers it again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InboundRefused {
    /// The epoch is over; the next one will fetch it.
    #[error("this connection is over")]
    StaleEpoch,
    /// The store could not keep it.
    #[error("the message could not be stored: {0}")]
    NotStored(String),
}

/// Where an engine's events go. Events carry their epoch, so that a late one is dropped.
#[async_trait]
pub trait EventSink: Send + Sync {
    /// Takes one event. Must not block.
    fn event(&self, epoch: Epoch, event: EngineEvent);

    /// Takes one inbound message. `Ok` means that it is on disk (also where
    /// it already was).
    async fn inbound(&self, epoch: Epoch, message: InboundMessage) -> Result<(), InboundRefused>;
}

/// How a send ended, as far as the engine can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// WhatsApp surely does not have it.
    NotSent(Failure),
    /// The page has it. With `Ack::Server` or more the server does too.
    HandedOff(Ack),
    /// It may have it: look the id up.
    Unknown(Failure),
    /// It, or its recipient, is at fault.
    Rejected(Failure),
}

/// What a look-up by id found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupOutcome {
    /// It is there, this far.
    Found(Ack),
    /// It is there and has failed, with WhatsApp's negative level.
    FoundFailed(i64),
    /// The chat is loaded and synced, and it is not in it.
    NotFound,
    /// The page cannot look up at all (a binding is missing).
    Unsupported,
    /// The look-up itself failed; ask again later.
    Failed(Failure),
}

/// What an active probe found, beside that the page answers at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EngineHealth {
    /// The phase by level.
    pub phase: Phase,
    /// WhatsApp Web's own socket state, verbatim.
    pub socket_state: Option<String>,
    /// WhatsApp Web's version.
    pub web_version: Option<String>,
    /// Names of optional bindings that are missing: their features are off.
    pub missing: Vec<String>,
    /// Resident memory of the browser's process tree, in bytes.
    pub browser_memory_bytes: Option<u64>,
}

/// What an engine can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// It can look a message up by id.
    pub lookup: bool,
    /// It can link by pairing code.
    pub pairing_code: bool,
}

/// A chat, as listed for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatSummary {
    /// Its id.
    pub id: ChatId,
    /// Its title.
    pub name: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// Messages not read yet.
    pub unread: u32,
    /// Time of the last message.
    pub last_message_at: Option<UnixMs>,
}

/// One connection epoch of one link.
///
/// Every method has a deadline of its own inside and ends with a typed
/// failure when the page or the browser dies.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Which epoch this is.
    fn epoch(&self) -> Epoch;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Asks WhatsApp for a pairing code for this phone number (7 to 15 digits).
    async fn request_pair_code(&self, phone: &str) -> Result<String, Failure>;

    /// Hands one message to WhatsApp under the id given and waits for the
    /// server's ack, bounded.
    async fn send(&self, id: &WaMessageId, to: &ChatId, body: &Body) -> SendOutcome;

    /// Looks one of our messages up by id, loading its chat first.
    async fn lookup(&self, id: &WaMessageId, to: &ChatId) -> LookupOutcome;

    /// Asks WhatsApp Web to send a message from its own outbox again. Never
    /// makes a new message.
    async fn resend(&self, id: &WaMessageId, to: &ChatId) -> SendOutcome;

    /// Actively asks the page how it is.
    async fn health(&self) -> Result<EngineHealth, Failure>;

    /// Whether this number has WhatsApp, and under which chat id.
    async fn check_number(&self, number: &ChatId) -> Result<Option<ChatId>, Failure>;

    /// The chats of this account.
    async fn chats(&self) -> Result<Vec<ChatSummary>, Failure>;

    /// Logs this link out at WhatsApp. The profile stays until the browser is gone.
    async fn logout(&self) -> Result<(), Failure>;
}

/// Owns one session's browser and profile, and opens epochs on it.
///
/// Calls are made one at a time by the session's supervisor.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Opens the next epoch. Returns as soon as the page is being loaded;
    /// phases follow as events. The epoch before is dead from this call on.
    async fn open(
        &self,
        step: OpenStep,
        epoch: Epoch,
        sink: Arc<dyn EventSink>,
    ) -> Result<Arc<dyn Engine>, Failure>;

    /// Ends whatever runs. Idempotent.
    async fn close(&self, how: Close);

    /// Removes the profile for good. Only on a person's word, only after `close`.
    async fn erase(&self) -> Result<(), Failure>;

    /// Asks whether WhatsApp can be reached at all, without the browser.
    async fn network_reachable(&self) -> bool;
}

// ---------------------------------------------------------------- store

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room on the disk. Nothing was stored; ask again when there is room.
    #[error("the disk is full")]
    Full,
    /// The write carries an older fence: somebody else owns the session now.
    #[error("fence {given:?} is stale, {current:?} owns the session")]
    StaleFence {
        /// The fence of the writer.
        given: Fence,
        /// The one in force.
        current: Fence,
    },
    /// The data was written by a newer version of Steadfast.
    #[error(
        "the database has schema version {found}, this program knows {known}: install the newer Steadfast that wrote it"
    )]
    NewerSchema {
        /// Its version.
        found: i64,
        /// The newest known here.
        known: i64,
    },
    /// The file is no database of ours, or is damaged.
    #[error("{path} is not a Steadfast database, or is damaged: {detail}")]
    NotOurs {
        /// The file.
        path: String,
        /// What SQLite said.
        detail: String,
    },
    /// Something with this name exists already.
    #[error("it exists already")]
    Exists,
    /// There is no session of this name: it was never added, or is removed.
    /// Only writes say so; what is read of such a session is empty.
    #[error("there is no session {0}")]
    NoSession(SessionId),
    /// The queue to the writer is full.
    #[error("the store is overloaded")]
    Overloaded,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// Anything else that the database said.
    #[error("the database failed: {0}")]
    Failed(String),
}

/// What an attempt led to, to be recorded in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// WhatsApp has it, this far.
    Sent(Ack),
    /// Surely not sent: it waits again, `due_at` the time given.
    NotSent {
        /// When to try again.
        retry_at: UnixMs,
    },
    /// Not known: it stays `Sending` and is looked up, not before the time given.
    Unknown {
        /// When to look it up.
        retry_at: UnixMs,
    },
    /// Its own fault.
    Rejected(crate::outbox::RejectReason),
    /// A person must decide.
    Parked(ParkReason),
    /// Its time ran out before an attempt.
    Expired,
}

/// One outcome with its why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Which message.
    pub id: MessageId,
    /// What came of it.
    pub outcome: Outcome,
    /// One sentence for a person; no message text, no number.
    pub detail: Option<String>,
    /// When.
    pub at: UnixMs,
}

/// What became of an accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// On disk now.
    Stored,
    /// The key was used before for the same request: this was its first answer.
    Replayed {
        /// The message that the first request made.
        message: Box<Message>,
    },
    /// The key was used before for another request.
    KeyReused,
}

/// An Idempotency-Key with a digest of the request that it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The token's name and the key, as one text: keys of one caller never
    /// meet those of another.
    pub key: String,
    /// SHA-256 over the request's parameters.
    pub digest: [u8; 32],
    /// Until when it is kept.
    pub keep_until: UnixMs,
}

/// What can be asked of a list of messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageQuery {
    /// Only this status.
    pub status: Option<Status>,
    /// Only after this position.
    pub after: i64,
    /// At most so many; the caller bounds it.
    pub limit: u32,
}

/// How full a session's outbox is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OutboxDepth {
    /// Accepted and waiting.
    pub accepted: u64,
    /// An attempt has begun.
    pub sending: u64,
    /// Waiting for a person.
    pub parked: u64,
    /// When the oldest owed one was accepted.
    pub oldest_accepted_at: Option<UnixMs>,
}

/// A session as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its name.
    pub id: SessionId,
    /// When it was made.
    pub created_at: UnixMs,
    /// Whether its owner wants it to run.
    pub enabled: bool,
    /// The login that its profile holds.
    pub login: LoginGeneration,
    /// Why a person must look at it first, where that is so. A parked
    /// session is not revived by a restart of the gateway.
    pub parked: Option<String>,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look, but change nothing.
    Read,
    /// Look and send.
    Send,
    /// Everything.
    Admin,
}

/// A token as stored: never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its name, unique.
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// What it may do.
    pub scope: Scope,
    /// When it was made.
    pub created_at: UnixMs,
}

/// One step of an incident, with its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentStep {
    /// When.
    pub at: UnixMs,
    /// A rung's name, or `detected`, `waiting`, `ready`, `gave_up`.
    pub step: String,
    /// One sentence for a person.
    pub detail: String,
}

/// From the first sign of a failure to ready again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// `inc_` and a ULID.
    pub id: String,
    /// Whose.
    pub session: SessionId,
    /// The kind's stable name.
    pub kind: String,
    /// What was seen.
    pub evidence: String,
    /// When it was noticed.
    pub opened_at: UnixMs,
    /// When it ended; `None` while it lasts.
    pub closed_at: Option<UnixMs>,
    /// How it ended: `recovered`, `stopped`, `parked`, `interrupted`.
    pub outcome: Option<String>,
    /// The rung that healed it.
    pub healed_by: Option<String>,
    /// From noticing to ready, by the monotonic clock, in milliseconds.
    pub recovery_ms: Option<u64>,
    /// Owed messages when it ended.
    pub messages_waited: u64,
    /// Each step, in order; at most 100 are kept.
    pub steps: Vec<IncidentStep>,
}

/// An inbound message as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredInbound {
    /// Position in the order of arrival.
    pub seq: i64,
    /// When it was stored.
    pub stored_at: UnixMs,
    /// The message.
    #[serde(flatten)]
    pub message: InboundMessage,
}

/// What survives us. Every `Ok` of a write means: on disk, past any crash.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores a message, together with its idempotency key.
    async fn accept(
        &self,
        message: NewMessage,
        key: Option<IdempotencyKey>,
    ) -> Result<Accepted, StoreError>;

    /// Stores many messages in one transaction: all or none.
    async fn accept_many(&self, messages: Vec<NewMessage>) -> Result<(), StoreError>;

    /// Becomes the owner of a session's messages: returns a fence higher than
    /// any before. What older owners had claimed is free again.
    async fn take_fence(&self, session: &SessionId) -> Result<Fence, StoreError>;

    /// Claims up to `limit` heads of chats that are due and not claimed,
    /// longest due first, and marks each `Sending` under this login, **on disk**,
    /// before it returns. A chat whose head is claimed or not yet due gives nothing.
    async fn claim(
        &self,
        session: &SessionId,
        fence: Fence,
        login: LoginGeneration,
        now: UnixMs,
        limit: u32,
    ) -> Result<Vec<Claimed>, StoreError>;

    /// Records what came of claimed messages, frees their chats, in one transaction.
    async fn record(
        &self,
        session: &SessionId,
        fence: Fence,
        outcomes: Vec<Recorded>,
    ) -> Result<(), StoreError>;

    /// When the next head of a chat that is not claimed becomes due.
    async fn next_due(&self, session: &SessionId) -> Result<Option<UnixMs>, StoreError>;

    /// Moves a message of ours forward. `None`: unknown id, or no move.
    async fn ack(
        &self,
        session: &SessionId,
        wa_message_id: &WaMessageId,
        ack: Ack,
        at: UnixMs,
    ) -> Result<Option<Message>, StoreError>;

    /// One message by our id.
    async fn message(&self, id: &MessageId) -> Result<Option<Message>, StoreError>;

    /// A page of a session's messages, in order of acceptance.
    async fn messages(
        &self,
        session: &SessionId,
        query: MessageQuery,
    ) -> Result<Vec<Message>, StoreError>;

    /// The attempts of one message, in order.
    async fn attempts(&self, id: &MessageId) -> Result<Vec<Attempt>, StoreError>;

    /// Takes a message back. Only `Accepted` ones can be; the answer is the
    /// message as it stands afterwards, `None` where there is no such id.
    async fn cancel(&self, id: &MessageId, at: UnixMs) -> Result<Option<Message>, StoreError>;

    /// A person's word on a parked message: `true` sends it (again) under its
    /// old id, `false` cancels it. The answer as for `cancel`.
    async fn unpark(
        &self,
        id: &MessageId,
        release: bool,
        at: UnixMs,
    ) -> Result<Option<Message>, StoreError>;

    /// How full the outbox is.
    async fn depth(&self, session: &SessionId) -> Result<OutboxDepth, StoreError>;

    /// Keeps an inbound message; `false` where it was kept before.
    async fn keep_inbound(
        &self,
        session: &SessionId,
        message: InboundMessage,
        at: UnixMs,
    ) -> Result<bool, StoreError>;

    /// A page of inbound messages.
    async fn inbound(
        &self,
        session: &SessionId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<StoredInbound>, StoreError>;

    /// Adds a session. `Exists` where there is one of this name.
    async fn add_session(&self, session: SessionRecord) -> Result<(), StoreError>;

    /// Changes a session.
    async fn update_session(&self, session: SessionRecord) -> Result<(), StoreError>;

    /// Every session, by name.
    async fn sessions(&self) -> Result<Vec<SessionRecord>, StoreError>;

    /// Forgets a session and everything that belongs to it.
    async fn remove_session(&self, session: &SessionId) -> Result<(), StoreError>;

    /// Adds a token. `Exists` where there is one of this name.
    async fn add_token(&self, token: TokenRecord) -> Result<(), StoreError>;

    /// The token with this hash.
    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, StoreError>;

    /// Every token, by name.
    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError>;

    /// Forgets a token; `false` where there is none of this name.
    async fn remove_token(&self, name: &str) -> Result<bool, StoreError>;

    /// Writes an incident as it stands now.
    async fn put_incident(&self, incident: Incident) -> Result<(), StoreError>;

    /// The newest incidents of a session, newest first, older than `before` (an id) where given.
    async fn incidents(
        &self,
        session: &SessionId,
        before: Option<String>,
        limit: u32,
    ) -> Result<Vec<Incident>, StoreError>;

    /// Whether a write would succeed now.
    async fn check(&self) -> Result<(), StoreError>;

    /// Finishes what is queued and closes.
    async fn close(&self);
}
