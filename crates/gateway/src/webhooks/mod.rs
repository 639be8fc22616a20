//! Events pushed to endpoints: at least once, with ids that never change.
//!
//! [`signature`] says how a body is signed, [`schedule`] when a failed
//! delivery is tried again, [`circuit`] when an endpoint counts as down. All
//! three are pure: time and chance are handed to them.

pub mod circuit;
pub mod schedule;
pub mod signature;
