//! What the server sends.

use super::{DeviceLogin, PageFault};
use crate::knobs::Addressing;
use serde::Serialize;
use serde_json::{Map, Value};

/// Who the account is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Me {
    /// By number.
    pub pn: String,
    /// By hidden id.
    pub lid: String,
    /// The name that others see.
    pub push_name: String,
    /// The companion's number, from 1.
    pub device_number: u32,
    /// The phone's system.
    pub platform: &'static str,
}

/// A message on its way to a companion, or out of the phone's history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MessageFrame {
    /// The sender's id of it.
    pub id: String,
    /// Where it stands.
    pub chat: String,
    /// Who wrote it.
    pub author: String,
    /// The same by number.
    pub author_pn: String,
    /// Written by this account.
    pub from_me: bool,
    /// WhatsApp's `msg.type`.
    pub kind: String,
    /// Text or caption.
    pub body: String,
    /// Unix seconds.
    pub t: i64,
    /// The author's own name.
    pub push_name: String,
    /// Everything else.
    pub content: Map<String, Value>,
    /// How far it has come.
    pub ack: i64,
}

/// Everything that a device must not miss; each carries a sid.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Item {
    /// A message.
    Message(Box<MessageFrame>),
    /// How far messages of ours have come.
    Receipt {
        /// Which.
        ids: Vec<String>,
        /// Where.
        chat: String,
        /// Who says so.
        from: String,
        /// Which member, in a group.
        participant: Option<String>,
        /// 2 device, 3 read, 4 played.
        level: i64,
        /// Unix seconds.
        t: i64,
    },
    /// Something about a chat was changed elsewhere.
    ChatUpdate {
        /// Which.
        chat: String,
        /// What.
        #[serde(flatten)]
        changes: Map<String, Value>,
    },
    /// A contact changed.
    ContactUpdate {
        /// As it is now.
        contact: Value,
    },
    /// A group changed.
    GroupUpdate {
        /// As it is now.
        group: Value,
        /// What was done.
        action: String,
        /// By whom.
        author: String,
        /// To whom.
        participants: Vec<String>,
        /// Unix seconds.
        t: i64,
    },
    /// Chats move from numbers to hidden ids.
    LidMigration {
        /// From, to.
        pairs: Vec<Value>,
        /// The addressing from now on.
        addressing: Addressing,
    },
    /// The blocklist, whole.
    BlocklistUpdate {
        /// Everybody on it.
        blocklist: Vec<String>,
    },
    /// Our own name changed.
    MeUpdate {
        /// As it is now.
        me: Me,
    },
}

/// What the server sends.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ServerFrame {
    /// Something from the device's queue.
    Item {
        /// Its number in the queue.
        sid: u64,
        /// It waited.
        offline: bool,
        /// What it is.
        #[serde(flatten)]
        item: Item,
    },
    /// Anything else.
    Plain(Plain),
}

/// Frames without a sid.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Plain {
    /// Always first.
    Config {
        /// See knobs.
        ping_ms: u64,
        /// See knobs.
        ping_timeout_ms: u64,
        /// See knobs.
        reconnect_min_ms: u64,
        /// See knobs.
        reconnect_max_ms: u64,
        /// See knobs.
        send_timeout_ms: u64,
        /// Unix seconds.
        server_t: i64,
    },
    /// Keep-alive.
    Pong {
        /// As asked.
        n: Value,
    },
    /// Refs to show, one after the other.
    Qr {
        /// The refs.
        refs: Vec<String>,
        /// How long each.
        ttl_ms: u64,
    },
    /// The phone has linked this page.
    Paired {
        /// Its login.
        device: DeviceLogin,
        /// Whose.
        me: Me,
    },
    /// Linking came to nothing.
    PairFailed {
        /// Why.
        code: String,
    },
    /// The account wants a passkey first.
    PasskeyRequest {
        /// base64url.
        challenge: String,
        /// `whatsapp.com`.
        rp_id: String,
        /// base64url each.
        allow_credentials: Vec<String>,
        /// How long it waits.
        timeout_ms: u64,
    },
    /// Logged in.
    Success {
        /// Whose.
        me: Me,
        /// Unix seconds.
        t: i64,
        /// How people are named.
        addressing: Addressing,
    },
    /// Not logged in.
    Failure {
        /// WhatsApp's number for why.
        reason: u16,
        /// For the page's URL.
        logout_reason: u8,
        /// For a temporary ban.
        expire_s: u64,
        /// For people.
        text: String,
    },
    /// The connection ends.
    StreamError {
        /// WhatsApp's number for why.
        code: u16,
        /// `replaced` or `device_removed`.
        conflict: Option<&'static str>,
        /// For the page's URL.
        logout_reason: u8,
        /// For people.
        text: String,
    },
    /// One chunk of history.
    Sync(Box<SyncChunk>),
    /// How many items waited.
    Offline {
        /// So many.
        count: usize,
    },
    /// All of them were sent.
    OfflineDone,
    /// The server has a message.
    Ack {
        /// Which.
        id: String,
        /// Where, in the address in use.
        chat: String,
        /// Unix seconds.
        t: i64,
        /// 1.
        level: i64,
        /// It had it before.
        repeat: bool,
    },
    /// The server does not take a message.
    Nack {
        /// Which.
        id: String,
        /// Where, as the page said it.
        chat: String,
        /// Why.
        code: u16,
        /// Negative.
        level: i64,
        /// The page's `messageSendResult`.
        result: String,
        /// For people.
        text: String,
    },
    /// An answer.
    Result {
        /// To which question.
        rid: Value,
        /// Whether it worked.
        ok: bool,
        /// The rest.
        #[serde(flatten)]
        body: Map<String, Value>,
    },
    /// Somebody is there, or not.
    Presence {
        /// Who.
        id: String,
        /// Which.
        available: bool,
        /// Unix seconds.
        last_seen_t: Option<i64>,
    },
    /// Somebody types.
    Chatstate {
        /// Where.
        chat: String,
        /// Who, in a group.
        participant: Option<String>,
        /// composing, recording, paused.
        state: String,
    },
    /// The account's own phone.
    Phone {
        /// Whether it is online.
        online: bool,
    },
    /// Something for the page to suffer.
    Fault(PageFault),
}

/// A part of the first history sync.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SyncChunk {
    /// From 1.
    pub chunk: usize,
    /// Of so many.
    pub chunks: usize,
    /// In percent.
    pub progress: u8,
    /// Chats.
    pub chats: Vec<Value>,
    /// Contacts.
    pub contacts: Vec<Value>,
    /// Groups.
    pub groups: Vec<Value>,
    /// Messages, oldest first.
    pub messages: Vec<MessageFrame>,
    /// Blocked addresses.
    pub blocklist: Vec<String>,
}

impl From<Plain> for ServerFrame {
    fn from(plain: Plain) -> Self {
        Self::Plain(plain)
    }
}
