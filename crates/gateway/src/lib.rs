//! The Steadfast gateway.
//!
//! [`embed`] is the interface for programs that carry the gateway: documented, and kept from one
//! version to the next. Everything else is public for the binary, the tests and the tools of this
//! repository alone, and may change at any time.

pub mod app;
pub mod audit;
pub mod backup;
pub mod browser;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod delivery;
pub mod embed;
pub mod events;
pub mod harness;
mod housekeeping;
pub mod http;
pub mod inbox;
pub mod logging;
pub mod manager;
pub mod media;
pub mod metrics;
pub mod outgoing;
pub mod passkey;
pub mod qr;
pub mod seal;
pub mod serve;
pub mod sessions;
pub mod supervisor;
pub mod token;
pub mod traces;
pub mod troubles;
pub mod updates;
pub mod webhooks;
