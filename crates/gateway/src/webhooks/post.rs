//! One request to an endpoint, and what is read in the answer.

use super::envelope::Packed;
use super::schedule::{Ended, retry_after_ms};
use crate::clock::Clock;
use crate::outgoing::{self, Outgoing, Reply};
use async_trait::async_trait;
use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use std::time::Duration;
use steadfast_core::port::WebhookRecord;
use steadfast_core::time::UnixMs;

/// The way to endpoints; a test puts its own in.
#[async_trait]
pub trait Post: Send + Sync {
    /// Says what no request could change: that it is no URL, or leads where it must not.
    ///
    /// # Errors
    /// As [`Outgoing::vet`].
    async fn vet(&self, url: &str) -> Result<(), outgoing::Error>;

    /// Posts, and gives the answer whatever its status, within the deadline.
    ///
    /// # Errors
    /// Where no answer came.
    async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Reply, outgoing::Error>;
}

#[async_trait]
impl Post for Outgoing {
    async fn vet(&self, url: &str) -> Result<(), outgoing::Error> {
        Outgoing::vet(self, url).await.map(|_| ())
    }

    async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Reply, outgoing::Error> {
        Outgoing::post(self, url, headers, body, deadline).await
    }
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// For the schedule.
    pub ended: Ended,
    /// The status, where an answer came.
    pub status: Option<u16>,
    /// One sentence for a person; nothing where it was taken.
    pub detail: Option<String>,
    /// When it began.
    pub at: UnixMs,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl Answer {
    /// Whether the endpoint has taken it: only 2xx says so.
    pub fn is_taken(&self) -> bool {
        matches!(self.status, Some(200..=299))
    }

    /// The stable name under which the attempt is kept.
    pub fn outcome(&self) -> &'static str {
        match self.ended {
            Ended::Answered { .. } if self.is_taken() => "delivered",
            Ended::Answered { status: 410, .. } => "gone",
            Ended::Answered { .. } | Ended::Failed => "failed",
            Ended::Refused => "refused",
        }
    }
}

/// Sends one packed event, with the headers that the endpoint's owner added.
pub(super) async fn send(
    post: &dyn Post,
    clock: &dyn Clock,
    endpoint: &WebhookRecord,
    packed: Packed,
    deadline: Duration,
) -> Answer {
    let mut headers = packed.headers;
    for (name, value) in &endpoint.headers {
        // Checked when the endpoint was made: what does not fit is left out.
        if let (Ok(name), Ok(mut value)) = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::try_from(value.0.as_str()),
        ) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    let (at, began) = (clock.unix(), clock.mono());
    let reply = post
        .post(&endpoint.url, headers, packed.body, deadline)
        .await;
    let took_ms = clock.mono().since(began);
    match reply {
        Ok(reply) => {
            let asked = reply.retry_after.as_deref();
            let ended = Ended::Answered {
                status: reply.status,
                retry_after_ms: asked.and_then(|text| retry_after_ms(text, clock.unix())),
            };
            let detail = (!matches!(reply.status, 200..=299)).then(|| {
                let excerpt: String = reply.excerpt.trim().chars().take(200).collect();
                match excerpt.as_str() {
                    "" => format!("answered {}", reply.status),
                    excerpt => format!("answered {}: {excerpt}", reply.status),
                }
            });
            Answer {
                ended,
                status: Some(reply.status),
                detail,
                at,
                took_ms,
            }
        }
        Err(error) => Answer {
            ended: match error {
                outgoing::Error::Refused { .. } | outgoing::Error::Url(_) => Ended::Refused,
                outgoing::Error::NoAddress { .. }
                | outgoing::Error::Connect { .. }
                | outgoing::Error::Tls { .. }
                | outgoing::Error::Timeout(_)
                | outgoing::Error::Broken(_)
                | outgoing::Error::Status(_)
                | outgoing::Error::TooManyRedirects(_)
                | outgoing::Error::TooLarge(_)
                | outgoing::Error::Sink(_) => Ended::Failed,
            },
            status: None,
            detail: Some(error.to_string()),
            at,
            took_ms,
        },
    }
}
