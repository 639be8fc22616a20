//! What happens, as an embedding program follows it.

use super::Error;
use crate::http::HttpState;
use crate::http::problem::{Code, Problem};
use crate::sessions::SessionError;
use std::collections::VecDeque;
use std::sync::Arc;
use steadfast_core::event::{Event, EventKinds};
use steadfast_core::ids::SessionId;
use steadfast_core::port::EventQuery;

/// Read at once.
const PIECE: u32 = 100;

/// Events from a position on, in order: those that are on disk, and then each
/// as it comes. Whoever keeps [`Events::position`] with what it has done misses
/// nothing, over restarts too.
pub struct Events {
    state: Arc<HttpState>,
    query: EventQuery,
    read: VecDeque<Event>,
    position: i64,
    gap: bool,
}

impl Events {
    pub(super) fn new(state: Arc<HttpState>, after: i64) -> Self {
        Self {
            state,
            query: EventQuery {
                after,
                kinds: EventKinds::ALL,
                sessions: None,
                limit: PIECE,
            },
            read: VecDeque::new(),
            position: after,
            gap: false,
        }
    }

    /// Only these kinds, by name or with a star: `message.sent`, `message.*`.
    ///
    /// # Errors
    /// `invalid_request` for a name that is none.
    pub fn kinds<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        self.query.kinds = EventKinds::of(names)
            .map_err(|error| Problem::new(Code::InvalidRequest, error.to_string()))?;
        Ok(self)
    }

    /// Only events of these sessions.
    pub fn of(mut self, sessions: impl IntoIterator<Item = SessionId>) -> Self {
        self.query.sessions = Some(sessions.into_iter().collect());
        self
    }

    /// The next one; waits for it. May be given up and asked again: none is skipped.
    ///
    /// # Errors
    /// `shutting_down`, or the store failed.
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(event) = self.read.pop_front() {
                self.position = event.seq;
                return Ok(event);
            }
            let store = &self.state.app().store;
            let page = store.events(self.query.clone()).await?;
            // Who asks from the beginning has missed nothing.
            self.gap |= page.gap && self.query.after > 0;
            self.query.after = page.next;
            if !page.events.is_empty() {
                self.read.extend(page.events);
                continue;
            }
            if page.more {
                continue;
            }
            tokio::select! {
                news = store.events_beyond(page.next) => { news?; }
                () = self.state.ended() => return Err(SessionError::ShuttingDown.into()),
            }
        }
    }

    /// The position of the event that was given last: where to go on from.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Whether events were dropped before they could be read
    /// (`events.keep_ms`, `events.keep`), since this was asked last.
    pub fn missed_some(&mut self) -> bool {
        std::mem::take(&mut self.gap)
    }
}
