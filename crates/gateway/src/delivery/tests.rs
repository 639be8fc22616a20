//! What delivery does while there is no link, or one that failed under a message.

use super::*;
use steadfast_core::failure::{CdpFault, Evidence, Observed, Operation, classify};
use steadfast_core::ids::{ChatId, WaMessageId};
use steadfast_core::outbox::{Body, NewMessage, Priority, Status};
use steadfast_core::port::{Connector, EngineEvent, OpenStep, Phase, SessionRecord};
use steadfast_core::time::{MonoMs, UnixMs};
use steadfast_sim::contract::Recorder;
use steadfast_sim::knobs::Knobs;
use steadfast_sim::phone::Phone;
use steadfast_sim::scripted::{ScriptedConnector, ScriptedWorld, SendScript};
use steadfast_store::MemoryStore;

/// Both clocks of virtual time.
struct Virtual(Instant);

impl Clock for Virtual {
    fn unix(&self) -> UnixMs {
        UnixMs(1_705_314_600_000).plus(self.mono().0)
    }

    fn mono(&self) -> MonoMs {
        MonoMs(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// A delivery that runs, and what a test has of it.
struct Scene {
    store: Arc<MemoryStore>,
    clock: Arc<Virtual>,
    session: SessionId,
    metrics: Arc<Metrics>,
    updates: Updates,
    wake: Arc<Notify>,
    link: watch::Sender<Option<Link>>,
    told: watch::Receiver<InHand>,
    stop: CancellationToken,
    running: JoinSet<()>,
}

impl Scene {
    async fn start() -> Self {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(Virtual(Instant::now()));
        let session = SessionId::parse("default").unwrap();
        let record = SessionRecord {
            id: session.clone(),
            created_at: clock.unix(),
            enabled: true,
            login: LoginGeneration(1),
            parked: None,
        };
        store.add_session(record).await.unwrap();
        let metrics = Arc::new(Metrics::default());
        let updates = Updates::default();
        let wake = Arc::new(Notify::new());
        let (link, given) = watch::channel(None);
        let (in_hand, told) = watch::channel(InHand::default());
        let delivery = Delivery {
            session: session.clone(),
            fence: store.take_fence(&session).await.unwrap(),
            store: Arc::clone(&store) as Arc<dyn Store>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            link: given,
            in_hand,
            activity: Activity::default(),
            wake: Arc::clone(&wake),
            updates: updates.clone(),
            metrics: Arc::clone(&metrics),
            options: DeliveryOptions {
                max_in_flight: 8,
                policy: DeliveryPolicy::default(),
                pacing: pacing::Policy::default(),
            },
            pacing: watch::channel(pacing::Policy::default()).1,
            pace: watch::channel(Pace::default()).0,
            seed: 1,
        };
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(delivery.run(stop.clone()));
        Self {
            store,
            clock,
            session,
            metrics,
            updates,
            wake,
            link,
            told,
            stop,
            running,
        }
    }

    /// Accepts a message to the chat of this number.
    async fn accept(&self, n: u8, to: &str, ttl_ms: Option<u64>) -> MessageId {
        let now = self.clock.unix();
        let message = NewMessage {
            id: MessageId::mint(now, [n; 10]),
            wa_message_id: WaMessageId::mint([n; 9]),
            session: self.session.clone(),
            to: ChatId::parse(to).unwrap(),
            body: Body::text("x"),
            priority: Priority::Normal,
            accepted_at: now,
            due_at: now,
            expires_at: ttl_ms.map(|ms| now.plus(ms)),
        };
        let id = message.id.clone();
        self.store.accept(message, None).await.unwrap();
        self.wake.notify_one();
        id
    }

    async fn status(&self, id: &MessageId) -> Status {
        self.store.message(id).await.unwrap().unwrap().status
    }

    async fn end(mut self) {
        self.stop.cancel();
        self.running.join_next().await.unwrap().unwrap();
    }
}

/// A message that nobody can send is not left to wait past its end.
#[tokio::test(start_paused = true)]
async fn what_runs_out_of_time_without_a_link_expires() {
    let scene = Scene::start().await;
    let mut listener = scene.updates.listen();
    let mut ids = Vec::new();
    for (n, ttl_ms) in [(1, Some(5_000)), (2, Some(600_000)), (3, None)] {
        ids.push(scene.accept(n, "4915123456789", ttl_ms).await);
    }
    let soon = tokio::time::timeout(Duration::from_mins(1), listener.changed(&ids[0]));
    soon.await.expect("nobody was told");
    let mut standing = Vec::new();
    for id in &ids {
        standing.push(scene.status(id).await);
    }
    assert_eq!(
        standing,
        [Status::Expired, Status::Accepted, Status::Accepted]
    );
    assert_eq!(scene.metrics.outcomes.get(["default", "expired"]), 1);
    assert!(scene.told.borrow().is_nothing());
    scene.end().await;
}

/// Its page, once that is linked and ready.
async fn ready(world: &ScriptedWorld, connector: &ScriptedConnector) -> Arc<dyn Engine> {
    let recorder = Arc::new(Recorder::default());
    recorder.expect(Epoch(1));
    let patience = Duration::from_mins(1);
    let opened = connector.open(OpenStep::Launch, Epoch(1), recorder.clone());
    let engine = opened.await.unwrap();
    let code = recorder.wait("a code", patience, |seen| {
        seen.events().find_map(|event| match event {
            EngineEvent::Qr { code, .. } => Some(code.clone()),
            _ => None,
        })
    });
    world.phone.scan(&code.await.unwrap()).await.unwrap();
    let ready = recorder.wait("ready", patience, |seen| {
        (seen.phase() == Some(Phase::Ready)).then_some(())
    });
    ready.await.unwrap();
    engine
}

/// How long the next message waits on a connection that has failed under one;
/// `healed` where the supervisor withdraws the link and gives the same again.
async fn held_back(healed: bool) -> Duration {
    let world = ScriptedWorld::start(7, Knobs::default(), "4915100000001").unwrap();
    let (connector, script) = world.connector(1);
    let engine = ready(&world, &connector).await;
    script.on_send(SendScript::NotSent(classify(&Observed {
        operation: Operation::Send,
        evidence: Evidence::Cdp(CdpFault::ContextLost { in_flight: false }),
    })));
    let scene = Scene::start().await;
    let mut listener = scene.updates.listen();
    let link = Link {
        engine,
        login: LoginGeneration(1),
    };
    scene.link.send_replace(Some(link.clone()));
    let failed = scene.accept(1, "4915100000002", None).await;
    listener.changed(&failed).await;
    let mut told = scene.told.clone();
    told.wait_for(|told| told.flights == 0).await.unwrap();
    assert_eq!(scene.metrics.outcomes.get(["default", "not_sent"]), 1);
    let since = Instant::now();
    if healed {
        scene.link.send_replace(None);
        scene.link.send_replace(Some(link));
    }
    let next = scene.accept(2, "4915100000003", None).await;
    while scene.status(&next).await != Status::Sent {
        listener.changed(&next).await;
    }
    let held = since.elapsed();
    scene.end().await;
    held
}

#[tokio::test(start_paused = true)]
async fn a_failed_connection_is_left_alone_until_the_supervisor_gives_it_again() {
    assert!(held_back(false).await >= DOUBT);
    assert!(held_back(true).await < DOUBT / 4);
}
