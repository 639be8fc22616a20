//! The log of events, read by position.

use super::client::Client;
use super::error::Error;
use super::retry;
use super::stream::EventStream;
use super::wire::{Ask, segment};
use hyper::Method;
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::time::Duration;
use tokio::time::Instant;

/// How long the gateway waits for news, in milliseconds; more it does not take.
const WAIT_MS: u64 = 25_000;
/// Events in a page.
const LIMIT: u32 = 200;
/// A gateway that ends answers a wait at once. Two such answers are so far apart.
const BREATH: Duration = Duration::from_millis(500);

/// Where reading begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With the oldest event that is kept.
    Oldest,
    /// With what happens from now on.
    Now,
    /// Behind this position: an [`EventPage::next`] that was kept.
    After(String),
}

/// One thing that happened.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// Its id, the same however often it is told.
    pub id: String,
    /// Its position.
    pub seq: i64,
    /// `message.sent`, `session.state`, ...: see docs/API.md.
    #[serde(rename = "type")]
    pub kind: String,
    /// The session that it belongs to.
    pub session: Option<String>,
    /// When it happened, RFC 3339.
    pub timestamp: String,
    /// The particulars, by type.
    pub data: Value,
    /// Whether events before this one are gone unread: they were kept for too
    /// short a time. Told by an [`EventStream`]; a page says it of itself.
    #[serde(skip)]
    pub gap: bool,
}

/// A piece of the log.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct EventPage {
    /// In order.
    pub items: Vec<Event>,
    /// The position behind them: keep it once they are dealt with.
    pub next: String,
    /// Whether there is more already.
    pub more: bool,
    /// Whether events before these are gone unread: they were kept for too short a time.
    pub gap: bool,
}

/// A reader of the log, made by [`Client::events`].
#[derive(Debug, Clone)]
pub struct Events {
    client: Client,
    from: Start,
    filter: String,
}

impl Events {
    pub(crate) fn new(client: Client, from: Start) -> Self {
        Self {
            client,
            from,
            filter: String::new(),
        }
    }

    /// Only these types: `message.sent`, `message.*`.
    pub fn types<S: AsRef<str>>(self, types: impl IntoIterator<Item = S>) -> Self {
        self.filtered("types", types)
    }

    /// Only events of these sessions.
    pub fn sessions<S: AsRef<str>>(self, names: impl IntoIterator<Item = S>) -> Self {
        self.filtered("session", names)
    }

    fn filtered<S: AsRef<str>>(mut self, name: &str, of: impl IntoIterator<Item = S>) -> Self {
        let each: Vec<_> = of.into_iter().map(|text| segment(text.as_ref())).collect();
        let _ = write!(self.filter, "&{name}={}", each.join(","));
        self
    }

    /// The same one by one, as a [`Stream`](futures_core::Stream). Asks nothing yet.
    pub fn into_stream(self) -> EventStream {
        EventStream::new(self)
    }

    /// The next events: waits for them as long as it takes. A connection that
    /// is lost, or a gateway that is away, is waited for too, until the
    /// client's patience is over. May be dropped at any time: the position
    /// moves with what is returned.
    ///
    /// # Errors
    /// What the gateway refuses, and where it stays away; asked again, it goes
    /// on where it stood.
    pub async fn next_page(&mut self) -> Result<EventPage, Error> {
        if self.from == Start::Now {
            // Found out before anything is waited for: what happens while a
            // connection is lost is not to be missed.
            let now = self.page("end", 0).await?;
            self.from = Start::After(now.next);
        }
        loop {
            let asked = Instant::now();
            let page = match &self.from {
                Start::After(position) => self.page(position, WAIT_MS).await?,
                Start::Oldest | Start::Now => self.page("", WAIT_MS).await?,
            };
            let news = !page.items.is_empty() || page.gap;
            self.from = Start::After(page.next.clone());
            if news {
                return Ok(page);
            }
            if !page.more && asked.elapsed() < BREATH {
                tokio::time::sleep(BREATH).await;
            }
        }
    }

    async fn page(&self, after: &str, wait_ms: u64) -> Result<EventPage, Error> {
        let after = match after {
            "" => String::new(),
            position => format!("&after={}", segment(position)),
        };
        let path = format!(
            "/v1/events?limit={LIMIT}&wait_ms={wait_ms}{after}{}",
            self.filter
        );
        let patience = self.client.patience() + Duration::from_millis(wait_ms);
        retry::until_done(patience, || async {
            let mut ask = Ask::new(Method::GET, path.clone());
            ask.waits = Duration::from_millis(wait_ms);
            self.client.ask(&ask).await?.json()
        })
        .await
    }
}
