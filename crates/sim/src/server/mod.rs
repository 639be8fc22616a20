//! The world as web.whatsapp.com: TLS, the page, the socket, media.

mod assets;
mod media;
mod pages;
mod socket;
mod tls;

use crate::error::Error;
use crate::hub::Hub;
use crate::world::Network;
use axum::Router;
use axum::routing::{get, post};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub(crate) use tls::Identity;

/// Where the page's socket is.
pub const WS_PATH: &str = "/ws/web";

/// Connections at once; beyond it new ones wait.
const MAX_CONNECTIONS: usize = 1_024;
/// How long a client has for the TLS handshake.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// How long a client has for a request's head. Browsers keep idle sockets.
const HEAD_DEADLINE: Duration = Duration::from_mins(1);

/// What every handler needs.
#[derive(Clone)]
struct App {
    hub: Arc<Hub>,
    page_dir: Option<Arc<PathBuf>>,
}

fn router(app: App) -> Router {
    Router::new()
        .route("/", get(pages::index))
        .route("/check", get(pages::check))
        .route(WS_PATH, get(socket::open))
        .route("/mms/{kind}", post(media::upload))
        .route("/mms/get/{handle}", get(media::download))
        .fallback(get(pages::file))
        .layer(axum::extract::DefaultBodyLimit::max(media::MAX_UPLOAD))
        .with_state(app)
}

/// Binds the page's port.
///
/// # Errors
///
/// [`Error::Io`].
pub(crate) async fn bind(addr: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(addr).await.map_err(|source| Error::Io {
        what: "page port",
        source,
    })
}

/// Serves until cancelled; follows the world's network.
pub(crate) async fn serve(
    hub: Arc<Hub>,
    page_dir: Option<PathBuf>,
    identity: &Identity,
    listener: TcpListener,
    cancel: CancellationToken,
) {
    let mut network = hub.network_changes();
    let Ok(addr) = listener.local_addr() else {
        return;
    };
    let serving = Serving {
        router: router(App {
            hub,
            page_dir: page_dir.map(Arc::new),
        }),
        tls: identity.acceptor(),
        connections: JoinSet::new(),
        unanswered: Vec::new(),
    };
    serving.run(listener, addr, &mut network, &cancel).await;
}

struct Serving {
    router: Router,
    tls: TlsAcceptor,
    connections: JoinSet<()>,
    /// Taken while the network was a black hole; dropped when it ends.
    unanswered: Vec<TcpStream>,
}

impl Serving {
    async fn run(
        mut self,
        listener: TcpListener,
        addr: SocketAddr,
        network: &mut watch::Receiver<Network>,
        cancel: &CancellationToken,
    ) {
        let mut listener = Some(listener);
        // Keeps the port ours while nobody listens on it: a connection to a
        // socket that is bound but does not listen is refused.
        let mut placeholder: Option<TcpSocket> = None;
        loop {
            let now = *network.borrow_and_update();
            match now {
                Network::Refusing if listener.is_some() => {
                    listener = None;
                    placeholder = hold(addr);
                }
                Network::Up | Network::BlackHole if listener.is_none() => {
                    listener = listen(addr, placeholder.take());
                    if listener.is_none() {
                        tracing::error!(%addr, "the simulator's page port is lost");
                        return;
                    }
                }
                Network::Up | Network::BlackHole | Network::Refusing => {}
            }
            if now != Network::BlackHole {
                self.unanswered.clear();
            }
            let room = self.connections.len() < MAX_CONNECTIONS;
            let accept = async {
                match &listener {
                    Some(listener) if room => listener.accept().await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                () = cancel.cancelled() => break,
                changed = network.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    // Whatever was under way belongs to the network as it was.
                    self.connections.abort_all();
                }
                taken = accept => match taken {
                    Ok((stream, _)) if now == Network::BlackHole => {
                        if self.unanswered.len() < MAX_CONNECTIONS {
                            self.unanswered.push(stream);
                        }
                    }
                    Ok((stream, _)) => {
                        let serve = serve_one(self.tls.clone(), self.router.clone(), stream);
                        self.connections.spawn(serve);
                    }
                    // Out of file handles, or a client that went away at once.
                    Err(error) => {
                        tracing::debug!(%error, "accept failed");
                        tokio::task::yield_now().await;
                    }
                },
                Some(_) = self.connections.join_next() => {}
            }
        }
        self.connections.shutdown().await;
    }
}

fn hold(addr: SocketAddr) -> Option<TcpSocket> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }
    .ok()?;
    socket.set_reuseaddr(true).ok()?;
    socket.bind(addr).ok()?;
    Some(socket)
}

fn listen(addr: SocketAddr, placeholder: Option<TcpSocket>) -> Option<TcpListener> {
    placeholder.or_else(|| hold(addr))?.listen(1_024).ok()
}

async fn serve_one(tls: TlsAcceptor, router: Router, stream: TcpStream) {
    // Small frames must not wait for more.
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_DEADLINE, tls.accept(stream)).await else {
        return;
    };
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::trace!(%error, "a connection of the page ended");
    }
}
