//! Webhook endpoints: made, changed, tested, and given everything whatever they do.

use crate::client::call;
use crate::fake::{THEN, id};
use crate::python::python;
use crate::receiver::{Got, Mood, Receiver};
use crate::surface::Surface;
use hyper::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;
use steadfast_core::event::{StateChange, Told};
use steadfast_core::port::EventLog as _;
use steadfast_gateway::config::Config;

/// A gateway that may post to this machine.
async fn surface(change: impl FnOnce(&mut Config)) -> Surface {
    Surface::with(|config| {
        config.outgoing.allow = vec!["127.0.0.1".to_owned()];
        change(config);
    })
    .await
}

async fn patch(surface: &Surface, path: &str, body: &Value) -> crate::client::Reply {
    let headers = [
        ("x-api-key", surface.admin.as_str()),
        ("content-type", "application/json"),
    ];
    call(
        surface.address,
        Method::PATCH,
        path,
        &headers,
        body.to_string(),
    )
    .await
}

/// So many things happen.
async fn happen(surface: &Surface, many: u32) {
    for _ in 0..many {
        let change = StateChange {
            from: "ready".to_owned(),
            to: "recovering".to_owned(),
            reason: None,
        };
        let told = Told::State(id("default"), change);
        surface.store.tell(told, THEN).await.unwrap();
    }
}

async fn add(surface: &Surface, body: &Value) -> (String, String) {
    let made = surface.post("/v1/webhooks", body).await;
    assert_eq!(made.status, 201, "{:?}", made.bytes);
    let made = made.json();
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

fn positions(posted: &[Got]) -> Vec<i64> {
    let each = posted.iter();
    each.map(|got| got.json()["seq"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn an_endpoint_is_made_shown_without_its_secrets_changed_and_removed() {
    let surface = surface(|_| {}).await;
    let receiver = Receiver::start().await;
    let body = json!({
        "url": receiver.url(), "events": ["session.*"], "sessions": ["default"],
        "headers": { "authorization": "Bearer hidden-value" }, "ordered": true,
    });
    let (webhook, secret) = add(&surface, &body).await;
    assert!(secret.starts_with("whsec_"));
    let path = format!("/v1/webhooks/{webhook}");
    let shown = surface.get(&path).await;
    let text = String::from_utf8_lossy(&shown.bytes).into_owned();
    assert!(
        !text.contains(&secret) && !text.contains("hidden-value"),
        "{text}"
    );
    let shown = shown.json();
    assert_eq!(shown["headers"], json!(["authorization"]));
    assert_eq!(
        (shown["state"].clone(), shown["ordered"].clone()),
        (json!("active"), json!(true))
    );
    let listed = surface.get("/v1/webhooks").await.json();
    assert_eq!(listed["items"][0]["id"], webhook.as_str());
    // It is signed, and its owner's header goes with it.
    happen(&surface, 1).await;
    let posted = receiver
        .until("the first", |posted| posted.len() == 1)
        .await;
    assert!(posted[0].is_signed_with(&secret));
    assert_eq!(posted[0].header("authorization"), "Bearer hidden-value");
    assert_eq!(posted[0].header("content-type"), "application/json");
    assert_eq!(posted[0].json()["type"], "session.state");
    assert_eq!(posted[0].json()["id"], posted[0].header("webhook-id"));
    // Another secret; the old one signs too.
    let rotated = surface
        .post(&format!("{path}/rotate"), &json!({}))
        .await
        .json();
    let new = rotated["secret"].as_str().unwrap().to_owned();
    assert_ne!(new, secret);
    happen(&surface, 1).await;
    let posted = receiver
        .until("the second", |posted| posted.len() == 2)
        .await;
    assert!(posted[1].is_signed_with(&secret) && posted[1].is_signed_with(&new));
    // A test is posted and said.
    let answer = surface
        .post(&format!("{path}/test"), &json!({}))
        .await
        .json();
    assert_eq!(
        (answer["delivered"].clone(), answer["status"].clone()),
        (json!(true), json!(204))
    );
    let posted = receiver.taken();
    assert_eq!(posted[2].json()["type"], "webhook.test");
    assert!(posted[2].is_signed_with(&new));
    // What came of each is on disk a moment after it was taken.
    let deadline = tokio::time::Instant::now() + crate::client::DEADLINE;
    loop {
        let attempts = surface.get(&format!("{path}/attempts")).await.json();
        let outcomes: Vec<_> = attempts["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|attempt| attempt["outcome"].clone())
            .collect();
        if outcomes.len() == 3 {
            assert_eq!(outcomes, ["delivered"; 3]);
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{attempts}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let changed = patch(
        &surface,
        &path,
        &json!({ "events": ["message.*"], "enabled": false }),
    )
    .await;
    assert_eq!(changed.json()["state"], "disabled");
    assert_eq!(surface.delete(&path).await.status, 204);
    surface.get(&path).await.problem(404, "webhook_unknown");
    surface.delete(&path).await.problem(404, "webhook_unknown");
    surface.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_is_said() {
    let surface = Surface::with(|config| config.webhooks.max_endpoints = 1).await;
    for (body, field) in [
        (json!({ "url": "ftp://example.org/" }), "url"),
        (json!({ "url": "http://127.0.0.1:1/" }), "url"),
        (json!({ "url": "http://169.254.169.254/latest" }), "url"),
        (
            json!({ "url": "https://example.org/", "events": ["nothing"] }),
            "events",
        ),
        (
            json!({ "url": "https://example.org/", "sessions": ["A b"] }),
            "sessions",
        ),
        (
            json!({ "url": "https://example.org/", "secret": "short" }),
            "secret",
        ),
        (
            json!({ "url": "https://example.org/", "headers": { "webhook-id": "x" } }),
            "headers",
        ),
        (
            json!({ "url": "https://example.org/", "headers": { "a b": "x" } }),
            "headers",
        ),
        (
            json!({ "url": "https://example.org/", "headers": { "x": "a\nb" } }),
            "headers",
        ),
    ] {
        let reply = surface.post("/v1/webhooks", &body).await;
        let problem = reply.problem(422, "invalid_field");
        assert_eq!(problem["field"], field, "{body}: {problem}");
    }
    let bare = surface.post("/v1/webhooks", &json!({})).await;
    bare.problem(422, "invalid_field");
    let good = json!({ "url": "http://93.184.216.34:9/", "enabled": false });
    assert_eq!(surface.post("/v1/webhooks", &good).await.status, 201);
    let more = surface.post("/v1/webhooks", &good).await;
    more.problem(409, "webhook_limit");
    let unknown = "/v1/webhooks/whk_00000000000000000000000000";
    for path in ["", "/attempts", "/deliveries"] {
        let reply = surface.get(&format!("{unknown}{path}")).await;
        reply.problem(404, "webhook_unknown");
    }
    for path in ["/test", "/replay", "/rotate", "/pause", "/resume"] {
        let reply = surface.post(&format!("{unknown}{path}"), &json!({})).await;
        reply.problem(404, "webhook_unknown");
    }
    // Only admins see where events go.
    for token in [&surface.read, &surface.send] {
        let headers = [("x-api-key", token.as_str())];
        let reply = call(surface.address, Method::GET, "/v1/webhooks", &headers, "").await;
        reply.problem(403, "scope_missing");
    }
    surface.stop().await;
}

/// Has everything verified by an implementation that is not ours.
fn verified_elsewhere(secret: &str, posted: &[Got]) {
    let mut lines = String::new();
    for got in posted {
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let headers: BTreeMap<_, _> = names.map(|name| (name, got.header(name))).into();
        let body = String::from_utf8_lossy(&got.body);
        let line = json!({ "secret": secret, "headers": headers, "body": body });
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    let mut child = python("checks")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/verified.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(lines.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let verified = String::from_utf8_lossy(&output.stdout);
    assert_eq!(verified.trim(), posted.len().to_string(), "{said}");
}

/// One receiver wants order, one does not. They fail, stall, die and come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_receiver_does_it_gets_everything() {
    let surface = surface(|config| {
        // It does not wait for long, neither for an answer nor before it tries
        // again: an answer that a busy machine holds up is a failure too.
        config.webhooks.timeout_ms = 500;
        config.webhooks.probe_min_ms = 50;
        config.webhooks.probe_max_ms = 400;
        let delays = ["0s", "100ms", "300ms"].into_iter();
        let delays = delays.chain(std::iter::repeat_n("1s", 60));
        config.webhooks.retry_delays = delays.map(ToOwned::to_owned).collect();
    })
    .await;
    let (ordered, loose) = (Receiver::start().await, Receiver::start().await);
    let mut secrets = BTreeMap::new();
    for (receiver, in_order) in [(&ordered, true), (&loose, false)] {
        let body =
            json!({ "url": receiver.url(), "events": ["session.state"], "ordered": in_order });
        secrets.insert(in_order, add(&surface, &body).await);
    }
    happen(&surface, 20).await;
    for mood in [
        Mood::Answers(500),
        Mood::Stalls,
        Mood::Answers(302),
        Mood::Takes,
    ] {
        for receiver in [&ordered, &loose] {
            receiver.mood(mood);
        }
        happen(&surface, 15).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    for receiver in [&ordered, &loose] {
        receiver.die().await;
    }
    happen(&surface, 15).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    for receiver in [&ordered, &loose] {
        receiver.come_back().await;
    }
    happen(&surface, 15).await;
    let expected: BTreeSet<i64> = (2..=111).collect();
    for (receiver, in_order) in [(&ordered, true), (&loose, false)] {
        let (webhook, secret) = &secrets[&in_order];
        let all =
            |posted: &[Got]| positions(posted).into_iter().collect::<BTreeSet<_>>() == expected;
        let posted = receiver.until("everything", all).await;
        assert!(posted.iter().all(|got| got.is_signed_with(secret)));
        verified_elsewhere(secret, &posted);
        if in_order {
            let mut seen = positions(&posted);
            // Twice is allowed, where an answer was lost; backwards is not.
            seen.dedup();
            assert!(seen.is_sorted(), "{seen:?}");
        }
        let ids: BTreeSet<_> = receiver
            .got()
            .iter()
            .map(|got| {
                (
                    got.json()["seq"].as_i64(),
                    got.header("webhook-id").to_owned(),
                )
            })
            .collect();
        assert_eq!(ids.len(), expected.len(), "an event has one id");
        let shown = surface.get(&format!("/v1/webhooks/{webhook}")).await.json();
        assert_eq!(shown["status"]["dead"], 0, "{shown}");
    }
    surface.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_kept_shown_and_replayed() {
    let surface = Surface::with(|config| {
        config.outgoing.allow = vec!["127.0.0.1".to_owned()];
        config.webhooks.retry_delays = ["0s", "10ms"].map(ToOwned::to_owned).to_vec();
        config.webhooks.circuit_failures = 1_000;
    })
    .await;
    let receiver = Receiver::start().await;
    let body = json!({ "url": receiver.url(), "events": ["session.state"] });
    let (webhook, _) = add(&surface, &body).await;
    let path = format!("/v1/webhooks/{webhook}");
    receiver.mood(Mood::Answers(400));
    happen(&surface, 4).await;
    let dead = async || {
        let page = surface
            .get(&format!("{path}/deliveries?state=dead"))
            .await
            .json();
        page["items"].as_array().unwrap().clone()
    };
    let deadline = tokio::time::Instant::now() + crate::client::DEADLINE;
    while dead().await.len() < 4 {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", dead().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let letters = dead().await;
    assert_eq!(letters[0]["attempts"], 2);
    assert_eq!(letters[0]["event"]["type"], "session.state");
    assert_eq!(letters[0]["detail"], "answered 400");
    let seq = |n: usize| letters[n]["event"]["seq"].as_i64().unwrap();
    receiver.mood(Mood::Takes);
    let replay = async |body: Value| {
        let replayed = surface.post(&format!("{path}/replay"), &body).await.json();
        replayed["replayed"].as_i64().unwrap()
    };
    assert_eq!(replay(json!({ "seq": seq(1) })).await, 1);
    assert_eq!(replay(json!({ "from": seq(2), "to": seq(2) })).await, 1);
    assert_eq!(replay(json!({})).await, 2);
    assert_eq!(replay(json!({})).await, 0);
    let posted = receiver
        .until("the replayed", |posted| posted.len() == 4)
        .await;
    let posted: BTreeSet<i64> = positions(&posted).into_iter().collect();
    assert_eq!(posted, (0..4).map(seq).collect());
    let metrics = surface.get("/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.bytes).into_owned();
    let line = format!("steadfast_webhook_dead_letters_total{{webhook=\"{webhook}\"}} 4");
    assert!(metrics.contains(&line), "{metrics}");
    surface.stop().await;
}
