//! What survives us: [`Store`].

use super::audit::{AuditEntry, NewAudit};
use super::events::EventLog;
use super::keeping::{ForgetMessages, ForgottenMessages};
use super::token::{Rotation, TokenRecord};
use super::webhooks::WebhookStore;
use crate::ids::{
    ChatId, Fence, LoginGeneration, MediaId, MessageId, MessageKey, SessionId, WaMessageId,
};
use crate::inbound::InboundMessage;
use crate::outbox::{Ack, Attempt, Claimed, Message, NewMessage, ParkReason, Priority, Status};
use crate::pacing::History;
use crate::proxy::Proxy;
use crate::time::UnixMs;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// Why the store did not do what it was asked. Nothing of a write was stored,
/// unless it is [`Unknown`](Self::Unknown).
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
    /// A message needs a file that is not kept here (any more).
    #[error("there is no file {0}")]
    NoMedia(MediaId),
    /// The queue to the writer is full.
    #[error("the store is overloaded")]
    Overloaded,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// The write was begun, and nobody can say how it ended: it may stand on
    /// the disk now or after the next start, or not at all. Only what is safe
    /// to repeat may be asked again.
    #[error("whether it was stored is not known: {0}")]
    Unknown(String),
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
    /// Surely not sent, since WhatsApp asks to slow down: it waits as with
    /// `NotSent`, and counts as refused in the session's history.
    SlowedDown {
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

/// The Idempotency-Key of a request that makes many messages, with the
/// answer that is given to it and to each repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The session that the request is for.
    pub session: SessionId,
    /// The key.
    pub key: IdempotencyKey,
    /// The answer, whole.
    pub answer: String,
    /// When the request is accepted.
    pub at: UnixMs,
}

/// What became of an accept of many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchAccepted {
    /// All are on disk now.
    Stored,
    /// The key was used before for the same request: this was its answer.
    Replayed(String),
    /// The key was used before for another request.
    KeyReused,
}

/// How many messages a claim may take. What an attempt has touched before
/// counts for `all` alone: it may be with WhatsApp, and is not to wait for a
/// turn. What is new, or was refused as too fast, counts for its lane too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// At most so many.
    pub all: u32,
    /// New ones of the high lane.
    pub high: u32,
    /// New ones of all other lanes, those of the high lane counted in.
    pub others: u32,
}

impl Quota {
    /// So many, new or not.
    pub fn whole(all: u32) -> Self {
        Self {
            all,
            high: all,
            others: all,
        }
    }

    /// How many new ones of a lane it lets go, by the lane's place.
    pub fn of(self, lane: u8) -> u32 {
        if lane == Priority::High.lane() {
            self.high
        } else {
            self.others
        }
    }

    /// Whether it lets new ones of a lane go.
    pub fn lets(self, lane: u8) -> bool {
        self.of(lane) > 0
    }
}

/// What can be asked of a list of messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageQuery {
    /// Only this status.
    pub status: Option<Status>,
    /// Only after this position.
    pub after: i64,
    /// Only before this position, and newest first.
    pub before: Option<i64>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredInbound {
    /// Position in the order of arrival.
    pub seq: i64,
    /// When it was stored.
    pub stored_at: UnixMs,
    /// Its file, where it was fetched. The file itself may be gone again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<MediaId>,
    /// The message.
    #[serde(flatten)]
    pub message: InboundMessage,
}

/// A file that is kept in the media folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRecord {
    /// Its content's digest, and its name.
    pub id: MediaId,
    /// Its length in bytes.
    pub size: u64,
    /// Its type, as its first bytes show it.
    pub mime: String,
    /// When somebody last brought it, or needed it.
    pub used_at: UnixMs,
}

/// What survives us. Every `Ok` of a write means: on disk, past any crash; every
/// error but [`StoreError::Unknown`] that nothing was written. What a write
/// changes it tells in the log of events, in the same transaction.
#[async_trait]
pub trait Store: EventLog + WebhookStore + Send + Sync {
    /// What an accept with this key would be answered, where the key was used before.
    async fn seen_before(
        &self,
        key: &IdempotencyKey,
        now: UnixMs,
    ) -> Result<Option<Accepted>, StoreError>;

    /// What an accept of many with this key would be answered, where the key
    /// was used before.
    async fn answered_before(
        &self,
        key: &IdempotencyKey,
        now: UnixMs,
    ) -> Result<Option<BatchAccepted>, StoreError>;

    /// Stores a message, together with its idempotency key. `NoMedia` where
    /// it needs a file that is not kept.
    async fn accept(
        &self,
        message: NewMessage,
        key: Option<IdempotencyKey>,
    ) -> Result<Accepted, StoreError>;

    /// Stores many messages, and the key of the request that they came with,
    /// in one transaction: all or none.
    async fn accept_batch(
        &self,
        messages: Vec<NewMessage>,
        key: Option<KeptAnswer>,
    ) -> Result<BatchAccepted, StoreError>;

    /// Stores many messages in one transaction: all or none.
    async fn accept_many(&self, messages: Vec<NewMessage>) -> Result<(), StoreError> {
        self.accept_batch(messages, None).await.map(drop)
    }

    /// Becomes the owner of a session's messages: returns a fence higher than
    /// any before. What older owners had claimed is free again.
    async fn take_fence(&self, session: &SessionId) -> Result<Fence, StoreError>;

    /// Claims heads of chats that are due and not claimed, as many as the
    /// quota allows, higher lanes first and in a lane the longest due first, and
    /// marks each `Sending` under this login, **on disk**, before it returns. A
    /// chat whose head is claimed, not yet due or not in the quota gives nothing.
    async fn claim_within(
        &self,
        session: &SessionId,
        fence: Fence,
        login: LoginGeneration,
        now: UnixMs,
        quota: Quota,
    ) -> Result<Vec<Claimed>, StoreError>;

    /// Claims up to `limit` heads, whatever their lanes.
    async fn claim(
        &self,
        session: &SessionId,
        fence: Fence,
        login: LoginGeneration,
        now: UnixMs,
        limit: u32,
    ) -> Result<Vec<Claimed>, StoreError> {
        let quota = Quota::whole(limit);
        self.claim_within(session, fence, login, now, quota).await
    }

    /// Records what came of claimed messages, frees their chats, in one transaction.
    async fn record(
        &self,
        session: &SessionId,
        fence: Fence,
        outcomes: Vec<Recorded>,
    ) -> Result<(), StoreError>;

    /// When the next head of a chat that is not claimed becomes due, or the
    /// next message that was scheduled, as far as the quota lets it go.
    async fn next_due_within(
        &self,
        session: &SessionId,
        quota: Quota,
    ) -> Result<Option<UnixMs>, StoreError>;

    /// The same, whatever the lanes.
    async fn next_due(&self, session: &SessionId) -> Result<Option<UnixMs>, StoreError> {
        self.next_due_within(session, Quota::whole(1)).await
    }

    /// For each of these messages the one of its chat that goes before it,
    /// where there is one.
    async fn ahead_of(&self, ids: Vec<MessageId>) -> Result<Vec<Option<MessageId>>, StoreError>;

    /// What pacing must know of a session: the quarters of an hour from this
    /// time on. At least those of the last two days are kept.
    async fn pace(&self, session: &SessionId, since: UnixMs) -> Result<History, StoreError>;

    /// Ends as `Expired` up to `limit` messages whose time is up at `now` and
    /// that WhatsApp surely lacks (`Accepted`), wherever they stand in their
    /// chats, soonest ended first. Returns which.
    async fn expire(
        &self,
        session: &SessionId,
        fence: Fence,
        now: UnixMs,
        limit: u32,
    ) -> Result<Vec<MessageId>, StoreError>;

    /// The wall clock was set back to `now`, by so many milliseconds: what
    /// waits of our own accord was put off by the old time, and is due that
    /// much earlier, though not before `now`. A message that somebody asked to
    /// be sent later, and that no attempt has touched, keeps its time. Returns
    /// how many were brought forward.
    async fn bring_forward(
        &self,
        session: &SessionId,
        fence: Fence,
        now: UnixMs,
        by_ms: u64,
    ) -> Result<u64, StoreError>;

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

    /// The whole key of a message that was sent from here, or came in, by its
    /// WhatsApp id. One that came in is looked for in this chat.
    async fn message_key(
        &self,
        session: &SessionId,
        chat: &ChatId,
        id: &WaMessageId,
    ) -> Result<Option<MessageKey>, StoreError>;

    /// A page of a session's messages, in order of acceptance; the other way
    /// round where only what stands before a position is asked for.
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

    /// Keeps an inbound message; `false` where it was kept before, or is a
    /// message of this session's own outbox (by its WhatsApp id, `from_me`).
    async fn keep_inbound(
        &self,
        session: &SessionId,
        message: InboundMessage,
        at: UnixMs,
    ) -> Result<bool, StoreError>;

    /// One inbound message.
    async fn inbound_message(
        &self,
        session: &SessionId,
        chat: &ChatId,
        id: &WaMessageId,
    ) -> Result<Option<StoredInbound>, StoreError>;

    /// The file of an inbound message is kept now, under this id. Nothing
    /// where there is no such message.
    async fn inbound_fetched(
        &self,
        session: &SessionId,
        chat: &ChatId,
        id: &WaMessageId,
        file: &MediaId,
    ) -> Result<(), StoreError>;

    /// Takes note of a file that is on disk; one that is known is as if new.
    async fn put_media(&self, media: MediaRecord) -> Result<(), StoreError>;

    /// A file by its id.
    async fn media(&self, id: &MediaId) -> Result<Option<MediaRecord>, StoreError>;

    /// Forgets up to `limit` files, longest unused first, that no message
    /// which is still owed, or waits for a person, needs: those unused since
    /// `before`, and those that are too many where all together have more
    /// than `most_bytes`. Returns which: they may be removed.
    async fn forget_media(
        &self,
        before: UnixMs,
        most_bytes: u64,
        limit: u32,
    ) -> Result<Vec<MediaId>, StoreError>;

    /// Forgets a piece of what is over and old. Messages that are owed or
    /// parked stay, and what the log of events still tells of.
    async fn forget_messages(&self, what: ForgetMessages) -> Result<ForgottenMessages, StoreError>;

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

    /// What a surface keeps beside a session under a name of its own, as text
    /// that means nothing to the store.
    async fn note(&self, session: &SessionId, name: &str) -> Result<Option<String>, StoreError>;

    /// Keeps such a text in place of the old one; `None` forgets it. It goes
    /// with its session.
    async fn set_note(
        &self,
        session: &SessionId,
        name: &str,
        text: Option<String>,
    ) -> Result<(), StoreError>;

    /// Forgets a session and everything that belongs to it.
    async fn remove_session(&self, session: &SessionId, at: UnixMs) -> Result<(), StoreError>;

    /// Changes the proxy through which a session goes.
    async fn set_session_proxy(
        &self,
        session: &SessionId,
        proxy: Option<Proxy>,
    ) -> Result<(), StoreError>;

    /// The proxy through which a session goes; `None` also where there is no
    /// such session.
    async fn session_proxy(&self, session: &SessionId) -> Result<Option<Proxy>, StoreError>;

    /// Adds a token. `Exists` where there is one of this name.
    async fn add_token(&self, token: TokenRecord) -> Result<(), StoreError>;

    /// Gives a token a new secret; the one that was in force becomes the
    /// previous one. The token as it stands afterwards; `None` where there is
    /// none of this name.
    async fn rotate_token(&self, rotation: Rotation) -> Result<Option<TokenRecord>, StoreError>;

    /// Notes when tokens were last used, each by its name; never backwards.
    /// Names that are gone are passed over.
    async fn note_token_use(&self, uses: Vec<(String, UnixMs)>) -> Result<(), StoreError>;

    /// The token whose secret, the newest or the one before, has this hash;
    /// also where its time is up: see [`TokenRecord::admits`].
    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, StoreError>;

    /// Every token, by name.
    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError>;

    /// Forgets a token; `false` where there is none of this name.
    async fn remove_token(&self, name: &str) -> Result<bool, StoreError>;

    /// Writes down who did what; the oldest beyond the store's bound go. Its position.
    async fn add_audit(&self, entry: NewAudit) -> Result<i64, StoreError>;

    /// What was done last, newest first, only before the position `before` where given.
    async fn audit(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;

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
