//! The log of events, as the memory store keeps it: each event whole.

use super::MemoryStore;
use super::state::State;
use crate::rules::{self, MAX_EVENTS_LOOKED_AT};
use async_trait::async_trait;
use std::collections::{BTreeMap, HashSet};
use steadfast_core::event::{self, Event, EventData, EventKind, MessageMoved, Told};
use steadfast_core::ids::{EventId, SessionId};
use steadfast_core::inbound::Happening;
use steadfast_core::outbox::Message;
use steadfast_core::port::{
    EventLog, EventPage, EventQuery, EventSpan, StoreError, StoredInbound, TrimEvents, Trimmed,
};
use steadfast_core::time::UnixMs;
use tokio::sync::watch;

/// Everything that was told.
pub(super) struct Log {
    events: BTreeMap<i64, Event>,
    happenings: HashSet<(SessionId, String)>,
    newest: i64,
    dropped_upto: i64,
    told: watch::Sender<i64>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            events: BTreeMap::new(),
            happenings: HashSet::new(),
            newest: 0,
            dropped_upto: 0,
            told: watch::Sender::new(0),
        }
    }
}

impl Log {
    /// When the oldest that is kept happened.
    pub(super) fn told_since(&self) -> Option<UnixMs> {
        self.events.first_key_value().map(|(_, event)| event.at)
    }

    pub(super) fn tell(
        &mut self,
        kind: EventKind,
        session: Option<&SessionId>,
        at: UnixMs,
        data: EventData,
    ) {
        let unique = rules::unique_by_place(&[], self.newest + 1);
        self.append(kind, session, at, data, unique);
    }

    /// Tells of a message as it stands now.
    pub(super) fn tell_message(&mut self, kind: EventKind, message: &Message) {
        let at = match kind {
            EventKind::MessageAccepted => message.accepted_at,
            _ => message.updated_at,
        };
        let moved = MessageMoved {
            id: message.id.clone(),
            wa_message_id: message.wa_message_id.clone(),
            to: message.to.clone(),
            kind: message.body.kind().to_owned(),
            status: message.status,
            reason: message.reason.clone(),
            detail: message.detail.clone(),
            accepted_at: message.accepted_at,
        };
        self.tell(kind, Some(&message.session), at, EventData::Message(moved));
    }

    pub(super) fn tell_inbound(&mut self, session: &SessionId, stored: &StoredInbound) {
        let kind = if stored.message.from_me {
            EventKind::MessageSentElsewhere
        } else {
            EventKind::MessageReceived
        };
        let data = EventData::Received(Box::new(stored.clone()));
        self.tell(kind, Some(session), stored.stored_at, data);
    }

    fn keep(&mut self, session: &SessionId, happening: Happening) -> bool {
        let key = happening.key();
        if !self.happenings.insert((session.clone(), key.clone())) {
            return false;
        }
        let unique = rules::unique_by_name(&[], session, &key);
        let (kind, at) = (event::kind_of(&happening), happening.at());
        self.append(
            kind,
            Some(session),
            at,
            EventData::Happening(happening),
            unique,
        );
        true
    }

    fn append(
        &mut self,
        kind: EventKind,
        session: Option<&SessionId>,
        at: UnixMs,
        data: EventData,
        unique: [u8; 10],
    ) {
        self.newest += 1;
        let event = Event {
            seq: self.newest,
            id: EventId::mint(at, unique),
            kind,
            session: session.cloned(),
            at,
            data,
        };
        self.events.insert(event.seq, event);
        self.told.send_replace(self.newest);
    }

    /// Forgets what a session was told of.
    pub(super) fn forget(&mut self, session: &SessionId) {
        self.events.retain(|_, event| {
            event.session.as_ref() != Some(session) || event.kind == EventKind::SessionDeleted
        });
        self.happenings.retain(|(whose, _)| whose != session);
    }

    fn page(&self, query: &EventQuery) -> EventPage {
        if query.after > self.newest {
            return rules::no_such_position(self.newest);
        }
        let mut page = EventPage {
            events: Vec::new(),
            next: query.after,
            more: false,
            gap: query.after < self.dropped_upto,
        };
        let limit = query.limit as usize;
        let mut full = limit == 0;
        let first = query.after.saturating_add(1);
        for (looked_at, (seq, event)) in (1..).zip(self.events.range(first..)) {
            if full {
                break;
            }
            let wanted = query.sessions.as_ref().is_none_or(|sessions| {
                event
                    .session
                    .as_ref()
                    .is_some_and(|session| sessions.contains(session))
            });
            if wanted && query.kinds.has(event.kind) {
                page.events.push(event.clone());
            }
            page.next = *seq;
            full = page.events.len() >= limit || looked_at >= MAX_EVENTS_LOOKED_AT;
        }
        if !full {
            page.next = page.next.max(self.newest);
        }
        page.more = page.next < self.newest;
        page
    }

    pub(super) fn newest(&self) -> i64 {
        self.newest
    }

    /// Drops old events; how many, and up to where.
    fn trim(&mut self, trim: &TrimEvents, owed: Option<i64>) -> (u64, i64) {
        let beyond = |keep: u64| {
            self.newest
                .saturating_sub(i64::try_from(keep).unwrap_or(i64::MAX))
        };
        let may_go = rules::may_go(trim, self.newest, owed);
        let go: Vec<i64> = self
            .events
            .values()
            .take(trim.limit as usize)
            .take_while(|event| {
                event.seq <= may_go && (event.seq <= beyond(trim.keep) || event.at < trim.before)
            })
            .map(|event| event.seq)
            .collect();
        for seq in &go {
            if let Some(Event {
                session: Some(session),
                data: EventData::Happening(happening),
                ..
            }) = self.events.remove(seq)
            {
                self.happenings.remove(&(session, happening.key()));
            }
            self.dropped_upto = self.dropped_upto.max(*seq);
        }
        (go.len() as u64, go.last().copied().unwrap_or(0))
    }
}

impl State {
    fn keep_happening(
        &mut self,
        session: &SessionId,
        happening: Happening,
    ) -> Result<bool, StoreError> {
        self.known(session)?;
        Ok(self.log.keep(session, happening))
    }

    fn tell(&mut self, told: Told, at: UnixMs) -> Result<(), StoreError> {
        if let Some(session) = told.session() {
            self.known(session)?;
        }
        let (kind, session) = (told.kind(), told.session().cloned());
        self.log.tell(kind, session.as_ref(), at, told.into_data());
        Ok(())
    }
}

#[async_trait]
impl EventLog for MemoryStore {
    async fn keep_happening(
        &self,
        session: &SessionId,
        happening: Happening,
        _at: UnixMs,
    ) -> Result<bool, StoreError> {
        self.with(|state| state.keep_happening(session, happening))
    }

    async fn tell(&self, told: Told, at: UnixMs) -> Result<(), StoreError> {
        self.with(|state| state.tell(told, at))
    }

    async fn events(&self, query: EventQuery) -> Result<EventPage, StoreError> {
        self.with(|state| Ok(state.log.page(&query)))
    }

    async fn event_span(&self) -> Result<EventSpan, StoreError> {
        self.with(|state| {
            Ok(EventSpan {
                dropped_upto: state.log.dropped_upto,
                newest: state.log.newest,
            })
        })
    }

    async fn events_beyond(&self, position: i64) -> Result<i64, StoreError> {
        let mut told = self.with(|state| Ok(state.log.told.subscribe()))?;
        let newest = told.wait_for(|newest| *newest > position).await;
        newest.map(|newest| *newest).map_err(|_| StoreError::Closed)
    }

    async fn trim_events(&self, trim: TrimEvents) -> Result<Trimmed, StoreError> {
        self.with(|state| {
            let owed = state.endpoints.owed();
            let (events, upto) = state.log.trim(&trim, owed);
            let missed = state.endpoints.pass(upto);
            for (id, missed) in &missed {
                state.tell(rules::gap(id, *missed), trim.at)?;
            }
            Ok(Trimmed {
                events,
                rows: u32::try_from(events).unwrap_or(u32::MAX),
                missed,
            })
        })
    }
}
