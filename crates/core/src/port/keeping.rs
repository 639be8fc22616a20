//! How long what is over is kept.

use crate::time::UnixMs;

/// What may be forgotten: messages that are over, and messages received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForgetMessages {
    /// Only what last changed, or came, before this time.
    pub before: UnixMs,
    /// Only messages of ours behind this position, in the order of acceptance: 0 at first,
    /// then what the last answer said.
    pub after: i64,
    /// How many to look at.
    pub limit: u32,
}

/// What was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ForgottenMessages {
    /// Messages of ours.
    pub messages: u64,
    /// Messages received.
    pub inbound: u64,
    /// Where to go on; `None` where nothing older is left.
    pub next: Option<i64>,
}
