//! A full disk loses nothing, lies about nothing, and is over when there is room.

use crate::support::{Desk, LATER, id, message};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use steadfast_core::outbox::Body;
use steadfast_core::port::{Accepted, Store, StoreError};
use steadfast_store::{Options, SqliteStore};

/// Accepts until there is no room, several at a time; says which were stored and which were not.
async fn fill(desk: &Desk<'_>, first: u64) -> (Vec<u64>, Vec<u64>) {
    let (mut stored, mut refused) = (Vec::new(), Vec::new());
    let mut next = first;
    while refused.is_empty() {
        assert!(next < first + 20_000, "this disk never fills up");
        let one = async |n: u64| {
            let mut new = message(&desk.session, n, n % 5);
            new.body = Body::text("x".repeat(2_000));
            (n, desk.store.accept(new, None).await)
        };
        let four = tokio::join!(one(next), one(next + 1), one(next + 2), one(next + 3));
        for (n, answer) in <[_; 4]>::from(four) {
            match answer {
                Ok(accepted) => {
                    assert_eq!(accepted, Accepted::Stored);
                    stored.push(n);
                }
                Err(error) => {
                    assert_eq!(error, StoreError::Full, "message {n}");
                    refused.push(n);
                }
            }
        }
        next += 4;
    }
    (stored, refused)
}

/// The store holds the stored ones, none of the refused ones, and nothing else.
async fn compare(desk: &Desk<'_>, stored: &[u64], refused: &[u64]) {
    for n in stored {
        assert!(
            desk.store.message(&id(*n)).await.unwrap().is_some(),
            "message {n} is lost"
        );
    }
    for n in refused {
        assert_eq!(
            desk.store.message(&id(*n)).await,
            Ok(None),
            "message {n} was refused"
        );
    }
    assert_eq!(desk.depth().await, (stored.len() as u64, 0, 0));
}

#[tokio::test]
async fn a_database_at_its_bound_is_full_until_the_bound_is_raised() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steadfast.db");
    let small = Options {
        max_bytes: Some(1_000_000),
        ..Options::default()
    };
    let store = SqliteStore::open(&path, small).unwrap();
    let desk = Desk::new(&store).await;
    let (stored, refused) = fill(&desk, 1).await;
    compare(&desk, &stored, &refused).await;
    store.close().await;

    let store = SqliteStore::open(&path, Options::default()).unwrap();
    let desk = Desk {
        store: &store,
        ..desk
    };
    let again = store
        .accept(message(&desk.session, refused[0], 1), None)
        .await;
    assert_eq!(again, Ok(Accepted::Stored));
    assert_eq!(store.check().await, Ok(()));
    // And what was stored is delivered: five chats, five heads.
    assert_eq!(desk.claim_at(LATER, 10).await.len(), 5);
    store.close().await;
}

/// A small disk of our own, where we may mount one.
struct SmallDisk {
    at: tempfile::TempDir,
}

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        if std::fs::metadata("/proc/self").ok()?.uid() != 0 {
            return None;
        }
        let at = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(at.path())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self { at })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.at.path().join(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.at.path())
            .status();
    }
}

fn take_room(at: &Path, bytes: usize) {
    std::fs::write(at, vec![1; bytes]).unwrap();
}

#[tokio::test]
async fn a_full_disk_is_full_until_there_is_room() {
    // Who may not mount a disk has the test above, which goes the same way
    // through the store.
    let Some(small) = SmallDisk::mount("6m") else {
        return;
    };
    let (path, ballast) = (small.file("steadfast.db"), small.file("ballast"));
    take_room(&ballast, 3_000_000);
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    let desk = Desk::new(&store).await;
    let (mut stored, mut refused) = fill(&desk, 1).await;
    compare(&desk, &stored, &refused).await;

    // Room again, without a restart; then full again.
    std::fs::remove_file(&ballast).unwrap();
    for n in std::mem::take(&mut refused) {
        let again = store.accept(message(&desk.session, n, n % 5), None).await;
        assert_eq!(again, Ok(Accepted::Stored), "message {n}");
        stored.push(n);
    }
    let (more, refused) = fill(&desk, 100_000).await;
    stored.extend(more);
    compare(&desk, &stored, &refused).await;

    // A restart on the full disk finds all of it. Closing drops the log, and
    // with it comes room.
    store.close().await;
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    let desk = Desk {
        store: &store,
        ..desk
    };
    compare(&desk, &stored, &refused).await;
    store.close().await;
}

#[test]
fn a_disk_without_room_for_an_empty_database_says_so() {
    let Some(small) = SmallDisk::mount("64k") else {
        return;
    };
    take_room(&small.file("ballast"), 48_000);
    let opened = SqliteStore::open(small.file("steadfast.db"), Options::default());
    assert_eq!(opened.err(), Some(StoreError::Full));
    // Nothing half-made is taken for a database later.
    std::fs::remove_file(small.file("ballast")).unwrap();
    assert!(!small.file("steadfast.db").exists());
}
