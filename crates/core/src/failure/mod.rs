//! What went wrong, and what it means.
//!
//! An error is what happened; a [`Failure`] is what we conclude from it:
//! its kind, the cheapest rung that heals it, and whether the message in hand
//! may be sent again.

mod evidence;
mod kind;
mod operation;

pub use evidence::{CdpFault, Evidence, Observed};
pub use kind::{Kind, Resend, Rung};
pub use operation::Operation;

use serde::Serialize;

/// A conclusion about one thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: Kind,
    /// The cheapest step that heals it.
    pub rung: Rung,
    /// Whether the message in hand may be sent again.
    pub resend: Resend,
    /// What was being done.
    pub operation: Operation,
    /// What was seen, for logs and incidents: no message text, no number.
    pub evidence: String,
}
