//! Doing something again where that may help: retries with growing waits, by
//! what the operation is and by what the failure means.
//!
//! A send is never simply repeated. Where it is not known whether WhatsApp has
//! the message, its id is looked up first, and every attempt uses the same id.

use crate::conclude::of;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::backoff::{Backoff, Random};
use steadfast_core::failure::{Evidence, Failure, Kind, Operation, Resend, Rung};
use steadfast_core::ids::{ChatId, WaMessageId};
use steadfast_core::outbox::{Ack, Body};
use steadfast_core::port::{Engine, LookupOutcome, SendOutcome};
use tracing::debug;

/// How often something is tried, and how long is waited in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, the first included; at least one is made.
    pub attempts: u32,
    /// The waits before the second try, the third and so on (full jitter).
    pub backoff: Backoff,
    /// Where the jitter starts, so that a run can be repeated.
    pub seed: u64,
}

impl RetryPolicy {
    /// What suits an operation: questions are cheap to ask again, a link or a
    /// browser is not.
    pub fn for_operation(operation: Operation) -> Self {
        let (attempts, base_ms, max_ms) = match operation {
            Operation::Evaluate | Operation::Lookup | Operation::Probe | Operation::Listen => {
                (3, 200, 2_000)
            }
            Operation::Send | Operation::SendMedia => (3, 1_000, 8_000),
            Operation::Launch | Operation::Navigate => (3, 2_000, 15_000),
            // A second code would make the first one worthless; a log-out and a
            // shutdown either happened or did not.
            Operation::Auth | Operation::RequestPairingCode | Operation::Shutdown => (1, 0, 0),
        };
        Self {
            attempts,
            backoff: Backoff { base_ms, max_ms },
            seed: 0,
        }
    }
}

/// Whether the same again may go better: nothing has to be healed first, and
/// nothing can be doubled.
pub fn is_worth_retrying(failure: &Failure) -> bool {
    let heals_by_itself = match failure.rung {
        Rung::Retry => true,
        Rung::TerminateScript
        | Rung::Reload
        | Rung::NewPage
        | Rung::RestartBrowser
        | Rung::RestoreProfile => failure.kind != Kind::ProfileCorrupt,
        Rung::Relink | Rung::Operator | Rung::RejectMessage => false,
    };
    heals_by_itself && failure.resend == Resend::Yes
}

/// Does something that sends nothing, again where that may help.
///
/// `operation` gets the number of the try, from 1. What is healed meanwhile
/// (by a supervisor) is healed beside this: the waits give it time.
///
/// ```
/// use steadfast_core::failure::{Evidence, Observed, Operation, classify};
/// use steadfast_engine::{RetryPolicy, execute_with_retry};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let policy = RetryPolicy::for_operation(Operation::Evaluate);
/// let chats = execute_with_retry("chats", policy, async |attempt| {
///     if attempt == 1 {
///         // As when the page loads itself anew under the question.
///         let evidence = Evidence::text("Execution context was destroyed.");
///         return Err(classify(&Observed { operation: Operation::Evaluate, evidence }));
///     }
///     Ok(["Ada", "Grace"])
/// });
/// assert_eq!(chats.await, Ok(["Ada", "Grace"]));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The last failure, or the first one that no retry can help.
pub async fn execute_with_retry<T, F, Fut>(
    name: &str,
    policy: RetryPolicy,
    mut operation: F,
) -> Result<T, Failure>
where
    F: FnMut(u32) -> Fut,
    Fut: Future<Output = Result<T, Failure>>,
{
    let mut random = Random::new(policy.seed);
    let mut attempt = 1;
    loop {
        let failure = match operation(attempt).await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        if attempt >= policy.attempts || !is_worth_retrying(&failure) {
            return Err(failure);
        }
        wait(policy, attempt, &mut random).await;
        debug!(name, attempt, kind = failure.kind.as_str(), "trying again");
        attempt += 1;
    }
}

/// Sends one message under its id, and again where that may help, never twice.
///
/// `engine` gives the engine in force, which may be another one after a
/// recovery; `None` where there is none just now.
///
/// After every outcome that leaves it open whether WhatsApp has the message,
/// the id is looked up: found with the server's ack, it is done; found
/// without, the page sends its own copy on; not found in a chat that was
/// searched, the same id is sent again; undecided, it stays [`SendOutcome::Unknown`].
///
/// ```no_run
/// use std::sync::Arc;
/// use steadfast_core::failure::Operation;
/// use steadfast_core::ids::{ChatId, WaMessageId};
/// use steadfast_core::outbox::Body;
/// use steadfast_core::port::{Engine, SendOutcome};
/// use steadfast_engine::{RetryPolicy, send_with_retry};
///
/// async fn greet(engine: Arc<dyn Engine>, to: &ChatId, random: [u8; 9]) -> SendOutcome {
///     // Minted once, and kept, before the first try.
///     let id = WaMessageId::mint(random);
///     let body = Body::text("Good morning");
///     let policy = RetryPolicy::for_operation(Operation::Send);
///     send_with_retry(policy, &id, to, &body, || Some(Arc::clone(&engine))).await
/// }
/// ```
pub async fn send_with_retry(
    policy: RetryPolicy,
    id: &WaMessageId,
    to: &ChatId,
    body: &Body,
    engine: impl Fn() -> Option<Arc<dyn Engine>>,
) -> SendOutcome {
    let mut random = Random::new(policy.seed);
    let mut known = Known::NotHanded;
    let mut attempt = 1;
    loop {
        let outcome = match engine() {
            Some(engine) => attempt_send(engine.as_ref(), id, to, body, known).await,
            None => away(known),
        };
        let retry = match &outcome {
            SendOutcome::HandedOff(_) | SendOutcome::Rejected(_) => false,
            SendOutcome::NotSent(failure) => {
                known = Known::NotHanded;
                is_worth_retrying(failure)
            }
            SendOutcome::Unknown(_) => {
                known = Known::MaybeHanded;
                true
            }
        };
        if !retry || attempt >= policy.attempts {
            return outcome;
        }
        wait(policy, attempt, &mut random).await;
        attempt += 1;
    }
}

/// What earlier tries left open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    NotHanded,
    MaybeHanded,
}

async fn attempt_send(
    engine: &dyn Engine,
    id: &WaMessageId,
    to: &ChatId,
    body: &Body,
    known: Known,
) -> SendOutcome {
    if known == Known::NotHanded {
        return engine.send(id, to, body).await;
    }
    match engine.lookup(id, to).await {
        LookupOutcome::Found(ack) if ack >= Ack::Server => SendOutcome::HandedOff(ack),
        // It is in the page's own outbox, or failed there: never a new message. A
        // resend that did not happen does not make it one that was never sent.
        LookupOutcome::Found(_) | LookupOutcome::FoundFailed(_) => {
            match engine.resend(id, to).await {
                SendOutcome::NotSent(failure) => SendOutcome::Unknown(failure),
                other => other,
            }
        }
        LookupOutcome::NotFound => engine.send(id, to, body).await,
        LookupOutcome::Failed(failure) => SendOutcome::Unknown(failure),
        LookupOutcome::Unsupported => SendOutcome::Unknown(of(
            Operation::Lookup,
            Evidence::BindingsMissing {
                names: vec!["message look-up".to_owned()],
            },
        )),
    }
}

fn away(known: Known) -> SendOutcome {
    let failure = of(
        Operation::Send,
        Evidence::Cdp(steadfast_core::failure::CdpFault::ContextLost { in_flight: false }),
    );
    match known {
        Known::NotHanded => SendOutcome::NotSent(failure),
        Known::MaybeHanded => SendOutcome::Unknown(failure),
    }
}

async fn wait(policy: RetryPolicy, failures: u32, random: &mut Random) {
    let ms = policy.backoff.delay(failures, random);
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use std::sync::Mutex;
    use steadfast_core::action::{Action, Answer};
    use steadfast_core::failure::CdpFault;
    use steadfast_core::ids::{Epoch, MessageKey};
    use steadfast_core::port::{Capabilities, ChatSummary, EngineHealth, FileSink};

    const FAST: RetryPolicy = RetryPolicy {
        attempts: 3,
        backoff: Backoff {
            base_ms: 1,
            max_ms: 1,
        },
        seed: 7,
    };

    fn lost(in_flight: bool) -> Failure {
        of(
            Operation::Send,
            Evidence::Cdp(CdpFault::ContextLost { in_flight }),
        )
    }

    fn question(in_flight: bool) -> Failure {
        of(
            Operation::Evaluate,
            Evidence::Cdp(CdpFault::ContextLost { in_flight }),
        )
    }

    #[tokio::test]
    async fn a_question_is_asked_again_until_it_is_answered() {
        let answer = execute_with_retry("chats", FAST, |attempt| async move {
            if attempt < 3 {
                Err(question(true))
            } else {
                Ok(attempt)
            }
        })
        .await;
        assert_eq!(answer, Ok(3));
        let mut tries = 0;
        let never: Result<(), Failure> = execute_with_retry("chats", FAST, |_| {
            tries += 1;
            async { Err(question(true)) }
        })
        .await;
        assert!(never.is_err());
        assert_eq!(tries, 3);
    }

    #[tokio::test]
    async fn what_no_retry_can_help_is_tried_once() {
        for failure in [
            of(Operation::Auth, Evidence::LoggedOut { reason: None }),
            of(
                Operation::Evaluate,
                Evidence::BindingsMissing { names: vec![] },
            ),
            lost(true),
        ] {
            let mut tries = 0;
            let ended: Result<(), Failure> = execute_with_retry("x", FAST, |_| {
                tries += 1;
                let failure = failure.clone();
                async { Err(failure) }
            })
            .await;
            assert!(ended.is_err());
            assert_eq!(tries, 1, "{failure:?}");
        }
    }

    /// Answers as it was told to, and keeps what it was asked.
    #[derive(Default)]
    struct Scripted {
        sends: Mutex<Vec<SendOutcome>>,
        lookups: Mutex<Vec<LookupOutcome>>,
        /// Sent on with the server's ack, once these are used up.
        resends: Mutex<Vec<SendOutcome>>,
        asked: Mutex<Vec<&'static str>>,
    }

    #[async_trait]
    impl Engine for Scripted {
        fn epoch(&self) -> Epoch {
            Epoch(1)
        }
        fn capabilities(&self) -> Capabilities {
            Capabilities {
                lookup: true,
                pairing_code: false,
                everything: false,
            }
        }
        async fn request_pair_code(&self, _: &str) -> Result<String, Failure> {
            Err(lost(false))
        }
        async fn send(&self, _: &WaMessageId, _: &ChatId, _: &Body) -> SendOutcome {
            self.asked.lock().unwrap().push("send");
            self.sends.lock().unwrap().remove(0)
        }
        async fn lookup(&self, _: &WaMessageId, _: &ChatId) -> LookupOutcome {
            self.asked.lock().unwrap().push("lookup");
            self.lookups.lock().unwrap().remove(0)
        }
        async fn resend(&self, _: &WaMessageId, _: &ChatId) -> SendOutcome {
            self.asked.lock().unwrap().push("resend");
            let scripted = self.resends.lock().unwrap().pop();
            scripted.unwrap_or(SendOutcome::HandedOff(Ack::Server))
        }
        async fn health(&self) -> Result<EngineHealth, Failure> {
            Err(lost(false))
        }
        async fn check_number(&self, _: &ChatId) -> Result<Option<ChatId>, Failure> {
            Err(lost(false))
        }
        async fn chats(&self) -> Result<Vec<ChatSummary>, Failure> {
            Err(lost(false))
        }
        async fn perform(&self, action: &Action) -> Result<Answer, Failure> {
            Err(Failure::unsupported(Operation::Evaluate, action.name()))
        }

        async fn download(
            &self,
            message: &MessageKey,
            limit: u64,
            into: &mut dyn FileSink,
        ) -> Result<u64, Failure> {
            let _ = (message, limit, into);
            Err(Failure::unsupported(Operation::Evaluate, "files"))
        }

        async fn answer_passkey(&self, answer: &str) -> Result<(), Failure> {
            let _ = answer;
            Err(Failure::unsupported(Operation::Evaluate, "passkeys"))
        }

        async fn logout(&self) -> Result<(), Failure> {
            Err(lost(false))
        }
    }

    async fn run(
        sends: Vec<SendOutcome>,
        lookups: Vec<LookupOutcome>,
    ) -> (SendOutcome, Vec<&'static str>) {
        run_on(Scripted {
            sends: Mutex::new(sends),
            lookups: Mutex::new(lookups),
            ..Scripted::default()
        })
        .await
    }

    async fn run_on(engine: Scripted) -> (SendOutcome, Vec<&'static str>) {
        let engine = Arc::new(engine);
        let to = ChatId::parse("4915112345678").unwrap();
        let body = Body::text("x".to_owned());
        let outcome = send_with_retry(FAST, &WaMessageId::mint([1; 9]), &to, &body, || {
            Some(engine.clone() as Arc<dyn Engine>)
        })
        .await;
        let asked = engine.asked.lock().unwrap().clone();
        (outcome, asked)
    }

    #[tokio::test]
    async fn a_doubtful_send_is_looked_up_before_anything_else() {
        let handed = SendOutcome::HandedOff(Ack::Server);
        let (outcome, asked) = run(
            vec![SendOutcome::Unknown(lost(true))],
            vec![LookupOutcome::Found(Ack::Device)],
        )
        .await;
        assert_eq!(outcome, SendOutcome::HandedOff(Ack::Device));
        assert_eq!(asked, ["send", "lookup"]);

        let (outcome, asked) = run(
            vec![SendOutcome::Unknown(lost(true)), handed.clone()],
            vec![LookupOutcome::NotFound],
        )
        .await;
        assert_eq!(outcome, handed);
        assert_eq!(asked, ["send", "lookup", "send"]);

        let (outcome, asked) = run(
            vec![SendOutcome::Unknown(lost(true))],
            vec![LookupOutcome::Found(Ack::Pending)],
        )
        .await;
        assert_eq!(outcome, handed);
        assert_eq!(asked, ["send", "lookup", "resend"]);
    }

    #[tokio::test]
    async fn a_resend_that_did_not_happen_is_looked_up_again() {
        let pending = LookupOutcome::Found(Ack::Pending);
        let (outcome, asked) = run_on(Scripted {
            sends: Mutex::new(vec![SendOutcome::Unknown(lost(true))]),
            lookups: Mutex::new(vec![pending.clone(), LookupOutcome::Found(Ack::Server)]),
            resends: Mutex::new(vec![SendOutcome::NotSent(lost(false))]),
            ..Scripted::default()
        })
        .await;
        assert_eq!(outcome, SendOutcome::HandedOff(Ack::Server));
        assert_eq!(asked, ["send", "lookup", "resend", "lookup"]);
        let never = vec![SendOutcome::NotSent(lost(false)); 2];
        let (outcome, _) = run_on(Scripted {
            sends: Mutex::new(vec![SendOutcome::Unknown(lost(true))]),
            lookups: Mutex::new(vec![pending.clone(), pending]),
            resends: Mutex::new(never),
            ..Scripted::default()
        })
        .await;
        assert!(matches!(outcome, SendOutcome::Unknown(_)), "{outcome:?}");
    }

    #[tokio::test]
    async fn doubt_that_nobody_can_lift_stays_doubt() {
        let (outcome, asked) = run(
            vec![SendOutcome::Unknown(lost(true))],
            vec![
                LookupOutcome::Failed(lost(false)),
                LookupOutcome::Unsupported,
            ],
        )
        .await;
        assert!(matches!(outcome, SendOutcome::Unknown(_)), "{outcome:?}");
        assert_eq!(asked, ["send", "lookup", "lookup"]);
    }

    #[tokio::test]
    async fn what_was_surely_not_sent_is_sent_again() {
        let (outcome, asked) = run(
            vec![
                SendOutcome::NotSent(lost(false)),
                SendOutcome::HandedOff(Ack::Server),
            ],
            vec![],
        )
        .await;
        assert_eq!(outcome, SendOutcome::HandedOff(Ack::Server));
        assert_eq!(asked, ["send", "send"]);
    }

    #[test]
    fn each_operation_has_a_policy() {
        for operation in Operation::ALL {
            assert!(RetryPolicy::for_operation(*operation).attempts >= 1);
        }
        assert_eq!(
            RetryPolicy::for_operation(Operation::RequestPairingCode).attempts,
            1
        );
    }
}
