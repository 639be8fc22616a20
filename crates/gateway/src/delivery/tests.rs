//! What delivery does while there is no link.

use super::*;
use steadfast_core::ids::{ChatId, WaMessageId};
use steadfast_core::outbox::{Body, NewMessage, Priority, Status};
use steadfast_core::port::SessionRecord;
use steadfast_core::time::{MonoMs, UnixMs};
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

/// A message that nobody can send is not left to wait past its end.
#[tokio::test(start_paused = true)]
async fn what_runs_out_of_time_without_a_link_expires() {
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
    let fence = store.take_fence(&session).await.unwrap();
    let mut ids = Vec::new();
    for (n, ttl_ms) in [(1, Some(5_000)), (2, Some(600_000)), (3, None)] {
        let now = clock.unix();
        let message = NewMessage {
            id: MessageId::mint(now, [n; 10]),
            wa_message_id: WaMessageId::mint([n; 9]),
            session: session.clone(),
            to: ChatId::parse("4915123456789").unwrap(),
            body: Body::text("x"),
            priority: Priority::Normal,
            accepted_at: now,
            due_at: now,
            expires_at: ttl_ms.map(|ms| now.plus(ms)),
        };
        ids.push(message.id.clone());
        store.accept(message, None).await.unwrap();
    }
    let metrics = Arc::new(Metrics::default());
    let updates = Updates::default();
    let mut listener = updates.listen();
    let (_link, link) = watch::channel(None);
    let (in_hand, told) = watch::channel(InHand::default());
    let delivery = Delivery {
        session: session.clone(),
        fence,
        store: Arc::clone(&store) as Arc<dyn Store>,
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        link,
        in_hand,
        activity: Activity::default(),
        wake: Arc::new(Notify::new()),
        updates,
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
    let soon = tokio::time::timeout(Duration::from_mins(1), listener.changed(&ids[0]));
    soon.await.expect("nobody was told");
    let mut standing = Vec::new();
    for id in &ids {
        standing.push(store.message(id).await.unwrap().unwrap().status);
    }
    assert_eq!(
        standing,
        [Status::Expired, Status::Accepted, Status::Accepted]
    );
    assert_eq!(metrics.outcomes.get(["default", "expired"]), 1);
    assert!(told.borrow().is_nothing());
    stop.cancel();
    running.join_next().await.unwrap().unwrap();
}
