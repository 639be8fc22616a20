//! When a message goes, in which lane, and how long its answer waits.

use crate::fake::id;
use crate::surface::Surface;
use serde_json::{Value, json};
use steadfast_core::ids::MessageId;
use steadfast_core::port::Store as _;
use steadfast_core::time::UnixMs;
use steadfast_gateway::sessions::AckWait;

const MESSAGES: &str = "/v1/sessions/default/messages";

fn with(fields: Value) -> Value {
    let mut body = json!({"to": "4915123456789", "text": "Hello"});
    if let (Value::Object(body), Value::Object(fields)) = (&mut body, fields) {
        body.extend(fields);
    }
    body
}

fn time(message: &Value, name: &str) -> UnixMs {
    let text = message[name].as_str().unwrap();
    UnixMs::parse_rfc3339(text).unwrap()
}

#[tokio::test]
async fn a_message_waits_for_its_time() {
    let surface = Surface::start().await;
    let stored = async |fields: Value| {
        let reply = surface.post(MESSAGES, &with(fields)).await;
        assert_eq!(reply.status, 202);
        surface.get(reply.header("location")).await.json()
    };
    let later = stored(json!({"send_in": 90})).await;
    assert_eq!(
        time(&later, "due_at"),
        time(&later, "accepted_at").plus(90_000)
    );
    assert_eq!(later["waits_for"], "scheduled");
    let past = stored(json!({"send_at": "2001-01-01T00:00:00Z"})).await;
    assert_eq!(past["due_at"], past["accepted_at"]);
    let far = with(json!({"send_at": "2999-01-01T00:00:00Z"}));
    let problem = surface.post(MESSAGES, &far).await;
    assert_eq!(problem.problem(422, "invalid_field")["field"], "send_at");
    let unknown = with(json!({"send_att": "2999-01-01T00:00:00Z"}));
    let refused = surface.post(MESSAGES, &unknown).await;
    refused.problem(422, "invalid_field");
    surface.stop().await;
}

#[tokio::test]
async fn a_message_says_what_it_waits_for() {
    let surface = Surface::start().await;
    let shown = async |fields: Value| {
        let reply = surface.post(MESSAGES, &with(fields)).await;
        surface.get(reply.header("location")).await.json()
    };
    let first = shown(json!({})).await;
    assert_eq!(first["waits_for"], Value::Null);
    // What is new has no place in the queue before somebody looks for work.
    let session = id("default");
    let fence = surface.store.take_fence(&session).await.unwrap();
    let login = steadfast_core::ids::LoginGeneration(1);
    let now = surface.app.clock.unix();
    let claimed = surface.store.claim(&session, fence, login, now, 1).await;
    assert_eq!(claimed.unwrap().len(), 1);
    assert_eq!(shown(json!({})).await["waits_for"], "behind_another");
    let until = now.plus(3_600_000);
    surface.sessions.change(|view| {
        view.pace.others = Some((until, steadfast_core::pacing::Held::QuietHours));
    });
    let elsewhere = json!({"to": "4915198765432"});
    let held = shown(elsewhere.clone()).await;
    assert_eq!(held["waits_for"], "quiet_hours");
    assert_eq!(time(&held, "due_at"), until);
    let session_now = surface.get("/v1/sessions/default").await.json();
    assert_eq!(session_now["pacing"]["held_by"], "quiet_hours");
    surface.sessions.change(|view| {
        view.state = steadfast_gateway::sessions::SessionState::Starting;
    });
    assert_eq!(shown(elsewhere).await["waits_for"], "session");
    let list = surface.get(MESSAGES).await.json();
    let waits: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["waits_for"].clone())
        .collect();
    assert_eq!(waits[1..], ["session", "session", "session"]);
    surface.stop().await;
}

#[tokio::test]
async fn the_same_key_with_other_options_is_another_request() {
    let surface = Surface::start().await;
    let key = [("idempotency-key", "k")];
    let first = with(json!({"priority": "high", "send_in": 5}));
    let one = surface.post_with(MESSAGES, &first, &key).await;
    let again = surface.post_with(MESSAGES, &first, &key).await;
    assert_eq!(one.bytes, again.bytes);
    for other in [
        json!({"priority": "low", "send_in": 5}),
        json!({"priority": "high", "send_in": 6}),
        json!({"priority": "high"}),
    ] {
        let reply = surface.post_with(MESSAGES, &with(other), &key).await;
        reply.problem(422, "idempotency_key_reused");
    }
    surface.stop().await;
}

#[tokio::test]
async fn an_answer_can_wait_and_never_loses_the_message() {
    let surface = Surface::start().await;
    let wait = json!({"wait": "server", "wait_ms": 200});
    let late = surface.post(MESSAGES, &with(wait.clone())).await;
    assert_eq!(late.status, 202);
    let message = late.json();
    assert_eq!(message["status"], "accepted");
    assert_eq!(message["attempts"], 0);
    // What the wait ends with is the answer, as it stands.
    let known: MessageId = message["id"].as_str().unwrap().parse().unwrap();
    let stored = surface.store.message(&known).await.unwrap().unwrap();
    for (ended, status) in [
        (AckWait::Reached(Box::new(stored.clone())), 200),
        (AckWait::Ended(Box::new(stored)), 202),
    ] {
        *surface.sessions.ack.lock().unwrap() = ended;
        let reply = surface.post(MESSAGES, &with(wait.clone())).await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.json()["id"], message["id"]);
    }
    assert_eq!(
        surface.store.depth(&id("default")).await.unwrap().accepted,
        3
    );
    surface.stop().await;
}
