//! What an endpoint may look like: the fields that are given, and their bounds.

use super::WebhookError;
use super::envelope::STANDARD;
use super::signature::{NoSecret, Secret};
use hyper::header::{HeaderName, HeaderValue};
use steadfast_core::event::EventKinds;
use steadfast_core::ids::SessionId;
use steadfast_core::port::{RetryPolicy, SecretText, WebhookRecord, WebhookState};

/// Bounds of one endpoint.
const MAX_PATTERNS: usize = 50;
const MAX_SESSIONS: usize = 200;
const MAX_HEADERS: usize = 20;
const MAX_HEADER_BYTES: usize = 2_048;
/// Attempts that a schedule of its own may have, and how long a pause may be.
const MAX_RETRIES: usize = 50;
const MAX_DELAY_MS: u64 = 7 * 86_400_000;
/// Headers that are ours, or the connection's.
const RESERVED: [&str; 9] = [
    "host",
    "content-length",
    "content-type",
    "connection",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

/// An endpoint to be made.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// The surface that makes it: `v1`, `waha`.
    pub owner: String,
    /// Where events go.
    pub url: String,
    /// Patterns of the kinds that it wants; none: all.
    pub events: Vec<String>,
    /// The sessions whose events it wants; none: of all.
    pub sessions: Vec<SessionId>,
    /// Headers that go with every request.
    pub headers: Vec<(String, SecretText)>,
    /// Whether each event waits until the one before it has been taken.
    pub ordered: bool,
    /// Whether it is given events from the start.
    pub state: WebhookState,
    /// What signs. Under [`STANDARD`] a secret of Standard Webhooks,
    /// minted where there is none; under another whatever that one reads.
    pub secret: Option<SecretText>,
    /// How events are packed.
    pub envelope: String,
    /// Its own schedule.
    pub retry: Option<RetryPolicy>,
}

/// What is to be different.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// As in [`NewWebhook`]; `None`: as it is.
    pub url: Option<String>,
    /// The same.
    pub events: Option<Vec<String>>,
    /// The same.
    pub sessions: Option<Vec<SessionId>>,
    /// The same.
    pub headers: Option<Vec<(String, SecretText)>>,
    /// The same.
    pub ordered: Option<bool>,
    /// The same.
    pub state: Option<WebhookState>,
}

/// What of an endpoint does not fit, where something does not.
pub(super) fn check_fields(record: &WebhookRecord) -> Result<(), WebhookError> {
    let field = |name: &'static str, what: &str| Err(WebhookError::Field(name, what.to_owned()));
    if record.events.len() > MAX_PATTERNS {
        return field("events", "give at most 50 names");
    }
    if let Err(error) = EventKinds::of(record.events.iter().map(String::as_str)) {
        return field("events", &error.to_string());
    }
    if record.sessions.len() > MAX_SESSIONS {
        return field("sessions", "give at most 200 names");
    }
    if record.headers.len() > MAX_HEADERS {
        return field("headers", "give at most 20");
    }
    for (name, value) in &record.headers {
        let lower = name.to_ascii_lowercase();
        let ours = RESERVED.contains(&lower.as_str())
            || lower.starts_with("webhook-")
            || lower.starts_with("x-webhook-");
        if ours {
            return field("headers", &format!("{name:?} is set by the gateway itself"));
        }
        if HeaderName::try_from(name.as_str()).is_err()
            || HeaderValue::try_from(value.0.as_str()).is_err()
            || value.0.len() > MAX_HEADER_BYTES
        {
            return field(
                "headers",
                "a name is letters, digits and '-', a value visible ASCII, 2048 bytes at most",
            );
        }
    }
    if record.envelope == STANDARD {
        let secret = record
            .secret
            .as_ref()
            .map(|secret| Secret::parse(&secret.0));
        if !matches!(secret, Some(Ok(_))) {
            return field("secret", &NoSecret.to_string());
        }
    }
    if let Some(retry) = &record.retry {
        let fits = (1..=MAX_RETRIES).contains(&retry.delays_ms.len())
            && retry.delays_ms.iter().all(|ms| *ms <= MAX_DELAY_MS)
            && retry.jitter_percent <= 100;
        if !fits {
            return field(
                "retry",
                "1 to 50 pauses of at most 7 days, and a jitter of 0 to 100 percent",
            );
        }
    }
    Ok(())
}
