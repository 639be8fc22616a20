//! Others who write at the same time, and more requests than fit.

use crate::support::{Desk, Folder, id, message};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::port::{Accepted, Scope, Store, StoreError, TokenRecord};
use steadfast_core::time::UnixMs;
use steadfast_store::{Options, SqliteStore};

const DATABASE: &str = "STEADFAST_TEST_DATABASE";

fn token() -> TokenRecord {
    TokenRecord::new("made beside", [42; 32], Scope::Send, UnixMs(1))
}

/// Not a test by itself: what a command does beside a running gateway.
#[tokio::test]
#[ignore = "started by another test"]
async fn child_that_adds_a_token() {
    let store = SqliteStore::open_existing_for_cli(std::env::var(DATABASE).unwrap()).unwrap();
    store.add_token(token()).await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_adds_a_token_while_messages_come_in() {
    let folder = Folder::new();
    let store = Arc::new(folder.open());
    let desk = Desk::new(&*store).await;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "busy::child_that_adds_a_token", "--ignored"])
        .env(DATABASE, folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut n = 0;
    let status = loop {
        n += 1;
        desk.accept(n, n).await;
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
    };
    assert!(status.success());
    // At once, without a restart; and the writer goes on.
    assert_eq!(store.token_by_hash(&[42; 32]).await, Ok(Some(token())));
    desk.accept(n + 1, 1).await;
    assert_eq!(desk.depth().await, (n + 1, 0, 0));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_fits_is_refused_and_the_rest_is_done() {
    let folder = Folder::new();
    let options = Options {
        queue: 4,
        batch: 4,
        busy_timeout_ms: 60_000,
        ..Options::default()
    };
    let store = Arc::new(SqliteStore::open(folder.path(), options).unwrap());
    let desk = Desk::new(&*store).await;
    // Somebody else holds the database: the writer cannot move.
    let other = rusqlite::Connection::open(folder.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut calls = tokio::task::JoinSet::new();
    let (told, mut refusals) = tokio::sync::mpsc::channel(64);
    for n in 1..=20 {
        let (store, new, told) = (
            Arc::clone(&store),
            message(&desk.session, n, n),
            told.clone(),
        );
        calls.spawn(async move {
            let answer = store.accept(new, None).await;
            if answer.is_err() {
                told.send(()).await.unwrap();
            }
            (n, answer)
        });
    }
    // One batch is with the writer, and the queue is full: 4 and 4.
    for _ in 0..12 {
        let told = tokio::time::timeout(Duration::from_secs(30), refusals.recv());
        assert!(told.await.is_ok(), "too few were refused");
    }
    other.execute_batch("ROLLBACK").unwrap();
    let (mut stored, mut refused) = (0, 0);
    while let Some(call) = calls.join_next().await {
        let (n, answer) = call.unwrap();
        let kept = store.message(&id(n)).await.unwrap().is_some();
        match answer {
            Ok(accepted) => {
                assert_eq!((accepted, kept), (Accepted::Stored, true));
                stored += 1;
            }
            Err(error) => {
                assert_eq!((error, kept), (StoreError::Overloaded, false));
                refused += 1;
            }
        }
    }
    assert_eq!(stored + refused, 20);
    assert_eq!(desk.depth().await, (stored, 0, 0));
    store.close().await;
}

#[tokio::test]
async fn who_holds_the_database_too_long_makes_it_overloaded() {
    let folder = Folder::new();
    let options = Options {
        busy_timeout_ms: 50,
        ..Options::default()
    };
    let store = SqliteStore::open(folder.path(), options).unwrap();
    let desk = Desk::new(&store).await;
    let other = rusqlite::Connection::open(folder.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = store.accept(message(&desk.session, 1, 1), None).await;
    assert_eq!(refused, Err(StoreError::Overloaded));
    // Who only reads is not held up.
    assert_eq!(store.message(&id(1)).await, Ok(None));
    other.execute_batch("ROLLBACK").unwrap();
    desk.accept(1, 1).await;
    store.close().await;
}
