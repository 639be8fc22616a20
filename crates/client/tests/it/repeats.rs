//! What is tried again, how, and what is said where it ends badly.

use crate::server::{Server, Step, answer, problem};
use crate::{ACCEPTED, client};
use std::time::{Duration, Instant};
use steadfast_client::{Batch, Error, Message, Start, Transport};

fn key_of(request: &str) -> &str {
    let mut lines = request.lines();
    lines
        .find_map(|line| line.strip_prefix("idempotency-key: "))
        .unwrap()
}

fn body_of(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn an_accept_is_repeated_under_its_key_until_it_is_taken() {
    let server = Server::start([
        Step::HangUp,
        Step::Answer(problem(
            "503 Service Unavailable",
            "storage_unknown",
            true,
            Some(1),
        )),
        Step::Answer("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\nnope".to_owned()),
        Step::Answer(answer(
            "202 Accepted",
            "idempotency-replayed: true\r\n",
            ACCEPTED,
        )),
    ])
    .await;
    let client = client(&server).build().unwrap();
    let began = Instant::now();
    let message = Message::text("4915123456789", "hello");
    let accepted = client.send("default", &message).await.unwrap();
    assert_eq!((accepted.id.as_str(), accepted.replayed), ("msg_1", true));
    assert!(!accepted.reached);
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "Retry-After was not heeded"
    );
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    let key = message.idempotency_key().unwrap();
    for request in &requests {
        assert_eq!(
            (key_of(request), body_of(request)),
            (key, body_of(&requests[0]))
        );
    }
    // Another message is another one; a clone is the same.
    assert_eq!(message.clone(), message);
    let other = Message::text("4915123456789", "hello");
    assert_ne!(other.idempotency_key().unwrap(), key);
}

#[tokio::test]
async fn what_is_refused_is_not_repeated() {
    let refused = problem("422 Unprocessable Entity", "invalid_recipient", false, None);
    let server = Server::start([Step::Answer(refused), Step::HangUp]).await;
    let client = client(&server).build().unwrap();
    let error = client
        .send("default", &Message::text("12", "hello").key("order-1"))
        .await
        .unwrap_err();
    let Error::Problem(problem) = &error else {
        panic!("{error}");
    };
    assert_eq!(
        (problem.code.as_str(), problem.status),
        ("invalid_recipient", 422)
    );
    assert_eq!(
        (problem.detail.as_str(), problem.members["field"].as_str()),
        ("d", Some("to"))
    );
    assert!(!error.is_retryable() && !error.may_be_accepted());
    assert_eq!(server.requests().len(), 1);
    assert_eq!(key_of(&server.requests()[0]), "order-1");
}

#[tokio::test]
async fn who_gives_up_says_whether_it_may_be_accepted() {
    // The disk is full for longer than anybody waits: surely not, and at once.
    let full = problem("507 Insufficient Storage", "storage_full", true, Some(30));
    let server = Server::start([Step::Answer(full)]).await;
    let client_of = |server, seconds| {
        let patience = Duration::from_secs(seconds);
        client(server).patience(patience).build().unwrap()
    };
    let batch = Batch::new([Message::text("4915123456789", "hello")]);
    let began = Instant::now();
    let error = client_of(&server, 20)
        .send_batch("default", &batch)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::GaveUp {
                tries: 1,
                may_be_accepted: false,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(error.code(), Some("storage_full"));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    assert!(began.elapsed() < Duration::from_secs(10));

    // Read once, and then the gateway is away: perhaps, however the last try ended.
    let message = Message::text("4915123456789", "hello");
    let server = Server::start([Step::HangUp]).await;
    let error = client_of(&server, 4)
        .send("default", &message)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::GaveUp {
                tries: 2..,
                may_be_accepted: true,
                ..
            }
        ),
        "{error:?}"
    );
    let refused = problem("401 Unauthorized", "token_unknown", false, None);
    let server = Server::start([Step::HangUp, Step::Answer(refused)]).await;
    let error = client_of(&server, 20)
        .send("default", &message)
        .await
        .unwrap_err();
    assert!(
        error.may_be_accepted() && error.code() == Some("token_unknown"),
        "{error:?}"
    );

    // Never read: surely not. The port is ours, and nobody listens on it.
    let deaf = tokio::net::TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", deaf.local_addr().unwrap());
    let client = steadfast_client::Client::builder(url, crate::TOKEN);
    let client = client.patience(Duration::from_secs(4)).build().unwrap();
    let error = client.send("default", &message).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::GaveUp {
                tries: 2..,
                may_be_accepted: false,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_upload_is_repeated_from_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    std::fs::write(&path, "what is in the file").unwrap();
    let kept = r#"{"id":"x","mime":"text/plain","size":19,"sha256":"x"}"#;
    let server = Server::start([
        Step::HangUp,
        Step::Answer(answer("201 Created", "", kept)),
        Step::Answer(answer("201 Created", "", kept)),
    ])
    .await;
    let client = client(&server).build().unwrap();
    assert_eq!(client.upload_file(&path).await.unwrap().size, 19);
    client.upload("what is in the file").await.unwrap();
    for request in server.requests() {
        assert_eq!(body_of(&request), "what is in the file");
    }
    let missing = client.upload_file(folder.path().join("b.txt")).await;
    assert!(matches!(missing, Err(Error::File(_))), "{missing:?}");
}

#[tokio::test]
async fn events_go_on_from_where_they_stood() {
    let event = |seq: i64| {
        format!(
            r#"{{"id":"evt_{seq}","seq":{seq},"type":"message.sent","session":"default","timestamp":"t","data":{{}}}}"#
        )
    };
    let page = |items: &str, next: u32| {
        let page = format!(r#"{{"items":[{items}],"next":"{next}","more":false,"gap":false}}"#);
        Step::Answer(answer("200 OK", "", &page))
    };
    let server = Server::start([
        page("", 40),
        Step::HangUp,
        page("", 44),
        page(&event(45), 45),
        page(&event(46), 46),
    ])
    .await;
    let client = client(&server).build().unwrap();
    let mut events = client
        .events(Start::Now)
        .types(["message.*"])
        .sessions(["default"]);
    let first = events.next_page().await.unwrap();
    assert_eq!((first.items[0].seq, first.next.as_str()), (45, "45"));
    assert_eq!(
        events.next_page().await.unwrap().items[0].kind,
        "message.sent"
    );
    let asked: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.split(' ').nth(1).unwrap().to_owned())
        .collect();
    let filter = "types=message.%2A&session=default";
    // Where "now" is is found out before anything is waited for.
    assert_eq!(
        asked[0],
        format!("/v1/events?limit=200&wait_ms=0&after=end&{filter}")
    );
    for (asked, after) in asked[1..].iter().zip([40, 40, 44, 45]) {
        assert_eq!(
            *asked,
            format!("/v1/events?limit=200&wait_ms=25000&after={after}&{filter}")
        );
    }
}

#[tokio::test]
async fn a_kept_connection_is_used_again_and_a_dead_one_replaced() {
    let alive = answer(
        "200 OK",
        "",
        r#"{"status":"ok","version":"1","uptime_seconds":1.5}"#,
    );
    let server = Server::start([
        Step::Answer(alive.clone()),
        Step::Last(alive.clone()),
        Step::Answer(alive),
        Step::HangUp,
        Step::HangUp,
    ])
    .await;
    let client = client(&server).build().unwrap();
    client.alive().await.unwrap();
    client.alive().await.unwrap();
    assert_eq!(server.connections(), 1);
    client.alive().await.unwrap();
    assert_eq!(server.connections(), 2);
    // What is not safe to repeat goes over a fresh one, once.
    let unknown = client
        .add_webhook(&steadfast_client::NewWebhook::default())
        .await;
    let broken = matches!(&unknown, Err(Error::Transport(Transport::Broken(_))));
    assert!(broken && unknown.unwrap_err().may_be_accepted());
    assert_eq!((server.connections(), server.requests().len()), (3, 4));
}
