//! The tasks of one session, and what is done where one of them falls.
//!
//! A task that panics is a defect of the gateway, which must not end in a
//! session that says *ready* and does nothing: the rest of the crew is sent
//! home, and the session begins anew from what is on disk.

use super::actor::Want;
use super::registry::{Supervisor, command};
use crate::sessions::SessionError;
use futures_util::FutureExt as _;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Duration;
use steadfast_core::ids::SessionId;
use steadfast_core::port::StoreError;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Tasks of one session that may fall: actor, operations, delivery.
pub(super) const TASKS: usize = 3;
/// How long the rest may take to end, the browser with it.
const END_LIMIT: Duration = Duration::from_secs(30);
/// Before a session begins anew that fell a short while ago, and before a
/// store that failed is asked again.
const PAUSE: Duration = Duration::from_secs(5);
/// What counts as a short while.
const LATELY: Duration = Duration::from_mins(1);

/// One session's tasks.
#[derive(Clone)]
pub(super) struct Crew {
    session: SessionId,
    tasks: TaskTracker,
    fell: CancellationToken,
    word: mpsc::Sender<SessionId>,
}

impl Crew {
    /// Nobody yet. Who falls is told to `word`.
    pub(super) fn new(session: SessionId, word: mpsc::Sender<SessionId>) -> Self {
        Self {
            session,
            tasks: TaskTracker::new(),
            fell: CancellationToken::new(),
            word,
        }
    }

    /// Whether one has fallen: what the session says of itself is old.
    pub(super) fn has_fallen(&self) -> bool {
        self.fell.is_cancelled()
    }

    /// The task, watched.
    pub(super) fn watched(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let crew = self.clone();
        self.tasks.track_future(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_ok() {
                return;
            }
            tracing::error!(event = "session_task_panicked", session = %crew.session, task = name);
            crew.fell.cancel();
            // There is a place for every task of every session.
            if crew.word.try_send(crew.session.clone()).is_err() {
                tracing::error!(event = "session_not_restarted", session = %crew.session);
            }
        })
    }

    /// Waits until all have ended.
    async fn gone(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Brings back every session of which it is told, one after the other.
pub(super) async fn nurse(supervisor: Weak<Supervisor>, mut fallen: mpsc::Receiver<SessionId>) {
    let mut fell_at: BTreeMap<SessionId, Instant> = BTreeMap::new();
    while let Some(session) = fallen.recv().await {
        let before = fell_at.insert(session.clone(), Instant::now());
        if before.is_some_and(|before| before.elapsed() < LATELY) {
            tokio::time::sleep(PAUSE).await;
        }
        fell_at.retain(|_, at| at.elapsed() < LATELY);
        loop {
            let Some(supervisor) = supervisor.upgrade() else {
                return;
            };
            match supervisor.begin_anew(&session).await {
                Ok(()) => break,
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::error!(event = "session_not_restarted", session = %session, %error);
                }
            }
            drop(supervisor);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Supervisor {
    /// Ends what is left of a session's crew and launches it from its record.
    async fn begin_anew(self: &Arc<Self>, session: &SessionId) -> Result<(), StoreError> {
        let _changing = self.changing().await;
        let Ok(handle) = self.handle(session) else {
            // Removed meanwhile.
            return Ok(());
        };
        if !handle.crew.has_fallen() || self.is_closing() {
            // Another of its tasks fell too, and it was brought back since.
            return Ok(());
        }
        handle.stop.cancel();
        let ends = async {
            // Who is gone already does not answer.
            let _ = command(&handle, Want::Shutdown).await;
            handle.crew.gone().await;
        };
        if tokio::time::timeout(END_LIMIT, ends).await.is_err() {
            tracing::error!(event = "session_task_stuck", session = %session);
        }
        let handle = self.launch_stored(session).await?;
        tracing::warn!(event = "session_begun_anew", session = %session);
        let Some(handle) = handle else { return Ok(()) };
        match command(&handle, Want::Begin).await {
            Ok(()) | Err(SessionError::ShuttingDown) => Ok(()),
            Err(error) => {
                tracing::error!(event = "session_not_started", session = %session, %error);
                Ok(())
            }
        }
    }
}
