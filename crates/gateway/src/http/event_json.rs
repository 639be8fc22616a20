//! How an event is told: by `/v1/events`, its streams, and webhooks, always the same.

use super::view::InboundJson;
use serde::Serialize;
use serde_json::{Value, json};
use steadfast_core::event::{Event, EventData};
use steadfast_core::ids::SessionId;
use steadfast_core::inbound::Happening;
use steadfast_core::time::UnixMs;
use utoipa::ToSchema;

/// One thing that happened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventJson {
    /// Its id, the same however often it is told.
    #[schema(example = "evt_01HM6Q2Z8N8V7T2J3Q9XKXW5YB")]
    pub(crate) id: String,
    /// Its position: what `after` and `Last-Event-ID` take.
    pub(crate) seq: i64,
    /// What it tells of.
    #[serde(rename = "type")]
    #[schema(example = "message.sent")]
    pub(crate) kind: &'static str,
    /// The session that it belongs to, where it belongs to one.
    pub(crate) session: Option<String>,
    /// When it happened.
    pub(crate) timestamp: String,
    /// The particulars, by type.
    pub(crate) data: Value,
}

impl From<&Event> for EventJson {
    fn from(event: &Event) -> Self {
        Self {
            id: event.id.to_string(),
            seq: event.seq,
            kind: event.kind.as_str(),
            session: event.session.as_ref().map(ToString::to_string),
            timestamp: event.at.rfc3339(),
            data: data(event.session.as_ref(), &event.data),
        }
    }
}

fn data(session: Option<&SessionId>, data: &EventData) -> Value {
    match data {
        EventData::Message(moved) => json!({
            "id": moved.id,
            "wa_message_id": moved.wa_message_id,
            "to": moved.to,
            "kind": moved.kind,
            "status": moved.status,
            "reason": moved.reason,
            "detail": moved.detail,
            "accepted_at": moved.accepted_at.rfc3339(),
        }),
        EventData::Received(stored) => {
            let key = stored.message.key().to_string();
            let stored = stored.as_ref().clone();
            let told = match session {
                Some(session) => InboundJson::of(session, stored),
                None => InboundJson::from(stored),
            };
            let mut value = serde_json::to_value(told).unwrap_or_default();
            if let Some(fields) = value.as_object_mut() {
                fields.insert("key".to_owned(), key.into());
            }
            value
        }
        EventData::Happening(happening) => happened(happening),
        EventData::State(change) => json!({
            "from": change.from,
            "to": change.to,
            "reason": change.reason,
        }),
        EventData::Incident(incident) => json!({
            "id": incident.id,
            "kind": incident.kind,
            "evidence": incident.evidence,
            "opened_at": incident.opened_at.rfc3339(),
            "closed_at": incident.closed_at.map(UnixMs::rfc3339),
            "outcome": incident.outcome,
            "healed_by": incident.healed_by,
            "recovery_ms": incident.recovery_ms,
            "messages_waited": incident.messages_waited,
        }),
        EventData::Webhook(notice) => json!({
            "webhook": notice.webhook,
            "missed": notice.missed,
            "detail": notice.detail,
        }),
        EventData::Nothing => json!({}),
    }
}

fn happened(happening: &Happening) -> Value {
    match happening {
        Happening::Edited { message, text, .. } => json!({
            "key": message.to_string(), "chat": message.chat, "wa_message_id": message.id,
            "from_me": message.from_me, "text": text,
        }),
        Happening::Revoked { message, .. } => json!({
            "key": message.to_string(), "chat": message.chat, "wa_message_id": message.id,
            "from_me": message.from_me,
        }),
        Happening::Reaction {
            message,
            sender,
            emoji,
            ..
        } => json!({
            "key": message.to_string(), "chat": message.chat, "wa_message_id": message.id,
            "from_me": message.from_me, "sender": sender, "emoji": emoji,
        }),
        Happening::Group {
            group,
            change,
            by,
            participants,
            ..
        } => json!({
            "group": group, "change": change, "by": by, "participants": participants,
        }),
    }
}
