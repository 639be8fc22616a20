//! Endpoints, as the memory store keeps them.

use super::MemoryStore;
use super::state::State;
use crate::rules::{MAX_DEAD_KEPT, MAX_DELIVERY_ATTEMPTS_KEPT, cut};
use async_trait::async_trait;
use std::collections::{BTreeMap, VecDeque};
use steadfast_core::ids::{SessionId, WebhookId};
use steadfast_core::port::{
    Delivery, DeliveryAttempt, DeliveryCounts, DeliveryState, Replay, Settled, StoreError,
    StoredWebhook, WebhookRecord, WebhookState, WebhookStore,
};
use steadfast_core::time::UnixMs;

/// Every endpoint.
#[derive(Default)]
pub(super) struct Endpoints {
    by_id: BTreeMap<WebhookId, Endpoint>,
    last_attempt: i64,
}

struct Endpoint {
    record: WebhookRecord,
    cursor: i64,
    deliveries: BTreeMap<i64, Delivery>,
    attempts: VecDeque<DeliveryAttempt>,
}

impl Endpoint {
    fn holds(&self) -> bool {
        !matches!(self.record.state, WebhookState::Disabled { .. })
    }

    fn of(&self, state: DeliveryState) -> impl Iterator<Item = &Delivery> {
        let all = self.deliveries.values();
        all.filter(move |delivery| delivery.state == state)
    }
}

impl Endpoints {
    /// How far the one is that holds events and has the fewest of them.
    pub(super) fn owed(&self) -> Option<i64> {
        let holding = self.by_id.values().filter(|endpoint| endpoint.holds());
        holding.map(|endpoint| endpoint.cursor).min()
    }

    /// Events up to here are gone: who missed how many.
    pub(super) fn pass(&mut self, upto: i64) -> Vec<(WebhookId, u64)> {
        let mut missed = Vec::new();
        for (id, endpoint) in &mut self.by_id {
            if endpoint.holds() && endpoint.cursor < upto {
                missed.push((id.clone(), (upto - endpoint.cursor).cast_unsigned()));
                endpoint.cursor = upto;
            }
        }
        missed
    }

    /// Forgets what was owed of a session.
    pub(super) fn forget(&mut self, session: &SessionId) {
        for endpoint in self.by_id.values_mut() {
            let of_it = |delivery: &Delivery| delivery.event.session.as_ref() == Some(session);
            endpoint.deliveries.retain(|_, delivery| !of_it(delivery));
        }
    }

    fn settle(&mut self, id: &WebhookId, settled: Settled) -> u64 {
        let Some(endpoint) = self.by_id.get_mut(id) else {
            return 0;
        };
        if let Some(cursor) = settled.cursor {
            endpoint.cursor = endpoint.cursor.max(cursor);
        }
        for mut delivery in settled.put {
            delivery.detail = delivery.detail.as_deref().map(cut);
            endpoint.deliveries.insert(delivery.event.seq, delivery);
        }
        for seq in &settled.done {
            endpoint.deliveries.remove(seq);
        }
        for mut attempt in settled.attempts {
            self.last_attempt += 1;
            attempt.n = self.last_attempt;
            attempt.detail = attempt.detail.as_deref().map(cut);
            endpoint.attempts.push_back(attempt);
            if endpoint.attempts.len() > MAX_DELIVERY_ATTEMPTS_KEPT as usize {
                endpoint.attempts.pop_front();
            }
        }
        let dead: Vec<i64> = endpoint
            .of(DeliveryState::Dead)
            .map(|delivery| delivery.event.seq)
            .collect();
        let surplus = dead.len().saturating_sub(MAX_DEAD_KEPT as usize);
        for seq in &dead[..surplus] {
            endpoint.deliveries.remove(seq);
        }
        surplus as u64
    }
}

impl State {
    fn endpoint(&self, id: &WebhookId) -> Option<&Endpoint> {
        self.endpoints.by_id.get(id)
    }

    fn waiting_for(&self, id: &WebhookId, state: DeliveryState) -> Vec<Delivery> {
        let endpoint = self.endpoint(id).into_iter();
        endpoint
            .flat_map(|endpoint| endpoint.of(state).cloned())
            .collect()
    }

    /// Changes deliveries that a rule picks; how many.
    fn change_deliveries(
        &mut self,
        id: &WebhookId,
        pick: impl Fn(&Delivery) -> bool,
        change: impl Fn(&mut Delivery),
    ) -> u64 {
        let endpoint = self.endpoints.by_id.get_mut(id).into_iter();
        let mut changed = 0;
        for delivery in endpoint.flat_map(|endpoint| endpoint.deliveries.values_mut()) {
            if pick(delivery) {
                change(delivery);
                changed += 1;
            }
        }
        changed
    }
}

#[async_trait]
impl WebhookStore for MemoryStore {
    async fn add_webhook(&self, record: WebhookRecord) -> Result<(), StoreError> {
        self.with(|state| {
            if state.endpoints.by_id.contains_key(&record.id) {
                return Err(StoreError::Exists);
            }
            let endpoint = Endpoint {
                cursor: state.log.newest(),
                deliveries: BTreeMap::new(),
                attempts: VecDeque::new(),
                record,
            };
            let id = endpoint.record.id.clone();
            state.endpoints.by_id.insert(id, endpoint);
            Ok(())
        })
    }

    async fn update_webhook(&self, record: WebhookRecord) -> Result<bool, StoreError> {
        self.with(|state| {
            let newest = state.log.newest();
            let Some(endpoint) = state.endpoints.by_id.get_mut(&record.id) else {
                return Ok(false);
            };
            if !endpoint.holds() {
                endpoint.cursor = endpoint.cursor.max(newest);
            }
            endpoint.record = record;
            Ok(true)
        })
    }

    async fn remove_webhook(&self, id: &WebhookId) -> Result<bool, StoreError> {
        self.with(|state| Ok(state.endpoints.by_id.remove(id).is_some()))
    }

    async fn webhooks(&self) -> Result<Vec<StoredWebhook>, StoreError> {
        self.with(|state| {
            let all = state.endpoints.by_id.values();
            Ok(all
                .map(|endpoint| StoredWebhook {
                    record: endpoint.record.clone(),
                    cursor: endpoint.cursor,
                })
                .collect())
        })
    }

    async fn settle(&self, id: &WebhookId, settled: Settled) -> Result<u64, StoreError> {
        self.with(|state| Ok(state.endpoints.settle(id, settled)))
    }

    async fn due_deliveries(
        &self,
        id: &WebhookId,
        by: UnixMs,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.with(|state| {
            let mut due = state.waiting_for(id, DeliveryState::Waiting);
            due.retain(|delivery| delivery.next_at <= by);
            due.sort_by_key(|delivery| (delivery.next_at, delivery.event.seq));
            due.truncate(limit as usize);
            Ok(due)
        })
    }

    async fn deliveries(
        &self,
        id: &WebhookId,
        of: DeliveryState,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.with(|state| {
            let mut page = state.waiting_for(id, of);
            page.retain(|delivery| delivery.event.seq > after);
            page.truncate(limit as usize);
            Ok(page)
        })
    }

    async fn delivery_counts(&self, id: &WebhookId) -> Result<DeliveryCounts, StoreError> {
        self.with(|state| {
            let waiting = state.waiting_for(id, DeliveryState::Waiting);
            Ok(DeliveryCounts {
                waiting: waiting.len() as u64,
                dead: state.waiting_for(id, DeliveryState::Dead).len() as u64,
                next_at: waiting.iter().map(|delivery| delivery.next_at).min(),
            })
        })
    }

    async fn replay(&self, id: &WebhookId, which: Replay, at: UnixMs) -> Result<u64, StoreError> {
        let picked = |delivery: &Delivery| {
            delivery.state == DeliveryState::Dead
                && match which {
                    Replay::Range(from, to) => (from..=to).contains(&delivery.event.seq),
                    Replay::All => true,
                }
        };
        let revive = |delivery: &mut Delivery| {
            delivery.state = DeliveryState::Waiting;
            delivery.attempts = 0;
            delivery.next_at = at;
            delivery.updated_at = at;
        };
        self.with(|state| Ok(state.change_deliveries(id, picked, revive)))
    }

    async fn hasten(&self, id: &WebhookId, at: UnixMs) -> Result<u64, StoreError> {
        let later =
            |delivery: &Delivery| delivery.state == DeliveryState::Waiting && delivery.next_at > at;
        let now = |delivery: &mut Delivery| delivery.next_at = at;
        self.with(|state| Ok(state.change_deliveries(id, later, now)))
    }

    async fn delivery_attempts(
        &self,
        id: &WebhookId,
        seq: Option<i64>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<DeliveryAttempt>, StoreError> {
        self.with(|state| {
            let endpoint = state.endpoint(id).into_iter();
            Ok(endpoint
                .flat_map(|endpoint| endpoint.attempts.iter().rev())
                .filter(|attempt| attempt.n < before.unwrap_or(i64::MAX))
                .filter(|attempt| seq.is_none_or(|seq| attempt.seq == seq))
                .take(limit as usize)
                .cloned()
                .collect())
        })
    }

    async fn forget_deliveries(&self, before: UnixMs, _limit: u32) -> Result<u64, StoreError> {
        self.with(|state| {
            let mut forgotten = 0;
            for endpoint in state.endpoints.by_id.values_mut() {
                let had = endpoint.deliveries.len() + endpoint.attempts.len();
                endpoint.deliveries.retain(|_, delivery| {
                    delivery.state == DeliveryState::Waiting || delivery.updated_at >= before
                });
                endpoint.attempts.retain(|attempt| attempt.at >= before);
                forgotten += had - endpoint.deliveries.len() - endpoint.attempts.len();
            }
            Ok(forgotten as u64)
        })
    }
}
