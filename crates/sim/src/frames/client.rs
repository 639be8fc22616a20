//! What a page sends.

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
    /// Whom the authenticator answers, and whether somebody was there; base64url.
    pub authenticator_data: String,
    /// Over both, base64url.
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
