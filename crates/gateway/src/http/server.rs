//! Taking connections: so many at once, each with its time for a request
//! head, and an orderly end.

use super::HttpState;
use super::dashboard;
use super::peer::Peer;
use super::stall::Stall;
use super::tasks::Place;
use super::tls::{Tls, TlsError};
use super::usage;
use crate::clock::Clock;
use crate::events;
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use steadfast_core::time::MonoMs;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// Pause after the system refused a connection for want of file handles or
/// memory: at once it would only refuse again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The first byte of every TLS connection (RFC 8446, 5.1: a handshake record).
const TLS_HANDSHAKE: u8 = 22;

/// A listener that is bound and not yet served.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
}

impl Server {
    /// Binds. From here on connections queue up in the system.
    ///
    /// # Errors
    /// What the system said.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            tls: None,
        })
    }

    /// Turns TLS on. This machine itself, over loopback, may go on with plain HTTP.
    ///
    /// # Errors
    /// Where certificate or key cannot be used.
    pub fn with_tls(mut self, cert: &Path, key: &Path, now: MonoMs) -> Result<Self, TlsError> {
        self.tls = Some(Arc::new(Tls::load(cert, key, now)?));
        Ok(self)
    }

    /// Whether it speaks TLS.
    pub fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Certificate and key, where it speaks TLS.
    pub(crate) fn tls(&self) -> Option<Arc<Tls>> {
        self.tls.clone()
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
        connections.spawn(usage::keep(state.clone()));
        // What still runs when this future is dropped ends with it.
        let _leash = state.tasks.leash();
        connections.spawn(dashboard::history::keep(state.clone()));
        let welcome_within = Duration::from_millis(bounds.header_timeout_ms);
        while let Some((stream, peer, slot)) = self.next(&state, &slots, &mut connections).await {
            state.app.metrics.http_connections.inc([]);
            let tls = self.tls.clone();
            let clock = state.app.clock.clone();
            let talk = Talk {
                http: http.clone(),
                router: router.clone(),
                peer,
                place: Place::of(slot),
                stopping: stopping.clone(),
            };
            connections.spawn(async move {
                let welcome = welcome(stream, peer, tls.as_deref(), clock.as_ref());
                match tokio::time::timeout(welcome_within, welcome).await {
                    Ok(Ok(Welcome::Plain(stream))) => {
                        talk.over(Stall::new(stream, stall_limit)).await;
                    }
                    Ok(Ok(Welcome::Tls(stream))) => {
                        talk.over(Stall::new(stream, stall_limit)).await;
                    }
                    Ok(Err(error)) => tracing::trace!(%error, "a connection was not begun"),
                    Err(_) => tracing::trace!("a connection was begun too slowly"),
                }
            });
        }
        drop(self.listener);
        while connections.join_next().await.is_some() {}
        // Callers who hung up are owed no answer, and what they began its end.
        state.tasks.ended().await;
    }

    /// The next connection with its place among those that may be open;
    /// `None` once the gateway stops.
    async fn next(
        &self,
        state: &HttpState,
        slots: &Arc<Semaphore>,
        connections: &mut JoinSet<()>,
    ) -> Option<(TcpStream, Peer, OwnedSemaphorePermit)> {
        let accept = async {
            let slot = slots.clone().acquire_owned().await.ok()?;
            loop {
                match self.listener.accept().await {
                    Ok((stream, peer)) => {
                        // Small answers must not wait for Nagle's timer.
                        let _ = stream.set_nodelay(true);
                        return Some((stream, Peer(peer), slot));
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

/// A connection that may begin to speak HTTP.
enum Welcome {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Shakes hands where TLS is on. What comes over loopback and does not begin
/// with a handshake is this machine's own plain HTTP.
async fn welcome(
    stream: TcpStream,
    peer: Peer,
    tls: Option<&Tls>,
    clock: &dyn Clock,
) -> io::Result<Welcome> {
    let Some(tls) = tls else {
        return Ok(Welcome::Plain(stream));
    };
    if peer.0.ip().to_canonical().is_loopback() {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first != [TLS_HANDSHAKE] {
            return Ok(Welcome::Plain(stream));
        }
    }
    let stream = tls.acceptor(clock.mono()).accept(stream).await?;
    Ok(Welcome::Tls(Box::new(stream)))
}

/// What one connection needs.
struct Talk {
    http: http1::Builder,
    router: Router,
    peer: Peer,
    /// Given back with the last request.
    place: Place,
    stopping: CancellationToken,
}

impl Talk {
    async fn over<S>(self, stream: Stall<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (router, peer) = (TowerToHyperService::new(self.router), self.peer);
        let place = self.place;
        let begun = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&begun);
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(place.clone());
            router.call(request)
        });
        let connection = self
            .http
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stopping.cancelled() => {
                // Who has asked nothing yet is owed no answer; hyper would wait
                // for the rest of a head that was begun.
                if !begun.load(Ordering::Relaxed) {
                    return;
                }
                connection.as_mut().graceful_shutdown();
                connection.as_mut().await
            }
        };
        if let Err(error) = ended {
            // Clients come and go; that is nothing for an operator.
            tracing::trace!(%error, "a connection ended early");
        }
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
