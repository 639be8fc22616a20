//! The maps of the memory store, and how messages are read from them. What is
//! done to them stands beside this, by what it is for.

mod accept;
mod delivery;
mod keeping;
mod received;
mod records;

use super::log::Log;
use super::webhooks::Endpoints;
use crate::rules::{Standing, cut};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use steadfast_core::ids::{ChatId, Fence, MediaId, MessageId, SessionId, WaMessageId};
use steadfast_core::outbox::{Attempt, Message, NewMessage, Priority, Status};
use steadfast_core::port::{
    AuditEntry, Incident, MediaRecord, MessageQuery, OutboxDepth, SessionRecord, StoreError,
    StoredInbound, TokenRecord,
};
use steadfast_core::proxy::Proxy;
use steadfast_core::time::UnixMs;

#[derive(Default)]
pub(in crate::memory) struct State {
    sessions: BTreeMap<SessionId, Session>,
    messages: BTreeMap<i64, Row>,
    by_id: HashMap<MessageId, i64>,
    keys: HashMap<String, Key>,
    pub(in crate::memory) tokens: BTreeMap<String, TokenRecord>,
    audit: VecDeque<AuditEntry>,
    last_audit: i64,
    pub(in crate::memory) media: BTreeMap<MediaId, MediaRecord>,
    fence: u64,
    last_seq: i64,
    last_inbound: i64,
    pub(in crate::memory) log: Log,
    pub(in crate::memory) endpoints: Endpoints,
}

struct Session {
    record: SessionRecord,
    proxy: Option<Proxy>,
    fence: Fence,
    chats: BTreeMap<ChatId, Chat>,
    /// Messages that their owners want sent later, until they are due.
    scheduled: BTreeSet<i64>,
    /// By the beginnings of quarters of an hour: begun, refused.
    pace: BTreeMap<i64, (u64, u64)>,
    first_begun_at: Option<UnixMs>,
    by_wa: HashMap<WaMessageId, i64>,
    inbound: Vec<StoredInbound>,
    inbound_seen: HashSet<(ChatId, WaMessageId)>,
    incidents: BTreeMap<String, Incident>,
    notes: HashMap<String, String>,
}

/// What one chat owes, by lane and in order, and which of it is in flight.
#[derive(Default)]
struct Chat {
    owed: BTreeSet<(Priority, i64)>,
    claimed: Option<i64>,
}

struct Row {
    message: NewMessage,
    standing: Standing,
    attempts: VecDeque<Attempt>,
}

struct Key {
    digest: [u8; 32],
    kept: Kept,
    keep_until: UnixMs,
}

/// What a key is kept with.
enum Kept {
    Message(i64),
    Answer(SessionId, String),
}

impl State {
    fn session(&mut self, session: &SessionId) -> Result<&mut Session, StoreError> {
        self.sessions
            .get_mut(session)
            .ok_or_else(|| StoreError::NoSession(session.clone()))
    }

    pub(in crate::memory) fn known(&self, session: &SessionId) -> Result<(), StoreError> {
        if self.sessions.contains_key(session) {
            Ok(())
        } else {
            Err(StoreError::NoSession(session.clone()))
        }
    }

    fn owned(&mut self, session: &SessionId, given: Fence) -> Result<&mut Session, StoreError> {
        let session = self.session(session)?;
        if session.fence == given {
            Ok(session)
        } else {
            Err(StoreError::StaleFence {
                given,
                current: session.fence,
            })
        }
    }

    fn view(&self, seq: i64) -> Option<Message> {
        Some(self.messages.get(&seq)?.view(seq))
    }

    pub(in crate::memory) fn message(&self, id: &MessageId) -> Option<Message> {
        self.view(*self.by_id.get(id)?)
    }

    pub(in crate::memory) fn messages(
        &self,
        session: &SessionId,
        query: &MessageQuery,
    ) -> Vec<Message> {
        let Some(first) = query.after.checked_add(1) else {
            return Vec::new();
        };
        let before = query.before.unwrap_or(i64::MAX);
        if before <= first {
            return Vec::new();
        }
        let asked = self.messages.range(first..before).filter(|(_, row)| {
            let status = query.status;
            row.message.session == *session
                && status.is_none_or(|status| row.standing.status == status)
        });
        let view = |(seq, row): (&i64, &Row)| row.view(*seq);
        let limit = query.limit as usize;
        match query.before {
            None => asked.take(limit).map(view).collect(),
            Some(_) => asked.rev().take(limit).map(view).collect(),
        }
    }

    pub(in crate::memory) fn attempts(&self, id: &MessageId) -> Vec<Attempt> {
        let row = self.by_id.get(id).and_then(|seq| self.messages.get(seq));
        row.into_iter()
            .flat_map(|row| row.attempts.iter().cloned())
            .collect()
    }

    pub(in crate::memory) fn depth(&self, session: &SessionId) -> OutboxDepth {
        let mut depth = OutboxDepth::default();
        for row in self
            .messages
            .values()
            .filter(|row| row.message.session == *session)
        {
            match row.standing.status {
                Status::Accepted => depth.accepted += 1,
                Status::Sending => depth.sending += 1,
                Status::Parked => depth.parked += 1,
                _ => {}
            }
            if row.standing.status.is_owed() {
                depth
                    .oldest_accepted_at
                    .get_or_insert(row.message.accepted_at);
            }
        }
        depth
    }
}

impl Row {
    fn view(&self, seq: i64) -> Message {
        let (message, standing) = (self.message.clone(), self.standing.clone());
        Message {
            seq,
            id: message.id,
            wa_message_id: message.wa_message_id,
            session: message.session,
            to: message.to,
            body: message.body,
            priority: message.priority,
            status: standing.status,
            reason: standing.reason,
            detail: standing.detail,
            attempts: standing.attempts,
            accepted_at: message.accepted_at,
            due_at: standing.due_at,
            expires_at: message.expires_at,
            updated_at: standing.updated_at,
            login: standing.login,
            acks: standing.acks,
        }
    }

    /// Writes how the newest attempt ended, unless that is known already.
    fn end_attempt(&mut self, at: UnixMs, outcome: &str, detail: Option<&str>) {
        if let Some(attempt) = self.attempts.back_mut()
            && attempt.ended_at.is_none()
        {
            attempt.ended_at = Some(at);
            attempt.outcome = Some(outcome.to_owned());
            attempt.detail = detail.map(cut);
        }
    }
}
