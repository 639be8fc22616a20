//! Who did what.

use super::writer::Tx;
use crate::rules::MAX_AUDIT_KEPT;
use rusqlite::Connection;
use steadfast_core::port::{AuditEntry, NewAudit};
use steadfast_core::time::UnixMs;

/// Writes an act down; the oldest beyond the bound go.
pub(super) fn add(tx: &Tx<'_>, entry: &NewAudit) -> Result<i64, rusqlite::Error> {
    tx.run(
        "INSERT INTO audit (at, actor, act, target, done, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            entry.at.0,
            &entry.actor,
            &entry.act,
            &entry.target,
            entry.done,
            &entry.detail,
        ),
    )?;
    let seq = tx.db.last_insert_rowid();
    tx.run(
        "DELETE FROM audit WHERE seq <= ?1",
        (seq - i64::from(MAX_AUDIT_KEPT),),
    )?;
    Ok(seq)
}

/// What was done last, newest first.
pub(super) fn page(
    db: &Connection,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<AuditEntry>, rusqlite::Error> {
    db.prepare_cached(
        "SELECT seq, at, actor, act, target, done, detail FROM audit
         WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
    )?
    .query_map((before.unwrap_or(i64::MAX), limit), |row| {
        Ok(AuditEntry {
            seq: row.get(0)?,
            entry: NewAudit {
                at: UnixMs(row.get(1)?),
                actor: row.get(2)?,
                act: row.get(3)?,
                target: row.get(4)?,
                done: row.get(5)?,
                detail: row.get(6)?,
            },
        })
    })?
    .collect()
}
