//! The real binary killed between an event and its delivery.

use crate::binary::{Serving, steadfast};
use crate::client::{Reply, call};
use crate::receiver::{Got, Mood, Receiver};
use hyper::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

fn serve(dir: &Path) -> Serving {
    let mut command = steadfast(dir);
    command
        .env("STEADFAST_OUTGOING__ALLOW", "127.0.0.1")
        .env("STEADFAST_WEBHOOKS__RETRY_DELAYS", "0s,200ms,1s,5m,5m")
        .env("STEADFAST_WEBHOOKS__PROBE_MIN_MS", "50")
        .env("STEADFAST_WEBHOOKS__PROBE_MAX_MS", "200")
        .args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    Serving::start_as(&mut command)
}

async fn post(gateway: &Serving, token: &str, path: &str, body: &Value) -> Reply {
    let headers = [("x-api-key", token), ("content-type", "application/json")];
    let (address, body) = (gateway.address(), body.to_string());
    call(address, Method::POST, path, &headers, body).await
}

async fn accept(gateway: &Serving, token: &str, many: u32, ids: &mut BTreeSet<String>) {
    for n in 0..many {
        let body = json!({ "to": format!("49151000{n:05}"), "text": "hello" });
        let reply = post(gateway, token, "/v1/sessions/default/messages", &body).await;
        assert_eq!(reply.status, 202, "{:?}", reply.bytes);
        ids.insert(reply.json()["id"].as_str().unwrap().to_owned());
    }
}

fn told(posted: &[Got]) -> BTreeSet<String> {
    let each = posted.iter().map(Got::json);
    each.map(|event| event["data"]["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_loses_no_event() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    receiver.mood(Mood::Answers(503));
    let gateway = serve(dir.path());
    let token = gateway.token().to_owned();
    let body = json!({ "url": receiver.url(), "events": ["message.accepted"], "ordered": true });
    let made = post(&gateway, &token, "/v1/webhooks", &body).await;
    assert_eq!(made.status, 201, "{:?}", made.bytes);
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    let mut ids = BTreeSet::new();
    // Killed while the endpoint refuses, while it stalls, and while it takes.
    accept(&gateway, &token, 10, &mut ids).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    gateway.end("KILL");
    for mood in [Mood::Stalls, Mood::Takes, Mood::Takes] {
        receiver.mood(mood);
        let gateway = serve(dir.path());
        accept(&gateway, &token, 10, &mut ids).await;
        gateway.end("KILL");
    }
    let gateway = serve(dir.path());
    let everything = |posted: &[Got]| told(posted) == ids;
    let posted = receiver.until("every accepted message", everything).await;
    assert!(posted.iter().all(|got| got.is_signed_with(&secret)));
    let names: BTreeSet<_> = receiver
        .got()
        .iter()
        .map(|got| {
            (
                got.json()["seq"].as_i64(),
                got.header("webhook-id").to_owned(),
            )
        })
        .collect();
    assert_eq!(names.len(), ids.len(), "one id for each, over all lives");
    let (code, log) = gateway.end("TERM");
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains(&secret));
}
