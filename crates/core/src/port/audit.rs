//! Who changed what: the acts that an owner wants to look up later.

use crate::time::UnixMs;

/// One act, to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAudit {
    /// When.
    pub at: UnixMs,
    /// Who: a token's name, or `local` for this machine's command line.
    pub actor: String,
    /// What, a stable name: `token_created`, `session_deleted`.
    pub act: String,
    /// On what: the name of a session or token, the id of a message or webhook.
    pub target: Option<String>,
    /// Whether it was done. One that was not may have been begun.
    pub done: bool,
    /// One sentence for a person; no message text, no number, no secret.
    pub detail: Option<String>,
}

/// One act as it was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Position in the log; only grows.
    pub seq: i64,
    /// The act.
    pub entry: NewAudit,
}
