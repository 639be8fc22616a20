//! Keeps sessions alive.
//!
//! One actor per session owns its pure machine ([`steadfast_core::session`]),
//! runs the machine's effects and feeds back what comes of them. It is dull on
//! purpose: what to do about a failure is decided in core.
//!
//! - [`registry`]: every session, and what HTTP may ask of them
//! - [`actor`]: one session's loop
//! - [`operations`]: what is done to its browser, one thing at a time
//! - [`sink`]: where its engine's events arrive
//! - [`heartbeat`]: notices a hung page
//! - [`incidents`]: writes down what failed and what healed it
//! - [`snapshot`], [`view`], [`health`], [`advice`]: what people see

mod actor;
mod advice;
mod health;
mod heartbeat;
mod incidents;
mod operations;
mod registry;
mod sink;
mod snapshot;
mod view;

pub use registry::{Connectors, Supervisor, SupervisorOptions};
