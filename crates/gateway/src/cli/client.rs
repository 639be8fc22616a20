//! How commands speak with the gateway of their data folder: plain HTTP on
//! this machine, with the credential that the gateway left in the folder.

use super::Context;
use super::exit::Exit;
use super::out::CliError;
use crate::client::{Answer, Question, ask};
use crate::data_dir::{DataDir, RunningGateway};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

/// How long an answer may take. The gateway's own limit comes first.
const DEADLINE: Duration = Duration::from_secs(70);

/// A gateway that answers.
#[derive(Debug, Clone)]
pub(super) struct Client {
    address: SocketAddr,
    running: RunningGateway,
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
        self.call(Question {
            method: "GET",
            path,
            body: None,
            key: None,
        })
        .await
    }

    /// Tells.
    ///
    /// # Errors
    /// `NoGateway` where it does not answer.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Answer, CliError> {
        self.call(Question {
            method: "POST",
            path,
            body: Some(body),
            key: None,
        })
        .await
    }

    /// Removes.
    ///
    /// # Errors
    /// `NoGateway` where it does not answer.
    pub(super) async fn delete(&self, path: &str) -> Result<Answer, CliError> {
        self.call(Question {
            method: "DELETE",
            path,
            body: None,
            key: None,
        })
        .await
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
        self.call(Question {
            method: "POST",
            path,
            body: Some(body),
            key: Some(key),
        })
        .await
    }

    async fn call(&self, question: Question<'_>) -> Result<Answer, CliError> {
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
        let authority = self.address.to_string();
        let asked = ask(&authority, &self.running.token, question);
        match tokio::time::timeout(DEADLINE, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(lost(error.to_string())),
            Err(_) => Err(lost(format!("nothing within {} s", DEADLINE.as_secs()))),
        }
    }
}

/// Reads an answer as a command does.
pub(super) trait Done {
    /// The body, where the gateway did what it was asked.
    ///
    /// # Errors
    /// `Refused` with the problem's own words where it did not.
    fn done(self) -> Result<Value, CliError>;
}

impl Done for Answer {
    fn done(self) -> Result<Value, CliError> {
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
