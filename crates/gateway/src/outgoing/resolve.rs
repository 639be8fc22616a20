//! From a name to addresses, by the system's resolver.

use async_trait::async_trait;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Look-ups that may be under way. The system's resolver blocks a thread for
/// each, for as long as it likes.
const MAX_LOOKUPS: usize = 32;
/// Most addresses of one name that are looked at.
const MAX_ADDRESSES: usize = 16;

/// Finds addresses for names.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// The addresses of a host, each with the port, best first.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver: /etc/hosts, DNS, whatever it is set up to ask.
#[derive(Debug)]
pub struct SystemResolver {
    slots: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        }
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let host = host.to_owned();
        let lookup = tokio::task::spawn_blocking(move || {
            // The slot is free when the thread is, also where nobody waits any more.
            let _slot = slot;
            let found = (host.as_str(), port).to_socket_addrs()?;
            Ok(found.take(MAX_ADDRESSES).collect())
        });
        lookup.await.map_err(io::Error::other)?
    }
}
