//! What is asked of the gateway itself.

use crate::client::call;
use crate::surface::Surface;
use hyper::Method;
use serde_json::json;
use steadfast_core::port::Store as _;
use steadfast_gateway::sessions::SessionState;

#[tokio::test]
async fn life_and_readiness_need_no_token() {
    let surface = Surface::start().await;
    let open = async |path: &str| call(surface.address, Method::GET, path, &[], "").await;
    assert_eq!(open("/ping").await.json(), json!({"message": "pong"}));
    assert_eq!(open("/healthz").await.json()["status"], "ok");
    let ready = open("/readyz").await;
    assert_eq!(
        (ready.status, ready.json()["ready"].as_bool()),
        (200, Some(true))
    );
    // The store is gone: alive, and not ready, with the reason.
    surface.store.close().await;
    let not_ready = open("/readyz").await;
    assert_eq!(not_ready.status, 503);
    let body = not_ready.json();
    assert_eq!(body["ready"], false);
    assert_eq!(body["checks"]["store"]["status"], "fail");
    assert!(
        body["reasons"][0].as_str().unwrap().contains("closed"),
        "{body}"
    );
    assert_eq!(open("/healthz").await.status, 200);
    surface.stop().await;
}

#[tokio::test]
async fn readiness_says_why_sessions_are_not_ready() {
    let surface = Surface::start().await;
    surface.sessions.change(|view| {
        view.state = SessionState::Recovering;
        view.reason = Some("page_hung".to_owned());
    });
    let reply = call(surface.address, Method::GET, "/readyz", &[], "").await;
    // Messages are accepted all the same: they wait on disk.
    assert_eq!(reply.status, 200);
    let body = reply.json();
    assert_eq!(body["checks"]["sessions"]["status"], "warning");
    assert_eq!(
        body["checks"]["sessions"]["detail"],
        "0 of 1 sessions are ready; 1 recovering (page_hung)"
    );
    assert_eq!(body["sessions"], json!({"recovering": 1}));
    surface.stop().await;
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_told() {
    let surface = Surface::start().await;
    surface.get("/v2/sessions").await.problem(404, "not_found");
    surface.get("/v1").await.problem(404, "not_found");
    let reply = surface.delete("/v1/sessions").await;
    reply.problem(405, "method_not_allowed");
    let allow = reply.header("allow");
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    surface.stop().await;
}

#[tokio::test]
async fn metrics_follow_the_conventions() {
    let surface = Surface::start().await;
    surface.get("/v1/sessions").await;
    surface.get("/nowhere/4915123456789").await;
    let reply = surface.get("/metrics").await;
    assert!(
        reply
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    let page = String::from_utf8(reply.bytes.to_vec()).unwrap();
    for line in [
        "steadfast_sessions{state=\"ready\"} 1",
        "steadfast_sessions{state=\"parked\"} 0",
        "steadfast_session_ready{session=\"default\"} 1",
        "steadfast_outbox_messages{session=\"default\",status=\"accepted\"} 0",
        "steadfast_browser_memory_bytes{session=\"default\"} 1024",
        "steadfast_session_wanted_seconds_total{session=\"default\"} 4",
        "steadfast_session_ready_seconds_total{session=\"default\"} 3",
        "steadfast_incidents_open{session=\"default\"} 0",
        "steadfast_http_requests_total{method=\"GET\",route=\"/v1/sessions\",status=\"200\"} 1",
        "steadfast_http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"} 1",
        "steadfast_panics_total 0",
    ] {
        assert!(page.contains(line), "{line} is missing in\n{page}");
    }
    assert!(!page.contains("4915123456789"));
    let mut described = Vec::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            described.push(rest.split(' ').next().unwrap().to_owned());
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .unwrap_or(name);
            assert!(
                described.iter().any(|known| known == name || known == base),
                "{name} has no TYPE"
            );
        }
    }
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/OPERATIONS.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    for name in described {
        assert!(
            docs.contains(&format!("`{name}`")),
            "docs/OPERATIONS.md lacks {name}"
        );
    }
    surface.stop().await;
}
