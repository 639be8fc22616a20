//! The JSON shapes of `/v1`. Names are snake_case, times RFC 3339 in UTC.

use super::waits::Waits;
use crate::sessions::{Check, CheckStatus, HealthView, Overall, Pace, SessionView};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use steadfast_core::ids::SessionId;
use steadfast_core::outbox::{Attempt, Body, Message, NewMessage, Status};
use steadfast_core::port::{ChatSummary, Incident, StoredInbound};
use steadfast_core::time::UnixMs;
use utoipa::ToSchema;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// The items.
    pub(super) items: Vec<T>,
    /// Give it as `after` (or `before`) to get the next page; null on the last.
    pub(super) next: Option<String>,
}

/// Who a session is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MeJson {
    /// The account's own chat id.
    id: String,
    /// The name that others see.
    push_name: Option<String>,
}

/// The incident under way.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OpenIncidentJson {
    id: String,
    /// The failure kind.
    kind: String,
    opened_at: String,
    /// The rung at work.
    rung: Option<String>,
    /// Which attempt of it.
    attempt: u32,
}

/// How full an outbox is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OutboxJson {
    /// Waiting.
    accepted: u64,
    /// In an attempt.
    sending: u64,
    /// Waiting for a person.
    parked: u64,
    /// When the oldest owed one was accepted.
    oldest_accepted_at: Option<String>,
}

/// What pacing says now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PacingJson {
    /// Why new messages are held back: pacing, rate_limited, quiet_hours,
    /// daily_cap; null where they are not.
    held_by: Option<&'static str>,
    /// Until when.
    held_until: Option<String>,
    /// How often the pace is halved, since WhatsApp asked to slow down.
    halved: u32,
    /// How many messages may begin today; null for any number.
    per_day: Option<u64>,
    /// How many have, where that is bounded.
    begun_today: Option<u64>,
}

impl From<&Pace> for PacingJson {
    fn from(pace: &Pace) -> Self {
        Self {
            held_by: pace.others.map(|(_, why)| why.as_str()),
            held_until: pace.others.map(|(until, _)| until.rfc3339()),
            halved: pace.slowed,
            per_day: pace.day.map(|(cap, _)| cap),
            begun_today: pace.day.map(|(_, begun)| begun),
        }
    }
}

/// One session.
#[derive(Debug, Serialize, ToSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts for a reader, no states"
)]
pub(super) struct SessionJson {
    /// Its name.
    name: String,
    /// stopped, starting, linking, syncing, ready, recovering, conflict, logged_out, parked.
    state: &'static str,
    /// Whether a message can be sent right now. Messages are accepted in every state.
    ready: bool,
    /// Why it stands there, a stable name.
    reason: Option<String>,
    /// One sentence for a person.
    detail: Option<String>,
    authenticated: bool,
    has_qr: bool,
    /// Whether WhatsApp waits for the account's passkey: see `/passkey`.
    has_passkey_challenge: bool,
    connection_attempts: u32,
    restart_in_progress: bool,
    last_seen: Option<String>,
    /// Since when it stands in this state.
    since: String,
    /// How long it has been ready without a break.
    uptime_seconds: f64,
    created_at: String,
    me: Option<MeJson>,
    incident: Option<OpenIncidentJson>,
    outbox: OutboxJson,
    pacing: PacingJson,
    browser_memory_bytes: Option<u64>,
    web_version: Option<String>,
    /// Through which proxy it reaches WhatsApp; null: directly.
    proxy: Option<String>,
    missing_bindings: Vec<String>,
    recommendations: Vec<String>,
}

impl From<&SessionView> for SessionJson {
    fn from(view: &SessionView) -> Self {
        Self {
            name: view.name.to_string(),
            state: view.state.as_str(),
            ready: view.ready(),
            reason: view.reason.clone(),
            detail: view.detail.clone(),
            authenticated: view.is_authenticated,
            has_qr: view.has_qr,
            has_passkey_challenge: view.has_passkey_challenge,
            connection_attempts: view.connection_attempts,
            restart_in_progress: view.restart_in_progress,
            last_seen: view.last_seen.map(UnixMs::rfc3339),
            since: view.since.rfc3339(),
            uptime_seconds: view.uptime_ms as f64 / 1_000.0,
            created_at: view.created_at.rfc3339(),
            me: view.me.as_ref().map(|me| MeJson {
                id: me.id.to_string(),
                push_name: me.push_name.clone(),
            }),
            incident: view.incident.as_ref().map(|incident| OpenIncidentJson {
                id: incident.id.clone(),
                kind: incident.kind.clone(),
                opened_at: incident.opened_at.rfc3339(),
                rung: incident.rung.clone(),
                attempt: incident.attempt,
            }),
            outbox: OutboxJson {
                accepted: view.outbox.accepted,
                sending: view.outbox.sending,
                parked: view.outbox.parked,
                oldest_accepted_at: view.outbox.oldest_accepted_at.map(UnixMs::rfc3339),
            },
            pacing: PacingJson::from(&view.pace),
            browser_memory_bytes: view.browser_memory_bytes,
            web_version: view.web_version.clone(),
            proxy: view.proxy.as_ref().map(ToString::to_string),
            missing_bindings: view.missing_bindings.clone(),
            recommendations: view.recommendations.clone(),
        }
    }
}

/// The code that a phone scans.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QrJson {
    /// The whole string.
    pub(super) code: String,
    /// Until when a phone may scan it.
    pub(super) expires_at: String,
}

/// One thing looked at.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CheckJson {
    /// pass, warning, fail, session_closed.
    status: &'static str,
    /// One sentence for a person.
    detail: String,
}

/// What an active look at a session found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthJson {
    /// healthy, unhealthy, error.
    pub(super) overall: &'static str,
    /// pass, warning, fail, session_closed.
    pub(super) connectivity: &'static str,
    /// Each thing looked at, by name.
    pub(super) checks: BTreeMap<&'static str, CheckJson>,
    pub(super) recommendations: Vec<String>,
    pub(super) checked_at: String,
}

impl From<HealthView> for HealthJson {
    fn from(view: HealthView) -> Self {
        Self {
            overall: overall_name(view.overall),
            connectivity: status_name(view.connectivity),
            checks: checks(view.checks),
            recommendations: view.recommendations,
            checked_at: view.checked_at.rfc3339(),
        }
    }
}

/// Checks by name.
pub(super) fn checks(checks: Vec<Check>) -> BTreeMap<&'static str, CheckJson> {
    let one = |check: Check| {
        let json = CheckJson {
            status: status_name(check.status),
            detail: check.detail,
        };
        (check.name, json)
    };
    checks.into_iter().map(one).collect()
}

fn overall_name(overall: Overall) -> &'static str {
    match overall {
        Overall::Healthy => "healthy",
        Overall::Unhealthy => "unhealthy",
        Overall::Error => "error",
    }
}

fn status_name(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::Pass => "pass",
        CheckStatus::Warning => "warning",
        CheckStatus::Fail => "fail",
        CheckStatus::SessionClosed => "session_closed",
    }
}

/// A message as it was accepted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AcceptedJson {
    /// Our id, for `/v1/messages/{message}`.
    pub(super) id: String,
    /// WhatsApp's id, minted here; it never changes.
    pub(super) wa_message_id: String,
    /// `accepted`: it is on disk.
    pub(super) status: &'static str,
    pub(super) session: String,
    /// The chat that it goes to.
    pub(super) to: String,
    pub(super) accepted_at: String,
}

impl AcceptedJson {
    /// The answer to the request that made this message, at any later time too.
    pub(super) fn first_answer(message: &Message) -> Self {
        Self {
            id: message.id.to_string(),
            wa_message_id: message.wa_message_id.to_string(),
            status: Status::Accepted.as_str(),
            session: message.session.to_string(),
            to: message.to.to_string(),
            accepted_at: message.accepted_at.rfc3339(),
        }
    }
}

impl From<&NewMessage> for AcceptedJson {
    fn from(message: &NewMessage) -> Self {
        Self {
            id: message.id.to_string(),
            wa_message_id: message.wa_message_id.to_string(),
            status: Status::Accepted.as_str(),
            session: message.session.to_string(),
            to: message.to.to_string(),
            accepted_at: message.accepted_at.rfc3339(),
        }
    }
}

/// One ack with its time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AckJson {
    /// pending, server, device, read, played.
    ack: &'static str,
    /// WhatsApp's number of it.
    level: i64,
    /// When it was first known.
    at: String,
}

/// One try to hand a message over.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AttemptJson {
    /// From 1.
    number: u32,
    started_at: String,
    ended_at: Option<String>,
    /// sent, not_sent, unknown, rejected, parked.
    outcome: Option<String>,
    detail: Option<String>,
}

/// A message as it stands now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MessageJson {
    id: String,
    wa_message_id: String,
    session: String,
    to: String,
    /// text, image, video, audio, voice, document, sticker, location, contacts, poll, forward, reaction, edit, revoke.
    kind: &'static str,
    /// Its text or caption.
    text: Option<String>,
    /// All of a message that is more than a text, as it was accepted.
    #[schema(value_type = Option<Object>)]
    content: Option<Value>,
    /// accepted, sending, sent, delivered, read, played, rejected, expired, cancelled, parked.
    status: &'static str,
    /// Why it was rejected or parked, or why it waits: a stable name.
    reason: Option<String>,
    /// One sentence for a person.
    detail: Option<String>,
    /// How many attempts have begun.
    attempts: u32,
    acks: Vec<AckJson>,
    /// The lane it waits in: high, normal, low.
    priority: &'static str,
    accepted_at: String,
    /// It is not sent, or not tried again, before this time, as things stand.
    due_at: String,
    /// What an owed message waits for: scheduled, retry, rate_limited,
    /// session, behind_another, pacing, quiet_hours, daily_cap. Null where it
    /// is under way, next in turn or settled.
    waits_for: Option<&'static str>,
    expires_at: Option<String>,
    updated_at: String,
    /// The attempts themselves; only where one message is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_log: Option<Vec<AttemptJson>>,
}

impl From<&Message> for MessageJson {
    fn from(message: &Message) -> Self {
        let (kind, text) = shown(&message.body);
        let content = (message.body != Body::text(text.unwrap_or_default()))
            .then(|| serde_json::to_value(&message.body).unwrap_or_default());
        Self {
            id: message.id.to_string(),
            wa_message_id: message.wa_message_id.to_string(),
            session: message.session.to_string(),
            to: message.to.to_string(),
            kind,
            text: text.map(str::to_owned),
            content,
            status: message.status.as_str(),
            reason: message.reason.clone(),
            detail: message.detail.clone(),
            attempts: message.attempts,
            acks: message
                .acks
                .iter()
                .map(|(ack, at)| AckJson {
                    ack: ack_name(*ack),
                    level: ack.level(),
                    at: at.rfc3339(),
                })
                .collect(),
            priority: message.priority.as_str(),
            accepted_at: message.accepted_at.rfc3339(),
            due_at: message.due_at.rfc3339(),
            waits_for: None,
            expires_at: message.expires_at.map(UnixMs::rfc3339),
            updated_at: message.updated_at.rfc3339(),
            attempt_log: None,
        }
    }
}

/// The kind and the text of a body, as lists show them.
fn shown(body: &Body) -> (&'static str, Option<&str>) {
    match body {
        Body::Text(text) => (body.kind(), Some(&text.text)),
        Body::Edit(edit) => (body.kind(), Some(&edit.text)),
        Body::Media(media) => (
            media.shown_as.as_str(),
            Some(media.caption.as_str()).filter(|caption| !caption.is_empty()),
        ),
        Body::Location(_)
        | Body::Contacts(_)
        | Body::Poll(_)
        | Body::Forward(_)
        | Body::Reaction(_)
        | Body::Revoke(_) => (body.kind(), None),
    }
}

impl MessageJson {
    /// With what it waits for.
    pub(super) fn waiting(mut self, waits: Waits) -> Self {
        self.waits_for = Some(waits.for_what);
        if let Some(until) = waits.until {
            self.due_at = until.rfc3339();
        }
        self
    }

    /// With the attempts beside it.
    pub(super) fn with_attempts(mut self, attempts: Vec<Attempt>) -> Self {
        let one = |attempt: Attempt| AttemptJson {
            number: attempt.number,
            started_at: attempt.started_at.rfc3339(),
            ended_at: attempt.ended_at.map(UnixMs::rfc3339),
            outcome: attempt.outcome,
            detail: attempt.detail,
        };
        self.attempt_log = Some(attempts.into_iter().map(one).collect());
        self
    }
}

pub(super) fn ack_name(ack: steadfast_core::outbox::Ack) -> &'static str {
    use steadfast_core::outbox::Ack;
    match ack {
        Ack::Pending => "pending",
        Ack::Server => "server",
        Ack::Device => "device",
        Ack::Read => "read",
        Ack::Played => "played",
    }
}

/// A message that came in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InboundJson {
    wa_message_id: String,
    chat: String,
    sender: String,
    from_me: bool,
    /// WhatsApp's name for its kind: chat, image, ptt, ...
    kind: String,
    text: String,
    sent_at: String,
    received_at: String,
    /// True where it was fetched after a recovery instead of pushed live.
    recovered: bool,
    /// The name that its sender goes by.
    push_name: Option<String>,
    /// The WhatsApp id of the message that it answers.
    reply_to: Option<String>,
    /// Whom it mentions.
    mentions: Vec<String>,
    /// Its file; its bytes are at `media.url`.
    media: Option<RemoteFileJson>,
    /// The place, contact cards or poll that it is.
    #[schema(value_type = Option<Object>)]
    content: Option<Value>,
}

/// The file of a message that came in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RemoteFileJson {
    /// Its type, by its sender's word.
    mime: String,
    /// Its length in bytes, by its sender's word.
    size: Option<u64>,
    filename: Option<String>,
    /// Where its bytes are, on this gateway.
    url: String,
}

impl InboundJson {
    /// A message of this session.
    pub(super) fn of(session: &SessionId, stored: StoredInbound) -> Self {
        let key = stored.message.key();
        let file = stored.message.extras.media.clone();
        let mut json = Self::from(stored);
        json.media = file.map(|file| RemoteFileJson {
            mime: file.mime,
            size: file.size,
            filename: file.name,
            url: format!(
                "/v1/sessions/{session}/chats/{}/messages/{key}/media",
                key.chat
            ),
        });
        json
    }
}

impl From<StoredInbound> for InboundJson {
    fn from(stored: StoredInbound) -> Self {
        let message = stored.message;
        let extras = message.extras;
        Self {
            wa_message_id: message.wa_message_id.into(),
            chat: message.chat.into(),
            sender: message.sender.into(),
            from_me: message.from_me,
            kind: message.kind,
            text: message.text,
            sent_at: message.sent_at.rfc3339(),
            received_at: stored.stored_at.rfc3339(),
            recovered: message.recovered,
            push_name: extras.push_name,
            reply_to: extras.reply_to.map(Into::into),
            mentions: extras.mentions.into_iter().map(Into::into).collect(),
            media: None,
            content: extras
                .content
                .and_then(|content| serde_json::from_str(&content).ok()),
        }
    }
}

/// One step of an incident.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IncidentStepJson {
    at: String,
    /// A rung's name, or detected, waiting, ready, gave_up.
    step: String,
    detail: String,
}

/// From the first sign of a failure to ready again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IncidentJson {
    pub(super) id: String,
    session: String,
    kind: String,
    evidence: String,
    opened_at: String,
    closed_at: Option<String>,
    /// recovered, stopped, parked, interrupted.
    outcome: Option<String>,
    healed_by: Option<String>,
    recovery_ms: Option<u64>,
    messages_waited: u64,
    steps: Vec<IncidentStepJson>,
}

impl From<Incident> for IncidentJson {
    fn from(incident: Incident) -> Self {
        Self {
            id: incident.id,
            session: incident.session.into(),
            kind: incident.kind,
            evidence: incident.evidence,
            opened_at: incident.opened_at.rfc3339(),
            closed_at: incident.closed_at.map(UnixMs::rfc3339),
            outcome: incident.outcome,
            healed_by: incident.healed_by,
            recovery_ms: incident.recovery_ms,
            messages_waited: incident.messages_waited,
            steps: incident
                .steps
                .into_iter()
                .map(|step| IncidentStepJson {
                    at: step.at.rfc3339(),
                    step: step.step,
                    detail: step.detail,
                })
                .collect(),
        }
    }
}

/// One chat.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChatJson {
    id: String,
    name: String,
    is_group: bool,
    unread: u32,
    last_message_at: Option<String>,
}

impl From<ChatSummary> for ChatJson {
    fn from(chat: ChatSummary) -> Self {
        Self {
            id: chat.id.into(),
            name: chat.name,
            is_group: chat.is_group,
            unread: chat.unread,
            last_message_at: chat.last_message_at.map(UnixMs::rfc3339),
        }
    }
}
