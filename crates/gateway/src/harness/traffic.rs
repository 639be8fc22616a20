//! The messages of a run: a budget that is spent over HTTP, and what was
//! promised for each of them.

use super::HarnessError;
use super::client::Client;
use super::stage::Stage;
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Between two tries of a caller, and two looks at a message. Nothing tells a
/// caller when to ask again.
const CALLERS_PAUSE: Duration = Duration::from_millis(100);
/// How long a caller goes on offering a message while the gateway is down.
const PATIENCE: Duration = Duration::from_mins(1);
/// The chat of the messages that faults send to see what becomes of them: in
/// no other chat is the order of two callers at once a matter of luck.
const PROBE_CHAT: &str = "4915550000099";

/// A message that the gateway has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The gateway's id.
    pub id: String,
    /// WhatsApp's id.
    pub wa_message_id: String,
    /// The chat, by number.
    pub chat: String,
    /// The text; no two are alike.
    pub text: String,
    /// When it was first offered.
    pub offered: Instant,
}

/// A message that was offered and never accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unaccepted {
    /// The chat, by number.
    pub chat: String,
    /// Which message of the run, and what came instead.
    pub what: String,
}

/// What became of an offer.
#[derive(Debug)]
pub enum Offer {
    /// It is on disk.
    Taken(Accepted),
    /// It was refused, and the gateway said so: nobody is owed anything.
    Refused(u16),
    /// No answer came: it may be on disk or not.
    Unanswered(String),
}

/// A run's messages.
#[derive(Debug)]
pub struct Traffic {
    seed: u64,
    /// Messages in all.
    messages: u32,
    /// The first of those that are kept for faults.
    reserved_from: u32,
    next: AtomicU32,
    next_reserved: AtomicU32,
    accepted: Mutex<Vec<Accepted>>,
    unaccepted: Mutex<Vec<Unaccepted>>,
    full: watch::Sender<u64>,
}

impl Traffic {
    /// A budget of so many messages, of which some are kept for faults that
    /// must see what becomes of one.
    pub fn new(seed: u64, messages: u32, reserved: u32) -> Self {
        let reserved_from = messages.saturating_sub(reserved.min(messages / 2));
        Self {
            seed,
            messages,
            reserved_from,
            next: AtomicU32::new(0),
            next_reserved: AtomicU32::new(reserved_from),
            accepted: Mutex::default(),
            unaccepted: Mutex::default(),
            full: watch::Sender::new(0),
        }
    }

    /// How many messages there are in all.
    pub fn messages(&self) -> u32 {
        self.messages
    }

    /// How many messages flow by themselves.
    pub fn flowing(&self) -> u32 {
        self.reserved_from
    }

    /// Nothing more is offered.
    pub fn close(&self) {
        self.next.store(self.reserved_from, Ordering::Relaxed);
        self.next_reserved.store(self.messages, Ordering::Relaxed);
    }

    /// How many were accepted.
    pub fn accepted_so_far(&self) -> usize {
        self.lock().len()
    }

    /// What was accepted, in order.
    pub fn accepted(&self) -> Vec<Accepted> {
        self.lock().clone()
    }

    /// What was offered in vain. A gateway that is tested must take everything.
    pub fn unaccepted(&self) -> Vec<Unaccepted> {
        let unaccepted = self.unaccepted.lock();
        unaccepted.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts answers that say "the disk is full" (507).
    pub fn refusals_for_want_of_room(&self) -> watch::Receiver<u64> {
        self.full.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Accepted>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers the next message that flows by itself to one of so many chats.
    /// Returns how many were offered; `None` where that was all.
    ///
    /// # Errors
    /// Where the gateway answers what it should not.
    pub async fn flow(&self, stage: &Stage, chats: u32) -> Result<Option<u32>, HarnessError> {
        let i = self.next.fetch_add(1, Ordering::Relaxed);
        if i >= self.reserved_from {
            return Ok(None);
        }
        let chat = format!("4915550{:06}", 100 + i % chats.max(1));
        self.offer(stage, i, &chat).await?;
        Ok(Some(i + 1))
    }

    /// Offers one of the messages that are kept for faults, and waits until it
    /// is sent; not at all where `within` is zero. `None` where none is left.
    ///
    /// # Errors
    /// Where it is not accepted, or not sent in time.
    pub async fn probe(
        &self,
        stage: &Stage,
        within: Duration,
    ) -> Result<Option<Accepted>, HarnessError> {
        let taken = self
            .next_reserved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |i| {
                (i < self.messages).then_some(i + 1)
            });
        let Ok(i) = taken else {
            return Ok(None);
        };
        let until = Instant::now() + within;
        match self.offer(stage, i, PROBE_CHAT).await? {
            Offer::Taken(message) => {
                if !within.is_zero() {
                    let left = until.saturating_duration_since(Instant::now());
                    self.sent(stage, &message, left).await?;
                }
                Ok(Some(message))
            }
            Offer::Refused(status) => Err(HarnessError::Unmet(format!(
                "a message was refused with {status}"
            ))),
            Offer::Unanswered(why) => Err(HarnessError::Unmet(format!(
                "a message was not accepted: {why}"
            ))),
        }
    }

    /// Offers what is left of the messages that were kept for faults.
    ///
    /// # Errors
    /// As [`Traffic::probe`].
    pub async fn spend_the_rest(&self, stage: &Stage) -> Result<(), HarnessError> {
        while self.probe(stage, Duration::ZERO).await?.is_some() {}
        Ok(())
    }

    /// Waits until a message has left the gateway.
    ///
    /// # Errors
    /// Where it has not in time, or never will, with what the gateway says of it.
    pub async fn sent(
        &self,
        stage: &Stage,
        message: &Accepted,
        within: Duration,
    ) -> Result<(), HarnessError> {
        let path = format!("/v1/messages/{}", message.id);
        let until = Instant::now() + within;
        let mut last = "nothing".to_owned();
        loop {
            if let Some(client) = stage.client().await
                && let Ok(view) = client.get(&path).await
            {
                last = view.to_string();
                match view["status"].as_str().unwrap_or_default() {
                    "sent" | "delivered" | "read" | "played" => return Ok(()),
                    "accepted" | "sending" => {}
                    _ => return Err(HarnessError::Unmet(format!("a message ended: {last}"))),
                }
            }
            if Instant::now() >= until {
                return Err(HarnessError::Unmet(format!(
                    "a message was not sent within {} s: {last}",
                    within.as_secs()
                )));
            }
            tokio::time::sleep(CALLERS_PAUSE).await;
        }
    }

    async fn offer(&self, stage: &Stage, i: u32, chat: &str) -> Result<Offer, HarnessError> {
        let text = format!("Steadfast {} message {i}", self.seed);
        let client = async || stage.client().await;
        let refused = |status| {
            if status == 507 {
                self.full.send_modify(|n| *n += 1);
            }
        };
        let offer = offer(client, chat, &text, PATIENCE, refused).await?;
        match &offer {
            Offer::Taken(message) => self.lock().push(message.clone()),
            Offer::Refused(status) => {
                self.note(chat, format!("message {i}: refused with {status}"));
            }
            Offer::Unanswered(why) => self.note(
                chat,
                format!(
                    "message {i}: not accepted within {} s: {why}",
                    PATIENCE.as_secs()
                ),
            ),
        }
        Ok(offer)
    }

    fn note(&self, chat: &str, what: String) {
        tracing::warn!(event = "offer_in_vain", what);
        let unaccepted = self.unaccepted.lock();
        let mut unaccepted = unaccepted.unwrap_or_else(PoisonError::into_inner);
        unaccepted.push(Unaccepted {
            chat: chat.to_owned(),
            what,
        });
    }
}

/// Offers one message with an idempotency key, and offers it again under the
/// same key until there is an answer, as a careful caller does.
///
/// # Errors
/// Where the gateway answers what it should not.
pub async fn accept(
    client: impl AsyncFn() -> Option<Client>,
    chat: &str,
    text: &str,
    patience: Duration,
) -> Result<Offer, HarnessError> {
    offer(client, chat, text, patience, |_| {}).await
}

async fn offer(
    client: impl AsyncFn() -> Option<Client>,
    chat: &str,
    text: &str,
    patience: Duration,
    not_now: impl Fn(u16),
) -> Result<Offer, HarnessError> {
    let body = json!({"to": chat, "text": text});
    let path = format!("/v1/sessions/{}/messages", crate::app::DEFAULT_SESSION);
    let offered = Instant::now();
    let until = offered + patience;
    let mut last = "the gateway is down".to_owned();
    while Instant::now() < until {
        if let Some(client) = client().await {
            match client
                .post_once(&path, &body, text, Duration::from_secs(10))
                .await
            {
                Ok(answer) if answer.status == 202 => {
                    let field = |name: &str| answer.body[name].as_str().map(str::to_owned);
                    let (Some(id), Some(wa_message_id)) = (field("id"), field("wa_message_id"))
                    else {
                        return Err(HarnessError::Answer {
                            method: "POST",
                            path,
                            status: answer.status,
                            body: answer.body.to_string(),
                        });
                    };
                    return Ok(Offer::Taken(Accepted {
                        id,
                        wa_message_id,
                        chat: chat.to_owned(),
                        text: text.to_owned(),
                        offered,
                    }));
                }
                Ok(answer) if answer.status == 409 || answer.status >= 500 => {
                    not_now(answer.status);
                    last = answer.body.to_string();
                }
                Ok(answer) => return Ok(Offer::Refused(answer.status)),
                Err(error) => last = error.to_string(),
            }
        }
        tokio::time::sleep(CALLERS_PAUSE).await;
    }
    Ok(Offer::Unanswered(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_never_takes_more_than_half() {
        assert_eq!(Traffic::new(1, 300, 8).flowing(), 292);
        assert_eq!(Traffic::new(1, 10, 8).flowing(), 5);
        assert_eq!(Traffic::new(1, 1, 8).flowing(), 1);
    }
}
