//! The log of events: how a row comes to be, and how it is read back.
//!
//! A row says as little as it can and refers to what it tells of. Accepted
//! messages cost least: those that one transaction accepts one after the other
//! are told by one row, written before anything else that the transaction tells.

use super::SqliteStore;
use super::error::Error;
use super::rows::{damaged, parsed};
use super::writer::{NewEvent, Tx};
use super::{records, sessions};
use crate::rules::{self, MAX_EVENTS_LOOKED_AT};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row};
use std::collections::BTreeMap;
use steadfast_core::event::{self, Event, EventData, EventKind, MessageMoved, Told};
use steadfast_core::ids::{EventId, SessionId, WebhookId};
use steadfast_core::inbound::Happening;
use steadfast_core::port::{
    EventLog, EventPage, EventQuery, EventSpan, StoreError, TrimEvents, Trimmed,
};
use steadfast_core::time::UnixMs;

#[async_trait]
impl EventLog for SqliteStore {
    async fn keep_happening(
        &self,
        session: &SessionId,
        happening: Happening,
        at: UnixMs,
    ) -> Result<bool, StoreError> {
        let session = session.clone();
        self.write(move |tx| keep_happening(tx, &session, &happening, at))
            .await
    }

    async fn tell(&self, told: Told, at: UnixMs) -> Result<(), StoreError> {
        self.write(move |tx| tell(tx, &told, at)).await
    }

    async fn events(&self, query: EventQuery) -> Result<EventPage, StoreError> {
        self.read(move |db| page(db, &query)).await
    }

    async fn event_span(&self) -> Result<EventSpan, StoreError> {
        self.read(|db| Ok(span(db)?)).await
    }

    async fn events_beyond(&self, position: i64) -> Result<i64, StoreError> {
        let mut told = self.told.clone();
        let newest = told.wait_for(|newest| *newest > position).await;
        newest.map(|newest| *newest).map_err(|_| StoreError::Closed)
    }

    async fn trim_events(&self, what: TrimEvents) -> Result<Trimmed, StoreError> {
        self.write(move |tx| trim(tx, &what)).await
    }
}

/// The newest position that was ever given out.
pub(super) fn newest(db: &Connection) -> Result<i64, rusqlite::Error> {
    let newest = db
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'events'")?
        .query_row((), |row| row.get(0))
        .optional()?;
    Ok(newest.unwrap_or(0))
}

/// How far the log goes.
pub(super) fn span(db: &mut Connection) -> Result<EventSpan, rusqlite::Error> {
    let view = db.transaction()?;
    Ok(EventSpan {
        dropped_upto: view
            .prepare_cached("SELECT events_dropped_upto FROM store")?
            .query_row((), |row| row.get(0))?,
        newest: newest(&view)?,
    })
}

/// Keeps what happened to a message or group.
pub(super) fn keep_happening(
    tx: &mut Tx<'_>,
    session: &SessionId,
    happening: &Happening,
    at: UnixMs,
) -> Result<bool, Error> {
    let sid = sessions::sid(tx.db, session)?;
    let key = happening.key();
    let known = tx.one(
        "SELECT 1 FROM events WHERE sid = ?1 AND key = ?2",
        (sid, &key),
        |_| Ok(()),
    )?;
    if known.is_some() {
        return Ok(false);
    }
    let data = json(&EventData::Happening(happening.clone()))?;
    tx.event(&NewEvent {
        sid: Some(sid),
        key: Some(&key),
        data: Some(&data),
        ..NewEvent::of(event::kind_of(happening), at)
    })?;
    Ok(true)
}

/// Tells what no other write tells.
pub(super) fn tell(tx: &mut Tx<'_>, told: &Told, at: UnixMs) -> Result<(), Error> {
    let sid = match told.session() {
        Some(session) => Some(sessions::sid(tx.db, session)?),
        None => None,
    };
    let data = json(&told.clone().into_data())?;
    tx.event(&NewEvent {
        sid,
        data: Some(&data),
        ..NewEvent::of(told.kind(), at)
    })?;
    Ok(())
}

/// Particulars, as they lie in a row.
pub(super) fn json(data: &EventData) -> Result<String, Error> {
    serde_json::to_string(data).map_err(|error| StoreError::Failed(error.to_string()).into())
}

/// Why a message moved, as it lies in a row; nothing where nothing is known.
pub(super) fn why(reason: Option<&str>, detail: Option<&str>) -> Option<String> {
    let known = reason.is_some() || detail.is_some();
    known.then(|| serde_json::json!([reason, detail]).to_string())
}

/// A row as it lies there.
struct Stored {
    seq: i64,
    kind: EventKind,
    count: i64,
    sid: Option<i64>,
    reference: Option<i64>,
    at: UnixMs,
    key: Option<String>,
    data: Option<String>,
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let code: i64 = row.get(1)?;
    let kind = u8::try_from(code).ok().and_then(EventKind::from_code);
    Ok(Stored {
        seq: row.get(0)?,
        kind: kind.ok_or_else(|| damaged(1, format!("{code} is no kind of event")))?,
        count: row.get(2)?,
        sid: row.get(3)?,
        reference: row.get(4)?,
        at: UnixMs(row.get(5)?),
        key: row.get(6)?,
        data: row.get(7)?,
    })
}

/// Reads a piece of the log, in one view of the data.
pub(super) fn page(db: &mut Connection, query: &EventQuery) -> Result<EventPage, Error> {
    let view = db.transaction()?;
    let (salt, dropped_upto): (Vec<u8>, i64) = view
        .prepare_cached("SELECT salt, events_dropped_upto FROM store")?
        .query_row((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let newest = newest(&view)?;
    if query.after > newest {
        return Ok(rules::no_such_position(newest));
    }
    let mut reader = Reader {
        db: &view,
        salt,
        query,
        names: sessions::names(&view)?,
        page: EventPage {
            events: Vec::new(),
            next: query.after,
            more: false,
            gap: query.after < dropped_upto,
        },
        looked_at: 0,
    };
    let mut select = view.prepare_cached(
        "SELECT seq, kind, count, sid, ref, at, key, data FROM events WHERE seq > ?1 ORDER BY seq",
    )?;
    let mut rows = select.query((query.after,))?;
    let mut full = query.limit == 0;
    while !full {
        let Some(row) = rows.next()? else { break };
        full = reader.take(&stored(row)?)?;
    }
    let mut page = reader.page;
    if !full {
        // Nothing is behind it, not even where rows at the end are gone.
        page.next = page.next.max(newest);
    }
    page.more = page.next < newest;
    Ok(page)
}

struct Reader<'a> {
    db: &'a Connection,
    salt: Vec<u8>,
    query: &'a EventQuery,
    names: BTreeMap<i64, SessionId>,
    page: EventPage,
    looked_at: u32,
}

impl Reader<'_> {
    /// Takes one row; whether that is enough.
    fn take(&mut self, row: &Stored) -> Result<bool, Error> {
        let first = row.seq - row.count + 1;
        for seq in first.max(self.query.after + 1)..=row.seq {
            if self.query.kinds.has(row.kind)
                && let Some(event) = self.read(row, seq)?
            {
                self.page.events.push(event);
            }
            self.page.next = seq;
            self.looked_at += 1;
            let full = self.page.events.len() >= self.query.limit as usize;
            if full || self.looked_at >= MAX_EVENTS_LOOKED_AT {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The event at this position; `None` where it is not asked for, or what
    /// it told of is gone.
    fn read(&self, row: &Stored, seq: i64) -> Result<Option<Event>, Error> {
        let known = row.sid.map(|sid| self.names.get(&sid).cloned());
        let mut session = match known {
            None => None,
            Some(Some(name)) => Some(name),
            // Its session is removed.
            Some(None) => return Ok(None),
        };
        if session.is_some() && !self.wanted(session.as_ref()) {
            return Ok(None);
        }
        let mut at = row.at;
        let data = match (row.reference, row.kind) {
            (Some(last), kind) if kind.status().is_some() => {
                let Some((name, moved)) = self.message(row, last - (row.seq - seq))? else {
                    return Ok(None);
                };
                if row.kind == EventKind::MessageAccepted {
                    at = moved.accepted_at;
                }
                session = Some(name);
                EventData::Message(moved)
            }
            (Some(inbound), _) => match records::inbound_by_seq(self.db, inbound)? {
                Some(message) => EventData::Received(Box::new(message)),
                None => return Ok(None),
            },
            (None, EventKind::SessionDeleted) => {
                let name = row.key.as_deref().map(SessionId::parse);
                session = name.transpose().map_err(|error| damaged(6, error))?;
                EventData::Nothing
            }
            (None, _) => match &row.data {
                Some(data) => serde_json::from_str(data).map_err(|error| damaged(7, error))?,
                None => EventData::Nothing,
            },
        };
        if !self.wanted(session.as_ref()) {
            return Ok(None);
        }
        // What is told more than once has a name of its own; all else is named by its place.
        let unique = match (&session, &row.key, row.kind) {
            (_, _, EventKind::SessionDeleted) | (_, None, _) | (None, _, _) => {
                rules::unique_by_place(&self.salt, seq)
            }
            (Some(session), Some(key), _) => rules::unique_by_name(&self.salt, session, key),
        };
        if let EventData::Happening(happening) = &data
            && row.key.is_some()
        {
            at = happening.at();
        }
        Ok(Some(Event {
            seq,
            id: EventId::mint(at, unique),
            kind: row.kind,
            session,
            at,
            data,
        }))
    }

    fn wanted(&self, session: Option<&SessionId>) -> bool {
        match (&self.query.sessions, session) {
            (None, _) => true,
            (Some(wanted), Some(session)) => wanted.contains(session),
            (Some(_), None) => false,
        }
    }

    fn message(&self, row: &Stored, seq: i64) -> Result<Option<(SessionId, MessageMoved)>, Error> {
        let (reason, detail): (Option<String>, Option<String>) = match &row.data {
            Some(data) => serde_json::from_str(data).map_err(|error| damaged(7, error))?,
            None => (None, None),
        };
        let Some(status) = row.kind.status() else {
            return Ok(None);
        };
        let found = self
            .db
            .prepare_cached(
                "SELECT s.name, m.id, m.wa_message_id, m.chat, m.body ->> '$.kind', m.accepted_at
                 FROM messages m JOIN sessions s ON s.sid = m.sid AND s.name IS NOT NULL
                 WHERE m.seq = ?1",
            )?
            .query_row((seq,), |row| {
                let moved = MessageMoved {
                    id: parsed(row, 1)?,
                    wa_message_id: parsed(row, 2)?,
                    to: parsed(row, 3)?,
                    kind: row.get(4)?,
                    status,
                    reason,
                    detail,
                    accepted_at: UnixMs(row.get(5)?),
                };
                Ok((parsed(row, 0)?, moved))
            })
            .optional()?;
        Ok(found)
    }
}

/// Drops old events, oldest first.
pub(super) fn trim(tx: &mut Tx<'_>, trim: &TrimEvents) -> Result<Trimmed, Error> {
    let newest = newest(tx.db)?;
    let beyond = |keep: u64| newest.saturating_sub(i64::try_from(keep).unwrap_or(i64::MAX));
    // What an endpoint is owed stays for as long as there is room for it.
    let owed: Option<i64> = tx
        .one(
            "SELECT min(cursor) FROM webhooks WHERE holds = 1",
            (),
            |row| row.get(0),
        )?
        .flatten();
    let may_go = rules::may_go(trim, newest, owed);
    let oldest: Vec<(i64, i64, UnixMs)> = tx
        .db
        .prepare_cached("SELECT seq, count, at FROM events ORDER BY seq LIMIT ?1")?
        .query_map((trim.limit,), |row| {
            Ok((row.get(0)?, row.get(1)?, UnixMs(row.get(2)?)))
        })?
        .collect::<Result<_, rusqlite::Error>>()?;
    let (mut upto, mut trimmed) = (0, Trimmed::default());
    for (seq, count, at) in oldest {
        if seq > may_go || (seq > beyond(trim.keep) && at >= trim.before) {
            break;
        }
        upto = seq;
        trimmed.events += count.cast_unsigned();
        trimmed.rows += 1;
    }
    if upto > 0 {
        tx.run("DELETE FROM events WHERE seq <= ?1", (upto,))?;
        tx.run(
            "UPDATE store SET events_dropped_upto = max(events_dropped_upto, ?1)",
            (upto,),
        )?;
        trimmed.missed = pass(tx, upto)?;
        for (id, missed) in &trimmed.missed {
            tell(tx, &rules::gap(id, *missed), trim.at)?;
        }
    }
    Ok(trimmed)
}

/// Moves endpoints on that had not been given everything up to here; who missed how many.
fn pass(tx: &Tx<'_>, upto: i64) -> Result<Vec<(WebhookId, u64)>, Error> {
    let missed = tx
        .db
        .prepare_cached("SELECT id, cursor FROM webhooks WHERE holds = 1 AND cursor < ?1")?
        .query_map((upto,), |row| {
            Ok((
                parsed(row, 0)?,
                (upto - row.get::<_, i64>(1)?).cast_unsigned(),
            ))
        })?
        .collect::<Result<Vec<_>, rusqlite::Error>>()?;
    if !missed.is_empty() {
        tx.run(
            "UPDATE webhooks SET cursor = ?1 WHERE holds = 1 AND cursor < ?1",
            (upto,),
        )?;
    }
    Ok(missed)
}
