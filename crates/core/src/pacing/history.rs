//! What pacing must know of the past.

use crate::time::UnixMs;

/// A quarter of an hour, in milliseconds: every offset from UTC that is in
/// use is a whole number of them, so that days can be cut anywhere.
pub const QUARTER_MS: i64 = 900_000;

/// When the quarter of an hour began that this time is in.
pub fn quarter_of(at: UnixMs) -> UnixMs {
    UnixMs(at.0.div_euclid(QUARTER_MS).saturating_mul(QUARTER_MS))
}

/// What a session did in one quarter of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarter {
    /// When it began.
    pub starts_at: UnixMs,
    /// Messages whose first attempt began.
    pub begun: u64,
    /// Attempts that WhatsApp refused because they came too fast.
    pub refused: u64,
}

/// What a session did, as the store keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// When its first message ever began.
    pub first_begun_at: Option<UnixMs>,
    /// The last quarters in which anything happened, oldest first.
    pub quarters: Vec<Quarter>,
}
