//! What is to be sent.

use super::Uploaded;
use super::error::Error;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::fmt;
use std::time::Duration;

/// A message to be sent, with the Idempotency-Key that makes it one message
/// however often it is given to [`send`](super::Client::send). A clone is the
/// same message; to say the same thing twice, make it twice.
#[derive(Clone, PartialEq)]
pub struct Message {
    fields: Map<String, Value>,
    key: Option<String>,
    wait: Option<Duration>,
}

/// As what a file is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A video.
    Video,
    /// A sound.
    Audio,
    /// A voice note.
    Voice,
    /// Any file.
    Document,
    /// A sticker.
    Sticker,
}

/// The lane that a message waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before the others.
    High,
    /// Where nothing is said.
    Normal,
    /// After the others.
    Low,
}

/// How far a message must have come before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// WhatsApp has it.
    Server,
    /// A device of the recipient has it.
    Device,
}

impl Message {
    /// A text to a number (7 to 15 digits in international form) or a chat id.
    pub fn text(to: impl Into<String>, text: impl Into<String>) -> Self {
        Self::of(to, "text").field("text", text.into())
    }

    /// A file that was uploaded before.
    pub fn media(to: impl Into<String>, kind: MediaKind, file: &Uploaded) -> Self {
        Self::of(to, kind).field("media", json!({"id": file.id}))
    }

    /// A message of any type of docs/API.md (`location`, `poll`, ...); its
    /// fields follow with [`field`](Self::field).
    pub fn of(to: impl Into<String>, kind: impl Serialize) -> Self {
        let message = Self {
            fields: Map::new(),
            key: random_key(),
            wait: None,
        };
        message.field("type", kind).field("to", to.into())
    }

    /// Sets a field of the request, by its name in docs/API.md. A value that
    /// is not to be written as JSON becomes null, which the gateway refuses.
    pub fn field(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or_default();
        self.fields.insert(name.to_owned(), value);
        self
    }

    /// The text beneath a file.
    pub fn caption(self, text: impl Into<String>) -> Self {
        self.field("caption", text.into())
    }

    /// The message that this one answers: its WhatsApp id, or its whole key.
    pub fn reply_to(self, message: impl Into<String>) -> Self {
        self.field("reply_to", message.into())
    }

    /// Not before this time, RFC 3339.
    pub fn send_at(self, time: impl Into<String>) -> Self {
        self.field("send_at", time.into())
    }

    /// Not before so long after it is accepted, in whole seconds, up to a year.
    pub fn send_in(self, time: Duration) -> Self {
        self.field("send_in", time.as_secs())
    }

    /// Worth sending until this time, RFC 3339.
    pub fn expires_at(self, time: impl Into<String>) -> Self {
        self.field("expires_at", time.into())
    }

    /// Worth sending until so long after it is accepted, in whole seconds, up to a year.
    pub fn expires_in(self, time: Duration) -> Self {
        self.field("expires_in", time.as_secs())
    }

    /// Its lane.
    pub fn priority(self, priority: Priority) -> Self {
        self.field("priority", priority)
    }

    /// The answer waits until it has come this far, up to 50 s. It is on disk
    /// whatever comes of the wait.
    pub fn wait(mut self, level: Wait, at_most: Duration) -> Self {
        self.wait = Some(at_most);
        let ms = u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX);
        self.field("wait", level).field("wait_ms", ms)
    }

    /// An Idempotency-Key of your own, in place of the random one: 1 to 255
    /// visible ASCII characters. It is then one message also across restarts of
    /// your program, for `server.idempotency_keep_ms`.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Its Idempotency-Key.
    ///
    /// # Errors
    /// Where the system gave no randomness to make one of.
    pub fn idempotency_key(&self) -> Result<&str, Error> {
        self.key.as_deref().ok_or_else(no_key)
    }

    /// How long the gateway may hold the answer back.
    pub(crate) fn waits(&self) -> Duration {
        self.wait.unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        Value::Object(self.fields.clone())
    }
}

/// Names of fields, without what they hold: texts and numbers stay out of logs.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.fields.keys().collect();
        f.debug_struct("Message")
            .field("fields", &names)
            .finish_non_exhaustive()
    }
}

/// Many messages under one Idempotency-Key: one request, one transaction. The
/// keys of the messages themselves play no part.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    messages: Vec<Message>,
    key: BatchKey,
}

#[derive(Clone, PartialEq)]
struct BatchKey(Option<String>);

impl fmt::Debug for BatchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl Batch {
    /// 1 to `server.max_bulk` messages, none of which waits.
    pub fn new(messages: impl IntoIterator<Item = Message>) -> Self {
        Self {
            messages: messages.into_iter().collect(),
            key: BatchKey(random_key()),
        }
    }

    /// A key of your own, as [`Message::key`].
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = BatchKey(Some(key.into()));
        self
    }

    /// Its Idempotency-Key.
    ///
    /// # Errors
    /// As [`Message::idempotency_key`].
    pub fn idempotency_key(&self) -> Result<&str, Error> {
        self.key.0.as_deref().ok_or_else(no_key)
    }

    pub(crate) fn json(&self) -> Value {
        let each: Vec<_> = self.messages.iter().map(Message::json).collect();
        json!({"messages": each})
    }
}

/// A key that nobody else has: 128 random bits.
fn random_key() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(format!("{:032x}", u128::from_be_bytes(bytes)))
}

fn no_key() -> Error {
    Error::Invalid("the system gave no randomness for an Idempotency-Key".to_owned())
}
