//! A copy of the database while others write to it.

use super::Options;
use super::error::conclude;
use super::open;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use steadfast_core::port::StoreError;

/// Copies the database at `from` into the file `to`, which must not exist.
///
/// It is copied in one read of the log's state at the beginning, so that it
/// holds what was committed then, whole. Writers go on meanwhile; only the
/// folding-in of the log waits. The copy is checked and is on disk afterwards.
/// Blocks as long as reading and writing takes.
///
/// # Errors
/// `NotOurs` where `from` is no database of ours, or the copy is damaged;
/// `Full`; `Failed`. What is at `to` then is worthless.
pub fn copy_database(from: &Path, to: &Path) -> Result<(), StoreError> {
    open::check_header(from)?;
    let options = Options::default();
    let source = open::open_reader(from, &options).map_err(|e| conclude(&e, from))?;
    // Messages are private.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(|e| open::io(to, &e))?;
    let said = |error: rusqlite::Error| conclude(&error, to);
    let mut copy =
        Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(said)?;
    let step = Backup::new(&source, &mut copy)
        .and_then(|backup| backup.step(-1))
        .map_err(said)?;
    if step != StepResult::Done {
        return Err(StoreError::Overloaded);
    }
    drop(source);
    // One file, without a log beside it.
    let mode: String = copy
        .pragma_update_and_check(None, "journal_mode", "delete", |row| row.get(0))
        .map_err(said)?;
    let verdict: String = copy
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(said)?;
    copy.close().map_err(|(_, error)| conclude(&error, to))?;
    if mode != "delete" || verdict != "ok" {
        return Err(StoreError::NotOurs {
            path: from.display().to_string(),
            detail: format!("its copy is damaged: {verdict}"),
        });
    }
    File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(|e| open::io(to, &e))
}
