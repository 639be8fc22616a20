//! Many at once: guesses, idle connections, messages for which there is no room.

use crate::client::{DEADLINE, call};
use crate::fake::{THEN, id};
use crate::surface::Surface;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use steadfast_core::port::Store as _;
use steadfast_store::{Options, SqliteStore};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

#[tokio::test]
async fn ten_thousand_guesses_shut_nobody_out() {
    const GUESSES: u32 = 10_000;
    let surface = Surface::start().await;
    let stream = TcpStream::connect(surface.address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let guessing = async {
        let (mut refused, mut slowed) = (0, 0);
        for n in 0..GUESSES {
            let request = Request::builder()
                .uri("/v1/sessions")
                .header("host", "x")
                .header("authorization", format!("Bearer sf_a_{n:043}"))
                .body(Empty::<Bytes>::new())
                .unwrap();
            let response = sender.send_request(request).await.unwrap();
            match response.status().as_u16() {
                401 => refused += 1,
                429 => slowed += 1,
                other => panic!("guess {n} was answered {other}"),
            }
            // The answer is read, or the connection takes no more.
            response.into_body().collect().await.unwrap();
            if n.is_multiple_of(1_000) {
                let owner = surface.get("/v1/sessions").await;
                assert_eq!(owner.status, 200, "the owner, beside guess {n}");
            }
        }
        drop(sender);
        (refused, slowed)
    };
    let ((refused, slowed), _) = tokio::join!(guessing, connection);
    assert_eq!(refused + slowed, GUESSES);
    assert!(slowed > GUESSES / 2, "only {slowed} were slowed");
    let counted = surface.app.metrics.auth_failures.get(["unknown"]);
    assert_eq!(counted, u64::from(GUESSES));
    assert_eq!(surface.get("/v1/sessions").await.status, 200);
    surface.stop().await;
}

/// As many files as this process may have: both ends of each connection are ours.
fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[tokio::test]
async fn ten_thousand_idle_connections_leave_room_for_a_busy_one() {
    let files = raise_file_limit();
    // Some files are the test's and the runtime's own.
    let count = 10_000_u64.min(files.saturating_sub(300) / 2);
    assert!(count >= 1_000, "a limit of {files} files is too small");
    let surface = Surface::with(|config| {
        config.server.max_connections = 10_100;
        config.server.header_timeout_ms = 120_000;
    })
    .await;
    let mut idle = Vec::new();
    for n in 0..count {
        let mut stream = TcpStream::connect(surface.address).await.unwrap();
        // Every second one has begun to speak, and says no more.
        if n.is_multiple_of(2) {
            stream
                .write_all(b"GET /ping HTTP/1.1\r\nx-a: b\r\n")
                .await
                .unwrap();
        }
        idle.push(stream);
    }
    let until = Instant::now() + DEADLINE;
    while surface.app.metrics.http_connections.get([]) < count {
        assert!(Instant::now() < until, "not all were taken");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let began = Instant::now();
    assert_eq!(surface.get("/v1/sessions").await.status, 200);
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(5),
        "{took:?} beside {count} idle ones"
    );
    // They do not hold up the end either.
    surface.stop().await;
    drop(idle);
}

#[tokio::test]
async fn a_full_disk_says_so_and_takes_messages_again_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steadfast.db");
    let small = Options {
        max_bytes: Some(1_000_000),
        ..Options::default()
    };
    let store = Arc::new(SqliteStore::open(&path, small).unwrap());
    let surface = Surface::over(store.clone(), |_| {}).await;
    let body = json!({"name": "filler"});
    assert_eq!(surface.post("/v1/sessions", &body).await.status, 201);
    let large = json!({"to": "4915123456789", "text": "x".repeat(20_000)});
    let mut taken = 0;
    let full = loop {
        let reply = surface.post("/v1/sessions/filler/messages", &large).await;
        match reply.status {
            202 => taken += 1,
            _ => break reply,
        }
        assert!(taken < 1_000, "this disk never fills up");
    };
    let problem = full.problem(507, "storage_full");
    assert_eq!(problem["retryable"], true);
    assert!(!full.header("retry-after").is_empty());
    assert!(taken > 5, "{taken}");
    // What was taken is there, and what is read is answered.
    let page = surface.get("/v1/sessions/filler/messages?limit=200").await;
    assert_eq!(page.json()["items"].as_array().unwrap().len(), taken);

    // A file of which the database cannot take note leaves nothing behind that
    // takes up room.
    let files = || {
        std::fs::read_dir(surface.folder.path().join("media"))
            .unwrap()
            .count()
    };
    let mut kept = 0;
    let full = loop {
        let headers = [("x-api-key", surface.send.as_str())];
        let file = format!("file {kept}");
        let reply = call(surface.address, Method::POST, "/v1/media", &headers, file).await;
        match reply.status {
            201 => kept += 1,
            _ => break reply,
        }
        assert!(kept < 10_000, "this disk never fills up");
    };
    full.problem(507, "storage_full");
    assert_eq!(files(), kept);

    store.remove_session(&id("filler"), THEN).await.unwrap();
    let small = json!({"to": "4915123456789", "text": "there is room"});
    let until = Instant::now() + DEADLINE;
    loop {
        let reply = surface.post("/v1/sessions/default/messages", &small).await;
        if reply.status == 202 {
            break;
        }
        reply.problem(507, "storage_full");
        assert!(Instant::now() < until, "it never took messages again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    surface.stop().await;
    store.close().await;
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_harms_nobody() {
    let surface = Surface::start().await;
    for (head, status) in [
        (
            format!(
                "GET /ping HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
                "x".repeat(400_000)
            ),
            431,
        ),
        (
            "GET /ping HTTP/1.1\r\nhost: x\r\nno colon\r\n\r\n".to_owned(),
            400,
        ),
        ("\u{0}\u{1}\u{2}\r\n\r\n".to_owned(), 400),
    ] {
        let mut stream = TcpStream::connect(surface.address).await.unwrap();
        let _ = stream.write_all(head.as_bytes()).await;
        let answer = crate::http_bounds::read_all(&mut stream).await;
        // A reset may overtake the answer where input was left unread.
        assert!(
            answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
    let reply = call(surface.address, Method::GET, "/ping", &[], "").await;
    assert_eq!(reply.status, 200);
    surface.stop().await;
}
