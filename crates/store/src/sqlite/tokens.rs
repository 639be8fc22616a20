//! Tokens.

use super::error::Error;
use super::rows::damaged;
use super::writer::Tx;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row};
use steadfast_core::ids::SessionId;
use steadfast_core::port::{PreviousSecret, Rotation, Scope, StoreError, TokenRecord};
use steadfast_core::time::UnixMs;

const COLUMNS: &str = "name, hash, scope, created_at, sessions, expires_at, previous_hash, previous_until, last_used_at";

/// Adds a token.
pub(super) fn add(tx: &Tx<'_>, token: &TokenRecord) -> Result<(), Error> {
    let known = tx.one(
        "SELECT 1 FROM tokens WHERE name = ?1",
        (&token.name,),
        |_| Ok(()),
    )?;
    if known.is_some() || hash_is_known(tx, &token.hash)? {
        return Err(StoreError::Exists.into());
    }
    tx.run(
        "INSERT INTO tokens (name, hash, scope, created_at, sessions, expires_at, previous_hash,
         previous_until, last_used_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        (
            &token.name,
            token.hash.as_slice(),
            scope_name(token.scope),
            token.created_at.0,
            sessions_text(token.sessions.as_deref())?,
            token.expires_at.map(|at| at.0),
            token.previous.as_ref().map(|p| p.hash.as_slice()),
            token.previous.as_ref().map(|p| p.until.0),
            token.last_used_at.map(|at| at.0),
        ),
    )?;
    Ok(())
}

fn hash_is_known(tx: &Tx<'_>, hash: &[u8; 32]) -> Result<bool, rusqlite::Error> {
    let found = tx.one(
        "SELECT 1 FROM tokens WHERE hash = ?1 OR previous_hash = ?1",
        (hash.as_slice(),),
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Gives a token a new secret.
pub(super) fn rotate(tx: &Tx<'_>, rotation: &Rotation) -> Result<Option<TokenRecord>, Error> {
    if hash_is_known(tx, &rotation.hash)? {
        return Err(StoreError::Exists.into());
    }
    tx.run(
        "UPDATE tokens SET previous_hash = hash, previous_until = ?3, hash = ?2, expires_at = ?4
         WHERE name = ?1",
        (
            &rotation.name,
            rotation.hash.as_slice(),
            rotation.previous_until.0,
            rotation.expires_at.map(|at| at.0),
        ),
    )?;
    Ok(by_hash(tx.db, &rotation.hash)?)
}

/// Notes when a token was last used.
pub(super) fn note_use(tx: &Tx<'_>, name: &str, at: UnixMs) -> Result<(), rusqlite::Error> {
    tx.run(
        "UPDATE tokens SET last_used_at = ?2 WHERE name = ?1 AND coalesce(last_used_at, ?2 - 1) < ?2",
        (name, at.0),
    )?;
    Ok(())
}

/// The token whose secret, the newest or the one before, has this hash.
pub(super) fn by_hash(
    db: &Connection,
    hash: &[u8; 32],
) -> Result<Option<TokenRecord>, rusqlite::Error> {
    db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM tokens WHERE hash = ?1
         UNION ALL SELECT {COLUMNS} FROM tokens WHERE previous_hash = ?1 LIMIT 1"
    ))?
    .query_row((hash.as_slice(),), token)
    .optional()
}

/// Every token, by name.
pub(super) fn all(db: &Connection) -> Result<Vec<TokenRecord>, rusqlite::Error> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM tokens ORDER BY name"))?
        .query_map((), token)?
        .collect()
}

/// Forgets a token.
pub(super) fn remove(tx: &Tx<'_>, name: &str) -> Result<bool, rusqlite::Error> {
    Ok(tx.run("DELETE FROM tokens WHERE name = ?1", (name,))? > 0)
}

fn token(row: &Row<'_>) -> rusqlite::Result<TokenRecord> {
    let scope = row.get_ref(2)?.as_str()?;
    let previous = match (row.get(6)?, row.get(7)?) {
        (Some(hash), Some(until)) => Some(PreviousSecret {
            hash,
            until: UnixMs(until),
        }),
        _ => None,
    };
    Ok(TokenRecord {
        name: row.get(0)?,
        hash: row.get(1)?,
        scope: [Scope::Read, Scope::Send, Scope::Admin]
            .into_iter()
            .find(|known| scope_name(*known) == scope)
            .ok_or_else(|| damaged(2, format!("{scope:?} is no scope")))?,
        created_at: UnixMs(row.get(3)?),
        sessions: sessions(row, 4)?,
        expires_at: row.get::<_, Option<i64>>(5)?.map(UnixMs),
        previous,
        last_used_at: row.get::<_, Option<i64>>(8)?.map(UnixMs),
    })
}

fn sessions(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Vec<SessionId>>> {
    let text = row.get_ref(column)?;
    if text.data_type() == Type::Null {
        return Ok(None);
    }
    serde_json::from_str(text.as_str()?)
        .map(Some)
        .map_err(|error| damaged(column, error))
}

fn sessions_text(sessions: Option<&[SessionId]>) -> Result<Option<String>, StoreError> {
    sessions
        .map(serde_json::to_string)
        .transpose()
        .map_err(|error| StoreError::Failed(error.to_string()))
}

fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "read",
        Scope::Send => "send",
        Scope::Admin => "admin",
    }
}
