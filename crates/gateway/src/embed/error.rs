//! What can go wrong, with the codes of the HTTP interface.

use crate::config::ConfigError;
use crate::http::problem::Problem;
use crate::serve::ServeError;
use crate::sessions::SessionError;
use std::fmt;
use std::time::Duration;
use steadfast_core::ids::IdError;
use steadfast_core::port::StoreError;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is wrong: every one that is, with what would be right.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The gateway did not start.
    #[error(transparent)]
    Start(#[from] ServeError),
    /// It runs, and did not do this.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Error {
    /// The stable code, where it has one: those of docs/API.md.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            Self::Config(_) | Self::Start(_) => None,
        }
    }
}

/// What a caller over HTTP would have got as a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    code: &'static str,
    detail: String,
    retry_after: Option<Duration>,
    retryable: bool,
}

impl Refusal {
    /// The stable name, as in docs/API.md.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What it is this time, in one sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether the same again may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// After which time it is worth trying.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Refusal {}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Refused(Refusal {
            code: problem.code().as_str(),
            detail: problem.detail().to_owned(),
            retry_after: problem
                .retry_after_seconds()
                .map(|seconds| Duration::from_secs(seconds.into())),
            retryable: problem.is_retryable(),
        })
    }
}

macro_rules! as_problem {
    ($($cause:ty),*) => {
        $(impl From<$cause> for Error {
            fn from(cause: $cause) -> Self {
                Problem::from(cause).into()
            }
        })*
    };
}

as_problem!(SessionError, StoreError, IdError);
