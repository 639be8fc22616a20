//! What is kept beside messages, and what is forgotten.

use super::{Kept, Row, State};
use crate::rules::forgettable_before;
use std::collections::HashSet;
use steadfast_core::ids::{ChatId, MediaId, SessionId, WaMessageId};
use steadfast_core::outbox::Status;
use steadfast_core::port::{ForgetMessages, ForgottenMessages, MediaRecord, StoreError};
use steadfast_core::time::UnixMs;

impl State {
    pub(in crate::memory) fn forget_messages(&mut self, what: ForgetMessages) -> ForgottenMessages {
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

    pub(in crate::memory) fn put_media(&mut self, media: MediaRecord) {
        let known = self.media.get(&media.id);
        let used_at = known.map_or(media.used_at, |known| known.used_at.max(media.used_at));
        self.media
            .insert(media.id.clone(), MediaRecord { used_at, ..media });
    }

    pub(in crate::memory) fn forget_media(
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

    pub(in crate::memory) fn inbound_fetched(
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
}
