//! Tells who waits that a message has changed. What changed is in the store;
//! this only says where to look.

use steadfast_core::ids::MessageId;
use tokio::sync::broadcast;

/// How many changes a slow waiter may fall behind before it is told to look
/// at the store unasked.
const BACKLOG: usize = 1024;

/// The channel of changes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Updates(broadcast::Sender<MessageId>);

impl Default for Updates {
    fn default() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }
}

impl Updates {
    /// Says that this message changed. Never blocks; nobody listening is fine.
    pub fn publish(&self, id: MessageId) {
        let _ = self.0.send(id);
    }

    /// Listens from now on.
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

/// One who waits.
#[derive(Debug)]
pub struct Listener(broadcast::Receiver<MessageId>);

impl Listener {
    /// Returns when this message may have changed: it was named, or changes
    /// were missed. Never returns once no more changes can come.
    pub async fn changed(&mut self, id: &MessageId) {
        loop {
            match self.0.recv().await {
                Ok(named) if named == *id => return,
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
