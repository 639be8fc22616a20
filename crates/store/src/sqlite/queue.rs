//! The queue table: who is next in each chat.
//!
//! Three states. Of each chat's rows exactly one is not [`State::Behind`]: it
//! is the one in flight ([`State::Claimed`]), or else the oldest, its
//! [`State::Head`]. Only heads are in the index that a claim reads, so a claim
//! costs the same however many messages wait behind them.
//!
//! A message that was just accepted has no row here: chats come at random, and
//! a page of the disk for each accept would be the dearest part of it. Claims
//! [`place`] what is new, oldest first. So whatever is not placed yet is newer
//! than all that is, in every chat, and no claim can take a later message
//! before an earlier one.
//!
//! Queries name their index: left to itself SQLite takes the primary key
//! where it should take a partial index, and reads the whole queue.

use super::writer::Tx;
use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::HashSet;
use steadfast_core::time::UnixMs;

/// New messages that are given their places in one go, and that a look at
/// what is due next goes through.
const PLACED_AT_ONCE: u32 = 64;
/// New messages that one claim gives their places at most, while it looks for
/// chats that owe something: it bounds how long others wait for the writer.
const PLACED_AT_MOST: u32 = 4_096;

/// A row's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Behind = 0,
    Head = 1,
    Claimed = 2,
}

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(*self as i64))
    }
}

impl State {
    fn read(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Self> {
        match row.get::<_, i64>(column)? {
            0 => Ok(Self::Behind),
            1 => Ok(Self::Head),
            2 => Ok(Self::Claimed),
            other => Err(super::rows::damaged(
                column,
                format!("{other} is no state of a queue row"),
            )),
        }
    }
}

type Result<T> = std::result::Result<T, rusqlite::Error>;

/// Gives so many new messages of a session their places, oldest first; how many there were.
pub(super) fn place(tx: &Tx<'_>, sid: i64, at_most: u32) -> Result<u32> {
    let mut new = fresh(tx.db, sid, at_most)?;
    let Some(last) = new.last().map(|fresh| fresh.seq) else {
        return Ok(0);
    };
    // Neighbours in the table one after the other.
    new.sort_unstable_by(|a, b| (&a.chat, a.seq).cmp(&(&b.chat, b.seq)));
    for Fresh { seq, chat, due_at } in &new {
        tx.run(
            "INSERT INTO queue (sid, chat, seq, due_at, state) VALUES (?1, ?2, ?3, ?4,
             NOT EXISTS (SELECT 1 FROM queue WHERE sid = ?1 AND chat = ?2))",
            (sid, chat, seq, due_at.0),
        )?;
    }
    tx.run(
        "UPDATE sessions SET queued_upto = ?2 WHERE sid = ?1",
        (sid, last),
    )?;
    Ok(u32::try_from(new.len()).unwrap_or(at_most))
}

/// A message that has no place yet.
struct Fresh {
    seq: i64,
    chat: String,
    due_at: UnixMs,
}

fn fresh(db: &Connection, sid: i64, at_most: u32) -> Result<Vec<Fresh>> {
    db.prepare_cached(
        "SELECT seq, chat, due_at FROM messages INDEXED BY messages_by_status
         WHERE sid = ?1 AND status = 'accepted'
         AND seq > (SELECT queued_upto FROM sessions WHERE sid = ?1) ORDER BY seq LIMIT ?2",
    )?
    .query_map((sid, at_most), |row| {
        Ok(Fresh {
            seq: row.get(0)?,
            chat: row.get(1)?,
            due_at: UnixMs(row.get(2)?),
        })
    })?
    .collect()
}

/// When the next free head of a session is due. Reads only; `db` must be in a transaction.
///
/// Where more messages are new than are worth looking at here, the answer is
/// the beginning of time: a claim is due, to place them.
pub(super) fn next_due(db: &Connection, sid: i64) -> Result<Option<UnixMs>> {
    let mut soonest = db
        .prepare_cached(
            "SELECT due_at FROM queue INDEXED BY queue_heads
             WHERE sid = ?1 AND state = 1 ORDER BY due_at LIMIT 1",
        )?
        .query_row((sid,), |row| row.get(0).map(UnixMs))
        .optional()?;
    let new = fresh(db, sid, PLACED_AT_ONCE + 1)?;
    if new.len() > PLACED_AT_ONCE as usize {
        return Ok(Some(UnixMs(0)));
    }
    let mut placed =
        db.prepare_cached("SELECT 1 FROM queue WHERE sid = ?1 AND chat = ?2 LIMIT 1")?;
    let mut seen = HashSet::new();
    for Fresh { chat, due_at, .. } in new {
        if !placed.exists((sid, &chat))? && seen.insert(chat) {
            soonest = Some(soonest.map_or(due_at, |soonest| soonest.min(due_at)));
        }
    }
    Ok(soonest)
}

/// Gives a released message its old place again, wherever that is.
pub(super) fn rejoin(tx: &Tx<'_>, sid: i64, chat: &str, seq: i64, due_at: UnixMs) -> Result<()> {
    let state = match first(tx, sid, chat)? {
        _ if claimed(tx, sid, chat)? => State::Behind,
        None => State::Head,
        Some((head, _)) if head < seq => State::Behind,
        Some((head, _)) => {
            set_state(tx, sid, chat, head, State::Behind)?;
            State::Head
        }
    };
    tx.run(
        "INSERT INTO queue (sid, chat, seq, due_at, state) VALUES (?1, ?2, ?3, ?4, ?5)",
        (sid, chat, seq, due_at.0, state),
    )?;
    Ok(())
}

/// The heads that are due, longest due first: chat and position.
pub(super) fn due(tx: &Tx<'_>, sid: i64, now: UnixMs, limit: u32) -> Result<Vec<(String, i64)>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    // Twice as many as are taken, so that what is new never waits for long
    // behind what is tried again and again.
    let mut placed = place(tx, sid, PLACED_AT_ONCE.max(limit.saturating_mul(2)))?;
    let mut total = placed;
    loop {
        let due = placed_and_due(tx, sid, now, limit)?;
        if due.len() == limit as usize || placed == 0 || total >= PLACED_AT_MOST {
            return Ok(due);
        }
        placed = place(tx, sid, PLACED_AT_ONCE)?;
        total = total.saturating_add(placed);
    }
}

fn placed_and_due(tx: &Tx<'_>, sid: i64, now: UnixMs, limit: u32) -> Result<Vec<(String, i64)>> {
    tx.db
        .prepare_cached(
            "SELECT chat, seq FROM queue INDEXED BY queue_heads
             WHERE sid = ?1 AND state = 1 AND due_at <= ?2 ORDER BY due_at, seq LIMIT ?3",
        )?
        .query_map((sid, now.0, limit), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Messages were given earlier times: the rows that wait longer than this follow them.
pub(super) fn follow_messages(tx: &Tx<'_>, sid: i64, later_than: UnixMs) -> Result<()> {
    tx.run(
        "UPDATE queue SET due_at = messages.due_at FROM messages
         WHERE queue.sid = ?1 AND queue.due_at > ?2 AND messages.seq = queue.seq",
        (sid, later_than.0),
    )?;
    Ok(())
}

/// Takes a head for delivery.
pub(super) fn claim(tx: &Tx<'_>, sid: i64, chat: &str, seq: i64) -> Result<()> {
    set_state(tx, sid, chat, seq, State::Claimed)
}

/// Puts an owed message back to wait until `due_at`, and frees its chat.
pub(super) fn wait(tx: &Tx<'_>, sid: i64, chat: &str, seq: i64, due_at: UnixMs) -> Result<()> {
    tx.run(
        "UPDATE queue SET due_at = ?4 WHERE sid = ?1 AND chat = ?2 AND seq = ?3",
        (sid, chat, seq, due_at.0),
    )?;
    free(tx, sid, chat, seq)
}

/// Gives a claim up: the chat's oldest message is its head again.
pub(super) fn free(tx: &Tx<'_>, sid: i64, chat: &str, seq: i64) -> Result<()> {
    let freed = tx.run(
        "UPDATE queue SET state = 0 WHERE sid = ?1 AND chat = ?2 AND seq = ?3 AND state = 2",
        (sid, chat, seq),
    )?;
    if freed == 0 {
        Ok(())
    } else {
        promote(tx, sid, chat)
    }
}

/// Gives every claim of a session up.
pub(super) fn free_all(tx: &Tx<'_>, sid: i64) -> Result<()> {
    let claimed: Vec<(String, i64)> = tx
        .db
        .prepare_cached(
            "SELECT chat, seq FROM queue INDEXED BY queue_claimed WHERE sid = ?1 AND state = 2",
        )?
        .query_map((sid,), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_>>()?;
    for (chat, seq) in claimed {
        free(tx, sid, &chat, seq)?;
    }
    Ok(())
}

/// Takes a message out that is owed no more; the next one of its chat moves up.
pub(super) fn leave(tx: &Tx<'_>, sid: i64, chat: &str, seq: i64) -> Result<()> {
    let state = tx.one(
        "DELETE FROM queue WHERE sid = ?1 AND chat = ?2 AND seq = ?3 RETURNING state",
        (sid, chat, seq),
        |row| State::read(row, 0),
    )?;
    match state {
        None | Some(State::Behind) => Ok(()),
        Some(State::Head | State::Claimed) => promote(tx, sid, chat),
    }
}

/// Makes a chat's oldest message its head. Only where it has no head and no claim.
fn promote(tx: &Tx<'_>, sid: i64, chat: &str) -> Result<()> {
    match first(tx, sid, chat)? {
        Some((seq, State::Behind)) => set_state(tx, sid, chat, seq, State::Head),
        Some((_, State::Head | State::Claimed)) | None => Ok(()),
    }
}

fn first(tx: &Tx<'_>, sid: i64, chat: &str) -> Result<Option<(i64, State)>> {
    tx.one(
        "SELECT seq, state FROM queue WHERE sid = ?1 AND chat = ?2 ORDER BY seq LIMIT 1",
        (sid, chat),
        |row| Ok((row.get(0)?, State::read(row, 1)?)),
    )
}

fn claimed(tx: &Tx<'_>, sid: i64, chat: &str) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM queue INDEXED BY queue_claimed WHERE sid = ?1 AND chat = ?2 AND state = 2",
        (sid, chat),
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

fn set_state(tx: &Tx<'_>, sid: i64, chat: &str, seq: i64, state: State) -> Result<()> {
    tx.run(
        "UPDATE queue SET state = ?4 WHERE sid = ?1 AND chat = ?2 AND seq = ?3",
        (sid, chat, seq, state),
    )?;
    Ok(())
}
