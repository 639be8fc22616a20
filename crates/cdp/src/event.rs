//! What a page tells of its own accord, and the bounded queue it goes through.

use std::sync::Arc;

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
        /// Message and stack.
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
        /// What it said.
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

/// The receiving end of a page's events.
#[derive(Debug)]
pub struct PageEvents {}

impl PageEvents {
    /// Waits for the next event. `None` after the last one ([`PageEvent::Detached`]
    /// or [`PageEvent::BrowserGone`]) was given.
    pub async fn recv(&mut self) -> Option<PageEvent> {
        todo!()
    }
}
