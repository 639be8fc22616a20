//! `/api`: messages, accepted in the words of WAHA's clients.

use crate::client::call;
use crate::http_waha::{CHAT, refused};
use crate::surface::Surface;
use hyper::Method;
use serde_json::{Value, json};
use steadfast_core::outbox::{Ack, Body, Message, Status};
use steadfast_core::port::{MessageQuery, Store as _};
use steadfast_gateway::sessions::{AckWait, SessionState};

#[tokio::test]
async fn a_text_is_on_disk_and_answered_as_it_stands() {
    let surface = Surface::start().await;
    let body = json!({"chatId": CHAT, "text": "hi", "reply_to": null, "linkPreview": true, "mentions": null});
    let reply = surface.post("/api/sendText", &body).await;
    assert_eq!(reply.status, 201);
    let sent = reply.json();
    let all = MessageQuery {
        limit: 10,
        ..MessageQuery::default()
    };
    let session = "default".parse().unwrap();
    let stored = surface.store.messages(&session, all.clone()).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(
        sent["id"],
        format!("true_{CHAT}_{}", stored[0].wa_message_id)
    );
    assert_eq!(
        (&sent["ack"], &sent["ackName"]),
        (&json!(0), &json!("PENDING"))
    );
    assert_eq!(
        (&sent["fromMe"], &sent["source"]),
        (&json!(true), &json!("api"))
    );
    assert_eq!((&sent["to"], &sent["body"]), (&json!(CHAT), &json!("hi")));
    assert_eq!(
        (&sent["hasMedia"], &sent["media"]),
        (&json!(false), &Value::Null)
    );
    assert!(sent["timestamp"].is_i64());
    assert_eq!(sent["_data"]["id"], stored[0].id.as_str());

    // Where the server has it within the wait, the answer says so.
    let mut acked = stored[0].clone();
    acked.status = Status::Sent;
    *surface.sessions.ack.lock().unwrap() = AckWait::Reached(Box::new(acked.clone()));
    let sent = surface.post("/api/sendText", &body).await.json();
    assert_eq!(
        (&sent["ack"], &sent["ackName"]),
        (&json!(Ack::Server.level()), &json!("SERVER"))
    );
    acked.status = Status::Rejected;
    acked.reason = Some("recipient_invalid".to_owned());
    *surface.sessions.ack.lock().unwrap() = AckWait::Ended(Box::new(acked));
    refused(
        &surface.post("/api/sendText", &body).await,
        422,
        "invalid_recipient",
    );

    // A session that does not work accepts all the same, and does not wait.
    surface
        .sessions
        .change(|view| view.state = SessionState::Recovering);
    let key = [("idempotency-key", "k")];
    let first = surface.post_with("/api/sendText", &body, &key).await;
    let second = surface.post_with("/api/sendText", &body, &key).await;
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.json()["id"], second.json()["id"]);
    assert_eq!(second.header("idempotency-replayed"), "true");
    let stored = surface.store.messages(&session, all).await.unwrap();
    assert_eq!(stored.len(), 4);
    surface.stop().await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_said() {
    let surface = Surface::start().await;
    for (body, status, code) in [
        (json!({"chatId": CHAT, "text": ""}), 422, "invalid_field"),
        (
            json!({"chatId": "nobody", "text": "x"}),
            422,
            "invalid_recipient",
        ),
        (
            json!({"chatId": "12@newsletter", "text": "x"}),
            501,
            "unsupported",
        ),
        (
            json!({"chatId": CHAT, "text": "x", "id": "mine"}),
            501,
            "unsupported",
        ),
        (
            json!({"chatId": CHAT, "text": "x", "reply_to": "a@b"}),
            422,
            "invalid_field",
        ),
        (
            json!({"chatId": CHAT, "text": "x", "session": "none"}),
            404,
            "session_unknown",
        ),
        (json!({"chatId": CHAT}), 422, "invalid_field"),
    ] {
        refused(&surface.post("/api/sendText", &body).await, status, code);
    }
    // Beyond its routes too: no token, no JSON, no such address.
    let reply = call(surface.address, Method::POST, "/api/sendText", &[], "").await;
    refused(&reply, 401, "token_missing");
    let key = [
        ("x-api-key", surface.read.as_str()),
        ("content-type", "application/json"),
    ];
    let reply = call(surface.address, Method::POST, "/api/sendText", &key, "{}").await;
    refused(&reply, 403, "scope_missing");
    refused(&surface.get("/api/nothing").await, 404, "not_found");
    refused(
        &surface.post("/api/sendList", &json!({})).await,
        501,
        "unsupported",
    );
    surface.stop().await;
}

/// The newest message of the outbox.
async fn newest(surface: &Surface) -> Message {
    let all = MessageQuery {
        limit: 100,
        ..MessageQuery::default()
    };
    let session = "default".parse().unwrap();
    let mut stored = surface.store.messages(&session, all).await.unwrap();
    stored.pop().unwrap()
}

/// The smallest PNG.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

#[tokio::test]
async fn every_kind_is_accepted_in_either_clients_form() {
    let surface = Surface::start().await;
    let card = "BEGIN:VCARD\nVERSION:3.0\nFN:Bob\nEND:VCARD";
    let ours = format!("true_{CHAT}_3EB0ABABABABABABABABAB");
    for (path, body, kind) in [
        (
            "sendLocation",
            json!({"latitude": 52.5, "longitude": 13, "title": "Berlin"}),
            "location",
        ),
        (
            "sendPoll",
            json!({"poll": {"name": "?", "options": ["a", "b"], "multipleAnswers": false}}),
            "poll",
        ),
        (
            "sendPoll",
            json!({"poll": "?", "options": [{"name": "a", "localId": 0}, {"name": "b", "localId": 1}], "multipleAnswers": true}),
            "poll",
        ),
        (
            "sendContactVcard",
            json!({"contacts": [{"vcard": card}]}),
            "contacts",
        ),
        (
            "sendContactVcard",
            json!({"contacts": [{"fullName": "Bob", "phoneNumber": "+4915155500002", "vcard": null}]}),
            "contacts",
        ),
        (
            "sendImage",
            json!({"file": {"mimetype": "image/png", "filename": "dot.png", "data": PNG}, "caption": "a dot"}),
            "media",
        ),
        (
            "sendFile",
            json!({"file": {"mimetype": "text/plain", "filename": "a.txt", "data": "aGVsbG8="}}),
            "media",
        ),
        ("forwardMessage", json!({"messageId": ours}), "forward"),
        ("reply", json!({"text": "yes", "reply_to": ours}), "text"),
    ] {
        let mut body = body;
        body["chatId"] = CHAT.into();
        body["session"] = "default".into();
        let reply = surface.post(&format!("/api/{path}"), &body).await;
        assert_eq!(
            reply.status,
            201,
            "{path}: {}",
            String::from_utf8_lossy(&reply.bytes)
        );
        let stored = newest(&surface).await;
        assert_eq!(stored.body.kind(), kind, "{path}");
        assert_eq!(stored.to.as_str(), CHAT);
        let said = reply.json();
        assert_eq!(said["id"], format!("true_{CHAT}_{}", stored.wa_message_id));
        assert_eq!(said["hasMedia"], kind == "media", "{path}");
    }
    let Body::Text(text) = newest(&surface).await.body else {
        panic!("a text was answered")
    };
    assert_eq!(text.reply_to.unwrap().to_string(), ours);

    let reaction = json!({"messageId": ours, "reaction": "👍", "session": "default"});
    let reply = surface
        .change(Method::PUT, "/api/reaction", &reaction)
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(newest(&surface).await.body.kind(), "reaction");
    let path = format!("/api/default/chats/{CHAT}/messages/{ours}");
    let reply = surface
        .change(Method::PUT, &path, &json!({"text": "better"}))
        .await;
    assert_eq!(
        (reply.status, newest(&surface).await.body.kind()),
        (200, "edit")
    );
    let reply = surface.delete(&path).await;
    assert_eq!(
        (reply.status, newest(&surface).await.body.kind()),
        (200, "revoke")
    );

    for (path, body, status, code) in [
        (
            "sendImage",
            json!({"file": {"mimetype": "image/png", "data": "no base64!"}}),
            422,
            "invalid_field",
        ),
        (
            "sendImage",
            json!({"file": {"mimetype": "image/png"}}),
            422,
            "invalid_field",
        ),
        (
            "sendVideo",
            json!({"file": {"data": PNG}, "asNote": true}),
            501,
            "unsupported",
        ),
        (
            "sendPoll",
            json!({"poll": {"name": "?", "options": ["a"]}}),
            422,
            "invalid_field",
        ),
        (
            "sendLocation",
            json!({"latitude": 91, "longitude": 0}),
            422,
            "invalid_field",
        ),
        (
            "forwardMessage",
            json!({"messageId": "3EB0"}),
            422,
            "invalid_field",
        ),
    ] {
        let mut body = body;
        body["chatId"] = CHAT.into();
        let reply = surface.post(&format!("/api/{path}"), &body).await;
        refused(&reply, status, code);
    }
    surface.stop().await;
}
