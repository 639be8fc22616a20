//! Between what a message is to the gateway and what its frame says.

use super::profile::Written;
use serde_json::{Map, Value, json};
use steadfast_core::ids::{ChatId, MessageKey, WaMessageId};
use steadfast_core::inbound::{Extras, RemoteFile};
use steadfast_core::outbox::{Body, Contacts, Location, Media, MediaKind, Poll};

/// WhatsApp's own name for how a file is shown.
pub(super) fn media_kind(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::Video => "video",
        MediaKind::Audio => "audio",
        MediaKind::Voice => "ptt",
        MediaKind::Document => "document",
        MediaKind::Sticker => "sticker",
    }
}

/// The frame of a message. `media` is what the upload of its file came to;
/// `forwarded` is the message that is passed on.
pub(super) fn written(body: &Body, media: Option<Value>, forwarded: Option<Written>) -> Written {
    let mut content = Map::new();
    let (kind, text) = match body {
        Body::Text(text) => {
            quote(&mut content, text.reply_to.as_ref());
            mention(&mut content, &text.mentions);
            ("chat", text.text.clone())
        }
        Body::Media(Media {
            shown_as,
            caption,
            mentions,
            reply_to,
            ..
        }) => {
            content.extend(media.map(|media| ("media".to_owned(), media)));
            quote(&mut content, reply_to.as_ref());
            mention(&mut content, mentions);
            (media_kind(*shown_as), caption.clone())
        }
        Body::Location(Location {
            latitude,
            longitude,
            name,
            address,
            reply_to,
        }) => {
            content.insert("lat".to_owned(), json!(f64::from(*latitude)));
            content.insert("lng".to_owned(), json!(f64::from(*longitude)));
            let lines: Vec<&str> = [name, address]
                .into_iter()
                .flatten()
                .map(String::as_str)
                .collect();
            content.insert("loc".to_owned(), json!(lines.join("\n")));
            quote(&mut content, reply_to.as_ref());
            ("location", String::new())
        }
        Body::Contacts(Contacts { cards, reply_to }) => {
            quote(&mut content, reply_to.as_ref());
            if let [card] = cards.as_slice() {
                content.insert("vcardFormattedName".to_owned(), json!(card.name));
                ("vcard", card.vcard.clone())
            } else {
                let cards: Vec<Value> = cards
                    .iter()
                    .map(|card| json!({ "displayName": card.name, "vcard": card.vcard }))
                    .collect();
                content.insert("vcardList".to_owned(), Value::Array(cards));
                ("multi_vcard", String::new())
            }
        }
        Body::Poll(Poll {
            question,
            options,
            selectable,
            reply_to,
        }) => {
            let poll = json!({ "name": question, "options": options, "selectable": selectable });
            content.insert("poll".to_owned(), poll);
            quote(&mut content, reply_to.as_ref());
            ("poll_creation", String::new())
        }
        Body::Forward(_) => {
            let mut copy = forwarded.unwrap_or_default();
            copy.content.insert("isForwarded".to_owned(), json!(true));
            return copy;
        }
        Body::Reaction(reaction) => {
            content.insert("target".to_owned(), target(&reaction.message));
            content.insert("reaction".to_owned(), json!(reaction.emoji));
            ("reaction", String::new())
        }
        Body::Edit(edit) => {
            content.insert("target".to_owned(), target(&edit.message));
            ("edit", edit.text.clone())
        }
        Body::Revoke(revoke) => {
            content.insert("target".to_owned(), target(&revoke.message));
            ("revoke", String::new())
        }
    };
    Written {
        kind: kind.to_owned(),
        body: text,
        content,
    }
}

fn target(key: &MessageKey) -> Value {
    json!({
        "id": key.id,
        "chat": key.chat,
        "from_me": key.from_me,
        "author": key.participant.as_ref().unwrap_or(&key.chat),
    })
}

fn quote(content: &mut Map<String, Value>, reply_to: Option<&MessageKey>) {
    if let Some(key) = reply_to {
        let author = key.participant.as_ref().unwrap_or(&key.chat);
        let quoted = json!({ "id": key.id, "author": author, "body": "" });
        content.insert("quoted".to_owned(), quoted);
    }
}

fn mention(content: &mut Map<String, Value>, mentions: &[ChatId]) {
    if !mentions.is_empty() {
        content.insert("mentions".to_owned(), json!(mentions));
    }
}

/// The messages that a message speaks of: they must be there.
pub(super) fn speaks_of(body: &Body) -> Option<&MessageKey> {
    match body {
        Body::Text(text) => text.reply_to.as_ref(),
        Body::Media(media) => media.reply_to.as_ref(),
        Body::Location(location) => location.reply_to.as_ref(),
        Body::Contacts(contacts) => contacts.reply_to.as_ref(),
        Body::Poll(poll) => poll.reply_to.as_ref(),
        Body::Forward(forward) => Some(&forward.message),
        Body::Reaction(reaction) => Some(&reaction.message),
        Body::Edit(edit) => Some(&edit.message),
        Body::Revoke(revoke) => Some(&revoke.message),
    }
}

/// What a message that came in carries beside its text.
pub(super) fn extras(
    kind: &str,
    push_name: &str,
    body: &str,
    content: &Map<String, Value>,
) -> Extras {
    let at = |path: &[&str]| {
        let mut value = content.get(*path.first()?)?;
        for part in &path[1..] {
            value = value.get(*part)?;
        }
        Some(value)
    };
    let text = |path: &[&str]| at(path).and_then(Value::as_str).map(str::to_owned);
    let mentions = content
        .get("mentions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|id| ChatId::parse(id.as_str()?).ok());
    Extras {
        push_name: (!push_name.is_empty()).then(|| push_name.to_owned()),
        reply_to: text(&["quoted", "id"]).and_then(|id| WaMessageId::parse(&id).ok()),
        mentions: mentions.collect(),
        media: text(&["media", "mimetype"]).map(|mime| RemoteFile {
            mime,
            size: at(&["media", "size"]).and_then(Value::as_u64),
            name: text(&["media", "filename"]),
        }),
        content: structured(kind, body, content).map(|value| value.to_string()),
    }
}

/// A place, contact cards or a poll, in the form that the browser engine tells.
fn structured(kind: &str, body: &str, content: &Map<String, Value>) -> Option<Value> {
    let member = |name: &str| content.get(name).cloned().unwrap_or_default();
    match kind {
        "location" => Some(json!({
            "latitude": member("lat"), "longitude": member("lng"),
            "description": content.get("loc").and_then(Value::as_str).unwrap_or_default(),
        })),
        "vcard" => Some(json!({
            "cards": [{ "name": member("vcardFormattedName"), "vcard": body }]
        })),
        "multi_vcard" => {
            let cards = content.get("vcardList").and_then(Value::as_array);
            let cards: Vec<Value> = cards
                .into_iter()
                .flatten()
                .map(|card| json!({ "name": card["displayName"], "vcard": card["vcard"] }))
                .collect();
            Some(json!({ "cards": cards }))
        }
        "poll_creation" => {
            let poll = content.get("poll")?;
            Some(json!({
                "question": poll["name"], "options": poll["options"], "selectable": poll["selectable"],
            }))
        }
        _ => None,
    }
}
