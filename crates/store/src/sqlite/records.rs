//! Inbound messages and incidents.

use super::error::Error;
use super::rows::{damaged, parsed};
use super::writer::{NewEvent, Tx};
use super::{events, sessions};
use crate::rules::{self, MAX_INCIDENTS_KEPT};
use rusqlite::{Connection, OptionalExtension as _, Row};
use steadfast_core::event::{self, EventKind};
use steadfast_core::ids::SessionId;
use steadfast_core::inbound::{Extras, InboundMessage};
use steadfast_core::port::{Incident, StoredInbound};
use steadfast_core::time::UnixMs;

/// A query for inbound messages, as [`stored_inbound`] reads them.
macro_rules! select_inbound {
    ($rest:literal) => {
        concat!(
            "SELECT seq, stored_at, wa_message_id, chat, sender, from_me, kind, text, sent_at, ",
            "recovered FROM inbound ",
            $rest
        )
    };
}

/// Whether a message that this account sent went out by our own outbox: a page
/// that has been loaded anew does not know that.
fn is_ours(tx: &Tx<'_>, sid: i64, message: &InboundMessage) -> Result<bool, Error> {
    let found = tx.one(
        "SELECT 1 FROM messages INDEXED BY messages_by_wa
         WHERE sid = ?1 AND wa_message_id = ?2 AND attempts > 0 LIMIT 1",
        (sid, message.wa_message_id.as_str()),
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Keeps an inbound message; `false` where it was kept before, or is one of
/// our own outbox.
pub(super) fn keep_inbound(
    tx: &mut Tx<'_>,
    session: &SessionId,
    message: &InboundMessage,
    at: UnixMs,
) -> Result<bool, Error> {
    let sid = sessions::sid(tx.db, session)?;
    let known = tx.one(
        "SELECT 1 FROM inbound WHERE sid = ?1 AND chat = ?2 AND wa_message_id = ?3",
        (sid, message.chat.as_str(), message.wa_message_id.as_str()),
        |_| Ok(()),
    )?;
    if known.is_some() || (message.from_me && is_ours(tx, sid, message)?) {
        return Ok(false);
    }
    tx.run(
        "INSERT INTO inbound (sid, chat, wa_message_id, sender, from_me, kind, text, sent_at,
         recovered, stored_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        (
            sid,
            message.chat.as_str(),
            message.wa_message_id.as_str(),
            message.sender.as_str(),
            message.from_me,
            &message.kind,
            &message.text,
            message.sent_at.0,
            message.recovered,
            at.0,
        ),
    )?;
    let kind = if message.from_me {
        EventKind::MessageSentElsewhere
    } else {
        EventKind::MessageReceived
    };
    let seq = tx.db.last_insert_rowid();
    tx.event(&NewEvent {
        sid: Some(sid),
        reference: Some(seq),
        ..NewEvent::of(kind, at)
    })?;
    Ok(true)
}

/// What a surface keeps beside a session.
pub(super) fn note(
    db: &Connection,
    session: &SessionId,
    name: &str,
) -> Result<Option<String>, rusqlite::Error> {
    db.prepare_cached(
        "SELECT text FROM notes WHERE sid = (SELECT sid FROM sessions WHERE name = ?1) AND name = ?2",
    )?
    .query_row((session.as_str(), name), |row| row.get(0))
    .optional()
}

/// Keeps such a text, or forgets it.
pub(super) fn set_note(
    tx: &Tx<'_>,
    session: &SessionId,
    name: &str,
    text: Option<&str>,
) -> Result<(), Error> {
    let sid = sessions::sid(tx.db, session)?;
    match text {
        Some(text) => tx.run(
            "INSERT INTO notes (sid, name, text) VALUES (?1, ?2, ?3)
             ON CONFLICT (sid, name) DO UPDATE SET text = excluded.text",
            (sid, name, text),
        )?,
        None => tx.run(
            "DELETE FROM notes WHERE sid = ?1 AND name = ?2",
            (sid, name),
        )?,
    };
    Ok(())
}

/// A page of inbound messages.
pub(super) fn inbound(
    db: &Connection,
    session: &SessionId,
    after: i64,
    limit: u32,
) -> Result<Vec<StoredInbound>, rusqlite::Error> {
    let Some(sid) = sessions::find(db, session)? else {
        return Ok(Vec::new());
    };
    db.prepare_cached(select_inbound!(
        "WHERE sid = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
    ))?
    .query_map((sid, after, limit), stored_inbound)?
    .collect()
}

/// One inbound message by its position.
pub(super) fn inbound_by_seq(
    db: &Connection,
    seq: i64,
) -> Result<Option<StoredInbound>, rusqlite::Error> {
    db.prepare_cached(select_inbound!("WHERE seq = ?1"))?
        .query_row((seq,), stored_inbound)
        .optional()
}

/// Reads a row of [`select_inbound`].
fn stored_inbound(row: &Row<'_>) -> rusqlite::Result<StoredInbound> {
    Ok(StoredInbound {
        seq: row.get(0)?,
        stored_at: UnixMs(row.get(1)?),
        message: InboundMessage {
            wa_message_id: parsed(row, 2)?,
            chat: parsed(row, 3)?,
            sender: parsed(row, 4)?,
            from_me: row.get(5)?,
            kind: row.get(6)?,
            text: row.get(7)?,
            sent_at: UnixMs(row.get(8)?),
            recovered: row.get(9)?,
            extras: Extras::default(),
        },
    })
}

/// Writes an incident as it stands now; the oldest ones beyond the bound go.
pub(super) fn put_incident(tx: &mut Tx<'_>, incident: &Incident, json: &str) -> Result<(), Error> {
    let sid = sessions::sid(tx.db, &incident.session)?;
    let before = tx.one(
        "SELECT incident ->> '$.closed_at' IS NOT NULL FROM incidents WHERE sid = ?1 AND id = ?2",
        (sid, &incident.id),
        |row| row.get(0),
    )?;
    let told = event::told_of_incident(before, incident.closed_at.is_some());
    if !told.is_empty() {
        let data = events::json(&rules::told(incident))?;
        for kind in told {
            let closed = (*kind == EventKind::IncidentClosed).then_some(incident.closed_at);
            tx.event(&NewEvent {
                sid: Some(sid),
                data: Some(&data),
                ..NewEvent::of(*kind, closed.flatten().unwrap_or(incident.opened_at))
            })?;
        }
    }
    tx.run(
        "INSERT INTO incidents (sid, id, incident) VALUES (?1, ?2, ?3)
         ON CONFLICT (sid, id) DO UPDATE SET incident = ?3",
        (sid, &incident.id, json),
    )?;
    tx.run(
        "DELETE FROM incidents WHERE sid = ?1 AND id <=
         (SELECT id FROM incidents WHERE sid = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        (sid, MAX_INCIDENTS_KEPT),
    )?;
    Ok(())
}

/// The newest incidents of a session, newest first.
pub(super) fn incidents(
    db: &Connection,
    session: &SessionId,
    before: Option<&str>,
    limit: u32,
) -> Result<Vec<Incident>, rusqlite::Error> {
    let Some(sid) = sessions::find(db, session)? else {
        return Ok(Vec::new());
    };
    db.prepare_cached(
        "SELECT incident FROM incidents WHERE sid = ?1 AND (?2 IS NULL OR id < ?2)
         ORDER BY id DESC LIMIT ?3",
    )?
    .query_map((sid, before, limit), |row| {
        serde_json::from_str(row.get_ref(0)?.as_str()?).map_err(|error| damaged(0, error))
    })?
    .collect()
}

/// Writes something, so that it shows whether writing works.
pub(super) fn check(tx: &Tx<'_>) -> Result<(), rusqlite::Error> {
    tx.run("UPDATE store SET checks = checks + 1", ())?;
    Ok(())
}
