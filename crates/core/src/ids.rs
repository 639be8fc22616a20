//! Names of things. Each is its own type, so that none can stand for another.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is not the id that it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The session name does not follow the rule.
    #[error(
        "{0:?} is no session name: use 1 to 32 of a-z, 0-9, '-' and '_', starting with a letter or digit"
    )]
    Session(String),
    /// The message id does not follow the rule.
    #[error("{0:?} is no message id: it looks like msg_ and 26 letters and digits")]
    Message(String),
    /// The WhatsApp message id does not follow the rule.
    #[error("{0:?} is no WhatsApp message id: 1 to 128 letters, digits, '.', '_' or '-'")]
    WaMessage(String),
    /// The event id does not follow the rule.
    #[error("{0:?} is no event id: it looks like evt_ and 26 letters and digits")]
    Event(String),
    /// The webhook id does not follow the rule.
    #[error("{0:?} is no webhook id: it looks like whk_ and 26 letters and digits")]
    Webhook(String),
    /// The media id does not follow the rule.
    #[error("{0:?} is no media id: it is 64 hex digits, the SHA-256 of the file")]
    Media(String),
    /// The recipient is neither a number nor a chat id.
    #[error(
        "{0:?} is no recipient: give 7 to 15 digits in international form ('+' optional), or a chat id that ends in @c.us, @lid or @g.us"
    )]
    Chat(String),
}

macro_rules! text_id {
    ($name:ident) => {
        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }
        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

/// One linked WhatsApp account, named by its owner: `default`, `shop-2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(String);
text_id!(SessionId);

impl SessionId {
    /// Reads a session name. The rule keeps it safe as a folder name and in a URL.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let first_ok = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let all_ok = text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if first_ok && all_ok && text.len() <= 32 {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::Session(shorten(text)))
        }
    }
}

/// Our own id of one accepted message: `msg_` and a ULID, so ids sort by age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageId(String);
text_id!(MessageId);

impl MessageId {
    /// Makes the id from the time of acceptance and 10 random bytes.
    pub fn mint(now: crate::time::UnixMs, random: [u8; 10]) -> Self {
        Self(format!("msg_{}", ulid(now, random)))
    }

    /// Reads an id that we gave out before.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        match text.strip_prefix("msg_") {
            Some(ulid) if is_ulid(ulid) => Ok(Self(text.to_owned())),
            _ => Err(IdError::Message(shorten(text))),
        }
    }
}

/// The id of one event: `evt_` and a ULID, so ids sort by age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventId(String);
text_id!(EventId);

impl EventId {
    /// Makes the id from the time of the event and 10 bytes that nothing else has.
    pub fn mint(at: crate::time::UnixMs, unique: [u8; 10]) -> Self {
        Self(format!("evt_{}", ulid(at, unique)))
    }

    /// Reads an id that we gave out before.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        match text.strip_prefix("evt_") {
            Some(ulid) if is_ulid(ulid) => Ok(Self(text.to_owned())),
            _ => Err(IdError::Event(shorten(text))),
        }
    }
}

/// The id of one endpoint that events are pushed to: `whk_` and a ULID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookId(String);
text_id!(WebhookId);

impl WebhookId {
    /// Makes the id from the time and 10 random bytes.
    pub fn mint(now: crate::time::UnixMs, random: [u8; 10]) -> Self {
        Self(format!("whk_{}", ulid(now, random)))
    }

    /// Reads an id that we gave out before.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        match text.strip_prefix("whk_") {
            Some(ulid) if is_ulid(ulid) => Ok(Self(text.to_owned())),
            _ => Err(IdError::Webhook(shorten(text))),
        }
    }
}

/// WhatsApp's id of one message, bare (without chat): `3EB0` and 18 hex digits
/// where we made it; what the sender's client made where it came in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WaMessageId(String);
text_id!(WaMessageId);

impl WaMessageId {
    /// Makes an id as WhatsApp's own web client does (whatsmeow `GenerateMessageID`).
    pub fn mint(random: [u8; 9]) -> Self {
        use fmt::Write as _;
        let mut text = String::with_capacity(22);
        text.push_str("3EB0");
        for byte in random {
            let _ = write!(text, "{byte:02X}");
        }
        Self(text)
    }

    /// Reads an id that the page or another phone reported.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let ok = !text.is_empty()
            && text.len() <= 128
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if ok {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::WaMessage(shorten(text)))
        }
    }
}

/// Where a message goes or comes from: a person by number (`@c.us`) or by
/// hidden id (`@lid`), or a group (`@g.us`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChatId(String);
text_id!(ChatId);

impl ChatId {
    /// Reads a recipient as people write it: `+49 151 23456789`,
    /// `4915123456789`, `4915123456789@c.us`, `1203630@g.us`. Spaces, dashes
    /// and brackets in a number are dropped; the numbering plan is not checked.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let text = text.trim();
        let bad = || IdError::Chat(shorten(text));
        if let Some((user, server)) = text.split_once('@') {
            let user_ok = !user.is_empty()
                && user.len() <= 32
                && user.bytes().all(|b| b.is_ascii_digit() || b == b'-')
                && user.bytes().any(|b| b.is_ascii_digit());
            // s.whatsapp.net is the same server under the name that phones use.
            let server = if server == "s.whatsapp.net" {
                "c.us"
            } else {
                server
            };
            let server_ok = match server {
                "c.us" | "lid" => !user.contains('-'),
                "g.us" => true,
                _ => false,
            };
            if user_ok && server_ok {
                return Ok(Self(format!("{user}@{server}")));
            }
            return Err(bad());
        }
        let number = text.strip_prefix('+').unwrap_or(text);
        let mut digits = String::with_capacity(15);
        for c in number.chars() {
            match c {
                '0'..='9' => digits.push(c),
                ' ' | '-' | '(' | ')' | '.' | '\u{a0}' => {}
                _ => return Err(bad()),
            }
        }
        if (7..=15).contains(&digits.len()) {
            Ok(Self(format!("{digits}@c.us")))
        } else {
            Err(bad())
        }
    }

    /// Whether this is a group.
    pub fn is_group(&self) -> bool {
        self.0.ends_with("@g.us")
    }

    /// The part before the `@`.
    pub fn user(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }
}

/// A file in our media folder, by its content: the SHA-256 in 64 lower hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MediaId(String);
text_id!(MediaId);

impl MediaId {
    /// The id of the content with this digest.
    pub fn of(sha256: &[u8; 32]) -> Self {
        use fmt::Write as _;
        let mut text = String::with_capacity(64);
        for byte in sha256 {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// Reads an id that we gave out before. The rule keeps it safe as a file name.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let ok = text.len() == 64
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if ok {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::Media(shorten(text)))
        }
    }
}

/// A message anywhere on this account, ours or not, as WhatsApp names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageKey {
    /// The chat that it stands in.
    pub chat: ChatId,
    /// Its id there.
    pub id: WaMessageId,
    /// Whether this account wrote it.
    pub from_me: bool,
    /// Who wrote it, where the chat is a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participant: Option<ChatId>,
}

impl fmt::Display for MessageKey {
    /// As WhatsApp Web writes it: `true_49151@c.us_3EB0...`, and the author behind it in a group.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.from_me, self.chat, self.id)?;
        match &self.participant {
            Some(participant) => write!(f, "_{participant}"),
            None => Ok(()),
        }
    }
}

impl std::str::FromStr for MessageKey {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError::WaMessage(shorten(text));
        let mut parts = text.splitn(4, '_');
        let (Some(from_me), Some(chat), Some(id)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(bad());
        };
        Ok(Self {
            chat: ChatId::parse(chat)?,
            id: WaMessageId::parse(id)?,
            from_me: from_me.parse().map_err(|_| bad())?,
            participant: parts.next().map(ChatId::parse).transpose()?,
        })
    }
}

/// Which connection of a session something belongs to. Each new page or
/// browser is a new epoch; what arrives from an older one is dropped.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// Who may write a session's messages. Grows with every owner and outlives
/// leases: a write with an older fence is refused.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Fence(pub u64);

/// Which link of the account a message was handed to. Grows each time a
/// phone links us anew: what was in flight under an older one cannot be looked up.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LoginGeneration(pub u64);

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The 26 letters of a ULID: 48 bits of time, 80 bits of randomness.
pub fn ulid(now: crate::time::UnixMs, random: [u8; 10]) -> String {
    let mut bits = u128::from(u64::try_from(now.0).unwrap_or(0) & 0xFFFF_FFFF_FFFF);
    for byte in random {
        bits = (bits << 8) | u128::from(byte);
    }
    (0..26)
        .rev()
        .map(|i| char::from(CROCKFORD[((bits >> (i * 5)) & 31) as usize]))
        .collect()
}

fn is_ulid(text: &str) -> bool {
    text.len() == 26 && text.bytes().all(|b| CROCKFORD.contains(&b))
}

/// Keeps a stranger's text short enough to stand in an error message.
fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMs;

    #[test]
    fn recipients_are_read_as_people_write_them() {
        for (given, meant) in [
            ("4915123456789", "4915123456789@c.us"),
            ("+49 (151) 2345-6789", "4915123456789@c.us"),
            ("4915123456789@c.us", "4915123456789@c.us"),
            ("4915123456789@s.whatsapp.net", "4915123456789@c.us"),
            ("123456789012345@lid", "123456789012345@lid"),
            ("120363-1633@g.us", "120363-1633@g.us"),
        ] {
            assert_eq!(ChatId::parse(given).map(String::from), Ok(meant.to_owned()));
        }
        for wrong in [
            "",
            "+",
            "12345",
            "1234567890123456",
            "hello",
            "49151x23456",
            "@c.us",
            "x@c.us",
            "491512345678@example.org",
            "49-15@c.us",
            "--@g.us",
            "+4915123456789@c.us",
        ] {
            assert!(ChatId::parse(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn a_message_key_reads_back_as_whatsapp_writes_it() {
        for text in [
            "true_4915123456789@c.us_3EB0ABABABABABABABABAB",
            "false_120363163300000000@g.us_AC12_4915123456789@c.us",
        ] {
            let key: MessageKey = text.parse().unwrap();
            assert_eq!(key.to_string(), text);
        }
        for wrong in ["", "3EB0", "yes_49151234567@c.us_3EB0", "true_x_3EB0"] {
            assert!(wrong.parse::<MessageKey>().is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn session_names_are_safe_as_folders() {
        assert!(SessionId::parse("shop-2_x").is_ok());
        for wrong in ["", "-a", "_a", "A", "a/b", "..", "a b", &"a".repeat(33)] {
            assert!(SessionId::parse(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn minted_ids_read_back_and_sort_by_time() {
        let early = MessageId::mint(UnixMs(1_000), [255; 10]);
        let late = MessageId::mint(UnixMs(1_001), [0; 10]);
        assert!(early < late);
        assert_eq!(MessageId::parse(early.as_str()), Ok(early));
        let wa = WaMessageId::mint([0xAB; 9]);
        assert_eq!(wa.as_str(), "3EB0ABABABABABABABABAB");
        assert_eq!(wa.as_str().len(), 22);
        assert!(WaMessageId::parse("true_49@c.us").is_err());
    }
}
