//! What is accepted: messages, alone or many at once, and the keys that they came under.

use super::{Kept, Key, Row, State};
use crate::rules::Standing;
use std::collections::{HashSet, VecDeque};
use steadfast_core::event::EventKind;
use steadfast_core::ids::MessageId;
use steadfast_core::outbox::NewMessage;
use steadfast_core::port::{Accepted, BatchAccepted, IdempotencyKey, KeptAnswer, StoreError};
use steadfast_core::time::UnixMs;

impl State {
    pub(in crate::memory) fn accept(
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

    pub(in crate::memory) fn seen_before(
        &self,
        key: &IdempotencyKey,
        now: UnixMs,
    ) -> Option<Accepted> {
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

    pub(in crate::memory) fn answered_before(
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

    pub(in crate::memory) fn accept_batch(
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
}
