//! Keeps sessions alive.
//!
//! One actor per session owns its pure machine ([`steadfast_core::session`]),
//! runs the machine's effects and feeds back what comes of them. It is dull on
//! purpose: what to do about a failure is decided in core.
//!
//! - [`registry`]: every session, and what HTTP may ask of them
//! - [`actor`]: one session's loop; [`conduct`]: what it does about what its machine decided
//! - [`operations`]: what is done to its browser, one thing at a time
//! - [`sink`]: where its engine's events arrive
//! - [`heartbeat`]: notices a hung page; [`canary`]: proves that sending works
//! - [`upkeep`]: when a browser that works is replaced all the same
//! - [`crew`]: the tasks of a session, and what is done where one panics
//! - [`numbers`]: which numbers have WhatsApp, remembered for a while
//! - [`incidents`]: writes down what failed and what healed it; [`availability`]: sums up how much of the time it was well
//! - [`snapshot`], [`view`], [`health`], [`advice`]: what people see

mod actor;
mod advice;
mod availability;
mod canary;
mod conduct;
mod crew;
mod health;
mod heartbeat;
mod incidents;
mod numbers;
mod operations;
mod registry;
mod sink;
mod snapshot;
mod upkeep;
mod view;

pub(crate) use canary::is_canary;
pub use registry::{Connectors, Supervisor, SupervisorOptions};
pub use upkeep::{Activity, UpkeepPolicy};
