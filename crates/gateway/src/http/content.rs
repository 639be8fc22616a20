//! What a message says, as callers write it: one flat object whose `type`
//! says which of its fields count.

use super::accept::MAX_TEXT_CHARS;
use super::cards::{CardRequest, cards};
use super::files::{FileOrder, MediaRequest};
use super::problem::Problem;
use serde::Deserialize;
use std::collections::HashSet;
use steadfast_core::ids::{ChatId, MessageKey, WaMessageId};
use steadfast_core::outbox::{
    Body, Contacts, Degrees, Edit, Forward, Location, MediaKind, Poll, Reaction, Revoke, Text,
};
use utoipa::ToSchema;

/// WhatsApp's own bound of what stands under a file.
const MAX_CAPTION_CHARS: usize = 4_096;
/// Nobody can be mentioned more often: a group has no more members.
const MAX_MENTIONS: usize = 1_024;
/// Names and addresses of places and people, in characters.
pub(super) const MAX_NAME_CHARS: usize = 1_000;
/// WhatsApp's own bounds of a poll.
const POLL_OPTIONS: std::ops::RangeInclusive<usize> = 2..=12;
const MAX_QUESTION_CHARS: usize = 255;
const MAX_OPTION_CHARS: usize = 100;
/// The longest emoji that there are have some ten code points.
const MAX_EMOJI_CHARS: usize = 16;

/// What a message says. Which fields count is said by `type`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct Content {
    /// text (where not said), image, video, audio, voice, document, sticker, location, contacts, poll, forward, reaction, edit, revoke.
    #[serde(rename = "type")]
    #[schema(example = "text")]
    kind: Option<String>,
    /// (image, video, audio, voice, document, sticker) The file.
    media: Option<MediaRequest>,
    /// (image, video, document) The text under it.
    caption: Option<String>,
    /// (text, edit) The text.
    #[schema(min_length = 1, max_length = 65_536, example = "Hello")]
    text: Option<String>,
    /// (text, captions) Whom it mentions: each stands in the text as `@` and the part of the id before its `@`.
    mentions: Option<Vec<String>>,
    /// (text) Whether WhatsApp may fetch a preview of its first link.
    link_preview: Option<bool>,
    /// The message that this one answers: its WhatsApp id, or the whole key (`true_CHAT_ID`, `false_CHAT_ID`).
    reply_to: Option<String>,
    /// (location) Degrees north, -90 to 90.
    latitude: Option<f64>,
    /// (location) Degrees east, -180 to 180.
    longitude: Option<f64>,
    /// (location) The place's name.
    name: Option<String>,
    /// (location) The place's address.
    address: Option<String>,
    /// (contacts) 1 to 50 contact cards.
    contacts: Option<Vec<CardRequest>>,
    /// (poll) The question, 1 to 255 characters.
    question: Option<String>,
    /// (poll) 2 to 12 different answers of 1 to 100 characters.
    options: Option<Vec<String>>,
    /// (poll) How many answers one may choose; 0 for any number. 1 where not said.
    selectable: Option<u8>,
    /// (forward, reaction, edit, revoke) The message that is meant: its WhatsApp id, or the whole key.
    message: Option<String>,
    /// (reaction) One emoji; empty takes the reaction back.
    emoji: Option<String>,
}

/// The message that another speaks of, as a caller names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// With all its parts.
    Key(MessageKey),
    /// By its id alone: whose it is must be looked up.
    Id(WaMessageId),
}

impl Named {
    /// Reads a bare id or a whole key.
    pub(super) fn read(field: &str, text: &str) -> Result<Self, Problem> {
        let wrong = || {
            Problem::field(
                field,
                "it is no message: give its WhatsApp id (3EB0...), or the whole key (false_49151...@c.us_3EB0...)",
            )
        };
        if text.starts_with("true_") || text.starts_with("false_") {
            return text.parse().map(Self::Key).map_err(|_| wrong());
        }
        WaMessageId::parse(text).map(Self::Id).map_err(|_| wrong())
    }
}

/// What a message says, checked, but for the messages that it speaks of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft {
    /// The body; the messages that it speaks of are still missing.
    pub(super) said: Said,
    /// The message that it answers.
    pub(super) reply_to: Option<Named>,
}

/// What is to be accepted, once its file, where it needs one, is here.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pending {
    /// Whole.
    Ready(Body),
    /// Its file has to be brought here first.
    File(FileOrder),
}

/// By kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// Whole but for its reply.
    Body(Body),
    /// A file that has to be brought here first.
    File(FileOrder),
    /// A message that is passed on.
    Forward(Named),
    /// An emoji on a message.
    Reaction(Named, String),
    /// A new text for a message of ours.
    Edit(Named, String),
    /// A message of ours, to be deleted for everyone.
    Revoke(Named),
}

impl Draft {
    /// The body, now that each message it speaks of is known.
    pub(super) fn body(
        self,
        find: impl Fn(&Named) -> Option<MessageKey>,
    ) -> Result<Pending, Problem> {
        let key = |named: &Named| {
            find(named).ok_or_else(|| Problem::field("message", "it is not known here"))
        };
        let reply_to = self.reply_to.as_ref().map(key).transpose()?;
        Ok(Pending::Ready(match self.said {
            Said::File(mut file) => {
                file.reply_to = reply_to;
                return Ok(Pending::File(file));
            }
            Said::Body(body) => answering(body, reply_to),
            Said::Forward(named) => Body::Forward(Forward {
                message: key(&named)?,
            }),
            Said::Reaction(named, emoji) => Body::Reaction(Reaction {
                message: key(&named)?,
                emoji,
            }),
            Said::Edit(named, text) => Body::Edit(Edit {
                message: key(&named)?,
                text,
            }),
            Said::Revoke(named) => Body::Revoke(Revoke {
                message: key(&named)?,
            }),
        }))
    }

    /// The messages that it speaks of, and whether each must be one of ours.
    pub(super) fn speaks_of(&self) -> Vec<(&Named, bool)> {
        let mut named: Vec<_> = self.reply_to.iter().map(|named| (named, false)).collect();
        match &self.said {
            Said::Body(_) | Said::File(_) => {}
            Said::Forward(other) | Said::Reaction(other, _) => named.push((other, false)),
            Said::Edit(other, _) | Said::Revoke(other) => named.push((other, true)),
        }
        named
    }
}

fn answering(body: Body, reply_to: Option<MessageKey>) -> Body {
    match body {
        Body::Text(body) => Body::Text(Text { reply_to, ..body }),
        Body::Media(mut body) => {
            body.reply_to = reply_to;
            Body::Media(body)
        }
        Body::Location(body) => Body::Location(Location { reply_to, ..body }),
        Body::Contacts(body) => Body::Contacts(Contacts { reply_to, ..body }),
        Body::Poll(body) => Body::Poll(Poll { reply_to, ..body }),
        // These answer nothing.
        Body::Forward(_) | Body::Reaction(_) | Body::Edit(_) | Body::Revoke(_) => body,
    }
}

/// The kinds that a caller can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Media(MediaKind),
    Location,
    Contacts,
    Poll,
    Forward,
    Reaction,
    Edit,
    Revoke,
}

const NAMES: &[(&str, Type)] = &[
    ("text", Type::Text),
    ("image", Type::Media(MediaKind::Image)),
    ("video", Type::Media(MediaKind::Video)),
    ("audio", Type::Media(MediaKind::Audio)),
    ("voice", Type::Media(MediaKind::Voice)),
    ("document", Type::Media(MediaKind::Document)),
    ("sticker", Type::Media(MediaKind::Sticker)),
    ("location", Type::Location),
    ("contacts", Type::Contacts),
    ("poll", Type::Poll),
    ("forward", Type::Forward),
    ("reaction", Type::Reaction),
    ("edit", Type::Edit),
    ("revoke", Type::Revoke),
];

impl Type {
    fn read(name: Option<&str>) -> Result<Self, Problem> {
        let name = name.unwrap_or("text");
        let found = NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, kind)| *kind).ok_or_else(|| {
            let known: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
            Problem::field("type", format!("it is one of {}", known.join(", ")))
        })
    }

    fn name(self) -> &'static str {
        let found = NAMES.iter().find(|(_, kind)| *kind == self);
        found.map_or("media", |(name, _)| name)
    }

    /// The fields that count beside `type`.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Text => &["text", "mentions", "link_preview", "reply_to"],
            Self::Media(MediaKind::Image | MediaKind::Video | MediaKind::Document) => {
                &["media", "caption", "mentions", "reply_to"]
            }
            Self::Media(MediaKind::Audio | MediaKind::Voice | MediaKind::Sticker) => {
                &["media", "reply_to"]
            }
            Self::Location => &["latitude", "longitude", "name", "address", "reply_to"],
            Self::Contacts => &["contacts", "reply_to"],
            Self::Poll => &["question", "options", "selectable", "reply_to"],
            Self::Forward | Self::Revoke => &["message"],
            Self::Reaction => &["message", "emoji"],
            Self::Edit => &["message", "text"],
        }
    }
}

fn needed<T>(field: &str, value: Option<T>, kind: Type) -> Result<T, Problem> {
    value.ok_or_else(|| {
        Problem::field(
            field,
            format!("it is missing; a message of type {} needs it", kind.name()),
        )
    })
}

/// A text of 1 to `most` characters.
pub(super) fn bounded(field: &str, text: String, most: usize) -> Result<String, Problem> {
    let chars = text.chars().count();
    if (1..=most).contains(&chars) {
        return Ok(text);
    }
    let what = format!("it has {chars} characters; 1 to {most} can be sent");
    Err(Problem::field(field, what))
}

/// A name or an address that may be left out, or empty.
pub(super) fn optional(field: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    text.filter(|text| !text.is_empty())
        .map(|text| bounded(field, text, MAX_NAME_CHARS))
        .transpose()
}

fn mentions(ids: Option<Vec<String>>) -> Result<Vec<ChatId>, Problem> {
    let ids = ids.unwrap_or_default();
    if ids.len() > MAX_MENTIONS {
        let what = format!(
            "it names {} people; {MAX_MENTIONS} can be mentioned",
            ids.len()
        );
        return Err(Problem::field("mentions", what));
    }
    ids.iter()
        .map(|id| match ChatId::parse(id) {
            Ok(chat) if !chat.is_group() => Ok(chat),
            Ok(_) => Err(Problem::field("mentions", "a group cannot be mentioned")),
            Err(error) => Err(Problem::field("mentions", error)),
        })
        .collect()
}

fn degrees(field: &str, value: Option<f64>, limit: f64) -> Result<Degrees, Problem> {
    let value = needed(field, value, Type::Location)?;
    Degrees::within(value, limit).ok_or_else(|| {
        Problem::field(
            field,
            format!("it is {value}; it may be -{limit} to {limit}"),
        )
    })
}

impl Content {
    /// How much of it is a file in base64.
    pub(super) fn inline_bytes(&self) -> usize {
        self.media.as_ref().map_or(0, MediaRequest::inline_bytes)
    }

    /// The file came beside the rest.
    pub(super) fn set_file(&mut self, file: MediaRequest) -> Result<(), Problem> {
        if self.media.is_some() {
            let what = "the file is a part of the form; leave it out of the message";
            return Err(Problem::field("media", what));
        }
        self.media = Some(file);
        Ok(())
    }

    /// The fields that were given.
    fn given(&self) -> Vec<&'static str> {
        let mut given = Vec::new();
        let mut note = |name, there| {
            if there {
                given.push(name);
            }
        };
        note("media", self.media.is_some());
        note("caption", self.caption.is_some());
        note("text", self.text.is_some());
        note("mentions", self.mentions.is_some());
        note("link_preview", self.link_preview.is_some());
        note("reply_to", self.reply_to.is_some());
        note("latitude", self.latitude.is_some());
        note("longitude", self.longitude.is_some());
        note("name", self.name.is_some());
        note("address", self.address.is_some());
        note("contacts", self.contacts.is_some());
        note("question", self.question.is_some());
        note("options", self.options.is_some());
        note("selectable", self.selectable.is_some());
        note("message", self.message.is_some());
        note("emoji", self.emoji.is_some());
        given
    }

    /// Checks every field, and that none stands there that would be ignored.
    pub(super) fn read(self) -> Result<Draft, Problem> {
        let kind = Type::read(self.kind.as_deref())?;
        let fields = kind.fields();
        if let Some(extra) = self.given().iter().find(|field| !fields.contains(field)) {
            let what = format!(
                "a message of type {} has no such field; it has {}",
                kind.name(),
                fields.join(", ")
            );
            return Err(Problem::field(extra, what));
        }
        let reply_to = self
            .reply_to
            .as_deref()
            .map(|text| Named::read("reply_to", text))
            .transpose()?;
        let named = || {
            let text = needed("message", self.message.as_deref(), kind)?;
            Named::read("message", text)
        };
        let said = match kind {
            Type::Text => Said::Body(Body::Text(Text {
                text: bounded("text", needed("text", self.text, kind)?, MAX_TEXT_CHARS)?,
                mentions: mentions(self.mentions)?,
                link_preview: self.link_preview.unwrap_or(false),
                reply_to: None,
            })),
            Type::Media(shown_as) => {
                let mut file = needed("media", self.media, kind)?.read(shown_as)?;
                if let Some(caption) = self.caption.filter(|caption| !caption.is_empty()) {
                    file.caption = bounded("caption", caption, MAX_CAPTION_CHARS)?;
                }
                file.mentions = mentions(self.mentions)?;
                Said::File(file)
            }
            Type::Location => Said::Body(Body::Location(Location {
                latitude: degrees("latitude", self.latitude, 90.0)?,
                longitude: degrees("longitude", self.longitude, 180.0)?,
                name: optional("name", self.name)?,
                address: optional("address", self.address)?,
                reply_to: None,
            })),
            Type::Contacts => Said::Body(Body::Contacts(Contacts {
                cards: cards(needed("contacts", self.contacts, kind)?)?,
                reply_to: None,
            })),
            Type::Poll => Said::Body(Body::Poll(poll(
                needed("question", self.question, kind)?,
                needed("options", self.options, kind)?,
                self.selectable.unwrap_or(1),
            )?)),
            Type::Forward => Said::Forward(named()?),
            Type::Reaction => {
                let emoji = needed("emoji", self.emoji.clone(), kind)?;
                Said::Reaction(named()?, self::emoji(emoji)?)
            }
            Type::Edit => {
                let text = needed("text", self.text.clone(), kind)?;
                Said::Edit(named()?, bounded("text", text, MAX_TEXT_CHARS)?)
            }
            Type::Revoke => Said::Revoke(named()?),
        };
        Ok(Draft { said, reply_to })
    }
}

/// An emoji is a few characters that are no letters and no space.
pub(super) fn emoji(text: String) -> Result<String, Problem> {
    let plain = text
        .chars()
        .any(|c| c.is_ascii_alphabetic() || c.is_whitespace() || c.is_control());
    if plain || text.chars().count() > MAX_EMOJI_CHARS {
        return Err(Problem::field(
            "emoji",
            "it is no emoji; give one, or an empty text to take the reaction back",
        ));
    }
    Ok(text)
}

/// A new text for a message.
pub(super) fn new_text(text: String) -> Result<String, Problem> {
    bounded("text", text, MAX_TEXT_CHARS)
}

fn poll(question: String, options: Vec<String>, selectable: u8) -> Result<Poll, Problem> {
    let count = options.len();
    if !POLL_OPTIONS.contains(&count) {
        return Err(Problem::field(
            "options",
            format!("there are {count}; a poll has 2 to 12"),
        ));
    }
    if usize::from(selectable) > count {
        let what = format!("it is {selectable}, and there are {count} options");
        return Err(Problem::field("selectable", what));
    }
    let options = options
        .into_iter()
        .map(|option| bounded("options", option, MAX_OPTION_CHARS))
        .collect::<Result<Vec<_>, _>>()?;
    let different: HashSet<&String> = options.iter().collect();
    if different.len() != count {
        return Err(Problem::field("options", "two of them are the same"));
    }
    Ok(Poll {
        question: bounded("question", question, MAX_QUESTION_CHARS)?,
        options,
        selectable,
        reply_to: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(content: Value) -> Result<Draft, Problem> {
        serde_json::from_value::<Content>(content).unwrap().read()
    }

    fn field_at_fault(content: Value) -> String {
        let detail = read(content).unwrap_err().detail().to_owned();
        detail.split(':').next().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_text_needs_no_type() {
        let draft = read(json!({"text": "hi"})).unwrap();
        assert_eq!(draft.said, Said::Body(Body::text("hi")));
        assert_eq!(draft, read(json!({"type": "text", "text": "hi"})).unwrap());
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        for (content, field) in [
            (json!({}), "text"),
            (json!({"text": ""}), "text"),
            (json!({"text": "hi", "latitude": 1.0}), "latitude"),
            (
                json!({"type": "location", "latitude": 91, "longitude": 1}),
                "latitude",
            ),
            (json!({"type": "location", "latitude": 9}), "longitude"),
            (
                json!({"type": "poll", "question": "?", "options": ["a"]}),
                "options",
            ),
            (
                json!({"type": "poll", "question": "?", "options": ["a", "a"]}),
                "options",
            ),
            (
                json!({"type": "poll", "question": "?", "options": ["a", "b"], "selectable": 3}),
                "selectable",
            ),
            (json!({"type": "contacts", "contacts": []}), "contacts"),
            (
                json!({"type": "contacts", "contacts": [{"name": "x"}]}),
                "contacts.phone",
            ),
            (
                json!({"type": "contacts", "contacts": [{"name": "x", "vcard": "hello"}]}),
                "contacts.vcard",
            ),
            (
                json!({"type": "reaction", "message": "3EB0AB", "emoji": "yes"}),
                "emoji",
            ),
            (json!({"type": "reaction", "emoji": "👍"}), "message"),
            (
                json!({"type": "revoke", "message": "true_x_3EB0"}),
                "message",
            ),
            (json!({"type": "forward", "message": "a b"}), "message"),
            (json!({"type": "song"}), "type"),
            (json!({"type": "image"}), "media"),
            (json!({"type": "image", "media": {}}), "media"),
            (
                json!({"type": "image", "media": {"url": "https://a.example/b", "base64": "AA=="}}),
                "media",
            ),
            (json!({"type": "image", "media": {"id": "abc"}}), "media.id"),
            (
                json!({"type": "voice", "media": {"url": "https://a.example/b"}, "caption": "x"}),
                "caption",
            ),
            (
                json!({"text": "hi", "mentions": ["12036312@g.us"]}),
                "mentions",
            ),
        ] {
            let said = content.to_string();
            assert_eq!(field_at_fault(content), field, "{said}");
        }
    }

    #[test]
    fn messages_are_named_by_id_or_by_key() {
        let draft = read(json!({"type": "reaction", "message": "3EB0AB", "emoji": "👨‍👩‍👧‍👦"})).unwrap();
        let [(Named::Id(id), false)] = draft.speaks_of()[..] else {
            panic!("{draft:?}");
        };
        assert_eq!(id.as_str(), "3EB0AB");
        let key = "false_4915123456789@c.us_AC12";
        let draft = read(json!({"text": "yes", "reply_to": key})).unwrap();
        let whole = |named: &Named| match named {
            Named::Key(key) => Some(key.clone()),
            Named::Id(_) => None,
        };
        let Pending::Ready(Body::Text(text)) = draft.body(whole).unwrap() else {
            panic!("a text was given")
        };
        assert_eq!(text.reply_to.unwrap().to_string(), key);
        let edit = read(json!({"type": "edit", "message": "3EB0AB", "text": "x"})).unwrap();
        assert!(edit.speaks_of()[0].1, "only ours can be edited");
    }
}
