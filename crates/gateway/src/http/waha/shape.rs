//! WAHA's shapes: what sessions and messages look like there.

use super::server::ENGINE;
use crate::sessions::{Me, SessionState, SessionView};
use serde::Serialize;
use serde_json::{Value, json};
use steadfast_core::action::HistoryMessage;
use steadfast_core::ids::{ChatId, MessageKey, SessionId};
use steadfast_core::inbound::InboundMessage;
use steadfast_core::outbox::{Ack, Body, Message, Status};
use utoipa::ToSchema;

/// WAHA's name of a state. What heals itself is STARTING; FAILED is what waits
/// for a person.
pub(super) fn status(state: SessionState) -> &'static str {
    match state {
        SessionState::Stopped => "STOPPED",
        SessionState::Starting | SessionState::Syncing | SessionState::Recovering => "STARTING",
        SessionState::Linking => "SCAN_QR_CODE",
        SessionState::Ready => "WORKING",
        SessionState::Conflict | SessionState::LoggedOut | SessionState::Parked => "FAILED",
    }
}

/// Who a session is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaMe {
    id: String,
    push_name: Option<String>,
}

impl From<&Me> for WahaMe {
    fn from(me: &Me) -> Self {
        Self {
            id: me.id.to_string(),
            push_name: me.push_name.clone(),
        }
    }
}

/// What drives a session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WahaEngine {
    engine: &'static str,
    /// Our own name of its state, which says more than WAHA's.
    state: &'static str,
}

/// When something last happened.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WahaTimestamps {
    /// Milliseconds since 1970.
    activity: i64,
}

/// One session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WahaSession {
    name: String,
    /// STOPPED, STARTING, `SCAN_QR_CODE`, WORKING, FAILED.
    status: &'static str,
    /// What it was made with, without secrets.
    config: Value,
    me: Option<WahaMe>,
    engine: WahaEngine,
    timestamps: WahaTimestamps,
}

impl WahaSession {
    pub(super) fn new(view: &SessionView, config: Value) -> Self {
        Self {
            name: view.name.to_string(),
            status: status(view.state),
            config,
            me: view.me.as_ref().map(WahaMe::from),
            engine: WahaEngine {
                engine: ENGINE,
                state: view.state.as_str(),
            },
            timestamps: WahaTimestamps {
                activity: view.last_seen.unwrap_or(view.since).0,
            },
        }
    }
}

/// A file that came or went with a message.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct WahaMedia {
    /// Where it is fetched, with a token.
    url: Option<String>,
    mimetype: Option<String>,
    filename: Option<String>,
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaMessage {
    /// `true_` or `false_`, the chat, WhatsApp's id; in a group the author behind it.
    id: String,
    /// Seconds since 1970.
    timestamp: i64,
    from: String,
    from_me: bool,
    /// api where it went through this gateway, app where a phone wrote it.
    source: &'static str,
    to: String,
    /// Who wrote it, in a group.
    participant: Option<String>,
    body: String,
    has_media: bool,
    media: Option<WahaMedia>,
    /// -1 failed, 0 pending, 1 server, 2 device, 3 read, 4 played.
    ack: i64,
    ack_name: &'static str,
    /// The message that it answers.
    reply_to: Option<Value>,
    location: Option<Value>,
    v_cards: Vec<String>,
    /// What WAHA does not know: our own id and status.
    #[serde(rename = "_data")]
    data: Value,
}

/// WAHA's number and name of how far a message has come.
pub(super) fn ack_of(status: Status) -> (i64, &'static str) {
    match status {
        // Whether a parked one was sent is what nobody knows: it is not failed.
        Status::Accepted | Status::Sending | Status::Parked => (0, "PENDING"),
        Status::Sent => (1, ack_name(Ack::Server)),
        Status::Delivered => (2, ack_name(Ack::Device)),
        Status::Read => (3, ack_name(Ack::Read)),
        Status::Played => (4, ack_name(Ack::Played)),
        Status::Rejected | Status::Expired | Status::Cancelled => (-1, "ERROR"),
    }
}

/// WAHA's name of an ack.
pub(super) fn ack_name(ack: Ack) -> &'static str {
    match ack {
        Ack::Pending => "PENDING",
        Ack::Server => "SERVER",
        Ack::Device => "DEVICE",
        Ack::Read => "READ",
        Ack::Played => "PLAYED",
    }
}

/// The name of a message of ours, as WAHA writes it.
pub(super) fn key_of(message: &Message, me: Option<&ChatId>) -> MessageKey {
    MessageKey {
        chat: message.to.clone(),
        id: message.wa_message_id.clone(),
        from_me: true,
        participant: me.filter(|_| message.to.is_group()).cloned(),
    }
}

impl WahaMessage {
    /// A message of ours, as it stands.
    pub(super) fn of_ours(message: &Message, me: Option<&ChatId>) -> Self {
        let (ack, ack_name) = ack_of(message.status);
        let shown = Shown::of(&message.body);
        Self {
            id: key_of(message, me).to_string(),
            timestamp: message.accepted_at.0.div_euclid(1_000),
            from: me.map(ToString::to_string).unwrap_or_default(),
            from_me: true,
            source: "api",
            to: message.to.to_string(),
            participant: me
                .filter(|_| message.to.is_group())
                .map(ToString::to_string),
            body: shown.body,
            has_media: shown.media.is_some(),
            media: shown.media,
            ack,
            ack_name,
            reply_to: shown.reply_to,
            location: shown.location,
            v_cards: shown.v_cards,
            data: json!({
                "id": message.id.as_str(),
                "status": message.status.as_str(),
                "kind": message.body.kind(),
                "reason": message.reason,
            }),
        }
    }
}

impl WahaMessage {
    /// A message of ours as it was when it was accepted, whatever came of it since.
    pub(super) fn as_accepted(message: &Message, me: Option<&ChatId>) -> Self {
        let message = Message {
            status: Status::Accepted,
            reason: None,
            ..message.clone()
        };
        Self::of_ours(&message, me)
    }

    /// A message as it stands in its chat.
    pub(super) fn of_history(
        held: HistoryMessage,
        session: &SessionId,
        me: Option<&ChatId>,
    ) -> Self {
        let ack = held.ack;
        Self::of_inbound(held.message, session, ack, me)
    }

    /// A message that came in, or that stands in its chat.
    pub(super) fn of_inbound(
        message: InboundMessage,
        session: &SessionId,
        ack: Option<Ack>,
        me: Option<&ChatId>,
    ) -> Self {
        let key = message.key();
        let me = me.map(ToString::to_string).unwrap_or_default();
        let chat = message.chat.to_string();
        let is_group = message.chat.is_group();
        let (from, to) = if message.from_me {
            (me, chat)
        } else {
            (chat, me)
        };
        // What came in has reached a device: this one.
        let ack = ack.unwrap_or(if message.from_me {
            Ack::Pending
        } else {
            Ack::Device
        });
        let session = session.as_str();
        let url = format!(
            "/v1/sessions/{session}/chats/{}/messages/{key}/media",
            message.chat
        );
        let media = message.extras.media.map(|file| WahaMedia {
            url: Some(url),
            mimetype: Some(file.mime),
            filename: file.name,
        });
        let reply_to = message.extras.reply_to.map(|id| json!({"id": id.as_str()}));
        Self {
            id: key.to_string(),
            timestamp: message.sent_at.0.div_euclid(1_000),
            from,
            from_me: message.from_me,
            source: "app",
            to,
            participant: is_group.then(|| message.sender.to_string()),
            body: message.text,
            has_media: media.is_some(),
            media,
            ack: ack.level(),
            ack_name: ack_name(ack),
            reply_to,
            location: None,
            v_cards: Vec::new(),
            data: json!({
                "kind": message.kind,
                "pushName": message.extras.push_name,
                "mentions": message.extras.mentions,
                "recovered": message.recovered,
            }),
        }
    }
}

/// What WAHA shows of a body.
#[derive(Debug, Default)]
struct Shown {
    body: String,
    media: Option<WahaMedia>,
    reply_to: Option<Value>,
    location: Option<Value>,
    v_cards: Vec<String>,
}

impl Shown {
    fn of(body: &Body) -> Self {
        let answered = |key: &Option<MessageKey>| {
            key.as_ref()
                .map(|key| json!({"id": key.to_string(), "participant": key.participant}))
        };
        match body {
            Body::Text(text) => Self {
                body: text.text.clone(),
                reply_to: answered(&text.reply_to),
                ..Self::default()
            },
            Body::Media(media) => Self {
                body: media.caption.clone(),
                media: Some(WahaMedia {
                    url: None,
                    mimetype: Some(media.file.mime.clone()),
                    filename: media.file.name.clone(),
                }),
                reply_to: answered(&media.reply_to),
                ..Self::default()
            },
            Body::Location(location) => Self {
                body: location.name.clone().unwrap_or_default(),
                reply_to: answered(&location.reply_to),
                location: Some(json!({
                    "latitude": f64::from(location.latitude).to_string(),
                    "longitude": f64::from(location.longitude).to_string(),
                    "live": false,
                    "name": location.name,
                    "address": location.address,
                })),
                ..Self::default()
            },
            Body::Contacts(contacts) => Self {
                reply_to: answered(&contacts.reply_to),
                v_cards: contacts.cards.iter().map(|c| c.vcard.clone()).collect(),
                ..Self::default()
            },
            Body::Poll(poll) => Self {
                body: poll.question.clone(),
                ..Self::default()
            },
            Body::Reaction(reaction) => Self {
                body: reaction.emoji.clone(),
                ..Self::default()
            },
            Body::Edit(edit) => Self {
                body: edit.text.clone(),
                ..Self::default()
            },
            Body::Forward(_) | Body::Revoke(_) => Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_one_of_wahas_five_statuses() {
        let known = ["STOPPED", "STARTING", "SCAN_QR_CODE", "WORKING", "FAILED"];
        for state in SessionState::ALL {
            assert!(known.contains(&status(state)), "{state:?}");
        }
    }

    #[test]
    fn acks_have_the_numbers_of_whatsapp() {
        for (status, ack) in [
            (Status::Sent, Ack::Server),
            (Status::Delivered, Ack::Device),
            (Status::Read, Ack::Read),
            (Status::Played, Ack::Played),
        ] {
            assert_eq!(ack_of(status), (ack.level(), ack_name(ack)));
        }
        assert_eq!(ack_of(Status::Rejected).0, -1);
    }
}
