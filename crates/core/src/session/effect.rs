//! What a session wants done.

use super::Recycle;
use crate::failure::{Failure, Rung};
use crate::ids::Epoch;
use crate::port::{Close, OpenStep};

/// A timer's generation: only the newest one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TimerGen(pub u64);

/// How an incident ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentEnd {
    /// Ready again, by this rung.
    Recovered {
        /// The last rung taken.
        by: Rung,
    },
    /// Its owner stopped the session.
    Stopped,
    /// A person must decide.
    Parked,
    /// The link was opened elsewhere and we yielded.
    Yielded,
}

/// What is to be done. The driver runs them in order and feeds back what comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Open the next connection. Whatever was open before is dead from here on.
    Open {
        /// How.
        step: OpenStep,
        /// Its epoch.
        epoch: Epoch,
    },
    /// Close what is open.
    Close {
        /// How.
        how: Close,
    },
    /// Log the link out through this connection, then close it and erase the profile.
    LogOut {
        /// The live connection, where there is one.
        epoch: Option<Epoch>,
    },
    /// Wake the machine; replaces every earlier timer.
    Arm {
        /// The generation to give back.
        timer: TimerGen,
        /// In how many milliseconds.
        after_ms: u64,
    },
    /// Ask whether WhatsApp can be reached, and answer with `NetworkProbed`.
    ProbeNetwork {
        /// To be given back.
        timer: TimerGen,
    },
    /// The network is back: have the page of this connection try now, and not
    /// only when its own wait is over.
    Reconnect {
        /// Its connection.
        epoch: Epoch,
    },
    /// Hand nothing more over, and say `Drained` when nothing is in flight.
    Drain {
        /// Why the browser is to be replaced.
        why: Recycle,
    },
    /// The profile holds a new login: what is in flight cannot be looked up in it.
    NewLogin,
    /// Keep on disk that a person must decide, with the reason, or that one has.
    KeepParked {
        /// The kind's name; `None` where a person has decided.
        reason: Option<&'static str>,
    },
    /// An incident begins.
    OpenIncident {
        /// With this.
        failure: Failure,
    },
    /// Within the open incident, this came to light too.
    IncidentFailure {
        /// What.
        failure: Failure,
    },
    /// A step of the open incident.
    IncidentStep {
        /// The rung taken or to be taken; `None` while waiting or noticing.
        rung: Option<Rung>,
        /// One sentence for a person.
        detail: String,
    },
    /// The open incident ends.
    CloseIncident {
        /// How.
        end: IncidentEnd,
    },
}
