//! A process that writes is killed with SIGKILL: what it was told is on disk.

use crate::support::{Desk, Folder, id, message, number, record_of, session};
use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use steadfast_core::event::{EventData, EventKind};
use steadfast_core::ids::LoginGeneration;
use steadfast_core::outbox::{Ack, Status};
use steadfast_core::port::{Accepted, EventLog as _, EventQuery, MessageQuery, Outcome, Store};
use steadfast_core::time::UnixMs;
use steadfast_store::{Options, SqliteStore};

/// A time at which everything here is due.
const FAR: i64 = 1_000_000_000;
const DATABASE: &str = "STEADFAST_TEST_DATABASE";
const FIRST: &str = "STEADFAST_TEST_FIRST";

/// Says one line on stdout, whole.
fn tell(line: &str) {
    std::io::stdout()
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
}

/// Not a test by itself: the process that `what_was_promised_survives_a_kill`
/// starts and kills. It accepts, claims and records, and tells each success.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by another test"]
async fn child_that_writes_until_killed() {
    let database = std::env::var(DATABASE).unwrap();
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let store = Arc::new(SqliteStore::open(database, Options::default()).unwrap());
    let name = session("default");
    let _ = store.add_session(record_of(&name)).await;
    let fence = store.take_fence(&name).await.unwrap();
    let next = Arc::new(AtomicU64::new(first));
    let mut work = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, name, next) = (Arc::clone(&store), name.clone(), Arc::clone(&next));
        work.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let accepted = store.accept(message(&name, n, n % 50), None).await;
                assert_eq!(accepted, Ok(Accepted::Stored));
                tell(&format!("accepted {n}"));
            }
        });
    }
    work.spawn(async move {
        loop {
            let claimed = store
                .claim(&name, fence, LoginGeneration(1), UnixMs(FAR), 10)
                .await
                .unwrap();
            for claimed in claimed {
                let n = number(&claimed.message);
                tell(&format!("claimed {n}"));
                let sent = crate::support::outcome(n, Outcome::Sent(Ack::Server), FAR);
                store.record(&name, fence, vec![sent]).await.unwrap();
                tell(&format!("sent {n}"));
            }
        }
    });
    // None of them ends by itself: the first to end has failed.
    work.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn what_was_promised_survives_a_kill() {
    let folder = Folder::new();
    let (mut accepted, mut claimed, mut sent) = (HashSet::new(), HashSet::new(), HashSet::new());
    for round in 0..4_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "crash::child_that_writes_until_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(DATABASE, folder.path())
            .env(FIRST, (round * 1_000_000).to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stdout.take().unwrap());
        let mut lines = 0;
        for line in told.lines() {
            let line = line.unwrap();
            let Some((what, n)) = line.split_once(' ') else {
                continue;
            };
            let Ok(n) = n.parse::<u64>() else { continue };
            match what {
                "accepted" => accepted.insert(n),
                "claimed" => claimed.insert(n),
                "sent" => sent.insert(n),
                _ => continue,
            };
            lines += 1;
            // Not at the same place every time. What it had said until then
            // is still read from the pipe.
            if lines == 150 + 61 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(lines >= 150, "the child wrote only {lines} times");
    }

    let store = folder.open();
    for n in &accepted {
        assert!(
            store.message(&id(*n)).await.unwrap().is_some(),
            "message {n} is lost"
        );
    }
    for n in &claimed {
        let message = store.message(&id(*n)).await.unwrap().unwrap();
        assert!(message.attempts > 0, "the claim of message {n} is lost");
        assert_ne!(message.status, Status::Accepted, "message {n}");
    }
    for n in &sent {
        let message = store.message(&id(*n)).await.unwrap().unwrap();
        assert_eq!(message.status, Status::Sent, "message {n}");
    }
    assert!(
        accepted.len() > 300 && !sent.is_empty(),
        "{} accepted, {} sent",
        accepted.len(),
        sent.len()
    );

    // Each change is told, once, and nothing is told that did not happen.
    let mut told = HashSet::new();
    let mut after = 0;
    loop {
        let query = EventQuery {
            after,
            limit: 1_000,
            ..EventQuery::default()
        };
        let page = store.events(query).await.unwrap();
        for event in page.events {
            if let EventData::Message(moved) = event.data {
                assert!(told.insert((event.kind, moved.id)), "told twice");
            }
        }
        if !page.more {
            break;
        }
        after = page.next;
    }
    for n in &accepted {
        assert!(told.contains(&(EventKind::MessageAccepted, id(*n))), "{n}");
    }
    for n in &sent {
        assert!(told.contains(&(EventKind::MessageSent, id(*n))), "{n}");
    }
    for (kind, id) in &told {
        let message = store.message(id).await.unwrap().unwrap();
        if *kind == EventKind::MessageSent {
            assert_eq!(message.status, Status::Sent);
        }
    }

    // What is owed is still delivered, each chat in order.
    let name = session("default");
    let desk = Desk {
        fence: store.take_fence(&name).await.unwrap(),
        session: name,
        store: &store,
    };
    let owed = desk.depth().await;
    let mut delivered = 0;
    let mut last_of_chat = std::collections::HashMap::new();
    loop {
        let heads = desk.claim_at(FAR, 100).await;
        if heads.is_empty() {
            break;
        }
        for head in heads {
            let before = last_of_chat.insert(head.message.to.clone(), head.message.seq);
            assert!(before < Some(head.message.seq));
            desk.record(number(&head.message), Outcome::Sent(Ack::Server), FAR)
                .await;
            delivered += 1;
        }
    }
    assert_eq!(delivered, owed.0 + owed.1);
    let left = MessageQuery {
        status: Some(Status::Sending),
        limit: 1,
        ..MessageQuery::default()
    };
    assert_eq!(store.messages(&desk.session, left).await, Ok(vec![]));
    store.close().await;
}
