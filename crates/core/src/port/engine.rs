//! What drives a link: [`Engine`], one connection epoch; [`Connector`], which
//! opens epochs; [`EventSink`], where their events go.

use crate::action::{Action, Answer};
use crate::failure::{Failure, Operation};
use crate::ids::{ChatId, Epoch, MessageKey, WaMessageId};
use crate::inbound::{Happening, InboundMessage};
use crate::outbox::{Ack, Body};
use crate::time::UnixMs;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How the next connection epoch of a session is to be opened. Each step
/// includes all that the cheaper ones would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenStep {
    /// Use whatever still runs; start what does not.
    Launch,
    /// Free a hung main thread and keep the page.
    TerminateScript,
    /// Have the page take its link back from whoever opened it elsewhere
    /// ("Use here"), and keep the page.
    TakeOver,
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

/// How a question for a passkey ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PasskeyEnd {
    /// It was answered. Whether WhatsApp takes the answer shows in what follows:
    /// a login, or another code to scan.
    Answered,
    /// Nobody answered in the time that WhatsApp gave.
    TimedOut,
    /// The page took it back, or is gone.
    GivenUp,
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
    /// WhatsApp wants this account's passkey before it links: the options of
    /// `navigator.credentials.get`, as WebAuthn's JSON. Answered by
    /// [`Engine::answer_passkey`].
    PasskeyWanted {
        /// `PublicKeyCredentialRequestOptionsJSON`.
        options: String,
        /// How long an answer may still be given, in milliseconds.
        expires_in_ms: u64,
    },
    /// The passkey wanted last can be given no more.
    PasskeyOver(PasskeyEnd),
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

    /// Takes what happened to a message or group. `Ok` means that it is on
    /// disk (also where it already was).
    async fn happened(&self, epoch: Epoch, happening: Happening) -> Result<(), InboundRefused>;

    /// Waits until the login that the last `Linked` told of is on disk. `false`
    /// where it will not be: then `Linked` has to be told again. Who kept it
    /// somewhere of its own before may lose a login unnoticed in a crash between.
    async fn login_kept(&self, epoch: Epoch) -> bool {
        let _ = epoch;
        true
    }
}

/// Where a file's bytes go, piece by piece.
#[async_trait]
pub trait FileSink: Send {
    /// Takes the next piece. An error ends the download; its text says why.
    async fn write(&mut self, piece: &[u8]) -> Result<(), String>;
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
    /// It can send more than text, perform actions and fetch files.
    pub everything: bool,
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

/// A picture of the page on which nothing of people can be read: no text, no
/// image, no code to scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The PNG file, of at most 256 KiB.
    pub png: Vec<u8>,
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

    /// Does or asks one thing, now. What WhatsApp refuses is an answer,
    /// [`Answer::Refused`]; a failure is where there was none. A repeated
    /// request does no harm, save [`Action::CreateGroup`], which makes
    /// another group.
    async fn perform(&self, action: &Action) -> Result<Answer, Failure>;

    /// Fetches the file of a message, decrypted, piece by piece, and gives
    /// its length. Ends with a failure where it is longer than `limit` bytes.
    async fn download(
        &self,
        message: &MessageKey,
        limit: u64,
        into: &mut dyn FileSink,
    ) -> Result<u64, Failure>;

    /// Gives the page the answer to [`EngineEvent::PasskeyWanted`]:
    /// `AuthenticationResponseJSON`, made on the origin of WhatsApp Web. `Ok`
    /// means that the page has it, not that WhatsApp is content with it; a
    /// page that asks for none (any more) is a
    /// [`crate::failure::Kind::PermanentRequestError`].
    async fn answer_passkey(&self, answer: &str) -> Result<(), Failure>;

    /// The network is back: a page that waits between two tries of its own
    /// tries now. Does nothing where it is connected, or has no such waits.
    async fn reconnect(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Takes a picture of the page as it stands, with everything of people made
    /// unreadable before. What is under way goes on meanwhile. A failure says
    /// why there is none, and is no sign that the page needs healing.
    async fn picture(&self) -> Result<Picture, Failure> {
        Err(Failure::unsupported(Operation::Evaluate, "pictures"))
    }

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
