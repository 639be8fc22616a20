//! One try to bring one message to WhatsApp.

use super::Link;
use super::record::Recorder;
use crate::metrics::Metrics;
use crate::traces::{Span, Value, part_of, root_of, trace_of};
use crate::updates::Updates;
use std::sync::Arc;
use steadfast_core::failure::Failure;
use steadfast_core::outbox::{
    AfterLookup, Claimed, DeliveryPolicy, Plan, Settled, after_lookup, after_send,
    heals_with_session, plan,
};
use steadfast_core::port::{LookupOutcome, SendOutcome};
use steadfast_core::time::UnixMs;

/// A claimed message on its way.
pub(super) struct Attempt {
    pub(super) claimed: Claimed,
    pub(super) link: Link,
    /// The turn at which the link was had from the supervisor.
    pub(super) turn: u64,
    pub(super) recorder: Recorder,
    pub(super) updates: Updates,
    pub(super) metrics: Arc<Metrics>,
    pub(super) policy: DeliveryPolicy,
}

/// What delivery must know of an attempt that is over.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Landed {
    /// The turn of the link that failed under it.
    pub(super) failed: Option<u64>,
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
        let began = self.recorder.clock.unix();
        let conclusion = self.conclude().await;
        let landed = Landed {
            failed: conclusion.link_failed.then_some(self.turn),
            slow_down: matches!(conclusion.settled, Settled::SlowedDown(_)),
        };
        self.record(conclusion, began).await;
        landed
    }

    async fn conclude(&self) -> Conclusion {
        match plan(
            &self.claimed,
            self.link.login,
            self.recorder.clock.unix(),
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
        match after_lookup(
            &found,
            &self.claimed,
            self.recorder.clock.unix(),
            &self.policy,
        ) {
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

    /// Tells of the attempt, and of the message where that is sent now.
    fn trace(&self, name: &str, conclusion: &Conclusion, began: UnixMs, now: UnixMs) {
        let message = &self.claimed.message;
        let Some(trace) = trace_of(message.id.as_str()) else {
            return;
        };
        let attributes = || {
            vec![
                ("steadfast.session", message.session.as_str().into()),
                ("steadfast.message", message.id.as_str().into()),
                ("steadfast.kind", message.body.kind().into()),
                ("steadfast.outcome", name.into()),
            ]
        };
        let sent = matches!(conclusion.settled, Settled::Sent(_));
        let traces = &self.metrics.traces;
        traces.tell(|| {
            let mut attributes = attributes();
            let number = self.claimed.attempt;
            attributes.push(("steadfast.attempt", Value::Number(number.into())));
            Some(Span {
                trace,
                id: part_of(trace, number),
                parent: Some(root_of(trace)),
                name: "attempt".to_owned(),
                server: false,
                began,
                ended: now,
                attributes,
                events: Vec::new(),
                failed: (!sent)
                    .then(|| conclusion.detail.clone().unwrap_or_else(|| name.to_owned())),
            })
        });
        if sent {
            traces.tell(|| {
                Some(Span {
                    trace,
                    id: root_of(trace),
                    parent: None,
                    name: "message".to_owned(),
                    server: false,
                    began: message.accepted_at,
                    ended: now,
                    attributes: attributes(),
                    events: Vec::new(),
                    failed: None,
                })
            });
        }
    }

    /// Records the outcome: it is known, and forgetting it would cost a
    /// look-up at best.
    async fn record(self, conclusion: Conclusion, began: UnixMs) {
        let message = &self.claimed.message;
        let name = name(conclusion.settled);
        let recorded = self.recorder.record(
            &message.id,
            conclusion.settled,
            conclusion.detail.as_deref(),
        );
        let Some(at) = recorded.await else { return };
        tracing::debug!(
            event = "attempt_ended", session = %message.session, message = %message.id,
            attempt = self.claimed.attempt, outcome = name, detail = conclusion.detail,
        );
        self.count(name, &conclusion, at);
        self.trace(name, &conclusion, began, at);
        self.updates.publish(message.id.clone());
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
