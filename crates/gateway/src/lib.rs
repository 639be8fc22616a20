//! The Steadfast gateway.

pub mod app;
pub mod audit;
pub mod browser;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod delivery;
pub mod events;
pub mod harness;
pub mod http;
pub mod inbox;
pub mod logging;
pub mod metrics;
pub mod outgoing;
pub mod passkey;
pub mod qr;
pub mod seal;
pub mod serve;
pub mod sessions;
pub mod supervisor;
pub mod token;
pub mod updates;
pub mod webhooks;
