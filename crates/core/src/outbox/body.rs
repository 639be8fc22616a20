//! What a message says: one type for each kind.

use crate::ids::{ChatId, MediaId, MessageKey};
use serde::{Deserialize, Serialize};

/// What is to be sent. Each kind is stored under its name, and what was
/// stored by an older version reads back: fields may be added, with defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// A text.
    Text(Text),
    /// A file that WhatsApp shows by its kind.
    Media(Media),
    /// A place.
    Location(Location),
    /// Contact cards.
    Contacts(Contacts),
    /// A poll.
    Poll(Poll),
    /// A message that stands elsewhere, passed on.
    Forward(Forward),
    /// An emoji on a message, or its removal.
    Reaction(Reaction),
    /// A new text for a message of ours.
    Edit(Edit),
    /// A message of ours, deleted for everyone.
    Revoke(Revoke),
}

impl Body {
    /// A plain text, without anything beside it.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Text {
            text: text.into(),
            mentions: Vec::new(),
            link_preview: false,
            reply_to: None,
        })
    }

    /// The name under which its kind is stored and shown.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Media(_) => "media",
            Self::Location(_) => "location",
            Self::Contacts(_) => "contacts",
            Self::Poll(_) => "poll",
            Self::Forward(_) => "forward",
            Self::Reaction(_) => "reaction",
            Self::Edit(_) => "edit",
            Self::Revoke(_) => "revoke",
        }
    }

    /// Whether doing it twice leaves the same as doing it once. What changes
    /// another message does: it makes none that could be doubled, and none
    /// that could be looked up. All others are looked up before a retry.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::Reaction(_) | Self::Edit(_) | Self::Revoke(_) => true,
            Self::Text(_)
            | Self::Media(_)
            | Self::Location(_)
            | Self::Contacts(_)
            | Self::Poll(_)
            | Self::Forward(_) => false,
        }
    }

    /// The file that must be there to send it.
    pub fn file(&self) -> Option<&MediaFile> {
        match self {
            Self::Media(media) => Some(&media.file),
            Self::Text(_)
            | Self::Location(_)
            | Self::Contacts(_)
            | Self::Poll(_)
            | Self::Forward(_)
            | Self::Reaction(_)
            | Self::Edit(_)
            | Self::Revoke(_) => None,
        }
    }
}

/// A text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// 1 to 65,536 characters.
    pub text: String,
    /// Whom it mentions: each stands in the text as `@` and the part of the
    /// id before its `@`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<ChatId>,
    /// Whether WhatsApp may fetch a preview of its first link.
    #[serde(default, skip_serializing_if = "is_false")]
    pub link_preview: bool,
    /// The message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageKey>,
}

/// How WhatsApp shows a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A film.
    Video,
    /// A sound file.
    Audio,
    /// A voice note: sound that counts as spoken.
    Voice,
    /// Any file, shown by its name.
    Document,
    /// A sticker.
    Sticker,
}

impl MediaKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Image,
        Self::Video,
        Self::Audio,
        Self::Voice,
        Self::Document,
        Self::Sticker,
    ];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::Document => "document",
            Self::Sticker => "sticker",
        }
    }
}

/// A file in our media folder. Its bytes are on disk before the message is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaFile {
    /// Its content's digest, which is also its name in the media folder.
    pub id: MediaId,
    /// Its type, as found in its first bytes or as its owner named it.
    pub mime: String,
    /// Its length in bytes.
    pub size: u64,
    /// The name that the recipient sees on a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A file that WhatsApp shows by its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// How it is shown.
    #[serde(rename = "as")]
    pub shown_as: MediaKind,
    /// The file.
    pub file: MediaFile,
    /// The text under it; empty for none. Voice notes and stickers have none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub caption: String,
    /// Whom the caption mentions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<ChatId>,
    /// The message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageKey>,
}

/// An angle on the globe in degrees: a finite number, so that it equals itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Degrees(f64);

impl Eq for Degrees {}

impl Degrees {
    /// The angle, where it lies within `limit` to both sides of zero.
    pub fn within(degrees: f64, limit: f64) -> Option<Self> {
        (degrees.is_finite() && degrees.abs() <= limit).then_some(Self(degrees))
    }
}

impl TryFrom<f64> for Degrees {
    type Error = &'static str;
    fn try_from(degrees: f64) -> Result<Self, Self::Error> {
        Self::within(degrees, 180.0).ok_or("an angle on the globe is -180 to 180 degrees")
    }
}

impl From<Degrees> for f64 {
    fn from(degrees: Degrees) -> f64 {
        degrees.0
    }
}

/// A place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees north, -90 to 90.
    pub latitude: Degrees,
    /// Degrees east, -180 to 180.
    pub longitude: Degrees,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageKey>,
}

/// Contact cards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contacts {
    /// 1 to 50 of them.
    pub cards: Vec<ContactCard>,
    /// The message that they answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageKey>,
}

/// One contact card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactCard {
    /// The name that is shown.
    pub name: String,
    /// The card as a vCard 3.0 text.
    pub vcard: String,
}

/// A poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// The question, 1 to 255 characters.
    pub question: String,
    /// 2 to 12 answers, all different, each of 1 to 100 characters.
    pub options: Vec<String>,
    /// How many answers one may choose; 0 for any number.
    pub selectable: u8,
    /// The message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageKey>,
}

/// A message that stands elsewhere, passed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// The message.
    pub message: MessageKey,
}

/// An emoji on a message, or its removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// The message.
    pub message: MessageKey,
    /// One emoji; empty takes ours away.
    pub emoji: String,
}

/// A new text for a message of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The message.
    pub message: MessageKey,
    /// 1 to 65,536 characters.
    pub text: String,
}

/// A message of ours, deleted for everyone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoke {
    /// The message.
    pub message: MessageKey,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_first_schema_reads_back() {
        let old: Body = serde_json::from_str(r#"{"kind":"text","text":"hi"}"#).unwrap();
        assert_eq!(old, Body::text("hi"));
        assert_eq!(
            serde_json::to_string(&old).unwrap(),
            r#"{"kind":"text","text":"hi"}"#
        );
    }
}
