//! What pacing must know after a restart: by quarters of an hour, so that the
//! days of every clock can be told apart.

use super::sessions;
use super::writer::Tx;
use crate::rules::PACE_KEPT_MS;
use rusqlite::Connection;
use steadfast_core::ids::SessionId;
use steadfast_core::pacing::{History, Quarter, quarter_of};
use steadfast_core::time::UnixMs;

/// Quarters that one count clears away: more than it adds.
const CLEARED: u32 = 4;

/// So many messages have begun their first attempt.
pub(super) fn began(tx: &Tx<'_>, sid: i64, now: UnixMs, count: u32) -> Result<(), rusqlite::Error> {
    if count == 0 {
        return Ok(());
    }
    tx.run(
        "UPDATE sessions SET first_begun_at = ?2 WHERE sid = ?1 AND first_begun_at IS NULL",
        (sid, now.0),
    )?;
    note(tx, sid, now, count, 0)
}

/// WhatsApp has refused so many because they came too fast.
pub(super) fn refused(
    tx: &Tx<'_>,
    sid: i64,
    now: UnixMs,
    count: u32,
) -> Result<(), rusqlite::Error> {
    note(tx, sid, now, 0, count)
}

fn note(
    tx: &Tx<'_>,
    sid: i64,
    now: UnixMs,
    begun: u32,
    refused: u32,
) -> Result<(), rusqlite::Error> {
    let starts_at = quarter_of(now);
    tx.run(
        "INSERT INTO pace (sid, starts_at, begun, refused) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (sid, starts_at) DO UPDATE SET begun = begun + ?3, refused = refused + ?4",
        (sid, starts_at.0, begun, refused),
    )?;
    tx.run(
        "DELETE FROM pace WHERE sid = ?1 AND starts_at IN
         (SELECT starts_at FROM pace WHERE sid = ?1 AND starts_at < ?2 ORDER BY starts_at LIMIT ?3)",
        (sid, starts_at.0.saturating_sub(PACE_KEPT_MS), CLEARED),
    )?;
    Ok(())
}

/// What a session did from this time on.
pub(super) fn history(
    db: &mut Connection,
    session: &SessionId,
    since: UnixMs,
) -> Result<History, rusqlite::Error> {
    let view = db.transaction()?;
    let Some(sid) = sessions::find(&view, session)? else {
        return Ok(History::default());
    };
    let first_begun_at = view
        .prepare_cached("SELECT first_begun_at FROM sessions WHERE sid = ?1")?
        .query_row((sid,), |row| row.get::<_, Option<i64>>(0))?
        .map(UnixMs);
    let quarters = view
        .prepare_cached(
            "SELECT starts_at, begun, refused FROM pace WHERE sid = ?1 AND starts_at >= ?2
             ORDER BY starts_at",
        )?
        .query_map((sid, quarter_of(since).0), |row| {
            Ok(Quarter {
                starts_at: UnixMs(row.get(0)?),
                begun: row.get::<_, i64>(1)?.cast_unsigned(),
                refused: row.get::<_, i64>(2)?.cast_unsigned(),
            })
        })?
        .collect::<Result<_, rusqlite::Error>>()?;
    Ok(History {
        first_begun_at,
        quarters,
    })
}
