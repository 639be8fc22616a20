//! Events pushed to endpoints: at least once, with ids that never change.
//!
//! [`signature`] says how a body is signed, [`schedule`] when a failed
//! delivery is tried again, [`circuit`] when an endpoint counts as down: all
//! three are pure, time and chance are handed to them. [`envelope`] makes a
//! request of an event, [`fields`] says what an endpoint may look like,
//! [`endpoint`] is one endpoint's task, and [`Webhooks`] here keeps the set of
//! them and answers for it.
//!
//! # For another surface
//!
//! A surface with a way of its own brings an [`Envelope`] under a name
//! ([`Webhooks::with_envelope`], before [`Webhooks::start`]) and adds
//! endpoints that name it ([`NewWebhook`]: `owner`, `envelope`, `secret` in
//! whatever form that envelope reads, `retry` where it has its own schedule).
//! Delivery, order, circuit, dead letters and retention are the same for all.
//! `/v1/webhooks` shows every endpoint, whoever owns it.

pub mod circuit;
mod endpoint;
pub mod envelope;
mod error;
mod fields;
mod post;
pub mod schedule;
pub mod signature;
#[cfg(test)]
mod tests;

pub use endpoint::Status;
pub use envelope::{Envelope, Packed, StandardEnvelope};
pub use error::WebhookError;
pub use fields::{Change, NewWebhook};
pub use post::{Answer, Post};

use crate::clock::{Clock, Random, random_bytes};
use crate::config::{self, Config, Live};
use crate::metrics::Metrics;
use circuit::Limits;
use endpoint::Brief;
use fields::check_fields;
use schedule::Schedule;
use signature::Secret;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use steadfast_core::event::{Event, EventData, EventKind};
use steadfast_core::ids::{EventId, WebhookId};
use steadfast_core::port::{
    DeliveryAttempt, OldSecret, Replay, SecretText, Settled, Store, StoredWebhook, WebhookRecord,
    WebhookState,
};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What every endpoint's task shares.
struct Shared {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    post: Arc<dyn Post>,
    envelopes: RwLock<BTreeMap<&'static str, Arc<dyn Envelope>>>,
    in_flight: Arc<Semaphore>,
    tuning: RwLock<Arc<Tuning>>,
}

/// What a reload of the configuration may change.
struct Tuning {
    schedule: Schedule,
    limits: Limits,
    per_endpoint: usize,
    timeout: Duration,
}

impl Tuning {
    fn of(settings: &config::Webhooks) -> Arc<Self> {
        Arc::new(Self {
            schedule: Schedule::of(settings),
            limits: Limits {
                failures: settings.circuit_failures,
                probe_min_ms: settings.probe_min_ms,
                probe_max_ms: settings.probe_max_ms,
            },
            per_endpoint: settings.max_in_flight_per_endpoint.max(1) as usize,
            timeout: Duration::from_millis(settings.timeout_ms),
        })
    }
}

impl Shared {
    fn envelope(&self, name: &str) -> Option<Arc<dyn Envelope>> {
        let envelopes = self
            .envelopes
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        envelopes.get(name).cloned()
    }

    fn tuning(&self) -> Arc<Tuning> {
        Arc::clone(&self.tuning.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A task that runs.
struct Running {
    wake: Arc<Notify>,
    status: watch::Receiver<Status>,
    stop: CancellationToken,
    task: JoinSet<()>,
}

/// Every endpoint.
pub struct Webhooks {
    shared: Arc<Shared>,
    live: Live,
    random: Arc<dyn Random>,
    running: Mutex<BTreeMap<WebhookId, Running>>,
    /// One change of the set at a time.
    changing: tokio::sync::Mutex<()>,
    closing: CancellationToken,
}

impl Webhooks {
    /// None runs before [`start`](Self::start).
    pub fn new(
        config: Arc<Config>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        metrics: Arc<Metrics>,
        post: Arc<dyn Post>,
    ) -> Arc<Self> {
        let settings = &config.webhooks;
        let standard: Arc<dyn Envelope> = Arc::new(StandardEnvelope);
        let shared = Arc::new(Shared {
            store,
            clock,
            metrics,
            post,
            envelopes: RwLock::new(BTreeMap::from([(envelope::STANDARD, standard)])),
            in_flight: Arc::new(Semaphore::new(settings.max_in_flight as usize)),
            tuning: RwLock::new(Tuning::of(settings)),
        });
        Arc::new(Self {
            shared,
            live: Live::new(config),
            random,
            running: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            closing: CancellationToken::new(),
        })
    }

    /// Takes an envelope for endpoints that name it. To be called before the start.
    pub fn with_envelope(&self, name: &'static str, envelope: Arc<dyn Envelope>) {
        let envelopes = &self.shared.envelopes;
        let mut envelopes = envelopes.write().unwrap_or_else(PoisonError::into_inner);
        envelopes.insert(name, envelope);
    }

    /// Begins with every endpoint that there is, from where each stopped.
    ///
    /// # Errors
    /// Where the store cannot be read, or there is no randomness.
    pub async fn start(&self) -> Result<(), WebhookError> {
        let _changing = self.changing.lock().await;
        for stored in self.shared.store.webhooks().await? {
            self.run(stored)?;
        }
        Ok(())
    }

    /// Goes on by a new configuration: each endpoint's task ends, as at a
    /// stop, and begins anew where it was.
    ///
    /// # Errors
    /// Where the store cannot be read; the endpoints that were not begun with
    /// are after the next change of theirs, or the next start.
    pub async fn reconfigure(&self, config: Arc<Config>) -> Result<(), WebhookError> {
        let _changing = self.changing.lock().await;
        let tuning = Tuning::of(&config.webhooks);
        *self
            .shared
            .tuning
            .write()
            .unwrap_or_else(PoisonError::into_inner) = tuning;
        self.live.set(config);
        let ids: Vec<WebhookId> = self.running().keys().cloned().collect();
        for id in ids {
            self.halt(&id).await;
            self.run(self.stored(&id).await?)?;
        }
        Ok(())
    }

    /// Tells every task to end, and does not wait for it.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Ends every task. What is under way is sent again after the next start.
    pub async fn stop(&self) {
        self.closing.cancel();
        let running = std::mem::take(&mut *self.running());
        for (_, endpoint) in running {
            endpoint.end().await;
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<WebhookId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins with one endpoint, where it is to be given events.
    fn run(&self, stored: StoredWebhook) -> Result<(), WebhookError> {
        if stored.record.state != WebhookState::Active || self.closing.is_cancelled() {
            return Ok(());
        }
        let id = stored.record.id.clone();
        let (sender, status) = watch::channel(Status {
            cursor: stored.cursor,
            ..Status::default()
        });
        let (wake, stop) = (Arc::new(Notify::new()), self.closing.child_token());
        let brief = Brief {
            shared: Arc::clone(&self.shared),
            record: Arc::new(stored.record),
            cursor: stored.cursor,
            seed: u64::from_be_bytes(random_bytes(self.random.as_ref())?),
            wake: Arc::clone(&wake),
            status: sender,
            stop: stop.clone(),
        };
        let mut task = JoinSet::new();
        task.spawn(endpoint::run(brief));
        let running = Running {
            wake,
            status,
            stop,
            task,
        };
        self.running().insert(id, running);
        Ok(())
    }

    async fn halt(&self, id: &WebhookId) {
        let running = self.running().remove(id);
        if let Some(running) = running {
            running.end().await;
        }
    }

    /// Every endpoint, and how each does.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn list(&self) -> Result<Vec<(StoredWebhook, Status)>, WebhookError> {
        let stored = self.shared.store.webhooks().await?;
        let mut all = Vec::with_capacity(stored.len());
        for stored in stored {
            let status = self.status(&stored).await?;
            all.push((stored, status));
        }
        Ok(all)
    }

    /// One endpoint, and how it does.
    ///
    /// # Errors
    /// [`WebhookError::Unknown`]; where the store cannot be read.
    pub async fn get(&self, id: &WebhookId) -> Result<(StoredWebhook, Status), WebhookError> {
        let stored = self.stored(id).await?;
        let status = self.status(&stored).await?;
        Ok((stored, status))
    }

    async fn stored(&self, id: &WebhookId) -> Result<StoredWebhook, WebhookError> {
        let all = self.shared.store.webhooks().await?;
        let found = all.into_iter().find(|stored| stored.record.id == *id);
        found.ok_or_else(|| WebhookError::Unknown(id.clone()))
    }

    async fn status(&self, stored: &StoredWebhook) -> Result<Status, WebhookError> {
        let id = &stored.record.id;
        let known = self.known_status(id);
        let counts = self.shared.store.delivery_counts(id).await?;
        Ok(Status {
            waiting: counts.waiting,
            dead: counts.dead,
            ..known.unwrap_or(Status {
                cursor: stored.cursor,
                ..Status::default()
            })
        })
    }

    fn known_status(&self, id: &WebhookId) -> Option<Status> {
        let running = self.running();
        running
            .get(id)
            .map(|running| running.status.borrow().clone())
    }

    /// How each endpoint that runs does, without asking the store.
    pub fn running_statuses(&self) -> Vec<(WebhookId, Status)> {
        let running = self.running();
        let each = running.iter();
        each.map(|(id, running)| (id.clone(), running.status.borrow().clone()))
            .collect()
    }

    /// Adds an endpoint: it is owed what happens from now on. Its secret is in the answer.
    ///
    /// # Errors
    /// Where a field does not fit, the URL leads where it must not, there are
    /// as many endpoints as may be, or the store did not take it.
    pub async fn add(&self, new: NewWebhook) -> Result<WebhookRecord, WebhookError> {
        let now = self.shared.clock.unix();
        let secret = match (new.secret, new.envelope.as_str()) {
            (None, envelope::STANDARD) => Some(Secret::mint(self.random.as_ref())?.reveal()),
            (secret, _) => secret.map(|secret| secret.0),
        };
        let record = WebhookRecord {
            id: WebhookId::mint(now, random_bytes(self.random.as_ref())?),
            owner: new.owner,
            url: new.url,
            events: new.events,
            sessions: new.sessions,
            headers: new.headers,
            ordered: new.ordered,
            state: new.state,
            secret: secret.map(SecretText),
            old_secret: None,
            envelope: new.envelope,
            retry: new.retry,
            created_at: now,
        };
        self.check(&record).await?;
        let _changing = self.changing.lock().await;
        let most = self.live.get().webhooks.max_endpoints;
        if self.shared.store.webhooks().await?.len() >= most as usize {
            return Err(WebhookError::TooMany(most));
        }
        self.shared.store.add_webhook(record.clone()).await?;
        self.run(self.stored(&record.id).await?)?;
        Ok(record)
    }

    /// Changes an endpoint. It begins anew: what it has not taken is tried at once.
    ///
    /// # Errors
    /// As [`add`](Self::add); [`WebhookError::Unknown`].
    pub async fn change(&self, id: &WebhookId, change: Change) -> Result<(), WebhookError> {
        self.alter(id, |mut record| {
            record.url = change.url.unwrap_or(record.url);
            record.events = change.events.unwrap_or(record.events);
            record.sessions = change.sessions.unwrap_or(record.sessions);
            record.headers = change.headers.unwrap_or(record.headers);
            record.ordered = change.ordered.unwrap_or(record.ordered);
            record.state = change.state.unwrap_or(record.state);
            record
        })
        .await
        .map(|_| ())
    }

    /// Gives an endpoint another secret, its own where one is given. The old
    /// one signs beside it for `webhooks.secret_overlap_ms`.
    ///
    /// # Errors
    /// As [`change`](Self::change); [`WebhookError::Field`] where the secret is
    /// not of the form that this makes, but whatever another envelope reads.
    pub async fn rotate(
        &self,
        id: &WebhookId,
        secret: Option<SecretText>,
    ) -> Result<WebhookRecord, WebhookError> {
        let owned = self.stored(id).await?.record;
        // No change of an endpoint changes its envelope.
        if owned.envelope != envelope::STANDARD {
            let what = format!(
                "this endpoint signs as {} does: change its key where it was made",
                owned.envelope
            );
            return Err(WebhookError::Field("secret", what));
        }
        let minted = Secret::mint(self.random.as_ref())?.reveal();
        let now = self.shared.clock.unix();
        let until = now.plus(self.live.get().webhooks.secret_overlap_ms);
        self.alter(id, |mut record| {
            record.old_secret = record.secret.map(|secret| OldSecret { secret, until });
            record.secret = Some(secret.unwrap_or(SecretText(minted)));
            record
        })
        .await
    }

    /// Changes an endpoint in any way that fits: its cursor, and what it is
    /// owed, stay. It begins anew, as with [`change`](Self::change).
    ///
    /// # Errors
    /// As [`change`](Self::change).
    pub(crate) async fn alter(
        &self,
        id: &WebhookId,
        alter: impl FnOnce(WebhookRecord) -> WebhookRecord,
    ) -> Result<WebhookRecord, WebhookError> {
        let _changing = self.changing.lock().await;
        let before = self.stored(id).await?;
        let record = alter(before.record);
        self.check(&record).await?;
        // Its task writes the record too, where it answers 410: no two at once.
        self.halt(id).await;
        let mut changed = self.shared.store.update_webhook(record.clone()).await;
        if changed.is_ok() {
            let now = self.shared.clock.unix();
            let hastened = self.shared.store.hasten(id, now).await;
            changed = hastened.map(|_| true);
        }
        // It runs again also where the change was not taken.
        self.run(self.stored(id).await?)?;
        changed?;
        Ok(record)
    }

    /// Forgets an endpoint and what it was owed.
    ///
    /// # Errors
    /// [`WebhookError::Unknown`]; where the store does not take it.
    pub async fn remove(&self, id: &WebhookId) -> Result<(), WebhookError> {
        let _changing = self.changing.lock().await;
        self.halt(id).await;
        if self.shared.store.remove_webhook(id).await? {
            Ok(())
        } else {
            Err(WebhookError::Unknown(id.clone()))
        }
    }

    /// Makes dead letters wait again, from the first attempt on; how many.
    ///
    /// # Errors
    /// [`WebhookError::Unknown`]; where the store does not take it.
    pub async fn replay(&self, id: &WebhookId, which: Replay) -> Result<u64, WebhookError> {
        self.stored(id).await?;
        let now = self.shared.clock.unix();
        let replayed = self.shared.store.replay(id, which, now).await?;
        if let Some(running) = self.running().get(id) {
            running.wake.notify_one();
        }
        Ok(replayed)
    }

    /// Sends a test event, once, whatever the endpoint's state, and says what came of it.
    ///
    /// # Errors
    /// [`WebhookError::Unknown`]; where the store does not answer.
    pub async fn test(&self, id: &WebhookId) -> Result<(EventId, Answer), WebhookError> {
        let record = self.stored(id).await?.record;
        let shared = &self.shared;
        let at = shared.clock.unix();
        let event = Event {
            seq: 0,
            id: EventId::mint(at, random_bytes(self.random.as_ref())?),
            kind: EventKind::WebhookTest,
            session: None,
            at,
            data: EventData::Nothing,
        };
        let packed = match shared.envelope(&record.envelope) {
            Some(envelope) => envelope.pack(&event, &record, at).await,
            None => Err(format!("there is no envelope {:?}", record.envelope)),
        };
        let packed = packed.and_then(|packed| {
            packed.ok_or_else(|| "its envelope has no word for a test".to_owned())
        });
        let packed = packed.map_err(WebhookError::NotPacked)?;
        let (post, clock) = (shared.post.as_ref(), shared.clock.as_ref());
        let answer = post::send(post, clock, &record, packed, shared.tuning().timeout).await;
        let settled = Settled {
            attempts: vec![DeliveryAttempt {
                n: 0,
                seq: 0,
                event: event.id.clone(),
                kind: event.kind,
                number: 1,
                at: answer.at,
                took_ms: answer.took_ms,
                status: answer.status,
                outcome: answer.outcome().to_owned(),
                detail: answer.detail.clone(),
            }],
            ..Settled::default()
        };
        shared.store.settle(id, settled).await?;
        Ok((event.id, answer))
    }

    async fn check(&self, record: &WebhookRecord) -> Result<(), WebhookError> {
        check_fields(record)?;
        if self.shared.envelope(&record.envelope).is_none() {
            let what = format!("there is no envelope {:?}", record.envelope);
            return Err(WebhookError::Field("envelope", what));
        }
        self.shared.post.vet(&record.url).await?;
        Ok(())
    }
}

impl Running {
    async fn end(mut self) {
        self.stop.cancel();
        while self.task.join_next().await.is_some() {}
    }
}
