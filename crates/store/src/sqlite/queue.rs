//! The queue table: who is next in each chat.
//!
//! Three states. Of each chat's rows at most one is not [`State::Behind`]: it
//! is the one in flight ([`State::Claimed`]), or else the oldest, its
//! [`State::Head`]. Only heads are in the index that a claim reads, so a claim
//! costs the same however many messages wait behind them.
//!
//! Queries name their index: left to itself SQLite takes the primary key
//! where it should take a partial index, and reads the whole queue.

use super::writer::Tx;
use rusqlite::types::{ToSql, ToSqlOutput};
use steadfast_core::time::UnixMs;

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

/// Puts a message that was just accepted at the end of its chat's queue.
pub(super) fn append(tx: &Tx<'_>, sid: i64, chat: &str, seq: i64, due_at: UnixMs) -> Result<()> {
    tx.run(
        "INSERT INTO queue (sid, chat, seq, due_at, state) VALUES (?1, ?2, ?3, ?4,
         NOT EXISTS (SELECT 1 FROM queue WHERE sid = ?1 AND chat = ?2))",
        (sid, chat, seq, due_at.0),
    )?;
    Ok(())
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
    tx.db
        .prepare_cached(
            "SELECT chat, seq FROM queue INDEXED BY queue_heads
             WHERE sid = ?1 AND state = 1 AND due_at <= ?2
             ORDER BY due_at, seq LIMIT ?3",
        )?
        .query_map((sid, now.0, limit), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
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
