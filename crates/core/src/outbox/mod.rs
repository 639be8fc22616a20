//! What we owe: one message's journey from accepted to read.
//!
//! The promise, in words that we print: *a 202 means that it is on disk.
//! Every accepted message ends as sent, rejected or parked with a reason.
//! Delivery is at least once, made once by a stable id; a copy is possible
//! only where the look-up cannot decide, and that case is parked, not sent.*

mod ack;
mod body;
mod machine;
mod message;
mod priority;
mod status;

pub use ack::Ack;
pub use body::{
    Body, ContactCard, Contacts, Degrees, Edit, Forward, Location, Media, MediaFile, MediaKind,
    Poll, Reaction, Revoke, Text,
};
pub use machine::{
    AckError, AfterLookup, DeliveryPolicy, Plan, RELEASED, SLOWED_DOWN, Settled, ack_error,
    after_lookup, after_send, heals_with_session, outcome, plan, reject_reason,
};
pub use message::{Attempt, Claimed, Message, NewMessage};
pub use priority::Priority;
pub use status::{ParkReason, RejectReason, Status};
