//! The log of everything that happens: [`EventLog`].

use super::store::StoreError;
use crate::event::{Event, EventKinds, Told};
use crate::ids::{SessionId, WebhookId};
use crate::inbound::Happening;
use crate::time::UnixMs;
use async_trait::async_trait;

/// What can be asked of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Only after this position.
    pub after: i64,
    /// Only these kinds.
    pub kinds: EventKinds,
    /// Only events of these sessions; `None`: of all, and those of none.
    pub sessions: Option<Vec<SessionId>>,
    /// At most so many; the caller bounds it.
    pub limit: u32,
}

/// A piece of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// What was found, in order.
    pub events: Vec<Event>,
    /// The position up to which was looked: the `after` of the next query,
    /// also where nothing was found.
    pub next: i64,
    /// Whether there is more behind it.
    pub more: bool,
    /// Whether events behind `after` were dropped before they could be read,
    /// or there never was such a position: the log is another one, or older
    /// than its reader thinks (a backup that was put back). Then `next` is where it ends.
    pub gap: bool,
}

/// How far the log goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventSpan {
    /// The position up to which events were dropped; 0: none was.
    pub dropped_upto: i64,
    /// The newest position that there ever was; 0: nothing happened yet.
    pub newest: i64,
}

/// Which events may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrimEvents {
    /// Those from before this time.
    pub before: UnixMs,
    /// Those beyond so many newest ones.
    pub keep: u64,
    /// What an endpoint is still owed stays, but not beyond so many newest ones.
    pub keep_owed: u64,
    /// At most so many rows at once.
    pub limit: u32,
    /// Now: what an endpoint missed is told at this time.
    pub at: UnixMs,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// So many events went.
    pub events: u64,
    /// They were so many rows: as many as the limit means that there may be more.
    pub rows: u32,
    /// Endpoints that had not been given all of them, and how many each missed.
    pub missed: Vec<(WebhookId, u64)>,
}

/// The log. Every change of what the store keeps writes its events itself;
/// here is what is told beside that, and how it is read.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Keeps what happened to a message or group; `false` where it was kept
    /// before, by its [`Happening::key`].
    async fn keep_happening(
        &self,
        session: &SessionId,
        happening: Happening,
        at: UnixMs,
    ) -> Result<bool, StoreError>;

    /// Tells what no other write tells.
    async fn tell(&self, told: Told, at: UnixMs) -> Result<(), StoreError>;

    /// Reads a piece of the log. Bounded in what it looks at, whatever is
    /// asked for: it may find nothing though there is more.
    async fn events(&self, query: EventQuery) -> Result<EventPage, StoreError>;

    /// How far the log goes.
    async fn event_span(&self) -> Result<EventSpan, StoreError>;

    /// Waits until the log goes beyond this position, and says how far. The
    /// caller bounds the wait. What another process writes is not heard of.
    async fn events_beyond(&self, position: i64) -> Result<i64, StoreError>;

    /// Drops old events. An endpoint that had not been given all of them goes
    /// on behind them, and the gap is told as an event.
    async fn trim_events(&self, trim: TrimEvents) -> Result<Trimmed, StoreError>;
}
