//! What came from WhatsApp, and where its messages are found again.

use super::State;
use steadfast_core::ids::{ChatId, MessageKey, SessionId, WaMessageId};
use steadfast_core::inbound::InboundMessage;
use steadfast_core::port::{StoreError, StoredInbound};
use steadfast_core::time::UnixMs;

impl State {
    pub(in crate::memory) fn keep_inbound(
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

    pub(in crate::memory) fn message_key(
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

    pub(in crate::memory) fn inbound(
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
}
