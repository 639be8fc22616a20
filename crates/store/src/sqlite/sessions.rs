//! Sessions: who owns their messages, how full their outbox is, and how they go.

use super::error::Error;
use super::queue;
use super::rows::{damaged, parsed};
use super::writer::{Job, NewEvent, Tx};
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::BTreeMap;
use steadfast_core::event::EventKind;
use steadfast_core::ids::{Fence, LoginGeneration, SessionId};
use steadfast_core::port::{OutboxDepth, Quota, SessionRecord, StoreError};
use steadfast_core::proxy::Proxy;
use steadfast_core::time::UnixMs;

/// Rows of a removed session that are cleared away in one transaction.
const SWEPT_AT_ONCE: u32 = 500;

/// The row key of a session.
pub(super) fn sid(db: &Connection, session: &SessionId) -> Result<i64, Error> {
    find(db, session)?.ok_or_else(|| StoreError::NoSession(session.clone()).into())
}

/// The same where a missing session just means that nothing is found.
pub(super) fn find(db: &Connection, session: &SessionId) -> Result<Option<i64>, rusqlite::Error> {
    db.prepare_cached("SELECT sid FROM sessions WHERE name = ?1")?
        .query_row((session.as_str(),), |row| row.get(0))
        .optional()
}

/// The names of all sessions by their row keys.
pub(super) fn names(db: &Connection) -> Result<BTreeMap<i64, SessionId>, rusqlite::Error> {
    db.prepare_cached("SELECT sid, name FROM sessions WHERE name IS NOT NULL")?
        .query_map((), |row| Ok((row.get(0)?, parsed(row, 1)?)))?
        .collect()
}

/// The row key of a session whose messages this fence may write.
pub(super) fn owned(db: &Connection, session: &SessionId, given: Fence) -> Result<i64, Error> {
    let found = db
        .prepare_cached("SELECT sid, fence FROM sessions WHERE name = ?1")?
        .query_row((session.as_str(),), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
        .optional()?;
    let Some((sid, current)) = found else {
        return Err(StoreError::NoSession(session.clone()).into());
    };
    let current = Fence(current.cast_unsigned());
    if given == current {
        Ok(sid)
    } else {
        Err(StoreError::StaleFence { given, current }.into())
    }
}

/// Gives the session's messages to a new owner.
pub(super) fn take_fence(tx: &Tx<'_>, session: &SessionId) -> Result<Fence, Error> {
    let sid = sid(tx.db, session)?;
    let fence = next_fence(tx)?;
    tx.run(
        "UPDATE sessions SET fence = ?2 WHERE sid = ?1",
        (sid, fence),
    )?;
    queue::free_all(tx, sid)?;
    Ok(Fence(fence.cast_unsigned()))
}

fn next_fence(tx: &Tx<'_>) -> Result<i64, rusqlite::Error> {
    tx.db
        .prepare_cached("UPDATE store SET fence = fence + 1 RETURNING fence")?
        .query_row((), |row| row.get(0))
}

/// Adds a session.
pub(super) fn add(tx: &mut Tx<'_>, session: &SessionRecord) -> Result<(), Error> {
    if find(tx.db, &session.id)?.is_some() {
        return Err(StoreError::Exists.into());
    }
    // A fence that nobody holds: its messages have no owner until one takes them.
    let fence = next_fence(tx)?;
    tx.run(
        "INSERT INTO sessions (name, created_at, enabled, login, parked, fence)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            session.id.as_str(),
            session.created_at.0,
            session.enabled,
            session.login.0.cast_signed(),
            &session.parked,
            fence,
        ),
    )?;
    let sid = tx.db.last_insert_rowid();
    tx.event(&NewEvent {
        sid: Some(sid),
        ..NewEvent::of(EventKind::SessionCreated, session.created_at)
    })?;
    Ok(())
}

/// Changes a session.
pub(super) fn update(tx: &Tx<'_>, session: &SessionRecord) -> Result<(), Error> {
    let sid = sid(tx.db, &session.id)?;
    tx.run(
        "UPDATE sessions SET created_at = ?2, enabled = ?3, login = ?4, parked = ?5 WHERE sid = ?1",
        (
            sid,
            session.created_at.0,
            session.enabled,
            session.login.0.cast_signed(),
            &session.parked,
        ),
    )?;
    Ok(())
}

/// Every session, by name.
pub(super) fn all(db: &Connection) -> Result<Vec<SessionRecord>, rusqlite::Error> {
    db.prepare_cached(
        "SELECT name, created_at, enabled, login, parked FROM sessions
         WHERE name IS NOT NULL ORDER BY name",
    )?
    .query_map((), |row| {
        Ok(SessionRecord {
            id: parsed(row, 0)?,
            created_at: UnixMs(row.get(1)?),
            enabled: row.get(2)?,
            login: LoginGeneration(row.get::<_, i64>(3)?.cast_unsigned()),
            parked: row.get(4)?,
        })
    })?
    .collect()
}

/// Changes a session's proxy.
pub(super) fn set_proxy(
    tx: &Tx<'_>,
    session: &SessionId,
    proxy: Option<&Proxy>,
) -> Result<(), Error> {
    let sid = sid(tx.db, session)?;
    tx.run(
        "UPDATE sessions SET proxy = ?2 WHERE sid = ?1",
        (sid, proxy.map(Proxy::as_str)),
    )?;
    Ok(())
}

/// A session's proxy.
pub(super) fn proxy(
    db: &Connection,
    session: &SessionId,
) -> Result<Option<Proxy>, rusqlite::Error> {
    let found = db
        .prepare_cached("SELECT proxy FROM sessions WHERE name = ?1")?
        .query_row((session.as_str(),), |row| row.get::<_, Option<String>>(0))
        .optional()?;
    found
        .flatten()
        .map(|text| Proxy::parse(&text).map_err(|error| damaged(0, error)))
        .transpose()
}

/// How full a session's outbox is.
pub(super) fn depth(db: &Connection, session: &SessionId) -> Result<OutboxDepth, rusqlite::Error> {
    let depth = db
        .prepare_cached(
            "SELECT s.accepted, s.sending, s.waiting_for_a_person,
             (SELECT accepted_at FROM messages WHERE seq = (
                SELECT min((SELECT m.seq FROM messages m INDEXED BY messages_by_status
                    WHERE m.sid = s.sid AND m.status = w.column1 AND m.lane = w.column2
                    ORDER BY m.seq LIMIT 1))
                FROM (VALUES ('accepted', 0), ('accepted', 1), ('accepted', 2),
                      ('sending', 0), ('sending', 1), ('sending', 2)) w))
             FROM sessions s WHERE s.name = ?1",
        )?
        .query_row((session.as_str(),), |row| {
            Ok(OutboxDepth {
                accepted: row.get::<_, i64>(0)?.cast_unsigned(),
                sending: row.get::<_, i64>(1)?.cast_unsigned(),
                parked: row.get::<_, i64>(2)?.cast_unsigned(),
                oldest_accepted_at: row.get::<_, Option<i64>>(3)?.map(UnixMs),
            })
        })
        .optional()?;
    Ok(depth.unwrap_or_default())
}

/// When the next free head of a session is due.
pub(super) fn next_due(
    db: &mut Connection,
    session: &SessionId,
    quota: Quota,
) -> Result<Option<UnixMs>, rusqlite::Error> {
    let view = db.transaction()?;
    match find(&view, session)? {
        Some(sid) => queue::next_due(&view, sid, quota),
        None => Ok(None),
    }
}

/// Takes a session out of sight. Its rows go later, bit by bit ([`Sweep`]).
pub(super) fn remove(
    tx: &mut Tx<'_>,
    session: &SessionId,
    at: UnixMs,
) -> Result<(), rusqlite::Error> {
    let removed = tx.run(
        "UPDATE sessions SET name = NULL WHERE name = ?1",
        (session.as_str(),),
    )?;
    tx.sessions_changed();
    if removed > 0 {
        tx.run(
            "DELETE FROM deliveries WHERE session = ?1",
            (session.as_str(),),
        )?;
        tx.event(&NewEvent {
            key: Some(session.as_str()),
            ..NewEvent::of(EventKind::SessionDeleted, at)
        })?;
    }
    Ok(())
}

/// Clears away what removed sessions left behind, a bounded piece at a time,
/// until nothing is left. Ends early where the database fails; the next
/// removal, or the next start, goes on.
#[derive(Default)]
pub(super) struct Sweep {
    more: bool,
}

impl Sweep {
    /// The sweep, where there is something to sweep.
    pub(super) fn needed(db: &Connection) -> Result<Option<Box<dyn Job>>, rusqlite::Error> {
        let left = db
            .prepare_cached("SELECT 1 FROM sessions WHERE name IS NULL LIMIT 1")?
            .exists(())?;
        Ok(left.then(|| Box::new(Self::default()) as Box<dyn Job>))
    }
}

impl Job for Sweep {
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let removed: Option<i64> = tx.one(
            "SELECT sid FROM sessions WHERE name IS NULL LIMIT 1",
            (),
            |row| row.get(0),
        )?;
        self.more = removed.is_some();
        let Some(sid) = removed else { return Ok(()) };
        // Attempts and the keys of single messages go with their messages.
        for piece in [
            "DELETE FROM queue WHERE sid = ?1 AND (chat, lane, seq) IN
             (SELECT chat, lane, seq FROM queue WHERE sid = ?1 LIMIT ?2)",
            "DELETE FROM schedule WHERE sid = ?1 AND (lane, due_at, seq) IN
             (SELECT lane, due_at, seq FROM schedule WHERE sid = ?1 LIMIT ?2)",
            "DELETE FROM pace WHERE sid = ?1 AND starts_at IN
             (SELECT starts_at FROM pace WHERE sid = ?1 LIMIT ?2)",
            "DELETE FROM idempotency_keys WHERE key IN
             (SELECT key FROM idempotency_keys INDEXED BY idempotency_keys_by_session
              WHERE sid = ?1 AND seq IS NULL LIMIT ?2)",
            "DELETE FROM messages WHERE seq IN (SELECT seq FROM messages WHERE sid = ?1 LIMIT ?2)",
            "DELETE FROM inbound WHERE seq IN (SELECT seq FROM inbound WHERE sid = ?1 LIMIT ?2)",
            "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE sid = ?1 LIMIT ?2)",
            "DELETE FROM incidents WHERE rowid IN (SELECT rowid FROM incidents WHERE sid = ?1 LIMIT ?2)",
            "DELETE FROM notes WHERE sid = ?1 AND name IN
             (SELECT name FROM notes WHERE sid = ?1 LIMIT ?2)",
        ] {
            if tx.run(piece, (sid, SWEPT_AT_ONCE))? > 0 {
                return Ok(());
            }
        }
        tx.run("DELETE FROM sessions WHERE sid = ?1", (sid,))?;
        Ok(())
    }

    fn is_abandoned(&self) -> bool {
        false
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) -> Option<Box<dyn Job>> {
        match result {
            Ok(()) if self.more => Some(self),
            Ok(()) => None,
            Err(error) => {
                tracing::warn!(%error, "a removed session could not be cleared away yet");
                None
            }
        }
    }
}
