//! What goes on although nobody waits for it any more.
//!
//! A request that changes something runs to its end in a task of the gateway's
//! own: a caller who hangs up, or whose time is up, must not leave a change
//! half made. Its task keeps the connection's place, so that there are never
//! more of them than connections are allowed; and it is given up where it
//! takes [`TAIL`] longer than its answer may, which is a bug.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// How much longer than its answer a request may take. Whatever it waits for
/// has a bound of its own; the longest is that of a session's logout.
pub(super) const TAIL: Duration = Duration::from_mins(2);

/// A connection's place among those that may be open.
#[derive(Clone)]
pub(super) struct Place {
    // Held, not read.
    _slot: Arc<OwnedSemaphorePermit>,
}

impl Place {
    /// Given back once nobody holds a copy of it.
    pub(super) fn of(slot: OwnedSemaphorePermit) -> Self {
        Self {
            _slot: Arc::new(slot),
        }
    }
}

/// Tasks that outlive the request that began them, and not the server.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    cut: CancellationToken,
}

impl Tasks {
    /// Runs it to its end, whoever waits for it; `None` where the gateway's
    /// end did not wait any longer.
    pub(super) fn spawn<F>(&self, work: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let cut = self.cut.clone();
        self.tracker.spawn(cut.run_until_cancelled_owned(work))
    }

    /// Waits until all have ended.
    pub(super) async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Dropped, it ends what still runs.
    pub(super) fn leash(&self) -> DropGuard {
        self.cut.clone().drop_guard()
    }
}
