//! A disk that fails a commit's sync: what a caller is told, and what is true.

use crate::support::{Desk, id, message};
use crate::syscalls::Watch;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use steadfast_core::port::{Accepted, Store as _, StoreError};
use steadfast_store::{Options, SqliteStore};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let kept = tempfile::tempdir().unwrap();
    let path = kept.path().canonicalize().unwrap();
    (kept, path)
}

/// What the next process finds where this one dies now: the files as they are.
/// The index of the log is not among them, the next process makes its own.
fn as_if_killed(from: &Path, to: &Path) -> SqliteStore {
    for name in ["steadfast.db", "steadfast.db-wal"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
    SqliteStore::open(to.join("steadfast.db"), Options::default()).unwrap()
}

#[tokio::test]
async fn a_commit_whose_sync_fails_is_neither_promised_nor_denied() {
    let (_kept, here) = folder();
    let (_watch, fails) = Watch::failing(&here);
    let store = SqliteStore::open(here.join("steadfast.db"), Options::default()).unwrap();
    let desk = Desk::new(&store).await;
    desk.accept(1, 1).await;

    fails.store(true, Ordering::SeqCst);
    let doubted = store.accept(message(&desk.session, 2, 2), None).await;
    assert!(
        matches!(doubted, Err(StoreError::Unknown(_))),
        "{doubted:?}"
    );
    // This process has taken it back. One that dies now leaves it behind, so
    // that "nothing was stored" would have been a lie.
    assert_eq!(store.message(&id(2)).await, Ok(None));
    let (_kept_too, there) = folder();
    let next = as_if_killed(&here, &there);
    assert!(next.message(&id(2)).await.unwrap().is_some());
    next.close().await;

    // The same again is stored once.
    fails.store(false, Ordering::SeqCst);
    let again = store.accept(message(&desk.session, 2, 2), None).await;
    assert_eq!(again, Ok(Accepted::Stored));
    assert_eq!(desk.depth().await, (2, 0, 0));
    let (_kept_last, there) = folder();
    let next = as_if_killed(&here, &there);
    let depth = next.depth(&desk.session).await.unwrap();
    assert_eq!(depth.accepted, 2);
    next.close().await;
    store.close().await;
}
