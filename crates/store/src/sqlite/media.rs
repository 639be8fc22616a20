//! Which files are kept, and which messages still need them.

use super::error::Error;
use super::rows::parsed;
use super::sessions;
use super::writer::Tx;
use rusqlite::{Connection, OptionalExtension as _};
use steadfast_core::ids::{ChatId, MediaId, SessionId, WaMessageId};
use steadfast_core::outbox::Body;
use steadfast_core::port::{MediaRecord, StoreError};
use steadfast_core::time::UnixMs;

/// Fails where a message needs a file that is not kept; marks it as used.
pub(super) fn need(tx: &Tx<'_>, body: &Body, at: UnixMs) -> Result<(), Error> {
    let Some(file) = body.file() else {
        return Ok(());
    };
    let found = tx.run(
        "UPDATE media SET used_at = max(used_at, ?2) WHERE id = ?1",
        (file.id.as_str(), at.0),
    )?;
    if found == 0 {
        return Err(StoreError::NoMedia(file.id.clone()).into());
    }
    Ok(())
}

/// Notes that a message has been accepted with its file.
pub(super) fn refer(tx: &Tx<'_>, body: &Body, seq: i64) -> Result<(), Error> {
    if let Some(file) = body.file() {
        tx.run(
            "INSERT INTO media_refs (media, seq) VALUES (?1, ?2)",
            (file.id.as_str(), seq),
        )?;
    }
    Ok(())
}

/// Takes note of a file.
pub(super) fn put(tx: &Tx<'_>, media: &MediaRecord) -> Result<(), Error> {
    tx.run(
        "INSERT INTO media (id, size, mime, used_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET used_at = max(used_at, ?4)",
        (
            media.id.as_str(),
            media.size.cast_signed(),
            &media.mime,
            media.used_at.0,
        ),
    )?;
    Ok(())
}

/// One file.
pub(super) fn get(db: &Connection, id: &MediaId) -> Result<Option<MediaRecord>, rusqlite::Error> {
    db.prepare_cached("SELECT id, size, mime, used_at FROM media WHERE id = ?1")?
        .query_row((id.as_str(),), |row| {
            Ok(MediaRecord {
                id: parsed(row, 0)?,
                size: row.get::<_, i64>(1)?.cast_unsigned(),
                mime: row.get(2)?,
                used_at: UnixMs(row.get(3)?),
            })
        })
        .optional()
}

/// Files that nobody needs, longest unused first.
const UNNEEDED: &str = "SELECT id, size, used_at FROM media
     WHERE NOT EXISTS (SELECT 1 FROM media_refs r JOIN messages m ON m.seq = r.seq
         JOIN sessions s ON s.sid = m.sid AND s.name IS NOT NULL
         WHERE r.media = media.id AND m.status IN ('accepted', 'sending', 'parked'))
     ORDER BY used_at, id LIMIT ?1";

/// Forgets what is old, and what is too much.
pub(super) fn forget(
    tx: &Tx<'_>,
    before: UnixMs,
    most_bytes: u64,
    limit: u32,
) -> Result<Vec<MediaId>, Error> {
    let all: i64 = tx
        .db
        .prepare_cached("SELECT coalesce(sum(size), 0) FROM media")?
        .query_row((), |row| row.get(0))?;
    let mut left = all.cast_unsigned();
    let candidates: Vec<(MediaId, u64, i64)> = tx
        .db
        .prepare_cached(UNNEEDED)?
        .query_map((limit,), |row| {
            Ok((
                parsed(row, 0)?,
                row.get::<_, i64>(1)?.cast_unsigned(),
                row.get(2)?,
            ))
        })?
        .collect::<Result<_, rusqlite::Error>>()?;
    let mut forgotten = Vec::new();
    for (id, size, used_at) in candidates {
        if used_at >= before.0 && left <= most_bytes {
            break;
        }
        tx.run("DELETE FROM media WHERE id = ?1", (id.as_str(),))?;
        left = left.saturating_sub(size);
        forgotten.push(id);
    }
    Ok(forgotten)
}

/// The file of an inbound message is kept now.
pub(super) fn fetched(
    tx: &Tx<'_>,
    session: &SessionId,
    chat: &ChatId,
    id: &WaMessageId,
    file: &MediaId,
) -> Result<(), Error> {
    let sid = sessions::sid(tx.db, session)?;
    tx.run(
        "UPDATE inbound SET file = ?4 WHERE sid = ?1 AND chat = ?2 AND wa_message_id = ?3",
        (sid, chat.as_str(), id.as_str(), file.as_str()),
    )?;
    Ok(())
}
