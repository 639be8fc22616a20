//! The log of events over HTTP: pulled, waited for, streamed.

use crate::client::{DEADLINE, Reply, call};
use crate::fake::{THEN, id};
use crate::surface::Surface;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use steadfast_core::event::{StateChange, Told};
use steadfast_core::ids::{ChatId, LoginGeneration, WaMessageId};
use steadfast_core::inbound::{Extras, InboundMessage};
use steadfast_core::port::{
    EventLog as _, Scope, SessionRecord, Store as _, TokenRecord, TrimEvents,
};
use steadfast_core::time::UnixMs;
use steadfast_gateway::clock::{Clock as _, SystemClock, SystemRandom};
use steadfast_gateway::token;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;

const SEND: &str = "/v1/sessions/default/messages";

async fn accept(surface: &Surface, n: u32) -> String {
    let body = json!({ "to": format!("49151000{n:05}"), "text": "hello" });
    let reply = surface.post(SEND, &body).await;
    assert_eq!(reply.status, 202);
    reply.json()["id"].as_str().unwrap().to_owned()
}

fn types(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item["type"].as_str().unwrap()).collect()
}

async fn tell(surface: &Surface) {
    let change = StateChange {
        from: "ready".to_owned(),
        to: "recovering".to_owned(),
        reason: Some("page_gone".to_owned()),
    };
    let told = Told::State(id("default"), change);
    surface.store.tell(told, THEN).await.unwrap();
}

#[tokio::test]
async fn what_happens_can_be_read_from_any_position() {
    let surface = Surface::start().await;
    let first = accept(&surface, 1).await;
    surface.delete(&format!("/v1/messages/{first}")).await;
    let chat = ChatId::parse("4915123456789").unwrap();
    let inbound = InboundMessage {
        wa_message_id: WaMessageId::mint([7; 9]),
        chat: chat.clone(),
        chat_also: None,
        sender: chat,
        from_me: false,
        kind: "chat".to_owned(),
        text: "hi".to_owned(),
        sent_at: THEN,
        recovered: false,
        extras: Extras::default(),
    };
    let session = id("default");
    let kept = surface.store.keep_inbound(&session, inbound, THEN).await;
    assert_eq!(kept, Ok(true));
    tell(&surface).await;
    let page = surface.get("/v1/events").await.json();
    assert_eq!(
        types(&page),
        [
            "session.created",
            "message.accepted",
            "message.cancelled",
            "message.received",
            "session.state"
        ]
    );
    let item = |n: usize| &page["items"][n];
    assert_eq!(item(1)["data"]["id"], first.as_str());
    assert_eq!(item(1)["data"]["status"], "accepted");
    assert_eq!(item(1)["session"], "default");
    assert!(item(1)["id"].as_str().unwrap().starts_with("evt_"));
    assert_eq!(item(3)["data"]["text"], "hi");
    assert_eq!(item(3)["data"]["from_me"], false);
    assert_eq!(item(4)["data"]["reason"], "page_gone");
    assert_eq!(
        (page["more"].clone(), page["gap"].clone()),
        (json!(false), json!(false))
    );
    let after = item(2)["seq"].as_i64().unwrap();
    let rest = surface
        .get(&format!("/v1/events?after={after}&limit=1"))
        .await
        .json();
    assert_eq!(types(&rest), ["message.received"]);
    assert_eq!(rest["more"], true);
    let path = format!("/v1/events?after={}", rest["next"].as_str().unwrap());
    let rest = surface.get(&path).await.json();
    assert_eq!(types(&rest), ["session.state"]);
    let filtered = surface
        .get("/v1/events?types=message.*,session.state&session=default")
        .await;
    assert_eq!(types(&filtered.json()).len(), 4);
    let nobody = surface.get("/v1/events?session=nobody").await.json();
    assert_eq!(types(&nobody), [""; 0]);
    assert_eq!(nobody["next"], page["next"]);
    for wrong in [
        "after=-1",
        "after=x",
        "types=message",
        "types=",
        "limit=0",
        "wait_ms=99999",
        "session=A",
    ] {
        let reply: Reply = surface.get(&format!("/v1/events?{wrong}")).await;
        reply.problem(400, "invalid_request");
    }
    surface.stop().await;
}

/// A token that is for one session sees that one's events, and no others.
#[tokio::test]
async fn a_token_for_one_session_sees_its_events_only() {
    let surface = Surface::start().await;
    let record = SessionRecord {
        id: id("other"),
        created_at: SystemClock.unix(),
        enabled: false,
        login: LoginGeneration::default(),
        parked: None,
    };
    surface.store.add_session(record).await.unwrap();
    accept(&surface, 1).await;
    let secret = token::mint(Scope::Read, &SystemRandom).unwrap();
    let hash = token::hash(&secret).unwrap();
    let record = TokenRecord {
        sessions: Some(vec![id("other")]),
        ..TokenRecord::new("for-other", hash, Scope::Read, THEN)
    };
    surface.store.add_token(record).await.unwrap();
    let headers = [("x-api-key", secret.as_str())];
    for (query, seen) in [
        ("", 1),
        ("?session=other", 1),
        ("?session=default", 0),
        ("?session=default,other", 1),
    ] {
        let path = format!("/v1/events{query}");
        let page = call(surface.address, Method::GET, &path, &headers, "")
            .await
            .json();
        let whose = page["items"].as_array().unwrap().iter();
        let whose: Vec<_> = whose
            .map(|item| item["session"].as_str().unwrap())
            .collect();
        assert_eq!(whose, vec!["other"; seen], "{query}: {page}");
    }
    surface.stop().await;
}

#[tokio::test]
async fn a_reader_can_wait_for_news() {
    let surface = Surface::start().await;
    let nothing = surface.get("/v1/events?after=end&wait_ms=50").await.json();
    assert_eq!(types(&nothing), [""; 0]);
    let path = format!(
        "/v1/events?after={}&wait_ms=20000",
        nothing["next"].as_str().unwrap()
    );
    let (page, _) = tokio::join!(surface.get(&path), accept(&surface, 1));
    assert_eq!(types(&page.json()), ["message.accepted"]);
    // What it does not ask for does not wake it for good.
    let end = page.json()["next"].as_str().unwrap().to_owned();
    let path = format!("/v1/events?after={end}&wait_ms=20000&types=session.state");
    let (page, ()) = tokio::join!(surface.get(&path), async {
        accept(&surface, 2).await;
        tell(&surface).await;
    });
    assert_eq!(types(&page.json()), ["session.state"]);
    surface.stop().await;
}

#[tokio::test]
async fn what_was_dropped_is_said() {
    let surface = Surface::start().await;
    for n in 0..5 {
        accept(&surface, n).await;
    }
    let trim = TrimEvents {
        before: UnixMs(0),
        keep: 2,
        keep_owed: 2,
        limit: 100,
        at: THEN,
    };
    surface.store.trim_events(trim).await.unwrap();
    let page = surface.get("/v1/events?after=1").await.json();
    assert_eq!((types(&page).len(), page["gap"].clone()), (2, json!(true)));
    let page = surface.get("/v1/events").await.json();
    assert_eq!((types(&page).len(), page["gap"].clone()), (2, json!(false)));
    surface.stop().await;
}

/// Also to a reader who would wait for news, which would begin behind it.
#[tokio::test]
async fn a_reader_that_waits_is_told_of_a_gap() {
    let surface = Surface::start().await;
    accept(&surface, 1).await;
    // As after a backup was put back: there never was such a position.
    let page = surface.get("/v1/events?after=900&wait_ms=300").await.json();
    assert_eq!((types(&page).len(), &page["gap"]), (0, &json!(true)));
    let next = page["next"].as_str().unwrap().to_owned();
    let path = format!("/v1/events?after={next}&wait_ms=20000");
    let (page, _) = tokio::join!(surface.get(&path), accept(&surface, 2));
    let page = page.json();
    assert_eq!((types(&page).len(), &page["gap"]), (1, &json!(false)));
    surface.stop().await;
}

/// A stream of server-sent events, read line by line.
struct Sse(BufReader<TcpStream>);

impl Sse {
    async fn open(surface: &Surface, path: &str, headers: &str) -> Self {
        let headers = format!("x-api-key: {}\r\n{headers}", surface.read);
        Self::open_as(surface, path, &headers).await
    }

    async fn open_as(surface: &Surface, path: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(surface.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut sse = Self(BufReader::new(stream));
        let head = sse.line().await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        while !sse.line().await.is_empty() {}
        sse
    }

    /// Whether there is a place for one more, which is given up at once.
    async fn is_open(surface: &Surface) -> bool {
        let mut stream = TcpStream::connect(surface.address).await.unwrap();
        let request = format!(
            "GET /v1/events/stream HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\n\r\n",
            surface.read
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = Self(BufReader::new(stream)).line().await;
        head.starts_with("HTTP/1.1 200")
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = tokio::time::timeout(DEADLINE, self.0.read_line(&mut line));
        read.await.expect("the stream is silent").unwrap();
        line.trim_end().to_owned()
    }

    /// The next lines that begin so; chunk sizes and heartbeats are passed over.
    async fn next(&mut self, field: &str) -> String {
        loop {
            let line = self.line().await;
            if let Some(value) = line.strip_prefix(field) {
                return value.trim().to_owned();
            }
        }
    }

    async fn event(&mut self) -> Value {
        let data = self.next("data:").await;
        serde_json::from_str(&data).unwrap()
    }
}

#[tokio::test]
async fn a_stream_tells_what_happens_and_goes_on_where_it_stopped() {
    let surface = Surface::with(|config| config.stream.heartbeat_ms = 100).await;
    accept(&surface, 1).await;
    let mut sse = Sse::open(&surface, "/v1/events/stream?types=message.*", "").await;
    // A sign of life, with the position.
    assert_eq!(sse.next(": alive").await, "");
    let first = accept(&surface, 2).await;
    let told = sse.event().await;
    assert_eq!(told["data"]["id"], first.as_str());
    drop(sse);
    let meanwhile = accept(&surface, 3).await;
    tell(&surface).await;
    let last = format!("last-event-id: {}\r\n", told["seq"]);
    let mut sse = Sse::open(&surface, "/v1/events/stream?types=message.*", &last).await;
    assert_eq!(sse.event().await["data"]["id"], meanwhile.as_str());
    drop(sse);
    surface.stop().await;
}

#[tokio::test]
async fn what_others_are_told_does_not_put_off_a_sign_of_life() {
    let surface = Surface::with(|config| config.stream.heartbeat_ms = 400).await;
    let mut sse = Sse::open(&surface, "/v1/events/stream?types=message.read", "").await;
    let busy = async {
        for n in 0..100 {
            accept(&surface, n).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        _ = sse.next(": alive") => {}
        () = busy => panic!("the stream was silent for 5 s"),
    }
    drop(sse);
    surface.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    // By request it ends at once, else with the next sign of life.
    for (heartbeat_ms, by_request) in [(600_000, true), (200, false)] {
        let surface = Surface::with(|config| config.stream.heartbeat_ms = heartbeat_ms).await;
        let mut sse = Sse::open(&surface, "/v1/events/stream", "").await;
        accept(&surface, 1).await;
        assert_eq!(sse.event().await["type"], "message.accepted");
        if by_request {
            assert_eq!(surface.delete("/v1/tokens/read").await.status, 204);
        } else {
            assert!(surface.store.remove_token("read").await.unwrap());
        }
        let end = async {
            // A chunk of no bytes, and then nothing.
            while sse.line().await != "0" {}
        };
        tokio::time::timeout(DEADLINE, end).await.unwrap();
        surface.stop().await;
    }
}

/// The token's time is up, or that of its old secret.
#[tokio::test]
async fn a_stream_ends_when_its_secret_does() {
    let surface = Surface::with(|config| config.stream.heartbeat_ms = 600_000).await;
    let wanted = json!({"name": "ear", "scope": "read", "expires_in": 3600});
    let made = surface.post("/v1/tokens", &wanted).await.json();
    let mut secret = made["token"].as_str().unwrap().to_owned();
    // Each end is set once the stream is open, or it might be over before.
    for ends in ["grace=1", "grace=3600&expires_in=1"] {
        let as_ear = format!("authorization: Bearer {secret}\r\n");
        let mut sse = Sse::open_as(&surface, "/v1/events/stream", &as_ear).await;
        let path = format!("/v1/tokens/ear/rotate?{ends}");
        let rotated = surface.post(&path, &Value::Null).await;
        assert_eq!(rotated.status, 200, "{}", rotated.json());
        while sse.line().await != "0" {}
        rotated.json()["token"]
            .as_str()
            .unwrap()
            .clone_into(&mut secret);
    }
    surface.stop().await;
}

/// A client that reads nothing while thousands of things happen loses nothing.
#[tokio::test]
async fn a_slow_reader_loses_nothing() {
    let surface = Surface::start().await;
    let mut sse = Sse::open(&surface, "/v1/events/stream?after=0", "").await;
    for _ in 0..5_000 {
        tell(&surface).await;
    }
    let mut seen = BTreeSet::new();
    while seen.len() < 5_001 {
        let told = sse.event().await;
        assert!(seen.insert(told["seq"].as_i64().unwrap()), "told twice");
    }
    assert_eq!(seen.last(), Some(&5_001));
    drop(sse);
    surface.stop().await;
}

#[tokio::test]
async fn a_websocket_tells_the_same() {
    let surface = Surface::start().await;
    accept(&surface, 1).await;
    let url = format!(
        "ws://{}/v1/events/ws?after=0&types=message.*",
        surface.address
    );
    let mut request = url.into_client_request().unwrap();
    let token = surface.read.parse().unwrap();
    request.headers_mut().insert("x-api-key", token);
    let stream = TcpStream::connect(surface.address).await.unwrap();
    let connected = tokio_tungstenite::client_async(request, stream).await;
    let (mut socket, _) = connected.unwrap();
    let second = accept(&surface, 2).await;
    let mut told: Vec<Value> = Vec::new();
    socket
        .send(Message::text("nobody reads this"))
        .await
        .unwrap();
    while told.len() < 2 {
        let next = tokio::time::timeout(DEADLINE, socket.next()).await.unwrap();
        if let Message::Text(text) = next.unwrap().unwrap() {
            told.push(serde_json::from_str(&text).unwrap());
        }
    }
    assert_eq!(told[1]["data"]["id"], second.as_str());
    // The end of the gateway is said.
    surface.stop().await;
    let bye = tokio::time::timeout(DEADLINE, socket.next()).await.unwrap();
    assert!(matches!(bye, Some(Ok(Message::Close(_)))), "{bye:?}");
}

#[tokio::test]
async fn streams_are_counted_and_need_a_token() {
    let surface = Surface::with(|config| config.stream.max_streams = 1).await;
    let bare = call(surface.address, Method::GET, "/v1/events/stream", &[], "").await;
    bare.problem(401, "token_missing");
    let plain = surface.get("/v1/events/ws").await;
    plain.problem(400, "invalid_request");
    let sse = Sse::open(&surface, "/v1/events/stream", "").await;
    let second = surface.get("/v1/events/stream").await;
    second.problem(503, "too_many_streams");
    drop(sse);
    // The place is free once the gateway has noticed.
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !Sse::is_open(&surface).await {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    surface.stop().await;
}
