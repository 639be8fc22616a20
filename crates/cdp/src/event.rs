//! What a page tells of its own accord, and the bounded queue it goes through.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// The most events that wait for one receiver.
const MAX_EVENTS: usize = 1024;

/// The most bytes of text in the events that wait for one receiver. A single
/// event larger than this is still taken when nothing else waits.
const MAX_BYTES: usize = 8 << 20;

/// One thing that happened in a page, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageEvent {
    /// The renderer crashed or was killed. Calls are refused until the page is revived.
    Crashed,
    /// The page was loaded again after a crash and takes calls again.
    Revived,
    /// The page was closed or our session on it ended. The last event.
    Detached,
    /// The browser is gone. The last event.
    BrowserGone,
    /// Scripts can now run in a new document, or in another world of it.
    ContextCreated(Context),
    /// One context ended.
    ContextDestroyed {
        /// Which, by [`Context::unique_id`].
        unique_id: Arc<str>,
    },
    /// All contexts of the page ended (reload, navigation).
    ContextsCleared,
    /// The page called a binding that was added with [`crate::Page::add_binding`].
    BindingCalled {
        /// The binding's name.
        name: Arc<str>,
        /// The text that the page gave.
        payload: Arc<str>,
        /// The context that called, by [`Context::id`].
        context_id: i64,
    },
    /// An exception that nothing in the page caught.
    Exception {
        /// Message and stack, at most 16 KiB.
        text: Arc<str>,
    },
    /// The main frame shows another document.
    Navigated {
        /// Its address.
        url: Arc<str>,
    },
    /// The main frame's document and all that it needs has loaded.
    Loaded,
    /// The page asked something with a dialog box; it was answered for it, so
    /// that nothing hangs: `beforeunload` with yes, all others dismissed.
    Dialog {
        /// `alert`, `confirm`, `prompt` or `beforeunload`.
        kind: Arc<str>,
        /// What it said, at most 16 KiB.
        message: Arc<str>,
    },
    /// The receiver was too slow and events are missing here: read the state by level.
    Lagged {
        /// How many.
        missed: u64,
    },
}

/// A place where scripts run: one document, one world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Chromium's number, unique within one renderer process only.
    pub id: i64,
    /// Unique across processes.
    pub unique_id: Arc<str>,
    /// The frame it belongs to.
    pub frame_id: Arc<str>,
    /// Whether it is the page's own world (not a content script's).
    pub is_default: bool,
    /// Whether the frame is the page's main frame.
    pub is_main_frame: bool,
    /// The origin of the document.
    pub origin: Arc<str>,
}

impl PageEvent {
    /// Whether nothing can follow it.
    fn is_last(&self) -> bool {
        matches!(self, Self::Detached | Self::BrowserGone)
    }

    /// How many bytes of text it holds.
    fn weight(&self) -> usize {
        match self {
            Self::BindingCalled {
                name,
                payload,
                context_id: _,
            } => name.len() + payload.len(),
            Self::ContextCreated(context) => {
                context.unique_id.len() + context.frame_id.len() + context.origin.len()
            }
            Self::ContextDestroyed { unique_id } => unique_id.len(),
            Self::Exception { text } | Self::Navigated { url: text } => text.len(),
            Self::Dialog { kind, message } => kind.len() + message.len(),
            Self::Crashed
            | Self::Revived
            | Self::Detached
            | Self::BrowserGone
            | Self::ContextsCleared
            | Self::Loaded
            | Self::Lagged { .. } => 0,
        }
    }
}

/// The queue between the connection and one receiver. The connection never
/// waits for a receiver: what does not fit is dropped and counted, and the
/// receiver finds the count where the events would have been. The last event
/// is always taken.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<PageEvent>,
    bytes: usize,
    missed: u64,
    over: bool,
}

impl Queue {
    pub(crate) fn push(&self, event: PageEvent) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.over {
            return;
        }
        let weight = event.weight();
        let fits = waiting.events.len() < MAX_EVENTS
            && (waiting.bytes + weight <= MAX_BYTES || waiting.events.is_empty());
        if !fits && !event.is_last() {
            waiting.missed += 1;
            return;
        }
        if waiting.missed > 0 {
            let missed = std::mem::take(&mut waiting.missed);
            waiting.events.push_back(PageEvent::Lagged { missed });
        }
        waiting.over = event.is_last();
        waiting.bytes += weight;
        waiting.events.push_back(event);
        drop(waiting);
        self.filled.notify_one();
    }

    /// The next event; `Err` where none waits, with whether none will come.
    fn pop(&self) -> Result<PageEvent, bool> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = waiting.events.pop_front() {
            waiting.bytes -= event.weight();
            return Ok(event);
        }
        if waiting.missed > 0 {
            let missed = std::mem::take(&mut waiting.missed);
            return Ok(PageEvent::Lagged { missed });
        }
        Err(waiting.over)
    }
}

/// The receiving end of a page's events. From [`crate::Page::events`].
#[derive(Debug)]
pub struct PageEvents {
    queue: Arc<Queue>,
}

impl PageEvents {
    pub(crate) fn new(queue: Arc<Queue>) -> Self {
        Self { queue }
    }

    /// Waits for the next event. `None` after the last one ([`PageEvent::Detached`]
    /// or [`PageEvent::BrowserGone`]) was given. May be dropped and called
    /// again without losing an event.
    pub async fn recv(&mut self) -> Option<PageEvent> {
        loop {
            match self.queue.pop() {
                Ok(event) => return Some(event),
                Err(true) => return None,
                Err(false) => self.queue.filled.notified().await,
            }
        }
    }

    /// The next event where one waits already.
    pub fn try_recv(&mut self) -> Option<PageEvent> {
        self.queue.pop().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiver() -> (Arc<Queue>, PageEvents) {
        let queue = Arc::new(Queue::default());
        (Arc::clone(&queue), PageEvents::new(queue))
    }

    fn binding(bytes: usize) -> PageEvent {
        PageEvent::BindingCalled {
            name: "b".into(),
            payload: "x".repeat(bytes).into(),
            context_id: 1,
        }
    }

    #[tokio::test]
    async fn a_slow_receiver_is_told_where_and_how_much_it_missed() {
        let (queue, mut events) = receiver();
        for _ in 0..MAX_EVENTS + 3 {
            queue.push(PageEvent::Loaded);
        }
        assert_eq!(events.recv().await, Some(PageEvent::Loaded));
        queue.push(PageEvent::ContextsCleared);
        for _ in 1..MAX_EVENTS {
            assert_eq!(events.recv().await, Some(PageEvent::Loaded));
        }
        assert_eq!(events.recv().await, Some(PageEvent::Lagged { missed: 3 }));
        assert_eq!(events.recv().await, Some(PageEvent::ContextsCleared));
        assert_eq!(events.try_recv(), None);
    }

    #[tokio::test]
    async fn the_last_event_always_arrives_and_ends_the_stream() {
        let (queue, mut events) = receiver();
        for _ in 0..=MAX_EVENTS {
            queue.push(PageEvent::Loaded);
        }
        queue.push(PageEvent::Detached);
        queue.push(PageEvent::Crashed);
        let mut got = Vec::new();
        while let Some(event) = events.recv().await {
            got.push(event);
        }
        assert_eq!(got.len(), MAX_EVENTS + 2);
        assert_eq!(
            got[MAX_EVENTS..],
            [PageEvent::Lagged { missed: 1 }, PageEvent::Detached]
        );
    }

    #[tokio::test]
    async fn bytes_are_bounded_too_but_one_large_event_passes() {
        let (queue, mut events) = receiver();
        queue.push(binding(MAX_BYTES * 2));
        queue.push(binding(1));
        assert_eq!(events.recv().await, Some(binding(MAX_BYTES * 2)));
        assert_eq!(events.recv().await, Some(PageEvent::Lagged { missed: 1 }));
        queue.push(binding(1));
        assert_eq!(events.recv().await, Some(binding(1)));
    }
}
