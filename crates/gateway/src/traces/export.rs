//! Batches of spans on their way to the collector.

use super::{Span, Traces, otlp};
use crate::config::{Config, Telemetry};
use crate::events;
use crate::outgoing::{self, Outgoing, Target};
use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Spans that may wait; more are dropped.
const QUEUE: usize = 4_096;
/// Spans that go at once.
const BATCH: usize = 256;
/// How long the first of a batch waits for more.
const GATHER: Duration = Duration::from_secs(1);
/// How long one request may take, and the last one when the gateway ends.
const PATIENCE: Duration = Duration::from_secs(10);
const LAST_PATIENCE: Duration = Duration::from_secs(2);
/// Between tries of one batch. After the last it is dropped.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
];

/// Where spans go.
pub struct Collector {
    outgoing: Outgoing,
    url: String,
    service: String,
    headers: HeaderMap,
    queue: mpsc::Receiver<Span>,
}

/// Why there is no way to the collector.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Its address is none.
    #[error("telemetry.otlp_endpoint: {0}")]
    Endpoint(#[from] outgoing::Error),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] outgoing::SetupError),
}

impl Collector {
    /// The collector that the configuration names, connected with those who
    /// have something to tell; `None` where it names none.
    ///
    /// # Errors
    /// Where its address is none, or TLS cannot be set up.
    pub fn connect(config: &Config, traces: &Traces) -> Result<Option<Self>, SetupError> {
        let Telemetry {
            otlp_endpoint,
            otlp_headers,
            service_name,
        } = &config.telemetry;
        let Some(endpoint) = otlp_endpoint else {
            return Ok(None);
        };
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let target = Target::parse(&url)?;
        // The operator names it, so it may be on this machine.
        let mut ours = config.outgoing.clone();
        ours.allow = vec![target.host().to_owned()];
        ours.https_only = false;
        let mut headers = HeaderMap::new();
        for line in otlp_headers {
            // The configuration lets nothing through that cannot be sent.
            if let Some((name, value)) = header(line) {
                headers.insert(name, value);
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let (sender, queue) = mpsc::channel(QUEUE);
        traces.connect(sender);
        Ok(Some(Self {
            outgoing: Outgoing::new(&ours)?,
            url,
            service: service_name.clone(),
            headers,
            queue,
        }))
    }

    /// Sends what there is until the gateway ends, and then what is left.
    pub async fn run(mut self, stopping: CancellationToken) {
        while let Some(batch) = self.gather(&stopping).await {
            self.send(&batch, &stopping).await;
        }
        let mut left = Vec::new();
        while left.len() < QUEUE
            && let Ok(span) = self.queue.try_recv()
        {
            left.push(span);
        }
        if !left.is_empty()
            && let Err(error) = self.post(&left, LAST_PATIENCE).await
        {
            lost(left.len(), &error);
        }
    }

    /// The next batch; `None` once the gateway ends.
    async fn gather(&mut self, stopping: &CancellationToken) -> Option<Vec<Span>> {
        let first = tokio::select! {
            biased;
            () = stopping.cancelled() => return None,
            first = self.queue.recv() => first?,
        };
        let mut batch = vec![first];
        let more = async {
            while batch.len() < BATCH
                && let Some(span) = self.queue.recv().await
            {
                batch.push(span);
            }
        };
        tokio::select! {
            () = stopping.cancelled() => {}
            _ = tokio::time::timeout(GATHER, more) => {}
        }
        Some(batch)
    }

    async fn send(&self, batch: &[Span], stopping: &CancellationToken) {
        let mut pauses = PAUSES.iter();
        loop {
            let patience = if stopping.is_cancelled() {
                LAST_PATIENCE
            } else {
                PATIENCE
            };
            let Err(error) = self.post(batch, patience).await else {
                return;
            };
            match pauses.next().filter(|_| error.again) {
                Some(pause) if !stopping.is_cancelled() => {
                    tokio::select! {
                        () = tokio::time::sleep(*pause) => {}
                        () = stopping.cancelled() => {}
                    }
                }
                Some(_) | None => return lost(batch.len(), &error),
            }
        }
    }

    async fn post(&self, batch: &[Span], patience: Duration) -> Result<(), Refused> {
        let body = otlp::request(&self.service, batch).to_string();
        let posted = self
            .outgoing
            .post(&self.url, self.headers.clone(), Bytes::from(body), patience)
            .await;
        match posted {
            Ok(reply) if (200..300).contains(&reply.status) => Ok(()),
            // By the protocol these alone are worth another try.
            Ok(reply) => Err(Refused {
                again: matches!(reply.status, 429 | 502 | 503 | 504),
                why: format!("it answered {}", reply.status),
            }),
            Err(error) => Err(Refused {
                again: true,
                why: error.to_string(),
            }),
        }
    }
}

/// The collector did not take a batch.
struct Refused {
    again: bool,
    why: String,
}

fn lost(spans: usize, error: &Refused) {
    let why = &error.why;
    tracing::warn!(
        event = events::SPANS_DROPPED,
        spans,
        why,
        "the collector did not take them"
    );
}

/// A header as it stands in the configuration: `name=value`.
pub(crate) fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim().parse().ok()?;
    let mut value = HeaderValue::from_str(value.trim()).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}
