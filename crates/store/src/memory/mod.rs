//! The store that forgets: for tests, and for what need not outlive the process.
//!
//! It keeps everything in plain maps and finds heads by looking, so that it is
//! plainly right: the SQLite store is tested against it.

mod log;
mod state;
mod webhooks;

use crate::rules;
use async_trait::async_trait;
use state::State;
use std::sync::{Mutex, PoisonError};
use steadfast_core::ids::{
    ChatId, Fence, LoginGeneration, MediaId, MessageId, MessageKey, SessionId, WaMessageId,
};
use steadfast_core::inbound::InboundMessage;
use steadfast_core::outbox::{Ack, Attempt, Claimed, Message, NewMessage};
use steadfast_core::pacing::History;
use steadfast_core::port::{
    Accepted, AuditEntry, BatchAccepted, ForgetMessages, ForgottenMessages, IdempotencyKey,
    Incident, KeptAnswer, MediaRecord, MessageQuery, NewAudit, OutboxDepth, Quota, Recorded,
    Rotation, SessionRecord, Store, StoreError, StoredInbound, TokenRecord,
};
use steadfast_core::proxy::Proxy;
use steadfast_core::time::UnixMs;

/// Everything in memory. A claim looks at every chat that owes something: fine
/// for thousands of chats, not for millions.
#[derive(Default)]
pub struct MemoryStore {
    /// `None` once it is closed.
    state: Mutex<Open>,
}

struct Open(Option<State>);

impl Default for Open {
    fn default() -> Self {
        Self(Some(State::default()))
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        work(state.0.as_mut().ok_or(StoreError::Closed)?)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn accept(
        &self,
        message: NewMessage,
        key: Option<IdempotencyKey>,
    ) -> Result<Accepted, StoreError> {
        self.with(|state| state.accept(message, key))
    }

    async fn seen_before(
        &self,
        key: &IdempotencyKey,
        now: UnixMs,
    ) -> Result<Option<Accepted>, StoreError> {
        self.with(|state| Ok(state.seen_before(key, now)))
    }

    async fn answered_before(
        &self,
        key: &IdempotencyKey,
        now: UnixMs,
    ) -> Result<Option<BatchAccepted>, StoreError> {
        self.with(|state| Ok(state.answered_before(key, now)))
    }

    async fn accept_batch(
        &self,
        messages: Vec<NewMessage>,
        key: Option<KeptAnswer>,
    ) -> Result<BatchAccepted, StoreError> {
        self.with(|state| state.accept_batch(messages, key))
    }

    async fn take_fence(&self, session: &SessionId) -> Result<Fence, StoreError> {
        self.with(|state| state.take_fence(session))
    }

    async fn claim_within(
        &self,
        session: &SessionId,
        fence: Fence,
        login: LoginGeneration,
        now: UnixMs,
        quota: Quota,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.with(|state| state.claim(session, fence, login, now, quota))
    }

    async fn record(
        &self,
        session: &SessionId,
        fence: Fence,
        outcomes: Vec<Recorded>,
    ) -> Result<(), StoreError> {
        self.with(|state| state.record(session, fence, &outcomes))
    }

    async fn expire(
        &self,
        session: &SessionId,
        fence: Fence,
        now: UnixMs,
        limit: u32,
    ) -> Result<Vec<MessageId>, StoreError> {
        self.with(|state| state.expire(session, fence, now, limit))
    }

    async fn bring_forward(
        &self,
        session: &SessionId,
        fence: Fence,
        now: UnixMs,
        by_ms: u64,
    ) -> Result<u64, StoreError> {
        self.with(|state| state.bring_forward(session, fence, now, by_ms))
    }

    async fn next_due_within(
        &self,
        session: &SessionId,
        quota: Quota,
    ) -> Result<Option<UnixMs>, StoreError> {
        self.with(|state| Ok(state.next_due(session, quota)))
    }

    async fn ahead_of(&self, ids: Vec<MessageId>) -> Result<Vec<Option<MessageId>>, StoreError> {
        self.with(|state| Ok(ids.iter().map(|id| state.ahead_of(id)).collect()))
    }

    async fn pace(&self, session: &SessionId, since: UnixMs) -> Result<History, StoreError> {
        self.with(|state| Ok(state.pace(session, since)))
    }

    async fn ack(
        &self,
        session: &SessionId,
        wa_message_id: &WaMessageId,
        ack: Ack,
        at: UnixMs,
    ) -> Result<Option<Message>, StoreError> {
        self.with(|state| Ok(state.ack(session, wa_message_id, ack, at)))
    }

    async fn message(&self, id: &MessageId) -> Result<Option<Message>, StoreError> {
        self.with(|state| Ok(state.message(id)))
    }

    async fn message_key(
        &self,
        session: &SessionId,
        chat: &ChatId,
        id: &WaMessageId,
    ) -> Result<Option<MessageKey>, StoreError> {
        self.with(|state| Ok(state.message_key(session, chat, id)))
    }

    async fn messages(
        &self,
        session: &SessionId,
        query: MessageQuery,
    ) -> Result<Vec<Message>, StoreError> {
        self.with(|state| Ok(state.messages(session, &query)))
    }

    async fn attempts(&self, id: &MessageId) -> Result<Vec<Attempt>, StoreError> {
        self.with(|state| Ok(state.attempts(id)))
    }

    async fn cancel(&self, id: &MessageId, at: UnixMs) -> Result<Option<Message>, StoreError> {
        self.with(|state| Ok(state.change(id, |standing| standing.cancel(at))))
    }

    async fn unpark(
        &self,
        id: &MessageId,
        release: bool,
        at: UnixMs,
    ) -> Result<Option<Message>, StoreError> {
        self.with(|state| Ok(state.change(id, |standing| standing.unpark(release, at))))
    }

    async fn depth(&self, session: &SessionId) -> Result<OutboxDepth, StoreError> {
        self.with(|state| Ok(state.depth(session)))
    }

    async fn keep_inbound(
        &self,
        session: &SessionId,
        message: InboundMessage,
        at: UnixMs,
    ) -> Result<bool, StoreError> {
        self.with(|state| state.keep_inbound(session, message, at))
    }

    async fn inbound_message(
        &self,
        session: &SessionId,
        chat: &ChatId,
        id: &WaMessageId,
    ) -> Result<Option<StoredInbound>, StoreError> {
        self.with(|state| {
            let mut all = state.inbound(session, 0, u32::MAX).into_iter();
            Ok(all.find(|kept| kept.message.chat == *chat && kept.message.wa_message_id == *id))
        })
    }

    async fn inbound_fetched(
        &self,
        session: &SessionId,
        chat: &ChatId,
        id: &WaMessageId,
        file: &MediaId,
    ) -> Result<(), StoreError> {
        self.with(|state| state.inbound_fetched(session, chat, id, file))
    }

    async fn put_media(&self, media: MediaRecord) -> Result<(), StoreError> {
        self.with(|state| {
            state.put_media(media);
            Ok(())
        })
    }

    async fn media(&self, id: &MediaId) -> Result<Option<MediaRecord>, StoreError> {
        self.with(|state| Ok(state.media.get(id).cloned()))
    }

    async fn forget_media(
        &self,
        before: UnixMs,
        most_bytes: u64,
        limit: u32,
    ) -> Result<Vec<MediaId>, StoreError> {
        self.with(|state| Ok(state.forget_media(before, most_bytes, limit)))
    }

    async fn forget_messages(&self, what: ForgetMessages) -> Result<ForgottenMessages, StoreError> {
        self.with(|state| Ok(state.forget_messages(what)))
    }

    async fn inbound(
        &self,
        session: &SessionId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<StoredInbound>, StoreError> {
        self.with(|state| Ok(state.inbound(session, after, limit)))
    }

    async fn add_session(&self, session: SessionRecord) -> Result<(), StoreError> {
        self.with(|state| state.add_session(session))
    }

    async fn update_session(&self, session: SessionRecord) -> Result<(), StoreError> {
        self.with(|state| state.update_session(session))
    }

    async fn sessions(&self) -> Result<Vec<SessionRecord>, StoreError> {
        self.with(|state| Ok(state.sessions()))
    }

    async fn note(&self, session: &SessionId, name: &str) -> Result<Option<String>, StoreError> {
        self.with(|state| Ok(state.note(session, name)))
    }

    async fn set_note(
        &self,
        session: &SessionId,
        name: &str,
        text: Option<String>,
    ) -> Result<(), StoreError> {
        self.with(|state| state.set_note(session, name, text))
    }

    async fn remove_session(&self, session: &SessionId, at: UnixMs) -> Result<(), StoreError> {
        self.with(|state| {
            state.remove_session(session, at);
            Ok(())
        })
    }

    async fn set_session_proxy(
        &self,
        session: &SessionId,
        proxy: Option<Proxy>,
    ) -> Result<(), StoreError> {
        self.with(|state| state.set_session_proxy(session, proxy))
    }

    async fn session_proxy(&self, session: &SessionId) -> Result<Option<Proxy>, StoreError> {
        self.with(|state| Ok(state.session_proxy(session)))
    }

    async fn add_token(&self, token: TokenRecord) -> Result<(), StoreError> {
        self.with(|state| state.add_token(token))
    }

    async fn rotate_token(&self, rotation: Rotation) -> Result<Option<TokenRecord>, StoreError> {
        self.with(|state| state.rotate_token(&rotation))
    }

    async fn note_token_use(&self, uses: Vec<(String, UnixMs)>) -> Result<(), StoreError> {
        self.with(|state| {
            for (name, at) in uses {
                if let Some(token) = state.tokens.get_mut(&name) {
                    token.last_used_at = token.last_used_at.max(Some(at));
                }
            }
            Ok(())
        })
    }

    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, StoreError> {
        self.with(|state| Ok(state.token_by_hash(hash).cloned()))
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        self.with(|state| Ok(state.tokens.values().cloned().collect()))
    }

    async fn remove_token(&self, name: &str) -> Result<bool, StoreError> {
        self.with(|state| Ok(state.tokens.remove(name).is_some()))
    }

    async fn add_audit(&self, entry: NewAudit) -> Result<i64, StoreError> {
        let entry = rules::bounded_audit(entry);
        self.with(|state| Ok(state.add_audit(entry)))
    }

    async fn audit(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.with(|state| Ok(state.audit(before, limit)))
    }

    async fn put_incident(&self, incident: Incident) -> Result<(), StoreError> {
        self.with(|state| state.put_incident(&rules::bounded(incident)))
    }

    async fn incidents(
        &self,
        session: &SessionId,
        before: Option<String>,
        limit: u32,
    ) -> Result<Vec<Incident>, StoreError> {
        self.with(|state| Ok(state.incidents(session, before.as_deref(), limit)))
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.with(|_| Ok(()))
    }

    async fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 = None;
    }
}
