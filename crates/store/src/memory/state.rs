//! The maps of the memory store, and what is done to them.

use super::log::Log;
use super::webhooks::Endpoints;
use crate::rules::{
    MAX_ATTEMPTS_KEPT, MAX_AUDIT_KEPT, MAX_CLAIM, MAX_INCIDENTS_KEPT, PACE_KEPT_MS, Standing, cut,
    forgettable_before, outcome_name, told,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use steadfast_core::event::{self, EventData, EventKind};
use steadfast_core::ids::{
    ChatId, Fence, LoginGeneration, MediaId, MessageId, MessageKey, SessionId, WaMessageId,
};
use steadfast_core::inbound::InboundMessage;
use steadfast_core::outbox::{Ack, Attempt, Claimed, Message, NewMessage, Priority, Status};
use steadfast_core::pacing::{History, Quarter, quarter_of};
use steadfast_core::port::{
    Accepted, AuditEntry, BatchAccepted, ForgetMessages, ForgottenMessages, IdempotencyKey,
    Incident, KeptAnswer, MediaRecord, MessageQuery, NewAudit, OutboxDepth, Outcome,
    PreviousSecret, Quota, Recorded, Rotation, SessionRecord, StoreError, StoredInbound,
    TokenRecord,
};
use steadfast_core::proxy::Proxy;
use steadfast_core::time::UnixMs;

#[derive(Default)]
pub(super) struct State {
    sessions: BTreeMap<SessionId, Session>,
    messages: BTreeMap<i64, Row>,
    by_id: HashMap<MessageId, i64>,
    keys: HashMap<String, Key>,
    pub(super) tokens: BTreeMap<String, TokenRecord>,
    audit: VecDeque<AuditEntry>,
    last_audit: i64,
    pub(super) media: BTreeMap<MediaId, MediaRecord>,
    fence: u64,
    last_seq: i64,
    last_inbound: i64,
    pub(super) log: Log,
    pub(super) endpoints: Endpoints,
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

/// A free head.
struct Head {
    priority: Priority,
    due_at: UnixMs,
    seq: i64,
    begun: bool,
}

impl State {
    fn session(&mut self, session: &SessionId) -> Result<&mut Session, StoreError> {
        self.sessions
            .get_mut(session)
            .ok_or_else(|| StoreError::NoSession(session.clone()))
    }

    pub(super) fn known(&self, session: &SessionId) -> Result<(), StoreError> {
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

    // ------------------------------------------------------------ accept

    pub(super) fn accept(
        &mut self,
        message: NewMessage,
        key: Option<IdempotencyKey>,
    ) -> Result<Accepted, StoreError> {
        self.session(&message.session)?;
        let now = message.accepted_at;
        if let Some(key) = &key
            && let Some(answer) = self.seen_before(key, now)
        {
            return Ok(answer);
        }
        self.refuse_repeat(&message.id)?;
        self.need(&message)?;
        let seq = self.insert(message)?;
        if let Some(key) = key {
            self.keep_key(key, Kept::Message(seq), now);
        }
        Ok(Accepted::Stored)
    }

    pub(super) fn seen_before(&self, key: &IdempotencyKey, now: UnixMs) -> Option<Accepted> {
        let known = self.known_key(key, now)?;
        Some(match &known.kept {
            Kept::Message(seq) if known.digest == key.digest => match self.view(*seq) {
                Some(message) => Accepted::Replayed {
                    message: Box::new(message),
                },
                None => Accepted::KeyReused,
            },
            Kept::Message(_) | Kept::Answer(..) => Accepted::KeyReused,
        })
    }

    /// Fails where a message needs a file that is not kept; marks it as used.
    fn need(&mut self, message: &NewMessage) -> Result<(), StoreError> {
        let Some(file) = message.body.file() else {
            return Ok(());
        };
        match self.media.get_mut(&file.id) {
            Some(media) => {
                media.used_at = media.used_at.max(message.accepted_at);
                Ok(())
            }
            None => Err(StoreError::NoMedia(file.id.clone())),
        }
    }

    pub(super) fn put_media(&mut self, media: MediaRecord) {
        let known = self.media.get(&media.id);
        let used_at = known.map_or(media.used_at, |known| known.used_at.max(media.used_at));
        self.media
            .insert(media.id.clone(), MediaRecord { used_at, ..media });
    }

    pub(super) fn forget_media(
        &mut self,
        before: UnixMs,
        most_bytes: u64,
        limit: u32,
    ) -> Vec<MediaId> {
        let waits = |row: &&Row| {
            matches!(
                row.standing.status,
                Status::Accepted | Status::Sending | Status::Parked
            )
        };
        let needed: HashSet<&MediaId> = self
            .messages
            .values()
            .filter(waits)
            .filter_map(|row| row.message.body.file().map(|file| &file.id))
            .collect();
        let mut left: u64 = self.media.values().map(|media| media.size).sum();
        let mut unneeded: Vec<_> = self.media.values().collect();
        unneeded.retain(|media| !needed.contains(&media.id));
        unneeded.sort_by_key(|media| (media.used_at, &media.id));
        let mut forgotten = Vec::new();
        for media in unneeded.into_iter().take(limit as usize) {
            if media.used_at >= before && left <= most_bytes {
                break;
            }
            left = left.saturating_sub(media.size);
            forgotten.push(media.id.clone());
        }
        for id in &forgotten {
            self.media.remove(id);
        }
        forgotten
    }

    pub(super) fn inbound_fetched(
        &mut self,
        session: &SessionId,
        chat: &ChatId,
        id: &WaMessageId,
        file: &MediaId,
    ) -> Result<(), StoreError> {
        let kept = &mut self.session(session)?.inbound;
        let found = kept
            .iter_mut()
            .find(|kept| kept.message.chat == *chat && kept.message.wa_message_id == *id);
        if let Some(found) = found {
            found.file = Some(file.clone());
        }
        Ok(())
    }

    pub(super) fn answered_before(
        &self,
        key: &IdempotencyKey,
        now: UnixMs,
    ) -> Option<BatchAccepted> {
        let known = self.known_key(key, now)?;
        Some(match &known.kept {
            Kept::Answer(_, answer) if known.digest == key.digest => {
                BatchAccepted::Replayed(answer.clone())
            }
            Kept::Answer(..) | Kept::Message(_) => BatchAccepted::KeyReused,
        })
    }

    fn known_key(&self, key: &IdempotencyKey, now: UnixMs) -> Option<&Key> {
        let known = self.keys.get(&key.key)?;
        (known.keep_until > now).then_some(known)
    }

    fn keep_key(&mut self, key: IdempotencyKey, kept: Kept, now: UnixMs) {
        // Doubling keeps the cost of clearing constant per key.
        if self.keys.len() == self.keys.capacity() {
            self.keys.retain(|_, key| key.keep_until > now);
        }
        let IdempotencyKey {
            key,
            digest,
            keep_until,
        } = key;
        self.keys.insert(
            key,
            Key {
                digest,
                kept,
                keep_until,
            },
        );
    }

    pub(super) fn accept_batch(
        &mut self,
        messages: Vec<NewMessage>,
        key: Option<KeptAnswer>,
    ) -> Result<BatchAccepted, StoreError> {
        if let Some(key) = &key {
            self.session(&key.session)?;
            if let Some(answered) = self.answered_before(&key.key, key.at) {
                return Ok(answered);
            }
        }
        let mut ids = HashSet::new();
        for message in &messages {
            self.session(&message.session)?;
            self.refuse_repeat(&message.id)?;
            if !ids.insert(message.id.clone()) {
                return Err(StoreError::Exists);
            }
        }
        for message in &messages {
            self.need(message)?;
        }
        for message in messages {
            self.insert(message)?;
        }
        if let Some(KeptAnswer {
            session,
            key,
            answer,
            at,
        }) = key
        {
            self.keep_key(key, Kept::Answer(session, answer), at);
        }
        Ok(BatchAccepted::Stored)
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
        if message.due_at > message.accepted_at {
            session.scheduled.insert(seq);
        } else {
            let chat = session.chats.entry(message.to.clone()).or_default();
            chat.owed.insert((message.priority, seq));
        }
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
        if let Some(message) = self.view(seq) {
            self.log.tell_message(EventKind::MessageAccepted, &message);
        }
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

    /// Every free head of a session.
    fn heads(&self, session: &SessionId) -> Vec<Head> {
        let chats = self
            .sessions
            .get(session)
            .into_iter()
            .flat_map(|session| session.chats.values());
        chats
            .filter(|chat| chat.claimed.is_none())
            .filter_map(|chat| chat.owed.first())
            .filter_map(|(priority, seq)| {
                let standing = &self.messages.get(seq)?.standing;
                Some(Head {
                    priority: *priority,
                    due_at: standing.due_at,
                    seq: *seq,
                    begun: standing.has_begun(),
                })
            })
            .collect()
    }

    pub(super) fn next_due(&self, session: &SessionId, quota: Quota) -> Option<UnixMs> {
        let heads = self.heads(session).into_iter();
        let heads = heads.filter(|head| head.begun || quota.lets(head.priority.lane()));
        let scheduled = self
            .sessions
            .get(session)
            .into_iter()
            .flat_map(|session| &session.scheduled)
            .filter_map(|seq| self.messages.get(seq))
            .filter(|row| quota.lets(row.message.priority.lane()))
            .map(|row| row.standing.due_at);
        heads.map(|head| head.due_at).chain(scheduled).min()
    }

    /// Gives what is due of the schedule its places.
    fn mature(&mut self, session: &SessionId, now: UnixMs) -> Result<(), StoreError> {
        let scheduled = self.session(session)?.scheduled.clone();
        for seq in scheduled {
            let Some(row) = self.messages.get(&seq) else {
                continue;
            };
            if row.standing.due_at <= now {
                let (chat, priority) = (row.message.to.clone(), row.message.priority);
                let session = self.session(session)?;
                session.scheduled.remove(&seq);
                let chat = session.chats.entry(chat).or_default();
                chat.owed.insert((priority, seq));
            }
        }
        Ok(())
    }

    /// The message that goes before this one in its chat.
    pub(super) fn ahead_of(&self, id: &MessageId) -> Option<MessageId> {
        let seq = *self.by_id.get(id)?;
        let row = self.messages.get(&seq)?;
        if !row.standing.status.is_owed() {
            return None;
        }
        let session = self.sessions.get(&row.message.session)?;
        let chat = session.chats.get(&row.message.to)?;
        let ahead = match chat.claimed {
            Some(claimed) => Some(claimed).filter(|claimed| *claimed != seq),
            None => chat
                .owed
                .first()
                .filter(|first| **first < (row.message.priority, seq))
                .map(|(_, seq)| *seq),
        };
        Some(self.messages.get(&ahead?)?.message.id.clone())
    }

    pub(super) fn pace(&self, session: &SessionId, since: UnixMs) -> History {
        let Some(session) = self.sessions.get(session) else {
            return History::default();
        };
        let quarter = |(starts_at, (begun, refused)): (&i64, &(u64, u64))| Quarter {
            starts_at: UnixMs(*starts_at),
            begun: *begun,
            refused: *refused,
        };
        let since = quarter_of(since).0;
        History {
            first_begun_at: session.first_begun_at,
            quarters: session.pace.range(since..).map(quarter).collect(),
        }
    }

    pub(super) fn expire(
        &mut self,
        session: &SessionId,
        fence: Fence,
        now: UnixMs,
        limit: u32,
    ) -> Result<Vec<MessageId>, StoreError> {
        let of = self.owned(session, fence)?;
        let owed = of.chats.values().flat_map(|chat| chat.owed.iter());
        let owed: Vec<i64> = owed
            .map(|(_, seq)| *seq)
            .chain(of.scheduled.iter().copied())
            .collect();
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
        let owed = chats.flat_map(|chat| chat.owed.iter());
        let owed: Vec<i64> = owed.map(|(_, seq)| *seq).collect();
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
        quota: Quota,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.owned(session, fence)?;
        let limit = quota.all.min(MAX_CLAIM) as usize;
        if limit == 0 {
            return Ok(Vec::new());
        }
        self.mature(session, now)?;
        let mut due = self.heads(session);
        due.retain(|head| head.due_at <= now);
        due.sort_unstable_by_key(|head| (head.priority, head.due_at, head.seq));
        let mut new = 0;
        due.retain(|head| {
            let may = head.begun || new < quota.of(head.priority.lane());
            new += u32::from(may && !head.begun);
            may
        });
        due.truncate(limit);
        let mut taken = Vec::with_capacity(due.len());
        for Head { seq, .. } in due {
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
            if attempt == 1 {
                let session = self.session(session)?;
                session.first_begun_at.get_or_insert(now);
                session.quarter(now).0 += 1;
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
            // Nobody ever claimed it: there was no attempt.
            if row.message.session != *session || row.standing.attempts == 0 {
                continue;
            }
            row.end_attempt(
                recorded.at,
                outcome_name(&recorded.outcome),
                recorded.detail.as_deref(),
            );
            let before = row.standing.status;
            row.standing.record(recorded);
            self.moved(seq, before);
            if matches!(recorded.outcome, Outcome::SlowedDown { .. }) {
                self.session(session)?.quarter(recorded.at).1 += 1;
            }
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
        let before = row.standing.status;
        if !row.standing.ack(ack, at) {
            return None;
        }
        row.end_attempt(at, "sent", None);
        self.moved(seq, before);
        self.view(seq)
    }

    /// A person's word on a message.
    pub(super) fn change(
        &mut self,
        id: &MessageId,
        change: impl FnOnce(&mut Standing) -> bool,
    ) -> Option<Message> {
        let seq = *self.by_id.get(id)?;
        let standing = &mut self.messages.get_mut(&seq)?.standing;
        let before = standing.status;
        if change(standing) {
            self.moved(seq, before);
        }
        self.view(seq)
    }

    /// Tells of a message that was changed, and puts it where it belongs now.
    fn moved(&mut self, seq: i64, before: Status) {
        if let Some(message) = self.view(seq)
            && let Some(kind) = EventKind::of_move(before, message.status)
        {
            self.log.tell_message(kind, &message);
        }
        self.requeue(seq);
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
        session.scheduled.remove(&seq);
        let chat = session.chats.entry(row.message.to.clone()).or_default();
        if chat.claimed == Some(seq) {
            chat.claimed = None;
        }
        let place = (row.message.priority, seq);
        if row.standing.status.is_owed() {
            chat.owed.insert(place);
        } else {
            chat.owed.remove(&place);
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
        let whose = self.session(session)?;
        let name = |chat: &ChatId| (chat.clone(), message.wa_message_id.clone());
        let also = message.chat_also.as_ref().map(name);
        if also.is_some_and(|also| whose.inbound_seen.contains(&also))
            || !whose.inbound_seen.insert(name(&message.chat))
        {
            return Ok(false);
        }
        let stored = StoredInbound {
            seq,
            stored_at: at,
            file: None,
            message,
        };
        whose.inbound.push(stored.clone());
        self.last_inbound = seq;
        self.log.tell_inbound(session, &stored);
        Ok(true)
    }

    pub(super) fn forget_messages(&mut self, what: ForgetMessages) -> ForgottenMessages {
        let before = forgettable_before(what.before, self.log.told_since());
        let limit = what.limit as usize;
        let mut forgotten = ForgottenMessages::default();
        let oldest: Vec<i64> = self
            .messages
            .range(what.after + 1..)
            .take(limit)
            .map(|(seq, _)| *seq)
            .collect();
        if oldest.len() == limit {
            forgotten.next = oldest.last().copied();
        }
        for seq in oldest {
            let Some(row) = self.messages.get(&seq) else {
                continue;
            };
            if row.message.accepted_at >= before {
                forgotten.next = None;
                break;
            }
            let status = row.standing.status;
            if !status.is_owed() && status != Status::Parked && row.standing.updated_at < before {
                self.forget_message(seq);
                forgotten.messages += 1;
            }
        }
        let mut came: Vec<(i64, SessionId)> = Vec::new();
        for (id, session) in &self.sessions {
            came.extend(session.inbound.iter().map(|kept| (kept.seq, id.clone())));
        }
        came.sort();
        came.truncate(limit);
        let looked_at = came.len();
        for (seq, id) in came {
            let Some(session) = self.sessions.get_mut(&id) else {
                continue;
            };
            let Some(place) = session.inbound.iter().position(|kept| kept.seq == seq) else {
                continue;
            };
            if session.inbound[place].stored_at >= before {
                break;
            }
            let old = session.inbound.remove(place).message;
            session.inbound_seen.remove(&(old.chat, old.wa_message_id));
            forgotten.inbound += 1;
        }
        if forgotten.inbound == looked_at as u64 && looked_at == limit {
            forgotten.next = forgotten.next.or(Some(what.after));
        }
        forgotten
    }

    fn forget_message(&mut self, seq: i64) {
        let Some(row) = self.messages.remove(&seq) else {
            return;
        };
        self.by_id.remove(&row.message.id);
        if let Some(session) = self.sessions.get_mut(&row.message.session)
            && session.by_wa.get(&row.message.wa_message_id) == Some(&seq)
        {
            session.by_wa.remove(&row.message.wa_message_id);
        }
        self.keys
            .retain(|_, key| !matches!(key.kept, Kept::Message(kept) if kept == seq));
    }

    pub(super) fn message_key(
        &self,
        session: &SessionId,
        chat: &ChatId,
        id: &WaMessageId,
    ) -> Option<MessageKey> {
        let session = self.sessions.get(session)?;
        let ours = session.by_wa.get(id).and_then(|seq| self.messages.get(seq));
        if let Some(row) = ours.filter(|row| row.standing.attempts > 0) {
            return Some(MessageKey {
                chat: row.message.to.clone(),
                id: id.clone(),
                from_me: true,
                participant: None,
            });
        }
        let mut kept = session.inbound.iter();
        kept.find(|kept| kept.message.chat == *chat && kept.message.wa_message_id == *id)
            .map(|kept| kept.message.key())
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
            scheduled: BTreeSet::new(),
            pace: BTreeMap::new(),
            first_begun_at: None,
            by_wa: HashMap::new(),
            inbound: Vec::new(),
            inbound_seen: HashSet::new(),
            incidents: BTreeMap::new(),
            proxy: None,
            notes: HashMap::new(),
            record: record.clone(),
        };
        self.log.tell(
            EventKind::SessionCreated,
            Some(&record.id),
            record.created_at,
            EventData::Nothing,
        );
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

    pub(super) fn note(&self, session: &SessionId, name: &str) -> Option<String> {
        self.sessions.get(session)?.notes.get(name).cloned()
    }

    pub(super) fn set_note(
        &mut self,
        session: &SessionId,
        name: &str,
        text: Option<String>,
    ) -> Result<(), StoreError> {
        let notes = &mut self.session(session)?.notes;
        match text {
            Some(text) => notes.insert(name.to_owned(), text),
            None => notes.remove(name),
        };
        Ok(())
    }

    pub(super) fn remove_session(&mut self, session: &SessionId, at: UnixMs) {
        if self.sessions.remove(session).is_none() {
            return;
        }
        self.log.forget(session);
        self.endpoints.forget(session);
        self.log.tell(
            EventKind::SessionDeleted,
            Some(session),
            at,
            EventData::Nothing,
        );
        self.messages
            .retain(|_, row| row.message.session != *session);
        let left = &self.messages;
        self.by_id.retain(|_, seq| left.contains_key(seq));
        self.keys.retain(|_, key| match &key.kept {
            Kept::Message(seq) => left.contains_key(seq),
            Kept::Answer(of, _) => of != session,
        });
    }

    // ------------------------------------------------ tokens, incidents

    pub(super) fn set_session_proxy(
        &mut self,
        session: &SessionId,
        proxy: Option<Proxy>,
    ) -> Result<(), StoreError> {
        self.session(session)?.proxy = proxy;
        Ok(())
    }

    pub(super) fn session_proxy(&self, session: &SessionId) -> Option<Proxy> {
        self.sessions.get(session)?.proxy.clone()
    }

    pub(super) fn add_token(&mut self, token: TokenRecord) -> Result<(), StoreError> {
        if self.token_by_hash(&token.hash).is_some() || self.tokens.contains_key(&token.name) {
            return Err(StoreError::Exists);
        }
        self.tokens.insert(token.name.clone(), token);
        Ok(())
    }

    pub(super) fn token_by_hash(&self, hash: &[u8; 32]) -> Option<&TokenRecord> {
        let is = |token: &&TokenRecord| {
            token.hash == *hash || token.previous.as_ref().is_some_and(|p| p.hash == *hash)
        };
        self.tokens.values().find(is)
    }

    pub(super) fn rotate_token(
        &mut self,
        rotation: &Rotation,
    ) -> Result<Option<TokenRecord>, StoreError> {
        if self.token_by_hash(&rotation.hash).is_some() {
            return Err(StoreError::Exists);
        }
        let Some(token) = self.tokens.get_mut(&rotation.name) else {
            return Ok(None);
        };
        token.previous = Some(PreviousSecret {
            hash: std::mem::replace(&mut token.hash, rotation.hash),
            until: rotation.previous_until,
        });
        token.expires_at = rotation.expires_at;
        Ok(Some(token.clone()))
    }

    pub(super) fn add_audit(&mut self, entry: NewAudit) -> i64 {
        self.last_audit += 1;
        self.audit.push_back(AuditEntry {
            seq: self.last_audit,
            entry,
        });
        if self.audit.len() > MAX_AUDIT_KEPT as usize {
            self.audit.pop_front();
        }
        self.last_audit
    }

    pub(super) fn audit(&self, before: Option<i64>, limit: u32) -> Vec<AuditEntry> {
        let older = |entry: &&AuditEntry| before.is_none_or(|before| entry.seq < before);
        let newest_first = self.audit.iter().rev().filter(older);
        newest_first.take(limit as usize).cloned().collect()
    }

    pub(super) fn put_incident(&mut self, incident: &Incident) -> Result<(), StoreError> {
        let incidents = &mut self.session(&incident.session)?.incidents;
        let before = incidents
            .insert(incident.id.clone(), incident.clone())
            .map(|before| before.closed_at.is_some());
        while incidents.len() > MAX_INCIDENTS_KEPT as usize {
            incidents.pop_first();
        }
        for kind in event::told_of_incident(before, incident.closed_at.is_some()) {
            let closed = (*kind == EventKind::IncidentClosed).then_some(incident.closed_at);
            self.log.tell(
                *kind,
                Some(&incident.session),
                closed.flatten().unwrap_or(incident.opened_at),
                told(incident),
            );
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

impl Session {
    /// What is counted in the quarter of an hour of this time.
    fn quarter(&mut self, now: UnixMs) -> &mut (u64, u64) {
        let starts_at = quarter_of(now).0;
        let oldest = starts_at.saturating_sub(PACE_KEPT_MS);
        self.pace.retain(|known, _| *known >= oldest);
        self.pace.entry(starts_at).or_default()
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
