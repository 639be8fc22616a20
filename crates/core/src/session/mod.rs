//! One session's life, as one pure machine.
//!
//! stopped, starting, linking, syncing, ready, recovering, conflict,
//! logged_out, parked. [`Machine::step`] takes what happened and the time,
//! and returns what is to be done; it does nothing itself. Every engine event
//! carries its epoch and every timer its generation, so that a late arrival
//! of a dead connection is recognised and changes nothing.
//!
//! The moves stand in three files: [`machine`] has what people and timers
//! want, [`phases`] how a connection's own word is read, [`recovery`] how a
//! failure is answered.

mod effect;
mod event;
mod machine;
mod phases;
mod policy;
mod recovery;
mod state;

pub use effect::{Effect, IncidentEnd, TimerGen};
pub use event::Event;
pub use machine::{Illegal, Machine};
pub use policy::{ConflictPolicy, Deadlines, Policy};
pub use state::{Recycle, Stage, State};

#[cfg(test)]
mod tests;
