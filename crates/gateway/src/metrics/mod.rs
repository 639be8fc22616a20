//! What is counted, named and described once.
//!
//! The registry is our own two hundred lines: all that is needed is counters
//! and histograms with a few labels, and the Prometheus text format. The
//! `prometheus` crate would bring global state and a protobuf model for it.
//! Gauges are read when somebody asks, never kept.

mod family;
mod process;
mod scrape;

pub use family::{Counter, Histogram, Spread};
pub use process::{ProcessStats, process_stats};
pub use scrape::{CONTENT_TYPE, render};

use crate::traces::Traces;
use crate::troubles::Troubles;

/// Everything that the gateway counts. Names and labels are stable and listed
/// in docs/OPERATIONS.md.
#[derive(Debug)]
pub struct Metrics {
    /// `steadfast_messages_accepted_total{session}`.
    pub accepted: Counter<1>,
    /// `steadfast_messages_total{session, outcome}`: how attempts ended, and
    /// acks as they came.
    pub outcomes: Counter<2>,
    /// `steadfast_message_ack_seconds{session}`: from accepted to the server's ack.
    pub ack_seconds: Histogram<1>,
    /// `steadfast_duplicates_prevented_total{session}`: a look-up found what a
    /// retry would have sent a second time.
    pub duplicates_prevented: Counter<1>,
    /// `steadfast_pacing_holds_total{session, reason}`: how often pacing began
    /// to hold new messages back.
    pub pacing_holds: Counter<2>,
    /// `steadfast_pacing_refusals_total{session}`: messages that WhatsApp
    /// refused because they came too fast.
    pub pacing_refusals: Counter<1>,
    /// `steadfast_inbound_messages_total{session}`.
    pub inbound: Counter<1>,
    /// `steadfast_incidents_total{session, kind}`: failures noticed.
    pub incidents: Counter<2>,
    /// `steadfast_recoveries_total{session, kind, rung}`: incidents healed, by the rung that did it.
    pub recoveries: Counter<3>,
    /// `steadfast_detection_seconds{kind}`: from the last sign of life of a
    /// ready session to the failure noticed, so at least as long as it took
    /// to notice it.
    pub detection_seconds: Histogram<1>,
    /// `steadfast_recovery_seconds{kind}`: from noticed to ready again.
    pub recovery_seconds: Histogram<1>,
    /// `steadfast_recovery_steps_total{rung}`: rungs tried, whether or not they healed.
    pub recovery_steps: Counter<1>,
    /// `steadfast_recycles_total{session, reason}`: browsers replaced as planned.
    pub recycles: Counter<2>,
    /// `steadfast_canary_total{session, result}`: messages to oneself that
    /// proved the send path, or did not.
    pub canary: Counter<2>,
    /// `steadfast_canary_seconds{session}`: how long they took to the server's ack.
    pub canary_seconds: Histogram<1>,
    /// `steadfast_session_transitions_total{session, state}`.
    pub transitions: Counter<2>,
    /// `steadfast_webhook_attempts_total{webhook, outcome}`.
    pub webhook_attempts: Counter<2>,
    /// `steadfast_webhook_seconds{webhook}`: how long endpoints took to answer.
    pub webhook_seconds: Histogram<1>,
    /// `steadfast_webhook_dead_letters_total{webhook}`.
    pub webhook_dead: Counter<1>,
    /// `steadfast_webhook_missed_total{webhook}`: events dropped before they were delivered.
    pub webhook_missed: Counter<1>,
    /// `steadfast_events_dropped_total`: events dropped for their age or number.
    pub events_dropped: Counter<0>,
    /// `steadfast_http_requests_total{method, route, status}`.
    pub http_requests: Counter<3>,
    /// `steadfast_http_request_seconds{route}`.
    pub http_seconds: Histogram<1>,
    /// `steadfast_http_connections_total`.
    pub http_connections: Counter<0>,
    /// `steadfast_auth_failures_total{reason}`.
    pub auth_failures: Counter<1>,
    /// `steadfast_panics_total`: caught, logged, and a bug each.
    pub panics: Counter<0>,
    /// `steadfast_illegal_events_total`: events that a state machine refused; a bug each.
    pub illegal_events: Counter<0>,
    /// Not counted, and kept beside what is: the newest warnings and errors.
    pub troubles: Troubles,
    /// Not counted but traced: what took how long.
    pub traces: Traces,
}

/// For things that take milliseconds to a minute.
const LATENCY: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// For things that take a tenth of a second to hours.
const LONG: &[f64] = &[
    0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0,
];

impl Default for Metrics {
    fn default() -> Self {
        Self {
            accepted: Counter::new(
                "steadfast_messages_accepted_total",
                "Messages accepted: on disk, and owed from then on.",
                ["session"],
            ),
            outcomes: Counter::new(
                "steadfast_messages_total",
                "Steps of messages: sent, not_sent, rate_limited, unknown, rejected, parked, expired, cancelled, delivered, read, played.",
                ["session", "outcome"],
            ),
            ack_seconds: Histogram::new(
                "steadfast_message_ack_seconds",
                "Time from accepted to the server's ack.",
                ["session"],
                LONG,
            ),
            duplicates_prevented: Counter::new(
                "steadfast_duplicates_prevented_total",
                "Look-ups that found what a blind retry would have sent twice.",
                ["session"],
            ),
            pacing_holds: Counter::new(
                "steadfast_pacing_holds_total",
                "Times that pacing began to hold new messages back: pacing, rate_limited, quiet_hours, daily_cap.",
                ["session", "reason"],
            ),
            pacing_refusals: Counter::new(
                "steadfast_pacing_refusals_total",
                "Messages that WhatsApp refused because they came too fast.",
                ["session"],
            ),
            inbound: Counter::new(
                "steadfast_inbound_messages_total",
                "Messages received and kept.",
                ["session"],
            ),
            incidents: Counter::new(
                "steadfast_incidents_total",
                "Failures noticed, by kind.",
                ["session", "kind"],
            ),
            recoveries: Counter::new(
                "steadfast_recoveries_total",
                "Incidents healed, by kind and by the rung that healed them.",
                ["session", "kind", "rung"],
            ),
            detection_seconds: Histogram::new(
                "steadfast_detection_seconds",
                "Time from the last sign of life of a ready session to its failure noticed: an upper bound of the time to notice it.",
                ["kind"],
                LATENCY,
            ),
            recovery_seconds: Histogram::new(
                "steadfast_recovery_seconds",
                "Time from a failure noticed to ready again.",
                ["kind"],
                LONG,
            ),
            recovery_steps: Counter::new(
                "steadfast_recovery_steps_total",
                "Rungs of the ladder that were tried.",
                ["rung"],
            ),
            recycles: Counter::new(
                "steadfast_recycles_total",
                "Browsers that worked and were replaced as planned: memory, age.",
                ["session", "reason"],
            ),
            canary: Counter::new(
                "steadfast_canary_total",
                "Messages to oneself that prove the send path: passed, failed, skipped.",
                ["session", "result"],
            ),
            canary_seconds: Histogram::new(
                "steadfast_canary_seconds",
                "Time from a canary handed over to the server's ack.",
                ["session"],
                LATENCY,
            ),
            transitions: Counter::new(
                "steadfast_session_transitions_total",
                "Changes of a session's state, by the state entered.",
                ["session", "state"],
            ),
            webhook_attempts: Counter::new(
                "steadfast_webhook_attempts_total",
                "Requests to webhook endpoints: delivered, failed, refused, gone.",
                ["webhook", "outcome"],
            ),
            webhook_seconds: Histogram::new(
                "steadfast_webhook_seconds",
                "Time that webhook endpoints took to answer.",
                ["webhook"],
                LATENCY,
            ),
            webhook_dead: Counter::new(
                "steadfast_webhook_dead_letters_total",
                "Events given up for an endpoint after their last attempt.",
                ["webhook"],
            ),
            webhook_missed: Counter::new(
                "steadfast_webhook_missed_total",
                "Events dropped from the log before an endpoint was given them.",
                ["webhook"],
            ),
            events_dropped: Counter::new(
                "steadfast_events_dropped_total",
                "Events dropped from the log for their age or number.",
                [],
            ),
            http_requests: Counter::new(
                "steadfast_http_requests_total",
                "HTTP requests answered.",
                ["method", "route", "status"],
            ),
            http_seconds: Histogram::new(
                "steadfast_http_request_seconds",
                "Time from a request's head to its answer.",
                ["route"],
                LATENCY,
            ),
            http_connections: Counter::new(
                "steadfast_http_connections_total",
                "HTTP connections taken.",
                [],
            ),
            auth_failures: Counter::new(
                "steadfast_auth_failures_total",
                "Requests refused for their token: missing, unknown, ended, scope, session, login_over, foreign_page.",
                ["reason"],
            ),
            panics: Counter::new(
                "steadfast_panics_total",
                "Panics caught. Each is a bug.",
                [],
            ),
            illegal_events: Counter::new(
                "steadfast_illegal_events_total",
                "Events that a state machine refused. Each is a bug.",
                [],
            ),
            troubles: Troubles::default(),
            traces: Traces::default(),
        }
    }
}

impl Metrics {
    fn write_counted(&self, out: &mut String) {
        self.accepted.write(out);
        self.outcomes.write(out);
        self.ack_seconds.write(out);
        self.duplicates_prevented.write(out);
        self.pacing_holds.write(out);
        self.pacing_refusals.write(out);
        self.inbound.write(out);
        self.incidents.write(out);
        self.recoveries.write(out);
        self.detection_seconds.write(out);
        self.recovery_seconds.write(out);
        self.recovery_steps.write(out);
        self.recycles.write(out);
        self.canary.write(out);
        self.canary_seconds.write(out);
        self.transitions.write(out);
        self.webhook_attempts.write(out);
        self.webhook_seconds.write(out);
        self.webhook_dead.write(out);
        self.webhook_missed.write(out);
        self.events_dropped.write(out);
        self.http_requests.write(out);
        self.http_seconds.write(out);
        self.http_connections.write(out);
        self.auth_failures.write(out);
        self.panics.write(out);
        self.illegal_events.write(out);
    }
}
