//! What delivery asks and says: who is next, what an attempt came to, acks.

use super::{Session, State};
use crate::rules::{MAX_ATTEMPTS_KEPT, MAX_CLAIM, PACE_KEPT_MS, Standing, outcome_name};
use steadfast_core::event::EventKind;
use steadfast_core::ids::{Fence, LoginGeneration, MessageId, SessionId, WaMessageId};
use steadfast_core::outbox::{Ack, Attempt, Claimed, Message, Priority, Status};
use steadfast_core::pacing::{History, Quarter, quarter_of};
use steadfast_core::port::{Outcome, Quota, Recorded, StoreError};
use steadfast_core::time::UnixMs;

/// A free head.
struct Head {
    priority: Priority,
    due_at: UnixMs,
    seq: i64,
    begun: bool,
}

impl State {
    pub(in crate::memory) fn take_fence(
        &mut self,
        session: &SessionId,
    ) -> Result<Fence, StoreError> {
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

    pub(in crate::memory) fn next_due(&self, session: &SessionId, quota: Quota) -> Option<UnixMs> {
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
    pub(in crate::memory) fn ahead_of(&self, id: &MessageId) -> Option<MessageId> {
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

    pub(in crate::memory) fn pace(&self, session: &SessionId, since: UnixMs) -> History {
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

    pub(in crate::memory) fn expire(
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

    pub(in crate::memory) fn bring_forward(
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

    pub(in crate::memory) fn claim(
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

    pub(in crate::memory) fn record(
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

    pub(in crate::memory) fn ack(
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
    pub(in crate::memory) fn change(
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
