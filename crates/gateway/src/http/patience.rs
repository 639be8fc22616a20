//! How long somebody waits for the answer to a request: until its time is up,
//! or its caller has gone.

use super::HttpState;
use super::problem::{Code, Problem};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The patience of the one who asked, made where the request comes in.
#[derive(Debug, Clone)]
pub(super) struct Patience {
    until: Instant,
    gone: CancellationToken,
}

impl Patience {
    /// Begins now.
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            until: Instant::now() + limit,
            gone: CancellationToken::new(),
        }
    }

    /// Of a caller who waits for as long as it takes.
    pub(super) fn boundless() -> Self {
        // As far away as the runtime's clock reaches on every system.
        Self::new(Duration::from_hours(30 * 365 * 24))
    }

    /// When the answer is due.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// How long it may take from now on.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Ends when nobody waits any more.
    pub(super) async fn over(&self) {
        tokio::select! {
            () = tokio::time::sleep_until(self.until) => {}
            () = self.gone.cancelled() => {}
        }
    }

    /// Whether nobody waits any more.
    pub(super) fn is_over(&self) -> bool {
        self.gone.is_cancelled() || self.until <= Instant::now()
    }

    /// Does it while somebody waits for it.
    ///
    /// # Errors
    /// What `work` says; [`Code::Timeout`] where nobody waits any more.
    pub(super) async fn lasts<T>(
        &self,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let done = tokio::select! {
            done = work => done,
            () = self.over() => Err(Self::is_up()),
        }?;
        if self.is_over() {
            return Err(Self::is_up());
        }
        Ok(done)
    }

    fn is_up() -> Problem {
        let detail = "the request's time was up, or its caller gone; nothing was stored";
        Problem::new(Code::Timeout, detail).retry_after(1)
    }

    /// Held by whoever passes the answer on; dropped, the caller has gone.
    pub(super) fn held(&self) -> DropGuard {
        self.gone.clone().drop_guard()
    }
}

impl FromRequestParts<Arc<HttpState>> for Patience {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &Arc<HttpState>,
    ) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<Self>().cloned();
        let limit = state.app.config.server.request_timeout_ms;
        Ok(known.unwrap_or_else(|| Self::new(Duration::from_millis(limit))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_its_time_or_with_the_caller() {
        let patience = Patience::new(Duration::from_mins(1));
        assert!(!patience.is_over());
        let began = Instant::now();
        patience.over().await;
        assert_eq!(began.elapsed(), Duration::from_mins(1));
        assert!(patience.is_over() && patience.left().is_zero());
        let patience = Patience::new(Duration::from_mins(1));
        drop(patience.clone().held());
        patience.over().await;
        assert!(patience.is_over() && !patience.left().is_zero());
    }
}
