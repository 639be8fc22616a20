//! The gateway inside a program of your own: this module is the crate's public interface.
//!
//! A [`Gateway`] has all that `steadfast serve` has (store, supervisor, delivery, browsers) and
//! no port, unless it is asked for one. A message that [`Session::send`] took is on disk; it is
//! sent once, in order within its chat, through crashes of browser, program and machine.
//!
//! ```
//! use std::time::Duration;
//! use steadfast_gateway::embed::{Ack, AckWait, Gateway, LinkStep, Outgoing, scripted};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
//! # let folder = tempfile::tempdir()?;
//! # let data_dir = folder.path();
//! // In place of a browser and of WhatsApp: a world in memory, with one phone in it.
//! let world = scripted::World::start(7, scripted::Knobs::default(), "4915112345678")?;
//! let phone = world.phone.clone();
//! let gateway = Gateway::builder(data_dir).scripted(world).start().await?;
//!
//! let session = gateway.session("default")?;
//! session
//!     .link(Duration::from_secs(60), |step| match step {
//!         // A person would scan it; `scripted` has a phone for that.
//!         LinkStep::Qr(qr) => phone.control().scan("4915112345678", &qr.code).unwrap_or_default(),
//!         LinkStep::Passkey(_) => {}
//!     })
//!     .await?;
//!
//! let order = Outgoing::text("4915198765432", "Your order is on its way")?.key("order-4711");
//! let accepted = session.send(order).await?;
//! // From here on it is on disk, whatever happens.
//! let sent = gateway.wait_for_ack(&accepted.id, Ack::Device, Duration::from_secs(30)).await?;
//! assert!(matches!(sent, AckWait::Reached(_)));
//!
//! // The same key again is the same message, and no second one.
//! let again = Outgoing::text("4915198765432", "Your order is on its way")?.key("order-4711");
//! assert_eq!(session.send(again).await?.id, accepted.id);
//! gateway.shutdown().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })
//! # }
//! ```
//!
//! With a real browser the builder needs nothing more than the folder; docs/EMBEDDING.md has a
//! whole program, and what to know about runtimes, logs and versions.

mod builder;
mod error;
mod events;
mod outgoing;
mod session;

pub use crate::config::Config;
pub use crate::passkey::{Assertion, AssertionJson};
pub use crate::sessions::{
    AckWait, Check, CheckStatus, HealthView, IncidentSummary, Me, Overall, PasskeyChallenge,
    QrCode, SessionState, SessionView, Standing,
};
pub use builder::Builder;
pub use error::{Error, Refusal};
pub use events::Events;
pub use outgoing::{Accepted, Outgoing};
pub use session::{LinkStep, Session};
pub use steadfast_core::event::{Event, EventData, EventKind};
pub use steadfast_core::failure::{Failure, Kind, Operation};
pub use steadfast_core::ids::{ChatId, MessageId, SessionId, WaMessageId};
pub use steadfast_core::outbox::{Ack, Attempt, Body, Message, Priority, Status};
pub use steadfast_core::port::{
    ChatSummary, Connector, Engine, Incident, MessageQuery, OutboxDepth, SendOutcome, StoredInbound,
};
pub use steadfast_core::time::UnixMs;
pub use steadfast_engine::{RetryPolicy, execute_with_retry, is_worth_retrying, send_with_retry};

use crate::app::App;
use crate::http::HttpState;
use crate::serve::Running;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// WhatsApp and its browser in memory, for tests of what is built on the gateway.
pub mod scripted {
    pub use steadfast_sim::Authenticator;
    pub use steadfast_sim::knobs::Knobs;
    pub use steadfast_sim::phone::{Phone, WorldPhone};
    pub use steadfast_sim::scripted::ScriptedWorld as World;
}

/// A gateway that runs in this process. Ends with [`Gateway::shutdown`]; one that is dropped
/// without it loses nothing either, but leaves its browsers to be ended by the next start.
pub struct Gateway {
    running: Running,
}

impl Gateway {
    /// What a gateway on this data folder is to be. The folder is made where it is missing, and
    /// belongs to one gateway at a time, embedded or not.
    pub fn builder(data_dir: impl Into<PathBuf>) -> Builder {
        Builder::new(data_dir.into())
    }

    fn app(&self) -> &Arc<App> {
        self.running.app()
    }

    fn state(&self) -> &Arc<HttpState> {
        self.running.state()
    }

    /// A session by its name; `default` is there from the start.
    ///
    /// # Errors
    /// [`Error::Refused`] for what is no name. Whether there is such a session is known when it is asked.
    pub fn session(&self, name: &str) -> Result<Session, Error> {
        let name = SessionId::parse(name)?;
        Ok(Session::new(Arc::clone(self.state()), name))
    }

    /// Makes a session and starts it.
    ///
    /// # Errors
    /// [`Error::Refused`]: `session_exists`, `session_limit`, or no name.
    pub async fn create_session(&self, name: &str) -> Result<Session, Error> {
        let name = SessionId::parse(name)?;
        self.app().sessions.create(&name, None).await?;
        Ok(Session::new(Arc::clone(self.state()), name))
    }

    /// Every session, by name.
    ///
    /// # Errors
    /// [`Error::Refused`] where the store fails.
    pub async fn sessions(&self) -> Result<Vec<SessionView>, Error> {
        Ok(self.app().sessions.list().await?)
    }

    /// One message; `None` where it is not known.
    ///
    /// # Errors
    /// [`Error::Refused`] where the store fails.
    pub async fn message(&self, id: &MessageId) -> Result<Option<Message>, Error> {
        Ok(self.app().store.message(id).await?)
    }

    /// Every try to hand a message over, in order.
    ///
    /// # Errors
    /// [`Error::Refused`] where the store fails.
    pub async fn attempts(&self, id: &MessageId) -> Result<Vec<Attempt>, Error> {
        Ok(self.app().store.attempts(id).await?)
    }

    /// Takes a message back that no attempt has touched; says where it stands then, which is
    /// [`Status::Cancelled`] where that worked. `None` where it is not known.
    ///
    /// # Errors
    /// [`Error::Refused`] where the store fails.
    pub async fn cancel(&self, id: &MessageId) -> Result<Option<Message>, Error> {
        let now = self.app().clock.unix();
        let message = self.app().store.cancel(id, now).await?;
        self.decided(message.as_ref());
        Ok(message)
    }

    /// Decides about a parked message: sent again under its old id, or given up. `None` where it
    /// is not known or not parked.
    ///
    /// # Errors
    /// [`Error::Refused`] where the store fails.
    pub async fn unpark(&self, id: &MessageId, send_again: bool) -> Result<Option<Message>, Error> {
        let before = self.app().store.message(id).await?;
        if before.is_none_or(|message| message.status != Status::Parked) {
            return Ok(None);
        }
        let now = self.app().clock.unix();
        let message = self.app().store.unpark(id, send_again, now).await?;
        self.decided(message.as_ref());
        Ok(message)
    }

    fn decided(&self, message: Option<&Message>) {
        if let Some(message) = message {
            self.app().sessions.notify_outbox(&message.session);
        }
    }

    /// Waits until a message has come this far, or never will by itself. Giving up the wait gives
    /// up nothing else: the message stays in the outbox.
    ///
    /// # Errors
    /// [`Error::Refused`] where the store fails.
    pub async fn wait_for_ack(
        &self,
        id: &MessageId,
        level: Ack,
        deadline: Duration,
    ) -> Result<AckWait, Error> {
        Ok(self
            .app()
            .sessions
            .wait_for_ack(id, level, deadline)
            .await?)
    }

    /// Everything that happens, from a position on: 0 for the oldest that is kept,
    /// [`Gateway::newest_event`] for what is still to come.
    pub fn events(&self, after: i64) -> Events {
        Events::new(Arc::clone(self.state()), after)
    }

    /// The newest position in the log of events.
    ///
    /// # Errors
    /// [`Error::Refused`] where the store fails.
    pub async fn newest_event(&self) -> Result<i64, Error> {
        Ok(self.app().store.event_span().await?.newest)
    }

    /// Where the HTTP interface is, where [`Builder::http`] asked for it.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.running.http_address()
    }

    /// The admin token that the first start with HTTP made. It is nowhere else.
    pub fn first_token(&self) -> Option<&str> {
        self.running.first_token()
    }

    /// Ends it in order, within `server.shutdown_timeout_ms`. All that is owed stays on disk.
    pub async fn shutdown(self) {
        self.running.stop().await;
    }
}
