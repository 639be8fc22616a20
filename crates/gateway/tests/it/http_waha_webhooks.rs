//! The webhooks of a session, over the surface that WAHA clients know.

use crate::client::{DEADLINE, Reply, call};
use crate::http_waha::refused;
use crate::receiver::{Mood, Receiver};
use crate::surface::Surface;
use hyper::Method;
use serde_json::{Value, json};
use std::time::Duration;
use steadfast_core::event::{StateChange, Told};
use steadfast_core::port::{EventLog as _, SecretText, WebhookState};
use steadfast_gateway::clock::{Clock as _, SystemClock};
use steadfast_gateway::webhooks::NewWebhook;
use steadfast_gateway::webhooks::signature::sign_waha;

#[tokio::test]
async fn webhooks_of_a_session_are_endpoints_with_their_secrets_hidden() {
    let surface = Surface::with(|config| {
        config.outgoing.allow = vec!["127.0.0.1".to_owned()];
    })
    .await;
    let config = |key: &str, events: Value| {
        json!({
            "metadata": {"a": 1},
            "webhooks": [{
                "url": "http://127.0.0.1:9/hook",
                "events": events,
                "hmac": {"key": key},
                "retries": {"policy": "constant", "delaySeconds": 3, "attempts": 2},
                "customHeaders": [{"name": "X-Mine", "value": "for my eyes"}],
            }],
        })
    };
    let all = json!(["message", "message.any", "session.status"]);
    let body = json!({"name": "default", "config": config("a secret", all.clone())});
    let made = surface.post("/api/sessions", &body).await;
    assert_eq!(made.status, 201, "{}", String::from_utf8_lossy(&made.bytes));
    let shown = made.json()["config"]["webhooks"][0].clone();
    assert_eq!(shown["hmac"]["key"], "***");
    assert_eq!(shown["customHeaders"][0]["value"], "***");
    assert_eq!(shown["events"], all);
    let listed = surface.get("/v1/webhooks").await;
    let text = String::from_utf8_lossy(&listed.bytes).into_owned();
    assert!(
        !text.contains("a secret") && !text.contains("for my eyes"),
        "{text}"
    );
    let ids = |reply: Reply| -> Vec<String> {
        let all = reply.json();
        let one = |w: &Value| w["id"].as_str().unwrap().to_owned();
        let mut ids: Vec<String> = all["items"].as_array().unwrap().iter().map(one).collect();
        ids.sort();
        ids
    };
    // What is made of the same events stands at two endpoints.
    let before = ids(listed);
    assert_eq!(before.len(), 2);
    // Given back as they were shown, they stay as they are.
    let body = json!({"config": config("***", all)});
    let path = "/api/sessions/default";
    assert_eq!(surface.change(Method::PUT, path, &body).await.status, 200);
    assert_eq!(ids(surface.get("/v1/webhooks").await), before);
    let body = json!({"config": config("***", json!(["message"]))});
    assert_eq!(surface.change(Method::PUT, path, &body).await.status, 200);
    assert_eq!(ids(surface.get("/v1/webhooks").await).len(), 1);
    let body = json!({"config": config("k", json!(["messages"]))});
    let wrong = surface.change(Method::PUT, path, &body).await;
    refused(&wrong, 422, "invalid_field");
    let away = json!({"name": "shop", "config": {"webhooks": [{"url": "http://10.0.0.1/", "events": ["*"]}]}});
    refused(
        &surface.post("/api/sessions", &away).await,
        422,
        "invalid_field",
    );
    refused(
        &surface.get("/api/sessions/shop").await,
        404,
        "session_unknown",
    );
    assert_eq!(surface.delete(path).await.status, 200);
    assert!(ids(surface.get("/v1/webhooks").await).is_empty());
    // Whichever way a session is removed: the next of its name is somebody else's.
    let body = json!({"name": "default", "config": config("a secret", json!(["message"]))});
    assert_eq!(surface.post("/api/sessions", &body).await.status, 201);
    assert_eq!(ids(surface.get("/v1/webhooks").await).len(), 1);
    assert_eq!(surface.delete("/v1/sessions/default").await.status, 204);
    assert!(ids(surface.get("/v1/webhooks").await).is_empty());
    surface.stop().await;
}

/// What is changed of a webhook leaves it what it is owed.
#[tokio::test]
async fn a_webhook_that_is_changed_keeps_what_it_is_owed() {
    let surface = Surface::with(|config| {
        config.outgoing.allow = vec!["127.0.0.1".to_owned()];
    })
    .await;
    let receiver = Receiver::start().await;
    receiver.mood(Mood::Answers(503));
    let config = |key: &str, events: Value| {
        json!({"config": {"webhooks": [{
            "url": receiver.url(), "events": events, "hmac": {"key": key},
            "retries": {"policy": "constant", "delaySeconds": 60, "attempts": 9},
        }]}})
    };
    let path = "/api/sessions/default";
    let put = async |body: Value| {
        let reply = surface.change(Method::PUT, path, &body).await;
        assert_eq!(reply.status, 200, "{}", reply.json());
    };
    put(config("a secret", json!(["session.status"]))).await;
    let change = StateChange {
        from: "starting".to_owned(),
        to: "ready".to_owned(),
        reason: None,
    };
    let told = Told::State("default".parse().unwrap(), change);
    surface.store.tell(told, SystemClock.unix()).await.unwrap();
    let hook = surface.get("/v1/webhooks").await.json()["items"][0]["id"].clone();
    let hook = format!("/v1/webhooks/{}", hook.as_str().unwrap());
    let end = tokio::time::Instant::now() + DEADLINE;
    while surface.get(&hook).await.json()["status"]["waiting"] != 1 {
        assert!(tokio::time::Instant::now() < end, "it does not wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The key of a session's webhook is not one of ours.
    let rotated = surface.post(&format!("{hook}/rotate"), &json!({})).await;
    assert_eq!(rotated.problem(422, "invalid_field")["field"], "secret");
    // Who only starts a session leaves its configuration.
    let started = surface
        .post("/api/sessions/start", &json!({"name": "default"}))
        .await;
    assert_eq!(started.status, 201);
    receiver.mood(Mood::Takes);
    put(config("another", json!(["message.ack", "session.status"]))).await;
    let taken = receiver
        .until("what it is owed", |taken| taken.len() == 1)
        .await;
    assert_eq!(taken[0].json()["event"], "session.status");
    let signed = sign_waha("another", &taken[0].body);
    assert_eq!(taken[0].header("x-webhook-hmac"), signed);
    assert_eq!(surface.get(&hook).await.status, 200, "another endpoint");
    // What stands for nothing is refused, and nothing is changed.
    let mut lost = config("***", json!(["session.status"]));
    lost["config"]["webhooks"][0]["customHeaders"] = json!([{"name": "X-A", "value": "***"}]);
    let lost = surface.change(Method::PUT, path, &lost).await;
    assert_eq!(
        refused(&lost, 422, "invalid_field")["field"],
        "config.webhooks.customHeaders"
    );
    surface.stop().await;
}

/// An endpoint whose keepings cannot be read loses nothing, and is seen.
#[tokio::test]
async fn what_cannot_be_packed_waits() {
    let surface = Surface::with(|config| {
        config.outgoing.allow = vec!["127.0.0.1".to_owned()];
    })
    .await;
    let spoilt = NewWebhook {
        owner: "waha".to_owned(),
        url: "http://127.0.0.1:9/".to_owned(),
        events: vec!["session.state".to_owned()],
        sessions: vec!["default".parse().unwrap()],
        headers: Vec::new(),
        ordered: false,
        state: WebhookState::Active,
        secret: Some(SecretText("whsec_spoilt".to_owned())),
        envelope: "waha".to_owned(),
        retry: None,
    };
    let id = surface.app.webhooks.add(spoilt).await.unwrap().id;
    let change = StateChange {
        from: "starting".to_owned(),
        to: "ready".to_owned(),
        reason: None,
    };
    let told = Told::State("default".parse().unwrap(), change);
    surface.store.tell(told, SystemClock.unix()).await.unwrap();
    let end = tokio::time::Instant::now() + DEADLINE;
    let path = format!("/v1/webhooks/{id}/deliveries?state=waiting");
    while surface.get(&path).await.json()["items"] == json!([]) {
        assert!(tokio::time::Instant::now() < end, "it was passed over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    surface.stop().await;
}

/// Below an administrator nobody sees where events go.
#[tokio::test]
async fn a_reader_does_not_see_the_urls_of_webhooks() {
    let surface = Surface::with(|config| {
        config.outgoing.allow = vec!["127.0.0.1".to_owned()];
    })
    .await;
    let url = "http://127.0.0.1:9/T0/B0/SECRET";
    let body = json!({"config": {"webhooks": [{"url": url, "events": ["message"]}]}});
    let path = "/api/sessions/default";
    let put = surface.change(Method::PUT, path, &body).await;
    assert_eq!(put.json()["config"]["webhooks"][0]["url"], url);
    for path in [path, "/api/sessions?all=true"] {
        let headers = [("x-api-key", surface.read.as_str())];
        let seen = call(surface.address, Method::GET, path, &headers, "").await;
        assert_eq!(seen.status, 200);
        let text = String::from_utf8_lossy(&seen.bytes).into_owned();
        assert!(!text.contains("SECRET"), "{text}");
        assert!(text.contains("http://127.0.0.1:9/***"), "{text}");
    }
    let seen = surface.get(path).await.json();
    assert_eq!(seen["config"]["webhooks"][0]["url"], url);
    surface.stop().await;
}
