//! The queue table: who is next in each chat.
//!
//! Three states. Of each chat's rows exactly one is not [`State::Behind`]: it
//! is the one in flight ([`State::Claimed`]), or else the first by lane and
//! position, its [`State::Head`]. Only heads are in the index that a claim
//! reads, so a claim costs the same however many messages wait behind them.
//!
//! A message that was just accepted has no row here: chats come at random, and
//! a page of the disk for each accept would be the dearest part of it. Claims
//! give what is new its [`place`], lane by lane, oldest first. So whatever is
//! not placed yet is newer than all that is, in every chat's lane, and no
//! claim can take a later message of a lane before an earlier one.
//!
//! A message that its owner wants sent later is put into the schedule instead,
//! and takes its place here when it is due.
//!
//! Queries name their index: left to itself SQLite takes the primary key
//! where it should take a partial index, and reads the whole queue.

use super::writer::Tx;
use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::{HashMap, HashSet};
use steadfast_core::outbox::Priority;
use steadfast_core::port::Quota;
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

/// Where a message stands, or would stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'a> {
    pub(super) sid: i64,
    pub(super) chat: &'a str,
    pub(super) lane: u8,
    pub(super) seq: i64,
}

type Result<T> = std::result::Result<T, rusqlite::Error>;

/// A message that has no place yet.
struct Fresh {
    seq: i64,
    chat: String,
    due_at: UnixMs,
    /// Its owner wants it sent later than it was accepted.
    scheduled: bool,
}

fn fresh(db: &Connection, sid: i64, lane: u8, at_most: u32) -> Result<Vec<Fresh>> {
    let upto = match Priority::of_lane(lane).unwrap_or_default() {
        Priority::High => "queued_upto_high",
        Priority::Normal => "queued_upto",
        Priority::Low => "queued_upto_low",
    };
    db.prepare_cached(&format!(
        "SELECT seq, chat, due_at, due_at > accepted_at FROM messages INDEXED BY messages_by_status
         WHERE sid = ?1 AND status = 'accepted' AND lane = ?2
         AND seq > (SELECT {upto} FROM sessions WHERE sid = ?1) ORDER BY seq LIMIT ?3"
    ))?
    .query_map((sid, lane, at_most), |row| {
        Ok(Fresh {
            seq: row.get(0)?,
            chat: row.get(1)?,
            due_at: UnixMs(row.get(2)?),
            scheduled: row.get(3)?,
        })
    })?
    .collect()
}

/// Gives up to so many messages their places: what is due of the schedule and
/// what is new, lane by lane. A lane is begun only where the one before it has
/// nothing left. How many there were.
fn fill(tx: &Tx<'_>, sid: i64, now: UnixMs, at_most: u32) -> Result<u32> {
    let mut placed = 0;
    for lane in Priority::ALL.map(Priority::lane) {
        placed += mature(tx, sid, lane, now, at_most - placed)?;
        placed += place(tx, sid, lane, now, at_most - placed)?;
        if placed >= at_most {
            break;
        }
    }
    Ok(placed)
}

/// Gives so many new messages of a lane their places, oldest first; how many there were.
fn place(tx: &Tx<'_>, sid: i64, lane: u8, now: UnixMs, at_most: u32) -> Result<u32> {
    let mut new = fresh(tx.db, sid, lane, at_most)?;
    let Some(last) = new.last().map(|fresh| fresh.seq) else {
        return Ok(0);
    };
    // Neighbours in the table one after the other.
    new.sort_unstable_by(|a, b| (&a.chat, a.seq).cmp(&(&b.chat, b.seq)));
    for fresh in &new {
        let spot = Spot {
            sid,
            chat: &fresh.chat,
            lane,
            seq: fresh.seq,
        };
        if fresh.scheduled && fresh.due_at > now {
            tx.run(
                "INSERT INTO schedule (sid, lane, due_at, seq) VALUES (?1, ?2, ?3, ?4)",
                (sid, lane, fresh.due_at.0, fresh.seq),
            )?;
        } else {
            join(tx, spot, fresh.due_at, false)?;
        }
    }
    let upto = match Priority::of_lane(lane).unwrap_or_default() {
        Priority::High => "UPDATE sessions SET queued_upto_high = ?2 WHERE sid = ?1",
        Priority::Normal => "UPDATE sessions SET queued_upto = ?2 WHERE sid = ?1",
        Priority::Low => "UPDATE sessions SET queued_upto_low = ?2 WHERE sid = ?1",
    };
    tx.run(upto, (sid, last))?;
    Ok(u32::try_from(new.len()).unwrap_or(at_most))
}

/// Gives so many messages of the schedule their places that are due; how many there were.
fn mature(tx: &Tx<'_>, sid: i64, lane: u8, now: UnixMs, at_most: u32) -> Result<u32> {
    let due: Vec<(i64, i64, String)> = tx
        .db
        .prepare_cached(
            "SELECT s.due_at, s.seq, m.chat FROM schedule s JOIN messages m ON m.seq = s.seq
             WHERE s.sid = ?1 AND s.lane = ?2 AND s.due_at <= ?3
             ORDER BY s.due_at, s.seq LIMIT ?4",
        )?
        .query_map((sid, lane, now.0, at_most), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_>>()?;
    for (due_at, seq, chat) in &due {
        unschedule(tx, sid, lane, UnixMs(*due_at), *seq)?;
        let spot = Spot {
            sid,
            chat,
            lane,
            seq: *seq,
        };
        join(tx, spot, UnixMs(*due_at), false)?;
    }
    Ok(u32::try_from(due.len()).unwrap_or(at_most))
}

fn unschedule(tx: &Tx<'_>, sid: i64, lane: u8, due_at: UnixMs, seq: i64) -> Result<usize> {
    tx.run(
        "DELETE FROM schedule WHERE sid = ?1 AND lane = ?2 AND due_at = ?3 AND seq = ?4",
        (sid, lane, due_at.0, seq),
    )
}

/// When the next free head of a session is due, or the next message of the
/// schedule, as far as the quota lets it go. Reads only; `db` must be in a
/// transaction.
///
/// Where more messages are new than are worth looking at here, the answer is
/// the beginning of time: a claim is due, to place them.
pub(super) fn next_due(db: &Connection, sid: i64, quota: Quota) -> Result<Option<UnixMs>> {
    let mut soonest: Option<UnixMs> = None;
    let mut consider = |at: UnixMs| soonest = Some(soonest.map_or(at, |known| known.min(at)));
    // Of each chat the first of what is new: lane, position, when it is due.
    let mut firsts: HashMap<String, (u8, i64, UnixMs)> = HashMap::new();
    for lane in Priority::ALL.map(Priority::lane) {
        let new = fresh(db, sid, lane, PLACED_AT_ONCE + 1)?;
        if new.len() > PLACED_AT_ONCE as usize {
            return Ok(Some(UnixMs(0)));
        }
        for fresh in new {
            if !fresh.scheduled {
                let first = (lane, fresh.seq, fresh.due_at);
                firsts.entry(fresh.chat).or_insert(first);
            } else if quota.lets(lane) {
                consider(fresh.due_at);
            }
        }
    }
    let mut overtaken = HashSet::new();
    for (chat, (lane, seq, due_at)) in firsts {
        match first(db, sid, &chat)? {
            Some(front) if (front.lane, front.seq) < (lane, seq) => continue,
            Some(front) if front.state == State::Head => drop(overtaken.insert(front.seq)),
            // What is in flight stands further behind.
            Some(_) => continue,
            None => {}
        }
        if quota.lets(lane) {
            consider(due_at);
        }
    }
    for lane in Priority::ALL.map(Priority::lane) {
        for begun in [true, false] {
            if !begun && !quota.lets(lane) {
                continue;
            }
            let mut heads = db.prepare_cached(
                "SELECT due_at, seq FROM queue INDEXED BY queue_heads
                 WHERE sid = ?1 AND lane = ?2 AND begun = ?3 AND state = 1 ORDER BY due_at, seq",
            )?;
            let mut rows = heads.query((sid, lane, begun))?;
            while let Some(row) = rows.next()? {
                if !overtaken.contains(&row.get::<_, i64>(1)?) {
                    consider(UnixMs(row.get(0)?));
                    break;
                }
            }
        }
        let scheduled = db
            .prepare_cached(
                "SELECT due_at FROM schedule WHERE sid = ?1 AND lane = ?2 ORDER BY due_at LIMIT 1",
            )?
            .query_row((sid, lane), |row| row.get(0).map(UnixMs))
            .optional()?;
        if let Some(at) = scheduled.filter(|_| quota.lets(lane)) {
            consider(at);
        }
    }
    Ok(soonest)
}

/// Gives an owed message its place, wherever that is.
pub(super) fn join(tx: &Tx<'_>, spot: Spot<'_>, due_at: UnixMs, begun: bool) -> Result<()> {
    let Spot {
        sid,
        chat,
        lane,
        seq,
    } = spot;
    let state = match first(tx.db, sid, chat)? {
        None => State::Head,
        Some(front) if (front.lane, front.seq) < (lane, seq) => State::Behind,
        Some(front) => match front.state {
            State::Head => {
                let overtaken = Spot {
                    lane: front.lane,
                    seq: front.seq,
                    ..spot
                };
                set_state(tx, overtaken, State::Behind)?;
                State::Head
            }
            // What is in flight is the first, or stands further behind.
            State::Claimed | State::Behind => State::Behind,
        },
    };
    tx.run(
        "INSERT INTO queue (sid, chat, lane, seq, due_at, state, begun)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (sid, chat, lane, seq, due_at.0, state, begun),
    )?;
    Ok(())
}

/// A head that is due.
pub(super) struct Next {
    pub(super) chat: String,
    pub(super) lane: u8,
    pub(super) seq: i64,
    due_at: i64,
    begun: bool,
}

/// The heads that are due: higher lanes first, in a lane the longest due first.
pub(super) fn due(tx: &Tx<'_>, sid: i64, now: UnixMs, quota: Quota) -> Result<Vec<Next>> {
    let limit = quota.all;
    if limit == 0 {
        return Ok(Vec::new());
    }
    // Twice as many as are taken, so that what is new never waits for long
    // behind what is tried again and again.
    let mut placed = fill(tx, sid, now, PLACED_AT_ONCE.max(limit.saturating_mul(2)))?;
    let mut total = placed;
    loop {
        let due = placed_and_due(tx, sid, now, quota)?;
        let new = due.iter().filter(|due| !due.begun).count();
        let all = due.len() == limit as usize || new >= quota.high.max(quota.others) as usize;
        if all || placed == 0 || total >= PLACED_AT_MOST {
            return Ok(due);
        }
        placed = fill(tx, sid, now, PLACED_AT_ONCE)?;
        total = total.saturating_add(placed);
    }
}

fn placed_and_due(tx: &Tx<'_>, sid: i64, now: UnixMs, quota: Quota) -> Result<Vec<Next>> {
    let mut taken: Vec<Next> = Vec::new();
    let (mut left, mut new) = (quota.all, 0);
    for lane in Priority::ALL.map(Priority::lane) {
        let may_begin = quota.of(lane).saturating_sub(new).min(left);
        let mut heads = heads(tx, sid, lane, now, true, left)?;
        heads.extend(self::heads(tx, sid, lane, now, false, may_begin)?);
        heads.sort_unstable_by_key(|due| (due.due_at, due.seq));
        heads.truncate(left as usize);
        for head in &heads {
            left -= 1;
            new += u32::from(!head.begun);
        }
        taken.append(&mut heads);
    }
    Ok(taken)
}

fn heads(
    tx: &Tx<'_>,
    sid: i64,
    lane: u8,
    now: UnixMs,
    begun: bool,
    limit: u32,
) -> Result<Vec<Next>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    tx.db
        .prepare_cached(
            "SELECT chat, seq, due_at FROM queue INDEXED BY queue_heads
             WHERE sid = ?1 AND lane = ?2 AND begun = ?3 AND state = 1 AND due_at <= ?4
             ORDER BY due_at, seq LIMIT ?5",
        )?
        .query_map((sid, lane, begun, now.0, limit), |row| {
            Ok(Next {
                chat: row.get(0)?,
                lane,
                seq: row.get(1)?,
                due_at: row.get(2)?,
                begun,
            })
        })?
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
pub(super) fn claim(tx: &Tx<'_>, spot: Spot<'_>) -> Result<()> {
    set_state(tx, spot, State::Claimed)
}

/// Puts an owed message back to wait until `due_at`, and frees its chat.
/// `begun`: it waits for no turn.
pub(super) fn wait(tx: &Tx<'_>, spot: Spot<'_>, due_at: UnixMs, begun: bool) -> Result<()> {
    let Spot {
        sid,
        chat,
        lane,
        seq,
    } = spot;
    tx.run(
        "UPDATE queue SET due_at = ?5, begun = ?6
         WHERE sid = ?1 AND chat = ?2 AND lane = ?3 AND seq = ?4",
        (sid, chat, lane, seq, due_at.0, begun),
    )?;
    release(tx, spot)
}

/// Gives a claim up: the chat's first message is its head again.
pub(super) fn free(tx: &Tx<'_>, spot: Spot<'_>) -> Result<()> {
    let Spot {
        sid,
        chat,
        lane,
        seq,
    } = spot;
    // It has begun: whoever claims it next looks it up.
    tx.run(
        "UPDATE queue SET begun = 1
         WHERE sid = ?1 AND chat = ?2 AND lane = ?3 AND seq = ?4 AND state = 2",
        (sid, chat, lane, seq),
    )?;
    release(tx, spot)
}

/// Takes a claim off its chat.
fn release(tx: &Tx<'_>, spot: Spot<'_>) -> Result<()> {
    let Spot {
        sid,
        chat,
        lane,
        seq,
    } = spot;
    let freed = tx.run(
        "UPDATE queue SET state = 0
         WHERE sid = ?1 AND chat = ?2 AND lane = ?3 AND seq = ?4 AND state = 2",
        (sid, chat, lane, seq),
    )?;
    if freed == 0 {
        Ok(())
    } else {
        promote(tx, sid, chat)
    }
}

/// Gives every claim of a session up.
pub(super) fn free_all(tx: &Tx<'_>, sid: i64) -> Result<()> {
    let claimed: Vec<(String, u8, i64)> = tx
        .db
        .prepare_cached(
            "SELECT chat, lane, seq FROM queue INDEXED BY queue_claimed
             WHERE sid = ?1 AND state = 2",
        )?
        .query_map((sid,), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_>>()?;
    for (chat, lane, seq) in claimed {
        let spot = Spot {
            sid,
            chat: &chat,
            lane,
            seq,
        };
        free(tx, spot)?;
    }
    Ok(())
}

/// Takes a message out that is owed no more; the next one of its chat moves up.
pub(super) fn leave(tx: &Tx<'_>, spot: Spot<'_>, due_at: UnixMs) -> Result<()> {
    let Spot {
        sid,
        chat,
        lane,
        seq,
    } = spot;
    let state = tx.one(
        "DELETE FROM queue WHERE sid = ?1 AND chat = ?2 AND lane = ?3 AND seq = ?4 RETURNING state",
        (sid, chat, lane, seq),
        |row| State::read(row, 0),
    )?;
    match state {
        None => unschedule(tx, sid, lane, due_at, seq).map(drop),
        Some(State::Behind) => Ok(()),
        Some(State::Head | State::Claimed) => promote(tx, sid, chat),
    }
}

/// The message that goes before this one in its chat, by position.
pub(super) fn ahead(db: &Connection, spot: Spot<'_>) -> Result<Option<i64>> {
    let Spot {
        sid,
        chat,
        lane,
        seq,
    } = spot;
    let claimed = db
        .prepare_cached(
            "SELECT seq FROM queue INDEXED BY queue_claimed
             WHERE sid = ?1 AND chat = ?2 AND state = 2",
        )?
        .query_row((sid, chat), |row| row.get::<_, i64>(0))
        .optional()?;
    if claimed.is_some() {
        return Ok(claimed.filter(|claimed| *claimed != seq));
    }
    let front = first(db, sid, chat)?;
    Ok(front
        .filter(|front| (front.lane, front.seq) < (lane, seq))
        .map(|front| front.seq))
}

/// Makes a chat's first message its head. Only where it has no head and no claim.
fn promote(tx: &Tx<'_>, sid: i64, chat: &str) -> Result<()> {
    match first(tx.db, sid, chat)? {
        Some(front) if front.state == State::Behind => {
            let spot = Spot {
                sid,
                chat,
                lane: front.lane,
                seq: front.seq,
            };
            set_state(tx, spot, State::Head)
        }
        Some(_) | None => Ok(()),
    }
}

/// A chat's first row.
struct Front {
    lane: u8,
    seq: i64,
    state: State,
}

fn first(db: &Connection, sid: i64, chat: &str) -> Result<Option<Front>> {
    db.prepare_cached(
        "SELECT lane, seq, state FROM queue WHERE sid = ?1 AND chat = ?2
         ORDER BY lane, seq LIMIT 1",
    )?
    .query_row((sid, chat), |row| {
        Ok(Front {
            lane: row.get(0)?,
            seq: row.get(1)?,
            state: State::read(row, 2)?,
        })
    })
    .optional()
}

fn set_state(tx: &Tx<'_>, spot: Spot<'_>, state: State) -> Result<()> {
    let Spot {
        sid,
        chat,
        lane,
        seq,
    } = spot;
    tx.run(
        "UPDATE queue SET state = ?5 WHERE sid = ?1 AND chat = ?2 AND lane = ?3 AND seq = ?4",
        (sid, chat, lane, seq, state),
    )?;
    Ok(())
}
