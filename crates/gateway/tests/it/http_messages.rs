//! Accepting messages, and what can be asked of them afterwards.

use crate::fake::id;
use crate::surface::Surface;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use steadfast_core::ids::LoginGeneration;
use steadfast_core::outbox::{Ack, ParkReason};
use steadfast_core::port::{Outcome, Recorded, Store as _};
use steadfast_core::time::UnixMs;

const MESSAGES: &str = "/v1/sessions/default/messages";
const NOW: UnixMs = UnixMs(i64::MAX / 2);

fn hello() -> Value {
    json!({"to": "+49 151 23456789", "text": "Hello"})
}

#[tokio::test]
async fn a_202_means_on_disk() {
    let surface = Surface::start().await;
    let reply = surface.post(MESSAGES, &hello()).await;
    let accepted = reply.json();
    assert_eq!(reply.status, 202);
    assert_eq!(accepted["status"], "accepted");
    assert_eq!(accepted["to"], "4915123456789@c.us");
    let wa = accepted["wa_message_id"].as_str().unwrap();
    assert!(wa.starts_with("3EB0") && wa.len() == 22, "{wa}");
    let path = reply.header("location").to_owned();
    assert_eq!(
        path,
        format!("/v1/messages/{}", accepted["id"].as_str().unwrap())
    );
    assert_eq!(surface.sessions.notified.load(Ordering::SeqCst), 1);
    let message = surface.get(&path).await.json();
    assert_eq!(message["text"], "Hello");
    assert_eq!(message["status"], "accepted");
    assert_eq!(message["attempts"], 0);
    assert_eq!(message["acks"], json!([]));
    assert_eq!(message["attempt_log"], json!([]));
    assert_eq!(surface.app.metrics.accepted.get(["default"]), 1);
    surface.stop().await;
}

#[tokio::test]
async fn wrong_recipients_and_texts_are_refused() {
    let surface = Surface::start().await;
    for to in [
        "",
        "12345",
        "hello",
        "+",
        "1234567890123456",
        "x@g.us",
        "1@example.org",
    ] {
        let body = json!({"to": to, "text": "x"});
        surface
            .post(MESSAGES, &body)
            .await
            .problem(422, "invalid_recipient");
    }
    for text in [String::new(), "x".repeat(65_537)] {
        let body = json!({"to": "4915123456789", "text": text});
        let problem = surface
            .post(MESSAGES, &body)
            .await
            .problem(422, "invalid_field");
        assert_eq!(problem["field"], "text");
    }
    let longest = json!({"to": "4915123456789", "text": "\u{1f600}".repeat(65_536)});
    assert_eq!(surface.post(MESSAGES, &longest).await.status, 202);
    let nowhere = "/v1/sessions/nobody/messages";
    surface
        .post(nowhere, &hello())
        .await
        .problem(404, "session_unknown");
    let impossible = "/v1/sessions/No%20Body/messages";
    surface
        .post(impossible, &hello())
        .await
        .problem(404, "session_unknown");
    assert_eq!(surface.sessions.notified.load(Ordering::SeqCst), 1);
    surface.stop().await;
}

#[tokio::test]
async fn a_time_to_live_is_kept_as_said() {
    let surface = Surface::start().await;
    let with = |field: &str, value: Value| {
        let mut body = hello();
        body[field] = value;
        body
    };
    let expires = async |body: &Value| {
        let reply = surface.post(MESSAGES, body).await;
        assert_eq!(reply.status, 202);
        let message = surface.get(reply.header("location")).await.json();
        let read = |name: &str| message[name].as_str().and_then(UnixMs::parse_rfc3339);
        (read("accepted_at").unwrap(), read("expires_at"))
    };
    let (_, at) = expires(&hello()).await;
    assert_eq!(at, None);
    let (_, at) = expires(&with("expires_at", json!("2024-01-15T11:30:00+01:00"))).await;
    assert_eq!(at, Some(crate::fake::THEN));
    let (accepted, at) = expires(&with("expires_in", json!(60))).await;
    assert_eq!(at, Some(accepted.plus(60_000)));
    for (field, value) in [
        ("expires_at", json!("tomorrow")),
        ("expires_in", json!(0)),
        ("expires_in", json!(31_536_001)),
    ] {
        let problem = surface
            .post(MESSAGES, &with(field, value))
            .await
            .problem(422, "invalid_field");
        assert_eq!(problem["field"], field);
    }
    let mut both = with("expires_in", json!(60));
    both["expires_at"] = json!("2024-01-15T10:30:00Z");
    surface
        .post(MESSAGES, &both)
        .await
        .problem(422, "invalid_field");
    // The same key with another end is another request; the same in seconds
    // is the same, whenever it comes.
    let key = [("idempotency-key", "ttl")];
    let short = with("expires_in", json!(60));
    let first = surface.post_with(MESSAGES, &short, &key).await;
    let again = surface.post_with(MESSAGES, &short, &key).await;
    assert_eq!(first.bytes, again.bytes);
    surface
        .post_with(MESSAGES, &hello(), &key)
        .await
        .problem(422, "idempotency_key_reused");
    surface.stop().await;
}

#[tokio::test]
async fn a_key_makes_a_request_safe_to_repeat() {
    let surface = Surface::start().await;
    let key = [("idempotency-key", "order-4711")];
    let first = surface.post_with(MESSAGES, &hello(), &key).await;
    assert_eq!(
        (first.status, first.header("idempotency-replayed")),
        (202, "")
    );
    let again = surface.post_with(MESSAGES, &hello(), &key).await;
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (202, "true")
    );
    assert_eq!(first.bytes, again.bytes);
    let other = json!({"to": "4915123456789", "text": "Other"});
    let reused = surface.post_with(MESSAGES, &other, &key).await;
    reused.problem(422, "idempotency_key_reused");
    // The same recipient in another spelling is the same request.
    let spelt = json!({"to": "4915123456789@c.us", "text": "Hello"});
    assert_eq!(
        surface.post_with(MESSAGES, &spelt, &key).await.bytes,
        first.bytes
    );
    // Another caller's keys are its own.
    let mine = [("idempotency-key", "order-4711"), ("x-api-key", "unused")];
    assert_eq!(
        surface.post_with(MESSAGES, &hello(), &mine).await.bytes,
        first.bytes
    );
    for wrong in ["", " ", &"x".repeat(256)] {
        let reply = surface
            .post_with(MESSAGES, &hello(), &[("idempotency-key", wrong)])
            .await;
        reply.problem(400, "invalid_idempotency_key");
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    let reply = surface.post_with(MESSAGES, &hello(), &twice).await;
    reply.problem(400, "invalid_idempotency_key");
    let list = surface.get(MESSAGES).await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    surface.stop().await;
}

#[tokio::test]
async fn keys_of_different_tokens_never_meet() {
    let surface = Surface::start().await;
    let key = [("idempotency-key", "1")];
    let admin = surface.post_with(MESSAGES, &hello(), &key).await;
    let bearer = format!("Bearer {}", surface.send);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "1"),
    ];
    let body = hello().to_string();
    let method = hyper::Method::POST;
    let send = crate::client::call(surface.address, method, MESSAGES, &headers, body).await;
    assert_eq!(send.status, 202);
    assert_ne!(admin.json()["id"], send.json()["id"]);
    surface.stop().await;
}

#[tokio::test]
async fn one_key_many_times_at_once_is_one_message() {
    let surface = Surface::start().await;
    let body = hello();
    let asks = (0..20).map(|_| surface.post_with(MESSAGES, &body, &[("idempotency-key", "k")]));
    let replies = futures_util::future::join_all(asks).await;
    let mut ids = HashSet::new();
    for reply in replies {
        match reply.status {
            202 => drop(ids.insert(reply.json()["id"].as_str().unwrap().to_owned())),
            409 => {
                reply.problem(409, "idempotency_in_flight");
                assert_eq!(reply.header("retry-after"), "1");
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(ids.len(), 1);
    surface.stop().await;
}

#[tokio::test]
async fn lists_have_pages_and_filters() {
    let surface = Surface::start().await;
    for i in 0..5 {
        let body = json!({"to": "4915123456789", "text": format!("{i}")});
        assert_eq!(surface.post(MESSAGES, &body).await.status, 202);
    }
    let mut texts = Vec::new();
    let mut path = format!("{MESSAGES}?limit=2");
    loop {
        let page = surface.get(&path).await.json();
        for item in page["items"].as_array().unwrap() {
            texts.push(item["text"].as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(next) => path = format!("{MESSAGES}?limit=2&after={next}"),
            None => break,
        }
    }
    assert_eq!(texts, ["0", "1", "2", "3", "4"]);
    let sent = surface.get(&format!("{MESSAGES}?status=sent")).await.json();
    assert_eq!(sent, json!({"items": [], "next": null}));
    for wrong in [
        "status=snet",
        "limit=0",
        "limit=201",
        "limit=x",
        "after=x",
        "staus=sent",
    ] {
        let reply = surface.get(&format!("{MESSAGES}?{wrong}")).await;
        reply.problem(400, "invalid_request");
    }
    surface
        .get("/v1/sessions/nobody/messages")
        .await
        .problem(404, "session_unknown");
    surface.stop().await;
}

#[tokio::test]
async fn what_is_not_sent_can_be_taken_back() {
    let surface = Surface::start().await;
    let accepted = surface.post(MESSAGES, &hello()).await.json();
    let path = format!("/v1/messages/{}", accepted["id"].as_str().unwrap());
    let cancelled = surface.delete(&path).await;
    assert_eq!(
        (cancelled.status, cancelled.json()["status"].as_str()),
        (200, Some("cancelled"))
    );
    // Saying so again changes nothing.
    assert_eq!(surface.delete(&path).await.status, 200);
    let unknown = "/v1/messages/msg_00000000000000000000000000";
    surface
        .delete(unknown)
        .await
        .problem(404, "message_unknown");
    surface.get(unknown).await.problem(404, "message_unknown");
    surface
        .get("/v1/messages/x")
        .await
        .problem(404, "message_unknown");
    surface.stop().await;
}

#[tokio::test]
async fn what_is_under_way_cannot_be_taken_back_and_what_is_parked_waits_for_a_word() {
    let surface = Surface::start().await;
    let session = id("default");
    let fence = surface.store.take_fence(&session).await.unwrap();
    let mut paths = Vec::new();
    for to in ["4915100000001", "4915100000002", "4915100000003"] {
        let body = json!({"to": to, "text": "x"});
        let accepted = surface.post(MESSAGES, &body).await.json();
        paths.push(format!("/v1/messages/{}", accepted["id"].as_str().unwrap()));
    }
    let login = LoginGeneration(1);
    let claimed = surface
        .store
        .claim(&session, fence, login, NOW, 10)
        .await
        .unwrap();
    let recorded = |i: usize, outcome| Recorded {
        id: claimed[i].message.id.clone(),
        outcome,
        detail: None,
        at: NOW,
    };
    let parked = Outcome::Parked(ParkReason::LoginLost);
    let outcomes = vec![
        recorded(0, Outcome::Sent(Ack::Server)),
        recorded(1, parked.clone()),
        recorded(2, parked),
    ];
    surface
        .store
        .record(&session, fence, outcomes)
        .await
        .unwrap();

    let sent = surface.get(&paths[0]).await.json();
    assert_eq!(sent["status"], "sent");
    assert_eq!(sent["acks"][0]["ack"], "server");
    assert_eq!(sent["attempts"], 1);
    assert_eq!(sent["attempt_log"][0]["outcome"], "sent");
    surface
        .delete(&paths[0])
        .await
        .problem(409, "not_cancellable");
    let word =
        async |path: &str, act: &str| surface.post(&format!("{path}/{act}"), &Value::Null).await;
    word(&paths[0], "release").await.problem(409, "not_parked");

    let parked = surface.get(&paths[1]).await.json();
    assert_eq!(
        (parked["status"].as_str(), parked["reason"].as_str()),
        (Some("parked"), Some("login_lost"))
    );
    let released = word(&paths[1], "release").await.json();
    assert!(
        matches!(released["status"].as_str(), Some("accepted" | "sending")),
        "{released}"
    );
    let discarded = word(&paths[2], "discard").await.json();
    assert_eq!(discarded["status"], "cancelled");
    surface.stop().await;
}
