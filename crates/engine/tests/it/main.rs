//! The engine on the simulator's page, in real Chromium.

#![expect(
    clippy::print_stdout,
    reason = "how long a recovery took is worth seeing beside its test"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod contract;
mod damage;
mod deaths;
mod happenings;
mod harness;
mod inbound;
mod linking;
mod passkey;
mod picture;
mod profile;
mod recovery;
mod sending;
mod surface;
mod unrest;
