//! The states of a session. Data lives in the variant.

use super::TimerGen;
use crate::failure::Kind;
use crate::ids::Epoch;
use crate::ladder::Climb;
use crate::port::OpenStep;
use crate::time::MonoMs;

/// Whether the login in use has been through a clean close of the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Login {
    /// It was there when the browser started: it is on disk.
    Stored,
    /// A phone has just given it: the browser may hold parts of it in memory
    /// alone, and would lose them if it were killed now (localStorage, for some seconds).
    Fresh,
}

/// Why a browser that works is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recycle {
    /// It uses more memory than it may.
    Memory,
    /// It has run for long, and nothing is going on.
    Age,
}

impl Recycle {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::Memory, Self::Age];

    /// The stable name, in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Age => "age",
        }
    }
}

/// Where a session stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing runs, by its owner's wish.
    Stopped,
    /// The first opening after a start.
    Starting {
        /// The connection being opened.
        epoch: Epoch,
        /// Fires when it takes too long.
        timer: TimerGen,
    },
    /// Waits for a phone to scan a QR code or to take a pairing code, or for the account's passkey.
    Linking {
        /// The connection.
        epoch: Epoch,
        /// Fires when no fresh code came in time, nor the passkey.
        timer: TimerGen,
        /// The incident that led here, where one did.
        climb: Option<Climb>,
    },
    /// Linked; chats and messages are on their way.
    Syncing {
        /// The connection.
        epoch: Epoch,
        /// Fires when it takes too long.
        timer: TimerGen,
        /// The incident that led here through linking, where one did.
        climb: Option<Climb>,
    },
    /// Messages can be sent.
    Ready {
        /// The connection.
        epoch: Epoch,
        /// Since when.
        since: MonoMs,
        /// Fires when it has been ready for long enough to forget past failures.
        timer: TimerGen,
    },
    /// The browser works and is about to be replaced by a fresh one: nothing
    /// new is handed over, what is in flight may end. People see the beginning
    /// of a start.
    Draining {
        /// The connection.
        epoch: Epoch,
        /// Fires when what is in flight has had its time.
        timer: TimerGen,
        /// Why.
        why: Recycle,
    },
    /// Something failed, and is being healed.
    Recovering {
        /// What has been tried in this incident.
        climb: Climb,
        /// How far the current step has come.
        stage: Stage,
    },
    /// The link was opened elsewhere and we yielded.
    Conflict {
        /// The connection, kept so that the page can show it.
        epoch: Epoch,
    },
    /// Its owner logged it out; a start links it anew.
    LoggedOut,
    /// A person must look at it first.
    Parked {
        /// What failed.
        kind: Kind,
    },
}

/// How far the current step of a recovery has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Waits before the step.
    Waiting {
        /// The step to come.
        step: OpenStep,
        /// Fires when it is time.
        timer: TimerGen,
    },
    /// The step is being taken; its connection is on its way to ready.
    Opening {
        /// The new connection.
        epoch: Epoch,
        /// Fires when it takes too long.
        timer: TimerGen,
        /// How long that is.
        within_ms: u64,
    },
    /// The network is away; the page, where it still lives, reconnects by itself.
    Outage {
        /// The connection that still lives, or none: then one is opened when the network is back.
        epoch: Option<Epoch>,
        /// Fires when the network is to be probed again, or has been given its time.
        timer: TimerGen,
        /// Probes that found no network so far.
        probes: u32,
        /// Whether a probe found the network back, so that the page's own reconnect is awaited.
        reachable: bool,
    },
}

impl State {
    /// The stable name, the same in the API, logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting { .. } | Self::Draining { .. } => "starting",
            Self::Linking { .. } => "linking",
            Self::Syncing { .. } => "syncing",
            Self::Ready { .. } => "ready",
            Self::Recovering { .. } => "recovering",
            Self::Conflict { .. } => "conflict",
            Self::LoggedOut => "logged_out",
            Self::Parked { .. } => "parked",
        }
    }

    /// Every name, for metrics that must show zeros.
    pub const NAMES: [&'static str; 9] = [
        "stopped",
        "starting",
        "linking",
        "syncing",
        "ready",
        "recovering",
        "conflict",
        "logged_out",
        "parked",
    ];

    /// The connection that is alive in this state, whose events count.
    pub fn epoch(&self) -> Option<Epoch> {
        match self {
            Self::Starting { epoch, .. }
            | Self::Linking { epoch, .. }
            | Self::Syncing { epoch, .. }
            | Self::Ready { epoch, .. }
            | Self::Draining { epoch, .. }
            | Self::Conflict { epoch }
            | Self::Recovering {
                stage: Stage::Opening { epoch, .. },
                ..
            } => Some(*epoch),
            Self::Recovering {
                stage: Stage::Outage { epoch, .. },
                ..
            } => *epoch,
            Self::Recovering {
                stage: Stage::Waiting { .. },
                ..
            }
            | Self::Stopped
            | Self::LoggedOut
            | Self::Parked { .. } => None,
        }
    }

    /// The timer that this state waits for.
    pub fn timer(&self) -> Option<TimerGen> {
        match self {
            Self::Starting { timer, .. }
            | Self::Linking { timer, .. }
            | Self::Syncing { timer, .. }
            | Self::Ready { timer, .. }
            | Self::Draining { timer, .. }
            | Self::Recovering {
                stage:
                    Stage::Waiting { timer, .. }
                    | Stage::Opening { timer, .. }
                    | Stage::Outage { timer, .. },
                ..
            } => Some(*timer),
            Self::Stopped | Self::Conflict { .. } | Self::LoggedOut | Self::Parked { .. } => None,
        }
    }

    /// The incident that is open in this state.
    pub fn climb(&self) -> Option<Climb> {
        match self {
            Self::Recovering { climb, .. } => Some(*climb),
            Self::Linking { climb, .. } | Self::Syncing { climb, .. } => *climb,
            Self::Stopped
            | Self::Starting { .. }
            | Self::Ready { .. }
            | Self::Draining { .. }
            | Self::Conflict { .. }
            | Self::LoggedOut
            | Self::Parked { .. } => None,
        }
    }
}
