//! Writes: one thread, one connection, and group commit.
//!
//! A commit costs one sync of the disk, whatever it holds. So the writer runs
//! all requests that wait in one transaction, commits once and then answers
//! each. Nobody is answered before the commit.
//!
//! `desk` is the thread, `tx` what a request sees of its transaction; here is
//! what the callers see.

mod desk;
mod tx;

pub(super) use tx::{NewEvent, Tx};

use super::error::Error;
use desk::Desk;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use steadfast_core::port::StoreError;
use tokio::sync::{oneshot, watch};

/// How long the end waits for what is queued.
const END_WITHIN: Duration = Duration::from_secs(30);

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

/// Where the answer goes. Dropped without one (the writer died), it says what
/// can be said.
struct Reply<T> {
    /// `None` once it was used.
    sender: Option<oneshot::Sender<Result<T, StoreError>>>,
    /// Whether its request was run: then it may have been committed too.
    begun: bool,
}

impl<T> Reply<T> {
    /// Answers; gives the answer back where nobody waits for it any more.
    fn send(mut self, answer: Result<T, StoreError>) -> Result<(), Result<T, StoreError>> {
        match self.sender.take() {
            Some(sender) => sender.send(answer),
            None => Ok(()),
        }
    }

    fn is_closed(&self) -> bool {
        self.sender.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let Some(sender) = self.sender.take() else {
            return;
        };
        let end = if self.begun {
            StoreError::Unknown("the store ended before it had answered".to_owned())
        } else {
            StoreError::Closed
        };
        let _ = sender.send(Err(end));
    }
}

/// Work with somebody who waits for what it gives.
struct Request<T, F> {
    work: F,
    given: Option<T>,
    reply: Reply<T>,
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
        self.reply.begun = true;
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
    patience: Duration,
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
    /// How long a caller waits for its answer before it is told that there is none.
    pub(super) patience: Duration,
}

impl Writer {
    /// Starts the thread. It ends when told to, or when the letterbox is
    /// dropped. After each commit it says in `told` how far the log of events goes.
    pub(super) fn start(
        connection: Connection,
        path: PathBuf,
        bounds: Bounds,
        first: Option<Box<dyn Job>>,
        told: watch::Sender<i64>,
    ) -> std::io::Result<Self> {
        let (orders, inbox) = sync_channel(bounds.queue.max(1));
        let desk = Desk::new(connection, path, inbox, bounds.batch, first, told);
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || desk.serve())?;
        Ok(Self {
            orders,
            patience: bounds.patience,
        })
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
            reply: Reply {
                sender: Some(reply),
                begun: false,
            },
            unheard: manner.unheard,
            then: manner.then,
        });
        self.orders
            .try_send(Order::Do(job))
            .map_err(|refused| match refused {
                TrySendError::Full(_) => StoreError::Overloaded,
                TrySendError::Disconnected(_) => StoreError::Closed,
            })?;
        match tokio::time::timeout(self.patience, answer).await {
            Ok(Ok(answer)) => answer,
            // Unreachable by construction: a reply says something when it is dropped.
            Ok(Err(_)) => Err(StoreError::Closed),
            Err(_) => Err(StoreError::Unknown(format!(
                "the disk gave no answer within {} ms",
                self.patience.as_millis()
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
            let _ = tokio::time::timeout(END_WITHIN, closed).await;
        }
    }
}

#[cfg(test)]
mod tests;
