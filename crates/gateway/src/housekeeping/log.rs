//! Events that are old, and what of webhooks is.

use super::{Chore, Rhythm, ago};
use crate::clock::Clock;
use crate::config::Live;
use crate::events;
use crate::metrics::Metrics;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::port::{Store, StoreError, TrimEvents};

const EVERY: Duration = Duration::from_mins(1);
/// More is dropped in a second than can happen in one.
const BREATH: Duration = Duration::from_millis(10);
/// It bounds how long others wait for the store.
const AT_ONCE: u32 = 500;

/// The log of events, and the deliveries that come of it.
pub(crate) struct Log {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
}

impl Log {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        live: Arc<Live>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            store,
            clock,
            live,
            metrics,
        }
    }

    /// Drops a piece of what is old; whether there is likely more.
    pub(crate) async fn drop_old(&self) -> Result<bool, StoreError> {
        let (config, now) = (self.live.get(), self.clock.unix());
        let trim = TrimEvents {
            before: ago(now, config.events.keep_ms),
            keep: config.events.keep,
            keep_owed: config.events.keep_owed.max(config.events.keep),
            limit: AT_ONCE,
            at: now,
        };
        let trimmed = self.store.trim_events(trim).await?;
        for (id, missed) in &trimmed.missed {
            tracing::error!(event = events::WEBHOOK_GAP, webhook = %id, missed);
            self.metrics.webhook_missed.add([id.as_str()], *missed);
        }
        self.metrics.events_dropped.add([], trimmed.events);
        let before = ago(now, config.webhooks.keep_ms);
        let forgotten = self.store.forget_deliveries(before, AT_ONCE).await?;
        Ok(trimmed.rows >= AT_ONCE || forgotten >= AT_ONCE.into())
    }
}

#[async_trait]
impl Chore for Log {
    fn rhythm(&self) -> Rhythm {
        Rhythm {
            every: EVERY,
            breath: BREATH,
        }
    }

    async fn piece(&mut self) -> bool {
        match self.drop_old().await {
            Ok(more) => more,
            // It is the end of the gateway.
            Err(StoreError::Closed) => false,
            Err(error) => {
                tracing::warn!(event = events::EVENTS_NOT_DROPPED, %error);
                false
            }
        }
    }
}
