//! A person's word on parked messages, by the command line.

use crate::binary::{Serving, run, steadfast};
use crate::fake::{THEN, id};
use serde_json::Value;
use std::path::Path;
use steadfast_core::ids::{ChatId, LoginGeneration, MessageId, WaMessageId};
use steadfast_core::outbox::{Body, NewMessage, ParkReason, Priority};
use steadfast_core::port::{Outcome, Recorded, Store as _};
use steadfast_store::{Options, SqliteStore};

/// Leaves so many parked messages in a data folder that no gateway runs on.
fn park(dir: &Path, count: u8) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(park_in(dir, count))
}

/// The same, from within a runtime.
pub(crate) async fn park_in(dir: &Path, count: u8) -> Vec<String> {
    let store = SqliteStore::open(dir.join("steadfast.db"), Options::default()).unwrap();
    let session = id("default");
    let fence = store.take_fence(&session).await.unwrap();
    for n in 1..=count {
        let message = NewMessage {
            id: MessageId::mint(THEN, [n; 10]),
            wa_message_id: WaMessageId::mint([n; 9]),
            session: session.clone(),
            to: ChatId::parse(&format!("49151000000{n:02}")).unwrap(),
            body: Body::text("parked"),
            priority: Priority::Normal,
            accepted_at: THEN,
            due_at: THEN,
            expires_at: None,
        };
        store.accept(message, None).await.unwrap();
    }
    let claimed = store
        .claim(&session, fence, LoginGeneration(1), THEN, 10)
        .await
        .unwrap();
    let ids: Vec<String> = claimed
        .iter()
        .map(|claimed| claimed.message.id.to_string())
        .collect();
    let parked = claimed
        .into_iter()
        .map(|claimed| Recorded {
            id: claimed.message.id,
            outcome: Outcome::Parked(ParkReason::LoginLost),
            detail: Some("the login was lost".to_owned()),
            at: THEN,
        })
        .collect();
    store.record(&session, fence, parked).await.unwrap();
    store.close().await;
    ids
}

fn outbox(dir: &Path, words: &[&str]) -> (Option<i32>, Vec<Value>, String) {
    let mut command = steadfast(dir);
    let ended = run(command.arg("outbox").args(words).arg("--json"));
    (ended.code, ended.values(), ended.stderr)
}

#[test]
fn parked_messages_are_listed_released_and_discarded() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Serving::start(dir.path()).end("TERM").0, Some(0));
    let ids = park(dir.path(), 3);
    let serving = Serving::start(dir.path());

    let (code, listed, _) = outbox(dir.path(), &["list"]);
    assert_eq!(code, Some(0));
    let names: Vec<_> = listed.iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(names, ids);
    assert!(listed.iter().all(|m| m["reason"] == "login_lost"));

    let (code, released, _) = outbox(dir.path(), &["release", &ids[0]]);
    assert_eq!(
        (code, &released[0]["status"]),
        (Some(0), &"accepted".into())
    );
    let (code, dropped, _) = outbox(dir.path(), &["drop", &ids[1]]);
    assert_eq!(
        (code, &dropped[0]["status"]),
        (Some(0), &"cancelled".into())
    );
    // Decided once; the other one is decided all the same.
    let (code, values, _) = outbox(dir.path(), &["discard", &ids[0], &ids[2]]);
    assert_eq!(code, Some(10));
    assert_eq!(values[0]["id"], ids[2].as_str());
    let (_, left, _) = outbox(dir.path(), &["list"]);
    assert_eq!(left, Vec::<Value>::new());
    let (_, waiting, _) = outbox(dir.path(), &["list", "--status", "accepted"]);
    assert_eq!(waiting.len(), 1);

    let (code, log) = serving.end("TERM");
    assert_eq!(code, Some(0));
    for act in ["release", "discard"] {
        let told = log
            .lines()
            .any(|line| line.contains("message_decided") && line.contains(act));
        assert!(told, "{act} is not in the log:\n{log}");
    }
}

#[test]
fn all_parked_messages_are_released_at_once() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Serving::start(dir.path()).end("TERM").0, Some(0));
    park(dir.path(), 3);
    let serving = Serving::start(dir.path());
    let (code, released, said) = outbox(dir.path(), &["release", "--all"]);
    assert_eq!((code, released.len()), (Some(0), 3), "{said}");
    assert_eq!(serving.end("TERM").0, Some(0));
    let (code, _, _) = outbox(dir.path(), &["list"]);
    assert_eq!(code, Some(9), "no gateway runs");
}
