//! What others send to us, and what they do to messages that exist.

use crate::ids::{ChatId, MessageKey, WaMessageId};
use crate::time::UnixMs;
use serde::{Deserialize, Serialize};

/// One message that reached this account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundMessage {
    /// The sender's id of it; with the chat it is unique.
    pub wa_message_id: WaMessageId,
    /// The chat that it stands in.
    pub chat: ChatId,
    /// The other address of that chat, where one is known: accounts move from
    /// numbers to hidden ids, and a message that is kept under the one is not
    /// kept again under the other. Not stored.
    #[serde(skip)]
    pub chat_also: Option<ChatId>,
    /// Who wrote it: the chat itself, or a member of a group.
    pub sender: ChatId,
    /// True where this account wrote it on another device.
    pub from_me: bool,
    /// WhatsApp's name for its kind: `chat`, `image`, `ptt`, ...
    pub kind: String,
    /// The text or caption; empty where there is none.
    pub text: String,
    /// When the sender sent it.
    pub sent_at: UnixMs,
    /// True where it was fetched after a recovery instead of pushed live.
    pub recovered: bool,
    /// What it carries beside its text.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
}

impl InboundMessage {
    /// Its name on this account.
    pub fn key(&self) -> MessageKey {
        MessageKey {
            chat: self.chat.clone(),
            id: self.wa_message_id.clone(),
            from_me: self.from_me,
            participant: self.chat.is_group().then(|| self.sender.clone()),
        }
    }
}

/// What a message carries beside its text; most carry nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extras {
    /// The name that its sender goes by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_name: Option<String>,
    /// The id of the message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<WaMessageId>,
    /// Whom it mentions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<ChatId>,
    /// The file that comes with it, still at WhatsApp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<RemoteFile>,
    /// The place, contact cards or poll that it is, as JSON:
    /// `{latitude, longitude, description}`, `{cards: [{name, vcard}]}`,
    /// `{question, options, selectable}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

impl Extras {
    /// Whether it carries nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A file as its message describes it; its bytes are fetched by the message's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteFile {
    /// Its type, by its sender's word.
    pub mime: String,
    /// Its length in bytes, by its sender's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Its name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Something that happened on this account to what exists already. Told at
/// least once; the same happening has the same `key()`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Happening {
    /// A message has a new text.
    Edited {
        /// The message.
        message: MessageKey,
        /// Its text now.
        text: String,
        /// When.
        at: UnixMs,
    },
    /// A message was deleted for everyone.
    Revoked {
        /// The message.
        message: MessageKey,
        /// When.
        at: UnixMs,
    },
    /// Somebody reacted to a message, or took the reaction back.
    Reaction {
        /// The message.
        message: MessageKey,
        /// Who.
        sender: ChatId,
        /// The emoji; empty where it was taken back.
        emoji: String,
        /// When.
        at: UnixMs,
    },
    /// A group has changed.
    Group {
        /// Which.
        group: ChatId,
        /// WhatsApp's word for it: `add`, `remove`, `leave`, `promote`, `demote`, `subject`, ...
        change: String,
        /// Who did it, where known.
        by: Option<ChatId>,
        /// Whom it concerns.
        participants: Vec<ChatId>,
        /// When.
        at: UnixMs,
    },
}

impl Happening {
    /// When it happened, by WhatsApp's word.
    pub fn at(&self) -> UnixMs {
        match self {
            Self::Edited { at, .. }
            | Self::Revoked { at, .. }
            | Self::Reaction { at, .. }
            | Self::Group { at, .. } => *at,
        }
    }

    /// What makes it one and the same, whenever and however often it is told.
    pub fn key(&self) -> String {
        match self {
            Self::Edited { message, at, .. } => format!("edited {message} {}", at.0),
            Self::Revoked { message, .. } => format!("revoked {message}"),
            Self::Reaction {
                message,
                sender,
                emoji,
                at,
            } => format!("reaction {message} {sender} {emoji} {}", at.0),
            Self::Group {
                group,
                change,
                participants,
                at,
                ..
            } => {
                let whom: Vec<&str> = participants.iter().map(ChatId::as_str).collect();
                format!("group {group} {change} {} {}", whom.join(","), at.0)
            }
        }
    }
}
