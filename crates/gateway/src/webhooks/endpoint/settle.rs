//! What came of an endpoint's requests, and what follows: attempts, events that
//! wait or are given up, the cursor, an endpoint that is back or wants no more.

use super::super::post::Answer;
use super::super::schedule::Verdict;
use super::{Done, Endpoint, Job, STORE_PAUSE, Until};
use crate::events;
use std::sync::Arc;
use steadfast_core::event::{Told, WebhookNotice};
use steadfast_core::port::{
    Delivery, DeliveryAttempt, DeliveryState, Settled, StoreError, WebhookRecord, WebhookState,
};

/// How far, and for how long, the cursor on disk may be behind where nothing was sent.
const LAZY_POSITIONS: i64 = 1_000;
const LAZY_MS: u64 = 5_000;

impl Endpoint {
    /// The envelope has no word for it: it counts as taken.
    pub(super) async fn skip(&mut self, job: &Job) {
        self.open.remove(&job.event.seq);
        if job.waited.is_some() {
            let settled = Settled {
                done: vec![job.event.seq],
                ..Settled::default()
            };
            self.settle(settled).await;
        }
    }

    /// Writes down what came of requests; true where this was the last.
    pub(super) async fn finish(&mut self, ended: Vec<Done>) -> bool {
        let was_down = self.circuit.is_down();
        let mut settled = Settled::default();
        let (mut gone, mut taken) = (false, false);
        for Done { job, answer, .. } in ended {
            taken |= answer.is_taken();
            gone |= self.conclude(&mut settled, job, &answer);
        }
        settled.cursor = Some(self.cursor());
        self.settle(settled).await;
        if gone {
            self.disable().await;
            return true;
        }
        let is_back = was_down && !self.circuit.is_down();
        if is_back {
            let id = &self.brief.record.id;
            tracing::info!(event = events::WEBHOOK_BACK, webhook = %id);
        }
        if is_back || (taken && self.unsure) {
            self.unsure = false;
            self.hasten().await;
        }
        false
    }

    /// Adds what one answer means; true where the endpoint wants nothing any more.
    fn conclude(&mut self, settled: &mut Settled, job: Job, answer: &Answer) -> bool {
        let shared = Arc::clone(&self.brief.shared);
        let (now, mono) = (shared.clock.unix(), shared.clock.mono());
        let id = self.brief.record.id.as_str();
        let seq = job.event.seq;
        self.busy.remove(&seq);
        self.open.remove(&seq);
        let was_down = self.circuit.is_down();
        self.circuit = self.circuit.ended(answer.is_taken(), mono, self.limits);
        if let Some(rest_ms) = self.schedule.rest_ms(answer.ended) {
            self.circuit = self.circuit.rest(mono.plus(rest_ms));
        }
        if !was_down && self.circuit.is_down() {
            tracing::warn!(
                event = events::WEBHOOK_DOWN,
                webhook = id,
                status = answer.status
            );
        }
        shared.metrics.webhook_attempts.inc([id, answer.outcome()]);
        let seconds = answer.took_ms as f64 / 1_000.0;
        shared.metrics.webhook_seconds.observe([id], seconds);
        let number = if job.extra {
            job.attempts
        } else {
            job.attempts + 1
        };
        settled.attempts.push(DeliveryAttempt {
            n: 0,
            seq,
            event: job.event.id.clone(),
            kind: job.event.kind,
            number: if job.extra { 0 } else { number },
            at: answer.at,
            took_ms: answer.took_ms,
            status: answer.status,
            outcome: answer.outcome().to_owned(),
            detail: answer.detail.clone(),
        });
        let verdict = self
            .schedule
            .after(number, answer.ended, now, &mut self.random);
        let (state, next_at) = match (verdict, job.waited) {
            (Verdict::Delivered, waited) => {
                if waited.is_some() {
                    settled.done.push(seq);
                }
                self.show(|status| status.taken_at = Some(now));
                return false;
            }
            // It counts for nothing, and changes nothing of what is planned.
            (Verdict::Retry { .. } | Verdict::Dead, Some(planned)) if job.extra => {
                (DeliveryState::Waiting, planned)
            }
            // What it was told before it said so may come again, should somebody enable it.
            (Verdict::Gone, _) => (DeliveryState::Dead, now),
            (Verdict::Retry { at }, _) => (DeliveryState::Waiting, at),
            (Verdict::Dead, _) => {
                tracing::error!(
                    event = events::WEBHOOK_DEAD_LETTER,
                    webhook = id,
                    id = %job.event.id,
                    attempts = number,
                );
                shared.metrics.webhook_dead.inc([id]);
                (DeliveryState::Dead, now)
            }
        };
        let detail = answer.detail.clone();
        self.show(|status| status.failed = Some((now, detail.clone().unwrap_or_default())));
        settled.put.push(Delivery {
            event: job.event,
            state,
            attempts: number,
            next_at,
            updated_at: now,
            detail,
        });
        verdict == Verdict::Gone
    }

    /// Up to where everything is settled.
    pub(super) fn cursor(&self) -> i64 {
        self.open.first().map_or(self.read_upto, |first| first - 1)
    }

    /// Writes it, and goes on trying for as long as the store does not take
    /// it: nothing more is sent until then.
    async fn settle(&mut self, settled: Settled) {
        let store = Arc::clone(&self.brief.shared.store);
        let id = self.brief.record.id.clone();
        if !settled.put.is_empty() || !settled.done.is_empty() {
            self.waiting = None;
        }
        loop {
            match store.settle(&id, settled.clone()).await {
                Ok(0) => break,
                Ok(dropped) => {
                    tracing::error!(
                        event = events::WEBHOOK_DEAD_LETTERS_DROPPED,
                        webhook = %id,
                        dropped,
                    );
                    break;
                }
                Err(StoreError::Closed) => return,
                Err(error) => {
                    self.store_failed(&error);
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
        if let Some(cursor) = settled.cursor {
            self.on_disk = cursor;
            self.written = self.brief.shared.clock.mono();
        }
    }

    /// Events that are not for this endpoint move its cursor too, now and then.
    pub(super) async fn write_lazily(&mut self, until: &mut Until) -> Result<(), StoreError> {
        let cursor = self.cursor();
        if cursor <= self.on_disk {
            return Ok(());
        }
        let now = self.brief.shared.clock.mono();
        if cursor - self.on_disk < LAZY_POSITIONS && now.since(self.written) < LAZY_MS {
            let at = self.written.plus(LAZY_MS);
            until.at = Some(until.at.map_or(at, |other| other.min(at)));
            return Ok(());
        }
        let settled = Settled {
            cursor: Some(cursor),
            ..Settled::default()
        };
        self.settle(settled).await;
        Ok(())
    }

    /// It is up: what waited for its sake waits no longer.
    async fn hasten(&mut self) {
        let shared = Arc::clone(&self.brief.shared);
        let id = &self.brief.record.id;
        match shared.store.hasten(id, shared.clock.unix()).await {
            Ok(_) | Err(StoreError::Closed) => {}
            Err(error) => self.store_failed(&error),
        }
    }

    /// It answered 410: it wants nothing any more.
    async fn disable(&mut self) {
        let shared = Arc::clone(&self.brief.shared);
        let record = WebhookRecord {
            state: WebhookState::Disabled {
                why: "it answered 410 Gone".to_owned(),
            },
            ..self.brief.record.as_ref().clone()
        };
        let id = record.id.clone();
        tracing::warn!(event = events::WEBHOOK_DISABLED, webhook = %id);
        let notice = WebhookNotice {
            webhook: id.to_string(),
            missed: None,
            detail: "it answered 410 Gone, and was switched off".to_owned(),
        };
        loop {
            let told = match shared.store.update_webhook(record.clone()).await {
                Ok(_) => {
                    let notice = Told::WebhookDisabled(notice.clone());
                    shared.store.tell(notice, shared.clock.unix()).await
                }
                Err(error) => Err(error),
            };
            match told {
                Ok(()) | Err(StoreError::Closed) => return,
                Err(error) => {
                    self.store_failed(&error);
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
    }
}
