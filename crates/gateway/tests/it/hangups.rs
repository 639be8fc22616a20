//! Callers who hang up or run out of time: what they began is not left half
//! done, and what they were told is true.

use crate::client::DEADLINE;
use crate::fake::id;
use crate::receiver::{Mood, Receiver};
use crate::scripted::Scripted;
use crate::still::Still;
use crate::surface::Surface;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt as _;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use steadfast_core::event::{StateChange, Told};
use steadfast_core::port::{EventLog as _, MessageQuery, NewAudit, Store as _, WebhookState};
use steadfast_gateway::clock::{Clock as _, SystemClock};
use steadfast_gateway::config::Config;
use steadfast_gateway::sessions::SessionError;
use steadfast_gateway::webhooks::NewWebhook;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

const MESSAGES: &str = "/v1/sessions/default/messages";

/// Looks again and again until something is there.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = tokio::time::Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Begins a request, and gives the connection out of which it can hang up.
async fn begin(surface: &Surface, method: &str, path: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(surface.address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        surface.admin,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    stream
}

/// The status of the answer.
async fn status(mut stream: TcpStream) -> u16 {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer));
    read.await.expect("no answer").unwrap();
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// An endpoint that has one request under way, and does not answer it.
async fn stalled(change: impl FnOnce(&mut Config)) -> (Surface, Receiver, String) {
    let surface = Surface::with(|config| {
        config.outgoing.allow = vec!["127.0.0.1".to_owned()];
        change(config);
    })
    .await;
    let receiver = Receiver::start().await;
    receiver.mood(Mood::Stalls);
    // Not by a request: the time of those may be short here.
    let endpoint = NewWebhook {
        owner: "v1".to_owned(),
        url: receiver.url(),
        events: vec!["session.state".to_owned()],
        sessions: Vec::new(),
        headers: Vec::new(),
        ordered: false,
        state: WebhookState::Active,
        secret: None,
        envelope: "standard".to_owned(),
        retry: None,
    };
    let made = surface.app.webhooks.add(endpoint).await.unwrap();
    let change = StateChange {
        from: "ready".to_owned(),
        to: "recovering".to_owned(),
        reason: None,
    };
    let told = Told::State(id("default"), change);
    surface.store.tell(told, SystemClock.unix()).await.unwrap();
    until("nothing was posted", async || {
        (!receiver.got().is_empty()).then_some(())
    })
    .await;
    let path = format!("/v1/webhooks/{}", made.id);
    (surface, receiver, path)
}

/// What the audit log says of a change of an endpoint.
async fn changed(surface: &Surface) -> Option<NewAudit> {
    let log = surface.store.audit(None, 100).await.unwrap().into_iter();
    let mut log = log.map(|entry| entry.entry);
    log.find(|entry| entry.act == "webhook_changed")
}

/// Waits until the endpoint is being changed, or has been.
async fn begun(surface: &Surface) {
    until("it is not being changed", async || {
        let halted = surface.app.webhooks.running_statuses().is_empty();
        (halted || changed(surface).await.is_some()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_hangs_up_while_an_endpoint_is_changed_does_not_stop_it() {
    let (surface, receiver, path) = stalled(|_| {}).await;
    let client = begin(&surface, "PATCH", &path, r#"{"events": ["session.*"]}"#).await;
    begun(&surface).await;
    drop(client);
    receiver.mood(Mood::Takes);
    receiver
        .until("what it is owed", |taken| !taken.is_empty())
        .await;
    let act = until("nobody knows who did it", async || changed(&surface).await).await;
    assert_eq!((act.actor.as_str(), act.done), ("admin", true));
    surface.stop().await;
}

#[tokio::test]
async fn a_change_that_takes_longer_than_its_answer_may_is_made_all_the_same() {
    let (surface, receiver, path) = stalled(|c| c.server.request_timeout_ms = 300).await;
    let client = begin(&surface, "PATCH", &path, r#"{"events": ["session.*"]}"#).await;
    assert_eq!(status(client).await, 503);
    receiver.mood(Mood::Takes);
    receiver
        .until("what it is owed", |taken| !taken.is_empty())
        .await;
    let act = until("nobody knows who did it", async || changed(&surface).await).await;
    assert!(act.done, "{act:?}");
    surface.stop().await;
}

/// The end of the gateway waits for what a caller began who is gone.
#[tokio::test]
async fn a_change_is_made_although_caller_and_gateway_end() {
    let (surface, _receiver, path) = stalled(|_| {}).await;
    let client = begin(&surface, "PATCH", &path, r#"{"enabled": false}"#).await;
    begun(&surface).await;
    drop(client);
    let store = Arc::clone(&surface.store);
    surface.stop().await;
    let log = store.audit(None, 10).await.unwrap();
    assert!(log.iter().any(|entry| entry.entry.act == "webhook_changed"));
}

/// How many messages were accepted.
async fn all(surface: &Surface) -> usize {
    let all = MessageQuery {
        limit: 100,
        ..MessageQuery::default()
    };
    let found = surface.store.messages(&id("default"), all).await;
    found.unwrap().len()
}

#[tokio::test]
async fn the_answer_to_an_accepted_message_comes_within_the_requests_own_time() {
    let surface = Surface::with(|config| {
        config.server.request_timeout_ms = 2_000;
        config.delivery.reply_wait_ms = 20_000;
    })
    .await;
    *surface.sessions.gate.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    // Half a second of it is left for the answer: more than it takes, and less
    // than a busy machine may leave everything standing.
    let still = Still::begin();
    for (path, body, expected) in [
        (
            MESSAGES,
            json!({"to": "4915123456789", "text": "hi", "wait": "server", "wait_ms": 50_000}),
            202,
        ),
        (
            "/api/sendText",
            json!({"chatId": "4915123456789@c.us", "text": "hi", "session": "default"}),
            201,
        ),
        (
            "/api/whatsapp/send-message",
            json!({"number": "4915123456789", "message": "hi"}),
            202,
        ),
    ] {
        let before = all(&surface).await;
        let body = body.to_string();
        let mut client = TcpStream::connect(surface.address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            surface.admin,
            body.len()
        );
        client.write_all(head.as_bytes()).await.unwrap();
        // So long its file takes.
        let upload = tokio::time::sleep(Duration::from_secs(1));
        still.passes(upload).await;
        client.write_all(body.as_bytes()).await.unwrap();
        let stored = async || all(&surface).await > before;
        still.until("it was not accepted", stored).await;
        let answer = still.passes(status(client)).await;
        assert_eq!(answer, expected, "{path}");
    }
    drop(still);
    surface.stop().await;
}

#[tokio::test]
async fn who_waits_for_an_ack_holds_no_place_of_large_requests() {
    let surface = Surface::with(|config| {
        config.server.max_body_bytes = 10_000;
        config.delivery.reply_wait_ms = 20_000;
    })
    .await;
    let gate = Arc::new(Semaphore::new(0));
    *surface.sessions.gate.lock().unwrap() = Some(gate.clone());
    let file = STANDARD.encode(vec![b'a'; 20_000]);
    let ours = json!({"to": "4915123456789", "type": "document", "media": {"base64": file},
        "wait": "server", "wait_ms": 20_000});
    let wahas = json!({"chatId": "4915123456789@c.us", "session": "default",
        "file": {"mimetype": "text/plain", "filename": "a.txt", "data": file}});
    let mut waiting = Vec::new();
    for n in 0..4 {
        let (path, body) = if n % 2 == 0 {
            (MESSAGES, &ours)
        } else {
            ("/api/sendFile", &wahas)
        };
        waiting.push(begin(&surface, "POST", path, &body.to_string()).await);
    }
    let stored = async || (all(&surface).await == 4).then_some(());
    until("they were not accepted", stored).await;
    let fifth = json!({"to": "4915123456789", "type": "document", "media": {"base64": file}});
    let fifth = surface.post(MESSAGES, &fifth).await;
    assert_eq!(fifth.status, 202, "{}", fifth.json());
    gate.add_permits(1);
    for client in waiting {
        assert!([201, 202].contains(&status(client).await));
    }
    surface.stop().await;
}

#[tokio::test]
async fn a_file_that_takes_longer_than_a_request_may_is_there_for_the_next() {
    let surface = Surface::with(|config| config.server.request_timeout_ms = 300).await;
    let gate = Arc::new(Semaphore::new(0));
    *surface.sessions.gate.lock().unwrap() = Some(gate.clone());
    let key = "false_4915123456789@c.us_AC09";
    let file = b"a long film".to_vec();
    let files = &surface.sessions.files;
    files.lock().unwrap().insert(key.to_owned(), file.clone());
    let path = format!("/v1/sessions/default/chats/4915123456789@c.us/messages/{key}/media");
    surface.get(&path).await.problem(503, "timeout");
    // A second one waits for the same fetch.
    surface.get(&path).await.problem(503, "timeout");
    gate.add_permits(1);
    let got = until("it never came", async || {
        let reply = surface.get(&path).await;
        (reply.status == 200).then_some(reply.bytes)
    })
    .await;
    assert_eq!(got.as_ref(), file.as_slice());
    assert_eq!(surface.sessions.downloads.load(Ordering::SeqCst), 1);
    surface.stop().await;
}

#[tokio::test]
async fn a_session_is_made_and_removed_whole_whoever_waits_for_it() {
    let scripted = Scripted::ready(|_| {}).await;
    let sessions = &scripted.app.sessions;
    let shop = id("shop");
    // Asked once, and then nobody waits any more.
    let asked = sessions.create(&shop, None).now_or_never();
    assert!(asked.is_none(), "it was made at once");
    until("it is half made", async || sessions.get(&shop).await.ok()).await;
    for name in [shop, id("default")] {
        let asked = sessions.delete(&name).now_or_never();
        assert!(asked.is_none(), "it was removed at once");
        let removed = async || {
            let found = sessions.get(&name).await;
            matches!(found, Err(SessionError::NotFound(_))).then_some(())
        };
        until("it is half removed", removed).await;
        let stored = async || {
            let stored = scripted.app.store.sessions().await.unwrap();
            stored.iter().all(|record| record.id != name).then_some(())
        };
        until("it is still on disk", stored).await;
    }
    scripted.stop().await;
}
