//! Notices a page that hangs: nothing else does, for a hung page sends no event.

use super::actor::Input;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::failure::{Evidence, Failure, Kind, Observed, Operation, classify};
use steadfast_core::ids::Epoch;
use steadfast_core::port::{Engine, EngineEvent, EngineHealth};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// When to beat, and when to worry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rhythm {
    /// Between beats.
    pub(super) interval: Duration,
    /// Beats without an answer that make a page count as hung.
    pub(super) misses: u32,
}

/// How long the last missed beat may take before it counts as missed.
const GRACE: Duration = Duration::from_millis(100);

/// A beat that waits for its answer.
type Question = Pin<Box<dyn Future<Output = Result<EngineHealth, Failure>> + Send>>;

/// Beats for one connection until it is dropped or the page fails.
///
/// An answer to any beat is a sign of life. Where our own timer was late, so
/// may be the page's answer on the same machine: those beats are void.
pub(super) async fn beat(
    engine: Arc<dyn Engine>,
    epoch: Epoch,
    rhythm: Rhythm,
    inputs: mpsc::Sender<Input>,
) {
    let mut unanswered = 0;
    let mut asked: FuturesUnordered<Question> = FuturesUnordered::new();
    let mut due = Instant::now() + rhythm.interval;
    let mut verdict_at: Option<Instant> = None;
    loop {
        tokio::select! {
            biased;
            Some(answer) = asked.next(), if !asked.is_empty() => match answer {
                Ok(health) => {
                    unanswered = 0;
                    verdict_at = None;
                    asked.clear();
                    if inputs.send(Input::Beat(epoch, health)).await.is_err() {
                        return;
                    }
                }
                // A beat that timed out is one that was not answered; any
                // other failure is told as such.
                Err(failure) if failure.kind == Kind::PageHung => {}
                Err(failure) => {
                    let failed = Input::Engine(epoch, EngineEvent::Failed(failure));
                    let _ = inputs.send(failed).await;
                    return;
                }
            },
            () = tokio::time::sleep_until(due) => {
                let late = Instant::now().saturating_duration_since(due);
                due = Instant::now() + rhythm.interval;
                if late > GRACE {
                    tracing::debug!(event = "heartbeat_void", ?epoch, late_ms = late.as_millis());
                    unanswered = 0;
                    verdict_at = None;
                    asked.clear();
                }
                let engine = Arc::clone(&engine);
                asked.push(Box::pin(async move { engine.health().await }));
                unanswered += 1;
                if unanswered >= rhythm.misses {
                    verdict_at.get_or_insert(Instant::now() + GRACE);
                }
            }
            () = tokio::time::sleep_until(verdict_at.unwrap_or(due)), if verdict_at.is_some() => {
                let late = Instant::now().saturating_duration_since(verdict_at.unwrap_or(due));
                if late > GRACE {
                    unanswered = 0;
                    verdict_at = None;
                    continue;
                }
                let failure = classify(&Observed {
                    operation: Operation::Probe,
                    evidence: Evidence::HeartbeatMissed { missed: unanswered },
                });
                let failed = Input::Engine(epoch, EngineEvent::Failed(failure));
                let _ = inputs.send(failed).await;
                return;
            }
        }
    }
}
