//! What lies at the database's place before we come.

use crate::support::{Desk, Folder, id, key, message, numbers, session};
use std::os::unix::fs::PermissionsExt as _;
use steadfast_core::outbox::{Ack, Priority};
use steadfast_core::port::{Accepted, BatchAccepted, KeptAnswer, Outcome, Store, StoreError};
use steadfast_core::time::UnixMs;
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

/// A database as a gateway of the first schema left it behind: one message
/// that was tried, with a key, and one that it had not looked at.
fn first_schema(folder: &Folder) {
    let db = rusqlite::Connection::open(folder.path()).unwrap();
    db.execute_batch(include_str!("../../migrations/0001_start.sql"))
        .unwrap();
    let ours = u32::from_be_bytes(*b"SFGW");
    db.pragma_update(None, "application_id", ours).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    db.execute_batch(
        "INSERT INTO sessions (name, created_at, enabled, login, fence, queued_upto, accepted, sending)
         VALUES ('default', 1, 1, 0, 0, 1, 1, 1)",
    )
    .unwrap();
    for (n, status, attempts) in [(1, "sending", 1), (2, "accepted", 0)] {
        let text = format!("{{\"kind\":\"text\",\"text\":\"message {n}\"}}");
        db.execute(
            "INSERT INTO messages (sid, id, wa_message_id, chat, body, status, attempts,
             accepted_at, due_at, updated_at) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, 1000, 1000, 1000)",
            (
                id(n).as_str(),
                crate::support::wa(n).as_str(),
                crate::support::chat(1).as_str(),
                text,
                status,
                attempts,
            ),
        )
        .unwrap();
    }
    db.execute(
        "INSERT INTO queue (sid, chat, seq, due_at, state) VALUES (1, ?1, 1, 1000, 2)",
        (crate::support::chat(1).as_str(),),
    )
    .unwrap();
    db.execute(
        "INSERT INTO attempts (seq, number, started_at) VALUES (1, 1, 1500)",
        (),
    )
    .unwrap();
    db.execute(
        "INSERT INTO idempotency_keys (key, digest, seq, keep_until) VALUES ('k', ?1, 2, 9000)",
        ([1_u8; 32],),
    )
    .unwrap();
}

/// What a gateway of the first schema left behind is brought up to date, with
/// all that it owed.
#[tokio::test]
async fn an_older_schema_is_brought_up_to_date() {
    let folder = Folder::new();
    first_schema(&folder);
    let store = folder.open();
    let session = session("default");
    let desk = Desk {
        store: &store,
        fence: store.take_fence(&session).await.unwrap(),
        session,
    };
    assert_eq!(desk.depth().await, (1, 1, 0));
    let known = store.accept(message(&desk.session, 3, 1), Some(key("k", 1, 9_000)));
    let Ok(Accepted::Replayed { message: first }) = known.await else {
        panic!("the key is forgotten")
    };
    assert_eq!(first.id, id(2));
    assert_eq!(first.priority, steadfast_core::outbox::Priority::Normal);
    for n in [1, 2] {
        assert_eq!(desk.claim().await, [n]);
        desk.record(n, Outcome::Sent(Ack::Server), 2_000).await;
    }
    assert_eq!(desk.claim().await, crate::support::NONE);
    let pace = store.pace(&desk.session, UnixMs(0)).await.unwrap();
    assert_eq!(pace.first_begun_at, Some(UnixMs(1_000)));
    store.close().await;
    let other = Folder::new();
    other.open().close().await;
    let version = |folder: &Folder| {
        let db = rusqlite::Connection::open(folder.path()).unwrap();
        schema_version(&db)
    };
    assert_eq!(version(&folder), version(&other));
}

/// Lanes, what is scheduled, what pacing must know and the keys of whole
/// requests are on disk like the messages themselves.
#[tokio::test]
async fn lanes_schedules_and_kept_answers_outlive_a_restart() {
    let folder = Folder::new();
    let session = session("default");
    let kept = KeptAnswer {
        session: session.clone(),
        key: key("batch", 1, 9_000),
        answer: "the first answer".to_owned(),
        at: UnixMs(1_000),
    };
    let store = folder.open();
    let desk = Desk::new(&store).await;
    let mut batch = Vec::new();
    for (n, priority, due_at) in [
        (1, Priority::Low, 1_001),
        (2, Priority::High, 5_000),
        (3, Priority::Normal, 1_003),
        (4, Priority::Normal, 1_004),
    ] {
        let mut new = message(&session, n, 1);
        (new.priority, new.due_at) = (priority, UnixMs(due_at));
        batch.push(new);
    }
    let stored = store.accept_batch(batch.clone(), Some(kept.clone())).await;
    assert_eq!(stored, Ok(BatchAccepted::Stored));
    assert_eq!(numbers(&desk.claim_at(2_000, 10).await), [3]);
    store.close().await;

    let store = folder.open();
    let replayed = store.accept_batch(batch, Some(kept.clone())).await;
    assert_eq!(replayed, Ok(BatchAccepted::Replayed(kept.answer)));
    let fence = store.take_fence(&session).await.unwrap();
    let desk = Desk {
        store: &store,
        session,
        fence,
    };
    let pace = store.pace(&desk.session, UnixMs(0)).await.unwrap();
    let begun: u64 = pace.quarters.iter().map(|quarter| quarter.begun).sum();
    assert_eq!((pace.first_begun_at, begun), (Some(UnixMs(2_000)), 1));
    for (n, now) in [(3, 4_999), (2, 5_000), (4, 5_000), (1, 5_000)] {
        assert_eq!(numbers(&desk.claim_at(now, 10).await), [n]);
        desk.record(n, Outcome::Sent(Ack::Server), now).await;
    }
    store.close().await;
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
