//! How far WhatsApp says that a message has come.

use serde::{Deserialize, Serialize};

/// An ack only ever moves forward; an error code is a failure, not an ack.
///
/// Numbers from the field: 1 SENT, 2 RECEIVED, 3 READ, 4 PLAYED (WhatsApp
/// Web's own `ACK`); 0 CLOCK is "in the page's outbox".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// In the page's own outbox; no server has it yet.
    Pending,
    /// WhatsApp's server has it. Not yet on any phone.
    Server,
    /// A device of the recipient has it.
    Device,
    /// It was shown to the recipient.
    Read,
    /// A voice note or video was played.
    Played,
}

impl Ack {
    /// Reads WhatsApp's number. Negative ones are errors and give `None`, as
    /// do unknown ones; 5 (PEER, our own other device) counts as the server's.
    pub fn from_level(level: i64) -> Option<Self> {
        match level {
            0 => Some(Self::Pending),
            1 | 5 => Some(Self::Server),
            2 => Some(Self::Device),
            3 => Some(Self::Read),
            4 => Some(Self::Played),
            _ => None,
        }
    }

    /// WhatsApp's number of it.
    pub fn level(self) -> i64 {
        match self {
            Self::Pending => 0,
            Self::Server => 1,
            Self::Device => 2,
            Self::Read => 3,
            Self::Played => 4,
        }
    }
}
