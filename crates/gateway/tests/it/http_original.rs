//! `/api/whatsapp`: exact names and types of the system that this began as.

use crate::surface::Surface;
use serde_json::{Value, json};
use steadfast_core::ids::MessageId;
use steadfast_core::outbox::{Message, Status};
use steadfast_core::port::Store as _;
use steadfast_gateway::sessions::{AckWait, SessionState};

#[tokio::test]
async fn status_is_flat_and_as_in_the_example() {
    let surface = Surface::start().await;
    let status = surface.get("/api/whatsapp/status").await.json();
    let example = json!({
        "state": "CONNECTED",
        "isReady": true,
        "sessionClosed": false,
        "connectionAttempts": 0,
        "lastSeen": "2024-01-15T10:30:00.000Z",
        "recommendations": ["All systems operating normally"],
        "isAuthenticated": true,
        "hasQR": false,
        "restartInProgress": false,
    });
    for (key, value) in example.as_object().unwrap() {
        assert_eq!(status[key], *value, "{key}");
    }
    for state in SessionState::ALL {
        surface.sessions.change(|view| view.state = state);
        let status = surface.get("/api/whatsapp/status").await.json();
        assert_eq!(status["isReady"], state == SessionState::Ready);
        assert_eq!(status["sessionState"], state.as_str());
        let name = status["state"].as_str().unwrap();
        assert_eq!(name, name.to_uppercase());
    }
    surface.stop().await;
}

#[tokio::test]
async fn health_stats_qr_and_chats() {
    let surface = Surface::start().await;
    let health = surface.get("/api/whatsapp/health").await.json();
    assert_eq!(health["overall"], "unhealthy");
    assert_eq!(health["connectivity"], "session_closed");
    assert!(health["recommendations"].is_array());
    let stats = surface.get("/api/whatsapp/stats").await.json();
    assert_eq!(stats["isReady"], true);
    assert_eq!(stats["connectionState"], "CONNECTED");
    assert_eq!(stats["sessionClosed"], false);
    assert!(stats["uptime"].is_number());
    let qr = surface.get("/api/whatsapp/qr").await.json();
    assert_eq!((&qr["hasQR"], &qr["qr"]), (&json!(false), &Value::Null));
    surface.sessions.change(|view| view.has_qr = true);
    let qr = surface.get("/api/whatsapp/qr").await.json();
    assert_eq!(qr["qr"], "2@ref,key,key,key,1");
    let chats = surface.get("/api/whatsapp/chats").await.json();
    assert_eq!(chats["success"], true);
    let chat = json!({"id": "4915123456789@c.us", "name": "Ann", "isGroup": false, "unreadCount": 2, "timestamp": 1_705_314_600});
    assert_eq!(chats["chats"][0], chat);
    let restarted = surface
        .post("/api/whatsapp/restart", &Value::Null)
        .await
        .json();
    assert_eq!(restarted["success"], true);
    surface.stop().await;
}

fn sample() -> Value {
    json!({"number": "4915123456789", "message": "Hello"})
}

async fn only_message(surface: &Surface) -> Message {
    let list = surface.get("/v1/sessions/default/messages").await.json();
    let id = list["items"][0]["id"].as_str().unwrap().to_owned();
    let id = MessageId::parse(&id).unwrap();
    surface.store.message(&id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_send_answers_200_with_the_ack_and_202_without() {
    let surface = Surface::start().await;
    // Ready, but no ack in time.
    let queued = surface.post("/api/whatsapp/send-message", &sample()).await;
    assert_eq!(queued.status, 202);
    let queued = queued.json();
    assert_eq!(queued["success"], true);
    assert_eq!(queued["queued"], true);
    assert_eq!(queued["error"], "WhatsApp temporarily unavailable");
    let path = format!("/v1/messages/{}", queued["id"].as_str().unwrap());
    assert_eq!(surface.get(&path).await.json()["status"], "accepted");

    // Ready, and the server has it.
    let mut message = only_message(&surface).await;
    message.status = Status::Sent;
    *surface.sessions.ack.lock().unwrap() = AckWait::Reached(Box::new(message.clone()));
    let sent = surface.post("/api/whatsapp/send-message", &sample()).await;
    assert_eq!(sent.status, 200);
    let sent = sent.json();
    assert_eq!(
        (&sent["success"], &sent["messageId"]),
        (&json!(true), &json!(message.wa_message_id.as_str()))
    );

    // Not ready: nobody waits.
    surface
        .sessions
        .change(|view| view.state = SessionState::Recovering);
    let queued = surface.post("/api/whatsapp/send-message", &sample()).await;
    assert_eq!(
        (queued.status, queued.json()["queued"].as_bool()),
        (202, Some(true))
    );

    // Ready, and the number has no WhatsApp.
    surface
        .sessions
        .change(|view| view.state = SessionState::Ready);
    message.status = Status::Rejected;
    message.reason = Some("recipient_invalid".to_owned());
    *surface.sessions.ack.lock().unwrap() = AckWait::Ended(Box::new(message));
    let rejected = surface.post("/api/whatsapp/send-message", &sample()).await;
    assert_eq!(rejected.problem(422, "invalid_recipient")["success"], false);
    surface.stop().await;
}

#[tokio::test]
async fn numbers_may_be_texts_or_numbers_and_wrong_ones_are_told() {
    let surface = Surface::start().await;
    let bare = json!({"number": 4_915_123_456_789_u64, "message": "x", "extra": "ignored as ever"});
    assert_eq!(
        surface
            .post("/api/whatsapp/send-message", &bare)
            .await
            .status,
        202
    );
    for wrong in [json!("abc"), json!(""), json!(12)] {
        let body = json!({"number": wrong, "message": "x"});
        let reply = surface.post("/api/whatsapp/send-message", &body).await;
        let problem = reply.problem(422, "invalid_recipient");
        assert_eq!(problem["success"], false);
        assert_eq!(problem["error"], problem["detail"]);
    }
    for wrong in [
        json!({}),
        json!({"number": "4915123456789"}),
        json!({"number": {}, "message": "x"}),
    ] {
        let reply = surface.post("/api/whatsapp/send-message", &wrong).await;
        assert_eq!(reply.problem(422, "invalid_field")["success"], false);
    }
    let check = "/api/whatsapp/check-number";
    let known = surface
        .post(check, &json!({"number": "4915123456789"}))
        .await
        .json();
    assert_eq!(known["exists"], true);
    surface.stop().await;
}

#[tokio::test]
async fn groups_go_by_their_id() {
    let surface = Surface::start().await;
    let path = "/api/whatsapp/send-to-group";
    for group in ["120363000000000000", "120363000000000000@g.us"] {
        let body = json!({"groupId": group, "message": "x"});
        assert_eq!(surface.post(path, &body).await.status, 202);
    }
    let list = surface.get("/v1/sessions/default/messages").await.json();
    assert_eq!(list["items"][1]["to"], "120363000000000000@g.us");
    let person = json!({"groupId": "4915123456789@c.us", "message": "x"});
    surface
        .post(path, &person)
        .await
        .problem(422, "invalid_recipient");
    surface.stop().await;
}

#[tokio::test]
async fn bulk_answers_for_each_and_is_safe_to_repeat() {
    let surface = Surface::with(|config| config.server.max_bulk = 4).await;
    let path = "/api/whatsapp/send-bulk";
    let body =
        json!({"numbers": ["4915100000001", "wrong", 4_915_100_000_002_u64], "message": "x"});
    let plain = surface.post(path, &body).await;
    assert_eq!(plain.status, 202);
    let plain = plain.json();
    let sums = json!([plain["total"], plain["queued"], plain["failed"]]);
    assert_eq!(sums, json!([3, 2, 1]));
    let ok: Vec<_> = plain["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["success"])
        .collect();
    assert_eq!(ok, [&json!(true), &json!(false), &json!(true)]);
    assert_eq!(plain["results"][1]["code"], "invalid_recipient");

    let key = [("idempotency-key", "campaign")];
    let first = surface.post_with(path, &body, &key).await;
    let again = surface.post_with(path, &body, &key).await;
    assert_eq!(first.bytes, again.bytes);
    let other = json!({"numbers": ["4915100000001", "wrong"], "message": "x"});
    let reused = surface.post_with(path, &other, &key).await;
    reused.problem(422, "idempotency_key_reused");
    let list = surface.get("/v1/sessions/default/messages").await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 4);

    for wrong in [json!([]), json!(["1", "2", "3", "4", "5"])] {
        let body = json!({"numbers": wrong, "message": "x"});
        surface
            .post(path, &body)
            .await
            .problem(422, "invalid_field");
    }
    surface.stop().await;
}
