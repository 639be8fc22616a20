//! The log of events under `/v1/events`: pulled by position, now or when there is news.

use super::auth::{Caller, Sorting, ToRead};
use super::event_json::EventJson;
use super::extract::Query;
use super::problem::{Code, Problem};
use super::{HttpState, JsonAnswer, page_limit};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::event::EventKinds;
use steadfast_core::ids::SessionId;
use steadfast_core::port::{EventPage, EventQuery};
use utoipa::{IntoParams, ToSchema};

/// Longest that a request for news waits; below every proxy's usual patience.
const MAX_WAIT_MS: u64 = 25_000;

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Only after this position: the `next` of the page before. Without it,
    /// from the oldest that is kept; `end`: only what is still to come.
    after: Option<String>,
    /// Only these types, comma separated: `message.sent,message.received`, `message.*`.
    types: Option<String>,
    /// Only events of these sessions, comma separated.
    session: Option<String>,
    /// At most so many, 1 to 200; 50 where not said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// Where there is nothing yet, wait so long for something, in milliseconds.
    #[param(maximum = 25_000)]
    wait_ms: Option<u64>,
}

/// Which events somebody wants, and may have.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) kinds: EventKinds,
    pub(super) sessions: Option<Vec<SessionId>>,
}

impl Wish {
    /// Reads the filters of a query. What the caller's token may not see is
    /// taken out here, and nowhere else.
    pub(super) fn read<D>(
        caller: &Caller<D>,
        types: Option<&str>,
        session: Option<&str>,
    ) -> Result<Self, Problem> {
        let wrong =
            |what: &dyn std::fmt::Display| Problem::new(Code::InvalidRequest, what.to_string());
        let kinds = match types {
            None => EventKinds::ALL,
            Some(text) => {
                EventKinds::of(text.split(',').map(str::trim)).map_err(|error| wrong(&error))?
            }
        };
        let asked = session
            .map(|text| {
                let names = text.split(',').map(|name| SessionId::parse(name.trim()));
                names.collect::<Result<Vec<_>, _>>()
            })
            .transpose()
            .map_err(|error| wrong(&error))?;
        Ok(Self {
            kinds,
            sessions: caller.may_see(asked),
        })
    }

    pub(super) fn after(&self, after: i64, limit: u32) -> EventQuery {
        EventQuery {
            after,
            kinds: self.kinds,
            sessions: self.sessions.clone(),
            limit,
        }
    }
}

/// A piece of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventsPage {
    items: Vec<EventJson>,
    /// Give it as `after` to go on; always there, also where nothing was found.
    next: String,
    /// Whether there is more already.
    more: bool,
    /// Whether events behind `after` are gone (they were older, or more, than
    /// `events.keep_ms` and `events.keep` allow), or there never was such a
    /// position, as after a backup was put back.
    gap: bool,
}

impl EventsPage {
    fn of(page: &EventPage, asked: bool) -> Self {
        Self {
            items: page.events.iter().map(EventJson::from).collect(),
            next: page.next.to_string(),
            more: page.more,
            // Who asks from the beginning has missed nothing.
            gap: page.gap && asked,
        }
    }
}

/// What happened, in order, from a position on. Every change is told here in
/// the same transaction that makes it: whoever goes on from `next` misses
/// nothing, and is told nothing twice.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(EventsQuery),
    responses((status = 200, body = EventsPage)))]
pub(super) async fn list(
    caller: Caller<Sorting<ToRead>>,
    State(state): State<Arc<HttpState>>,
    Query(query): Query<EventsQuery>,
) -> Result<JsonAnswer<EventsPage>, Problem> {
    let limit = page_limit(query.limit)?;
    let wish = Wish::read(&caller, query.types.as_deref(), query.session.as_deref())?;
    let wait_ms = query.wait_ms.unwrap_or(0);
    if wait_ms > MAX_WAIT_MS {
        let detail = format!("wait_ms is a number from 0 to {MAX_WAIT_MS}");
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    let asked = query.after.is_some();
    let mut after = position(&state, query.after.as_deref()).await?.unwrap_or(0);
    let search = async {
        loop {
            let page = state.app.store.events(wish.after(after, limit)).await?;
            // A gap is news too, and told once only: the position behind it has none.
            let gap = page.gap && asked;
            if wait_ms == 0 || gap || !page.events.is_empty() {
                return Ok::<_, Problem>(page);
            }
            if !page.more {
                state.app.store.events_beyond(page.next).await?;
            }
            after = page.next;
        }
    };
    let page = tokio::select! {
        page = search => page?,
        () = patience(wait_ms) => state.app.store.events(wish.after(after, limit)).await?,
        () = state.stopping.cancelled() => state.app.store.events(wish.after(after, limit)).await?,
    };
    Ok(JsonAnswer(EventsPage::of(&page, asked)))
}

/// Ends when a wait has lasted long enough; never, where nothing waits.
async fn patience(wait_ms: u64) {
    if wait_ms == 0 {
        std::future::pending::<()>().await;
    } else {
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }
}

/// The position that a caller names; `None` where it names none.
pub(super) async fn position(
    state: &HttpState,
    text: Option<&str>,
) -> Result<Option<i64>, Problem> {
    match text.map(str::trim) {
        None => Ok(None),
        Some("end") => Ok(Some(state.app.store.event_span().await?.newest)),
        Some(text) => match text.parse::<i64>() {
            Ok(position @ 0..) => Ok(Some(position)),
            _ => Err(Problem::new(
                Code::InvalidRequest,
                "a position is a number from an answer's next, or from an event's seq; or end",
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use steadfast_core::event::EventKind;

    #[test]
    fn every_type_is_documented() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/API.md");
        let page = std::fs::read_to_string(path).unwrap();
        for kind in EventKind::ALL {
            let row = format!("| `{kind}` | {} |", kind.meaning());
            assert!(page.contains(&row), "docs/API.md lacks: {row}");
        }
    }
}
