//! Writes down what came of an attempt, however long the store needs for it.

use crate::clock::Clock;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::ids::{Fence, MessageId, SessionId};
use steadfast_core::outbox::{Settled, outcome};
use steadfast_core::port::{Recorded, Store, StoreError};
use steadfast_core::time::UnixMs;

/// The first and the longest wait before an outcome that the store did not
/// take is offered again.
const RETRY: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(5)];

/// What outcomes are written with.
#[derive(Clone)]
pub(super) struct Recorder {
    pub(super) session: SessionId,
    pub(super) fence: Fence,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Recorder {
    /// Offers an outcome to the store until it takes it: a claim that nobody
    /// settles holds up its chat, and a full disk lasts as long as it lasts.
    /// Gives the time of the record, or nothing where the message is no
    /// longer ours: then its next owner looks it up.
    ///
    /// It ends with the store, at the latest; no more than what is in flight
    /// waits here.
    pub(super) async fn record(
        &self,
        id: &MessageId,
        settled: Settled,
        detail: Option<&str>,
    ) -> Option<UnixMs> {
        let mut pause = RETRY[0];
        loop {
            let now = self.clock.unix();
            let recorded = Recorded {
                id: id.clone(),
                outcome: outcome(settled, now),
                detail: detail.map(str::to_owned),
                at: now,
            };
            let stored = self
                .store
                .record(&self.session, self.fence, vec![recorded])
                .await;
            match stored {
                Ok(()) => return Some(now),
                Err(
                    error @ (StoreError::StaleFence { .. }
                    | StoreError::NoSession(_)
                    | StoreError::Closed),
                ) => {
                    tracing::warn!(event = "outcome_not_recorded", message = %id, %error);
                    return None;
                }
                Err(error) => {
                    tracing::warn!(event = "outcome_not_recorded_yet", message = %id, %error);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY[1]);
                }
            }
        }
    }
}
