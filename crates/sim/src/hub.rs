//! Gives a [`World`] time and sockets: one lock, one timer, one bounded
//! queue per socket.

use crate::error::Error;
use crate::frames::ServerFrame;
use crate::world::{ConnId, Effect, Network, World};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use steadfast_core::time::MonoMs;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Frames that wait for one socket. More than the world's window of items,
/// with room for acks and answers.
const OUT_QUEUE: usize = 4_096;

/// What a socket is to do.
#[derive(Debug)]
pub enum Outbound {
    /// Send this.
    Frame(Box<ServerFrame>),
    /// Close in good order with this code.
    Close(u16),
}

struct Out {
    queue: mpsc::Sender<Outbound>,
    cut: CancellationToken,
}

struct Inner {
    world: World,
    outs: HashMap<ConnId, Out>,
}

/// A running world.
pub struct Hub {
    inner: Mutex<Inner>,
    start: Instant,
    timer: Notify,
    journal: watch::Sender<u64>,
    network: watch::Sender<Network>,
}

/// One socket's end in the world. Dropping it tells the world that the socket is gone.
pub struct Connection {
    hub: Arc<Hub>,
    /// Its name in the world.
    pub id: ConnId,
    /// What to do. Ends where the socket was too slow.
    pub out: mpsc::Receiver<Outbound>,
    /// Set where the TCP connection is to be cut without a word.
    pub cut: CancellationToken,
}

impl Connection {
    /// Takes a frame of the page.
    pub fn frame(&self, text: &str) {
        self.hub.with(|world| world.frame(self.id, text));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.hub.disconnect(self.id);
    }
}

impl Hub {
    /// Takes a world into time. It moves only while [`Self::run`] is polled.
    pub fn new(world: World) -> Arc<Self> {
        let journal = watch::Sender::new(world.journal().last_seq());
        let network = watch::Sender::new(world.network());
        Arc::new(Self {
            inner: Mutex::new(Inner {
                world,
                outs: HashMap::new(),
            }),
            start: Instant::now(),
            timer: Notify::new(),
            journal,
            network,
        })
    }

    /// Lets due things happen until cancelled.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        loop {
            let deadline = self.lock().world.next_deadline();
            let due = async {
                match deadline {
                    Some(at) => {
                        tokio::time::sleep_until(self.start + Duration::from_millis(at.0)).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                () = due => self.with(|_| ()),
                () = self.timer.notified() => {}
            }
        }
    }

    /// Looks at or changes the world, brought up to now; what follows from
    /// the change is done before this returns.
    pub fn with<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        let mut inner = self.lock();
        let deadline = inner.world.next_deadline();
        inner.world.advance(self.now());
        let result = f(&mut inner.world);
        self.carry_out(&mut inner);
        if inner.world.next_deadline() != deadline {
            self.timer.notify_one();
        }
        let seq = inner.world.journal().last_seq();
        self.journal
            .send_if_modified(|old| std::mem::replace(old, seq) != seq);
        result
    }

    /// Opens a socket.
    pub fn connect(self: &Arc<Self>) -> Connection {
        let (queue, out) = mpsc::channel(OUT_QUEUE);
        let cut = CancellationToken::new();
        let id = self.with(World::connect);
        self.lock().outs.insert(
            id,
            Out {
                queue,
                cut: cut.clone(),
            },
        );
        Connection {
            hub: Arc::clone(self),
            id,
            out,
            cut,
        }
    }

    /// The journal's newest number, and every change of it.
    pub fn journal_changes(&self) -> watch::Receiver<u64> {
        self.journal.subscribe()
    }

    /// The network's state, and every change of it.
    pub fn network_changes(&self) -> watch::Receiver<Network> {
        self.network.subscribe()
    }

    /// Waits until `look` finds something. It looks again whenever the
    /// journal grows.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] after `within`.
    pub async fn wait_for<T>(
        &self,
        what: &'static str,
        within: Duration,
        mut look: impl FnMut(&mut World) -> Option<T>,
    ) -> Result<T, Error> {
        let mut changes = self.journal_changes();
        let deadline = Instant::now() + within;
        loop {
            changes.mark_unchanged();
            if let Some(found) = self.with(&mut look) {
                return Ok(found);
            }
            match tokio::time::timeout_at(deadline, changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(Error::Timeout(what)),
            }
        }
    }

    fn now(&self) -> MonoMs {
        MonoMs(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// A panic under the lock leaves the world as it was between two steps at
    /// worst; going on beats failing every other test.
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn disconnect(&self, id: ConnId) {
        self.lock().outs.remove(&id);
        self.with(|world| world.closed(id));
    }

    fn carry_out(&self, inner: &mut Inner) {
        for effect in inner.world.take_effects() {
            match effect {
                Effect::Send(conn, frame) => {
                    Self::push(&mut inner.outs, conn, Outbound::Frame(frame));
                }
                Effect::Close(conn, Some(code)) => {
                    Self::push(&mut inner.outs, conn, Outbound::Close(code));
                }
                Effect::Close(conn, None) => {
                    if let Some(out) = inner.outs.remove(&conn) {
                        out.cut.cancel();
                    }
                }
                Effect::Network(network) => {
                    self.network.send_replace(network);
                }
            }
        }
    }

    fn push(outs: &mut HashMap<ConnId, Out>, conn: ConnId, what: Outbound) {
        let full = outs
            .get(&conn)
            .is_some_and(|out| out.queue.try_send(what).is_err());
        if full && let Some(out) = outs.remove(&conn) {
            out.cut.cancel();
        }
    }
}
