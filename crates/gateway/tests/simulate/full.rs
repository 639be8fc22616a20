//! A store whose disk can be full. What it hands out for delivery, and what
//! comes of it, is noted for the check.

use crate::world::{Defect, World};
use async_trait::async_trait;
use std::sync::atomic::{AtomicBool, Ordering};
use steadfast_core::event::Told;
use steadfast_core::ids::{
    ChatId, Fence, LoginGeneration, MediaId, MessageId, MessageKey, SessionId, WaMessageId,
    WebhookId,
};
use steadfast_core::inbound::{Happening, InboundMessage};
use steadfast_core::outbox::{Ack, Attempt, Claimed, Message, NewMessage, Status};
use steadfast_core::pacing::History;
use steadfast_core::port::{
    Accepted, AuditEntry, BatchAccepted, Delivery, DeliveryAttempt, DeliveryCounts, DeliveryState,
    EventLog, EventPage, EventQuery, EventSpan, ForgetMessages, ForgottenMessages, IdempotencyKey,
    Incident, KeptAnswer, MediaRecord, MessageQuery, NewAudit, OutboxDepth, Quota, Recorded,
    Replay, Rotation, SessionRecord, Settled, Store, StoreError, StoredInbound, StoredWebhook,
    TokenRecord, TrimEvents, Trimmed, WebhookRecord, WebhookStore,
};
use steadfast_core::proxy::Proxy;
use steadfast_core::time::UnixMs;

/// Refuses writes while it is full.
pub(crate) struct Full<S> {
    pub(crate) inner: S,
    pub(crate) no_room: AtomicBool,
    pub(crate) world: World,
}

impl<S> Full<S> {
    fn room(&self) -> Result<(), StoreError> {
        if self.no_room.load(Ordering::Relaxed) {
            Err(StoreError::Full)
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl<S: Store> EventLog for Full<S> {
    async fn keep_happening(
        &self,
        session: &SessionId,
        happening: Happening,
        at: UnixMs,
    ) -> Result<bool, StoreError> {
        self.room()?;
        self.inner.keep_happening(session, happening, at).await
    }

    async fn tell(&self, told: Told, at: UnixMs) -> Result<(), StoreError> {
        self.room()?;
        self.inner.tell(told, at).await
    }

    async fn events(&self, query: EventQuery) -> Result<EventPage, StoreError> {
        self.inner.events(query).await
    }

    async fn event_span(&self) -> Result<EventSpan, StoreError> {
        self.inner.event_span().await
    }

    async fn events_beyond(&self, position: i64) -> Result<i64, StoreError> {
        self.inner.events_beyond(position).await
    }

    async fn trim_events(&self, trim: TrimEvents) -> Result<Trimmed, StoreError> {
        self.room()?;
        self.inner.trim_events(trim).await
    }
}

#[async_trait]
impl<S: Store> WebhookStore for Full<S> {
    async fn add_webhook(&self, record: WebhookRecord) -> Result<(), StoreError> {
        self.room()?;
        self.inner.add_webhook(record).await
    }

    async fn update_webhook(&self, record: WebhookRecord) -> Result<bool, StoreError> {
        self.room()?;
        self.inner.update_webhook(record).await
    }

    async fn remove_webhook(&self, id: &WebhookId) -> Result<bool, StoreError> {
        self.inner.remove_webhook(id).await
    }

    async fn webhooks(&self) -> Result<Vec<StoredWebhook>, StoreError> {
        self.inner.webhooks().await
    }

    async fn settle(&self, id: &WebhookId, settled: Settled) -> Result<u64, StoreError> {
        self.room()?;
        self.inner.settle(id, settled).await
    }

    async fn due_deliveries(
        &self,
        id: &WebhookId,
        by: UnixMs,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.inner.due_deliveries(id, by, limit).await
    }

    async fn deliveries(
        &self,
        id: &WebhookId,
        state: DeliveryState,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.inner.deliveries(id, state, after, limit).await
    }

    async fn delivery_counts(&self, id: &WebhookId) -> Result<DeliveryCounts, StoreError> {
        self.inner.delivery_counts(id).await
    }

    async fn replay(&self, id: &WebhookId, which: Replay, at: UnixMs) -> Result<u64, StoreError> {
        self.room()?;
        self.inner.replay(id, which, at).await
    }

    async fn hasten(&self, id: &WebhookId, at: UnixMs) -> Result<u64, StoreError> {
        self.room()?;
        self.inner.hasten(id, at).await
    }

    async fn delivery_attempts(
        &self,
        id: &WebhookId,
        seq: Option<i64>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<DeliveryAttempt>, StoreError> {
        self.inner.delivery_attempts(id, seq, before, limit).await
    }

    async fn forget_deliveries(&self, before: UnixMs, limit: u32) -> Result<u64, StoreError> {
        self.inner.forget_deliveries(before, limit).await
    }
}

#[async_trait]
impl<S: Store> Store for Full<S> {
    async fn seen_before(
        &self,
        key: &IdempotencyKey,
        now: UnixMs,
    ) -> Result<Option<Accepted>, StoreError> {
        self.inner.seen_before(key, now).await
    }

    async fn answered_before(
        &self,
        key: &IdempotencyKey,
        now: UnixMs,
    ) -> Result<Option<BatchAccepted>, StoreError> {
        self.inner.answered_before(key, now).await
    }

    async fn message_key(
        &self,
        session: &SessionId,
        chat: &ChatId,
        id: &WaMessageId,
    ) -> Result<Option<MessageKey>, StoreError> {
        self.inner.message_key(session, chat, id).await
    }

    async fn inbound_message(
        &self,
        session: &SessionId,
        chat: &ChatId,
        id: &WaMessageId,
    ) -> Result<Option<StoredInbound>, StoreError> {
        self.inner.inbound_message(session, chat, id).await
    }

    async fn inbound_fetched(
        &self,
        session: &SessionId,
        chat: &ChatId,
        id: &WaMessageId,
        file: &MediaId,
    ) -> Result<(), StoreError> {
        self.room()?;
        self.inner.inbound_fetched(session, chat, id, file).await
    }

    async fn put_media(&self, media: MediaRecord) -> Result<(), StoreError> {
        self.room()?;
        self.inner.put_media(media).await
    }

    async fn media(&self, id: &MediaId) -> Result<Option<MediaRecord>, StoreError> {
        self.inner.media(id).await
    }

    async fn forget_messages(&self, what: ForgetMessages) -> Result<ForgottenMessages, StoreError> {
        self.inner.forget_messages(what).await
    }

    async fn forget_media(
        &self,
        before: UnixMs,
        most_bytes: u64,
        limit: u32,
    ) -> Result<Vec<MediaId>, StoreError> {
        self.room()?;
        self.inner.forget_media(before, most_bytes, limit).await
    }

    async fn accept(
        &self,
        message: NewMessage,
        key: Option<IdempotencyKey>,
    ) -> Result<Accepted, StoreError> {
        self.room()?;
        self.inner.accept(message, key).await
    }

    async fn accept_batch(
        &self,
        messages: Vec<NewMessage>,
        key: Option<KeptAnswer>,
    ) -> Result<BatchAccepted, StoreError> {
        self.room()?;
        self.inner.accept_batch(messages, key).await
    }

    async fn take_fence(&self, session: &SessionId) -> Result<Fence, StoreError> {
        self.room()?;
        self.inner.take_fence(session).await
    }

    async fn claim_within(
        &self,
        session: &SessionId,
        fence: Fence,
        login: LoginGeneration,
        now: UnixMs,
        quota: Quota,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.room()?;
        let claim = self.inner.claim_within(session, fence, login, now, quota);
        let mut claimed = claim.await?;
        let mut truth = self.world.lock();
        let lie = truth.defect.filter(|_| truth.logins_lost > 0);
        for Claimed { message, .. } in &mut claimed {
            truth.claimed(message);
            match lie {
                Some(Defect::ParkBacklog) => {
                    message.status = Status::Sending;
                    message.login = None;
                }
                Some(Defect::ForgetLogin) => message.login = Some(login),
                _ => {}
            }
        }
        Ok(claimed)
    }

    async fn record(
        &self,
        session: &SessionId,
        fence: Fence,
        outcomes: Vec<Recorded>,
    ) -> Result<(), StoreError> {
        self.room()?;
        self.inner.record(session, fence, outcomes.clone()).await?;
        let mut truth = self.world.lock();
        for recorded in &outcomes {
            truth.recorded(&recorded.id, &recorded.outcome);
        }
        Ok(())
    }

    async fn expire(
        &self,
        session: &SessionId,
        fence: Fence,
        now: UnixMs,
        limit: u32,
    ) -> Result<Vec<MessageId>, StoreError> {
        self.room()?;
        self.inner.expire(session, fence, now, limit).await
    }

    async fn bring_forward(
        &self,
        session: &SessionId,
        fence: Fence,
        now: UnixMs,
        by_ms: u64,
    ) -> Result<u64, StoreError> {
        self.room()?;
        self.inner.bring_forward(session, fence, now, by_ms).await
    }

    async fn next_due_within(
        &self,
        session: &SessionId,
        quota: Quota,
    ) -> Result<Option<UnixMs>, StoreError> {
        self.inner.next_due_within(session, quota).await
    }

    async fn ahead_of(&self, ids: Vec<MessageId>) -> Result<Vec<Option<MessageId>>, StoreError> {
        self.inner.ahead_of(ids).await
    }

    async fn pace(&self, session: &SessionId, since: UnixMs) -> Result<History, StoreError> {
        self.inner.pace(session, since).await
    }

    async fn ack(
        &self,
        session: &SessionId,
        wa_message_id: &WaMessageId,
        ack: Ack,
        at: UnixMs,
    ) -> Result<Option<Message>, StoreError> {
        self.room()?;
        self.inner.ack(session, wa_message_id, ack, at).await
    }

    async fn message(&self, id: &MessageId) -> Result<Option<Message>, StoreError> {
        self.inner.message(id).await
    }

    async fn messages(
        &self,
        session: &SessionId,
        query: MessageQuery,
    ) -> Result<Vec<Message>, StoreError> {
        self.inner.messages(session, query).await
    }

    async fn attempts(&self, id: &MessageId) -> Result<Vec<Attempt>, StoreError> {
        self.inner.attempts(id).await
    }

    async fn cancel(&self, id: &MessageId, at: UnixMs) -> Result<Option<Message>, StoreError> {
        self.room()?;
        self.inner.cancel(id, at).await
    }

    async fn unpark(
        &self,
        id: &MessageId,
        release: bool,
        at: UnixMs,
    ) -> Result<Option<Message>, StoreError> {
        self.room()?;
        self.inner.unpark(id, release, at).await
    }

    async fn depth(&self, session: &SessionId) -> Result<OutboxDepth, StoreError> {
        self.inner.depth(session).await
    }

    async fn keep_inbound(
        &self,
        session: &SessionId,
        message: InboundMessage,
        at: UnixMs,
    ) -> Result<bool, StoreError> {
        self.room()?;
        self.inner.keep_inbound(session, message, at).await
    }

    async fn inbound(
        &self,
        session: &SessionId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<StoredInbound>, StoreError> {
        self.inner.inbound(session, after, limit).await
    }

    async fn add_session(&self, session: SessionRecord) -> Result<(), StoreError> {
        self.room()?;
        self.inner.add_session(session).await
    }

    async fn update_session(&self, session: SessionRecord) -> Result<(), StoreError> {
        self.room()?;
        self.inner.update_session(session).await
    }

    async fn sessions(&self) -> Result<Vec<SessionRecord>, StoreError> {
        self.inner.sessions().await
    }

    async fn note(&self, session: &SessionId, name: &str) -> Result<Option<String>, StoreError> {
        self.inner.note(session, name).await
    }

    async fn set_note(
        &self,
        session: &SessionId,
        name: &str,
        text: Option<String>,
    ) -> Result<(), StoreError> {
        self.room()?;
        self.inner.set_note(session, name, text).await
    }

    async fn remove_session(&self, session: &SessionId, at: UnixMs) -> Result<(), StoreError> {
        self.inner.remove_session(session, at).await
    }

    async fn add_token(&self, token: TokenRecord) -> Result<(), StoreError> {
        self.inner.add_token(token).await
    }

    async fn set_session_proxy(
        &self,
        session: &SessionId,
        proxy: Option<Proxy>,
    ) -> Result<(), StoreError> {
        self.room()?;
        self.inner.set_session_proxy(session, proxy).await
    }

    async fn session_proxy(&self, session: &SessionId) -> Result<Option<Proxy>, StoreError> {
        self.inner.session_proxy(session).await
    }

    async fn rotate_token(&self, rotation: Rotation) -> Result<Option<TokenRecord>, StoreError> {
        self.room()?;
        self.inner.rotate_token(rotation).await
    }

    async fn note_token_use(&self, uses: Vec<(String, UnixMs)>) -> Result<(), StoreError> {
        self.room()?;
        self.inner.note_token_use(uses).await
    }

    async fn add_audit(&self, entry: NewAudit) -> Result<i64, StoreError> {
        self.room()?;
        self.inner.add_audit(entry).await
    }

    async fn audit(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.inner.audit(before, limit).await
    }

    async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, StoreError> {
        self.inner.token_by_hash(hash).await
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        self.inner.tokens().await
    }

    async fn remove_token(&self, name: &str) -> Result<bool, StoreError> {
        self.inner.remove_token(name).await
    }

    async fn put_incident(&self, incident: Incident) -> Result<(), StoreError> {
        self.room()?;
        self.inner.put_incident(incident).await
    }

    async fn incidents(
        &self,
        session: &SessionId,
        before: Option<String>,
        limit: u32,
    ) -> Result<Vec<Incident>, StoreError> {
        self.inner.incidents(session, before, limit).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.inner.check().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
