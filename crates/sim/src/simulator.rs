//! The simulator as one thing that is started and shut down.

use crate::control::Control;
use crate::error::Error;
use crate::hub::Hub;
use crate::knobs::Knobs;
use crate::world::World;
use crate::{control_http, server};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use steadfast_core::time::UnixMs;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How a simulator is to be started.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Where the page and its socket are served; loopback, a port of the
    /// system's choice by default.
    pub listen: SocketAddr,
    /// Where the control API is served; likewise.
    pub control: SocketAddr,
    /// Every id, token and hidden number follows from it.
    pub seed: u64,
    /// The knobs at the start.
    pub knobs: Knobs,
    /// Serve the page's files from here instead of those built in.
    pub page_dir: Option<PathBuf>,
    /// The wall clock's time at the start; the system's where absent.
    pub epoch: Option<UnixMs>,
}

impl Default for SimConfig {
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: any,
            control: any,
            seed: 1,
            knobs: Knobs::default(),
            page_dir: None,
            epoch: None,
        }
    }
}

/// A running simulator. Dropping it ends it, without waiting.
pub struct Simulator {
    addr: SocketAddr,
    control_addr: SocketAddr,
    spki: String,
    control: Control,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

impl Simulator {
    /// Starts the world, its page and its control API. Both ports are open
    /// when this returns.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where a port cannot be bound, [`Error::Tls`], and
    /// [`Error::Invalid`] for an address that is not loopback: the simulator
    /// is no server for others.
    pub async fn start(config: SimConfig) -> Result<Self, Error> {
        for addr in [config.listen, config.control] {
            if !addr.ip().is_loopback() {
                return Err(Error::Invalid(format!("{addr} is not a loopback address")));
            }
        }
        let epoch = config.epoch.unwrap_or_else(|| {
            let since = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            UnixMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        });
        let identity = server::Identity::make()?;
        let listener = server::bind(config.listen).await?;
        let control_listener = control_http::bind(config.control).await?;
        let io = |source| Error::Io {
            what: "port",
            source,
        };
        let addr = listener.local_addr().map_err(io)?;
        let control_addr = control_listener.local_addr().map_err(io)?;
        let hub = Hub::new(World::new(config.seed, epoch, config.knobs));
        let control = Control::new(hub.clone());
        let cancel = CancellationToken::new();
        let tasks = TaskTracker::new();
        let spki = identity.spki().to_owned();
        tasks.spawn(hub.clone().run(cancel.clone()));
        tasks.spawn({
            let cancel = cancel.clone();
            async move {
                server::serve(hub, config.page_dir, &identity, listener, cancel).await;
            }
        });
        tasks.spawn(control_http::serve(
            control.clone(),
            control_http::About {
                addr,
                spki: spki.clone(),
            },
            control_listener,
            cancel.clone(),
        ));
        tasks.close();
        Ok(Self {
            addr,
            control_addr,
            spki,
            control,
            cancel,
            tasks,
        })
    }

    /// Where the page is served.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Base64 of the SHA-256 of the server's public key info, as
    /// `--ignore-certificate-errors-spki-list` and `browser.web_spki` take it.
    pub fn spki(&self) -> &str {
        &self.spki
    }

    /// Where the control API is, without a slash at the end.
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control_addr)
    }

    /// The same control, in the same process.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Ends it: sockets are cut, ports are closed when this returns.
    pub async fn shutdown(self) {
        self.control.cut_all();
        self.cancel.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.control.cut_all();
        self.cancel.cancel();
    }
}
