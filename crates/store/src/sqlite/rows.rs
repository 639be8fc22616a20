//! How a message lies in its table, and how it is read back.

use super::error::Error;
use super::queue::Spot;
use super::sessions;
use super::writer::Tx;
use crate::rules::Standing;
use rusqlite::types::Type;
use rusqlite::{Connection, Row};
use std::error::Error as StdError;
use std::str::FromStr;
use steadfast_core::ids::{LoginGeneration, MessageId, SessionId};
use steadfast_core::outbox::{Ack, Attempt, Message, Priority, Status};
use steadfast_core::port::MessageQuery;
use steadfast_core::time::UnixMs;

/// A query for whole messages, as [`message`] reads them. A message whose
/// session is being removed cannot be seen.
macro_rules! select_message {
    ($rest:literal) => {
        concat!(
            "SELECT m.seq, m.id, m.wa_message_id, s.name, m.chat, m.body, m.accepted_at, ",
            "m.expires_at, m.status, m.reason, m.detail, m.attempts, m.due_at, m.updated_at, ",
            "m.login, m.server_at, m.device_at, m.read_at, m.played_at, m.lane ",
            "FROM messages m JOIN sessions s ON s.sid = m.sid AND s.name IS NOT NULL ",
            $rest
        )
    };
}

/// The same for what changes of a message, as [`entry`] reads it.
macro_rules! select_entry {
    ($rest:literal) => {
        concat!(
            "SELECT m.seq, m.sid, m.chat, m.status, m.reason, m.detail, m.attempts, m.due_at, ",
            "m.updated_at, m.login, m.server_at, m.device_at, m.read_at, m.played_at, m.lane ",
            "FROM messages m JOIN sessions s ON s.sid = m.sid AND s.name IS NOT NULL ",
            $rest
        )
    };
}

pub(super) use {select_entry, select_message};

/// A message as the queue knows it: its place, and where it stands.
pub(super) struct Entry {
    pub(super) seq: i64,
    pub(super) sid: i64,
    pub(super) chat: String,
    pub(super) lane: u8,
    pub(super) standing: Standing,
}

impl Entry {
    /// Its place in the queue.
    pub(super) fn spot(&self) -> Spot<'_> {
        Spot {
            sid: self.sid,
            chat: &self.chat,
            lane: self.lane,
            seq: self.seq,
        }
    }
}

/// Reads a row of [`select_message`].
pub(super) fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    let standing = standing(row, 8)?;
    Ok(Message {
        seq: row.get(0)?,
        id: parsed(row, 1)?,
        wa_message_id: parsed(row, 2)?,
        session: parsed(row, 3)?,
        to: parsed(row, 4)?,
        body: serde_json::from_str(row.get_ref(5)?.as_str()?).map_err(|error| damaged(5, error))?,
        status: standing.status,
        reason: standing.reason,
        detail: standing.detail,
        attempts: standing.attempts,
        priority: priority(row, 19)?,
        accepted_at: UnixMs(row.get(6)?),
        due_at: standing.due_at,
        expires_at: row.get::<_, Option<i64>>(7)?.map(UnixMs),
        updated_at: standing.updated_at,
        login: standing.login,
        acks: standing.acks,
    })
}

/// Reads a row of [`select_entry`].
pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        seq: row.get(0)?,
        sid: row.get(1)?,
        chat: row.get(2)?,
        lane: row.get(14)?,
        standing: standing(row, 3)?,
    })
}

fn priority(row: &Row<'_>, column: usize) -> rusqlite::Result<Priority> {
    let lane = row.get(column)?;
    Priority::of_lane(lane).ok_or_else(|| damaged(column, format!("{lane} is no lane")))
}

/// Reads what changes of a message, from column `first` on.
fn standing(row: &Row<'_>, first: usize) -> rusqlite::Result<Standing> {
    let status = row.get_ref(first)?.as_str()?;
    let status =
        Status::parse(status).ok_or_else(|| damaged(first, format!("{status:?} is no status")))?;
    let mut acks = Vec::new();
    for (offset, ack) in [Ack::Server, Ack::Device, Ack::Read, Ack::Played]
        .into_iter()
        .enumerate()
    {
        if let Some(at) = row.get::<_, Option<i64>>(first + 7 + offset)? {
            acks.push((ack, UnixMs(at)));
        }
    }
    Ok(Standing {
        status,
        reason: row.get(first + 1)?,
        detail: row.get(first + 2)?,
        attempts: row.get(first + 3)?,
        due_at: UnixMs(row.get(first + 4)?),
        updated_at: UnixMs(row.get(first + 5)?),
        login: row
            .get::<_, Option<i64>>(first + 6)?
            .map(|login| LoginGeneration(login.cast_unsigned())),
        acks,
    })
}

/// Writes where a message stands now.
pub(super) fn write_standing(
    tx: &Tx<'_>,
    seq: i64,
    standing: &Standing,
) -> Result<(), rusqlite::Error> {
    let known_at = |wanted: Ack| {
        let found = standing.acks.iter().find(|(ack, _)| *ack == wanted);
        found.map(|(_, at)| at.0)
    };
    tx.run(
        "UPDATE messages SET status = ?2, reason = ?3, detail = ?4, attempts = ?5, due_at = ?6,
         updated_at = ?7, login = ?8, server_at = ?9, device_at = ?10, read_at = ?11,
         played_at = ?12 WHERE seq = ?1",
        (
            seq,
            standing.status.as_str(),
            &standing.reason,
            &standing.detail,
            standing.attempts,
            standing.due_at.0,
            standing.updated_at.0,
            standing.login.map(|login| login.0.cast_signed()),
            known_at(Ack::Server),
            known_at(Ack::Device),
            known_at(Ack::Read),
            known_at(Ack::Played),
        ),
    )?;
    Ok(())
}

/// One message by our id.
pub(super) fn by_id(db: &Connection, id: &MessageId) -> Result<Option<Message>, rusqlite::Error> {
    use rusqlite::OptionalExtension as _;
    db.prepare_cached(select_message!("WHERE m.id = ?1"))?
        .query_row((id.as_str(),), message)
        .optional()
}

/// One message by its position.
pub(super) fn by_seq(db: &Connection, seq: i64) -> Result<Option<Message>, rusqlite::Error> {
    use rusqlite::OptionalExtension as _;
    db.prepare_cached(select_message!("WHERE m.seq = ?1"))?
        .query_row((seq,), message)
        .optional()
}

/// A page of a session's messages.
pub(super) fn page(
    db: &mut Connection,
    session: &SessionId,
    query: &MessageQuery,
) -> Result<Vec<Message>, Error> {
    // One view of the data: a message must not change its status between two reads.
    let view = db.transaction()?;
    let Some(sid) = sessions::find(&view, session)? else {
        return Ok(Vec::new());
    };
    let mut positions = Vec::new();
    {
        let newest_first = query.before.is_some();
        let before = query.before.unwrap_or(i64::MAX);
        let mut of_status = view.prepare_cached(if newest_first {
            "SELECT seq FROM messages INDEXED BY messages_by_status
             WHERE sid = ?1 AND status = ?2 AND lane = ?3 AND seq > ?4 AND seq < ?5
             ORDER BY seq DESC LIMIT ?6"
        } else {
            "SELECT seq FROM messages INDEXED BY messages_by_status
             WHERE sid = ?1 AND status = ?2 AND lane = ?3 AND seq > ?4 AND seq < ?5
             ORDER BY seq LIMIT ?6"
        })?;
        // The index is by status and lane, and one by one they are asked: the
        // cost is that of the page, however many messages there are.
        for status in Status::ALL {
            for lane in Priority::ALL.map(Priority::lane) {
                if query.status.is_none_or(|wanted| wanted == status) {
                    let after = query.after;
                    let asked = (sid, status.as_str(), lane, after, before, query.limit);
                    for seq in of_status.query_map(asked, |row| row.get::<_, i64>(0))? {
                        positions.push(seq?);
                    }
                }
            }
        }
    }
    positions.sort_unstable();
    if query.before.is_some() {
        positions.reverse();
    }
    positions.truncate(query.limit as usize);
    let mut page = Vec::with_capacity(positions.len());
    for seq in positions {
        page.extend(by_seq(&view, seq)?);
    }
    Ok(page)
}

/// The attempts of one message.
pub(super) fn attempts(db: &Connection, id: &MessageId) -> Result<Vec<Attempt>, rusqlite::Error> {
    db.prepare_cached(
        "SELECT a.number, a.started_at, a.ended_at, a.outcome, a.detail
         FROM messages m JOIN sessions s ON s.sid = m.sid AND s.name IS NOT NULL
         JOIN attempts a ON a.seq = m.seq WHERE m.id = ?1 ORDER BY a.number",
    )?
    .query_map((id.as_str(),), |row| {
        Ok(Attempt {
            number: row.get(0)?,
            started_at: UnixMs(row.get(1)?),
            ended_at: row.get::<_, Option<i64>>(2)?.map(UnixMs),
            outcome: row.get(3)?,
            detail: row.get(4)?,
        })
    })?
    .collect()
}

/// For each message the one of its chat that goes before it, where there is one.
pub(super) fn ahead_of(
    db: &mut Connection,
    ids: &[MessageId],
) -> Result<Vec<Option<MessageId>>, rusqlite::Error> {
    use rusqlite::OptionalExtension as _;
    let view = db.transaction()?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let entry = view
            .prepare_cached(select_entry!("WHERE m.id = ?1"))?
            .query_row((id.as_str(),), entry)
            .optional()?
            .filter(|entry| entry.standing.status.is_owed());
        let ahead = match entry {
            Some(entry) => super::queue::ahead(&view, entry.spot())?,
            None => None,
        };
        found.push(match ahead {
            Some(seq) => view
                .prepare_cached("SELECT id FROM messages WHERE seq = ?1")?
                .query_row((seq,), |row| parsed(row, 0))
                .optional()?,
            None => None,
        });
    }
    Ok(found)
}

/// Reads an id again that was checked when it was stored.
pub(super) fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: StdError + Send + Sync + 'static,
{
    row.get_ref(column)?
        .as_str()?
        .parse()
        .map_err(|error: T::Err| damaged(column, error))
}

/// A value that we would not have written.
pub(super) fn damaged(
    column: usize,
    error: impl Into<Box<dyn StdError + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}
