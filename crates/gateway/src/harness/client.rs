//! A small HTTP client for the gateway under test: loopback, one connection
//! per request, every request with a deadline.

use super::HarnessError;
use crate::client::{Answer, Question, ask};
use serde_json::Value;
use std::io;
use std::time::Duration;

/// Where the gateway is, and a token for it.
#[derive(Debug, Clone)]
pub struct Client {
    authority: String,
    token: String,
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

    /// The address of the dashboard.
    pub fn page(&self) -> String {
        format!("http://{}/", self.authority)
    }

    /// The token that it asks with.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Asks. An error is one of the connection: the gateway may be down.
    async fn ask(&self, question: Question<'_>, deadline: Duration) -> io::Result<Answer> {
        let asked = ask(&self.authority, &self.token, question);
        tokio::time::timeout(deadline, asked)
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))
    }

    /// Posts under an idempotency key, so that it may be asked again.
    pub async fn post_once(
        &self,
        path: &str,
        body: &Value,
        key: &str,
        deadline: Duration,
    ) -> io::Result<Answer> {
        let question = Question {
            method: "POST",
            path,
            body: Some(body),
            key: Some(key),
        };
        self.ask(question, deadline).await
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
        let question = Question {
            method,
            path,
            body,
            key: None,
        };
        let answer = self
            .ask(question, Duration::from_secs(30))
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
}
