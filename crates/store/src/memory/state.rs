//! The maps of the memory store, and what is done to them.

use crate::rules::{MAX_ATTEMPTS_KEPT, MAX_CLAIM, MAX_INCIDENTS_KEPT, Standing, cut, outcome_name};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use steadfast_core::ids::{ChatId, Fence, LoginGeneration, MessageId, SessionId, WaMessageId};
use steadfast_core::inbound::InboundMessage;
use steadfast_core::outbox::{Ack, Attempt, Claimed, Message, NewMessage, Status};
use steadfast_core::port::{
    Accepted, IdempotencyKey, Incident, MessageQuery, OutboxDepth, Recorded, SessionRecord,
    StoreError, StoredInbound, TokenRecord,
};
use steadfast_core::time::UnixMs;

#[derive(Default)]
pub(super) struct State {
    sessions: BTreeMap<SessionId, Session>,
    messages: BTreeMap<i64, Row>,
    by_id: HashMap<MessageId, i64>,
    keys: HashMap<String, Key>,
    pub(super) tokens: BTreeMap<String, TokenRecord>,
    fence: u64,
    last_seq: i64,
    last_inbound: i64,
}

struct Session {
    record: SessionRecord,
    fence: Fence,
    chats: BTreeMap<ChatId, Chat>,
    by_wa: HashMap<WaMessageId, i64>,
    inbound: Vec<StoredInbound>,
    inbound_seen: HashSet<(ChatId, WaMessageId)>,
    incidents: BTreeMap<String, Incident>,
}

/// What one chat owes, in order, and which of it is in flight.
#[derive(Default)]
struct Chat {
    owed: BTreeSet<i64>,
    claimed: Option<i64>,
}

struct Row {
    message: NewMessage,
    standing: Standing,
    attempts: VecDeque<Attempt>,
}

struct Key {
    digest: [u8; 32],
    seq: i64,
    keep_until: UnixMs,
}

impl State {
    fn session(&mut self, session: &SessionId) -> Result<&mut Session, StoreError> {
        self.sessions
            .get_mut(session)
            .ok_or_else(|| StoreError::NoSession(session.clone()))
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

    // ------------------------------------------------------------ accept

    pub(super) fn accept(
        &mut self,
        message: NewMessage,
        key: Option<IdempotencyKey>,
    ) -> Result<Accepted, StoreError> {
        self.session(&message.session)?;
        let now = message.accepted_at;
        if let Some(key) = &key
            && let Some(known) = self.keys.get(&key.key)
            && known.keep_until > now
            && let Some(message) = self.view(known.seq)
        {
            return Ok(if known.digest == key.digest {
                Accepted::Replayed {
                    message: Box::new(message),
                }
            } else {
                Accepted::KeyReused
            });
        }
        self.refuse_repeat(&message.id)?;
        let seq = self.insert(message)?;
        if let Some(IdempotencyKey {
            key,
            digest,
            keep_until,
        }) = key
        {
            // Doubling keeps the cost of clearing constant per key.
            if self.keys.len() == self.keys.capacity() {
                self.keys.retain(|_, key| key.keep_until > now);
            }
            self.keys.insert(
                key,
                Key {
                    digest,
                    seq,
                    keep_until,
                },
            );
        }
        Ok(Accepted::Stored)
    }

    pub(super) fn accept_many(&mut self, messages: Vec<NewMessage>) -> Result<(), StoreError> {
        let mut ids = HashSet::new();
        for message in &messages {
            self.session(&message.session)?;
            self.refuse_repeat(&message.id)?;
            if !ids.insert(message.id.clone()) {
                return Err(StoreError::Exists);
            }
        }
        for message in messages {
            self.insert(message)?;
        }
        Ok(())
    }

    fn refuse_repeat(&self, id: &MessageId) -> Result<(), StoreError> {
        if self.by_id.contains_key(id) {
            return Err(StoreError::Exists);
        }
        Ok(())
    }

    fn insert(&mut self, message: NewMessage) -> Result<i64, StoreError> {
        let seq = self.last_seq + 1;
        let session = self.session(&message.session)?;
        session
            .chats
            .entry(message.to.clone())
            .or_default()
            .owed
            .insert(seq);
        session.by_wa.insert(message.wa_message_id.clone(), seq);
        self.last_seq = seq;
        self.by_id.insert(message.id.clone(), seq);
        let standing = Standing::accepted(&message);
        self.messages.insert(
            seq,
            Row {
                message,
                standing,
                attempts: VecDeque::new(),
            },
        );
        Ok(seq)
    }

    // ---------------------------------------------------------- delivery

    pub(super) fn take_fence(&mut self, session: &SessionId) -> Result<Fence, StoreError> {
        let fence = Fence(self.fence + 1);
        let session = self.session(session)?;
        session.fence = fence;
        for chat in session.chats.values_mut() {
            chat.claimed = None;
        }
        self.fence = fence.0;
        Ok(fence)
    }

    /// Every free head of a session: when it is due, and its position.
    pub(super) fn heads(&self, session: &SessionId) -> Vec<(UnixMs, i64)> {
        let chats = self
            .sessions
            .get(session)
            .into_iter()
            .flat_map(|session| session.chats.values());
        chats
            .filter(|chat| chat.claimed.is_none())
            .filter_map(|chat| chat.owed.first())
            .filter_map(|seq| Some((self.messages.get(seq)?.standing.due_at, *seq)))
            .collect()
    }

    pub(super) fn expire(
        &mut self,
        session: &SessionId,
        fence: Fence,
        now: UnixMs,
        limit: u32,
    ) -> Result<Vec<MessageId>, StoreError> {
        let chats = self.owned(session, fence)?.chats.values();
        let owed: Vec<i64> = chats.flat_map(|chat| chat.owed.iter().copied()).collect();
        let mut late: Vec<(UnixMs, i64)> = owed
            .into_iter()
            .filter_map(|seq| {
                let row = self.messages.get(&seq)?;
                let waits = row.standing.status == Status::Accepted;
                let end = row.message.expires_at.filter(|end| waits && *end <= now)?;
                Some((end, seq))
            })
            .collect();
        late.sort_unstable();
        late.truncate(limit.min(MAX_CLAIM) as usize);
        let mut ended = Vec::with_capacity(late.len());
        for (_, seq) in late {
            let Some(id) = self.messages.get(&seq).map(|row| row.message.id.clone()) else {
                continue;
            };
            self.change(&id, |standing| standing.expire(now));
            ended.push(id);
        }
        Ok(ended)
    }

    pub(super) fn bring_forward(
        &mut self,
        session: &SessionId,
        fence: Fence,
        now: UnixMs,
        by_ms: u64,
    ) -> Result<u64, StoreError> {
        let chats = self.owned(session, fence)?.chats.values();
        let owed: Vec<i64> = chats.flat_map(|chat| chat.owed.iter().copied()).collect();
        let mut brought = 0;
        for seq in owed {
            let Some(row) = self.messages.get_mut(&seq) else {
                continue;
            };
            let due_at = row.standing.due_at;
            let ours = row.standing.attempts > 0 || due_at <= row.message.accepted_at;
            if ours && due_at > now {
                let by_ms = i64::try_from(by_ms).unwrap_or(i64::MAX);
                row.standing.due_at = now.max(UnixMs(due_at.0.saturating_sub(by_ms)));
                brought += 1;
            }
        }
        Ok(brought)
    }

    pub(super) fn claim(
        &mut self,
        session: &SessionId,
        fence: Fence,
        login: LoginGeneration,
        now: UnixMs,
        limit: u32,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.owned(session, fence)?;
        let mut due = self.heads(session);
        due.retain(|(due_at, _)| *due_at <= now);
        due.sort_unstable();
        due.truncate(limit.min(MAX_CLAIM) as usize);
        let mut taken = Vec::with_capacity(due.len());
        for (_, seq) in due {
            let Some(row) = self.messages.get_mut(&seq) else {
                continue;
            };
            let message = row.view(seq);
            row.standing.begin_attempt(login, now);
            row.attempts.push_back(Attempt {
                number: row.standing.attempts,
                started_at: now,
                ended_at: None,
                outcome: None,
                detail: None,
            });
            if row.attempts.len() > MAX_ATTEMPTS_KEPT as usize {
                row.attempts.pop_front();
            }
            let attempt = row.standing.attempts;
            if let Some(chat) = self.session(session)?.chats.get_mut(&message.to) {
                chat.claimed = Some(seq);
            }
            taken.push(Claimed { message, attempt });
        }
        Ok(taken)
    }

    pub(super) fn record(
        &mut self,
        session: &SessionId,
        fence: Fence,
        outcomes: &[Recorded],
    ) -> Result<(), StoreError> {
        self.owned(session, fence)?;
        for recorded in outcomes {
            let Some(&seq) = self.by_id.get(&recorded.id) else {
                continue;
            };
            let Some(row) = self.messages.get_mut(&seq) else {
                continue;
            };
            if row.message.session != *session {
                continue;
            }
            row.end_attempt(
                recorded.at,
                outcome_name(&recorded.outcome),
                recorded.detail.as_deref(),
            );
            row.standing.record(recorded);
            self.requeue(seq);
        }
        Ok(())
    }

    pub(super) fn ack(
        &mut self,
        session: &SessionId,
        wa_message_id: &WaMessageId,
        ack: Ack,
        at: UnixMs,
    ) -> Option<Message> {
        let seq = *self.sessions.get(session)?.by_wa.get(wa_message_id)?;
        let row = self.messages.get_mut(&seq)?;
        if !row.standing.ack(ack, at) {
            return None;
        }
        row.end_attempt(at, "sent", None);
        self.requeue(seq);
        self.view(seq)
    }

    /// A person's word on a message.
    pub(super) fn change(
        &mut self,
        id: &MessageId,
        change: impl FnOnce(&mut Standing) -> bool,
    ) -> Option<Message> {
        let seq = *self.by_id.get(id)?;
        if change(&mut self.messages.get_mut(&seq)?.standing) {
            self.requeue(seq);
        }
        self.view(seq)
    }

    /// Gives a message that has moved the place in its chat's queue that
    /// follows, and frees the chat where it was the one in flight.
    fn requeue(&mut self, seq: i64) {
        let Some(row) = self.messages.get(&seq) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&row.message.session) else {
            return;
        };
        let chat = session.chats.entry(row.message.to.clone()).or_default();
        if chat.claimed == Some(seq) {
            chat.claimed = None;
        }
        if row.standing.status.is_owed() {
            chat.owed.insert(seq);
        } else {
            chat.owed.remove(&seq);
        }
        if chat.owed.is_empty() {
            session.chats.remove(&row.message.to);
        }
    }

    // ------------------------------------------------------------- reads

    fn view(&self, seq: i64) -> Option<Message> {
        Some(self.messages.get(&seq)?.view(seq))
    }

    pub(super) fn message(&self, id: &MessageId) -> Option<Message> {
        self.view(*self.by_id.get(id)?)
    }

    pub(super) fn messages(&self, session: &SessionId, query: &MessageQuery) -> Vec<Message> {
        let Some(first) = query.after.checked_add(1) else {
            return Vec::new();
        };
        self.messages
            .range(first..)
            .filter(|(_, row)| row.message.session == *session)
            .filter(|(_, row)| {
                query
                    .status
                    .is_none_or(|status| row.standing.status == status)
            })
            .take(query.limit as usize)
            .map(|(seq, row)| row.view(*seq))
            .collect()
    }

    pub(super) fn attempts(&self, id: &MessageId) -> Vec<Attempt> {
        let row = self.by_id.get(id).and_then(|seq| self.messages.get(seq));
        row.into_iter()
            .flat_map(|row| row.attempts.iter().cloned())
            .collect()
    }

    pub(super) fn depth(&self, session: &SessionId) -> OutboxDepth {
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

    // ----------------------------------------------------------- inbound

    pub(super) fn keep_inbound(
        &mut self,
        session: &SessionId,
        message: InboundMessage,
        at: UnixMs,
    ) -> Result<bool, StoreError> {
        let seq = self.last_inbound + 1;
        let ours = self
            .sessions
            .get(session)
            .and_then(|session| session.by_wa.get(&message.wa_message_id))
            .and_then(|seq| self.messages.get(seq));
        if message.from_me && ours.is_some_and(|row| row.standing.attempts > 0) {
            return Ok(false);
        }
        let session = self.session(session)?;
        let name = (message.chat.clone(), message.wa_message_id.clone());
        if !session.inbound_seen.insert(name) {
            return Ok(false);
        }
        session.inbound.push(StoredInbound {
            seq,
            stored_at: at,
            message,
        });
        self.last_inbound = seq;
        Ok(true)
    }

    pub(super) fn inbound(
        &self,
        session: &SessionId,
        after: i64,
        limit: u32,
    ) -> Vec<StoredInbound> {
        let kept = self
            .sessions
            .get(session)
            .into_iter()
            .flat_map(|session| &session.inbound);
        kept.filter(|inbound| inbound.seq > after)
            .take(limit as usize)
            .cloned()
            .collect()
    }

    // ---------------------------------------------------------- sessions

    pub(super) fn add_session(&mut self, record: SessionRecord) -> Result<(), StoreError> {
        if self.sessions.contains_key(&record.id) {
            return Err(StoreError::Exists);
        }
        self.fence += 1;
        let session = Session {
            fence: Fence(self.fence),
            chats: BTreeMap::new(),
            by_wa: HashMap::new(),
            inbound: Vec::new(),
            inbound_seen: HashSet::new(),
            incidents: BTreeMap::new(),
            record: record.clone(),
        };
        self.sessions.insert(record.id, session);
        Ok(())
    }

    pub(super) fn update_session(&mut self, record: SessionRecord) -> Result<(), StoreError> {
        let session = self.session(&record.id)?;
        session.record = record;
        Ok(())
    }

    pub(super) fn sessions(&self) -> Vec<SessionRecord> {
        self.sessions
            .values()
            .map(|session| session.record.clone())
            .collect()
    }

    pub(super) fn remove_session(&mut self, session: &SessionId) {
        if self.sessions.remove(session).is_none() {
            return;
        }
        self.messages
            .retain(|_, row| row.message.session != *session);
        let left = &self.messages;
        self.by_id.retain(|_, seq| left.contains_key(seq));
        self.keys.retain(|_, key| left.contains_key(&key.seq));
    }

    // ------------------------------------------------ tokens, incidents

    pub(super) fn add_token(&mut self, token: TokenRecord) -> Result<(), StoreError> {
        let known = self.tokens.values().any(|known| known.hash == token.hash);
        if known || self.tokens.contains_key(&token.name) {
            return Err(StoreError::Exists);
        }
        self.tokens.insert(token.name.clone(), token);
        Ok(())
    }

    pub(super) fn put_incident(&mut self, incident: Incident) -> Result<(), StoreError> {
        let incidents = &mut self.session(&incident.session)?.incidents;
        incidents.insert(incident.id.clone(), incident);
        while incidents.len() > MAX_INCIDENTS_KEPT as usize {
            incidents.pop_first();
        }
        Ok(())
    }

    pub(super) fn incidents(
        &self,
        session: &SessionId,
        before: Option<&str>,
        limit: u32,
    ) -> Vec<Incident> {
        let kept = self
            .sessions
            .get(session)
            .into_iter()
            .flat_map(|session| session.incidents.values().rev());
        kept.filter(|incident| before.is_none_or(|before| incident.id.as_str() < before))
            .take(limit as usize)
            .cloned()
            .collect()
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
