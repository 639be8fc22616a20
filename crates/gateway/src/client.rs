//! A small HTTP client for a gateway: plain HTTP, one connection per request.
//! Deadlines are the caller's.

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io;
use tokio::net::TcpStream;

/// Most bytes of an answer that are read.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// `GET`, `POST`, ...
    pub(crate) method: &'static str,
    /// With its query.
    pub(crate) path: &'a str,
    /// JSON.
    pub(crate) body: Option<&'a Value>,
    /// The idempotency key that makes it safe to repeat.
    pub(crate) key: Option<&'a str>,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; a text where it is no JSON.
    pub body: Value,
}

/// Asks the gateway at `authority` (`127.0.0.1:8080`). An error is one of
/// the connection: the gateway may be down.
pub(crate) async fn ask(
    authority: &str,
    token: &str,
    question: Question<'_>,
) -> io::Result<Answer> {
    let stream = TcpStream::connect(authority).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let mut request = hyper::Request::builder()
        .method(question.method)
        .uri(question.path)
        .header(HOST, authority)
        .header(AUTHORIZATION, format!("Bearer {token}"));
    if question.body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    if let Some(key) = question.key {
        request = request.header("idempotency-key", key);
    }
    let body = question.body.map(Value::to_string).unwrap_or_default();
    let request = request
        .body(Full::new(Bytes::from(body)))
        .map_err(io::Error::other)?;
    let talk = async move {
        let response = sender
            .send_request(request)
            .await
            .map_err(io::Error::other)?;
        let status = response.status().as_u16();
        let bytes = Limited::new(response.into_body(), MAX_ANSWER_BYTES)
            .collect()
            .await
            .map_err(io::Error::other)?
            .to_bytes();
        // With the sender gone the connection ends.
        drop(sender);
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes).into_owned()));
        Ok(Answer { status, body })
    };
    let (answer, _) = tokio::join!(talk, connection);
    answer
}
