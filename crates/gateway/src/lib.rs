//! The Steadfast gateway.

pub mod app;
pub mod clock;
pub mod config;
pub mod metrics;
pub mod sessions;
