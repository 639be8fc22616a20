//! When tokens were last used, written down now and then: a request never
//! waits for it, and a busy token costs one write a minute.

use super::HttpState;
use crate::events;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use steadfast_core::port::TokenRecord;
use steadfast_core::time::UnixMs;
use tokio::sync::Notify;

/// What is written down is at most this old.
const STEP: Duration = Duration::from_mins(1);
/// How long the store may take; the next step writes what this one did not.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Uses that are not written down yet, by token.
#[derive(Debug, Default)]
pub(super) struct Usage {
    noted: Mutex<BTreeMap<String, UnixMs>>,
    some: Notify,
}

impl Usage {
    /// A token was used. Bounded: only tokens that exist are noted.
    pub(super) fn note(&self, token: &TokenRecord, at: UnixMs) {
        // What is on disk is new enough.
        let step_ms = u64::try_from(STEP.as_millis()).unwrap_or(u64::MAX);
        if token
            .last_used_at
            .is_some_and(|last| at.since(last) < step_ms)
        {
            return;
        }
        let mut noted = self.lock();
        let first = noted.is_empty();
        noted.insert(token.name.clone(), at);
        if first {
            self.some.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, UnixMs>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<(String, UnixMs)> {
        std::mem::take(&mut *self.lock()).into_iter().collect()
    }
}

/// Writes uses down until the gateway stops, and the last ones then.
pub(super) async fn keep(state: Arc<HttpState>) {
    loop {
        tokio::select! {
            () = state.stopping.cancelled() => break,
            () = state.usage.some.notified() => {}
        }
        write(&state).await;
        tokio::select! {
            () = state.stopping.cancelled() => break,
            () = tokio::time::sleep(STEP) => {}
        }
    }
    write(&state).await;
}

async fn write(state: &HttpState) {
    let uses = state.usage.take();
    if uses.is_empty() {
        return;
    }
    let written = state.app.store.note_token_use(uses);
    match tokio::time::timeout(WRITE_LIMIT, written).await {
        Ok(Ok(())) => {}
        // The next use of each token is noted again.
        Ok(Err(error)) => {
            tracing::debug!(event = events::TOKEN_USE_NOT_STORED, %error, "later again");
        }
        Err(_) => tracing::debug!(event = events::TOKEN_USE_NOT_STORED, "later again"),
    }
}
