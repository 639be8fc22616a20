//! What comes back from WhatsApp: acks of ours, messages of others. Both are
//! on disk before anybody hears of them.

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::supervisor::is_canary;
use crate::updates::Updates;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::event;
use steadfast_core::ids::{SessionId, WaMessageId};
use steadfast_core::inbound::{Happening, InboundMessage};
use steadfast_core::outbox::Ack;
use steadfast_core::port::{InboundRefused, Store, StoreError};
use tokio::sync::mpsc;

/// Acks that may wait for the disk. Three per message at most, so this is the
/// receipts of some 20,000 messages at once; what is beyond is dropped and
/// counted, and the page tells those again when it loads.
const ACK_QUEUE: usize = 65_536;
/// How long to wait before an ack that the store did not take is offered
/// again, at first and at most.
const ACK_RETRY: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(5)];
/// How often where the store failed. One that has no room is waited for: the
/// page tells an ack again only when it is loaded anew, which may take days.
const ACK_TRIES: u32 = 30;

/// One ack on its way to the disk.
struct AckJob {
    session: SessionId,
    wa_message_id: WaMessageId,
    ack: Ack,
}

/// Takes what comes back.
pub struct Inbox {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    acks: mpsc::Sender<AckJob>,
}

impl Inbox {
    /// The inbox, and the task that writes its acks; run it until it ends,
    /// which it does when the inbox is dropped.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        updates: Updates,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send + 'static) {
        let (acks, queue) = mpsc::channel(ACK_QUEUE);
        let inbox = Arc::new(Self {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            metrics: Arc::clone(&metrics),
            acks,
        });
        (inbox, write_acks(queue, store, clock, metrics, updates))
    }

    /// Takes an ack. Never blocks.
    pub fn ack(&self, session: &SessionId, wa_message_id: WaMessageId, ack: Ack) {
        let job = AckJob {
            session: session.clone(),
            wa_message_id,
            ack,
        };
        if self.acks.try_send(job).is_err() {
            tracing::error!(event = "ack_dropped", session = %session);
        }
    }

    /// Keeps one inbound message. `Ok` means that it is on disk, or no message
    /// to keep: one of our own that the page has forgotten was ours.
    pub async fn keep(
        &self,
        session: &SessionId,
        message: InboundMessage,
    ) -> Result<(), InboundRefused> {
        if is_canary(&message) {
            return Ok(());
        }
        let recovered = message.recovered;
        let new = self
            .store
            .keep_inbound(session, message, self.clock.unix())
            .await
            .map_err(|error| {
                tracing::error!(event = "inbound_not_stored", session = %session, %error);
                InboundRefused::NotStored(error.to_string())
            })?;
        if new {
            self.metrics.inbound.inc([session.as_str()]);
            tracing::info!(event = "message_received", session = %session, recovered);
        }
        Ok(())
    }

    /// Keeps what happened to a message or group. `Ok` means that it is on disk.
    pub async fn happened(
        &self,
        session: &SessionId,
        happening: Happening,
    ) -> Result<(), InboundRefused> {
        let what = told_as(&happening);
        let new = self
            .store
            .keep_happening(session, happening, self.clock.unix())
            .await
            .map_err(|error| {
                tracing::error!(event = "inbound_not_stored", session = %session, %error);
                InboundRefused::NotStored(error.to_string())
            })?;
        if new {
            tracing::info!(event = "happening_kept", session = %session, what);
        }
        Ok(())
    }
}

/// How a happening is called in the log.
fn told_as(happening: &Happening) -> &'static str {
    event::kind_of(happening).as_str()
}

/// Writes acks in bursts: those that wait together share the store's commit.
async fn write_acks(
    mut queue: mpsc::Receiver<AckJob>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    updates: Updates,
) {
    const BURST: usize = 256;
    let mut burst = Vec::with_capacity(BURST);
    while queue.recv_many(&mut burst, BURST).await > 0 {
        let writes = burst.drain(..).map(|job| {
            let (store, clock, metrics, updates) = (&store, &clock, &metrics, &updates);
            async move { write_ack(job, store.as_ref(), clock.as_ref(), metrics, updates).await }
        });
        futures_util::future::join_all(writes).await;
    }
}

async fn write_ack(
    job: AckJob,
    store: &dyn Store,
    clock: &dyn Clock,
    metrics: &Metrics,
    updates: &Updates,
) {
    let [mut wait, longest] = ACK_RETRY;
    let mut failures = 0;
    let mut refused = false;
    while failures < ACK_TRIES {
        match store
            .ack(&job.session, &job.wa_message_id, job.ack, clock.unix())
            .await
        {
            Ok(Some(message)) => {
                metrics
                    .outcomes
                    .inc([job.session.as_str(), message.status.as_str()]);
                updates.publish(message.id);
                return;
            }
            // Sent by another device of the account, or known already.
            Ok(None) | Err(StoreError::Closed) => return,
            Err(error) => {
                if !std::mem::replace(&mut refused, true) {
                    tracing::warn!(event = "ack_not_stored_yet", session = %job.session, %error);
                }
                if !matches!(error, StoreError::Full | StoreError::Overloaded) {
                    failures += 1;
                }
                tokio::time::sleep(wait).await;
                wait = wait.saturating_mul(2).min(longest);
            }
        }
    }
    tracing::error!(event = "ack_given_up", session = %job.session);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use steadfast_core::ids::{ChatId, LoginGeneration, MessageId};
    use steadfast_core::inbound::Extras;
    use steadfast_core::outbox::{Body, NewMessage, Priority};
    use steadfast_core::port::SessionRecord;
    use steadfast_core::time::UnixMs;
    use steadfast_store::MemoryStore;

    const NOW: UnixMs = UnixMs(1_705_314_600_000);

    fn inbound(id: &WaMessageId, from_me: bool, text: &str, recovered: bool) -> InboundMessage {
        let chat = ChatId::parse("4915123456789").unwrap();
        InboundMessage {
            wa_message_id: id.clone(),
            chat: chat.clone(),
            chat_also: None,
            sender: chat,
            from_me,
            kind: "chat".to_owned(),
            text: text.to_owned(),
            sent_at: NOW,
            recovered,
            extras: Extras::default(),
        }
    }

    /// What a page tells after a restart: what came while we were away, what
    /// we have already, what we sent ourselves, and our canary.
    #[tokio::test]
    async fn after_a_restart_only_what_is_news_is_kept() {
        let store = Arc::new(MemoryStore::new());
        let session = SessionId::parse("default").unwrap();
        let record = SessionRecord {
            id: session.clone(),
            created_at: NOW,
            enabled: true,
            login: LoginGeneration(1),
            parked: None,
        };
        store.add_session(record).await.unwrap();
        let ours = WaMessageId::mint([7; 9]);
        let message = NewMessage {
            id: MessageId::mint(NOW, [7; 10]),
            wa_message_id: ours.clone(),
            session: session.clone(),
            to: ChatId::parse("4915123456789").unwrap(),
            body: Body::text("sent by us"),
            priority: Priority::Normal,
            accepted_at: NOW,
            due_at: NOW,
            expires_at: None,
        };
        store.accept(message, None).await.unwrap();
        let fence = store.take_fence(&session).await.unwrap();
        let claimed = store
            .claim(&session, fence, LoginGeneration(1), NOW, 1)
            .await
            .unwrap();
        assert_eq!(claimed.len(), 1);
        let metrics = Arc::new(Metrics::default());
        let keeper: Arc<dyn Store> = store.clone();
        let (inbox, _acks) = Inbox::new(
            keeper,
            Arc::new(SystemClock),
            Arc::clone(&metrics),
            Updates::default(),
        );
        let live = WaMessageId::mint([1; 9]);
        let missed = WaMessageId::mint([2; 9]);
        let canary = WaMessageId::mint([3; 9]);
        for told in [
            inbound(&live, false, "live", false),
            // From here on the page is a new one, and tells of all that it holds.
            inbound(&live, false, "live", true),
            inbound(&missed, false, "missed", true),
            inbound(&missed, false, "missed", true),
            inbound(&ours, true, "sent by us", true),
            inbound(
                &canary,
                true,
                "Steadfast canary 2024-01-15T10:30:00.000Z",
                true,
            ),
        ] {
            assert_eq!(inbox.keep(&session, told).await, Ok(()));
        }
        let kept = store.inbound(&session, 0, 10).await.unwrap();
        let kept: Vec<_> = kept
            .iter()
            .map(|kept| (kept.message.text.as_str(), kept.message.recovered))
            .collect();
        assert_eq!(kept, [("live", false), ("missed", true)]);
        assert_eq!(metrics.inbound.get(["default"]), 2);
    }
}
