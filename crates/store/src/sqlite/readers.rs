//! Reads: a few connections that cannot write, each used by one read at a time.

use super::error::{Error, conclude};
use super::{Options, open};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use steadfast_core::port::StoreError;
use tokio::sync::Semaphore;

/// How long a read waits for a free connection before it is refused.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pool. Connections are opened when they are first needed.
pub(super) struct Readers {
    path: PathBuf,
    options: Options,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, options: Options) -> Self {
        Self {
            path,
            options,
            permits: Arc::new(Semaphore::new(options.readers.max(1))),
            idle: Arc::default(),
        }
    }

    /// Runs one read on a thread that may block. It sees every write that was
    /// answered before it was called.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    {
        let permit = tokio::time::timeout(PATIENCE, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| StoreError::Overloaded)?
            .map_err(|_| StoreError::Closed)?;
        let (path, options) = (self.path.clone(), self.options);
        let idle = Arc::clone(&self.idle);
        let read = tokio::task::spawn_blocking(move || {
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = match kept {
                Some(connection) => connection,
                None => {
                    open::open_reader(&path, &options).map_err(|error| conclude(&error, &path))?
                }
            };
            let answer = work(&mut connection).map_err(|error| error.conclude(&path));
            idle.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
            drop(permit);
            answer
        });
        match read.await {
            Ok(answer) => answer,
            Err(error) => Err(StoreError::Failed(format!("a read was cut short: {error}"))),
        }
    }

    /// Refuses further reads, waits for those under way, closes the connections.
    pub(super) async fn close(&self) {
        let all = u32::try_from(self.options.readers.max(1)).unwrap_or(u32::MAX);
        // Nobody holds a permit for longer than one bounded query.
        let last = tokio::time::timeout(PATIENCE, self.permits.acquire_many(all)).await;
        self.permits.close();
        drop(last);
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
