//! Keeps what Steadfast owes.
//!
//! Two stores implement [`steadfast_core::port::Store`]: [`SqliteStore`], the
//! real one, and [`MemoryStore`], for tests and for programs that need to
//! remember nothing. Both obey the same rules, and one contract test runs on both.
//!
//! # The rules, in words
//!
//! - A chat has a lane for each priority, and each lane is delivered in the
//!   order in which its messages were accepted. A chat's **head** is the first
//!   of its highest lane among those that are accepted or sending. Nothing
//!   behind the head is claimed before the head is settled; a head that waits
//!   for its next try holds its own chat and no other.
//! - A message that its owner wants sent later stands in no chat before it is
//!   due; then it takes the place in its lane that its acceptance gives it.
//! - Across chats the heads of higher lanes are claimed first, in a lane those
//!   that are due the longest. What is accepted into a high lane is found at
//!   once, however many messages wait in the others.
//! - What is sent, rejected, expired, cancelled or parked leaves the queue and
//!   holds nobody up. A parked message that a person releases takes its old
//!   place again.
//! - A claim marks its messages `sending` on disk before it returns them. A
//!   message that is `sending` may be with WhatsApp: whoever claims it next
//!   sees that, and looks it up instead of sending it again.
//! - Every write for delivery carries a fence; a stale one changes nothing.
//! - Acks move forward, never back, whatever order they come in. WhatsApp's
//!   word that it has a message beats every doubt of ours, and settles it even
//!   while it is claimed.
//! - What changes is told in the log of events by the write that changes it, so
//!   that one is never on disk without the other. Positions in the log only
//!   grow and are never used again.
//! - A store reads no clock: every time comes in as an argument.
//! - Reading about a session that does not exist finds nothing; writing for it
//!   is [`NoSession`](steadfast_core::port::StoreError::NoSession).
//!
//! # Bounds
//!
//! A claim gives at most [`MAX_CLAIM`] messages, a message keeps its last
//! [`MAX_ATTEMPTS_KEPT`] attempts, a session its newest
//! [`MAX_INCIDENTS_KEPT`] incidents of [`MAX_INCIDENT_STEPS`] steps each. A query
//! of the log looks at [`MAX_EVENTS_LOOKED_AT`] events. The log itself grows until
//! it is trimmed, which is the caller's to do. Of an endpoint the newest
//! [`MAX_DEAD_KEPT`] dead letters and [`MAX_DELIVERY_ATTEMPTS_KEPT`] attempts are kept.

mod memory;
mod rules;
mod sqlite;

pub use memory::MemoryStore;
pub use rules::{
    MAX_ATTEMPTS_KEPT, MAX_AUDIT_KEPT, MAX_CLAIM, MAX_DEAD_KEPT, MAX_DELIVERY_ATTEMPTS_KEPT,
    MAX_EVENTS_LOOKED_AT, MAX_INCIDENT_STEPS, MAX_INCIDENTS_KEPT,
};
pub use sqlite::{Options, SqliteStore, copy_database};
