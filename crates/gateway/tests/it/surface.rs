//! The HTTP surface on a socket, over the memory store and made-up sessions.

use crate::client::{DEADLINE, Reply, call};
use crate::fake::{FakeSessions, THEN, id};
use hyper::Method;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use steadfast_core::ids::LoginGeneration;
use steadfast_core::port::{Scope, SessionRecord, Store, TokenRecord};
use steadfast_core::time::UnixMs;
use steadfast_gateway::app::App;
use steadfast_gateway::clock::{Clock as _, SystemClock, SystemRandom};
use steadfast_gateway::config::{Config, Live};
use steadfast_gateway::http::{HttpState, Server, WahaEnvelope};
use steadfast_gateway::media::MediaStore;
use steadfast_gateway::metrics::Metrics;
use steadfast_gateway::outgoing::Outgoing;
use steadfast_gateway::sessions::Sessions;
use steadfast_gateway::token;
use steadfast_gateway::webhooks::Webhooks;
use steadfast_store::MemoryStore;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) struct Surface<S = MemoryStore> {
    pub(crate) address: SocketAddr,
    pub(crate) sessions: Arc<FakeSessions>,
    pub(crate) store: Arc<S>,
    pub(crate) app: Arc<App>,
    pub(crate) folder: TempDir,
    pub(crate) admin: String,
    pub(crate) send: String,
    pub(crate) read: String,
    stopping: CancellationToken,
    server: JoinHandle<()>,
}

/// The credential of the machine's own command line.
pub(crate) const LOCAL: &str = "sf_a_the-command-line-of-this-machine";

impl Surface {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::over(Arc::new(MemoryStore::new()), change).await
    }
}

impl<S: Store + 'static> Surface<S> {
    /// On a store of the test's own.
    pub(crate) async fn over(store: Arc<S>, change: impl FnOnce(&mut Config)) -> Self {
        Self::of(store, None, change).await
    }

    /// Over real sessions, which have made `default` in the store themselves.
    pub(crate) async fn of(
        store: Arc<S>,
        instead: Option<Arc<dyn Sessions>>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config::defaults().unwrap();
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        config.delivery.reply_wait_ms = 1_000;
        // The times that tests make up lie years back.
        config.events.keep_ms = 10 * 365 * 86_400_000;
        change(&mut config);
        let record = SessionRecord {
            id: id("default"),
            // Its event must not be older than events are kept.
            created_at: SystemClock.unix(),
            enabled: true,
            login: LoginGeneration::default(),
            parked: None,
        };
        if instead.is_none() {
            store.add_session(record).await.unwrap();
        }
        let mut secrets = Vec::new();
        for scope in [Scope::Admin, Scope::Send, Scope::Read] {
            let secret = token::mint(scope, &SystemRandom).unwrap();
            let hash = token::hash(&secret).unwrap();
            let record = TokenRecord::new(token::scope_name(scope), hash, scope, THEN);
            store.add_token(record).await.unwrap();
            secrets.push(secret);
        }
        let sessions = Arc::new(FakeSessions::new());
        let kept: Arc<dyn Store> = store.clone();
        assert!(sessions.store.set(kept).is_ok(), "a store is there already");
        let config = Arc::new(config);
        let metrics = Arc::new(Metrics::default());
        let webhooks = Webhooks::new(
            config.clone(),
            store.clone(),
            Arc::new(SystemClock),
            Arc::new(SystemRandom),
            metrics.clone(),
            Arc::new(Outgoing::new(&config.outgoing).unwrap()),
        );
        let answering: Arc<dyn Sessions> = instead.unwrap_or_else(|| sessions.clone());
        let waha = WahaEnvelope::new(store.clone(), answering.clone(), config.clone());
        webhooks.with_envelope(WahaEnvelope::NAME, Arc::new(waha));
        webhooks.start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let media = MediaStore::open(
            folder.path().join("media"),
            store.clone(),
            Arc::new(SystemClock),
            Arc::new(SystemRandom),
            config.media.clone(),
            Arc::new(Outgoing::new(&config.outgoing).unwrap()),
        );
        let app = Arc::new(App {
            live: Arc::new(Live::new(config.clone())),
            config,
            store: store.clone(),
            sessions: answering,
            media: Arc::new(media.unwrap()),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            webhooks,
            metrics,
            started: SystemClock.mono(),
        });
        let stopping = CancellationToken::new();
        let mut server = Server::bind(app.config.server.listen).await.unwrap();
        let tls = &app.config.server;
        if let (Some(cert), Some(key)) = (&tls.tls_cert, &tls.tls_key) {
            server = server.with_tls(cert, key, app.clock.mono()).unwrap();
        }
        let address = server.address();
        let state = HttpState::new(app.clone(), token::hash(LOCAL), stopping.clone());
        let [admin, send, read] = secrets.try_into().unwrap();
        Self {
            address,
            sessions,
            store,
            app,
            folder,
            admin,
            send,
            read,
            stopping,
            server: server.serve(state),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        let bearer = format!("Bearer {}", self.admin);
        let headers = [("authorization", bearer.as_str())];
        call(self.address, Method::GET, path, &headers, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_with(path, body, &[]).await
    }

    pub(crate) async fn post_with(&self, path: &str, body: &Value, more: &[(&str, &str)]) -> Reply {
        let bearer = format!("Bearer {}", self.admin);
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        headers.extend(more);
        let body = body.to_string();
        call(self.address, Method::POST, path, &headers, body).await
    }

    /// PUT or PATCH.
    pub(crate) async fn change(&self, method: Method, path: &str, body: &Value) -> Reply {
        let bearer = format!("Bearer {}", self.admin);
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        call(self.address, method, path, &headers, body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        let bearer = format!("Bearer {}", self.admin);
        let headers = [("authorization", bearer.as_str())];
        call(self.address, Method::DELETE, path, &headers, "").await
    }

    /// When a token was last used, once that is written down: beside the
    /// requests, not by one of them.
    pub(crate) async fn use_is_stored(&self, token: &str) -> UnixMs {
        let until = Instant::now() + DEADLINE;
        loop {
            let tokens = self.store.tokens().await.unwrap();
            let record = tokens.iter().find(|record| record.name == token).unwrap();
            if let Some(at) = record.last_used_at {
                return at;
            }
            assert!(Instant::now() < until, "the use was never written down");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends in order; every test that gets here shows that it can.
    pub(crate) async fn stop(self) {
        self.stopping.cancel();
        self.app.webhooks.stop().await;
        tokio::time::timeout(crate::client::DEADLINE, self.server)
            .await
            .expect("the server did not end")
            .unwrap();
    }
}
