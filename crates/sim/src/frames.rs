//! The frames of PROTOCOL.md. What the page sends is read strictly where the
//! server needs it and ignored where it does not.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The login that a page holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceLogin {
    /// The device's id.
    pub id: String,
    /// Its secret.
    pub token: String,
}

/// The public halves of a page's keys, as they stand in its QR code.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PageKeys {
    /// Noise static key, base64.
    #[serde(rename = "static")]
    pub static_key: String,
    /// Signal identity key, base64.
    pub identity: String,
    /// ADV secret, base64.
    pub adv: String,
}

/// The page's first frame.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hello {
    /// Its login, where it has one.
    #[serde(default)]
    pub device: Option<DeviceLogin>,
    /// Its keys.
    #[serde(default)]
    pub keys: PageKeys,
    /// Whether its own database holds this device's history.
    #[serde(default)]
    pub have_history: bool,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// Its user agent.
    #[serde(default)]
    pub ua: String,
    /// The platform's number.
    #[serde(default)]
    pub platform: String,
    /// Made once per page load.
    #[serde(default)]
    pub tab: String,
    /// It takes over from a page that replaced it.
    #[serde(default)]
    pub takeover: bool,
}

/// One message that the page sends.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SendFrame {
    /// Its id, made by the page.
    pub id: String,
    /// To whom.
    pub chat: String,
    /// WhatsApp's `msg.type`.
    pub kind: String,
    /// Text or caption.
    #[serde(default)]
    pub body: String,
    /// Everything else, forwarded verbatim.
    #[serde(default)]
    pub content: Map<String, Value>,
}

/// A question with an answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct QueryFrame {
    /// The page's number of it.
    pub rid: Value,
    /// What is asked.
    pub q: String,
    /// Its members.
    #[serde(flatten)]
    pub args: Map<String, Value>,
}

/// The answer to a passkey request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PasskeyAssertion {
    /// The credential's id.
    #[serde(default)]
    pub id: String,
    /// What the browser signed over, base64url JSON.
    pub client_data_json: String,
    /// Not checked.
    #[serde(default)]
    pub authenticator_data: String,
    /// Not checked.
    #[serde(default)]
    pub signature: String,
}

/// What a page sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClientFrame {
    /// First frame.
    Hello(Hello),
    /// Keep-alive.
    Ping {
        /// Echoed.
        #[serde(default)]
        n: Value,
    },
    /// The refs are used up.
    RefreshQr,
    /// Asks for a pairing code.
    PairCodeRequest {
        /// The page's number of the question.
        rid: Value,
        /// The phone's number, digits.
        phone: String,
    },
    /// The answer of an authenticator.
    PasskeyAssertion(PasskeyAssertion),
    /// The authenticator gave none.
    PasskeyCancel {
        /// Why.
        #[serde(default)]
        error: String,
    },
    /// The login is committed.
    PairedOk,
    /// A history chunk is committed.
    SyncOk {
        /// Which, from 1.
        chunk: usize,
    },
    /// A message.
    Send(SendFrame),
    /// Items of the queue are committed.
    Received {
        /// Which.
        sids: Vec<u64>,
    },
    /// The owner has seen messages.
    Read {
        /// Where.
        chat: String,
        /// Which; empty for all.
        #[serde(default)]
        ids: Vec<String>,
    },
    /// The owner has played messages.
    Played {
        /// Where.
        chat: String,
        /// Which.
        ids: Vec<String>,
    },
    /// The owner is there, or not.
    Presence {
        /// Which.
        available: bool,
    },
    /// Wants to know when somebody is there.
    PresenceSubscribe {
        /// Who.
        id: String,
    },
    /// Typing.
    Chatstate {
        /// Where.
        chat: String,
        /// composing, recording, paused.
        state: String,
    },
    /// A question.
    Query(QueryFrame),
    /// A line for the journal.
    Log {
        /// debug, info, warn, error.
        #[serde(default)]
        level: String,
        /// The line.
        #[serde(default)]
        text: String,
    },
}

/// The names of every op that a page may send.
pub(crate) const CLIENT_OPS: &[&str] = &[
    "hello",
    "ping",
    "refresh_qr",
    "pair_code_request",
    "passkey_assertion",
    "passkey_cancel",
    "paired_ok",
    "sync_ok",
    "send",
    "received",
    "read",
    "played",
    "presence",
    "presence_subscribe",
    "chatstate",
    "query",
    "log",
];

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
        addressing: crate::knobs::Addressing,
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
        addressing: crate::knobs::Addressing,
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

/// A fault that only a page can have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PageFault {
    /// A busy loop on the main thread.
    Hang {
        /// For so long; 0 is for ever.
        ms: u64,
    },
    /// Socket.state becomes this.
    ForceState {
        /// The state's name.
        state: String,
    },
    /// Stream.mode becomes this.
    ForceStream {
        /// The mode's name.
        mode: String,
    },
    /// The page reloads itself.
    Reload,
    /// The page goes elsewhere.
    Navigate {
        /// Where.
        url: String,
    },
    /// The page closes itself.
    ClosePage,
    /// The next sends throw.
    ThrowOnSend {
        /// So many.
        count: u32,
        /// `before` or `after` the message went out.
        when: ThrowWhen,
        /// The error's message.
        text: String,
    },
    /// The next sends go out, but their promise never settles.
    HangSend {
        /// So many.
        count: u32,
    },
    /// Exports vanish from live modules.
    RemoveExports {
        /// As `Module.export`.
        names: Vec<String>,
    },
    /// Both stores of the page are wiped.
    LoseStore,
    /// Collections and models fire no events any more.
    MuteEvents {
        /// Whether.
        on: bool,
    },
}

/// When a send throws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrowWhen {
    /// Nothing went out.
    Before,
    /// The message went out.
    After,
}

impl From<Plain> for ServerFrame {
    fn from(plain: Plain) -> Self {
        Self::Plain(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn frames_look_as_the_protocol_says() {
        let item = ServerFrame::Item {
            sid: 7,
            offline: true,
            item: Item::Receipt {
                ids: vec!["3EB0".to_owned()],
                chat: "1@c.us".to_owned(),
                from: "1@c.us".to_owned(),
                participant: None,
                level: 2,
                t: 5,
            },
        };
        assert_eq!(
            serde_json::to_value(item).unwrap(),
            json!({"sid":7,"offline":true,"op":"receipt","ids":["3EB0"],"chat":"1@c.us",
                   "from":"1@c.us","participant":null,"level":2,"t":5})
        );
        let fault = ServerFrame::from(Plain::Fault(PageFault::Hang { ms: 5 }));
        assert_eq!(
            serde_json::to_value(fault).unwrap(),
            json!({"op":"fault","kind":"hang","ms":5})
        );
    }

    #[test]
    fn every_op_is_listed_and_unknown_members_are_ignored() {
        let hello: ClientFrame =
            serde_json::from_value(json!({"op":"hello","device":null,"tab":"x","new":1})).unwrap();
        assert!(matches!(
            hello,
            ClientFrame::Hello(Hello { device: None, .. })
        ));
        for op in CLIENT_OPS {
            let error = serde_json::from_value::<ClientFrame>(json!({"op": op}))
                .err()
                .map(|e| e.to_string())
                .unwrap_or_default();
            assert!(!error.contains("unknown variant"), "{op}: {error}");
        }
    }
}
