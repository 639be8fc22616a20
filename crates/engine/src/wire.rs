//! What the page's scripts tell and answer, as types. The other end is `page/`.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use steadfast_core::ids::{ChatId, Epoch, WaMessageId};
use steadfast_core::inbound::{Extras, InboundMessage, RemoteFile};
use steadfast_core::port::PasskeyEnd;
use steadfast_core::time::UnixMs;

/// A group has no more members than this.
const MOST_MENTIONS: usize = 1_024;
/// Fifty contact cards of 16 KiB, and room around them.
const MOST_CONTENT: usize = 1 << 20;

/// One message that the page sent by itself.
#[derive(Debug, Deserialize)]
pub(crate) struct Told {
    /// Names the document among all that the page has shown.
    pub(crate) doc: String,
    /// The epoch that the document was loaded (or adopted) for.
    pub(crate) epoch: Epoch,
    #[serde(flatten)]
    pub(crate) news: News,
}

/// What it tells.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum News {
    /// Something about the page's own state is different.
    Levels { seq: u64, levels: Box<Levels> },
    /// The page has started, and can take wa-js without being held up by it.
    Library,
    /// Messages wait to be fetched.
    Inbox { waiting: u64 },
    /// So many chats were read back for what an earlier document left behind.
    Earlier {
        chats: u64,
        /// Of these could not be read.
        unread: u64,
        /// Whether there were no more messages than are read.
        whole: bool,
    },
    /// What became of messages and groups waits to be fetched.
    Happenings { waiting: u64 },
    /// Messages of ours came further: bare id and WhatsApp's level.
    Acks { acks: Vec<(String, i64)> },
}

/// Every level that the probe reads. `None` where the page does not tell it (yet).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Levels {
    /// `Socket.state`.
    pub(crate) socket: Option<String>,
    /// `Socket.hasSynced`.
    pub(crate) synced: Option<bool>,
    /// `Stream.mode`.
    pub(crate) mode: Option<String>,
    /// `Stream.needsUpdate`.
    #[serde(default)]
    pub(crate) needs_update: bool,
    /// Who is logged in.
    #[serde(default)]
    pub(crate) me: Me,
    /// WhatsApp Web's version.
    pub(crate) version: Option<String>,
    /// Set where the address says that WhatsApp ended the login.
    pub(crate) logout: Option<Logout>,
    /// How far wa-js is: 0 absent, 1 there, 2 ready, 3 fully ready.
    #[serde(default)]
    pub(crate) wpp: u8,
    /// Bindings without which no text can be sent.
    #[serde(default)]
    pub(crate) missing: Vec<String>,
    /// Bindings without which some other feature is off.
    #[serde(default)]
    pub(crate) missing_optional: Vec<String>,
    /// No more modules are coming: what is missing stays missing.
    #[serde(default)]
    pub(crate) settled: bool,
    /// The string that a phone scans.
    pub(crate) qr: Option<String>,
    /// Until when, in Unix milliseconds, where WhatsApp Web tells.
    #[serde(default)]
    pub(crate) qr_until_ms: Option<i64>,
    /// The newest question for a passkey that the page was kept from asking itself.
    #[serde(default)]
    pub(crate) passkey: Option<Passkey>,
}

/// A question for a passkey, held.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Passkey {
    /// Which of its document, from 1.
    pub(crate) n: u64,
    /// `PublicKeyCredentialRequestOptionsJSON`; empty once it is over.
    pub(crate) options: String,
    /// Until when it can be answered, in Unix milliseconds.
    pub(crate) until_ms: i64,
    /// How it ended, once it has.
    pub(crate) end: Option<PasskeyEnd>,
}

/// The account, as far as the page knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Me {
    pub(crate) pn: Option<String>,
    pub(crate) lid: Option<String>,
    pub(crate) name: Option<String>,
}

impl Me {
    /// Our own chat id: the number where it is known, else the hidden id.
    pub(crate) fn id(&self) -> Option<ChatId> {
        [&self.pn, &self.lid]
            .into_iter()
            .flatten()
            .find_map(|text| ChatId::parse(text).ok())
    }
}

/// WhatsApp's word that the login is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Logout {
    pub(crate) reason: Option<i64>,
}

/// The envelope of every answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer<T> {
    Ok(T),
    Error(PageError),
}

/// An error thrown in the page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct PageError {
    pub(crate) name: String,
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) stack: String,
}

/// Answer to `health`.
#[derive(Debug, Deserialize)]
pub(crate) struct Health {
    pub(crate) doc: String,
    pub(crate) seq: u64,
    pub(crate) levels: Levels,
    pub(crate) waiting: u64,
    #[serde(default)]
    pub(crate) happenings: u64,
}

/// How `send` or `resend` ended in the page.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum Sent {
    /// The page is not ready; nothing was tried.
    NotReady {
        socket: Option<String>,
        mode: Option<String>,
        missing: Vec<String>,
    },
    /// It failed before it was handed over.
    #[serde(rename = "not_sent")]
    Before { stage: String, error: PageError },
    /// WhatsApp would not take it for anybody.
    Rejected { reason: String },
    /// The page has it; 1 and more: the server too.
    Handed { level: i64 },
    /// The page had it, and WhatsApp failed it.
    Failed { level: i64 },
    /// WhatsApp's send function ended with a result that is not OK.
    Result { result: String },
    /// Thrown after it may have been handed over.
    Unknown { error: PageError },
    /// (resend) It is not in the page. `conclusive` where the chat had been searched.
    Absent { conclusive: bool },
}

/// Answer to `file_begin` and `file_piece`: how much of the file is there.
#[derive(Debug, Deserialize)]
pub(crate) struct Have {
    pub(crate) have: u64,
}

/// Answer to `file_open`.
#[derive(Debug, Deserialize)]
pub(crate) struct Opened {
    pub(crate) found: bool,
    /// Where not found: whether the chat was searched.
    #[serde(default)]
    pub(crate) conclusive: bool,
    #[serde(default)]
    pub(crate) why: String,
    #[serde(default)]
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) too_large: bool,
}

/// Answer to `file_read`.
#[derive(Debug, Deserialize)]
pub(crate) struct Piece {
    /// Base64.
    pub(crate) data: String,
}

/// Answer to `lookup`.
#[derive(Debug, Deserialize)]
pub(crate) struct Found {
    #[serde(rename = "found")]
    pub(crate) there: bool,
    #[serde(default)]
    pub(crate) level: i64,
    /// Where not found: whether the chat was loaded and searched.
    #[serde(default)]
    pub(crate) conclusive: bool,
    #[serde(default)]
    pub(crate) wpp: u8,
    #[serde(default)]
    pub(crate) why: String,
}

/// Answer to `inbox_fetch`.
#[derive(Debug, Deserialize)]
pub(crate) struct Fetched {
    /// Each a [`Received`].
    pub(crate) messages: Vec<Value>,
    pub(crate) confirmed_to: Option<i64>,
}

/// Reads things that the page tells together, each with its key, one by one:
/// what strangers write may make one unreadable, never the others with it.
pub(crate) fn one_by_one<T: DeserializeOwned>(
    told: Vec<Value>,
) -> impl Iterator<Item = (String, Result<T, serde_json::Error>)> {
    told.into_iter().filter_map(|each| {
        let key = each.get("key")?.as_str()?.to_owned();
        Some((key, serde_json::from_value(each)))
    })
}

/// Answer to `inbox_confirm`.
#[derive(Debug, Deserialize)]
pub(crate) struct Confirmed {
    pub(crate) waiting: u64,
    /// Up to where all that the page knows is on our disk, in Unix seconds;
    /// `None` where all of it is.
    pub(crate) confirmed_to: Option<i64>,
}

/// Answer to `inbox_sweep` and `happenings_confirm`.
#[derive(Debug, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) waiting: u64,
}

/// One inbound message as the page describes it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Received {
    pub(crate) key: String,
    id: String,
    chat: String,
    /// The chat's other address.
    #[serde(default)]
    also: Option<String>,
    sender: String,
    from_me: bool,
    #[serde(rename = "type")]
    kind: String,
    text: String,
    /// Unix seconds.
    pub(crate) t: i64,
    recovered: bool,
    #[serde(default)]
    extras: Carried,
}

/// What it carries beside its text.
#[derive(Debug, Clone, Default, Deserialize)]
struct Carried {
    #[serde(default)]
    push_name: Option<String>,
    #[serde(default)]
    reply_to: Option<String>,
    #[serde(default)]
    mentions: Vec<String>,
    #[serde(default)]
    media: Option<RemoteFile>,
    #[serde(default)]
    content: Option<String>,
}

impl Carried {
    fn extras(&self) -> Extras {
        let mentions = self.mentions.iter();
        Extras {
            push_name: self.push_name.clone(),
            reply_to: self
                .reply_to
                .as_deref()
                .and_then(|id| WaMessageId::parse(id).ok()),
            mentions: mentions
                .filter_map(|id| ChatId::parse(id).ok())
                .take(MOST_MENTIONS)
                .collect(),
            media: self.media.clone(),
            content: self.content.clone().filter(|c| c.len() <= MOST_CONTENT),
        }
    }
}

impl Received {
    /// As the store keeps it; `None` where an id is none that we know.
    pub(crate) fn message(&self) -> Option<InboundMessage> {
        let chat = ChatId::parse(&self.chat).ok()?;
        Some(InboundMessage {
            wa_message_id: WaMessageId::parse(&self.id).ok()?,
            chat_also: self.also.as_deref().and_then(|id| ChatId::parse(id).ok()),
            sender: ChatId::parse(&self.sender).unwrap_or_else(|_| chat.clone()),
            chat,
            from_me: self.from_me,
            kind: self.kind.chars().take(64).collect(),
            text: self.text.clone(),
            sent_at: UnixMs(self.t.saturating_mul(1000)),
            recovered: self.recovered,
            extras: self.extras.extras(),
        })
    }
}

/// Answer to `resume`.
#[derive(Debug, Deserialize)]
pub(crate) struct Resumed {
    pub(crate) acks: Vec<(String, i64)>,
}

/// Answer to `check_number`.
#[derive(Debug, Deserialize)]
pub(crate) struct Checked {
    pub(crate) known: bool,
    pub(crate) id: Option<String>,
}

/// Answer to `chats`.
#[derive(Debug, Deserialize)]
pub(crate) struct Chats {
    pub(crate) chats: Vec<Chat>,
    pub(crate) total: u64,
}

/// One chat.
#[derive(Debug, Deserialize)]
pub(crate) struct Chat {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) is_group: bool,
    pub(crate) unread: u32,
    /// Unix seconds, 0 where there is no message.
    pub(crate) t: i64,
}

/// Answer to `pair_code`.
#[derive(Debug, Deserialize)]
pub(crate) struct PairCode {
    pub(crate) code: String,
}

/// Answer to `answer_passkey`.
#[derive(Debug, Deserialize)]
pub(crate) struct PasskeyTaken {
    /// Whether the page had asked for it, and has it now.
    pub(crate) taken: bool,
    #[serde(default)]
    pub(crate) why: String,
}

/// An answer without content.
#[derive(Debug, Deserialize)]
pub(crate) struct Nothing {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_messages_are_read() {
        let told: Told = serde_json::from_str(
            r#"{"kind":"levels","doc":"ab","epoch":3,"seq":1,"levels":{"socket":"CONNECTED","synced":true,"mode":"MAIN",
                "me":{"pn":"4915112345678@c.us","lid":null,"name":"Ada"},"version":"2.3","logout":null,"wpp":3,
                "missing":[],"missing_optional":["WAWebCmd.Cmd"],"settled":true,"qr":null}}"#,
        )
        .unwrap();
        assert_eq!(told.epoch, Epoch(3));
        let News::Levels { levels, seq: 1 } = told.news else {
            panic!("no levels");
        };
        assert_eq!(levels.me.id().unwrap().as_str(), "4915112345678@c.us");
        let told: Told = serde_json::from_str(
            r#"{"kind":"acks","doc":"ab","epoch":3,"acks":[["3EB0AA",2],["3EB0BB",-1]]}"#,
        )
        .unwrap();
        let News::Acks { acks } = told.news else {
            panic!("no acks");
        };
        assert_eq!(acks, [("3EB0AA".to_owned(), 2), ("3EB0BB".to_owned(), -1)]);
    }

    #[test]
    fn answers_are_either_ok_or_an_error() {
        let ok: Answer<Sent> =
            serde_json::from_str(r#"{"ok":{"state":"handed","level":1}}"#).unwrap();
        assert!(matches!(ok, Answer::Ok(Sent::Handed { level: 1 })));
        let error: Answer<Sent> =
            serde_json::from_str(r#"{"error":{"name":"TypeError","message":"x","stack":""}}"#)
                .unwrap();
        assert!(matches!(error, Answer::Error(PageError { name, .. }) if name == "TypeError"));
    }

    #[test]
    fn a_stranger_in_the_inbox_is_recognised() {
        let mut received: Received = serde_json::from_str(
            r#"{"key":"false_1@g.us_X","id":"X","chat":"120363-1@g.us","sender":"4915112345678@c.us","from_me":false,
                "type":"chat","text":"hi","t":5,"recovered":true}"#,
        )
        .unwrap();
        let message = received.message().unwrap();
        assert_eq!(message.sent_at, UnixMs(5000));
        assert_eq!(message.sender.as_str(), "4915112345678@c.us");
        received.chat = "status@broadcast".to_owned();
        assert!(received.message().is_none());
    }
}
