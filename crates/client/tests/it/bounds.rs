//! Deadlines, bounds, answers of strangers, and what is not printed.

use crate::server::{Server, Step, answer};
use crate::{TOKEN, client};
use std::time::Duration;
use steadfast_client::{Client, Error, Listing, Message, SessionState, Start, Transport, Wait};

#[tokio::test]
async fn an_answer_has_a_bound_and_a_deadline() {
    let long = answer("200 OK", "", &"x".repeat(5_000));
    let server = Server::start([Step::Answer(long)]).await;
    let small = client(&server).max_answer_bytes(4_000).build().unwrap();
    let error = small.sessions().await.unwrap_err();
    assert!(
        matches!(error, Error::Transport(Transport::TooLarge(4_000))),
        "{error}"
    );
    let server = Server::start([Step::Silence]).await;
    let hasty = client(&server).deadline(Duration::from_millis(300));
    let error = hasty.build().unwrap().sessions().await.unwrap_err();
    assert!(
        matches!(error, Error::Transport(Transport::Timeout(_))),
        "{error}"
    );
    // What the gateway is asked to wait comes on top, of the patience as of the
    // deadline. Where the machine stands still until both are over, either may be named.
    let waits = Message::text("4915123456789", "x").wait(Wait::Device, Duration::from_secs(1));
    let server = Server::start([Step::Silence]).await;
    let client = client(&server)
        .deadline(Duration::from_millis(300))
        .patience(Duration::ZERO);
    let sent = client
        .build()
        .unwrap()
        .send("default", &waits)
        .await
        .unwrap_err();
    let said = sent.to_string();
    assert!(
        ["1000", "1300"]
            .iter()
            .any(|ms| said.contains(&format!("no answer within {ms} ms"))),
        "{said}"
    );
}

#[tokio::test]
async fn an_answer_that_no_gateway_gives_is_told_apart() {
    let moved =
        "HTTP/1.1 302 Found\r\nlocation: http://elsewhere.example/\r\ncontent-length: 0\r\n\r\n";
    let page =
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 14\r\n\r\n<h1>hello</h1>";
    let server = Server::start([moved, page].map(|text| Step::Answer(text.to_owned()))).await;
    let client = client(&server).build().unwrap();
    for (status, excerpt) in [(302, ""), (200, "<h1>hello</h1>")] {
        match client.message("msg_1").await.unwrap_err() {
            Error::Foreign {
                status: found,
                excerpt: said,
                ..
            } => {
                assert_eq!((found, said.as_str()), (status, excerpt));
            }
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn what_a_newer_gateway_says_is_passed_over() {
    let session = r#"{"items":[{"name":"shop","state":"dreaming","ready":false,"reason":null,"detail":null,"since":"t","me":null,"outbox":{"accepted":1,"sending":0,"parked":0,"oldest_accepted_at":null},"recommendations":[],"brand_new":[1]}],"next":null}"#;
    let not_ready =
        r#"{"ready":false,"reasons":["messages cannot be stored"],"checks":{},"sessions":{}}"#;
    let server = Server::start([
        Step::Answer(answer("200 OK", "", session)),
        Step::Answer(answer("503 Service Unavailable", "", not_ready)),
        Step::Answer(answer("200 OK", "", r#"{"items":[],"next":null}"#)),
    ])
    .await;
    let client = client(&server).build().unwrap();
    let sessions = client.sessions().await.unwrap();
    assert_eq!(sessions[0].state, SessionState::Other);
    // A gateway that is not ready is an answer, and no error.
    assert!(!client.readiness().await.unwrap().ready);
    let newest = Listing::default().before("end").status("parked").limit(5);
    client.messages("a/b", &newest).await.unwrap();
    let asked = &server.requests()[2];
    let path = "GET /v1/sessions/a%2Fb/messages?before=end&status=parked&limit=5 ";
    assert!(asked.starts_with(path), "{asked}");
    assert!(
        asked.contains(&format!("authorization: Bearer {TOKEN}")),
        "{asked}"
    );
}

#[test]
fn secrets_texts_and_numbers_are_not_printed() {
    let builder = Client::builder("http://127.0.0.1:8080/below", TOKEN);
    let message = Message::text("4915123456789", "the kettle sings").key("order-4711");
    let batch = steadfast_client::Batch::new([message.clone()]).key("order-4711");
    let made = serde_json::json!({"id": "w", "url": "u", "events": [], "sessions": [],
        "state": "active", "reason": null, "created_at": "t", "secret": "whsec_hidden"});
    let made: steadfast_client::WebhookWithSecret = serde_json::from_value(made).unwrap();
    assert_eq!(made.secret.as_ref().unwrap().expose(), "whsec_hidden");
    let printed = format!(
        "{builder:?} {message:?} {batch:?} {made:?} {:?}",
        builder.clone().build()
    );
    for secret in [
        TOKEN,
        "4915123456789",
        "kettle",
        "order-4711",
        "whsec_hidden",
    ] {
        assert!(!printed.contains(secret), "{secret} is in {printed}");
    }
}

#[test]
fn what_cannot_work_is_said_at_once() {
    for url in [
        "127.0.0.1:8080",
        "ftp://a",
        "http://",
        "http://me:secret@a",
        "http://a/?x=1",
    ] {
        let refused = Client::new(url, TOKEN);
        assert!(
            matches!(refused, Err(Error::Invalid(_))),
            "{url}: {refused:?}"
        );
    }
    assert!(Client::new("https://[::1]:8443/below/", TOKEN).is_ok());
    assert!(Client::new("http://a", "with\nbreak").is_err());
    let no_roots = Client::builder("https://a", TOKEN).root_certificates("none in here");
    assert!(no_roots.build().is_err());
}

/// Programs give these to other tasks.
#[test]
fn what_is_asked_may_move_between_threads() {
    fn sendable<T: Send>(_: T) {}
    let client = Client::new("http://127.0.0.1:9", TOKEN).unwrap();
    let message = Message::text("49151", "x");
    sendable(client.send("default", &message));
    sendable(client.upload_file("/nonexistent"));
    sendable(client.check_numbers("default", &["49151"]));
    let mut events = client.events(Start::Oldest);
    sendable(events.next_page());
    sendable(events.into_stream());
}
