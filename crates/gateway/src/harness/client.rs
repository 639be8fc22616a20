//! A small HTTP client for the gateway under test: loopback, one connection
//! per request, every request with a deadline.

use super::HarnessError;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// The longest answer that is read.
const LONGEST: usize = 16 << 20;

/// Where the gateway is, and a token for it.
#[derive(Debug, Clone)]
pub struct Client {
    authority: String,
    token: String,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body; a string where it is no JSON.
    pub body: Value,
}

impl Client {
    /// A client for this base address (`http://127.0.0.1:8080`).
    pub fn new(base: &str, token: &str) -> Self {
        Self {
            authority: base
                .trim_start_matches("http://")
                .trim_end_matches('/')
                .to_owned(),
            token: token.to_owned(),
        }
    }

    /// Asks. An error is one of the connection: the gateway may be down.
    pub async fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
        deadline: Duration,
    ) -> io::Result<Answer> {
        tokio::time::timeout(deadline, self.exchange(method, path, body, None))
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))
    }

    /// Posts under an idempotency key, so that it may be asked again.
    pub async fn ask_with_key(
        &self,
        path: &str,
        body: &Value,
        key: &str,
        deadline: Duration,
    ) -> io::Result<Answer> {
        tokio::time::timeout(deadline, self.exchange("POST", path, Some(body), Some(key)))
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))
    }

    /// Asks, and takes a success's body.
    pub async fn get(&self, path: &str) -> Result<Value, HarnessError> {
        self.succeed("GET", path, None).await
    }

    /// Asks for something to be done, and takes a success's body.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, HarnessError> {
        self.succeed("POST", path, Some(body)).await
    }

    async fn succeed(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, HarnessError> {
        let answer = self
            .ask(method, path, body, Duration::from_secs(30))
            .await
            .map_err(HarnessError::io("asking the gateway"))?;
        if (200..300).contains(&answer.status) {
            return Ok(answer.body);
        }
        Err(HarnessError::Answer {
            method,
            path: path.to_owned(),
            status: answer.status,
            body: answer.body.to_string().chars().take(300).collect(),
        })
    }

    async fn exchange(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> io::Result<Answer> {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header(CONTENT_TYPE, "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(io::Error::other)?;
        let answer = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(io::Error::other)?;
            let status = response.status().as_u16();
            let bytes = Limited::new(response.into_body(), LONGEST)
                .collect()
                .await
                .map_err(io::Error::other)?
                .to_bytes();
            let body = serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes).into_owned()));
            Ok(Answer { status, body })
        };
        // The connection is driven here, and ends with the exchange.
        tokio::pin!(connection);
        tokio::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            ended = &mut connection => match ended {
                Ok(()) => answer.await,
                Err(error) => Err(io::Error::other(error)),
            },
        }
    }
}
