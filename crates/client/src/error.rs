//! What can go wrong: the gateway says no, or says nothing.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt;
use std::io;
use std::time::Duration;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The client cannot be set up like this, or the request not be written.
    #[error("{0}")]
    Invalid(String),
    /// The gateway answered with a problem.
    #[error(transparent)]
    Problem(Box<Problem>),
    /// No whole answer came.
    #[error(transparent)]
    Transport(#[from] Transport),
    /// An answer that no gateway gives: something stands in between, or the
    /// address is another program's.
    #[error("unexpected answer {status}: {excerpt}")]
    Foreign {
        /// Its HTTP status.
        status: u16,
        /// What its `Retry-After` asks for, where that is in seconds.
        retry_after: Option<Duration>,
        /// Its first characters.
        excerpt: String,
    },
    /// A file of this machine could not be read.
    #[error("the file cannot be read: {0}")]
    File(#[source] io::Error),
    /// It was tried until the patience was over, or could not be tried again.
    #[error("given up after {tries} tries: {last}")]
    GaveUp {
        /// How often it was tried.
        tries: u32,
        /// Whether any of the tries may have been taken.
        may_be_accepted: bool,
        /// What the last try came to.
        #[source]
        last: Box<Error>,
    },
}

/// Why no whole answer came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Transport {
    /// There is no connection: the request was not sent.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The other side is not who it should be, or speaks no TLS: nothing was
    /// sent, and another try ends like this one. A certificate that is from an authority of
    /// your own: [`Builder::root_certificates`](super::Builder::root_certificates).
    #[error("no TLS: {0}")]
    Tls(String),
    /// The connection broke; the request may have been read.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The time was up; the request may have been read.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The answer has more than so many bytes.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
}

/// What the gateway says when something is wrong (RFC 9457). The codes are
/// those of docs/API.md, and stable.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Problem {
    /// The stable name: `invalid_recipient`, `storage_full`, ...
    pub code: String,
    /// The HTTP status.
    pub status: u16,
    /// What it is this time, in one sentence.
    pub detail: String,
    /// Whether the same request may succeed later.
    #[serde(default)]
    pub retryable: bool,
    /// After how many seconds it is worth trying.
    #[serde(default)]
    retry_after: Option<u64>,
    /// What it says beside that: `field`, `max_bytes`, `results`, ...
    #[serde(flatten)]
    pub members: Map<String, Value>,
}

impl Problem {
    /// After which time it is worth trying.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after.map(Duration::from_secs)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.code, self.status, self.detail)
    }
}

impl std::error::Error for Problem {}

impl Error {
    /// What the gateway said, where it said something.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            Self::GaveUp { last, .. } => last.problem(),
            Self::Invalid(_) | Self::Transport(_) | Self::Foreign { .. } | Self::File(_) => None,
        }
    }

    /// The problem's stable code, where there is a problem.
    pub fn code(&self) -> Option<&str> {
        self.problem().map(|problem| problem.code.as_str())
    }

    /// Whether what was asked may have been done although this came of it. A
    /// message in doubt is safe to send again by the same value, or under the
    /// same key, and by nothing else.
    pub fn may_be_accepted(&self) -> bool {
        match self {
            Self::Invalid(_)
            | Self::File(_)
            | Self::Transport(Transport::Connect(_) | Transport::Tls(_)) => false,
            Self::Transport(
                Transport::Broken(_) | Transport::Timeout(_) | Transport::TooLarge(_),
            ) => true,
            // The store says of itself that it has nothing.
            Self::Problem(problem) => match problem.code.as_str() {
                "storage_full" | "storage_overloaded" | "storage_failed" => false,
                "idempotency_in_flight" => true,
                _ => problem.status >= 500,
            },
            Self::Foreign { status, .. } => *status < 300 || *status >= 500,
            Self::GaveUp {
                may_be_accepted, ..
            } => *may_be_accepted,
        }
    }

    /// Whether the same may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Invalid(_)
            | Self::File(_)
            | Self::Transport(Transport::Tls(_) | Transport::TooLarge(_)) => false,
            Self::Transport(
                Transport::Connect(_) | Transport::Broken(_) | Transport::Timeout(_),
            ) => true,
            Self::Problem(problem) => problem.retryable,
            Self::Foreign { status, .. } => matches!(status, 408 | 429 | 502..=504),
            Self::GaveUp { last, .. } => last.is_retryable(),
        }
    }

    /// When another try is worth it, where the answer says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Problem(problem) => problem.retry_after(),
            Self::Foreign { retry_after, .. } => *retry_after,
            Self::GaveUp { last, .. } => last.retry_after(),
            Self::Invalid(_) | Self::Transport(_) | Self::File(_) => None,
        }
    }
}
