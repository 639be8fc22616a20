//! Endpoints that events are pushed to, and what each is owed: [`WebhookStore`].

use super::store::StoreError;
use crate::event::{Event, EventKind};
use crate::ids::{EventId, SessionId, WebhookId};
use crate::time::UnixMs;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A text that no log and no `Debug` shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretText(pub String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

/// Whether an endpoint is given events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum WebhookState {
    /// It is.
    Active,
    /// Not now: what happens meanwhile waits for it.
    Paused,
    /// It is not, and what happens meanwhile is not for it.
    Disabled {
        /// One sentence for a person.
        why: String,
    },
}

/// When failed deliveries to an endpoint are tried again, where it has its own way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// The pause before each attempt, in milliseconds: as many attempts as pauses.
    pub delays_ms: Vec<u64>,
    /// By how many hundredths a pause may be longer.
    pub jitter_percent: u32,
}

/// A secret that was replaced, and signs beside the new one for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldSecret {
    /// The secret.
    pub secret: SecretText,
    /// Until when it signs.
    pub until: UnixMs,
}

/// An endpoint as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookRecord {
    /// Its id.
    pub id: WebhookId,
    /// The surface that made it and looks after it: `v1`, `waha`.
    pub owner: String,
    /// Where events go.
    pub url: String,
    /// Patterns of the kinds that it wants; none: all.
    pub events: Vec<String>,
    /// The sessions whose events it wants; none: of all, and those of no session.
    pub sessions: Vec<SessionId>,
    /// Headers that go with every request.
    pub headers: Vec<(String, SecretText)>,
    /// Whether each event waits until the one before it has been taken.
    pub ordered: bool,
    /// Whether it is given events.
    #[serde(flatten)]
    pub state: WebhookState,
    /// What signs; a secret of Standard Webhooks, or what its envelope calls one.
    pub secret: Option<SecretText>,
    /// What signed before.
    pub old_secret: Option<OldSecret>,
    /// How events are packed: `standard`, or what another surface brought.
    pub envelope: String,
    /// Its own schedule; `None`: that of the configuration.
    pub retry: Option<RetryPolicy>,
    /// When it was made.
    pub created_at: UnixMs,
}

/// An endpoint, and how far it has been given the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWebhook {
    /// The endpoint.
    pub record: WebhookRecord,
    /// Up to this position it has every event, or they stand among its deliveries.
    pub cursor: i64,
}

/// Where a delivery stands that did not succeed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is tried again.
    Waiting,
    /// It was given up: a dead letter, until somebody replays it.
    Dead,
}

impl DeliveryState {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Dead => "dead",
        }
    }
}

/// An event that an endpoint did not take at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The event, whole: the log may have dropped it.
    pub event: Event,
    /// Where it stands.
    pub state: DeliveryState,
    /// How many attempts have been made.
    pub attempts: u32,
    /// When the next one is due.
    pub next_at: UnixMs,
    /// When it last changed.
    pub updated_at: UnixMs,
    /// How the last attempt ended, in one sentence.
    pub detail: Option<String>,
}

/// One attempt, as kept for people to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// Its position among all attempts; 0 until it is stored.
    pub n: i64,
    /// The position of the event.
    pub seq: i64,
    /// The id of the event.
    pub event: EventId,
    /// Its kind.
    pub kind: EventKind,
    /// From 1; 0 where it was only asked whether the endpoint is back.
    pub number: u32,
    /// When it began.
    pub at: UnixMs,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The status of the answer, where one came.
    pub status: Option<u16>,
    /// A stable name: `delivered`, `failed`, `refused`, `gone`, `skipped`.
    pub outcome: String,
    /// One sentence for a person.
    pub detail: Option<String>,
}

/// What has come of an endpoint's requests, to be written in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// It has everything up to here now; never goes back.
    pub cursor: Option<i64>,
    /// What it did not take.
    pub put: Vec<Delivery>,
    /// What it has taken at last: positions.
    pub done: Vec<i64>,
    /// The attempts themselves.
    pub attempts: Vec<DeliveryAttempt>,
}

/// How much an endpoint is owed beside the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// So many are tried again.
    pub waiting: u64,
    /// So many were given up.
    pub dead: u64,
    /// When the next one is due.
    pub next_at: Option<UnixMs>,
}

/// Which dead letters are to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Those of these positions, both included.
    Range(i64, i64),
    /// All of them.
    All,
}

/// What endpoints there are, and what each is owed.
#[async_trait]
pub trait WebhookStore: Send + Sync {
    /// Adds an endpoint, which is owed what happens from now on. `Exists`
    /// where there is one of this id.
    async fn add_webhook(&self, record: WebhookRecord) -> Result<(), StoreError>;

    /// Changes an endpoint; `false` where there is none of this id. One that
    /// was disabled and is not any more is owed what happens from now on.
    async fn update_webhook(&self, record: WebhookRecord) -> Result<bool, StoreError>;

    /// Forgets an endpoint and what it was owed; `false` where there is none.
    async fn remove_webhook(&self, id: &WebhookId) -> Result<bool, StoreError>;

    /// Every endpoint, by id.
    async fn webhooks(&self) -> Result<Vec<StoredWebhook>, StoreError>;

    /// Writes what has come of requests. Gives the number of dead letters that
    /// had to go for newer ones. Of an endpoint that is gone nothing is written.
    async fn settle(&self, id: &WebhookId, settled: Settled) -> Result<u64, StoreError>;

    /// What waits and is due by `by`, soonest first.
    async fn due_deliveries(
        &self,
        id: &WebhookId,
        by: UnixMs,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// A page of deliveries in this state, by position of their events.
    async fn deliveries(
        &self,
        id: &WebhookId,
        state: DeliveryState,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// How much there is of them.
    async fn delivery_counts(&self, id: &WebhookId) -> Result<DeliveryCounts, StoreError>;

    /// Makes dead letters wait again, due at once, with all attempts before
    /// them; how many.
    async fn replay(&self, id: &WebhookId, which: Replay, at: UnixMs) -> Result<u64, StoreError>;

    /// Makes what waits for later due now; how many that were.
    async fn hasten(&self, id: &WebhookId, at: UnixMs) -> Result<u64, StoreError>;

    /// The newest attempts, newest first, older than `before` where given;
    /// only those of one event where given.
    async fn delivery_attempts(
        &self,
        id: &WebhookId,
        seq: Option<i64>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<DeliveryAttempt>, StoreError>;

    /// Forgets dead letters and attempts from before this time, about so many
    /// at once; how many.
    async fn forget_deliveries(&self, before: UnixMs, limit: u32) -> Result<u64, StoreError>;
}
