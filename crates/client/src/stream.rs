//! The log of events as a [`Stream`], one event after the other.

use super::error::Error;
use super::events::{Event, EventPage, Events};
use futures_core::Stream;
use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Asked again after an error, it waits so long at least: whoever passes errors
/// over is not to ask without a pause.
const PAUSE: Duration = Duration::from_millis(500);

/// The next page, and the reader that goes on behind it.
type Asking = Pin<Box<dyn Future<Output = (Events, Result<EventPage, Error>)> + Send>>;

/// Events one after the other, made by [`Events::into_stream`].
///
/// It asks for pages as [`Events::next_page`] does, so that it goes on over
/// lost connections and restarts of either side from where it stood. One page
/// is held at most, and the next is asked for once all of it was given out: who
/// reads slowly is waited for, and the log keeps what is still to be read.
///
/// What cannot be had within the client's patience is given out as an error.
/// Where that may pass ([`Error::is_retryable`]), the stream goes on when it is
/// asked again, after a pause, from where it stood; any other error is its last item.
/// By itself it never ends.
///
/// ```no_run
/// use futures_util::TryStreamExt as _;
/// use steadfast_client::{Client, Start};
///
/// # async fn example(gateway: Client, kept: Option<String>) -> Result<(), steadfast_client::Error> {
/// let from = kept.map_or(Start::Oldest, Start::After);
/// let mut events = gateway.events(from).types(["message.*"]).into_stream();
/// while let Some(event) = events.try_next().await? {
///     if event.gap {
///         println!("events before {} are gone unread", event.id);
///     }
///     println!("{} {}", event.kind, event.data);
///     // Keep events.position() where your program finds it again.
/// }
/// # Ok(())
/// # }
/// ```
pub struct EventStream {
    /// `None` behind an error that stays.
    asking: Option<Asking>,
    /// What is still to be given out of a page.
    read: VecDeque<Event>,
    /// The position behind that page.
    behind: String,
    /// Whether events before the next one are gone.
    gap: bool,
    position: Option<String>,
}

impl EventStream {
    pub(crate) fn new(events: Events) -> Self {
        Self {
            asking: Some(ask(events, Duration::ZERO)),
            read: VecDeque::new(),
            behind: String::new(),
            gap: false,
            position: None,
        }
    }

    /// The position behind the event that was given out last, for
    /// [`Start::After`](super::Start::After): keep it once that event is dealt with.
    /// `None` where none was.
    pub fn position(&self) -> Option<&str> {
        self.position.as_deref()
    }

    fn take(&mut self, page: EventPage) {
        // One without events may tell of a gap: that is said with the next event.
        self.gap |= page.gap;
        self.read = page.items.into();
        self.behind = page.next;
    }

    fn give(&mut self, mut event: Event) -> Event {
        event.gap = mem::take(&mut self.gap);
        self.position = Some(if self.read.is_empty() {
            // What the filters passed over is behind it too.
            mem::take(&mut self.behind)
        } else {
            event.seq.to_string()
        });
        event
    }
}

/// Asks nothing before it is polled.
fn ask(mut events: Events, pause: Duration) -> Asking {
    Box::pin(async move {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let page = events.next_page().await;
        (events, page)
    })
}

impl Stream for EventStream {
    type Item = Result<Event, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(event) = this.read.pop_front() {
                return Poll::Ready(Some(Ok(this.give(event))));
            }
            let Some(asking) = &mut this.asking else {
                return Poll::Ready(None);
            };
            let (events, page) = ready!(asking.as_mut().poll(cx));
            match page {
                Ok(page) => {
                    this.asking = Some(ask(events, Duration::ZERO));
                    this.take(page);
                }
                Err(error) => {
                    let pause = error.retry_after().unwrap_or_default().max(PAUSE);
                    this.asking = error.is_retryable().then(|| ask(events, pause));
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.read.len(), None)
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
