//! What SQLite says, and what it means for the caller.

use rusqlite::ErrorCode;
use rusqlite::ffi;
use std::path::Path;
use steadfast_core::port::StoreError;

/// Why one request failed: refused by a rule, or by the database.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The rules say no; nothing was written.
    #[error(transparent)]
    Refused(#[from] StoreError),
    /// The database said no.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A body or incident could not be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// The port's word for it.
    pub(super) fn conclude(&self, path: &Path) -> StoreError {
        match self {
            Self::Refused(refused) => refused.clone(),
            Self::Sqlite(error) => conclude(error, path),
            Self::Json(error) => StoreError::Failed(error.to_string()),
        }
    }
}

/// The port's word for an error of SQLite.
pub(super) fn conclude(error: &rusqlite::Error, path: &Path) -> StoreError {
    let Some(code) = error.sqlite_error() else {
        return StoreError::Failed(error.to_string());
    };
    // The shared-memory file beside the log is extended byte by byte; where
    // that fails, the disk has no room for it (os_unix.c, unixShmMap).
    if code.extended_code == ffi::SQLITE_IOERR_SHMSIZE {
        return StoreError::Full;
    }
    match code.code {
        ErrorCode::DiskFull => StoreError::Full,
        // Another process writes for longer than the busy timeout.
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Overloaded,
        ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => StoreError::NotOurs {
            path: path.display().to_string(),
            detail: error.to_string(),
        },
        _ => StoreError::Failed(error.to_string()),
    }
}

/// The port's word for a commit that failed.
///
/// What SQLite finds out before it writes is an ordinary error. Beyond that the
/// transaction's end may stand in the log already, unsynced or not yet in the
/// index of the log: this process takes it back, but one that dies before its
/// next commit leaves it there, and the next start takes it for committed.
pub(super) fn conclude_commit(error: &rusqlite::Error, path: &Path) -> StoreError {
    let before_the_end = error.sqlite_error().is_some_and(|code| match code.code {
        ErrorCode::ConstraintViolation
        | ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::DiskFull => true,
        // The rest of them, and the index of the log, which grows after the log
        // itself (wal.c, sqlite3WalFrames): SQLITE_IOERR_SHMSIZE is no `DiskFull`.
        _ => false,
    });
    if before_the_end {
        conclude(error, path)
    } else {
        StoreError::Unknown(format!("the commit failed: {error}"))
    }
}

/// Whether a row was refused because one like it exists.
pub(super) fn is_repeat(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|code| code.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_meaning() {
        let path = Path::new("/data/steadfast.db");
        let said = |code| {
            conclude(
                &rusqlite::Error::SqliteFailure(ffi::Error::new(code), None),
                path,
            )
        };
        assert_eq!(said(ffi::SQLITE_FULL), StoreError::Full);
        assert_eq!(said(ffi::SQLITE_IOERR_SHMSIZE), StoreError::Full);
        assert_eq!(said(ffi::SQLITE_BUSY), StoreError::Overloaded);
        assert_eq!(said(ffi::SQLITE_BUSY_SNAPSHOT), StoreError::Overloaded);
        assert!(matches!(
            said(ffi::SQLITE_NOTADB),
            StoreError::NotOurs { .. }
        ));
        assert!(matches!(
            said(ffi::SQLITE_CORRUPT),
            StoreError::NotOurs { .. }
        ));
        assert!(matches!(
            said(ffi::SQLITE_IOERR_FSYNC),
            StoreError::Failed(_)
        ));
    }

    #[test]
    fn a_commit_that_may_have_reached_the_disk_is_not_known() {
        let path = Path::new("/data/steadfast.db");
        let said = |code| {
            conclude_commit(
                &rusqlite::Error::SqliteFailure(ffi::Error::new(code), None),
                path,
            )
        };
        assert_eq!(said(ffi::SQLITE_FULL), StoreError::Full);
        assert_eq!(said(ffi::SQLITE_BUSY), StoreError::Overloaded);
        let refused = said(ffi::SQLITE_CONSTRAINT_FOREIGNKEY);
        assert!(matches!(refused, StoreError::Failed(_)), "{refused:?}");
        for code in [
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_SHMSIZE,
            ffi::SQLITE_NOMEM,
        ] {
            let doubted = said(code);
            assert!(matches!(doubted, StoreError::Unknown(_)), "{doubted:?}");
        }
    }
}
