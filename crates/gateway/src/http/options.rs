//! What a caller may say of any message, whatever its kind: when it goes, in
//! which lane it waits, and how long the answer may wait for it.
//!
//! A request flattens [`SendOptions`] into itself, [`read`](SendOptions::read)s
//! it, makes its [`Order`](super::accept::Order) with the result, and ends in
//! [`accept::answer`](super::accept::answer).

use super::expiry::Expiry;
use super::problem::Problem;
use serde::Deserialize;
use steadfast_core::outbox::{Ack, Priority};
use steadfast_core::time::UnixMs;
use utoipa::ToSchema;

/// The furthest that a message may be scheduled ahead, in seconds: a year.
const MAX_SEND_IN_S: u64 = 365 * 24 * 3_600;
/// The longest that an answer may wait for a message, in milliseconds.
const MAX_WAIT_MS: u64 = 50_000;

/// The fields themselves, as they stand in a body or in a form.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct SendOptions {
    /// Until when it is worth sending, RFC 3339: what has not been handed over
    /// by then is not sent, and ends as `expired`.
    #[schema(example = "2030-01-15T10:30:00Z")]
    pub(super) expires_at: Option<String>,
    /// The same, in seconds from now; only one of the two may be given.
    #[schema(minimum = 1, maximum = 31_536_000)]
    pub(super) expires_in: Option<u64>,
    /// Not before this time, RFC 3339. Until then it holds up no other message.
    #[schema(example = "2030-01-15T09:00:00Z")]
    pub(super) send_at: Option<String>,
    /// The same, in seconds from now; only one of the two may be given.
    #[schema(minimum = 1, maximum = 31_536_000)]
    pub(super) send_in: Option<u64>,
    /// The lane it waits in: high goes before normal, normal before low; each
    /// lane of a chat is in order of acceptance. normal where not said.
    #[schema(example = "high")]
    pub(super) priority: Option<String>,
    /// Wait with the answer until the message has come this far: `server`
    /// (WhatsApp has it) or `device` (so has the recipient). 200 with the
    /// message then; 202 with it where that takes longer, and nothing is lost.
    #[schema(example = "server")]
    pub(super) wait: Option<String>,
    /// How long to wait, in milliseconds; `delivery.reply_wait_ms` where not said.
    #[schema(minimum = 1, maximum = 50_000)]
    pub(super) wait_ms: Option<u64>,
}

/// The options of one message, checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Until when it is worth sending, where the caller said so.
    pub(super) expiry: Option<Expiry>,
    /// When it is to be sent, where not at once.
    pub(super) schedule: Option<Schedule>,
    /// Its lane.
    pub(super) priority: Priority,
    /// What the answer waits for.
    pub(super) wait: Option<Wait>,
}

/// When a message is to be sent, as its caller said it: see [`Expiry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schedule {
    /// At this time; one that has passed is now.
    At(UnixMs),
    /// So many seconds after it is accepted.
    In(u64),
}

/// What an answer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait {
    /// How far the message must have come.
    pub(super) level: Ack,
    /// For how long at most, where the caller said so.
    pub(super) for_ms: Option<u64>,
}

impl SendOptions {
    /// Checks every field.
    pub(super) fn read(&self) -> Result<Options, Problem> {
        let options = Options {
            expiry: Expiry::read(self.expires_at.as_deref(), self.expires_in)?,
            schedule: Schedule::read(self.send_at.as_deref(), self.send_in)?,
            priority: self.priority()?,
            wait: self.wait()?,
        };
        let never = match (options.schedule, options.expiry) {
            (Some(Schedule::At(from)), Some(Expiry::At(until))) => until <= from,
            (Some(Schedule::In(from)), Some(Expiry::In(until))) => until <= from,
            // Which of them is first shows when it is accepted; a repeat must
            // be answered like the first request whatever the time is then.
            (Some(Schedule::At(_)), Some(Expiry::In(_)))
            | (Some(Schedule::In(_)), Some(Expiry::At(_)))
            | (None, _)
            | (_, None) => false,
        };
        if never {
            let name = if self.expires_at.is_some() {
                "expires_at"
            } else {
                "expires_in"
            };
            let what = "it ends before it is to be sent; let it end later than it begins";
            return Err(Problem::field(name, what));
        }
        Ok(options)
    }

    fn priority(&self) -> Result<Priority, Problem> {
        let Some(text) = &self.priority else {
            return Ok(Priority::default());
        };
        Priority::parse(text)
            .ok_or_else(|| Problem::field("priority", "it is one of high, normal, low"))
    }

    fn wait(&self) -> Result<Option<Wait>, Problem> {
        let level = match self.wait.as_deref() {
            None if self.wait_ms.is_some() => {
                let what = "it says how long, and wait must say for what: server or device";
                return Err(Problem::field("wait_ms", what));
            }
            None => return Ok(None),
            Some("server") => Ack::Server,
            Some("device") => Ack::Device,
            Some(_) => return Err(Problem::field("wait", "it is one of server, device")),
        };
        match self.wait_ms {
            Some(ms) if !(1..=MAX_WAIT_MS).contains(&ms) => {
                let what = format!("it is {ms}; it may be 1 to {MAX_WAIT_MS} milliseconds");
                Err(Problem::field("wait_ms", what))
            }
            for_ms => Ok(Some(Wait { level, for_ms })),
        }
    }
}

impl Options {
    /// What a request's digest covers of them: nothing where nothing was said,
    /// so that keys of older versions keep their meaning. How long an answer
    /// waits changes nothing about the message, and may differ in a repeat.
    pub(super) fn digested(self) -> Vec<String> {
        let mut parts = Vec::new();
        parts.extend(self.expiry.map(Expiry::digested));
        parts.extend(self.schedule.map(Schedule::digested));
        if self.priority != Priority::default() {
            parts.push(format!("priority {}", self.priority.as_str()));
        }
        parts
    }
}

impl Schedule {
    fn read(at: Option<&str>, after: Option<u64>) -> Result<Option<Self>, Problem> {
        match (at, after) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(Problem::field(
                "send_in",
                "give either send_at or send_in, not both",
            )),
            (Some(text), None) => match UnixMs::parse_rfc3339(text) {
                Some(at) => Ok(Some(Self::At(at))),
                None => Err(Problem::field(
                    "send_at",
                    "it is no time; write it as 2024-01-15T10:30:00Z, or with an offset such as +01:00",
                )),
            },
            (None, Some(seconds @ 1..=MAX_SEND_IN_S)) => Ok(Some(Self::In(seconds))),
            (None, Some(seconds)) => Err(Problem::field(
                "send_in",
                format!("it is {seconds}; it may be 1 to {MAX_SEND_IN_S} seconds"),
            )),
        }
    }

    /// When a message that is accepted now is due.
    pub(super) fn resolve(self, now: UnixMs) -> Result<UnixMs, Problem> {
        let at = match self {
            Self::At(at) => at.max(now),
            Self::In(seconds) => now.plus(seconds.saturating_mul(1_000)),
        };
        if at.since(now) > MAX_SEND_IN_S * 1_000 {
            let what = "it is more than a year ahead";
            return Err(Problem::field("send_at", what));
        }
        Ok(at)
    }

    fn digested(self) -> String {
        match self {
            Self::At(at) => format!("send_at {}", at.0),
            Self::In(seconds) => format!("send_in {seconds}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Options, String> {
        let fields: SendOptions = serde_json::from_str(json).unwrap();
        fields.read().map_err(|problem| problem.detail().to_owned())
    }

    #[test]
    fn what_is_said_is_read() {
        assert_eq!(read("{}"), Ok(Options::default()));
        let options = read(
            r#"{"send_in": 60, "expires_in": 61, "priority": "high", "wait": "device", "wait_ms": 5}"#,
        )
        .unwrap();
        assert_eq!(options.schedule, Some(Schedule::In(60)));
        assert_eq!(options.priority, Priority::High);
        let wait = options.wait.unwrap();
        assert_eq!((wait.level, wait.for_ms), (Ack::Device, Some(5)));
        let usual = read(r#"{"wait": "server"}"#).unwrap().wait.unwrap();
        assert_eq!((usual.level, usual.for_ms), (Ack::Server, None));
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_field() {
        for (json, field) in [
            (r#"{"send_at": "soon"}"#, "send_at"),
            (r#"{"send_in": 0}"#, "send_in"),
            (r#"{"send_in": 31536001}"#, "send_in"),
            (
                r#"{"send_in": 5, "send_at": "2024-01-15T10:30:00Z"}"#,
                "send_in",
            ),
            (r#"{"send_in": 60, "expires_in": 60}"#, "expires_in"),
            (
                r#"{"send_at": "2024-01-15T10:30:00Z", "expires_at": "2024-01-15T10:29:59Z"}"#,
                "expires_at",
            ),
            (r#"{"priority": "urgent"}"#, "priority"),
            (r#"{"wait": "read"}"#, "wait"),
            (r#"{"wait_ms": 100}"#, "wait_ms"),
            (r#"{"wait": "server", "wait_ms": 0}"#, "wait_ms"),
            (r#"{"wait": "server", "wait_ms": 50001}"#, "wait_ms"),
        ] {
            let said = read(json).unwrap_err();
            assert!(said.starts_with(&format!("{field}: ")), "{json}: {said}");
        }
    }

    #[test]
    fn a_schedule_is_now_or_later_and_within_a_year() {
        let now = UnixMs(1_000_000);
        assert_eq!(Schedule::At(UnixMs(5)).resolve(now).unwrap(), now);
        assert_eq!(Schedule::In(2).resolve(now).unwrap(), UnixMs(1_002_000));
        let far = now.plus(MAX_SEND_IN_S * 1_000 + 1);
        assert!(Schedule::At(far).resolve(now).is_err());
    }

    #[test]
    fn a_repeat_is_told_from_another_request() {
        let digested = |json: &str| read(json).unwrap().digested();
        assert_eq!(digested("{}"), digested(r#"{"priority": "normal"}"#));
        assert_eq!(digested("{}"), digested(r#"{"wait": "server"}"#));
        let said = [
            r"{}",
            r#"{"priority": "high"}"#,
            r#"{"priority": "low"}"#,
            r#"{"send_in": 5}"#,
            r#"{"expires_in": 5}"#,
            r#"{"send_at": "1970-01-01T00:00:00.005Z"}"#,
        ];
        for (i, one) in said.iter().enumerate() {
            for other in &said[i + 1..] {
                assert_ne!(digested(one), digested(other), "{one} and {other}");
            }
        }
    }
}
