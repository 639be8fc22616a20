//! Endpoints, and what each is owed beside the log.

use super::SqliteStore;
use super::error::Error;
use super::events;
use super::rows::{damaged, parsed};
use super::writer::Tx;
use crate::rules::{MAX_DEAD_KEPT, MAX_DELIVERY_ATTEMPTS_KEPT, cut};
use async_trait::async_trait;
use rusqlite::{Connection, Row};
use steadfast_core::event::EventKind;
use steadfast_core::ids::WebhookId;
use steadfast_core::port::{
    Delivery, DeliveryAttempt, DeliveryCounts, DeliveryState, Replay, Settled, StoreError,
    StoredWebhook, WebhookRecord, WebhookState, WebhookStore,
};
use steadfast_core::time::UnixMs;

/// A query for deliveries, as [`delivery`] reads them.
macro_rules! select_delivery {
    ($rest:literal) => {
        concat!(
            "SELECT event, state, attempts, next_at, updated_at, detail FROM deliveries ",
            $rest
        )
    };
}

#[async_trait]
impl WebhookStore for SqliteStore {
    async fn add_webhook(&self, record: WebhookRecord) -> Result<(), StoreError> {
        let json = json(&record)?;
        self.write(move |tx| add(tx, &record, &json)).await
    }

    async fn update_webhook(&self, record: WebhookRecord) -> Result<bool, StoreError> {
        let json = json(&record)?;
        self.write(move |tx| update(tx, &record, &json)).await
    }

    async fn remove_webhook(&self, id: &WebhookId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.write(move |tx| Ok(tx.run("DELETE FROM webhooks WHERE id = ?1", (id.as_str(),))? > 0))
            .await
    }

    async fn webhooks(&self) -> Result<Vec<StoredWebhook>, StoreError> {
        self.read(|db| Ok(all(db)?)).await
    }

    async fn settle(&self, id: &WebhookId, settled: Settled) -> Result<u64, StoreError> {
        let id = id.clone();
        let events = settled
            .put
            .iter()
            .map(|delivery| serde_json::to_string(&delivery.event))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        self.write(move |tx| settle(tx, &id, &settled, &events))
            .await
    }

    async fn due_deliveries(
        &self,
        id: &WebhookId,
        by: UnixMs,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let id = id.clone();
        self.read(move |db| {
            let due = db
                .prepare_cached(select_delivery!(
                    "WHERE webhook = ?1 AND state = 'waiting' AND next_at <= ?2
                     ORDER BY next_at, seq LIMIT ?3"
                ))?
                .query_map((id.as_str(), by.0, limit), delivery)?
                .collect::<Result<_, _>>()?;
            Ok(due)
        })
        .await
    }

    async fn deliveries(
        &self,
        id: &WebhookId,
        state: DeliveryState,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let id = id.clone();
        self.read(move |db| {
            let page = db
                .prepare_cached(select_delivery!(
                    "WHERE webhook = ?1 AND seq > ?2 AND state = ?3 ORDER BY seq LIMIT ?4"
                ))?
                .query_map((id.as_str(), after, state.as_str(), limit), delivery)?
                .collect::<Result<_, _>>()?;
            Ok(page)
        })
        .await
    }

    async fn delivery_counts(&self, id: &WebhookId) -> Result<DeliveryCounts, StoreError> {
        let id = id.clone();
        self.read(move |db| {
            let counts = db
                .prepare_cached(
                    "SELECT (SELECT count(*) FROM deliveries WHERE webhook = ?1 AND state = 'waiting'),
                     (SELECT count(*) FROM deliveries WHERE webhook = ?1 AND state = 'dead'),
                     (SELECT min(next_at) FROM deliveries WHERE webhook = ?1 AND state = 'waiting')",
                )?
                .query_row((id.as_str(),), |row| {
                    Ok(DeliveryCounts {
                        waiting: row.get::<_, i64>(0)?.cast_unsigned(),
                        dead: row.get::<_, i64>(1)?.cast_unsigned(),
                        next_at: row.get::<_, Option<i64>>(2)?.map(UnixMs),
                    })
                })?;
            Ok(counts)
        })
        .await
    }

    async fn replay(&self, id: &WebhookId, which: Replay, at: UnixMs) -> Result<u64, StoreError> {
        let id = id.clone();
        let (from, to) = match which {
            Replay::Range(from, to) => (from, to),
            Replay::All => (i64::MIN, i64::MAX),
        };
        self.write(move |tx| {
            let replayed = tx.run(
                "UPDATE deliveries SET state = 'waiting', attempts = 0, next_at = ?4, updated_at = ?4
                 WHERE webhook = ?1 AND state = 'dead' AND seq BETWEEN ?2 AND ?3",
                (id.as_str(), from, to, at.0),
            )?;
            Ok(replayed as u64)
        })
        .await
    }

    async fn hasten(&self, id: &WebhookId, at: UnixMs) -> Result<u64, StoreError> {
        let id = id.clone();
        self.write(move |tx| {
            let hastened = tx.run(
                "UPDATE deliveries SET next_at = ?2
                 WHERE webhook = ?1 AND state = 'waiting' AND next_at > ?2",
                (id.as_str(), at.0),
            )?;
            Ok(hastened as u64)
        })
        .await
    }

    async fn delivery_attempts(
        &self,
        id: &WebhookId,
        seq: Option<i64>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<DeliveryAttempt>, StoreError> {
        let id = id.clone();
        self.read(move |db| {
            let page = db
                .prepare_cached(
                    "SELECT n, seq, event, kind, number, at, took_ms, status, outcome, detail
                     FROM delivery_attempts INDEXED BY delivery_attempts_by_webhook
                     WHERE webhook = ?1 AND n < ?2 AND (?3 IS NULL OR seq = ?3)
                     ORDER BY n DESC LIMIT ?4",
                )?
                .query_map(
                    (id.as_str(), before.unwrap_or(i64::MAX), seq, limit),
                    attempt,
                )?
                .collect::<Result<_, _>>()?;
            Ok(page)
        })
        .await
    }

    async fn forget_deliveries(&self, before: UnixMs, limit: u32) -> Result<u64, StoreError> {
        self.write(move |tx| {
            let dead = tx.run(
                "DELETE FROM deliveries WHERE (webhook, seq) IN
                 (SELECT webhook, seq FROM deliveries WHERE state = 'dead' AND updated_at < ?1 LIMIT ?2)",
                (before.0, limit),
            )?;
            // Attempts lie in the order of their time: the look ends at the first that stays.
            let attempts = tx.run(
                "DELETE FROM delivery_attempts WHERE n IN
                 (SELECT n FROM (SELECT n, at FROM delivery_attempts ORDER BY n LIMIT ?2) WHERE at < ?1)",
                (before.0, limit),
            )?;
            Ok((dead + attempts) as u64)
        })
        .await
    }
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let state = row.get_ref(1)?.as_str()?;
    let state = [DeliveryState::Waiting, DeliveryState::Dead]
        .into_iter()
        .find(|known| known.as_str() == state)
        .ok_or_else(|| damaged(1, format!("{state:?} is no state of a delivery")))?;
    Ok(Delivery {
        event: serde_json::from_str(row.get_ref(0)?.as_str()?)
            .map_err(|error| damaged(0, error))?,
        state,
        attempts: row.get(2)?,
        next_at: UnixMs(row.get(3)?),
        updated_at: UnixMs(row.get(4)?),
        detail: row.get(5)?,
    })
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<DeliveryAttempt> {
    let kind = row.get_ref(3)?.as_str()?;
    Ok(DeliveryAttempt {
        n: row.get(0)?,
        seq: row.get(1)?,
        event: parsed(row, 2)?,
        kind: EventKind::parse(kind)
            .ok_or_else(|| damaged(3, format!("{kind:?} is no kind of event")))?,
        number: row.get(4)?,
        at: UnixMs(row.get(5)?),
        took_ms: row.get::<_, i64>(6)?.cast_unsigned(),
        status: row.get(7)?,
        outcome: row.get(8)?,
        detail: row.get(9)?,
    })
}

fn json(record: &WebhookRecord) -> Result<String, StoreError> {
    serde_json::to_string(record).map_err(|error| StoreError::Failed(error.to_string()))
}

fn holds(record: &WebhookRecord) -> bool {
    !matches!(record.state, WebhookState::Disabled { .. })
}

fn add(tx: &mut Tx<'_>, record: &WebhookRecord, json: &str) -> Result<(), Error> {
    let id = record.id.as_str();
    let known = tx.one("SELECT 1 FROM webhooks WHERE id = ?1", (id,), |_| Ok(()))?;
    if known.is_some() {
        return Err(StoreError::Exists.into());
    }
    let cursor = newest(tx)?;
    tx.run(
        "INSERT INTO webhooks (id, record, cursor, holds) VALUES (?1, ?2, ?3, ?4)",
        (id, json, cursor, holds(record)),
    )?;
    Ok(())
}

fn update(tx: &mut Tx<'_>, record: &WebhookRecord, json: &str) -> Result<bool, Error> {
    let id = record.id.as_str();
    let newest = newest(tx)?;
    // What happened while it was disabled is not for it.
    let changed = tx.run(
        "UPDATE webhooks SET record = ?2, holds = ?3,
         cursor = CASE WHEN holds = 1 THEN cursor ELSE max(cursor, ?4) END WHERE id = ?1",
        (id, json, holds(record), newest),
    )?;
    Ok(changed > 0)
}

/// The newest position, with what this transaction has accepted counted in.
fn newest(tx: &mut Tx<'_>) -> Result<i64, Error> {
    tx.tell_accepted()?;
    Ok(events::newest(tx.db)?)
}

fn all(db: &Connection) -> Result<Vec<StoredWebhook>, rusqlite::Error> {
    db.prepare_cached("SELECT record, cursor FROM webhooks ORDER BY id")?
        .query_map((), |row| {
            Ok(StoredWebhook {
                record: serde_json::from_str(row.get_ref(0)?.as_str()?)
                    .map_err(|error| damaged(0, error))?,
                cursor: row.get(1)?,
            })
        })?
        .collect()
}

fn settle(
    tx: &mut Tx<'_>,
    id: &WebhookId,
    settled: &Settled,
    events: &[String],
) -> Result<u64, Error> {
    let id = id.as_str();
    let known = tx.one("SELECT 1 FROM webhooks WHERE id = ?1", (id,), |_| Ok(()))?;
    if known.is_none() {
        return Ok(0);
    }
    if let Some(cursor) = settled.cursor {
        tx.run(
            "UPDATE webhooks SET cursor = max(cursor, ?2) WHERE id = ?1",
            (id, cursor),
        )?;
    }
    for (delivery, event) in settled.put.iter().zip(events) {
        tx.run(
            "INSERT INTO deliveries (webhook, seq, state, attempts, next_at, updated_at, detail,
             session, event) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (webhook, seq) DO UPDATE SET state = ?3, attempts = ?4, next_at = ?5,
             updated_at = ?6, detail = ?7",
            (
                id,
                delivery.event.seq,
                delivery.state.as_str(),
                delivery.attempts,
                delivery.next_at.0,
                delivery.updated_at.0,
                delivery.detail.as_deref().map(cut),
                delivery
                    .event
                    .session
                    .as_ref()
                    .map(steadfast_core::ids::SessionId::as_str),
                event,
            ),
        )?;
    }
    for seq in &settled.done {
        tx.run(
            "DELETE FROM deliveries WHERE webhook = ?1 AND seq = ?2",
            (id, seq),
        )?;
    }
    for attempt in &settled.attempts {
        tx.run(
            "INSERT INTO delivery_attempts (webhook, seq, event, kind, number, at, took_ms, status,
             outcome, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            (
                id,
                attempt.seq,
                attempt.event.as_str(),
                attempt.kind.as_str(),
                attempt.number,
                attempt.at.0,
                attempt.took_ms.cast_signed(),
                attempt.status,
                &attempt.outcome,
                attempt.detail.as_deref().map(cut),
            ),
        )?;
    }
    if !settled.attempts.is_empty() {
        tx.run(
            "DELETE FROM delivery_attempts WHERE webhook = ?1 AND n <=
             (SELECT n FROM delivery_attempts WHERE webhook = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2)",
            (id, MAX_DELIVERY_ATTEMPTS_KEPT),
        )?;
    }
    let died = |delivery: &Delivery| delivery.state == DeliveryState::Dead;
    if !settled.put.iter().any(died) {
        return Ok(0);
    }
    let dropped = tx.run(
        "DELETE FROM deliveries WHERE webhook = ?1 AND seq IN (SELECT seq FROM deliveries
         WHERE webhook = ?1 AND state = 'dead' ORDER BY seq DESC LIMIT -1 OFFSET ?2)",
        (id, MAX_DEAD_KEPT),
    )?;
    Ok(dropped as u64)
}
