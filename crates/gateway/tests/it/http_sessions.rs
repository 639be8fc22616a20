//! Sessions: making, starting, linking, looking.

use crate::client::call;
use crate::fake::THEN;
use crate::surface::Surface;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use steadfast_gateway::sessions::SessionState;

#[tokio::test]
async fn sessions_are_made_listed_and_removed() {
    let surface = Surface::start().await;
    let made = surface
        .post("/v1/sessions", &json!({"name": "shop-2"}))
        .await;
    assert_eq!(made.status, 201);
    assert_eq!(made.header("location"), "/v1/sessions/shop-2");
    let body = made.json();
    assert_eq!(
        (body["name"].as_str(), body["state"].as_str()),
        (Some("shop-2"), Some("starting"))
    );
    assert_eq!(body["ready"], false);
    let again = surface
        .post("/v1/sessions", &json!({"name": "shop-2"}))
        .await;
    again.problem(409, "session_exists");
    for wrong in ["", "A", "../x", "a b", &"a".repeat(33)] {
        let reply = surface.post("/v1/sessions", &json!({"name": wrong})).await;
        reply.problem(422, "invalid_field");
    }
    surface
        .post("/v1/sessions", &json!({"name": "third"}))
        .await;
    let fourth = surface
        .post("/v1/sessions", &json!({"name": "fourth"}))
        .await;
    fourth.problem(409, "session_limit");
    let list = surface.get("/v1/sessions").await.json();
    let names: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["name"])
        .collect();
    assert_eq!(names, ["default", "shop-2", "third"]);
    let removed = surface.delete("/v1/sessions/third").await;
    assert_eq!((removed.status, removed.bytes.len()), (204, 0));
    surface
        .delete("/v1/sessions/third")
        .await
        .problem(404, "session_unknown");
    surface.stop().await;
}

#[tokio::test]
async fn one_session_says_how_it_is() {
    let surface = Surface::start().await;
    let session = surface.get("/v1/sessions/default").await.json();
    assert_eq!(session["state"], "ready");
    assert_eq!(session["ready"], true);
    assert_eq!(session["since"], "2024-01-15T10:30:00.000Z");
    assert_eq!(session["uptime_seconds"], 1.5);
    for (act, state) in [
        ("stop", "stopped"),
        ("start", "starting"),
        ("restart", "starting"),
        ("logout", "logged_out"),
    ] {
        let path = format!("/v1/sessions/default/{act}");
        assert_eq!(
            surface.post(&path, &Value::Null).await.json()["state"],
            state
        );
        let nobody = format!("/v1/sessions/nobody/{act}");
        surface
            .post(&nobody, &Value::Null)
            .await
            .problem(404, "session_unknown");
    }
    let health = surface.get("/v1/sessions/default/health").await;
    assert_eq!(health.status, 200);
    let health = health.json();
    assert_eq!(health["overall"], "unhealthy");
    assert_eq!(health["connectivity"], "session_closed");
    assert_eq!(health["checks"]["page"]["status"], "session_closed");
    assert_eq!(health["recommendations"], json!(["Wait"]));
    surface.stop().await;
}

#[tokio::test]
async fn a_code_to_scan_comes_in_four_forms() {
    let surface = Surface::start().await;
    let path = "/v1/sessions/default/qr";
    surface.get(path).await.problem(404, "no_qr");
    surface.sessions.change(|view| {
        view.state = SessionState::Linking;
        view.has_qr = true;
    });
    let raw = surface.get(path).await.json();
    let expected = json!({"code": "2@ref,key,key,key,1", "expires_at": "2024-01-15T10:30:00.000Z"});
    assert_eq!(raw, expected);
    assert_eq!(
        surface.get(&format!("{path}?format=raw")).await.json(),
        expected
    );
    for (format, content_type, start) in [
        ("svg", "image/svg+xml", &b"<svg"[..]),
        ("png", "image/png", b"\x89PNG"),
        ("text", "text/plain; charset=utf-8", "█".as_bytes()),
    ] {
        let reply = surface.get(&format!("{path}?format={format}")).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, content_type)
        );
        assert!(reply.bytes.starts_with(start));
    }
    let wrong = surface.get(&format!("{path}?format=gif")).await;
    wrong.problem(400, "invalid_request");
    surface.stop().await;
}

#[tokio::test]
async fn a_pairing_code_needs_a_phone_number() {
    let surface = Surface::start().await;
    let path = "/v1/sessions/default/pairing-code";
    let good = surface
        .post(path, &json!({"phone": "+49 151 23456789"}))
        .await;
    assert_eq!(
        (good.status, good.json()),
        (200, json!({"code": "ABCD1234"}))
    );
    for wrong in ["", "123", "1@g.us", "4915123456789@c.us"] {
        let reply = surface.post(path, &json!({"phone": wrong})).await;
        assert_eq!(reply.problem(422, "invalid_field")["field"], "phone");
    }
    surface.stop().await;
}

#[tokio::test]
async fn questions_to_the_page_say_when_to_ask_again() {
    let surface = Surface::start().await;
    let chats = surface.get("/v1/sessions/default/chats").await.json();
    assert_eq!(chats["items"][0]["name"], "Ann");
    let check = "/v1/sessions/default/check-number";
    let known = surface
        .post(check, &json!({"number": "4915123456789"}))
        .await
        .json();
    assert_eq!(
        known,
        json!({"exists": true, "chat_id": "4915123456789@c.us"})
    );
    let unknown = surface
        .post(check, &json!({"number": "3315123456789"}))
        .await
        .json();
    assert_eq!(unknown, json!({"exists": false, "chat_id": null}));

    surface
        .sessions
        .change(|view| view.state = SessionState::Recovering);
    let soon = surface.get("/v1/sessions/default/chats").await;
    let problem = soon.problem(503, "not_ready");
    assert_eq!(
        (problem["retryable"].as_bool(), problem["state"].as_str()),
        (Some(true), Some("recovering"))
    );
    assert_eq!(soon.header("retry-after"), "2");
    surface
        .sessions
        .change(|view| view.state = SessionState::Parked);
    let never = surface.get("/v1/sessions/default/chats").await;
    assert_eq!(never.problem(409, "wrong_state")["retryable"], false);

    surface
        .post("/v1/sessions", &json!({"name": "broken"}))
        .await;
    surface
        .get("/v1/sessions/broken/chats")
        .await
        .problem(503, "not_ready");
    surface.stop().await;
}

#[tokio::test]
async fn stats_are_of_the_session_that_was_asked_for() {
    let surface = Surface::start().await;
    let metrics = &surface.app.metrics;
    metrics.recoveries.inc(["default", "page_gone", "new_page"]);
    metrics.recoveries.inc(["other", "page_gone", "new_page"]);
    metrics.incidents.inc(["default", "page_gone"]);
    metrics.recycles.inc(["default", "memory"]);
    metrics.duplicates_prevented.add(["default"], 2);
    surface.sessions.change(|view| {
        view.outbox.accepted = 3;
        view.outbox.sending = 1;
        view.outbox.oldest_accepted_at = Some(THEN);
    });
    let stats = surface.get("/v1/sessions/default/stats").await.json();
    assert_eq!(
        stats["availability"],
        json!({"wanted_seconds": 4.0, "ready_seconds": 3.0, "ratio": 0.75})
    );
    assert_eq!(
        stats["recoveries"],
        json!([{"kind": "page_gone", "rung": "new_page", "count": 1}])
    );
    assert_eq!(
        stats["incidents"],
        json!([{"name": "page_gone", "count": 1}])
    );
    assert_eq!(stats["recycles"], json!([{"name": "memory", "count": 1}]));
    assert_eq!(
        (&stats["duplicates_prevented"], &stats["outbox"]["depth"]),
        (&json!(2), &json!(4))
    );
    assert!(stats["outbox"]["oldest_seconds"].as_f64().unwrap() > 0.0);
    let original = surface.get("/api/whatsapp/stats").await.json();
    assert_eq!(
        (&original["availability"], &original["duplicatesPrevented"]),
        (&json!(0.75), &json!(2))
    );
    surface
        .get("/v1/sessions/nobody/stats")
        .await
        .problem(404, "session_unknown");
    surface.stop().await;
}

#[tokio::test]
async fn a_session_goes_through_the_proxy_that_it_is_given() {
    let surface = Surface::start().await;
    let body = json!({"name": "shop", "proxy": {"server": "HTTP://Proxy.Example:3128/"}});
    let made = surface.post("/v1/sessions", &body).await;
    assert_eq!(made.status, 201, "{}", made.json());
    assert_eq!(made.json()["proxy"], "http://proxy.example:3128");
    let patch = async |body: &str| {
        let headers = [
            ("x-api-key", surface.admin.as_str()),
            ("content-type", "application/json"),
        ];
        let body = body.to_owned();
        call(
            surface.address,
            Method::PATCH,
            "/v1/sessions/shop",
            &headers,
            body,
        )
        .await
    };
    let changed = patch(r#"{"proxy": {"server": "socks5://10.0.0.7:1080"}}"#).await;
    assert_eq!(changed.json()["proxy"], "socks5://10.0.0.7:1080");
    for (wrong, field) in [
        (r#"{"proxy": {"server": "proxy"}}"#, "proxy.server"),
        (
            r#"{"proxy": {"server": "http://a,direct://:1"}}"#,
            "proxy.server",
        ),
        (
            r#"{"proxy": {"server": "http://ann:pw@proxy:1"}}"#,
            "proxy.server",
        ),
        (
            r#"{"proxy": {"server": "http://proxy:1", "username": "ann"}}"#,
            "proxy.username",
        ),
    ] {
        let problem = patch(wrong).await.problem(422, "invalid_field");
        assert_eq!(problem["field"], field, "{problem}");
        assert!(!problem.to_string().contains("pw@"), "{problem}");
    }
    patch("{}").await.problem(422, "invalid_field");
    let stays = surface.get("/v1/sessions/shop").await.json();
    assert_eq!(stays["proxy"], "socks5://10.0.0.7:1080");
    let none = patch(r#"{"proxy": null}"#).await;
    assert_eq!(none.json()["proxy"], Value::Null);
    surface.stop().await;
}

#[tokio::test]
async fn a_passkey_is_shown_while_it_is_asked_for_and_answered_once_it_fits() {
    let surface = Surface::start().await;
    let path = "/v1/sessions/default/passkey";
    surface.get(path).await.problem(404, "no_passkey");
    surface
        .get("/v1/sessions/nobody/passkey")
        .await
        .problem(404, "session_unknown");
    surface.sessions.change(|view| {
        view.state = SessionState::Linking;
        view.has_passkey_challenge = true;
    });
    let session = surface.get("/v1/sessions/default").await.json();
    assert_eq!(session["has_passkey_challenge"], true);
    let asked = surface.get(path).await.json();
    assert_eq!(asked["options"]["challenge"], "Y2hhbGxlbmdl");
    assert_eq!(asked["origin"], "https://web.whatsapp.com");
    assert_eq!(asked["expires_at"], "2024-01-15T10:30:00.000Z");

    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let answer = |challenge: &str| {
        let client = json!({"type": "webauthn.get", "challenge": challenge,
            "origin": "https://web.whatsapp.com", "crossOrigin": false});
        let mut data = Sha256::digest("whatsapp.com").to_vec();
        data.extend([5, 0, 0, 0, 1]);
        json!({"assertion": {"id": "AAECAw", "rawId": "AAECAw", "type": "public-key",
            "clientExtensionResults": {}, "response": {
                "clientDataJSON": encode(client.to_string().as_bytes()),
                "authenticatorData": encode(&data), "signature": encode(&[7; 70])}}})
    };
    for wrong in [
        json!({}),
        json!({"assertion": "yes"}),
        json!({"assertion": {"id": "AAECAw", "type": "public-key"}}),
        json!({"assertion": answer("x")["assertion"], "more": 1}),
    ] {
        surface
            .post(path, &wrong)
            .await
            .problem(422, "invalid_field");
    }
    let mut malformed = answer("Y2hhbGxlbmdl");
    malformed["assertion"]["response"]["signature"] = json!("!");
    let reply = surface.post(path, &malformed).await;
    let problem = reply.problem(422, "invalid_field");
    assert_eq!(problem["field"], "assertion.response.signature");
    surface
        .post(path, &answer("b3RoZXI"))
        .await
        .problem(422, "passkey_refused");
    let taken = surface.post(path, &answer("Y2hhbGxlbmdl")).await;
    assert_eq!(taken.status, 200);
    assert_eq!(taken.json()["state"], "linking");
    surface
        .sessions
        .change(|view| view.has_passkey_challenge = false);
    surface
        .post(path, &answer("Y2hhbGxlbmdl"))
        .await
        .problem(404, "no_passkey");
    surface.stop().await;
}
