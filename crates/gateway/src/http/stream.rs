//! Events as they happen: server-sent events and WebSocket.
//!
//! A client is fed from the log at its own pace, a page at a time: one who
//! reads slowly holds one page in memory and loses nothing, and one who does
//! not read at all is cut off by the connection's own bound
//! and goes on later from the last position it has seen.

use super::HttpState;
use super::auth::{Caller, Sorting, Ticket, ToRead};
use super::event_json::EventJson;
use super::events::{Wish, position};
use super::extract::Query;
use super::problem::{Code, Problem};
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response, Sse, sse};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::event::Event;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use utoipa::IntoParams;

/// Events that are read for one client at once, and that it may hold in memory.
const READ_AT_ONCE: u32 = 100;
/// How long a WebSocket may take to take one message.
const SEND_LIMIT: Duration = Duration::from_secs(20);
/// Longest message of a client; nothing that it says is read.
const MAX_INCOMING: usize = 4_096;

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
    /// Only after this position. Without it, and without `Last-Event-ID`, only
    /// what is still to come; `0`: from the oldest that is kept.
    after: Option<String>,
    /// Only these types, comma separated: `message.sent,message.received`, `message.*`.
    types: Option<String>,
    /// Only events of these sessions, comma separated.
    session: Option<String>,
}

/// What one client is told next.
enum Said {
    Event(Box<Event>),
    /// Events were dropped before they could be read, or the log is not the
    /// one that the client knows; it goes on behind this position.
    Gap(i64),
    /// There is nothing; it has seen everything up to here.
    Alive(i64),
    /// The gateway stops, the store failed, or the token is not taken any more:
    /// come again.
    End,
}

/// One client's way through the log.
struct Feed {
    state: Arc<HttpState>,
    wish: Wish,
    after: i64,
    read: VecDeque<Event>,
    ticket: Ticket,
    /// When it is looked at again whether the client may still listen.
    looked_at_by: Instant,
    tokens_changed: watch::Receiver<u64>,
    /// When the client hears a sign of life, where it has heard nothing else.
    heard_by: Instant,
    // Held for as long as the client is there.
    _place: OwnedSemaphorePermit,
}

impl Feed {
    async fn open(
        caller: &Caller<Sorting<ToRead>>,
        state: Arc<HttpState>,
        query: &StreamQuery,
        last_seen: Option<&str>,
    ) -> Result<Self, Problem> {
        let wish = Wish::read(caller, query.types.as_deref(), query.session.as_deref())?;
        // Who comes again says where it was; that is newer than the address it first asked for.
        let from = last_seen.or(query.after.as_deref()).unwrap_or("end");
        let after = position(&state, Some(from)).await?.unwrap_or(0);
        let place = Arc::clone(&state.streams).try_acquire_owned();
        let place = place.map_err(|_| {
            let detail = format!(
                "{} streams are open already, as many as stream.max_streams allows",
                state.app.config.stream.max_streams
            );
            Problem::new(Code::TooManyStreams, detail).retry_after(5)
        })?;
        let now = Instant::now();
        let mut tokens_changed = state.tokens_changed.subscribe();
        // It was looked at before this; a change between the two is a change.
        tokens_changed.mark_changed();
        Ok(Self {
            heard_by: now + heartbeat(&state),
            state,
            wish,
            after,
            read: VecDeque::new(),
            ticket: caller.ticket(),
            looked_at_by: now,
            tokens_changed,
            _place: place,
        })
    }

    /// Whether the client may still listen: looked at with every heartbeat,
    /// when its token ends, and when some token was changed.
    async fn is_admitted(&mut self) -> bool {
        let changed = self.tokens_changed.has_changed().unwrap_or(true);
        if !changed && Instant::now() < self.looked_at_by {
            return true;
        }
        self.tokens_changed.mark_unchanged();
        let pause = heartbeat(&self.state);
        let Some(pause) = self.ticket.admits(&self.state, pause).await else {
            return false;
        };
        self.looked_at_by = Instant::now() + pause;
        true
    }

    /// What to say next; dropped halfway it has said nothing.
    async fn next(&mut self) -> Said {
        let said = self.news().await;
        self.heard_by = Instant::now() + heartbeat(&self.state);
        said
    }

    async fn news(&mut self) -> Said {
        loop {
            if !self.is_admitted().await {
                return Said::End;
            }
            if let Some(event) = self.read.pop_front() {
                return Said::Event(Box::new(event));
            }
            let store = &self.state.app.store;
            let query = self.wish.after(self.after, READ_AT_ONCE);
            let Ok(page) = store.events(query).await else {
                return Said::End;
            };
            if page.gap && self.after > 0 {
                let Ok(span) = store.event_span().await else {
                    return Said::End;
                };
                self.after = self.after.min(span.newest).max(span.dropped_upto);
                return Said::Gap(self.after);
            }
            self.after = page.next;
            self.read.extend(page.events);
            if !self.read.is_empty() || page.more {
                continue;
            }
            tokio::select! {
                news = store.events_beyond(self.after) => {
                    if news.is_err() {
                        return Said::End;
                    }
                }
                // What others are told does not put it off.
                () = tokio::time::sleep_until(self.heard_by) => return Said::Alive(self.after),
                () = tokio::time::sleep_until(self.looked_at_by) => {}
                _ = self.tokens_changed.changed() => self.tokens_changed.mark_changed(),
                () = self.state.stopping.cancelled() => return Said::End,
            }
        }
    }
}

fn heartbeat(state: &HttpState) -> Duration {
    Duration::from_millis(state.app.config.stream.heartbeat_ms)
}

fn sse_event(said: Said) -> Option<sse::Event> {
    let event = sse::Event::default();
    match said {
        Said::Event(told) => {
            let json = EventJson::from(told.as_ref());
            let event = event.id(json.seq.to_string()).event(json.kind);
            event.json_data(json).ok()
        }
        Said::Gap(upto) => event
            .id(upto.to_string())
            .event("gap")
            .json_data(json!({ "next": upto }))
            .ok(),
        // An id without data moves the client's Last-Event-ID and tells it nothing.
        Said::Alive(upto) => Some(event.id(upto.to_string()).comment("alive")),
        Said::End => None,
    }
}

/// Events as they happen, as server-sent events. Each has its position as
/// `id` and its type as `event`; a browser's `EventSource` that comes again
/// with `Last-Event-ID` misses nothing. An event of type `gap` says that
/// events were dropped before they could be read, or that the position is of
/// another log.
#[utoipa::path(get, path = "/v1/events/stream", tag = "events",
    params(StreamQuery, ("Last-Event-ID" = Option<String>, Header, description = "The position to go on from; it goes before `after`.")),
    responses((status = 200, body = String, content_type = "text/event-stream")))]
pub(super) async fn stream(
    caller: Caller<Sorting<ToRead>>,
    State(state): State<Arc<HttpState>>,
    Query(query): Query<StreamQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last_seen = headers.get("last-event-id");
    let last_seen = last_seen.map(|value| value.to_str().unwrap_or("?"));
    let feed = Feed::open(&caller, state, &query, last_seen).await?;
    // The first line goes out at once, so that the client knows that it is heard.
    let hello = sse::Event::default()
        .id(feed.after.to_string())
        .comment("listening");
    let told = stream::unfold((Some(hello), feed), |(hello, mut feed)| async move {
        let event = match hello {
            Some(hello) => hello,
            None => sse_event(feed.next().await)?,
        };
        Some((Ok::<_, Infallible>(event), (None, feed)))
    });
    Ok(Sse::new(told).into_response())
}

/// Events as they happen, by WebSocket: one JSON text for each. What a client
/// says is not read; it goes on from `after`.
#[utoipa::path(get, path = "/v1/events/ws", tag = "events", params(StreamQuery),
    responses((status = 101, description = "The connection is a WebSocket now.")))]
pub(super) async fn socket(
    caller: Caller<Sorting<ToRead>>,
    State(state): State<Arc<HttpState>>,
    Query(query): Query<StreamQuery>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|error| {
        let detail = format!("this address is for WebSockets: {error}");
        Problem::new(Code::InvalidRequest, detail)
    })?;
    let feed = Feed::open(&caller, state, &query, None).await?;
    let upgrade = upgrade
        .max_message_size(MAX_INCOMING)
        .max_frame_size(MAX_INCOMING);
    Ok(upgrade.on_upgrade(move |socket| talk(socket, feed)))
}

async fn talk(mut socket: WebSocket, mut feed: Feed) {
    loop {
        let said = tokio::select! {
            said = feed.next() => said,
            heard = socket.recv() => match heard {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                // Pings are answered by the library; the rest is not for us.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Text(_) | Message::Binary(_))) => continue,
            },
        };
        let message = match said {
            Said::Event(event) => serde_json::to_string(&EventJson::from(event.as_ref())).ok(),
            Said::Gap(upto) => {
                Some(json!({ "type": "gap", "seq": upto, "data": { "next": upto } }).to_string())
            }
            Said::Alive(_) => None,
            Said::End => {
                let goodbye = socket.send(Message::Close(None));
                let _ = tokio::time::timeout(SEND_LIMIT, goodbye).await;
                return;
            }
        };
        let message = match message {
            Some(text) => Message::Text(text.into()),
            None => Message::Ping(axum::body::Bytes::new()),
        };
        match tokio::time::timeout(SEND_LIMIT, socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}
