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
