//! Forgets messages that are over and old: a disk is not to be filled by what
//! nobody asks for any more.

use crate::clock::Clock;
use crate::config::Config;
use crate::events;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::port::{ForgetMessages, Store};
use steadfast_core::time::UnixMs;
use tokio_util::sync::CancellationToken;

/// How often old messages are looked for.
const EVERY: Duration = Duration::from_hours(1);
/// How many are looked at in one go.
const BATCH: u32 = 500;
/// Between two goes, so that nobody waits for us.
const BREATH: Duration = Duration::from_millis(100);

/// Looks now and then, until told to stop.
pub(crate) async fn run(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    config: Arc<Config>,
    stop: CancellationToken,
) {
    let mut next = None;
    loop {
        next = once(store.as_ref(), clock.as_ref(), &config, next.unwrap_or(0)).await;
        let wait = if next.is_some() { BREATH } else { EVERY };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Forgets one piece; where to go on.
async fn once(store: &dyn Store, clock: &dyn Clock, config: &Config, after: i64) -> Option<i64> {
    // An answer that is to be replayed needs its message.
    let keep_ms = config
        .messages
        .keep_ms
        .max(config.server.idempotency_keep_ms);
    let keep_ms = i64::try_from(keep_ms).unwrap_or(i64::MAX);
    let what = ForgetMessages {
        before: UnixMs(clock.unix().0.saturating_sub(keep_ms)),
        after,
        limit: BATCH,
    };
    match store.forget_messages(what).await {
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
    }
}
