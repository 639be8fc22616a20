//! What can happen to a session.

use super::{Recycle, TimerGen};
use crate::failure::Failure;
use crate::ids::Epoch;
use crate::port::Phase;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Its owner wants it to run.
    Start,
    /// Its owner wants it to stop; the login is kept.
    Stop,
    /// Its owner wants it to be opened anew, whatever it does now.
    Restart,
    /// Its owner wants the link removed at WhatsApp and here.
    Logout,
    /// A connection could not be opened.
    OpenFailed {
        /// Which.
        epoch: Epoch,
        /// Why.
        failure: Failure,
    },
    /// A connection reports its phase, by level: the same phase may come twice.
    Phase {
        /// Which.
        epoch: Epoch,
        /// The phase.
        phase: Phase,
    },
    /// A connection shows a fresh QR code.
    Qr {
        /// Which.
        epoch: Epoch,
        /// How long it can be scanned, in milliseconds.
        expires_in_ms: u64,
    },
    /// A connection is asked for the account's passkey, in place of a code.
    PasskeyWanted {
        /// Which.
        epoch: Epoch,
        /// How long it can be given, in milliseconds.
        expires_in_ms: u64,
    },
    /// A phone has just linked this connection's profile.
    Linked {
        /// Which.
        epoch: Epoch,
    },
    /// A connection failed, or its heartbeat stopped.
    Failed {
        /// Which.
        epoch: Epoch,
        /// How.
        failure: Failure,
    },
    /// A timer fired.
    Timer {
        /// Which.
        timer: TimerGen,
    },
    /// A working browser is to be replaced by a fresh one.
    Recycle {
        /// The connection that it was decided for.
        epoch: Epoch,
        /// Why.
        why: Recycle,
    },
    /// Nothing is in flight on a connection that was to be drained.
    Drained {
        /// Which.
        epoch: Epoch,
    },
    /// The network was probed on our request.
    NetworkProbed {
        /// The timer in force when it was asked.
        timer: TimerGen,
        /// Whether WhatsApp can be reached.
        reachable: bool,
    },
}
