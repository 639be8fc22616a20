//! Webhooks as WAHA packs them: its names of events, its payloads, and
//! HMAC-SHA512 over the body.

use super::server;
use super::shape::{self, WahaMe, WahaMessage, ack_name, ack_of};
use crate::config::Config;
use crate::sessions::{Me, SessionState, Sessions};
use crate::webhooks::signature::sign_waha;
use crate::webhooks::{Envelope, Packed};
use async_trait::async_trait;
use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use steadfast_core::event::{Event, EventData, EventKind, MessageMoved, StateChange};
use steadfast_core::ids::{ChatId, EventId, MessageKey, SessionId, ulid};
use steadfast_core::inbound::Happening;
use steadfast_core::outbox::Ack;
use steadfast_core::port::{SecretText, Store, WebhookRecord};
use steadfast_core::time::UnixMs;

/// The name of this envelope, and of the surface that owns its endpoints.
pub(super) const WAHA: &str = "waha";

/// WAHA's names of events that are told here, and the kinds of ours that each
/// is made of. Names that share a kind stand at different endpoints: an
/// endpoint is given one request for each event.
pub(super) const NAMES: &[(&str, &[&str])] = &[
    ("session.status", &["session.state"]),
    ("state.change", &["session.state"]),
    ("message", &["message.received"]),
    (
        "message.any",
        &[
            "message.accepted",
            "message.received",
            "message.sent_elsewhere",
        ],
    ),
    (
        "message.ack",
        &[
            "message.sent",
            "message.delivered",
            "message.read",
            "message.played",
            "message.rejected",
            "message.expired",
            "message.cancelled",
        ],
    ),
    ("message.reaction", &["message.reaction"]),
    ("message.revoked", &["message.revoked"]),
    ("message.edited", &["message.edited"]),
    ("group.v2.join", &["group.changed"]),
    ("group.v2.leave", &["group.changed"]),
    ("group.v2.participants", &["group.changed"]),
    ("group.v2.update", &["group.changed"]),
];

/// Names that WAHA has and that nothing is told under here.
pub(super) const NEVER_TOLD: &[&str] = &[
    "message.ack.group",
    "message.waiting",
    "group.join",
    "group.leave",
    "group.v2.participants.join-request",
    "presence.update",
    "poll.vote",
    "poll.vote.failed",
    "chat.archive",
    "call.received",
    "call.accepted",
    "call.rejected",
    "label.upsert",
    "label.deleted",
    "label.chat.added",
    "label.chat.deleted",
    "event.response",
    "event.response.failed",
    "engine.event",
];

/// What an endpoint keeps where others keep a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// What signs; nothing is signed without.
    pub(super) key: Option<SecretText>,
    /// WAHA's names of the events that it wants.
    pub(super) names: Vec<String>,
}

impl Kept {
    /// As the endpoint's record has it.
    pub(super) fn of(record: &WebhookRecord) -> Option<Self> {
        serde_json::from_str(&record.secret.as_ref()?.0).ok()
    }

    /// As the endpoint's record is to have it.
    pub(super) fn text(&self) -> SecretText {
        SecretText(json!(self).to_string())
    }
}

/// WAHA's way to pack events.
pub struct WahaEnvelope {
    store: Arc<dyn Store>,
    sessions: Arc<dyn Sessions>,
    config: Arc<Config>,
}

impl WahaEnvelope {
    /// Under which name endpoints ask for it.
    pub const NAME: &'static str = WAHA;

    /// Reads messages and metadata from the store, and who a session is from
    /// the sessions.
    pub fn new(store: Arc<dyn Store>, sessions: Arc<dyn Sessions>, config: Arc<Config>) -> Self {
        Self {
            store,
            sessions,
            config,
        }
    }

    /// WAHA's name and payload of an event, where the endpoint wants it.
    async fn told(
        &self,
        event: &Event,
        names: &[String],
        me: Option<&ChatId>,
    ) -> Result<Option<(String, Value)>, String> {
        for name in names {
            if let Some(payload) = self.payload(event, name, me).await? {
                return Ok(Some((name.clone(), payload)));
            }
        }
        Ok(None)
    }

    async fn payload(
        &self,
        event: &Event,
        name: &str,
        me: Option<&ChatId>,
    ) -> Result<Option<Value>, String> {
        let Some(session) = &event.session else {
            return Ok(None);
        };
        Ok(match (&event.data, name) {
            (EventData::State(change), "session.status") => {
                session_status(session, change, event.at)
            }
            (EventData::State(change), "state.change") => {
                state(&change.to).map(|to| json!({"name": session, "state": to.original()}))
            }
            (EventData::Received(stored), "message" | "message.any") => {
                let fits = name == "message.any" || event.kind == EventKind::MessageReceived;
                let message = stored.message.clone();
                fits.then(|| json!(WahaMessage::of_inbound(message, session, None, me)))
            }
            (EventData::Message(moved), "message.any")
                if event.kind == EventKind::MessageAccepted =>
            {
                // Gone with its session, where it is gone.
                let message = self.store.message(&moved.id).await;
                message
                    .map_err(|error| error.to_string())?
                    .map(|message| json!(WahaMessage::as_accepted(&message, me)))
            }
            (EventData::Message(moved), "message.ack") => Some(ack(moved, event.kind, me)),
            (EventData::Happening(happening), _) => happened(happening, name, me),
            _ => None,
        })
    }
}

#[async_trait]
impl Envelope for WahaEnvelope {
    async fn pack(
        &self,
        event: &Event,
        endpoint: &WebhookRecord,
        at: UnixMs,
    ) -> Result<Option<Packed>, String> {
        // To pass over it would drop what is owed without a word.
        let Some(kept) = Kept::of(endpoint) else {
            return Err("what this endpoint keeps of its configuration cannot be read".to_owned());
        };
        let Some(session) = &event.session else {
            return Ok(None);
        };
        let note = super::config::note(self.store.as_ref(), session).await;
        // A session that was made anew, and not here, is nobody's of those who listened.
        let Some(config) = note.map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        let me = self.sessions.get(session).await.ok().and_then(|v| v.me);
        let id = me.as_ref().map(|me: &Me| &me.id);
        let Some((name, payload)) = self.told(event, &kept.names, id).await? else {
            return Ok(None);
        };
        let body = json!({
            "id": event_id(&event.id, &name, event.at),
            "timestamp": event.at.0,
            "event": name,
            "session": session,
            "metadata": config.metadata,
            "me": me.as_ref().map(WahaMe::from),
            "payload": payload,
            "engine": server::ENGINE,
            "environment": server::environment(&self.config),
        })
        .to_string();
        let request_id = event_id(&event.id, &format!("{name} {}", at.0), at);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut set = |name: &'static str, value: String| -> Result<(), String> {
            let value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
            headers.insert(HeaderName::from_static(name), value);
            Ok(())
        };
        set("x-webhook-request-id", request_id.replace("evt_", ""))?;
        set("x-webhook-timestamp", at.0.to_string())?;
        if let Some(key) = &kept.key {
            set("x-webhook-hmac", sign_waha(&key.0, body.as_bytes()))?;
            set("x-webhook-hmac-algorithm", "sha512".to_owned())?;
        }
        Ok(Some(Packed {
            headers,
            body: body.into(),
        }))
    }
}

/// The id of an event under one of WAHA's names: the same at every attempt,
/// and another for another name, so that nobody takes one for a repeat.
fn event_id(id: &EventId, name: &str, at: UnixMs) -> String {
    let digest: [u8; 32] = Sha256::digest(format!("{id}\n{name}")).into();
    let mut unique = [0; 10];
    unique.copy_from_slice(&digest[..10]);
    format!("evt_{}", ulid(at, unique).to_ascii_lowercase())
}

fn state(name: &str) -> Option<SessionState> {
    let mut all = SessionState::ALL.into_iter();
    all.find(|state| state.as_str() == name)
}

/// Nothing where WAHA has one word for both states.
fn session_status(session: &SessionId, change: &StateChange, at: UnixMs) -> Option<Value> {
    let to = shape::status(state(&change.to)?);
    let from = state(&change.from).map(shape::status);
    let point = |status| json!({"status": status, "timestamp": at.0});
    let statuses: Vec<Value> = from.into_iter().chain([to]).map(point).collect();
    (from != Some(to)).then(|| {
        json!({
            "name": session,
            "status": to,
            "statuses": statuses,
            "data": {"state": change.to, "reason": change.reason},
        })
    })
}

fn ack(moved: &MessageMoved, kind: EventKind, me: Option<&ChatId>) -> Value {
    let (ack, ack_name) = ack_of(kind.status().unwrap_or(moved.status));
    let key = MessageKey {
        chat: moved.to.clone(),
        id: moved.wa_message_id.clone(),
        from_me: true,
        participant: me.filter(|_| moved.to.is_group()).cloned(),
    };
    json!({
        "id": key.to_string(),
        "from": me,
        "to": moved.to,
        "participant": key.participant,
        "fromMe": true,
        "ack": ack,
        "ackName": ack_name,
        "_data": {"id": moved.id, "status": moved.status, "reason": moved.reason},
    })
}

/// From and to of something that was done in the chat of a message.
fn ends(message: &MessageKey, from_me: bool, me: Option<&ChatId>) -> (Value, Value) {
    if from_me {
        (json!(me), json!(message.chat))
    } else {
        (json!(message.chat), json!(me))
    }
}

fn happened(happening: &Happening, name: &str, me: Option<&ChatId>) -> Option<Value> {
    match (happening, name) {
        (
            Happening::Reaction {
                message,
                sender,
                emoji,
                at,
            },
            "message.reaction",
        ) => {
            let ours = me == Some(sender);
            let (from, to) = ends(message, ours, me);
            Some(json!({
                "id": message.to_string(),
                "timestamp": at.0.div_euclid(1_000),
                "from": from,
                "fromMe": ours,
                "source": "app",
                "to": to,
                "participant": message.chat.is_group().then_some(sender),
                "reaction": {"text": emoji, "messageId": message.to_string()},
            }))
        }
        (Happening::Edited { message, text, at }, "message.edited") => {
            let (from, to) = ends(message, message.from_me, me);
            Some(json!({
                "id": message.to_string(),
                "timestamp": at.0.div_euclid(1_000),
                "from": from,
                "fromMe": message.from_me,
                "source": "app",
                "to": to,
                "participant": message.participant,
                "body": text,
                "hasMedia": false,
                "media": null,
                "ack": Ack::Device.level(),
                "ackName": ack_name(Ack::Device),
                "editedMessageId": message.id,
            }))
        }
        (Happening::Revoked { message, at }, "message.revoked") => Some(json!({
            "revokedMessageId": message.id,
            "before": null,
            "after": null,
            "_data": {"key": message.to_string(), "timestamp": at.0.div_euclid(1_000)},
        })),
        (
            Happening::Group {
                group,
                change,
                by,
                participants,
                at,
            },
            _,
        ) => {
            let by = by.as_ref();
            let (told, payload) = group_changed(group, change, by, participants, *at, me);
            (told == name).then_some(payload)
        }
        (Happening::Reaction { .. } | Happening::Edited { .. } | Happening::Revoked { .. }, _) => {
            None
        }
    }
}

/// WAHA tells what befalls the account itself under other names than what
/// befalls others.
fn group_changed(
    group: &ChatId,
    change: &str,
    by: Option<&ChatId>,
    participants: &[ChatId],
    at: UnixMs,
    me: Option<&ChatId>,
) -> (&'static str, Value) {
    let us = me.is_some_and(|me| participants.contains(me));
    let kind = match change {
        "add" | "invite" | "linked_group_join" | "join" => "join",
        "remove" | "leave" => "leave",
        "promote" => "promote",
        "demote" => "demote",
        _ => "update",
    };
    let timestamp = at.0.div_euclid(1_000);
    let data = json!({"change": change, "by": by});
    let payload = json!({"timestamp": timestamp, "group": {"id": group}, "_data": data});
    match (kind, us) {
        ("join", true) => ("group.v2.join", payload),
        ("leave", true) => ("group.v2.leave", payload),
        ("update", _) => ("group.v2.update", payload),
        (kind, _) => {
            let role = match kind {
                "leave" => "left",
                "promote" => "admin",
                _ => "participant",
            };
            let one = |id: &ChatId| json!({"id": id, "role": role});
            let people: Vec<Value> = participants.iter().map(one).collect();
            let payload = json!({
                "type": kind,
                "timestamp": timestamp,
                "group": {"id": group},
                "participants": people,
                "_data": data,
            });
            ("group.v2.participants", payload)
        }
    }
}
