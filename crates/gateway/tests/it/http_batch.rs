//! Many messages in one request.

use crate::fake::id;
use crate::surface::Surface;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use steadfast_core::port::Store as _;

const BATCH: &str = "/v1/sessions/default/messages/batch";
const BULK: &str = "/api/whatsapp/send-bulk";

fn mixed() -> Value {
    json!({"messages": [
        {"to": "4915100000001", "text": "one", "priority": "high"},
        {"to": "nobody", "text": "two"},
        {"to": "4915100000003", "text": ""},
        {"to": "4915100000004", "text": "four", "unknown": true},
        {"to": "4915100000005", "text": "five", "wait": "server"},
        {"to": "4915100000006", "text": "six", "send_in": 60},
        17,
    ]})
}

#[tokio::test]
async fn each_message_has_its_result_and_the_good_ones_are_on_disk() {
    let surface = Surface::start().await;
    let reply = surface.post(BATCH, &mixed()).await;
    assert_eq!(reply.status, 202);
    let answer = reply.json();
    assert_eq!(
        (&answer["accepted"], &answer["refused"]),
        (&json!(2), &json!(5))
    );
    let results = answer["results"].as_array().unwrap();
    let outcomes: Vec<_> = results
        .iter()
        .map(|r| r["outcome"].as_str().unwrap())
        .collect();
    let (yes, no) = ("accepted", "refused");
    assert_eq!(outcomes, [yes, no, no, no, no, yes, no]);
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result["index"], json!(index));
    }
    assert_eq!(results[1]["problem"]["code"], "invalid_recipient");
    assert_eq!(results[2]["problem"]["field"], "text");
    assert_eq!(results[4]["problem"]["field"], "wait");
    let message = results[0]["message"]["id"].as_str().unwrap();
    let shown = surface.get(&format!("/v1/messages/{message}")).await.json();
    assert_eq!(
        (&shown["text"], &shown["priority"]),
        (&json!("one"), &json!("high"))
    );
    let depth = surface.store.depth(&id("default")).await.unwrap();
    assert_eq!(depth.accepted, 2);
    assert_eq!(surface.app.metrics.accepted.get(["default"]), 2);
    assert_eq!(surface.sessions.notified.load(Ordering::SeqCst), 1);
    surface.stop().await;
}

#[tokio::test]
async fn one_key_covers_the_whole_request() {
    let surface = Surface::start().await;
    let key = [("idempotency-key", "batch-1")];
    let first = surface.post_with(BATCH, &mixed(), &key).await;
    let again = surface.post_with(BATCH, &mixed(), &key).await;
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (202, "true")
    );
    assert_eq!(first.bytes, again.bytes);
    let mut other = mixed();
    other["messages"][0]["text"] = json!("another");
    let reused = surface.post_with(BATCH, &other, &key).await;
    reused.problem(422, "idempotency_key_reused");
    let single = json!({"to": "4915100000001", "text": "one"});
    let path = "/v1/sessions/default/messages";
    let reused = surface.post_with(path, &single, &key).await;
    reused.problem(422, "idempotency_key_reused");
    let depth = surface.store.depth(&id("default")).await.unwrap();
    assert_eq!(depth.accepted, 2);
    surface.stop().await;
}

#[tokio::test]
async fn one_key_many_times_at_once_is_one_batch() {
    let surface = Surface::start().await;
    let body = mixed();
    let asks = (0..10).map(|_| surface.post_with(BATCH, &body, &[("idempotency-key", "k")]));
    let mut answers = Vec::new();
    for reply in futures_util::future::join_all(asks).await {
        match reply.status {
            202 => answers.push(reply.bytes),
            409 => {
                reply.problem(409, "idempotency_in_flight");
                assert_eq!(reply.header("retry-after"), "1");
            }
            other => panic!("{other}"),
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    let depth = surface.store.depth(&id("default")).await.unwrap();
    assert_eq!(depth.accepted, 2);
    surface.stop().await;
}

#[tokio::test]
async fn a_batch_has_bounds() {
    let surface = Surface::start().await;
    for messages in [
        json!([]),
        json!(vec![json!({"to": "4915100000001", "text": "x"}); 1_001]),
    ] {
        let problem = surface.post(BATCH, &json!({"messages": messages})).await;
        assert_eq!(problem.problem(422, "invalid_field")["field"], "messages");
    }
    let many = json!(vec![json!({"to": "4915100000001", "text": "x"}); 1_000]);
    let reply = surface.post(BATCH, &json!({"messages": many})).await;
    assert_eq!(reply.json()["accepted"], 1_000);
    let none = json!({"messages": [{"to": "nobody", "text": "x"}]});
    let refused = surface.post(BATCH, &none).await;
    let problem = refused.problem(422, "invalid_field");
    assert_eq!(
        problem["results"][0]["problem"]["code"],
        "invalid_recipient"
    );
    let nowhere = "/v1/sessions/nowhere/messages/batch";
    let good = json!({"messages": [{"to": "4915100000001", "text": "x"}]});
    surface
        .post(nowhere, &good)
        .await
        .problem(404, "session_unknown");
    surface.stop().await;
}

#[tokio::test]
async fn the_originals_bulk_is_safe_to_repeat_too() {
    let surface = Surface::start().await;
    let key = [("idempotency-key", "bulk-1")];
    let bulk = json!({"numbers": ["4915100000001", "x", 4_915_100_000_003_u64], "message": "hi"});
    let first = surface.post_with(BULK, &bulk, &key).await;
    assert_eq!((first.status, &first.json()["queued"]), (202, &json!(2)));
    let again = surface.post_with(BULK, &bulk, &key).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.bytes, again.bytes);
    let other = json!({"numbers": ["4915100000001"], "message": "hi"});
    let reused = surface.post_with(BULK, &other, &key).await;
    reused.problem(422, "idempotency_key_reused");
    let depth = surface.store.depth(&id("default")).await.unwrap();
    assert_eq!(depth.accepted, 2);
    surface.stop().await;
}
