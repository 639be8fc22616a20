//! A message to the account's own chat, now and then, that proves the real
//! send path from end to end. Off unless configured.
//!
//! It goes past the outbox: no list of this gateway shows it, and nothing is
//! owed where it fails. On the account's devices it stands in the chat with
//! oneself, and says what it is.

use super::actor::Input;
use super::snapshot::Snapshot;
use crate::clock::{Clock, Random, random_bytes};
use crate::metrics::Metrics;
use crate::sessions::CheckStatus;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::backoff;
use steadfast_core::failure::{CdpFault, Evidence, Failure, Observed, Operation, classify};
use steadfast_core::ids::{ChatId, WaMessageId};
use steadfast_core::inbound::InboundMessage;
use steadfast_core::outbox::{Ack, Body};
use steadfast_core::port::{Engine, LookupOutcome, SendOutcome};
use steadfast_core::time::UnixMs;
use tokio::sync::{mpsc, watch};

/// How every canary's text begins.
const MARK: &str = "Steadfast canary";
/// The engine bounds each call by itself; this only guards against one that does not.
const LIMIT: Duration = Duration::from_mins(2);

/// Whether a message that the account sent is a canary of ours, perhaps of an
/// earlier run: it is nobody's message.
pub(crate) fn is_canary(message: &InboundMessage) -> bool {
    message.from_me && message.text.starts_with(MARK)
}

/// How the last canary fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CanaryReport {
    /// When it was sent.
    pub(super) at: UnixMs,
    /// Whether WhatsApp's server has it.
    pub(super) passed: bool,
    /// One sentence for a person.
    pub(super) detail: String,
}

impl CanaryReport {
    /// As a check.
    pub(super) fn status(&self) -> CheckStatus {
        if self.passed {
            CheckStatus::Pass
        } else {
            CheckStatus::Fail
        }
    }
}

/// What comes of one.
#[derive(Debug)]
pub(super) struct Sung {
    pub(super) report: CanaryReport,
    /// What the session's machine is to hear of it.
    pub(super) evidence: Option<Failure>,
}

/// One connection's canary.
pub(super) struct Canary {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) session: String,
    pub(super) interval: Duration,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) snapshot: watch::Receiver<Snapshot>,
    pub(super) inputs: mpsc::Sender<Input>,
}

impl Canary {
    /// Sends one each interval, give or take a tenth, until it is dropped.
    pub(super) async fn run(self) {
        let seed = u64::from_le_bytes(random_bytes(self.random.as_ref()).unwrap_or_default());
        let mut jitter = backoff::Random::new(seed);
        let interval_ms = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX);
        loop {
            let tenth = interval_ms / 10;
            let wait = interval_ms - tenth + jitter.up_to(tenth.saturating_mul(2));
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let me = self.snapshot.borrow().me.as_ref().map(|me| me.id.clone());
            let Some(me) = me else {
                // Nobody to write to yet; the page tells who it is when it is ready.
                self.metrics.canary.inc([&self.session, "skipped"]);
                continue;
            };
            let sung = self.sing(&me).await;
            let told = Input::Canary(self.engine.epoch(), Box::new(sung));
            if self.inputs.send(told).await.is_err() {
                return;
            }
        }
    }

    async fn sing(&self, me: &ChatId) -> Sung {
        let (at, begun) = (self.clock.unix(), self.clock.mono());
        let sent_before = self.messages_sent();
        let failure = self.send(me).await.err();
        let took_ms = self.clock.mono().since(begun);
        let result = if failure.is_none() {
            "passed"
        } else {
            "failed"
        };
        self.metrics.canary.inc([&self.session, result]);
        if failure.is_none() {
            self.metrics
                .canary_seconds
                .observe_ms([&self.session], took_ms);
        }
        let detail = match &failure {
            None => format!("WhatsApp's server had it after {took_ms} ms"),
            Some(failure) => format!("{}: {}", failure.kind, failure.evidence),
        };
        Sung {
            report: CanaryReport {
                at,
                passed: failure.is_none(),
                detail,
            },
            // Where others went out meanwhile the way is open: what failed
            // is this one message.
            evidence: failure.filter(|_| self.messages_sent() == sent_before),
        }
    }

    /// Sends one; where that did not end well, looks it up before it is
    /// called a failure.
    async fn send(&self, me: &ChatId) -> Result<(), Failure> {
        let id = match random_bytes(self.random.as_ref()) {
            Ok(bytes) => WaMessageId::mint(bytes),
            Err(error) => return Err(said(Evidence::text(error.to_string()))),
        };
        let body = Body::text(text(self.clock.unix()));
        let begun = self.clock.mono();
        let sent = self.engine.send(&id, me, &body);
        let failure = match tokio::time::timeout(LIMIT, sent).await {
            Ok(SendOutcome::HandedOff(ack)) if ack >= Ack::Server => return Ok(()),
            Ok(SendOutcome::HandedOff(_)) => None,
            Ok(
                SendOutcome::NotSent(failure)
                | SendOutcome::Unknown(failure)
                | SendOutcome::Rejected(failure),
            ) => Some(failure),
            Err(_) => Some(said(Evidence::Cdp(CdpFault::Timeout { in_flight: true }))),
        };
        let found = tokio::time::timeout(LIMIT, self.engine.lookup(&id, me)).await;
        match found {
            Ok(LookupOutcome::Found(ack)) if ack >= Ack::Server => Ok(()),
            Ok(LookupOutcome::FoundFailed(level)) => Err(said(Evidence::AckError { level })),
            Ok(
                LookupOutcome::Found(_)
                | LookupOutcome::NotFound
                | LookupOutcome::Unsupported
                | LookupOutcome::Failed(_),
            )
            | Err(_) => Err(failure.unwrap_or_else(|| {
                said(Evidence::AckMissing {
                    after_ms: self.clock.mono().since(begun),
                })
            })),
        }
    }

    fn messages_sent(&self) -> u64 {
        self.metrics.outcomes.get([&self.session, "sent"])
    }
}

fn text(now: UnixMs) -> String {
    format!(
        "{MARK} {}: this gateway proves to itself that sending works. session.canary_interval_ms turns it off.",
        now.rfc3339()
    )
}

fn said(evidence: Evidence) -> Failure {
    classify(&Observed {
        operation: Operation::Send,
        evidence,
    })
}
