//! Sessions, tokens, the audit log and incidents.

use super::{Kept, Session, State};
use crate::rules::{MAX_AUDIT_KEPT, MAX_INCIDENTS_KEPT, told};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use steadfast_core::event;
use steadfast_core::event::{EventData, EventKind};
use steadfast_core::ids::{Fence, SessionId};
use steadfast_core::port::{
    AuditEntry, Incident, NewAudit, PreviousSecret, Rotation, SessionRecord, StoreError,
    TokenRecord,
};
use steadfast_core::proxy::Proxy;
use steadfast_core::time::UnixMs;

impl State {
    pub(in crate::memory) fn add_session(
        &mut self,
        record: SessionRecord,
    ) -> Result<(), StoreError> {
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

    pub(in crate::memory) fn update_session(
        &mut self,
        record: SessionRecord,
    ) -> Result<(), StoreError> {
        let session = self.session(&record.id)?;
        session.record = record;
        Ok(())
    }

    pub(in crate::memory) fn sessions(&self) -> Vec<SessionRecord> {
        self.sessions
            .values()
            .map(|session| session.record.clone())
            .collect()
    }

    pub(in crate::memory) fn note(&self, session: &SessionId, name: &str) -> Option<String> {
        self.sessions.get(session)?.notes.get(name).cloned()
    }

    pub(in crate::memory) fn set_note(
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

    pub(in crate::memory) fn remove_session(&mut self, session: &SessionId, at: UnixMs) {
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

    pub(in crate::memory) fn set_session_proxy(
        &mut self,
        session: &SessionId,
        proxy: Option<Proxy>,
    ) -> Result<(), StoreError> {
        self.session(session)?.proxy = proxy;
        Ok(())
    }

    pub(in crate::memory) fn session_proxy(&self, session: &SessionId) -> Option<Proxy> {
        self.sessions.get(session)?.proxy.clone()
    }

    pub(in crate::memory) fn add_token(&mut self, token: TokenRecord) -> Result<(), StoreError> {
        if self.token_by_hash(&token.hash).is_some() || self.tokens.contains_key(&token.name) {
            return Err(StoreError::Exists);
        }
        self.tokens.insert(token.name.clone(), token);
        Ok(())
    }

    pub(in crate::memory) fn token_by_hash(&self, hash: &[u8; 32]) -> Option<&TokenRecord> {
        let is = |token: &&TokenRecord| {
            token.hash == *hash || token.previous.as_ref().is_some_and(|p| p.hash == *hash)
        };
        self.tokens.values().find(is)
    }

    pub(in crate::memory) fn rotate_token(
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

    pub(in crate::memory) fn add_audit(&mut self, entry: NewAudit) -> i64 {
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

    pub(in crate::memory) fn audit(&self, before: Option<i64>, limit: u32) -> Vec<AuditEntry> {
        let older = |entry: &&AuditEntry| before.is_none_or(|before| entry.seq < before);
        let newest_first = self.audit.iter().rev().filter(older);
        newest_first.take(limit as usize).cloned().collect()
    }

    pub(in crate::memory) fn put_incident(
        &mut self,
        incident: &Incident,
    ) -> Result<(), StoreError> {
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

    pub(in crate::memory) fn incidents(
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
