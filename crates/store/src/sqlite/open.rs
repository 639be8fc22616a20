//! Opens the database file: makes it where there is none, refuses what is not
//! ours, brings an older schema up to date.
//!
//! A new database is built beside its place and moved there whole. So a file
//! at the place either is complete or was never ours, and its first hundred
//! bytes can be trusted to say which.

use super::Options;
use super::error::conclude;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use steadfast_core::port::StoreError;

/// Marks a database file as ours: "SFGW" (<https://sqlite.org/fileformat2.html#application_id>).
const APPLICATION_ID: u32 = u32::from_be_bytes(*b"SFGW");

/// Every schema that there ever was, in order. Only append.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_start.sql"),
    include_str!("../../migrations/0002_expiry.sql"),
    include_str!("../../migrations/0003_lanes.sql"),
    include_str!("../../migrations/0004_events.sql"),
    include_str!("../../migrations/0005_media.sql"),
    include_str!("../../migrations/0006_tokens.sql"),
    include_str!("../../migrations/0007_waha.sql"),
];

/// The schema version that this program writes.
fn known_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Whether an older schema may be brought up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Migrate {
    Yes,
    No,
}

/// Opens the writer's connection.
pub(super) fn open(
    path: &Path,
    options: &Options,
    migrate: Migrate,
) -> Result<Connection, StoreError> {
    if holds_nothing(path)? {
        if migrate == Migrate::No {
            return Err(StoreError::NotOurs {
                path: path.display().to_string(),
                detail: "there is no database here yet".to_owned(),
            });
        }
        create(path)?;
    }
    check_header(path)?;
    let said = |error: rusqlite::Error| conclude(&error, path);
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, options).map_err(said)?;
    if migrate == Migrate::No {
        connection
            .busy_handler(Some(between_two_commits))
            .map_err(said)?;
    }
    let found = version(&connection).map_err(said)?;
    let known = known_version();
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    if found < known && migrate == Migrate::No {
        return Err(StoreError::Failed(format!(
            "the database has schema version {found}, this program writes {known}: start the gateway once to bring it up to date"
        )));
    }
    writer_pragmas(&connection, options).map_err(said)?;
    apply_migrations(&mut connection).map_err(said)?;
    Ok(connection)
}

/// Opens one connection that cannot write.
pub(super) fn open_reader(path: &Path, options: &Options) -> Result<Connection, rusqlite::Error> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, options)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Asks again each millisecond, for ten seconds. A gateway under load leaves the
/// database free for microseconds between two commits, and SQLite's own wait
/// asks only every 100 ms after the first few times: it may never meet one.
#[expect(
    clippy::disallowed_methods,
    reason = "SQLite tells of no event when another process lets go"
)]
fn between_two_commits(asked: i32) -> bool {
    std::thread::sleep(Duration::from_millis(1));
    asked < 10_000
}

fn connect(
    path: &Path,
    access: OpenFlags,
    options: &Options,
) -> Result<Connection, rusqlite::Error> {
    // Each connection is used by one thread at a time: no mutex inside.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_millis(options.busy_timeout_ms))?;
    connection.set_prepared_statement_cache_capacity(128);
    // A plan is made once: SQLite would look at the values otherwise, and make
    // the plan of a claim anew for each of them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn writer_pragmas(connection: &Connection, options: &Options) -> Result<(), rusqlite::Error> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::InvalidParameterName(format!(
            "this file system does not carry a write-ahead log (journal mode {mode})"
        )));
    }
    // FULL: the log is synced at each commit, so that a commit outlives a power loss.
    connection.pragma_update(None, "synchronous", "full")?;
    // KiB: enough for the hot ends of every index; the rest is the kernel's to keep.
    connection.pragma_update(None, "cache_size", -8_192)?;
    // Pages of 4 KiB: the log is folded into the database every 16 MiB.
    connection.pragma_update(None, "wal_autocheckpoint", 4_096)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    if let Some(bytes) = options.max_bytes {
        let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page.max(1);
        connection.pragma_update_and_check(None, "max_page_count", pages.max(1), |_| Ok(()))?;
    }
    Ok(())
}

/// Whether there is no database at this place. Refuses a log that has lost its database.
fn holds_nothing(path: &Path) -> Result<bool, StoreError> {
    match std::fs::metadata(path) {
        Ok(found) if found.len() > 0 => return Ok(false),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(path, &error)),
    }
    for suffix in ["-wal", "-journal"] {
        let log = beside(path, suffix);
        if log.exists() {
            return Err(StoreError::NotOurs {
                path: path.display().to_string(),
                detail: format!(
                    "the database is gone but its log {} is still here: put the database back, or move the log away",
                    log.display()
                ),
            });
        }
    }
    Ok(true)
}

/// Builds an empty database of the newest schema and moves it into place.
fn create(path: &Path) -> Result<(), StoreError> {
    let draft = beside(path, ".new");
    for leftover in [draft.clone(), beside(&draft, "-journal")] {
        match std::fs::remove_file(&leftover) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(io(&leftover, &error)),
        }
    }
    // SQLite gives its log files the mode of the database: messages are private.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .map_err(|error| io(&draft, &error))?;
    let said = |error: rusqlite::Error| conclude(&error, &draft);
    let mut connection =
        Connection::open_with_flags(&draft, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(said)?;
    connection
        .pragma_update(None, "foreign_keys", true)
        .map_err(said)?;
    connection
        .pragma_update(None, "synchronous", "full")
        .map_err(said)?;
    apply_migrations(&mut connection).map_err(said)?;
    connection
        .close()
        .map_err(|(_, error)| conclude(&error, &draft))?;
    std::fs::rename(&draft, path).map_err(|error| io(path, &error))?;
    sync_directory(path)
}

/// Makes the file's name itself durable.
fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| io(directory, &error))
}

/// Refuses a file that does not begin like a database of ours, without touching it.
pub(super) fn check_header(path: &Path) -> Result<(), StoreError> {
    let mut header = Vec::with_capacity(100);
    File::open(path)
        .and_then(|file| file.take(100).read_to_end(&mut header))
        .map_err(|error| io(path, &error))?;
    let not_ours = |detail: &str| StoreError::NotOurs {
        path: path.display().to_string(),
        detail: detail.to_owned(),
    };
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(not_ours("it does not begin like an SQLite database"));
    }
    // https://sqlite.org/fileformat2.html#the_database_header: bytes 68 to 71.
    match header.get(68..72) {
        Some(id) if id == APPLICATION_ID.to_be_bytes() => Ok(()),
        Some(_) => Err(not_ours("it is an SQLite database of another program")),
        None => Err(not_ours("it is cut off")),
    }
}

fn version(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Runs what is missing, all of it or nothing.
fn apply_migrations(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    if version(connection)? >= known_version() {
        return Ok(());
    }
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found = usize::try_from(version(&transaction)?).unwrap_or(usize::MAX);
    for migration in MIGRATIONS.iter().skip(found) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", known_version())?;
    transaction.commit()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub(super) fn io(path: &Path, error: &std::io::Error) -> StoreError {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return StoreError::Full;
    }
    StoreError::Failed(format!("{}: {error}", path.display()))
}
