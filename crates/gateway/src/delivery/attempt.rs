//! One try to bring one message to WhatsApp.

use super::Link;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::updates::Updates;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::failure::Failure;
use steadfast_core::ids::{Epoch, Fence};
use steadfast_core::outbox::{
    AfterLookup, Claimed, DeliveryPolicy, Plan, Settled, after_lookup, after_send,
    heals_with_session, outcome, plan,
};
use steadfast_core::port::{LookupOutcome, Recorded, SendOutcome, Store, StoreError};
use steadfast_core::time::UnixMs;

/// How long to wait before an outcome that the store did not take is offered again.
const RECORD_RETRY: Duration = Duration::from_millis(500);
/// How often. Then the message stays claimed until the gateway restarts, and
/// is looked up then.
const RECORD_TRIES: u32 = 240;

/// A claimed message on its way.
pub(super) struct Attempt {
    pub(super) claimed: Claimed,
    pub(super) link: Link,
    pub(super) fence: Fence,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) updates: Updates,
    pub(super) metrics: Arc<Metrics>,
    pub(super) policy: DeliveryPolicy,
}

/// What delivery must know of an attempt that is over.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Landed {
    /// The connection whose failure it met: it is not to be used again.
    pub(super) failed: Option<Epoch>,
    /// WhatsApp asks to slow down.
    pub(super) slow_down: bool,
}

/// What an attempt concluded, with its why.
struct Conclusion {
    settled: Settled,
    detail: Option<String>,
    /// The id was looked up and found: an unasked retry would have been a second copy.
    duplicate_prevented: bool,
    /// The connection itself failed.
    link_failed: bool,
}

impl Conclusion {
    fn of(settled: Settled) -> Self {
        Self {
            settled,
            detail: None,
            duplicate_prevented: false,
            link_failed: false,
        }
    }

    fn because(settled: Settled, failure: Option<&Failure>) -> Self {
        Self {
            detail: failure.map(|f| format!("{}: {}", f.kind, f.evidence)),
            link_failed: failure.is_some_and(|f| heals_with_session(f.kind)),
            ..Self::of(settled)
        }
    }
}

impl Attempt {
    /// Decides, acts, and records what came of it.
    pub(super) async fn run(self) -> Landed {
        let conclusion = self.conclude().await;
        let landed = Landed {
            failed: conclusion.link_failed.then(|| self.link.engine.epoch()),
            slow_down: matches!(conclusion.settled, Settled::SlowedDown(_)),
        };
        self.record(conclusion).await;
        landed
    }

    async fn conclude(&self) -> Conclusion {
        match plan(
            &self.claimed,
            self.link.login,
            self.clock.unix(),
            &self.policy,
        ) {
            Plan::Send => self.send().await,
            Plan::LookUp => self.look_up().await,
            Plan::Settle(settled) => Conclusion::of(settled),
        }
    }

    async fn send(&self) -> Conclusion {
        let message = &self.claimed.message;
        let sent = self
            .link
            .engine
            .send(&message.wa_message_id, &message.to, &message.body)
            .await;
        self.read(&sent)
    }

    async fn look_up(&self) -> Conclusion {
        let message = &self.claimed.message;
        let found = self
            .link
            .engine
            .lookup(&message.wa_message_id, &message.to)
            .await;
        match after_lookup(&found, &self.claimed, self.clock.unix(), &self.policy) {
            AfterLookup::Settle(settled) => Conclusion {
                duplicate_prevented: matches!(settled, Settled::Sent(_)),
                ..Conclusion::because(settled, failure_of_lookup(&found))
            },
            AfterLookup::SendSameId => self.send().await,
            AfterLookup::ResendFromPage => {
                let sent = self
                    .link
                    .engine
                    .resend(&message.wa_message_id, &message.to)
                    .await;
                Conclusion {
                    duplicate_prevented: true,
                    ..self.read(&sent)
                }
            }
        }
    }

    fn read(&self, sent: &SendOutcome) -> Conclusion {
        let failure = match sent {
            SendOutcome::HandedOff(_) => None,
            SendOutcome::NotSent(failure)
            | SendOutcome::Unknown(failure)
            | SendOutcome::Rejected(failure) => Some(failure),
        };
        Conclusion::because(
            after_send(sent, self.claimed.attempt, &self.policy),
            failure,
        )
    }

    fn count(&self, name: &str, conclusion: &Conclusion, now: UnixMs) {
        let message = &self.claimed.message;
        let session = message.session.as_str();
        self.metrics.outcomes.inc([session, name]);
        if conclusion.duplicate_prevented {
            self.metrics.duplicates_prevented.inc([session]);
        }
        if matches!(conclusion.settled, Settled::Sent(_)) {
            self.metrics
                .ack_seconds
                .observe_ms([session], now.since(message.accepted_at));
        }
    }

    /// Records the outcome, and goes on trying while the store has no room:
    /// the outcome is known, and forgetting it would cost a look-up at best.
    async fn record(self, conclusion: Conclusion) {
        let message = &self.claimed.message;
        let name = name(conclusion.settled);
        for _ in 0..RECORD_TRIES {
            let now = self.clock.unix();
            let recorded = Recorded {
                id: message.id.clone(),
                outcome: outcome(conclusion.settled, now),
                detail: conclusion.detail.clone(),
                at: now,
            };
            match self
                .store
                .record(&message.session, self.fence, vec![recorded])
                .await
            {
                Ok(()) => {
                    tracing::debug!(
                        event = "attempt_ended", session = %message.session, message = %message.id,
                        attempt = self.claimed.attempt, outcome = name, detail = conclusion.detail,
                    );
                    self.count(name, &conclusion, now);
                    self.updates.publish(message.id.clone());
                    return;
                }
                Err(error @ (StoreError::StaleFence { .. } | StoreError::Closed)) => {
                    // Somebody else owns the message now, and will look it up.
                    tracing::warn!(event = "outcome_not_recorded", message = %message.id, %error);
                    return;
                }
                Err(error) => {
                    tracing::warn!(event = "outcome_not_recorded_yet", message = %message.id, %error);
                    tokio::time::sleep(RECORD_RETRY).await;
                }
            }
        }
        tracing::error!(event = "outcome_given_up", message = %message.id, outcome = name);
    }
}

/// The outcome's stable name, in metrics and in the list of attempts.
fn name(settled: Settled) -> &'static str {
    match settled {
        Settled::Sent(_) => "sent",
        Settled::RetryIn(_) => "not_sent",
        Settled::SlowedDown(_) => "rate_limited",
        Settled::CheckIn(_) => "unknown",
        Settled::Rejected(_) => "rejected",
        Settled::Parked(_) => "parked",
        Settled::Expired => "expired",
    }
}

fn failure_of_lookup(found: &LookupOutcome) -> Option<&Failure> {
    match found {
        LookupOutcome::Failed(failure) => Some(failure),
        LookupOutcome::Found(_)
        | LookupOutcome::FoundFailed(_)
        | LookupOutcome::NotFound
        | LookupOutcome::Unsupported => None,
    }
}
