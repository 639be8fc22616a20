//! What lies at the database's place before we come.

use crate::support::{Desk, Folder, id, session};
use std::os::unix::fs::PermissionsExt as _;
use steadfast_core::port::{Store, StoreError};
use steadfast_store::{Options, SqliteStore};

fn open(folder: &Folder) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(folder.path(), Options::default())
}

/// Why the file was refused; it must still be as it was.
fn refusal(folder: &Folder) -> String {
    let before = std::fs::read(folder.path()).unwrap();
    for opened in [
        open(folder),
        SqliteStore::open_existing_for_cli(folder.path()),
    ] {
        match opened.err() {
            Some(StoreError::NotOurs { path, detail }) => {
                assert_eq!(path, folder.path().display().to_string());
                assert_eq!(std::fs::read(folder.path()).unwrap(), before);
                if before.len() > 4_096 {
                    continue;
                }
                return detail;
            }
            other => panic!("{other:?}"),
        }
    }
    String::new()
}

#[tokio::test]
async fn a_new_database_is_private_and_stands_alone() {
    let folder = Folder::new();
    let store = folder.open();
    store.check().await.unwrap();
    let names = || {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder.path().parent().unwrap()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            names.push(entry.file_name().into_string().unwrap());
        }
        names.sort();
        names
    };
    assert_eq!(
        names(),
        ["steadfast.db", "steadfast.db-shm", "steadfast.db-wal"]
    );
    // A clean end leaves one file, with everything in it.
    assert_eq!(store.sessions().await, Ok(vec![]));
    store.close().await;
    assert_eq!(names(), ["steadfast.db"]);
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart() {
    let folder = Folder::new();
    let store = folder.open();
    let desk = Desk::new(&store).await;
    desk.accept(1, 1).await;
    desk.claim().await;
    let (message, sessions) = (desk.get(1).await, store.sessions().await);
    store.close().await;
    let store = folder.open();
    assert_eq!(store.message(&id(1)).await, Ok(Some(message)));
    assert_eq!(store.sessions().await, sessions);
    store.close().await;
}

#[tokio::test]
async fn an_empty_file_and_a_half_made_one_are_no_obstacle() {
    let folder = Folder::new();
    std::fs::write(folder.path(), b"").unwrap();
    std::fs::write(
        folder.path().with_extension("db.new"),
        b"half of a database",
    )
    .unwrap();
    let store = folder.open();
    assert_eq!(store.check().await, Ok(()));
    store.close().await;
    assert!(!folder.path().with_extension("db.new").exists());
}

fn schema_version(db: &rusqlite::Connection) -> i64 {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

/// What a gateway of the first schema left behind is brought up to date, with
/// all that it owed.
#[tokio::test]
async fn an_older_schema_is_brought_up_to_date() {
    let folder = Folder::new();
    let store = folder.open();
    Desk::new(&store).await.accept(1, 1).await;
    store.close().await;
    let db = rusqlite::Connection::open(folder.path()).unwrap();
    let newest = schema_version(&db);
    assert!(newest > 1);
    db.execute_batch("DROP INDEX messages_by_end").unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    drop(db);
    let store = folder.open();
    let owed = store.depth(&session("default")).await.unwrap();
    assert_eq!(owed.accepted, 1);
    store.close().await;
    let db = rusqlite::Connection::open(folder.path()).unwrap();
    assert_eq!(schema_version(&db), newest);
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let folder = Folder::new();
    folder.open().close().await;
    let db = rusqlite::Connection::open(folder.path()).unwrap();
    let known = schema_version(&db);
    db.pragma_update(None, "user_version", 1_000).unwrap();
    drop(db);
    let newer = Some(StoreError::NewerSchema {
        found: 1_000,
        known,
    });
    assert_eq!(open(&folder).err(), newer);
    assert_eq!(
        SqliteStore::open_existing_for_cli(folder.path()).err(),
        newer
    );
}

#[tokio::test]
async fn a_command_migrates_nothing_and_makes_nothing() {
    let folder = Folder::new();
    let none = SqliteStore::open_existing_for_cli(folder.path()).err();
    assert!(matches!(none, Some(StoreError::NotOurs { .. })), "{none:?}");
    assert!(!folder.path().exists());
    folder.open().close().await;
    let db = rusqlite::Connection::open(folder.path()).unwrap();
    db.pragma_update(None, "user_version", 0).unwrap();
    drop(db);
    let older = SqliteStore::open_existing_for_cli(folder.path()).err();
    let Some(StoreError::Failed(why)) = older else {
        panic!("{older:?}")
    };
    assert!(why.contains("schema version 0"), "{why}");
}

#[test]
fn files_of_others_are_left_alone() {
    let folder = Folder::new();
    std::fs::write(folder.path(), b"Dear diary").unwrap();
    assert!(refusal(&folder).contains("SQLite"));
    // Begins like a database, and ends at once.
    std::fs::write(folder.path(), b"SQLite format 3\0and no more").unwrap();
    assert!(refusal(&folder).contains("cut off"));

    let folder = Folder::new();
    let db = rusqlite::Connection::open(folder.path()).unwrap();
    db.execute_batch("CREATE TABLE diary (day TEXT)").unwrap();
    drop(db);
    refusal(&folder);
}

#[tokio::test]
async fn a_damaged_database_is_named() {
    // Cut in the middle: the header says that more pages should follow.
    let folder = Folder::new();
    folder.open().close().await;
    let whole = std::fs::read(folder.path()).unwrap();
    std::fs::write(folder.path(), &whole[..whole.len() / 2 / 4_096 * 4_096]).unwrap();
    refusal(&folder);
    // Our header, and nothing sensible behind it.
    let mut garbage = whole.clone();
    garbage[100..].fill(0xA5);
    std::fs::write(folder.path(), &garbage).unwrap();
    refusal(&folder);
}

#[tokio::test]
async fn a_log_that_lost_its_database_is_not_thrown_away() {
    let folder = Folder::new();
    let store = folder.open();
    let desk = Desk::new(&store).await;
    desk.accept(1, 1).await;
    let moved = folder.path().with_extension("moved");
    let log = folder.path().with_extension("db-wal");
    std::fs::copy(folder.path(), &moved).unwrap();
    let kept = std::fs::read(&log).unwrap();
    store.close().await;
    std::fs::remove_file(folder.path()).unwrap();
    std::fs::write(&log, kept).unwrap();

    let refused = open(&folder).err();
    let Some(StoreError::NotOurs { detail, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(detail.contains("db-wal"), "{detail}");
    // With the database back, the log is read.
    std::fs::rename(&moved, folder.path()).unwrap();
    let store = folder.open();
    assert!(store.message(&id(1)).await.unwrap().is_some());
    store.close().await;
}

#[test]
fn a_missing_folder_is_named() {
    let folder = Folder::new();
    let path = folder.path().join("deep").join("steadfast.db");
    let Some(StoreError::Failed(why)) = SqliteStore::open(&path, Options::default()).err() else {
        panic!("there is no such folder");
    };
    assert!(why.contains("deep"), "{why}");
}
