//! Tests of the stores, from outside.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod busy;
mod contract;
mod crash;
mod disk_full;
mod files;
mod lying_acks;
mod same_answers;
mod support;
