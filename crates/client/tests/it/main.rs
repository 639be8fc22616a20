//! The client against a server that misbehaves as a test says. What it makes
//! of a real gateway stands in the gateway's own tests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets the unexpected has failed"
)]

mod bounds;
mod repeats;
mod server;
mod streams;

use steadfast_client::{Builder, Client};

const TOKEN: &str = "sf_s_not-to-be-printed";
const ACCEPTED: &str = r#"{"id":"msg_1","wa_message_id":"3EB0","session":"default","to":"49151@c.us","status":"accepted","accepted_at":"2024-01-15T10:30:00.000Z","from_a_newer_gateway":1}"#;

fn client(server: &server::Server) -> Builder {
    Client::builder(format!("http://{}", server.address), TOKEN)
}
