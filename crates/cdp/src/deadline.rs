//! One deadline shared by the steps of one operation.

use std::time::Duration;
use tokio::time::Instant;

/// A point in time by which all steps must be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    begun: Instant,
    given: Duration,
}

impl Deadline {
    pub(crate) fn after(given: Duration) -> Self {
        Self {
            begun: Instant::now(),
            given,
        }
    }

    /// What is left for the next step.
    pub(crate) fn left(self) -> Duration {
        self.given.saturating_sub(self.begun.elapsed())
    }

    /// What was given for all steps.
    pub(crate) fn given(self) -> Duration {
        self.given
    }
}
