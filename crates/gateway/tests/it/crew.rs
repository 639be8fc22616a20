//! A defect of the gateway in one session's task: the session begins anew.

use crate::client::DEADLINE;
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use steadfast_core::failure::Failure;
use steadfast_core::ids::{Epoch, SessionId};
use steadfast_core::port::{Close, Connector, Engine, EventSink, OpenStep, Store};
use steadfast_core::proxy::ProxySetting;
use steadfast_gateway::browser::supervisor_options;
use steadfast_gateway::clock::{SystemClock, SystemRandom};
use steadfast_gateway::config::Config;
use steadfast_gateway::metrics::Metrics;
use steadfast_gateway::sessions::{SessionState, Sessions};
use steadfast_gateway::supervisor::{Connectors, Supervisor};
use steadfast_sim::knobs::Knobs;
use steadfast_sim::phone::Phone as _;
use steadfast_sim::scripted::ScriptedWorld;
use steadfast_store::MemoryStore;

/// A connector that panics when it is told to.
struct Fragile {
    inner: Arc<dyn Connector>,
    breaks: AtomicBool,
}

#[async_trait]
impl Connector for Fragile {
    async fn open(
        &self,
        step: OpenStep,
        epoch: Epoch,
        sink: Arc<dyn EventSink>,
    ) -> Result<Arc<dyn Engine>, Failure> {
        assert!(
            !self.breaks.swap(false, Ordering::SeqCst),
            "a planted defect"
        );
        self.inner.open(step, epoch, sink).await
    }

    async fn close(&self, how: Close) {
        self.inner.close(how).await;
    }

    async fn erase(&self) -> Result<(), Failure> {
        self.inner.erase().await
    }

    async fn network_reachable(&self) -> bool {
        self.inner.network_reachable().await
    }
}

/// The same one for each of a session's lives, as a profile on disk is.
struct Same(Arc<Fragile>);

impl Connectors for Same {
    fn connector(&self, _: &SessionId, _: ProxySetting) -> Arc<dyn Connector> {
        self.0.clone()
    }
}

#[tokio::test]
async fn a_session_whose_task_panicked_begins_anew_by_itself() {
    let world = ScriptedWorld::start(7, Knobs::default(), "4915100000001").unwrap();
    let (inner, _) = world.connector(1);
    let connector = Arc::new(Fragile {
        inner: Arc::new(inner),
        breaks: AtomicBool::new(false),
    });
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let session = SessionId::parse("default").unwrap();
    let sessions = Supervisor::start(
        supervisor_options(&Config::defaults().unwrap()),
        Arc::new(Same(connector.clone())),
        Arc::clone(&store),
        Arc::new(SystemClock),
        Arc::new(SystemRandom),
        Arc::new(Metrics::default()),
        &session,
    )
    .await
    .unwrap();
    let ready = async || {
        let until = Instant::now() + DEADLINE;
        while sessions.get(&session).await.unwrap().state != SessionState::Ready {
            assert!(Instant::now() < until, "the session never became ready");
            if let Ok(Some(qr)) = sessions.qr(&session).await {
                let _ = world.phone.scan(&qr.code).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    ready().await;
    connector.breaks.store(true, Ordering::SeqCst);
    sessions.restart(&session).await.unwrap();
    let until = Instant::now() + DEADLINE;
    while connector.breaks.load(Ordering::SeqCst) {
        assert!(Instant::now() < until, "it was never opened again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ready().await;
    // It takes wishes again.
    let view = sessions.stop(&session).await.unwrap();
    assert_eq!(view.state, SessionState::Stopped);
    sessions.shutdown(DEADLINE).await;
}
