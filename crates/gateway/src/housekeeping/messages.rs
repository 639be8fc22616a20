//! Messages that are over and old.

use super::{Chore, Rhythm, ago};
use crate::clock::Clock;
use crate::config::Config;
use crate::events;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::port::{ForgetMessages, Store};

const EVERY: Duration = Duration::from_hours(1);
const BREATH: Duration = Duration::from_millis(100);
/// How many are looked at in one go.
const AT_ONCE: u32 = 500;

/// Messages to others, and received ones.
pub(super) struct Messages {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    config: Arc<Config>,
    /// Where this look goes on.
    after: i64,
}

impl Messages {
    pub(super) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, config: Arc<Config>) -> Self {
        Self {
            store,
            clock,
            config,
            after: 0,
        }
    }
}

#[async_trait]
impl Chore for Messages {
    fn rhythm(&self) -> Rhythm {
        Rhythm {
            every: EVERY,
            breath: BREATH,
        }
    }

    async fn piece(&mut self) -> bool {
        // An answer that is to be replayed needs its message.
        let config = &self.config;
        let keep_ms = config
            .messages
            .keep_ms
            .max(config.server.idempotency_keep_ms);
        let what = ForgetMessages {
            before: ago(self.clock.unix(), keep_ms),
            after: self.after,
            limit: AT_ONCE,
        };
        let next = match self.store.forget_messages(what).await {
            Ok(forgotten) => {
                if forgotten.messages + forgotten.inbound > 0 {
                    tracing::debug!(
                        event = events::MESSAGES_FORGOTTEN,
                        messages = forgotten.messages,
                        inbound = forgotten.inbound,
                        "old messages were forgotten"
                    );
                }
                forgotten.next
            }
            Err(error) => {
                tracing::warn!(event = events::STORE_FAILED, %error, "old messages could not be looked for");
                None
            }
        };
        self.after = next.unwrap_or(0);
        next.is_some()
    }
}
