//! Taking connections: so many at once, each with its time for a request
//! head, and an orderly end.

use super::HttpState;
use super::stall::Stall;
use crate::events;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Pause after the system refused a connection for want of file handles or
/// memory: at once it would only refuse again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener that is bound and not yet served.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Binds. From here on connections queue up in the system.
    ///
    /// # Errors
    /// What the system said.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens; with the port that was picked where none was named.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the token of the state is cancelled and every connection
    /// has ended. Running requests are answered; idle connections close at once.
    #[expect(
        clippy::disallowed_methods,
        reason = "the handle is returned, and its owner waits for it"
    )]
    pub fn serve(self, state: Arc<HttpState>) -> JoinHandle<()> {
        let router = super::router(state.clone());
        tokio::spawn(async move { self.run(state, router).await })
    }

    async fn run(self, state: Arc<HttpState>, router: Router) {
        let bounds = state.app.config.server.clone();
        let slots = Arc::new(Semaphore::new(bounds.max_connections as usize));
        let stopping = state.stopping.clone();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(bounds.header_timeout_ms))
            .max_buf_size(bounds.max_header_bytes)
            .half_close(false);
        let stall_limit = Duration::from_millis(bounds.body_timeout_ms);
        // Aborted when this future is dropped.
        let mut connections = JoinSet::new();
        while let Some((stream, slot)) = self.next(&state, &slots, &mut connections).await {
            state.app.metrics.http_connections.inc([]);
            let (http, router) = (http.clone(), router.clone());
            let (stream, stopping) = (Stall::new(stream, stall_limit), stopping.clone());
            connections.spawn(async move {
                connection(stream, http, router, stopping).await;
                drop(slot);
            });
        }
        drop(self.listener);
        while connections.join_next().await.is_some() {}
    }

    /// The next connection with its place among those that may be open;
    /// `None` once the gateway stops.
    async fn next(
        &self,
        state: &HttpState,
        slots: &Arc<Semaphore>,
        connections: &mut JoinSet<()>,
    ) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        let accept = async {
            let slot = slots.clone().acquire_owned().await.ok()?;
            loop {
                match self.listener.accept().await {
                    Ok((stream, _)) => {
                        // Small answers must not wait for Nagle's timer.
                        let _ = stream.set_nodelay(true);
                        return Some((stream, slot));
                    }
                    // One connection that broke before we took it is nobody's fault.
                    Err(error) if connection_error(&error) => {}
                    Err(error) => {
                        tracing::error!(event = events::HTTP_ACCEPT_FAILED, %error, "cannot take connections");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        let mut accept = pin!(accept);
        loop {
            tokio::select! {
                () = state.stopping.cancelled() => return None,
                accepted = accept.as_mut() => return accepted,
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

async fn connection(
    stream: Stall,
    http: http1::Builder,
    router: Router,
    stopping: CancellationToken,
) {
    let service = TowerToHyperService::new(router);
    let connection = http
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = ended {
        // Clients come and go; that is nothing for an operator.
        tracing::trace!(%error, "a connection ended early");
    }
}

fn connection_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
