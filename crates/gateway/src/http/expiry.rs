//! Until when a message is worth sending, as a caller says it.

use super::problem::Problem;
use steadfast_core::time::UnixMs;

/// The longest time to live, in seconds: a year.
pub(super) const MAX_EXPIRES_IN_S: u64 = 365 * 24 * 3_600;

/// What a caller said of a message's end. It is kept as it was said: the
/// repeat of a request must look like the first one, whenever it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    /// At this time. One that has passed is no error: the caller's clock may
    /// differ from ours, and a repeat may come late. Such a message expires.
    At(UnixMs),
    /// So many seconds after it is accepted.
    In(u64),
}

impl Expiry {
    /// Reads the two fields, of which at most one may be there.
    pub(super) fn read(at: Option<&str>, after: Option<u64>) -> Result<Option<Self>, Problem> {
        match (at, after) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(Problem::field(
                "expires_in",
                "give either expires_at or expires_in, not both",
            )),
            (Some(text), None) => match UnixMs::parse_rfc3339(text) {
                Some(at) => Ok(Some(Self::At(at))),
                None => Err(Problem::field(
                    "expires_at",
                    "it is no time; write it as 2024-01-15T10:30:00Z, or with an offset such as +01:00",
                )),
            },
            (None, Some(seconds @ 1..=MAX_EXPIRES_IN_S)) => Ok(Some(Self::In(seconds))),
            (None, Some(seconds)) => Err(Problem::field(
                "expires_in",
                format!("it is {seconds}; it may be 1 to {MAX_EXPIRES_IN_S} seconds"),
            )),
        }
    }

    /// The time itself, for a message that is accepted now.
    pub(super) fn resolve(self, now: UnixMs) -> UnixMs {
        match self {
            Self::At(at) => at,
            Self::In(seconds) => now.plus(seconds.saturating_mul(1_000)),
        }
    }

    /// What a request's digest covers of it.
    pub(super) fn digested(self) -> String {
        match self {
            Self::At(at) => format!("expires_at {}", at.0),
            Self::In(seconds) => format!("expires_in {seconds}"),
        }
    }
}
