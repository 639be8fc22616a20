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

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use std::sync::atomic::{AtomicBool, Ordering};
    use steadfast_core::action::{Action, Answer};
    use steadfast_core::ids::{ChatId, MessageKey, WaMessageId};
    use steadfast_core::outbox::Body;
    use steadfast_core::port::{
        Capabilities, ChatSummary, FileSink, LookupOutcome, Phase, SendOutcome,
    };
    use tokio::task::JoinSet;

    /// A page of which only the heartbeat matters.
    #[derive(Default)]
    struct Page {
        hung: AtomicBool,
    }

    fn not_asked<T>() -> Result<T, Failure> {
        Err(Failure::unsupported(Operation::Evaluate, "this here"))
    }

    #[async_trait]
    impl Engine for Page {
        fn epoch(&self) -> Epoch {
            Epoch(1)
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities {
                lookup: false,
                pairing_code: false,
                everything: false,
            }
        }

        async fn request_pair_code(&self, _: &str) -> Result<String, Failure> {
            not_asked()
        }

        async fn send(&self, _: &WaMessageId, _: &ChatId, _: &Body) -> SendOutcome {
            SendOutcome::NotSent(Failure::unsupported(Operation::Send, "sending"))
        }

        async fn lookup(&self, _: &WaMessageId, _: &ChatId) -> LookupOutcome {
            LookupOutcome::Unsupported
        }

        async fn resend(&self, _: &WaMessageId, _: &ChatId) -> SendOutcome {
            SendOutcome::NotSent(Failure::unsupported(Operation::Send, "sending"))
        }

        async fn health(&self) -> Result<EngineHealth, Failure> {
            if self.hung.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            Ok(EngineHealth {
                phase: Phase::Ready,
                socket_state: None,
                web_version: None,
                missing: vec![],
                browser_memory_bytes: None,
            })
        }

        async fn check_number(&self, _: &ChatId) -> Result<Option<ChatId>, Failure> {
            not_asked()
        }

        async fn chats(&self) -> Result<Vec<ChatSummary>, Failure> {
            not_asked()
        }

        async fn perform(&self, _: &Action) -> Result<Answer, Failure> {
            not_asked()
        }

        async fn download(
            &self,
            _: &MessageKey,
            _: u64,
            _: &mut dyn FileSink,
        ) -> Result<u64, Failure> {
            not_asked()
        }

        async fn answer_passkey(&self, _: &str) -> Result<(), Failure> {
            not_asked()
        }

        async fn logout(&self) -> Result<(), Failure> {
            not_asked()
        }
    }

    fn watched(page: &Arc<Page>) -> (mpsc::Receiver<Input>, JoinSet<()>) {
        let rhythm = Rhythm {
            interval: Duration::from_secs(1),
            misses: 2,
        };
        let (inputs, told) = mpsc::channel(100);
        let mut tasks = JoinSet::new();
        let engine: Arc<dyn Engine> = Arc::clone(page) as Arc<dyn Engine>;
        tasks.spawn(beat(engine, Epoch(1), rhythm, inputs));
        (told, tasks)
    }

    fn is_hung(input: Option<Input>) -> bool {
        matches!(
            input,
            Some(Input::Engine(_, EngineEvent::Failed(failure))) if failure.kind == Kind::PageHung
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_hung_page_is_known_after_two_beats_and_a_grace() {
        let page = Arc::new(Page::default());
        let (mut told, _tasks) = watched(&page);
        assert!(matches!(told.recv().await, Some(Input::Beat(..))));
        page.hung.store(true, Ordering::Relaxed);
        let since = Instant::now();
        assert!(is_hung(told.recv().await));
        assert_eq!(since.elapsed(), Duration::from_millis(2_100));
    }

    /// A machine that is so busy that our own timers come late says nothing
    /// about the page.
    #[tokio::test(start_paused = true)]
    async fn beats_whose_own_timer_was_late_are_void() {
        let page = Arc::new(Page::default());
        page.hung.store(true, Ordering::Relaxed);
        let (mut told, _tasks) = watched(&page);
        tokio::task::yield_now().await;
        for _ in 0..20 {
            tokio::time::advance(Duration::from_millis(1_200)).await;
            tokio::task::yield_now().await;
            assert!(told.try_recv().is_err(), "judged by a late timer");
        }
        // The verdict's own timer is late: it is void too.
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_millis(500)).await;
        tokio::task::yield_now().await;
        assert!(told.try_recv().is_err(), "judged by a late verdict");
        // In time again, it is judged.
        assert!(is_hung(told.recv().await));
    }

    #[tokio::test(start_paused = true)]
    async fn any_answer_is_a_sign_of_life() {
        let page = Arc::new(Page::default());
        let (mut told, _tasks) = watched(&page);
        for _ in 0..5 {
            page.hung.store(true, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1_050)).await;
            page.hung.store(false, Ordering::Relaxed);
            assert!(matches!(told.recv().await, Some(Input::Beat(..))));
        }
    }
}
