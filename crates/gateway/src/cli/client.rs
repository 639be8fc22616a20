//! How commands speak with the gateway of their data folder: plain HTTP on
//! this machine, with the credential that the gateway left in the folder.

use super::Context;
use super::exit::Exit;
use super::out::CliError;
use crate::data_dir::{DataDir, RunningGateway};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// Most bytes of an answer that are read.
const MAX_ANSWER_BYTES: usize = 16 * 1_024 * 1_024;
/// How long an answer may take. The gateway's own limit comes first.
const DEADLINE: Duration = Duration::from_secs(70);

/// A gateway that answers.
#[derive(Debug, Clone)]
pub(super) struct Client {
    address: SocketAddr,
    running: RunningGateway,
}

/// What it answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// The body; null where it is no JSON.
    pub(super) body: Value,
}

impl Client {
    /// The gateway that runs on the data folder; `None` where none does.
    ///
    /// # Errors
    /// Where the folder cannot be used.
    pub(super) async fn find(context: &Context) -> Result<Option<Self>, CliError> {
        let path = context.data_dir()?;
        let announced = match DataDir::open(&path) {
            Ok(dir) => dir.announced(),
            Err(crate::data_dir::DataDirError::Missing(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let Some(running) = announced else {
            return Ok(None);
        };
        let Ok(client) = Self::to(running) else {
            return Ok(None);
        };
        // The announcement outlives a gateway that was killed. Its credential
        // is worth nothing then, whoever has the port now.
        match client.get("/v1/sessions").await {
            Ok(answer) if answer.status != 401 => Ok(Some(client)),
            Ok(_) | Err(_) => Ok(None),
        }
    }

    /// As [`find`](Self::find), but it must be there.
    ///
    /// # Errors
    /// `NoGateway` where it is not.
    pub(super) async fn must_find(context: &Context) -> Result<Self, CliError> {
        let found = Self::find(context).await?;
        match found {
            Some(client) => Ok(client),
            None => Err(CliError::new(
                Exit::NoGateway,
                format!("no gateway runs on {}", context.data_dir()?.display()),
                "start it with `steadfast serve`, or name its data folder with --data-dir DIR",
            )),
        }
    }

    /// A gateway that is known to run.
    ///
    /// # Errors
    /// Where its address is none.
    pub(super) fn to(running: RunningGateway) -> Result<Self, CliError> {
        let address = running
            .url
            .strip_prefix("http://")
            .and_then(|rest| rest.parse().ok())
            .ok_or_else(|| {
                let message = format!("{:?} is no address of a gateway", running.url);
                CliError::new(Exit::NoGateway, message, "restart the gateway")
            })?;
        Ok(Self { address, running })
    }

    /// Where it listens.
    pub(super) fn url(&self) -> &str {
        &self.running.url
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.running.pid
    }

    /// Asks.
    ///
    /// # Errors
    /// `NoGateway` where it does not answer.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, CliError> {
        self.call(Method::GET, path, None, None).await
    }

    /// Tells.
    ///
    /// # Errors
    /// `NoGateway` where it does not answer.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Answer, CliError> {
        self.call(Method::POST, path, Some(body), None).await
    }

    /// Tells, under a key that makes it safe to repeat.
    ///
    /// # Errors
    /// `NoGateway` where it does not answer.
    pub(super) async fn post_once(
        &self,
        path: &str,
        body: &Value,
        key: &str,
    ) -> Result<Answer, CliError> {
        self.call(Method::POST, path, Some(body), Some(key)).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Answer, CliError> {
        let lost = |what: String| {
            CliError::new(
                Exit::NoGateway,
                format!(
                    "the gateway at {} does not answer: {what}",
                    self.running.url
                ),
                "see whether it runs (steadfast status) and what its log says",
            )
        };
        let exchange = async {
            let stream = TcpStream::connect(self.address)
                .await
                .map_err(|e| e.to_string())?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|e| e.to_string())?;
            let mut request = Request::builder()
                .method(method)
                .uri(path)
                .header(HOST, self.address.to_string())
                .header(AUTHORIZATION, format!("Bearer {}", self.running.token));
            if body.is_some() {
                request = request.header(CONTENT_TYPE, "application/json");
            }
            if let Some(key) = key {
                let name = HeaderName::from_static("idempotency-key");
                request = request.header(name, key);
            }
            let bytes = body.map(Value::to_string).unwrap_or_default();
            let request = request
                .body(Full::new(Bytes::from(bytes)))
                .map_err(|e| e.to_string())?;
            let talk = async {
                let response = sender
                    .send_request(request)
                    .await
                    .map_err(|e| e.to_string())?;
                let status = response.status().as_u16();
                let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
                let bytes = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
                // With the sender gone the connection ends.
                drop(sender);
                Ok::<_, String>(Answer {
                    status,
                    body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
                })
            };
            let (answer, _) = tokio::join!(talk, connection);
            answer
        };
        match tokio::time::timeout(DEADLINE, exchange).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(what)) => Err(lost(what)),
            Err(_) => Err(lost(format!("nothing within {} s", DEADLINE.as_secs()))),
        }
    }
}

impl Answer {
    /// The body, where the gateway did what it was asked.
    ///
    /// # Errors
    /// `Refused` with the problem's own words where it did not.
    pub(super) fn done(self) -> Result<Value, CliError> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        let text = |key: &str| self.body[key].as_str().unwrap_or_default().to_owned();
        let code = text("code");
        let message = match (text("detail").as_str(), code.as_str()) {
            ("", _) => format!("the gateway answered {}", self.status),
            (detail, code) => format!("{detail} ({code})"),
        };
        let remedy = crate::http::problem::Code::ALL
            .iter()
            .find(|known| known.as_str() == code)
            .map(|known| known.remedy())
            .unwrap_or_default();
        Err(CliError::new(Exit::Refused, message, remedy))
    }
}
