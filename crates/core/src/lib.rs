//! The rules of Steadfast.
//!
//! Nothing here touches a clock, a file, a socket or a thread: time and
//! randomness come in as arguments, and what is to be done goes out as data.
//! Read in this order: [`ids`], [`outbox`] (one message's journey),
//! [`failure`] (what went wrong and what it means), [`ladder`] (which step
//! heals it), [`session`] (the machine that puts these together), [`pacing`]
//! (how fast an account may send), [`event`] (what is told of it all), [`port`]
//! (what the outside world must implement).

pub mod action;
pub mod backoff;
pub mod event;
pub mod failure;
pub mod ids;
pub mod inbound;
pub mod ladder;
pub mod outbox;
pub mod pacing;
pub mod port;
pub mod proxy;
pub mod session;
pub mod time;
