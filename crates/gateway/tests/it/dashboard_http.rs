//! The dashboard's doors, without a browser: its files, and logins by cookie.

use crate::client::{Reply, call};
use crate::fake::{PNG, id};
use crate::still::Still;
use crate::surface::Surface;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use steadfast_gateway::sessions::{SessionState, Sessions as _};
use tokio::sync::Semaphore;

const MARK: (&str, &str) = ("x-steadfast-page", "1");
const JSON: (&str, &str) = ("content-type", "application/json");

async fn log_in(surface: &Surface, token: &str) -> Reply {
    let body = json!({"token": token}).to_string();
    call(surface.address, Method::POST, "/login", &[MARK, JSON], body).await
}

/// The cookie as a browser sends it back.
async fn cookie(surface: &Surface, token: &str) -> String {
    let reply = log_in(surface, token).await;
    assert_eq!(reply.status, 200, "{}", reply.json());
    let cookie = reply.header("set-cookie");
    assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

async fn with(
    surface: &Surface,
    cookie: &str,
    method: Method,
    path: &str,
    more: &[(&str, &str)],
) -> Reply {
    let mut headers = vec![("cookie", cookie)];
    headers.extend(more);
    call(surface.address, method, path, &headers, "").await
}

#[tokio::test]
async fn the_page_and_its_files_are_anybodys_and_bring_a_strict_policy() {
    let surface = Surface::start().await;
    let page = call(surface.address, Method::GET, "/", &[], "").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let script = call(surface.address, Method::GET, "/assets/app.js", &[], "").await;
    assert_eq!(script.status, 200);
    let tag = script.header("etag").to_owned();
    let known = [("if-none-match", tag.as_str())];
    let again = call(surface.address, Method::GET, "/assets/app.js", &known, "").await;
    assert_eq!((again.status, again.bytes.len()), (304, 0));
    for nothing in ["/assets/none.js", "/assets/..%2fCargo.toml"] {
        assert_eq!(
            call(surface.address, Method::GET, nothing, &[], "")
                .await
                .status,
            404
        );
    }
    surface.stop().await;
}

#[tokio::test]
async fn a_login_is_what_its_token_is_and_no_more() {
    let surface = Surface::start().await;
    log_in(&surface, "sf_a_wrong")
        .await
        .problem(401, "token_unknown");
    let reader = cookie(&surface, &surface.read).await;
    let me = with(&surface, &reader, Method::GET, "/dashboard/me", &[]).await;
    assert_eq!((me.status, &me.json()["scope"]), (200, &json!("read")));
    let list = with(&surface, &reader, Method::GET, "/v1/sessions", &[]).await;
    assert_eq!(list.status, 200);
    with(&surface, &reader, Method::GET, "/v1/tokens", &[])
        .await
        .problem(403, "scope_missing");
    let past = with(
        &surface,
        &reader,
        Method::GET,
        "/dashboard/history/default?span=day",
        &[],
    )
    .await;
    assert_eq!(past.status, 200);
    with(
        &surface,
        &reader,
        Method::GET,
        "/dashboard/diagnostics",
        &[],
    )
    .await
    .problem(403, "scope_missing");
    // Its token is revoked, and it is nobody's.
    assert_eq!(surface.delete("/v1/tokens/read").await.status, 204);
    with(&surface, &reader, Method::GET, "/v1/sessions", &[])
        .await
        .problem(401, "token_missing");

    let admin = cookie(&surface, &surface.admin).await;
    let acts = surface.get("/v1/audit").await.json();
    let logins = acts["items"].as_array().unwrap().iter();
    assert_eq!(
        logins.filter(|act| act["act"] == "dashboard_login").count(),
        2
    );
    let out = with(&surface, &admin, Method::POST, "/logout", &[MARK]).await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    with(&surface, &admin, Method::GET, "/v1/sessions", &[])
        .await
        .problem(401, "token_missing");
    surface.stop().await;
}

#[tokio::test]
async fn the_diagnostics_hold_each_page_or_why_there_is_none() {
    let surface = Surface::start().await;
    for name in ["broken", "stopped", "zoo"] {
        surface.sessions.add(name);
    }
    let stopped = surface.sessions.stop(&id("stopped")).await;
    assert_eq!(stopped.unwrap().state, SessionState::Stopped);
    let pages = surface.get("/dashboard/diagnostics").await.json()["pages"].clone();
    let png = STANDARD.encode(PNG);
    assert!(
        png.contains("1234567"),
        "{png}: nothing that redaction hurts"
    );
    assert_eq!(
        pages,
        json!([
            {"session": "stopped", "why": "the session is stopped, and must be ready for this"},
            {"session": "broken", "why": "page_gone: the page of [number] was closed"},
            {"session": "default", "png": png},
            {"session": "zoo", "png": png},
        ])
    );
    surface.stop().await;
}

#[tokio::test]
async fn diagnostics_do_not_wait_for_a_page_that_hangs() {
    let surface = Surface::with(|config| config.server.request_timeout_ms = 1_500).await;
    *surface.sessions.gate.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    let still = Still::begin();
    let passing = async {
        let asked = async || surface.sessions.pictures.load(Ordering::SeqCst) > 0;
        still.until("no page was looked at", asked).await;
        still.passes(std::future::pending::<()>()).await;
    };
    let reply = tokio::select! {
        reply = surface.get("/dashboard/diagnostics") => reply,
        () = passing => unreachable!("time never ends"),
    };
    drop(still);
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.json()["pages"],
        json!([{"session": "default", "why": "there was no time left for it"}])
    );
    surface.stop().await;
}

#[tokio::test]
async fn another_page_cannot_use_a_login() {
    let surface = Surface::start().await;
    let admin = cookie(&surface, &surface.admin).await;
    let stop = "/v1/sessions/default/stop";
    with(&surface, &admin, Method::POST, stop, &[])
        .await
        .problem(403, "foreign_page");
    let other = [MARK, ("origin", "http://127.0.0.1:1")];
    with(&surface, &admin, Method::POST, stop, &other)
        .await
        .problem(403, "foreign_page");
    let site = [MARK, ("sec-fetch-site", "same-site")];
    with(&surface, &admin, Method::POST, stop, &site)
        .await
        .problem(403, "foreign_page");
    // Reading across ports of one machine is same-site, and a WebSocket has no other guard.
    let site = [("sec-fetch-site", "same-site")];
    with(&surface, &admin, Method::GET, "/v1/events/ws", &site)
        .await
        .problem(403, "foreign_page");
    let ours = [MARK, ("sec-fetch-site", "same-origin")];
    assert_eq!(
        with(&surface, &admin, Method::POST, stop, &ours)
            .await
            .status,
        200
    );
    // Nor can one log somebody in, or out.
    let body = json!({"token": surface.admin}).to_string();
    call(surface.address, Method::POST, "/login", &[JSON], body)
        .await
        .problem(403, "foreign_page");
    with(&surface, &admin, Method::POST, "/logout", &[])
        .await
        .problem(403, "foreign_page");
    // A token beside the cookie needs no mark: programs are as before.
    let bearer = format!("Bearer {}", surface.admin);
    let program = [("authorization", bearer.as_str())];
    assert_eq!(
        with(&surface, &admin, Method::POST, stop, &program)
            .await
            .status,
        200
    );
    surface.stop().await;
}

#[tokio::test]
async fn failed_logins_are_told_to_wait_and_shut_nobody_out() {
    let surface = Surface::with(|config| config.server.auth_failures_per_minute = 3).await;
    for _ in 0..3 {
        log_in(&surface, "sf_a_wrong")
            .await
            .problem(401, "token_unknown");
    }
    log_in(&surface, "sf_a_wrong")
        .await
        .problem(429, "too_many_failures");
    cookie(&surface, &surface.admin).await;
    surface.stop().await;
}

#[tokio::test]
async fn lists_of_messages_are_had_newest_first() {
    let surface = Surface::start().await;
    for n in 1..=5 {
        let body = json!({"to": format!("491510000000{n}"), "text": n.to_string()});
        let sent = surface.post("/v1/sessions/default/messages", &body).await;
        assert_eq!(sent.status, 202);
    }
    let texts = async |path: &str| {
        let page = surface.get(path).await.json();
        let items = page["items"].as_array().unwrap().iter();
        let texts: Vec<String> = items
            .map(|m| m["text"].as_str().unwrap().to_owned())
            .collect();
        (texts.join(""), page["next"].as_str().map(str::to_owned))
    };
    let path = "/v1/sessions/default/messages?limit=3&before=";
    let (newest, next) = texts(&format!("{path}end")).await;
    assert_eq!(newest, "543");
    let (rest, next) = texts(&format!("{path}{}", next.unwrap())).await;
    assert_eq!((rest.as_str(), next), ("21", None));
    surface
        .get(&format!("{path}soon"))
        .await
        .problem(400, "invalid_request");
    surface.stop().await;
}
