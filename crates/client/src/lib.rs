//! A client for Rust programs that talk to a running gateway over HTTP.
//!
//! ```no_run
//! use steadfast_client::{Client, Message, Wait};
//! use std::time::Duration;
//!
//! # async fn example(token: &str) -> Result<(), steadfast_client::Error> {
//! let gateway = Client::new("http://127.0.0.1:8080", token)?;
//! let order = Message::text("4915123456789", "Your order is on its way.")
//!     .key("order-4711")
//!     .wait(Wait::Server, Duration::from_secs(10));
//! let accepted = gateway.send("default", &order).await?;
//! println!("{} is {:?}", accepted.id, accepted.status);
//! # Ok(())
//! # }
//! ```
//!
//! **An accept is safe to repeat, and is repeated.** Every [`Message`] has an
//! Idempotency-Key from its making on, so that [`Client::send`] may try again
//! where no answer came or the gateway asks for another try (honouring its
//! `Retry-After`), until [`Builder::patience`] is over. The same value given
//! twice is one message; so is its clone. A key of your own (an order's number)
//! also makes it one message across restarts of your program.
//!
//! **Errors are typed.** [`Error::Problem`] is what the gateway says, with its
//! stable `code`; [`Error::Transport`] is that nothing, or not all, came from it;
//! [`Error::may_be_accepted`] says whether the message may be with the gateway
//! all the same. Every request has a deadline, every answer a bound.
//!
//! **Events are read by position.** [`Client::events`] begins anywhere in the log
//! and goes on from there over lost connections and restarts of either side:
//!
//! ```no_run
//! use steadfast_client::{Client, Start};
//!
//! # async fn example(gateway: Client, kept: Option<String>) -> Result<(), steadfast_client::Error> {
//! let from = kept.map_or(Start::Oldest, Start::After);
//! let mut events = gateway.events(from).types(["message.*"]);
//! loop {
//!     let page = events.next_page().await?;
//!     for event in &page.items {
//!         println!("{} {}", event.kind, event.data);
//!     }
//!     // Keep page.next where your program finds it again.
//! #   if page.items.is_empty() { return Ok(()) }
//! }
//! # }
//! ```
//!
//! [`Events::into_stream`] gives the same log as a stream, event by event:
//! [`EventStream`].
//!
//! **TLS is spoken where the URL begins with `https://`.** The public roots (those
//! of Mozilla, built in) are trusted, and not those of the system; the authority
//! that made your own gateway's certificate is added with
//! [`Builder::root_certificates`]. A gateway that is not believed is told nothing:
//! [`Transport::Tls`].
//!
//! It stands on hyper alone, knows nothing of the gateway but its HTTP interface
//! (docs/API.md), and needs a tokio runtime with time and I/O enabled. There is
//! no default token, and none is ever printed.

mod answer;
mod client;
mod error;
mod events;
mod message;
mod retry;
mod stream;
mod wire;

pub use answer::{
    Accepted, Ack, Alive, Attempt, BatchAnswer, BatchResult, Check, Me, MessageView, Number,
    OutboxDepth, Page, Readiness, SessionState, SessionView, Status, Uploaded, Webhook,
    WebhookWithSecret,
};
pub use client::{Builder, Client, Listing, NewWebhook};
pub use error::{Error, Problem, Transport};
pub use events::{Event, EventPage, Events, Start};
pub use message::{Batch, MediaKind, Message, Priority, Wait};
pub use stream::EventStream;

use std::fmt;

/// A text that is not printed.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: not for logs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
