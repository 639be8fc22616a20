//! A clock that stands still but for what a test lets pass: what a time-out
//! does is seen however busy the machine is. Only the runtime's own timers
//! stand still, and only on a runtime of one thread.

use std::sync::mpsc;
use std::time::Duration;

/// How much passes at once: less than any time-out that is waited for.
const STEP: Duration = Duration::from_millis(50);
/// How often everything that can go on does so between two steps.
const TURNS: usize = 100;

/// From its making until it is dropped time stands still.
pub(crate) struct Still {
    /// A runtime without work would move its clock to the next timer by
    /// itself, but not while something is under way beside it.
    _beside: mpsc::Sender<()>,
}

impl Still {
    pub(crate) fn begin() -> Self {
        tokio::time::pause();
        let (beside, ended) = mpsc::channel::<()>();
        drop(tokio::task::spawn_blocking(move || ended.recv()));
        Self { _beside: beside }
    }

    /// Looks again and again, in no time, until it is so.
    pub(crate) async fn until(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let end = std::time::Instant::now() + crate::client::DEADLINE;
        while !is_so().await {
            assert!(std::time::Instant::now() < end, "{what}");
            tokio::task::yield_now().await;
        }
    }

    /// Lets time pass, step by step, until it is done.
    pub(crate) async fn passes<T>(&self, until: impl Future<Output = T>) -> T {
        let passing = async {
            loop {
                for _ in 0..TURNS {
                    tokio::task::yield_now().await;
                }
                tokio::time::advance(STEP).await;
            }
        };
        tokio::select! {
            done = until => done,
            () = passing => unreachable!("time never ends"),
        }
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        tokio::time::resume();
    }
}
