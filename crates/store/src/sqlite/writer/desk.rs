//! The thread that writes.
//!
//! A batch is run while it gathers: each request is run as it is taken from
//! the queue, until nobody waits any more. Callers that were answered last are
//! likely to be back in a moment, so the batch waits for about as many, but
//! never for longer than half of what a commit costs.
//!
//! One request's error must not touch its neighbours. Requests check before
//! they write, so that nearly every refusal leaves nothing behind, and the
//! transaction simply goes on. Where one fails after it has written, the whole
//! transaction is rolled back and run again with each request in a savepoint
//! of its own. (Savepoints for all, always, would copy every page that each
//! request touches.)

use super::{Job, Order, Tx};
use crate::sqlite::error::{conclude, conclude_commit};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};
use steadfast_core::port::StoreError;
use tokio::sync::{oneshot, watch};

/// The longest that a batch waits for callers who are about to come back.
const GATHER_AT_MOST: Duration = Duration::from_micros(500);

/// What the thread owns.
pub(super) struct Desk {
    connection: Connection,
    path: PathBuf,
    intake: Intake,
    max_batch: usize,
    /// How many requests the last batch held: about as many are likely to come now.
    expected: usize,
    last_commit: Duration,
    /// How far the log of events goes, for who waits for news.
    told: watch::Sender<i64>,
}

/// The results of a batch, in its order.
type Results = Vec<Result<(), StoreError>>;

/// Why nothing of a batch was stored.
enum Undone {
    /// One of its requests failed halfway: run them again, apart.
    Halfway,
    /// The transaction as a whole failed.
    Failed(StoreError),
}

impl Desk {
    pub(super) fn new(
        connection: Connection,
        path: PathBuf,
        inbox: Receiver<Order>,
        max_batch: usize,
        first: Option<Box<dyn Job>>,
        told: watch::Sender<i64>,
    ) -> Self {
        Self {
            connection,
            path,
            intake: Intake {
                inbox,
                follow_ups: first.into_iter().collect(),
                closing: None,
            },
            max_batch: max_batch.max(1),
            expected: 1,
            last_commit: Duration::ZERO,
            told,
        }
    }

    /// Serves until it is told to close, or until nobody can ask any more.
    pub(super) fn serve(mut self) {
        while let Some(first) = self.intake.first() {
            self.serve_batch(first);
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "the database did not close cleanly");
        }
        if let Some(done) = self.intake.closing {
            let _ = done.send(());
        }
    }

    /// Runs one batch in one transaction, commits, answers.
    fn serve_batch(&mut self, first: Box<dyn Job>) {
        let mut batch = Vec::with_capacity(self.expected);
        let results = self
            .together(first, &mut batch)
            .or_else(|undone| match undone {
                Undone::Halfway => self.apart(&mut batch),
                Undone::Failed(_) => Err(undone),
            })
            .unwrap_or_else(|undone| {
                let error = match undone {
                    Undone::Failed(error) => error,
                    Undone::Halfway => StoreError::Failed("a transaction was undone".to_owned()),
                };
                vec![Err(error); batch.len()]
            });
        self.expected = batch.len();
        for (job, result) in batch.into_iter().zip(results) {
            self.intake.follow_ups.extend(job.answer(result));
        }
    }

    /// Gathers a batch and runs it in one go, nothing between the requests.
    fn together(
        &mut self,
        first: Box<dyn Job>,
        batch: &mut Vec<Box<dyn Job>>,
    ) -> Result<Results, Undone> {
        let Self {
            connection: db,
            path,
            intake,
            ..
        } = self;
        let until = Instant::now() + (self.last_commit / 2).min(GATHER_AT_MOST);
        if let Err(error) = control(db, "BEGIN IMMEDIATE") {
            // Whoever waits now would only wait in vain again.
            batch.push(first);
            while batch.len() < self.max_batch
                && let Some(job) = intake.next(None)
            {
                batch.push(job);
            }
            return Err(Undone::Failed(conclude(&error, path)));
        }
        let mut tx = Tx::new(db);
        let mut results = Vec::with_capacity(self.expected);
        let mut next = Some(first);
        while let Some(mut job) = next {
            let before = db.total_changes();
            let result = job.run(&mut tx);
            batch.push(job);
            if result.is_err() && (db.is_autocommit() || db.total_changes() != before) {
                roll_back(db);
                return Err(Undone::Halfway);
            }
            results.push(result.map_err(|error| error.conclude(path)));
            next = if batch.len() < self.max_batch {
                intake.next((batch.len() < self.expected).then_some(until))
            } else {
                None
            };
        }
        self.last_commit = finish(&mut tx, path)?;
        spread(&self.told, &tx);
        Ok(results)
    }

    /// Runs a batch again, each request so that it can fail alone.
    fn apart(&mut self, batch: &mut [Box<dyn Job>]) -> Result<Results, Undone> {
        let (db, path) = (&self.connection, &self.path);
        let run = |sql| {
            control(db, sql).map_err(|error| {
                roll_back(db);
                Undone::Failed(conclude(&error, path))
            })
        };
        run("BEGIN IMMEDIATE")?;
        let mut tx = Tx::new(db);
        let mut results = Vec::with_capacity(batch.len());
        for job in batch {
            run("SAVEPOINT request")?;
            let tally = tx.tally();
            let result = job.run(&mut tx);
            if let Err(error) = &result {
                if db.is_autocommit() {
                    // SQLite itself gave the whole transaction up.
                    return Err(Undone::Failed(error.conclude(path)));
                }
                run("ROLLBACK TO request")?;
                tx.forget_since(tally);
            }
            run("RELEASE request")?;
            results.push(result.map_err(|error| error.conclude(path)));
        }
        self.last_commit = finish(&mut tx, path)?;
        spread(&self.told, &tx);
        Ok(results)
    }
}

/// Says what is told now, after the commit.
fn spread(told: &watch::Sender<i64>, tx: &Tx<'_>) {
    if let Some(upto) = tx.told_upto() {
        told.send_replace(upto);
    }
}

/// Commits; how long it took.
fn finish(tx: &mut Tx<'_>, path: &Path) -> Result<Duration, Undone> {
    let started = Instant::now();
    tx.write_tally()
        .map_err(|error| conclude(&error, path))
        .and_then(|()| control(tx.db, "COMMIT").map_err(|error| conclude_commit(&error, path)))
        .map_err(|error| {
            roll_back(tx.db);
            Undone::Failed(error)
        })?;
    Ok(started.elapsed())
}

fn control(db: &Connection, sql: &str) -> Result<(), rusqlite::Error> {
    db.prepare_cached(sql)?.execute(())?;
    Ok(())
}

/// Ends a failed transaction, where SQLite has not done so itself.
fn roll_back(db: &Connection) {
    if !db.is_autocommit()
        && let Err(error) = db.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "a transaction could not be rolled back");
    }
}

/// Where requests come from.
struct Intake {
    inbox: Receiver<Order>,
    /// What answered requests left to do.
    follow_ups: VecDeque<Box<dyn Job>>,
    /// Who waits for the end, once somebody does.
    closing: Option<oneshot::Sender<()>>,
}

impl Intake {
    /// Waits for a request. `None`: this is the end.
    fn first(&mut self) -> Option<Box<dyn Job>> {
        if self.closing.is_some() {
            // Nobody is kept waiting; what was left to do is done after the next start.
            return self.next(None);
        }
        if let Some(job) = self.follow_ups.pop_front() {
            return Some(job);
        }
        loop {
            match self.inbox.recv().ok()? {
                Order::Do(job) if job.is_abandoned() => {}
                Order::Do(job) => return Some(job),
                Order::Close(done) => {
                    self.closing = Some(done);
                    return self.next(None);
                }
            }
        }
    }

    /// Takes a request that is here, or that comes until then.
    fn next(&mut self, until: Option<Instant>) -> Option<Box<dyn Job>> {
        loop {
            let order = match (self.inbox.try_recv(), until) {
                (Ok(order), _) => order,
                (Err(TryRecvError::Empty), Some(until)) => {
                    let left = until.saturating_duration_since(Instant::now());
                    self.inbox.recv_timeout(left).ok()?
                }
                (Err(_), _) => return None,
            };
            match order {
                Order::Do(job) if job.is_abandoned() => {}
                Order::Do(job) => return Some(job),
                Order::Close(done) => self.closing = Some(done),
            }
        }
    }
}
