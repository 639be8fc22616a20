//! Everything that the simulated server saw and did, in order.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How many entries are kept. A chaos run of 100,000 messages makes about
/// 800,000; past the bound the journal says that it is truncated and judges nothing.
pub const CAPACITY: usize = 4_000_000;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A socket was opened.
    Connected,
    /// A page said hello.
    Hello,
    /// A socket is gone.
    Disconnected,
    /// QR refs were given.
    QrSent,
    /// A pairing code was given.
    PairCodeSent,
    /// The phone has scanned a code or its owner typed one.
    Scanned,
    /// A passkey was asked for.
    PasskeyAsked,
    /// It was given or not: `verified`, `refused`, `cancelled`, `late`.
    PasskeyEnded,
    /// A device is linked.
    Linked,
    /// A device is no longer linked.
    Unlinked,
    /// A device logged in.
    LoggedIn,
    /// A login was refused.
    LoginRefused,
    /// A device has caught up.
    Synced,
    /// The server took a message from a companion: from here on it owes its delivery.
    Taken,
    /// A companion sent an id that the server has seen.
    Repeat,
    /// The server refused a message.
    Refused,
    /// A message from a companion was lost on the way to the server (a fault).
    LostOnWire,
    /// The server acked a message.
    Acked,
    /// An ack was lost (a fault).
    AckDropped,
    /// A message reached another phone.
    Delivered,
    /// Another phone dropped a message that it had seen.
    DeliveredRepeat,
    /// The account's own phone wrote a message.
    PhoneSent,
    /// A message from somebody else reached the account.
    Incoming,
    /// An item went out to a companion.
    Pushed,
    /// A companion has committed an item.
    Received,
    /// A receipt of another phone went into the companions' queues.
    Receipt,
    /// A companion says that its owner has read.
    Read,
    /// A companion says that its owner has played.
    Played,
    /// A companion's owner is there, or not.
    Presence,
    /// A companion's owner types.
    Chatstate,
    /// A companion asked something.
    Query,
    /// Media came in.
    Upload,
    /// An upload was refused.
    UploadRefused,
    /// Media went out.
    Download,
    /// A fault was let loose.
    Fault,
    /// A frame with an op that the server does not know.
    UnknownOp,
    /// A frame that cannot be read, or makes no sense where it came.
    Malformed,
    /// A line of the page's own.
    PageLog,
    /// Something of the simulator's own is full, and an item was lost by it.
    Overflow,
}

/// One thing that happened. Chats and people stand by number, whatever
/// address was on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Rises by one from 1.
    pub seq: u64,
    /// By the world's clock, Unix milliseconds.
    pub at_ms: i64,
    /// What.
    pub event: Event,
    /// Whose account, by number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Which companion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Which socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conn: Option<u64>,
    /// Which chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<String>,
    /// Who else: the recipient of `delivered`, the sender of `incoming`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// A message's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A message's kind, a query's name, a fault's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// A message's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// A receipt's level, a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<i64>,
    /// The id had been seen before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeat: bool,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What a message carries beside its text, as it reached a phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Box<Map<String, Value>>>,
    /// The file that the phone has fetched with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Box<ArrivedFile>>,
}

/// A file as it reached a phone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivedFile {
    /// Of the bytes that the media store has, in hex.
    pub sha256: String,
    /// How many they are.
    pub bytes: u64,
}

impl Entry {
    /// An entry of this kind with nothing else in it.
    pub fn new(event: Event) -> Self {
        Self {
            seq: 0,
            at_ms: 0,
            event,
            account: None,
            device: None,
            conn: None,
            chat: None,
            peer: None,
            id: None,
            kind: None,
            body: None,
            level: None,
            repeat: false,
            detail: None,
            content: None,
            file: None,
        }
    }

    pub(crate) fn account(mut self, account: &crate::address::Number) -> Self {
        self.account = Some(account.as_str().to_owned());
        self
    }
    pub(crate) fn device(mut self, device: &str) -> Self {
        self.device = Some(device.to_owned());
        self
    }
    pub(crate) fn conn(mut self, conn: u64) -> Self {
        self.conn = Some(conn);
        self
    }
    pub(crate) fn chat(mut self, chat: &crate::address::Peer) -> Self {
        self.chat = Some(chat.canonical());
        self
    }
    pub(crate) fn peer(mut self, peer: &crate::address::Number) -> Self {
        self.peer = Some(peer.pn());
        self
    }
    pub(crate) fn id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }
    pub(crate) fn kind(mut self, kind: &str) -> Self {
        self.kind = Some(kind.to_owned());
        self
    }
    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }
    pub(crate) fn content(mut self, content: &Map<String, Value>) -> Self {
        self.content = (!content.is_empty()).then(|| Box::new(content.clone()));
        self
    }
    pub(crate) fn level(mut self, level: i64) -> Self {
        self.level = Some(level);
        self
    }
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// The entries so far.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    entries: Vec<Entry>,
    dropped: u64,
    repeats_dropped: u64,
}

impl Journal {
    /// Adds one entry; it gets its number here.
    pub(crate) fn push(&mut self, at_ms: i64, mut entry: Entry) {
        if entry.event == Event::Repeat {
            self.repeats_dropped += 1;
        }
        if self.entries.len() >= CAPACITY {
            self.dropped += 1;
            return;
        }
        entry.seq = self.entries.len() as u64 + 1;
        entry.at_ms = at_ms;
        self.entries.push(entry);
    }

    /// Everything after `seq`, at most `limit`.
    pub fn after(&self, seq: u64, limit: usize) -> &[Entry] {
        let start = usize::try_from(seq)
            .unwrap_or(usize::MAX)
            .min(self.entries.len());
        let end = start.saturating_add(limit).min(self.entries.len());
        &self.entries[start..end]
    }

    /// Everything.
    pub fn all(&self) -> &[Entry] {
        &self.entries
    }

    /// The newest number, 0 where nothing happened yet.
    pub fn last_seq(&self) -> u64 {
        self.entries.len() as u64
    }

    /// How many sends the server dropped because it had seen their id.
    pub fn repeats_dropped(&self) -> u64 {
        self.repeats_dropped
    }

    /// Whether entries were lost because there were too many.
    pub fn truncated(&self) -> bool {
        self.dropped > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_on_where_it_stopped() {
        let mut journal = Journal::default();
        for n in 0..5 {
            journal.push(n, Entry::new(Event::Pushed));
        }
        assert_eq!(journal.after(0, 2).len(), 2);
        assert_eq!(journal.after(2, 10).first().map(|e| e.seq), Some(3));
        assert!(journal.after(5, 10).is_empty());
        assert!(journal.after(u64::MAX, 10).is_empty());
    }

    #[test]
    fn repeats_are_counted() {
        let mut journal = Journal::default();
        journal.push(0, Entry::new(Event::Repeat));
        journal.push(0, Entry::new(Event::Taken));
        assert_eq!(journal.repeats_dropped(), 1);
    }
}
