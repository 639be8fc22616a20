//! The gateway from outside: its HTTP surface over real sockets with sessions
//! that are made up, and the real binary for everything that the command
//! line can be asked or given wrongly.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets the unexpected has failed"
)]

mod backup;
mod binary;
mod chaos;
mod cli_config;
mod cli_errors;
mod cli_explain;
mod cli_link;
mod cli_manual;
mod cli_outbox;
mod cli_serve;
mod cli_webhooks;
mod client;
mod crew;
mod dashboard;
mod dashboard_heavy;
mod dashboard_http;
mod docs_run;
mod embed;
mod fake;
mod hangups;
mod http_actions;
mod http_auth;
mod http_batch;
mod http_bounds;
mod http_docs;
mod http_doubt;
mod http_events;
mod http_front_door;
mod http_hostile;
mod http_media;
mod http_messages;
mod http_options;
mod http_original;
mod http_scripted;
mod http_sessions;
mod http_system;
mod http_tokens;
mod http_waha;
mod http_waha_page;
mod http_waha_sending;
mod http_waha_webhooks;
mod http_webhooks;
mod kinds;
mod media_full;
mod packaging;
mod passkey;
mod person;
mod playground;
mod port;
mod proxied;
mod python;
mod quiet_logs;
mod receiver;
mod reload;
mod rust_client;
mod schemathesis;
mod scripted;
mod still;
mod surface;
mod telemetry;
mod waha_clients;
mod webhooks_crash;
mod window;
