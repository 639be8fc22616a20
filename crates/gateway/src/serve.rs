//! The gateway put together, started and ended: data folder, port, store,
//! first token, sessions, HTTP; and the same backwards.

use crate::app::App;
use crate::clock::{Clock, Random, RandomError, SystemClock, SystemRandom};
use crate::config::{self, Changes, Config, Live};
use crate::data_dir::{DataDir, DataDirError, Lock, RunningGateway};
use crate::events;
use crate::housekeeping;
use crate::http::{HttpState, Server, Tls, TlsError, WahaEnvelope};
use crate::media::MediaStore;
use crate::metrics::Metrics;
use crate::outgoing::Outgoing;
use crate::sessions::Sessions;
use crate::token;
use crate::traces::{Collector, SetupError};
use crate::webhooks::{WebhookError, Webhooks};
use futures_util::future::BoxFuture;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::port::{Scope, Store, StoreError, TokenRecord};
use steadfast_store::SqliteStore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What sessions are made from.
pub struct Parts {
    /// What is in force.
    pub config: Arc<Config>,
    /// Where profiles live.
    pub data_dir: DataDir,
    /// What survives us.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Unguessable bytes.
    pub random: Arc<dyn Random>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Brings sessions to life; returns before they are up.
pub type SessionsFactory =
    Box<dyn FnOnce(Parts) -> BoxFuture<'static, Result<Arc<dyn Sessions>, ServeError>> + Send>;

/// What a gateway is started with.
pub struct ServeOptions {
    /// The data folder, as named; it is made ours where it is empty or missing.
    pub data_dir: PathBuf,
    /// What is in force.
    pub config: Config,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who brings sessions to life.
    pub sessions: SessionsFactory,
    /// Whether to listen. A program that carries the gateway may need no port.
    pub http: bool,
}

/// Why a gateway did not start. Nothing is changed but, perhaps, an empty
/// folder made ours.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data folder cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// TLS cannot be turned on.
    #[error("cannot turn TLS on: {0}")]
    Tls(#[from] TlsError),
    /// The store cannot be opened or written.
    #[error("cannot open the store: {0}")]
    Store(#[from] StoreError),
    /// The system gives no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// `outgoing.ca_file` cannot be used.
    #[error("cannot set up requests to other hosts: {0}")]
    Outgoing(#[from] crate::outgoing::SetupError),
    /// The webhook endpoints cannot be read.
    #[error("cannot start the webhooks: {0}")]
    Webhooks(#[from] WebhookError),
    /// The browser, or what drives it, cannot be set up.
    #[error("cannot set up the browser: {detail}")]
    Browser {
        /// What is wrong.
        detail: String,
        /// What a person should do.
        remedy: String,
    },
    /// The OpenTelemetry collector cannot be told anything.
    #[error(transparent)]
    Telemetry(#[from] SetupError),
    /// The media folder cannot be used.
    #[error("cannot use the media folder: {0}")]
    Media(io::Error),
    /// A task of ours ended before it was done.
    #[error("the start was interrupted: {0}")]
    Interrupted(String),
}

impl ServeError {
    /// What a person should do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::DataDir(error) => error.remedy(),
            Self::Bind { address, error } => match error.kind() {
                io::ErrorKind::AddrInUse => format!(
                    "another program listens there: stop it (ss -ltnp 'sport = :{}' names it), or choose another address with --listen ADDR:PORT (port 0 picks a free one)",
                    address.port()
                ),
                io::ErrorKind::PermissionDenied => {
                    "ports below 1024 need root: choose a higher one with --listen ADDR:PORT".to_owned()
                }
                io::ErrorKind::AddrNotAvailable => {
                    "this machine has no such address: use one that `ip address` shows, or 127.0.0.1".to_owned()
                }
                _ => "choose another address with --listen ADDR:PORT".to_owned(),
            },
            Self::Store(StoreError::NewerSchema { .. }) => {
                "install the newer Steadfast that wrote it, or name another folder with --data-dir DIR; nothing was changed".to_owned()
            }
            Self::Store(StoreError::NotOurs { .. }) => {
                "put the file back from a backup, or name another folder with --data-dir DIR; it is left as it is".to_owned()
            }
            Self::Store(StoreError::Full) => "make room on that disk".to_owned(),
            Self::Tls(_) => "server.tls_cert and server.tls_key name two PEM files that this user can read and that belong together".to_owned(),
            Self::Browser { remedy, .. } => remedy.clone(),
            Self::Media(_) => {
                "make the folder media in the data folder writable for this user".to_owned()
            }
            Self::Telemetry(_) => "telemetry.otlp_endpoint names a collector like http://127.0.0.1:4318, and outgoing.ca_file a PEM file that this user can read".to_owned(),
            Self::Outgoing(_) => "outgoing.ca_file names a PEM file of certificate authorities that this user can read".to_owned(),
            Self::Store(_) | Self::Random(_) | Self::Webhooks(_) | Self::Interrupted(_) => {
                "mend that, then start again; what was accepted is kept".to_owned()
            }
        }
    }
}

/// A gateway that runs.
pub struct Running {
    address: Option<SocketAddr>,
    first_token: Option<String>,
    app: Arc<App>,
    state: Arc<HttpState>,
    data_dir: DataDir,
    stopping: CancellationToken,
    http: Option<JoinHandle<()>>,
    tls: Option<Arc<Tls>>,
    /// The removal of what is old, and the way to the collector.
    sweeping: TaskTracker,
    // Dropped last: the folder is ours until everything has ended.
    _lock: Lock,
}

/// Starts a gateway.
///
/// # Errors
/// As [`ServeError`] says.
pub async fn serve(options: ServeOptions) -> Result<Running, ServeError> {
    let config = Arc::new(options.config);
    let data_dir = DataDir::open_or_adopt(&options.data_dir)?;
    let lock = data_dir.lock()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    // Bound early, so that a port in use is known before anything is changed,
    // and callers queue while the store opens.
    let server = if options.http {
        Some(bind(&config, clock.as_ref()).await?)
    } else {
        None
    };
    let outgoing = Arc::new(Outgoing::new(&config.outgoing)?);
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let started = clock.mono();
    let store: Arc<dyn Store> = Arc::new(open_store(&data_dir).await?);
    let sessions = (options.sessions)(Parts {
        config: config.clone(),
        data_dir: data_dir.clone(),
        store: store.clone(),
        clock: clock.clone(),
        random: random.clone(),
        metrics: options.metrics.clone(),
    })
    .await?;
    let media = open_media(
        &data_dir,
        &config,
        &store,
        &clock,
        &random,
        outgoing.clone(),
    )
    .await?;
    let webhooks = Webhooks::new(
        config.clone(),
        store.clone(),
        clock.clone(),
        random.clone(),
        options.metrics.clone(),
        outgoing,
    );
    let envelope = WahaEnvelope::new(store.clone(), sessions.clone(), config.clone());
    webhooks.with_envelope(WahaEnvelope::NAME, Arc::new(envelope));
    webhooks.start().await?;
    let app = Arc::new(App {
        live: Arc::new(Live::new(config.clone())),
        config,
        store,
        sessions,
        media,
        clock,
        random: random.clone(),
        webhooks,
        metrics: options.metrics,
        started,
    });
    // Last of what may fail for a reason that a person mends: it is shown once.
    let first_token = if options.http {
        first_token(app.store.as_ref(), app.clock.as_ref(), random.as_ref()).await?
    } else {
        None
    };
    let address = server.as_ref().map(Server::address);
    let local = token::mint(Scope::Admin, random.as_ref())?;
    let stopping = CancellationToken::new();
    let sweeping = TaskTracker::new();
    sweeping.spawn(housekeeping::run(app.clone(), stopping.clone()));
    if let Some(collector) = Collector::connect(&app.config, &app.metrics.traces)? {
        sweeping.spawn(collector.run(stopping.clone()));
    }
    sweeping.close();
    let logins = Some(data_dir.logins());
    let state =
        HttpState::keeping_logins(app.clone(), token::hash(&local), stopping.clone(), logins);
    let tls = server.as_ref().and_then(Server::tls);
    let http = server.map(|server| server.serve(state.clone()));
    if let Some(address) = address {
        data_dir.announce(&RunningGateway {
            pid: std::process::id(),
            url: url_of(address),
            token: local,
        })?;
    }
    let listening = address.map_or_else(|| "no port".to_owned(), |address| address.to_string());
    tracing::info!(event = events::GATEWAY_STARTED, address = listening, data_dir = %data_dir.path().display(), "listening");
    Ok(Running {
        address,
        first_token,
        app,
        state,
        data_dir,
        stopping,
        http,
        tls,
        sweeping,
        _lock: lock,
    })
}

impl Running {
    /// Where it listens, or would.
    pub fn address(&self) -> SocketAddr {
        self.address.unwrap_or(self.app.config.server.listen)
    }

    /// Where it listens, where it does.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// How a program on this machine reaches it.
    pub fn url(&self) -> String {
        url_of(self.address())
    }

    pub(crate) fn state(&self) -> &Arc<HttpState> {
        &self.state
    }

    /// The admin token that the first start made. It is nowhere else.
    pub fn first_token(&self) -> Option<&str> {
        self.first_token.as_deref()
    }

    /// What its surfaces share.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Takes what it can of a changed configuration, and says in the log what
    /// waits for a restart. The certificate in force is read again too.
    pub async fn reload(&self, new: &Config) -> Changes {
        let app = &self.app;
        let old = app.live.get();
        let changes = config::changes(&old, new);
        let now = Arc::new(config::merged(&old, new));
        app.live.set(now.clone());
        let touches = |section: &str| changes.taken.iter().any(|key| key.starts_with(section));
        if touches("log.")
            && let Err(error) = crate::logging::set_level(&now.log.level)
        {
            tracing::error!(event = events::CONFIG_REFUSED, %error, "the level of the log stays");
        }
        if touches("pacing.") {
            app.sessions.repace(crate::browser::paced(&now.pacing));
        }
        if (touches("webhooks.") || touches("events."))
            && let Err(error) = app.webhooks.reconfigure(now).await
        {
            tracing::error!(event = events::WEBHOOK_NOT_STORED, %error, "not every endpoint goes on");
        }
        if let Some(tls) = &self.tls {
            tls.reload(app.clock.mono());
        }
        let taken = changes.taken.join(" ");
        tracing::info!(
            event = events::CONFIG_RELOADED,
            taken,
            "the configuration was read again"
        );
        if !changes.waiting.is_empty() {
            let waiting = changes.waiting.join(" ");
            tracing::warn!(
                event = events::CONFIG_WAITS,
                waiting,
                "these keys have changed and wait for a restart"
            );
        }
        changes
    }

    /// Ends it in order: takes no more requests, answers those that run,
    /// closes the browsers, closes the store. Bounded by
    /// `server.shutdown_timeout_ms`.
    pub async fn stop(mut self) {
        tracing::info!(event = events::GATEWAY_STOPPING, "stopping");
        let limit = Duration::from_millis(self.app.config.server.shutdown_timeout_ms);
        self.stopping.cancel();
        let browsers = self.app.sessions.shutdown(limit);
        let mut http = self.http.take();
        let requests = async {
            if let Some(http) = &mut http
                && tokio::time::timeout(limit, &mut *http).await.is_err()
            {
                http.abort();
            }
        };
        tokio::join!(browsers, requests);
        // It writes to the store; a batch takes no time.
        let _ = tokio::time::timeout(limit, self.sweeping.wait()).await;
        // Last of all that write: what the end itself tells is on disk by now,
        // and is delivered after the next start.
        self.app.webhooks.stop().await;
        if tokio::time::timeout(limit, self.app.store.close())
            .await
            .is_err()
        {
            tracing::error!(
                event = events::STORE_FAILED,
                "the store did not close in time"
            );
        }
        self.data_dir.retract();
        tracing::info!(event = events::GATEWAY_STOPPED, "stopped");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopping.cancel();
        self.app.webhooks.close();
    }
}

async fn bind(config: &Config, clock: &dyn Clock) -> Result<Server, ServeError> {
    let listen = config.server.listen;
    let server = Server::bind(listen)
        .await
        .map_err(|error| ServeError::Bind {
            address: listen,
            error,
        })?;
    match (&config.server.tls_cert, &config.server.tls_key) {
        (Some(cert), Some(key)) => Ok(server.with_tls(cert, key, clock.mono())?),
        (None, _) | (_, None) => Ok(server),
    }
}

async fn open_store(data_dir: &DataDir) -> Result<SqliteStore, ServeError> {
    let path = data_dir.database();
    let opened = tokio::task::spawn_blocking(move || {
        SqliteStore::open(path, steadfast_store::Options::default())
    })
    .await
    .map_err(|e| ServeError::Interrupted(e.to_string()))?;
    Ok(opened?)
}

async fn open_media(
    data_dir: &DataDir,
    config: &Config,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    random: &Arc<dyn Random>,
    outgoing: Arc<Outgoing>,
) -> Result<Arc<MediaStore>, ServeError> {
    let folder = data_dir.media();
    let (store, clock, random) = (store.clone(), clock.clone(), random.clone());
    let config = config.media.clone();
    let opened = tokio::task::spawn_blocking(move || {
        MediaStore::open(folder, store, clock, random, config, outgoing)
    })
    .await
    .map_err(|e| ServeError::Interrupted(e.to_string()))?;
    opened.map(Arc::new).map_err(ServeError::Media)
}

/// Makes an admin token where there is no token at all.
async fn first_token(
    store: &dyn Store,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Option<String>, ServeError> {
    if !store.tokens().await?.is_empty() {
        return Ok(None);
    }
    let secret = token::mint(Scope::Admin, random)?;
    let Some(hash) = token::hash(&secret) else {
        return Ok(None);
    };
    store
        .add_token(TokenRecord::new(
            token::FIRST_NAME,
            hash,
            Scope::Admin,
            clock.unix(),
        ))
        .await?;
    Ok(Some(secret))
}

/// An address that means "every interface" is reached by loopback.
fn url_of(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}
