//! How long each phase may take, and what to do where there is a choice.

use crate::backoff::Backoff;
use crate::ladder::LadderPolicy;

/// What to do when the link is opened elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConflictPolicy {
    /// Leave it to the other one until a person starts us again.
    #[default]
    Yield,
    /// Take it back, as often as the ladder's intensity for it allows; then yield.
    TakeOver,
}

/// Deadlines of the phases, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    /// From the opening of a connection to the first phase beyond loading.
    pub starting_ms: u64,
    /// From linking to the first QR code, and from one code's end to the next code.
    pub linking_ms: u64,
    /// From linked to ready. Long: a first sync moves months of messages.
    pub syncing_ms: u64,
    /// From loaded to ready in a recovery, for the first try; twice as long with
    /// each further one, up to `syncing_ms`.
    pub resync_ms: u64,
    /// How long the page may take to reconnect by itself while the network is there.
    pub reconnect_ms: u64,
    /// How long ready must last before past failures are forgotten.
    pub stable_ms: u64,
    /// How long the browser may take to close.
    pub close_ms: u64,
    /// How long what is in flight may take to end before a planned restart.
    pub drain_ms: u64,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            starting_ms: 60_000,
            linking_ms: 60_000,
            syncing_ms: 300_000,
            resync_ms: 60_000,
            reconnect_ms: 10_000,
            stable_ms: 300_000,
            close_ms: 10_000,
            drain_ms: 15_000,
        }
    }
}

/// All that can be chosen about a session's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The phases' deadlines.
    pub deadlines: Deadlines,
    /// The ladder.
    pub ladder: LadderPolicy,
    /// Between probes of an absent network.
    pub network_backoff: Backoff,
    /// What to do when the link is opened elsewhere.
    pub conflict: ConflictPolicy,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            deadlines: Deadlines::default(),
            ladder: LadderPolicy::default(),
            // A probe is one TCP connect; asking often costs nothing and heals sooner.
            network_backoff: Backoff {
                base_ms: 250,
                max_ms: 2_000,
            },
            conflict: ConflictPolicy::default(),
        }
    }
}
