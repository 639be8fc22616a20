//! `/api`: what programs written for WAHA see of sessions and of the gateway.

use crate::client::{Reply, call};
use crate::surface::Surface;
use hyper::Method;
use serde_json::{Value, json};
use steadfast_gateway::sessions::{Me, SessionState};

pub(crate) const CHAT: &str = "4915123456789@c.us";

/// A problem, with the members that WAHA's clients read.
#[track_caller]
pub(crate) fn refused(reply: &Reply, status: u16, code: &str) -> Value {
    let body = reply.problem(status, code);
    assert_eq!(body["statusCode"], status);
    assert_eq!(body["message"], body["detail"]);
    assert_eq!(body["details"], code);
    body
}

#[tokio::test]
async fn a_session_lives_in_wahas_words() {
    let surface = Surface::start().await;
    let made = surface
        .post(
            "/api/sessions",
            &json!({"name": "shop", "start": false, "config": {"metadata": {"user": "7"}, "debug": null, "webhooks": null, "noweb": {"markOnline": true}}}),
        )
        .await;
    assert_eq!(made.status, 201);
    let session = made.json();
    assert_eq!(session["name"], "shop");
    assert_eq!(session["status"], "STOPPED");
    assert_eq!(session["config"]["metadata"], json!({"user": "7"}));
    assert_eq!(session["engine"]["engine"], "WEBJS");
    let again = surface
        .post("/api/sessions", &json!({"name": "shop"}))
        .await;
    refused(&again, 409, "session_exists");

    // Stopped ones are listed only where asked for.
    let names = |reply: Reply| -> Vec<String> {
        let all = reply.json();
        let one = |s: &Value| s["name"].as_str().unwrap().to_owned();
        all.as_array().unwrap().iter().map(one).collect()
    };
    assert_eq!(names(surface.get("/api/sessions").await), ["default"]);
    let all = surface.get("/api/sessions?all=true").await;
    assert_eq!(names(all), ["default", "shop"]);

    let started = surface.post("/api/sessions/shop/start", &json!({})).await;
    assert_eq!(
        (started.status, &started.json()["status"]),
        (201, &json!("STARTING"))
    );
    let changed = surface
        .change(
            Method::PUT,
            "/api/sessions/shop",
            &json!({"config": {"metadata": {"user": "8"}}}),
        )
        .await;
    assert_eq!(changed.status, 200);
    let session = surface.get("/api/sessions/shop").await.json();
    assert_eq!(session["config"]["metadata"]["user"], "8");
    let stopped = surface.post("/api/sessions/shop/stop", &json!({})).await;
    assert_eq!(stopped.json()["status"], "STOPPED");
    let again = surface.post("/api/sessions/shop/restart", &json!({})).await;
    assert_eq!(again.json()["status"], "STARTING");
    // One that was running offers a new code after the logout.
    let out = surface.post("/api/sessions/shop/logout", &json!({})).await;
    assert_eq!(
        (out.status, &out.json()["status"]),
        (201, &json!("STARTING"))
    );

    assert_eq!(surface.delete("/api/sessions/shop").await.status, 200);
    assert_eq!(surface.delete("/api/sessions/shop").await.status, 200);
    refused(
        &surface.get("/api/sessions/shop").await,
        404,
        "session_unknown",
    );
    surface.stop().await;
}

#[tokio::test]
async fn the_default_session_can_be_made_once_though_it_exists() {
    let surface = Surface::start().await;
    let body = json!({"name": "default", "config": {"metadata": {"a": 1}}});
    assert_eq!(surface.post("/api/sessions", &body).await.status, 201);
    let again = surface.post("/api/sessions", &body).await;
    refused(&again, 409, "session_exists");
    // The older form starts what is there, and makes what is not.
    for name in ["default", "new"] {
        let body = json!({"name": name});
        assert_eq!(surface.post("/api/sessions/start", &body).await.status, 201);
    }
    let body = json!({"name": "new", "logout": true});
    assert_eq!(surface.post("/api/sessions/stop", &body).await.status, 201);
    let session = surface.get("/api/sessions/new").await.json();
    assert_eq!(session["status"], "STOPPED");
    // A name is made up where none is given.
    surface.delete("/api/sessions/new").await;
    let made = surface.post("/api/sessions", &json!({})).await;
    assert_eq!(made.status, 201);
    assert!(made.json()["name"].as_str().unwrap().starts_with("s_"));
    surface.stop().await;
}

#[tokio::test]
async fn who_a_session_is_and_how_it_is_linked() {
    let surface = Surface::start().await;
    assert_eq!(
        surface.get("/api/sessions/default/me").await.json(),
        Value::Null
    );
    surface.sessions.change(|view| {
        view.me = Some(Me {
            id: "4915100000000@c.us".parse().unwrap(),
            push_name: Some("Shop".to_owned()),
        });
    });
    let me = surface.get("/api/sessions/default/me").await.json();
    assert_eq!(me, json!({"id": "4915100000000@c.us", "pushName": "Shop"}));

    let none = surface.get("/api/default/auth/qr").await;
    assert_eq!(refused(&none, 409, "wrong_state")["state"], "ready");
    surface
        .sessions
        .change(|view| view.state = SessionState::Linking);
    let soon = surface.get("/api/default/auth/qr").await;
    refused(&soon, 503, "not_ready");
    surface.sessions.change(|view| view.has_qr = true);
    let raw = surface.get("/api/default/auth/qr?format=raw").await.json();
    assert_eq!(raw["value"], "2@ref,key,key,key,1");
    assert_eq!(raw["qr"], raw["value"]);
    let picture = surface.get("/api/default/auth/qr").await;
    assert_eq!(picture.header("content-type"), "image/png");

    // The two Python clients, by the headers that they send.
    let key = ("x-api-key", surface.admin.as_str());
    let json = ("accept", "application/json");
    let path = "/api/default/auth/qr?format=image";
    let waha_py = call(surface.address, Method::GET, path, &[key, json], "").await;
    assert_eq!(waha_py.json()["mimetype"], "image/png");
    let declared = ("content-type", "application/json");
    let waha = call(
        surface.address,
        Method::GET,
        path,
        &[key, json, declared],
        "",
    )
    .await;
    assert_eq!(waha.header("content-type"), "image/png");
    assert!(waha.bytes.starts_with(b"\x89PNG"));

    let body = json!({"phoneNumber": "+49 151 23456789", "method": null});
    let code = surface.post("/api/default/auth/request-code", &body).await;
    assert_eq!(
        (code.status, code.json()),
        (200, json!({"code": "ABCD-1234"}))
    );
    let body = json!({"phoneNumber": "4915123456789", "method": "sms"});
    let code = surface.post("/api/default/auth/request-code", &body).await;
    refused(&code, 501, "unsupported");
    surface.stop().await;
}

#[tokio::test]
async fn chats_and_numbers() {
    let surface = Surface::start().await;
    for path in [
        "/api/default/chats?limit=10",
        "/api/chats?session=default&limit=10&offset=0",
    ] {
        let chats = surface.get(path).await.json();
        assert_eq!(chats[0]["id"], CHAT);
        assert_eq!(chats[0]["isGroup"], false);
        assert_eq!(chats[0]["timestamp"], 1_705_314_600);
    }
    assert_eq!(surface.get("/api/chats?offset=1").await.json(), json!([]));
    let there = surface
        .get("/api/contacts/check-exists?phone=%2B49%20151%2023456789&session=default")
        .await;
    assert_eq!(there.json(), json!({"numberExists": true, "chatId": CHAT}));
    let away = surface.get("/api/checkNumberStatus?phone=331234567").await;
    assert_eq!(away.json(), json!({"numberExists": false, "chatId": null}));
    surface.stop().await;
}

#[tokio::test]
async fn the_gateway_tells_what_it_is() {
    let surface = Surface::start().await;
    let pong = call(surface.address, Method::GET, "/ping", &[], "").await;
    assert_eq!(pong.json(), json!({"message": "pong"}));
    let health = surface.get("/health").await;
    assert_eq!(
        (health.status, &health.json()["status"]),
        (200, &json!("ok"))
    );
    assert_eq!(health.json()["info"]["store"]["status"], "up");
    for path in ["/api/version", "/api/server/version"] {
        let version = surface.get(path).await.json();
        assert_eq!(
            (&version["engine"], &version["tier"]),
            (&json!("WEBJS"), &json!("PLUS"))
        );
        assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    }
    let status = surface.get("/api/server/status").await.json();
    assert!(status["startTimestamp"].as_i64().unwrap() > 0 && status["uptime"].is_u64());
    surface.stop().await;
}
