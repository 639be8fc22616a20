//! Inbound messages and incidents.

use super::error::Error;
use super::rows::{damaged, parsed};
use super::writer::{NewEvent, Tx};
use super::{events, sessions};
use crate::rules::{self, MAX_INCIDENTS_KEPT};
use rusqlite::{Connection, OptionalExtension as _, Row};
use steadfast_core::event::{self, EventKind};
use steadfast_core::ids::{ChatId, MediaId, MessageKey, SessionId, WaMessageId};
use steadfast_core::inbound::{Extras, InboundMessage};
use steadfast_core::port::{Incident, StoreError, StoredInbound};
use steadfast_core::time::UnixMs;

/// A query for inbound messages, as [`stored_inbound`] reads them.
macro_rules! select_inbound {
    ($rest:literal) => {
        concat!(
            "SELECT seq, stored_at, wa_message_id, chat, sender, from_me, kind, text, sent_at, ",
            "recovered, extras, file FROM inbound ",
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
        "SELECT 1 FROM inbound WHERE sid = ?1 AND chat IN (?2, ?3) AND wa_message_id = ?4",
        (
            sid,
            message.chat.as_str(),
            message.chat_also.as_ref().map(ChatId::as_str),
            message.wa_message_id.as_str(),
        ),
        |_| Ok(()),
    )?;
    if known.is_some() || (message.from_me && is_ours(tx, sid, message)?) {
        return Ok(false);
    }
    let extras = (!message.extras.is_empty())
        .then(|| serde_json::to_string(&message.extras))
        .transpose()
        .map_err(|error| StoreError::Failed(error.to_string()))?;
    tx.run(
        "INSERT INTO inbound (sid, chat, wa_message_id, sender, from_me, kind, text, sent_at,
         recovered, stored_at, extras) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
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
            extras,
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

/// The whole key of a message that went out, or came in to this chat.
pub(super) fn message_key(
    db: &Connection,
    session: &SessionId,
    chat: &ChatId,
    id: &WaMessageId,
) -> Result<Option<MessageKey>, rusqlite::Error> {
    let Some(sid) = sessions::find(db, session)? else {
        return Ok(None);
    };
    let ours = db
        .prepare_cached(
            "SELECT chat FROM messages INDEXED BY messages_by_wa
             WHERE sid = ?1 AND wa_message_id = ?2 AND attempts > 0 LIMIT 1",
        )?
        .query_row((sid, id.as_str()), |row| parsed(row, 0))
        .optional()?;
    if let Some(chat) = ours {
        return Ok(Some(MessageKey {
            chat,
            id: id.clone(),
            from_me: true,
            participant: None,
        }));
    }
    db.prepare_cached(
        "SELECT sender, from_me FROM inbound WHERE sid = ?1 AND chat = ?2 AND wa_message_id = ?3",
    )?
    .query_row((sid, chat.as_str(), id.as_str()), |row| {
        let sender = parsed(row, 0)?;
        Ok(MessageKey {
            chat: chat.clone(),
            id: id.clone(),
            from_me: row.get(1)?,
            participant: chat.is_group().then_some(sender),
        })
    })
    .optional()
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

/// One inbound message.
pub(super) fn inbound_message(
    db: &Connection,
    session: &SessionId,
    chat: &ChatId,
    id: &WaMessageId,
) -> Result<Option<StoredInbound>, rusqlite::Error> {
    let Some(sid) = sessions::find(db, session)? else {
        return Ok(None);
    };
    db.prepare_cached(select_inbound!(
        "WHERE sid = ?1 AND chat = ?2 AND wa_message_id = ?3"
    ))?
    .query_row((sid, chat.as_str(), id.as_str()), stored_inbound)
    .optional()
}

/// Reads a row of [`select_inbound`].
fn stored_inbound(row: &Row<'_>) -> rusqlite::Result<StoredInbound> {
    let extras = match row.get_ref(10)?.as_str_or_null()? {
        Some(json) => serde_json::from_str(json).map_err(|error| damaged(10, error))?,
        None => Extras::default(),
    };
    let file: Option<String> = row.get(11)?;
    Ok(StoredInbound {
        seq: row.get(0)?,
        stored_at: UnixMs(row.get(1)?),
        file: file
            .map(|id| MediaId::parse(&id).map_err(|error| damaged(11, error)))
            .transpose()?,
        message: InboundMessage {
            wa_message_id: parsed(row, 2)?,
            chat: parsed(row, 3)?,
            chat_also: None,
            sender: parsed(row, 4)?,
            from_me: row.get(5)?,
            kind: row.get(6)?,
            text: row.get(7)?,
            sent_at: UnixMs(row.get(8)?),
            recovered: row.get(9)?,
            extras,
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
