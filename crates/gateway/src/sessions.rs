//! What the rest of the gateway may ask of sessions. The supervisor answers;
//! HTTP and the command line only ever see this.

use crate::passkey::{Assertion, Mismatch};
use async_trait::async_trait;
use serde::Serialize;
use std::time::Duration;
use steadfast_core::action::{Action, Answer, Refusal};
use steadfast_core::failure::Failure;
use steadfast_core::ids::{ChatId, MessageId, MessageKey, SessionId};
use steadfast_core::outbox::{Ack, Message};
use steadfast_core::pacing::{Held, Policy};
use steadfast_core::port::{ChatSummary, FileSink, OutboxDepth, Picture, StoreError};
use steadfast_core::proxy::Proxy;
use steadfast_core::time::UnixMs;

/// Where a session stands, without the data of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Not wanted to run.
    Stopped,
    /// The browser or the page is on its way.
    Starting,
    /// Waits for a phone: QR or pairing code.
    Linking,
    /// Linked; chats and messages are on their way.
    Syncing,
    /// Sends and receives.
    Ready,
    /// Something failed, and a rung of the ladder is at work.
    Recovering,
    /// The same link was opened elsewhere.
    Conflict,
    /// WhatsApp logged this link out; a phone must link it anew.
    LoggedOut,
    /// Needs a person.
    Parked,
}

impl SessionState {
    /// Every state, in the order of life.
    pub const ALL: [Self; 9] = [
        Self::Stopped,
        Self::Starting,
        Self::Linking,
        Self::Syncing,
        Self::Ready,
        Self::Recovering,
        Self::Conflict,
        Self::LoggedOut,
        Self::Parked,
    ];

    /// The stable name, the same in the API, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Linking => "linking",
            Self::Syncing => "syncing",
            Self::Ready => "ready",
            Self::Recovering => "recovering",
            Self::Conflict => "conflict",
            Self::LoggedOut => "logged_out",
            Self::Parked => "parked",
        }
    }

    /// The name under `/api/whatsapp`: WhatsApp Web's own `SOCKET_STATE`
    /// words, which the original passed through.
    pub fn original(self) -> &'static str {
        match self {
            Self::Stopped | Self::Parked => "UNLAUNCHED",
            Self::Starting => "OPENING",
            Self::Linking => "UNPAIRED",
            Self::Syncing => "PAIRING",
            Self::Ready => "CONNECTED",
            Self::Recovering => "TIMEOUT",
            Self::Conflict => "CONFLICT",
            Self::LoggedOut => "UNPAIRED_IDLE",
        }
    }
}

/// Who a session is, at WhatsApp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Me {
    /// The account's own number id.
    pub id: ChatId,
    /// The name that others see.
    pub push_name: Option<String>,
}

/// The incident that a session is in, short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IncidentSummary {
    /// `inc_` and a ULID.
    pub id: String,
    /// The failure kind's stable name.
    pub kind: String,
    /// When it was noticed.
    pub opened_at: UnixMs,
    /// The rung at work, where one is.
    pub rung: Option<String>,
    /// Which attempt of that rung, from 1.
    pub attempt: u32,
}

/// What pacing says of a session now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// Until when new messages of the high lane are held back, and why.
    pub high: Option<(UnixMs, Held)>,
    /// The same for all other lanes.
    pub others: Option<(UnixMs, Held)>,
    /// How often the pace is halved, since WhatsApp asked to slow down.
    pub slowed: u32,
    /// How many messages may begin today and how many have, where that is bounded.
    pub day: Option<(u64, u64)>,
}

/// One session, as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts for a reader, no states"
)]
pub struct SessionView {
    /// Its name.
    pub name: SessionId,
    /// Where it stands.
    pub state: SessionState,
    /// Why it stands there, where there is a why: a stable name.
    pub reason: Option<String>,
    /// One sentence for a person, beside the reason.
    pub detail: Option<String>,
    /// Whether its profile holds a login that WhatsApp has not refused.
    pub is_authenticated: bool,
    /// Whether a QR code waits to be scanned.
    pub has_qr: bool,
    /// Whether WhatsApp waits for the account's passkey.
    pub has_passkey_challenge: bool,
    /// Attempts to connect since it was last ready.
    pub connection_attempts: u32,
    /// Whether a restart, asked for or by the ladder, is under way.
    pub restart_in_progress: bool,
    /// When WhatsApp Web was last known to be alive.
    pub last_seen: Option<UnixMs>,
    /// Since when it stands in this state.
    pub since: UnixMs,
    /// How long it has been ready without a break; 0 where it is not.
    pub uptime_ms: u64,
    /// For how long it was wanted since the gateway started, in milliseconds;
    /// from its first link on.
    pub wanted_ms: u64,
    /// For how much of that it was ready, in milliseconds.
    pub ready_ms: u64,
    /// When it was made.
    pub created_at: UnixMs,
    /// Who it is, once known.
    pub me: Option<Me>,
    /// The incident under way.
    pub incident: Option<IncidentSummary>,
    /// How full its outbox is.
    pub outbox: OutboxDepth,
    /// What pacing says.
    pub pace: Pace,
    /// Resident memory of its browser's process tree, in bytes.
    pub browser_memory_bytes: Option<u64>,
    /// WhatsApp Web's version.
    pub web_version: Option<String>,
    /// Through which proxy it reaches WhatsApp.
    pub proxy: Option<Proxy>,
    /// Names of optional bindings that are missing: their features are off.
    pub missing_bindings: Vec<String>,
    /// What a person should do, one sentence each; never empty.
    pub recommendations: Vec<String>,
}

impl SessionView {
    /// Whether a message can be sent right now.
    pub fn ready(&self) -> bool {
        self.state == SessionState::Ready
    }

    /// The original's `sessionClosed`: there should be a page, and there is none that works.
    pub fn session_closed(&self) -> bool {
        matches!(
            self.state,
            SessionState::Recovering | SessionState::LoggedOut | SessionState::Parked
        )
    }
}

/// The code that a phone scans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QrCode {
    /// The whole string.
    pub code: String,
    /// Until when a phone may scan it.
    pub expires_at: UnixMs,
}

/// The passkey that WhatsApp asks for before it links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyChallenge {
    /// `PublicKeyCredentialRequestOptionsJSON`.
    pub options: String,
    /// Until when it can be answered.
    pub expires_at: UnixMs,
}

/// Where a session stands, for one who waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Where.
    pub state: SessionState,
    /// The code to be scanned.
    pub qr: Option<QrCode>,
    /// The passkey that is asked for.
    pub passkey: Option<PasskeyChallenge>,
}

/// The original's `overall`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Overall {
    /// Everything works.
    Healthy,
    /// Something does not.
    Unhealthy,
    /// The check itself failed.
    Error,
}

/// The original's `connectivity`, and the result of any one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// It is well.
    Pass,
    /// It works, but not as it should.
    Warning,
    /// It does not work.
    Fail,
    /// There is no page to ask.
    SessionClosed,
}

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// A stable name: `browser`, `page`, `socket`, `login`, `bindings`, `outbox`, `disk`, ...
    pub name: &'static str,
    /// What came of it.
    pub status: CheckStatus,
    /// One sentence for a person.
    pub detail: String,
}

/// What an active look at a session found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthView {
    /// The sum of it.
    pub overall: Overall,
    /// Whether WhatsApp Web answers.
    pub connectivity: CheckStatus,
    /// Each thing looked at.
    pub checks: Vec<Check>,
    /// What a person should do, one sentence each; never empty.
    pub recommendations: Vec<String>,
    /// When it was looked at.
    pub checked_at: UnixMs,
}

/// How a wait for an ack ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AckWait {
    /// WhatsApp has it, at least as far as was asked.
    Reached(Box<Message>),
    /// It never will by itself: rejected, parked, expired or cancelled.
    Ended(Box<Message>),
    /// Not within the time given. It stays in the outbox.
    TimedOut,
}

/// Why a session did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// There is no session of this name.
    #[error("there is no session {0}")]
    NotFound(SessionId),
    /// There is one of this name already.
    #[error("there is a session {0} already")]
    Exists(SessionId),
    /// No more sessions may be made.
    #[error("{0} sessions exist, and no more are allowed (session.max_sessions)")]
    TooMany(u32),
    /// It must stand in another state for this.
    #[error("the session is {state}, and must be {wanted} for this", state = .state.as_str())]
    WrongState {
        /// Where it stands.
        state: SessionState,
        /// What it must be, for a person: `ready`, `linking`.
        wanted: &'static str,
    },
    /// No passkey is asked for, or not any more.
    #[error("WhatsApp asks for no passkey now: {0}")]
    NoPasskey(String),
    /// This is no answer to what is asked for.
    #[error("this does not answer what WhatsApp asks for: {0}")]
    PasskeyRefused(Mismatch),
    /// The engine cannot do this.
    #[error("this engine cannot do that: {0}")]
    Unsupported(&'static str),
    /// It did not answer in time. What was asked may still happen.
    #[error("the session did not answer within {0} ms")]
    Timeout(u64),
    /// WhatsApp says no.
    #[error("{0}")]
    Refused(Refusal),
    /// It was tried, and failed.
    #[error("{}: {}", .0.kind, .0.evidence)]
    Failed(Box<Failure>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The gateway is shutting down.
    #[error("the gateway is shutting down")]
    ShuttingDown,
}

/// Everything that HTTP and the command line may ask. Every call is bounded
/// in time by itself.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// From now on messages begin as fast as this says.
    fn repace(&self, policy: Policy);

    /// Every session, by name.
    async fn list(&self) -> Result<Vec<SessionView>, SessionError>;

    /// One session.
    async fn get(&self, session: &SessionId) -> Result<SessionView, SessionError>;

    /// Waits until it stands so that `pleases` is content. What stands so already counts.
    async fn wait_until(
        &self,
        session: &SessionId,
        deadline: Duration,
        pleases: &(dyn for<'a> Fn(&'a Standing) -> bool + Sync),
    ) -> Result<Standing, SessionError>;

    /// Makes a session and starts it. With a proxy it never reaches WhatsApp
    /// in another way, not even after a crash in between.
    async fn create(
        &self,
        session: &SessionId,
        proxy: Option<Proxy>,
    ) -> Result<SessionView, SessionError>;

    /// Changes the proxy through which a session goes. Where its browser runs,
    /// it is restarted: what it sends is sent through the new one.
    async fn set_proxy(
        &self,
        session: &SessionId,
        proxy: Option<Proxy>,
    ) -> Result<SessionView, SessionError>;

    /// Wants it to run. Returns once that is on disk, not once it is ready.
    async fn start(&self, session: &SessionId) -> Result<SessionView, SessionError>;

    /// Wants it not to run. Returns once its browser is gone.
    async fn stop(&self, session: &SessionId) -> Result<SessionView, SessionError>;

    /// Ends its browser and starts it anew; clears `parked`. Returns once that has begun.
    async fn restart(&self, session: &SessionId) -> Result<SessionView, SessionError>;

    /// Logs the link out at WhatsApp and removes the profile.
    async fn logout(&self, session: &SessionId) -> Result<SessionView, SessionError>;

    /// Logs out where linked, then forgets the session and all that belongs to it.
    async fn delete(&self, session: &SessionId) -> Result<(), SessionError>;

    /// The code to be scanned now; `None` where there is none.
    async fn qr(&self, session: &SessionId) -> Result<Option<QrCode>, SessionError>;

    /// Asks WhatsApp for a pairing code. `phone`: 7 to 15 digits.
    async fn request_pair_code(
        &self,
        session: &SessionId,
        phone: &str,
    ) -> Result<String, SessionError>;

    /// The passkey that is asked for now; `None` where none is.
    async fn passkey(&self, session: &SessionId) -> Result<Option<PasskeyChallenge>, SessionError>;

    /// Answers it. `Ok` means that the page has the answer; whether WhatsApp
    /// takes it shows in the session's state.
    async fn answer_passkey(
        &self,
        session: &SessionId,
        answer: &Assertion,
    ) -> Result<SessionView, SessionError>;

    /// Looks actively how it is. `Ok` also where it is badly.
    async fn health(&self, session: &SessionId) -> Result<HealthView, SessionError>;

    /// Whether this number has WhatsApp, and under which chat id.
    async fn check_number(
        &self,
        session: &SessionId,
        number: &ChatId,
    ) -> Result<Option<ChatId>, SessionError>;

    /// The chats of this account.
    async fn chats(&self, session: &SessionId) -> Result<Vec<ChatSummary>, SessionError>;

    /// Does or asks one thing at WhatsApp, now. A refusal is
    /// [`SessionError::Refused`], never an answer.
    async fn perform(&self, session: &SessionId, action: Action) -> Result<Answer, SessionError>;

    /// Fetches the file of a message, at most `limit` bytes, into the sink;
    /// its length.
    async fn download(
        &self,
        session: &SessionId,
        message: &MessageKey,
        limit: u64,
        into: &mut dyn FileSink,
    ) -> Result<u64, SessionError>;

    /// A picture of its page, on which nothing of people can be read, in
    /// whatever state it is.
    async fn picture(&self, session: &SessionId) -> Result<Picture, SessionError>;

    /// A message was accepted: delivery has something to do. Never blocks.
    fn notify_outbox(&self, session: &SessionId);

    /// Waits until a message has come this far or never will. The one who
    /// implements it listens first and reads the store then, so that an ack
    /// before the call is not missed.
    async fn wait_for_ack(
        &self,
        message: &MessageId,
        level: Ack,
        deadline: Duration,
    ) -> Result<AckWait, SessionError>;

    /// Ends every session within the time given, keeping all that is owed.
    async fn shutdown(&self, deadline: Duration);
}
