//! Writes: one thread, one connection, and group commit.
//!
//! A commit costs one sync of the disk, whatever it holds. So the writer takes
//! all requests that wait, runs them in one transaction, commits once and then
//! answers each. Nobody is answered before the commit.
//!
//! One request's error must not touch its neighbours. Requests check before
//! they write, so that nearly every refusal leaves nothing behind, and the
//! transaction simply goes on. Where one fails after it has written, the whole
//! transaction is rolled back and run again with each request in a savepoint
//! of its own. (Savepoints for all, always, would copy every page that each
//! request touches.)

use super::error::Error;
use rusqlite::Connection;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::time::{Duration, Instant};
use steadfast_core::outbox::Status;
use steadfast_core::port::StoreError;
use tokio::sync::oneshot;

/// How long a caller waits for its answer before it is told that there is none.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest that a batch waits for callers who are about to come back.
const GATHER_AT_MOST: Duration = Duration::from_micros(500);

/// An open transaction, as a request sees it.
pub(super) struct Tx<'c> {
    pub(super) db: &'c Connection,
    tally: Tally,
}

/// Changes of the sessions' counters, written once per transaction.
#[derive(Default, Clone)]
struct Tally(Vec<(i64, [i64; 3])>);

impl Tx<'_> {
    /// Runs one statement; its plan is kept.
    pub(super) fn run(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<usize, rusqlite::Error> {
        self.db.prepare_cached(sql)?.execute(params)
    }

    /// Reads at most one row.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, rusqlite::Error> {
        use rusqlite::OptionalExtension as _;
        self.db
            .prepare_cached(sql)?
            .query_row(params, read)
            .optional()
    }

    /// Counts a message of session `sid` that moves from one status to another.
    pub(super) fn count(&mut self, sid: i64, from: Option<Status>, to: Option<Status>) {
        for (status, change) in [(from, -1), (to, 1)] {
            let column = match status {
                Some(Status::Accepted) => 0,
                Some(Status::Sending) => 1,
                Some(Status::Parked) => 2,
                _ => continue,
            };
            let known = self.tally.0.iter().position(|(known, _)| *known == sid);
            let row = known.unwrap_or_else(|| {
                self.tally.0.push((sid, [0; 3]));
                self.tally.0.len() - 1
            });
            self.tally.0[row].1[column] += change;
        }
    }

    fn write_tally(&self) -> Result<(), rusqlite::Error> {
        for (sid, [accepted, sending, parked]) in &self.tally.0 {
            self.run(
                "UPDATE sessions SET accepted = accepted + ?2, sending = sending + ?3,
                 waiting_for_a_person = waiting_for_a_person + ?4 WHERE sid = ?1",
                (sid, accepted, sending, parked),
            )?;
        }
        Ok(())
    }
}

/// One request to the writer.
pub(super) trait Job: Send {
    /// Does it. May be run again after a rollback, with nothing of the first run left.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Error>;
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
    /// Answers, after the commit. What it returns is run next.
    fn answer(self: Box<Self>, result: Result<(), StoreError>) -> Option<Box<dyn Job>>;
}

type FollowUp<T> = Box<dyn FnOnce(&T) -> Option<Box<dyn Job>> + Send>;

/// Work with somebody who waits for what it gives.
struct Request<T, F> {
    work: F,
    given: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    /// What to do where the answer found nobody.
    unheard: Option<FollowUp<T>>,
    /// What to do after it, in any case.
    then: Option<FollowUp<T>>,
}

impl<T, F> Job for Request<T, F>
where
    T: Send,
    F: FnMut(&mut Tx<'_>) -> Result<T, Error> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Error> {
        self.given = Some((self.work)(tx)?);
        Ok(())
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) -> Option<Box<dyn Job>> {
        let given = match (result, self.given) {
            (Ok(()), Some(given)) => given,
            // Unreachable by construction: `run` was `Ok`, so it has given.
            (Ok(()), None) => return None,
            (Err(error), _) => {
                let _ = self.reply.send(Err(error));
                return None;
            }
        };
        let next = self.then.and_then(|then| then(&given));
        match (self.reply.send(Ok(given)), self.unheard) {
            (Err(Ok(given)), Some(unheard)) => unheard(&given),
            _ => next,
        }
    }
}

enum Order {
    Do(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

/// The writer's letterbox.
pub(super) struct Writer {
    orders: SyncSender<Order>,
}

/// How a request is treated beyond being run.
pub(super) struct Manner<T> {
    unheard: Option<FollowUp<T>>,
    then: Option<FollowUp<T>>,
}

impl<T> Default for Manner<T> {
    fn default() -> Self {
        Self {
            unheard: None,
            then: None,
        }
    }
}

impl<T> Manner<T> {
    /// Runs `undo` where the caller was gone before it could be answered.
    pub(super) fn unheard(
        mut self,
        undo: impl FnOnce(&T) -> Option<Box<dyn Job>> + Send + 'static,
    ) -> Self {
        self.unheard = Some(Box::new(undo));
        self
    }

    /// Runs `next` after the commit.
    pub(super) fn then(
        mut self,
        next: impl FnOnce(&T) -> Option<Box<dyn Job>> + Send + 'static,
    ) -> Self {
        self.then = Some(Box::new(next));
        self
    }
}

/// Bounds of the writer.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Requests that may wait; one more is refused.
    pub(super) queue: usize,
    /// Requests in one transaction.
    pub(super) batch: usize,
}

impl Writer {
    /// Starts the thread. It ends when told to, or when the letterbox is dropped.
    pub(super) fn start(
        connection: Connection,
        path: PathBuf,
        bounds: Bounds,
        first: Option<Box<dyn Job>>,
    ) -> std::io::Result<Self> {
        let (orders, inbox) = sync_channel(bounds.queue.max(1));
        let desk = Desk {
            connection,
            path,
            inbox,
            max_batch: bounds.batch.max(1),
            expected: 1,
            last_commit: Duration::ZERO,
            follow_ups: first.into_iter().collect(),
        };
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || desk.serve())?;
        Ok(Self { orders })
    }

    /// Does one piece of work in the next transaction. `Ok` means that it is on disk.
    pub(super) async fn write<T, F>(&self, work: F, manner: Manner<T>) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Request {
            work,
            given: None,
            reply,
            unheard: manner.unheard,
            then: manner.then,
        });
        self.orders
            .try_send(Order::Do(job))
            .map_err(|refused| match refused {
                TrySendError::Full(_) => StoreError::Overloaded,
                TrySendError::Disconnected(_) => StoreError::Closed,
            })?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(StoreError::Closed),
            Err(_) => Err(StoreError::Failed(format!(
                "the disk gave no answer within {} s: whether it was stored is not known",
                PATIENCE.as_secs()
            ))),
        }
    }

    /// Finishes what is queued and closes the database.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        let orders = self.orders.clone();
        // A full queue empties as the writer works; a closed one refuses.
        let told = tokio::task::spawn_blocking(move || orders.send(Order::Close(done)).is_ok());
        if matches!(told.await, Ok(true)) {
            let _ = tokio::time::timeout(PATIENCE, closed).await;
        }
    }
}

/// What the thread owns.
struct Desk {
    connection: Connection,
    path: PathBuf,
    inbox: Receiver<Order>,
    max_batch: usize,
    /// How many callers were answered last: about as many are likely to be back soon.
    expected: usize,
    last_commit: Duration,
    follow_ups: VecDeque<Box<dyn Job>>,
}

impl Desk {
    fn serve(mut self) {
        let closing = loop {
            let (batch, closing) = self.gather();
            self.commit(batch);
            if let Some(closing) = closing {
                break closing;
            }
        };
        // Nothing new comes in from here; what is already in is finished.
        while let Ok(order) = self.inbox.try_recv() {
            if let Order::Do(job) = order {
                self.commit(vec![job]);
            }
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "the database did not close cleanly");
        }
        drop(self.inbox);
        if let Some(done) = closing.0 {
            let _ = done.send(());
        }
    }

    /// Waits for work, then takes what is there, and waits a moment for those
    /// who are likely to come back.
    fn gather(&mut self) -> (Vec<Box<dyn Job>>, Option<Closing>) {
        let mut batch: Vec<_> = self.follow_ups.pop_front().into_iter().collect();
        if batch.is_empty() {
            match self.inbox.recv() {
                Ok(Order::Do(job)) => batch.push(job),
                Ok(Order::Close(done)) => return (batch, Some(Closing(Some(done)))),
                Err(_) => return (batch, Some(Closing(None))),
            }
        }
        let until = Instant::now() + (self.last_commit / 2).min(GATHER_AT_MOST);
        while batch.len() < self.max_batch {
            let next = match self.inbox.try_recv() {
                Err(TryRecvError::Empty) if batch.len() < self.expected => {
                    let left = until.saturating_duration_since(Instant::now());
                    self.inbox.recv_timeout(left).map_err(|error| match error {
                        RecvTimeoutError::Timeout => TryRecvError::Empty,
                        RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
                    })
                }
                next => next,
            };
            match next {
                Ok(Order::Do(job)) => batch.push(job),
                Ok(Order::Close(done)) => return (batch, Some(Closing(Some(done)))),
                // Where the letterbox is gone, the next gather finds out.
                Err(_) => break,
            }
        }
        (batch, None)
    }

    /// Runs one batch in one transaction, commits, answers.
    fn commit(&mut self, mut batch: Vec<Box<dyn Job>>) {
        batch.retain(|job| !job.is_abandoned());
        if batch.is_empty() {
            return;
        }
        let results = match self.transact(&mut batch, Isolation::Shared) {
            Ok(results) => results,
            Err(Undone::Again) => match self.transact(&mut batch, Isolation::Savepoints) {
                Ok(results) => results,
                Err(undone) => undone.for_all(&self.path, batch.len()),
            },
            Err(undone) => undone.for_all(&self.path, batch.len()),
        };
        self.expected = batch.len();
        for (job, result) in batch.into_iter().zip(results) {
            self.follow_ups.extend(job.answer(result));
        }
    }

    fn transact(
        &mut self,
        batch: &mut [Box<dyn Job>],
        isolation: Isolation,
    ) -> Result<Vec<Result<(), StoreError>>, Undone> {
        let done = self.try_transact(batch, isolation);
        if done.is_err()
            && !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
        done
    }

    fn try_transact(
        &mut self,
        batch: &mut [Box<dyn Job>],
        isolation: Isolation,
    ) -> Result<Vec<Result<(), StoreError>>, Undone> {
        let db = &self.connection;
        let run = |sql: &str| {
            db.prepare_cached(sql)
                .and_then(|mut statement| statement.execute(()))
        };
        run("BEGIN IMMEDIATE")?;
        let mut tx = Tx {
            db,
            tally: Tally::default(),
        };
        let mut results = Vec::with_capacity(batch.len());
        for job in batch {
            let result = match isolation {
                Isolation::Shared => {
                    let before = db.total_changes();
                    let result = job.run(&mut tx);
                    if result.is_err() && (db.total_changes() != before || db.is_autocommit()) {
                        return Err(Undone::Again);
                    }
                    result
                }
                Isolation::Savepoints => {
                    let tally = tx.tally.clone();
                    run("SAVEPOINT request")?;
                    let result = job.run(&mut tx);
                    if let Err(error) = &result {
                        if db.is_autocommit() {
                            // SQLite itself gave the whole transaction up.
                            return Err(Undone::Failed(error.conclude(&self.path)));
                        }
                        run("ROLLBACK TO request")?;
                        tx.tally = tally;
                    }
                    run("RELEASE request")?;
                    result
                }
            };
            results.push(result.map_err(|error| error.conclude(&self.path)));
        }
        tx.write_tally()?;
        let started = Instant::now();
        run("COMMIT")?;
        self.last_commit = started.elapsed();
        Ok(results)
    }
}

/// Who waits for the end, if anybody.
struct Closing(Option<oneshot::Sender<()>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Isolation {
    /// One transaction, nothing between the requests.
    Shared,
    /// Each request in a savepoint of its own.
    Savepoints,
}

/// Why nothing of a batch was stored.
enum Undone {
    /// One of its requests failed halfway: run them again, apart.
    Again,
    /// The transaction as a whole failed.
    Sqlite(rusqlite::Error),
    /// The same, already put into the port's words.
    Failed(StoreError),
}

impl From<rusqlite::Error> for Undone {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Undone {
    fn for_all(self, path: &std::path::Path, count: usize) -> Vec<Result<(), StoreError>> {
        let error = match self {
            Self::Again => StoreError::Failed("a transaction was undone".to_owned()),
            Self::Sqlite(error) => super::error::conclude(&error, path),
            Self::Failed(error) => error,
        };
        vec![Err(error); count]
    }
}

#[cfg(test)]
mod tests;
