//! Forgets messages that are over, a bounded piece at a time.

use super::error::Error;
use super::writer::Tx;
use crate::rules;
use steadfast_core::port::{ForgetMessages, ForgottenMessages};
use steadfast_core::time::UnixMs;

/// Forgets what is over and old. What the log still tells of stays.
pub(super) fn forget(tx: &mut Tx<'_>, what: ForgetMessages) -> Result<ForgottenMessages, Error> {
    let told_since = tx
        .one("SELECT at FROM events ORDER BY seq LIMIT 1", (), |row| {
            row.get(0)
        })?
        .map(UnixMs);
    let before = rules::forgettable_before(what.before, told_since);
    let mut forgotten = ForgottenMessages::default();
    // Old ones are found by their place: acceptance has an order, and no
    // index of times has to be kept for this.
    let oldest: Vec<(i64, i64, bool)> = tx
        .db
        .prepare_cached(
            "SELECT seq, accepted_at,
                 updated_at < ?2 AND status NOT IN ('accepted', 'sending', 'parked')
             FROM messages WHERE seq > ?1 ORDER BY seq LIMIT ?3",
        )?
        .query_map((what.after, before.0, what.limit), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_, rusqlite::Error>>()?;
    if oldest.len() == what.limit as usize {
        forgotten.next = oldest.last().map(|(seq, ..)| *seq);
    }
    for (seq, accepted_at, over) in oldest {
        if accepted_at >= before.0 {
            forgotten.next = None;
            break;
        }
        if over {
            // Attempts, the key and the schedule's row go with it.
            forgotten.messages += tx.run("DELETE FROM messages WHERE seq = ?1", (seq,))? as u64;
        }
    }
    let came: Vec<(i64, i64)> = tx
        .db
        .prepare_cached("SELECT seq, stored_at FROM inbound ORDER BY seq LIMIT ?1")?
        .query_map((what.limit,), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, rusqlite::Error>>()?;
    let looked_at = came.len();
    for (seq, stored_at) in came {
        if stored_at >= before.0 {
            break;
        }
        forgotten.inbound += tx.run("DELETE FROM inbound WHERE seq = ?1", (seq,))? as u64;
    }
    if forgotten.inbound == looked_at as u64 && looked_at == what.limit as usize {
        // There may be more received ones, whatever ours say.
        forgotten.next = forgotten.next.or(Some(what.after));
    }
    Ok(forgotten)
}
