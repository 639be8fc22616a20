//! The engine on the simulator's page, in real Chromium.

mod deaths;
mod harness;
mod inbound;
mod linking;
mod profile;
mod recovery;
mod sending;
mod surface;
