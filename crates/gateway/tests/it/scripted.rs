//! The whole gateway but for the browser: HTTP, the store on disk, the real
//! supervisor, and a scripted engine on a simulated WhatsApp.

use crate::client::DEADLINE;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use steadfast_core::ids::SessionId;
use steadfast_core::port::{Connector, Store};
use steadfast_core::proxy::ProxySetting;
use steadfast_gateway::app::App;
use steadfast_gateway::browser::supervisor_options;
use steadfast_gateway::clock::{Clock, Random, SystemClock, SystemRandom};
use steadfast_gateway::config::{Config, Live};
use steadfast_gateway::http::{HttpState, Server, WahaEnvelope};
use steadfast_gateway::media::MediaStore;
use steadfast_gateway::metrics::Metrics;
use steadfast_gateway::outgoing::Outgoing;
use steadfast_gateway::sessions::{SessionState, Sessions};
use steadfast_gateway::supervisor::{Connectors, Supervisor};
use steadfast_gateway::token;
use steadfast_gateway::webhooks::Webhooks;
use steadfast_sim::knobs::Knobs;
use steadfast_sim::phone::Phone as _;
use steadfast_sim::scripted::ScriptedWorld;
use steadfast_store::SqliteStore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PHONE: &str = "4915100000001";

struct InWorld {
    world: Arc<ScriptedWorld>,
    made: AtomicU64,
    media_dir: PathBuf,
}

impl Connectors for InWorld {
    fn connector(&self, _: &SessionId, _: ProxySetting) -> Arc<dyn Connector> {
        let seed = self.made.fetch_add(1, Ordering::Relaxed);
        let (connector, _) = self.world.connector(seed);
        Arc::new(connector.with_media(self.media_dir.clone()))
    }
}

pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    /// An admin's secret that no request can revoke.
    pub(crate) token: String,
    pub(crate) app: Arc<App>,
    world: Arc<ScriptedWorld>,
    session: SessionId,
    stopping: CancellationToken,
    server: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Scripted {
    /// With the session `default` linked and ready.
    pub(crate) async fn ready(change: impl FnOnce(&mut Config)) -> Self {
        let scripted = Self::start(change).await;
        scripted.link().await;
        scripted
    }

    async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::defaults().unwrap();
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        change(&mut config);
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(
            folder.path().join("steadfast.db"),
            steadfast_store::Options::default(),
        );
        let store: Arc<dyn Store> = Arc::new(store.unwrap());
        let world = ScriptedWorld::start(7, Knobs::default(), PHONE).unwrap();
        let world = Arc::new(world);
        let connectors = InWorld {
            world: Arc::clone(&world),
            made: AtomicU64::new(1),
            media_dir: folder.path().join("media"),
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let metrics = Arc::new(Metrics::default());
        let session = SessionId::parse("default").unwrap();
        let sessions = Supervisor::start(
            supervisor_options(&config),
            Arc::new(connectors),
            Arc::clone(&store),
            Arc::clone(&clock),
            Arc::clone(&random),
            Arc::clone(&metrics),
            &session,
        )
        .await
        .unwrap();
        let config = Arc::new(config);
        let webhooks = Webhooks::new(
            Arc::clone(&config),
            Arc::clone(&store),
            Arc::clone(&clock),
            Arc::clone(&random),
            Arc::clone(&metrics),
            Arc::new(Outgoing::new(&config.outgoing).unwrap()),
        );
        let sessions: Arc<dyn Sessions> = sessions;
        let waha = WahaEnvelope::new(
            Arc::clone(&store),
            Arc::clone(&sessions),
            Arc::clone(&config),
        );
        webhooks.with_envelope(WahaEnvelope::NAME, Arc::new(waha));
        webhooks.start().await.unwrap();
        let media_folder = folder.path().join("media");
        let media = MediaStore::open(
            media_folder,
            Arc::clone(&store),
            Arc::clone(&clock),
            Arc::clone(&random),
            config.media.clone(),
            Arc::new(Outgoing::new(&config.outgoing).unwrap()),
        );
        let app = Arc::new(App {
            media: Arc::new(media.unwrap()),
            started: clock.mono(),
            live: Arc::new(Live::new(Arc::clone(&config))),
            config,
            store,
            sessions,
            clock,
            random,
            webhooks,
            metrics,
        });
        let token = format!("sf_a_{}", "of-this-machine".repeat(2));
        let stopping = CancellationToken::new();
        let server = Server::bind(app.config.server.listen).await.unwrap();
        let address = server.address();
        let state = HttpState::new(Arc::clone(&app), token::hash(&token), stopping.clone());
        Self {
            address,
            token,
            app,
            world,
            session,
            stopping,
            server: server.serve(state),
            _folder: folder,
        }
    }

    /// Scans the code that `default` shows, and waits until it is ready.
    async fn link(&self) {
        let until = Instant::now() + DEADLINE;
        let sessions = &self.app.sessions;
        loop {
            assert!(Instant::now() < until, "the session never became ready");
            let state = sessions.get(&self.session).await.unwrap().state;
            if state == SessionState::Ready {
                return;
            }
            if let Ok(Some(qr)) = sessions.qr(&self.session).await {
                // The code may have been scanned in the round before.
                let _ = self.world.phone.scan(&qr.code).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn stop(self) {
        self.stopping.cancel();
        self.app.sessions.shutdown(DEADLINE).await;
        self.app.webhooks.stop().await;
        tokio::time::timeout(DEADLINE, self.server)
            .await
            .expect("the server did not end")
            .unwrap();
        self.app.store.close().await;
    }
}
