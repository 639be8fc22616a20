//! What is too large, too long, too deep, too slow, or a bug of ours.

use crate::client::{DEADLINE, call};
use crate::surface::Surface;
use hyper::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const MESSAGES: &str = "/v1/sessions/default/messages";

#[tokio::test]
async fn what_is_no_json_is_told_apart() {
    let surface = Surface::start().await;
    let token = surface.send.clone();
    let post = async |content_type: &str, body: &str| {
        let mut headers = vec![("x-api-key", token.as_str())];
        if !content_type.is_empty() {
            headers.push(("content-type", content_type));
        }
        let body = body.to_owned();
        call(surface.address, Method::POST, MESSAGES, &headers, body).await
    };
    let good = r#"{"to":"4915123456789","text":"x"}"#;
    let json = "application/json";
    assert_eq!(post(json, good).await.status, 202);
    post("", good).await.problem(415, "wrong_media_type");
    post("text/plain", good)
        .await
        .problem(415, "wrong_media_type");
    let latin = "application/json; charset=iso-8859-1";
    post(latin, good).await.problem(415, "wrong_media_type");
    for broken in [
        "",
        "{",
        "hello",
        "{\"to\":\"4915123456789\",\"text\":\"x\"",
        "\u{0}",
    ] {
        post(json, broken).await.problem(400, "invalid_json");
    }
    for unfit in [
        "[]",
        "3",
        "{}",
        r#"{"to":"4915123456789"}"#,
        r#"{"to":1,"text":"x"}"#,
        r#"{"to":"4915123456789","text":null}"#,
        r#"{"to":"4915123456789","text":"x","txet":"y"}"#,
    ] {
        post(json, unfit).await.problem(422, "invalid_field");
    }
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    post(json, &deep).await.problem(400, "json_too_deep");
    let headers = [("x-api-key", token.as_str()), ("content-type", json)];
    let not_utf8: Vec<u8> = b"{\"to\":\"4915123456789\",\"text\":\"\xff\"}".to_vec();
    let reply = call(surface.address, Method::POST, MESSAGES, &headers, not_utf8).await;
    assert!(matches!(reply.status, 400 | 422), "{}", reply.status);
    surface.stop().await;
}

#[tokio::test]
async fn bodies_urls_and_heads_are_bounded() {
    let surface = Surface::with(|config| config.server.max_body_bytes = 2_048).await;
    // A message may be longer by the file that it may have inside.
    let body = json!({"number": "4".repeat(4_096)});
    let problem = surface
        .post("/v1/sessions/default/check-number", &body)
        .await
        .problem(413, "body_too_large");
    assert_eq!(problem["max_bytes"], 2_048);
    // Without a declared length too.
    let mut stream = TcpStream::connect(surface.address).await.unwrap();
    let head = format!(
        "POST {MESSAGES} HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        surface.send
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("1000\r\n{}\r\n0\r\n\r\n", "x".repeat(4_096));
    stream.write_all(chunk.as_bytes()).await.unwrap();
    assert!(read_all(&mut stream).await.starts_with("HTTP/1.1 413"));

    let long = format!("/v1/sessions?x={}", "x".repeat(9_000));
    surface.get(&long).await.problem(414, "url_too_long");

    // Just over the bound, and far over it.
    for bytes in [40_000, 400_000] {
        let mut stream = TcpStream::connect(surface.address).await.unwrap();
        let filler = "x".repeat(bytes);
        let head =
            format!("GET /ping HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: {filler}\r\n\r\n");
        // The server may answer and close before it has read all of it.
        let _ = stream.write_all(head.as_bytes()).await;
        let answer = read_all(&mut stream).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{answer}"
        );
    }
    assert_eq!(surface.get("/ping").await.status, 200);
    surface.stop().await;
}

pub(crate) async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // The server closes, perhaps with a reset where it left input unread.
    let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut bytes))
        .await
        .expect("the server did not close");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn slow_clients_are_let_go() {
    let surface = Surface::with(|config| {
        config.server.header_timeout_ms = 300;
        config.server.body_timeout_ms = 300;
    })
    .await;
    // A head that never ends.
    let mut slow = TcpStream::connect(surface.address).await.unwrap();
    slow.write_all(b"GET /ping HTTP/1.1\r\nx-a").await.unwrap();
    // A connection on which nothing is ever said.
    let mut idle = TcpStream::connect(surface.address).await.unwrap();
    // A body that never ends.
    let mut body = TcpStream::connect(surface.address).await.unwrap();
    let head = format!(
        "POST {MESSAGES} HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\ncontent-type: application/json\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{{",
        surface.send
    );
    body.write_all(head.as_bytes()).await.unwrap();
    let answer = read_all(&mut body).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("body_timeout"), "{answer}");
    read_all(&mut slow).await;
    read_all(&mut idle).await;
    assert_eq!(surface.get("/ping").await.status, 200);
    surface.stop().await;
}

#[tokio::test]
async fn a_client_who_asks_and_never_reads_is_let_go() {
    let surface = Surface::with(|config| config.server.body_timeout_ms = 300).await;
    let mut stream = TcpStream::connect(surface.address).await.unwrap();
    let asks = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    let pushing = async {
        // The answers fill the socket's buffers, then the questions do.
        while stream.write_all(asks.as_bytes()).await.is_ok() {}
    };
    tokio::time::timeout(DEADLINE, pushing)
        .await
        .expect("the connection was never ended");
    surface.stop().await;
}

#[tokio::test]
async fn a_bug_ends_one_request_and_nothing_else() {
    let surface = Surface::start().await;
    surface
        .get("/v1/sessions/bug")
        .await
        .problem(500, "internal");
    assert_eq!(surface.get("/v1/sessions").await.status, 200);
    surface.stop().await;
}

#[tokio::test]
async fn only_so_many_connections_are_open_at_once() {
    let surface = Surface::with(|config| {
        config.server.max_connections = 2;
        config.server.header_timeout_ms = 1_000;
    })
    .await;
    // Both places are taken by clients who say nothing; the third is served
    // once one of them is let go.
    let _first = TcpStream::connect(surface.address).await.unwrap();
    let _second = TcpStream::connect(surface.address).await.unwrap();
    assert_eq!(surface.get("/ping").await.status, 200);
    surface.stop().await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let surface = Surface::start().await;
    let _idle = TcpStream::connect(surface.address).await.unwrap();
    let mut kept = TcpStream::connect(surface.address).await.unwrap();
    kept.write_all(b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 15];
    kept.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    surface.stop().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_stores_nothing() {
    let surface = Surface::start().await;
    let body = r#"{"to":"4915123456789","text":"whole"}"#;
    // Cut within the text, and where what came so far is whole JSON already.
    for sent in [&body[..30], body] {
        let mut stream = TcpStream::connect(surface.address).await.unwrap();
        let head = format!(
            "POST {MESSAGES} HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{sent}",
            surface.send
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = read_all(&mut stream).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{answer}"
        );
    }
    let list = surface.get(MESSAGES).await.json();
    assert_eq!(list["items"], json!([]));
    surface.stop().await;
}
