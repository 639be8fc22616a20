//! The simulator as a page sees it: real TLS, real WebSockets, real HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod authenticator;
mod client;
mod control;
mod linking;
mod media;
mod network;
mod receiving;
mod sending;
