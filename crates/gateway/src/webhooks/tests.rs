//! Endpoints under virtual time: down for hours, slow, gone, back again.

use super::*;
use crate::housekeeping::Log;
use crate::outgoing::{self, Reply};
use async_trait::async_trait;
use hyper::HeaderMap;
use hyper::body::Bytes;
use std::collections::BTreeSet;
use steadfast_core::event::{EventKinds, StateChange, Told};
use steadfast_core::ids::SessionId;
use steadfast_core::port::{
    DeliveryState, EventLog as _, EventQuery, SessionRecord, WebhookStore as _,
};
use steadfast_core::time::{MonoMs, UnixMs};
use steadfast_store::MemoryStore;
use tokio::time::Instant;

const NOW: i64 = 1_705_314_600_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// Both clocks go with tokio's, which a test holds.
struct Virtual(Instant);

impl Virtual {
    fn ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap()
    }
}

impl Clock for Virtual {
    fn unix(&self) -> UnixMs {
        UnixMs(NOW).plus(self.ms())
    }
    fn mono(&self) -> MonoMs {
        MonoMs(self.ms())
    }
}

struct Fixed;

impl Random for Fixed {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), crate::clock::RandomError> {
        static NEXT: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(1);
        buffer.fill(NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        Ok(())
    }
}

/// What an endpoint does with a request.
#[derive(Debug, Clone, Copy)]
enum Does {
    Answers(u16),
    AsksFor(u16, &'static str),
    Stalls,
}

/// A request as an endpoint saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    ms: u64,
    url: String,
    id: String,
    seq: i64,
    taken: bool,
}

type Plan = dyn FnMut(&str, i64, u64) -> Does + Send;

struct World {
    clock: Arc<Virtual>,
    plan: Mutex<Box<Plan>>,
    seen: Mutex<Vec<Seen>>,
}

#[async_trait]
impl Post for World {
    async fn vet(&self, _: &str) -> Result<(), outgoing::Error> {
        Ok(())
    }

    async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Reply, outgoing::Error> {
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let (seq, ms) = (json["seq"].as_i64().unwrap(), self.clock.ms());
        let does = (self.plan.lock().unwrap())(url, seq, ms);
        self.seen.lock().unwrap().push(Seen {
            ms,
            url: url.to_owned(),
            id: headers["webhook-id"].to_str().unwrap().to_owned(),
            seq,
            taken: matches!(does, Does::Answers(200..=299)),
        });
        let reply = |status, retry_after: Option<&str>| Reply {
            status,
            retry_after: retry_after.map(ToOwned::to_owned),
            excerpt: String::new(),
        };
        match does {
            Does::Answers(status) => Ok(reply(status, None)),
            Does::AsksFor(status, wait) => Ok(reply(status, Some(wait))),
            Does::Stalls => {
                tokio::time::sleep(deadline).await;
                Err(outgoing::Error::Timeout(0))
            }
        }
    }
}

struct Stage {
    store: Arc<MemoryStore>,
    world: Arc<World>,
    webhooks: Arc<Webhooks>,
    session: SessionId,
}

impl Stage {
    async fn new(plan: impl FnMut(&str, i64, u64) -> Does + Send + 'static) -> Self {
        Self::with(plan, |_| {}).await
    }

    async fn with(
        plan: impl FnMut(&str, i64, u64) -> Does + Send + 'static,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config::defaults().unwrap();
        config.webhooks.jitter_percent = 0;
        change(&mut config);
        let store = Arc::new(MemoryStore::new());
        let session = SessionId::parse("default").unwrap();
        let record = SessionRecord {
            id: session.clone(),
            created_at: UnixMs(NOW),
            enabled: true,
            login: steadfast_core::ids::LoginGeneration(1),
            parked: None,
        };
        store.add_session(record).await.unwrap();
        let clock = Arc::new(Virtual(Instant::now()));
        let world = Arc::new(World {
            clock: Arc::clone(&clock),
            plan: Mutex::new(Box::new(plan)),
            seen: Mutex::default(),
        });
        let webhooks = Webhooks::new(
            Arc::new(config),
            store.clone(),
            clock,
            Arc::new(Fixed),
            Arc::new(Metrics::default()),
            world.clone(),
        );
        webhooks.start().await.unwrap();
        Self {
            store,
            world,
            webhooks,
            session,
        }
    }

    /// The next life of a gateway that was stopped, on the same store and world.
    async fn started_anew(&self) -> Arc<Webhooks> {
        let next = Webhooks::new(
            Arc::new(Config::defaults().unwrap()),
            self.store.clone(),
            self.world.clock.clone(),
            Arc::new(Fixed),
            Arc::new(Metrics::default()),
            self.world.clone(),
        );
        next.start().await.unwrap();
        next
    }

    async fn endpoint(&self, url: &str, ordered: bool) -> WebhookId {
        let new = NewWebhook {
            owner: "v1".to_owned(),
            url: url.to_owned(),
            events: vec!["session.state".to_owned()],
            sessions: Vec::new(),
            headers: Vec::new(),
            ordered,
            state: WebhookState::Active,
            secret: None,
            envelope: envelope::STANDARD.to_owned(),
            retry: None,
        };
        self.webhooks.add(new).await.unwrap().id
    }

    /// So many things happen; their positions.
    async fn happen(&self, many: usize) -> Vec<i64> {
        let mut positions = Vec::new();
        for _ in 0..many {
            let change = StateChange {
                from: "ready".to_owned(),
                to: "recovering".to_owned(),
                reason: None,
            };
            let told = Told::State(self.session.clone(), change);
            let at = self.world.clock.unix();
            self.store.tell(told, at).await.unwrap();
            positions.push(self.store.event_span().await.unwrap().newest);
        }
        positions
    }

    fn seen(&self, url: &str) -> Vec<Seen> {
        let seen = self.world.seen.lock().unwrap();
        seen.iter().filter(|s| s.url == url).cloned().collect()
    }

    fn taken(&self, url: &str) -> Vec<i64> {
        let seen = self.seen(url).into_iter();
        seen.filter(|s| s.taken).map(|s| s.seq).collect()
    }

    /// Waits, in virtual time, until so many were taken there.
    async fn until_taken(&self, url: &str, many: usize) {
        while self.taken(url).len() < many {
            assert!(self.world.clock.ms() < 200 * HOUR, "{:?}", self.seen(url));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_was_down_gets_everything_once_it_is_back() {
    for ordered in [false, true] {
        let stage = Stage::new(|_, _, ms| {
            if (10_000..2 * HOUR).contains(&ms) {
                Does::Answers(503)
            } else {
                Does::Answers(204)
            }
        })
        .await;
        let id = stage.endpoint("https://a/", ordered).await;
        let mut happened = stage.happen(20).await;
        pass(20_000).await;
        happened.extend(stage.happen(50).await);
        pass(HOUR).await;
        happened.extend(stage.happen(50).await);
        let asked = stage.seen("https://a/").len();
        assert!(asked < 150, "a dead endpoint is asked rarely: {asked}");
        stage.until_taken("https://a/", 120).await;
        let back = stage.world.clock.ms() - 2 * HOUR;
        assert!(back < 6 * MINUTE, "nothing waits for its own turn: {back}");
        let taken = stage.taken("https://a/");
        if ordered {
            assert_eq!(taken, happened, "in order, each once");
        } else {
            let taken: BTreeSet<_> = taken.into_iter().collect();
            assert_eq!(taken, happened.into_iter().collect());
        }
        pass(1_000).await;
        let (stored, status) = stage.webhooks.get(&id).await.unwrap();
        assert_eq!((status.waiting, status.dead, status.down), (0, 0, false));
        assert_eq!(
            stored.cursor,
            stage.store.event_span().await.unwrap().newest
        );
        // One id, however often it was sent.
        let seen = stage.seen("https://a/");
        let ids: BTreeSet<_> = seen.iter().map(|s| (s.seq, s.id.clone())).collect();
        assert_eq!(ids.len(), 120);
        stage.webhooks.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_never_taken_becomes_a_dead_letter_after_the_standard_schedule() {
    // It takes all but one.
    let stage = Stage::with(
        |_, seq, ms| {
            if seq == 3 && ms < 100 * HOUR {
                Does::Answers(500)
            } else {
                Does::Answers(200)
            }
        },
        |config| config.webhooks.circuit_failures = 1_000,
    )
    .await;
    let id = stage.endpoint("https://a/", false).await;
    let happened = stage.happen(4).await;
    assert!(happened.contains(&3));
    stage.until_taken("https://a/", 3).await;
    let total: u64 = schedule::STANDARD_DELAYS_MS.iter().sum();
    pass(total + HOUR).await;
    let seen = stage.seen("https://a/");
    let tries: Vec<u64> = seen.iter().filter(|s| s.seq == 3).map(|s| s.ms).collect();
    let pauses: Vec<u64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(tries.len(), schedule::STANDARD_DELAYS_MS.len());
    for (pause, planned) in pauses.iter().zip(&schedule::STANDARD_DELAYS_MS[1..]) {
        assert!((*planned..planned + 1_000).contains(pause), "{pauses:?}");
    }
    let dead = stage.store.deliveries(&id, DeliveryState::Dead, 0, 10);
    let dead = dead.await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].event.seq, dead[0].attempts), (3, 10));
    let attempts = stage.store.delivery_attempts(&id, Some(3), None, 50);
    let attempts = attempts.await.unwrap();
    let numbers: Vec<u32> = attempts.iter().map(|a| a.number).collect();
    assert_eq!(numbers, (1..=10).rev().collect::<Vec<_>>());
    // A person replays it when the endpoint is mended.
    pass(30 * HOUR).await;
    assert_eq!(
        stage
            .webhooks
            .replay(&id, Replay::Range(4, 9))
            .await
            .unwrap(),
        0
    );
    assert_eq!(stage.webhooks.replay(&id, Replay::All).await.unwrap(), 1);
    stage.until_taken("https://a/", 4).await;
    pass(1_000).await;
    let (_, status) = stage.webhooks.get(&id).await.unwrap();
    assert_eq!((status.waiting, status.dead), (0, 0));
    stage.webhooks.stop().await;
}

#[tokio::test(start_paused = true)]
async fn slow_endpoints_slow_nobody_else() {
    let stage = Stage::with(
        |url, _, _| {
            if url.contains("slow") {
                Does::Stalls
            } else {
                Does::Answers(200)
            }
        },
        |config| {
            config.webhooks.max_in_flight = 4;
            config.webhooks.circuit_failures = 1_000;
        },
    )
    .await;
    for n in 0..6 {
        stage.endpoint(&format!("https://slow-{n}/"), false).await;
    }
    stage.endpoint("https://quick/", false).await;
    let before = stage.world.clock.ms();
    stage.happen(200).await;
    stage.until_taken("https://quick/", 200).await;
    let took = stage.world.clock.ms() - before;
    assert!(took < 2_000, "{took} ms");
    for n in 0..6 {
        assert!(!stage.seen(&format!("https://slow-{n}/")).is_empty());
    }
    stage.webhooks.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_gone_is_switched_off() {
    let stage = Stage::new(|_, _, _| Does::Answers(410)).await;
    let id = stage.endpoint("https://a/", true).await;
    stage.happen(3).await;
    pass(HOUR).await;
    assert_eq!(stage.seen("https://a/").len(), 1);
    let (stored, _) = stage.webhooks.get(&id).await.unwrap();
    assert!(matches!(stored.record.state, WebhookState::Disabled { .. }));
    let query = EventQuery {
        kinds: EventKinds::NONE.with(EventKind::WebhookDisabled),
        limit: 10,
        ..EventQuery::default()
    };
    let told = stage.store.events(query).await.unwrap().events;
    assert_eq!(told.len(), 1);
    // Switched on again it gets what happens from then on.
    *stage.world.plan.lock().unwrap() = Box::new(|_, _, _| Does::Answers(200));
    let on = Change {
        state: Some(WebhookState::Active),
        ..Change::default()
    };
    stage.webhooks.change(&id, on).await.unwrap();
    let happened = stage.happen(2).await;
    stage.until_taken("https://a/", 2).await;
    assert_eq!(stage.taken("https://a/"), happened);
    stage.webhooks.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_one_gets_later_what_happened_meanwhile() {
    let stage = Stage::new(|_, _, _| Does::Answers(200)).await;
    let id = stage.endpoint("https://a/", true).await;
    let put = async |state| {
        let change = Change {
            state: Some(state),
            ..Change::default()
        };
        stage.webhooks.change(&id, change).await.unwrap();
    };
    put(WebhookState::Paused).await;
    let happened = stage.happen(5).await;
    pass(HOUR).await;
    assert!(stage.seen("https://a/").is_empty());
    put(WebhookState::Active).await;
    stage.until_taken("https://a/", 5).await;
    assert_eq!(stage.taken("https://a/"), happened);
    stage.webhooks.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_may_ask_for_time() {
    let stage = Stage::new(|_, _, ms| {
        if ms < 30_000 {
            Does::AsksFor(429, "30")
        } else {
            Does::Answers(200)
        }
    })
    .await;
    stage.endpoint("https://a/", false).await;
    stage.happen(1).await;
    stage.until_taken("https://a/", 1).await;
    let seen = stage.seen("https://a/");
    assert_eq!(seen.len(), 2);
    assert!(seen[1].ms - seen[0].ms >= 30_000, "{seen:?}");
    stage.webhooks.stop().await;
}

/// Also where everything waits behind the event that it did not take.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_asks_for_time_is_not_asked_meanwhile_whether_it_is_back() {
    let stage = Stage::new(|_, _, ms| {
        if ms < HOUR {
            Does::AsksFor(429, "3600")
        } else {
            Does::Answers(200)
        }
    })
    .await;
    stage.endpoint("https://a/", true).await;
    stage.happen(2).await;
    stage.until_taken("https://a/", 2).await;
    let seen = stage.seen("https://a/");
    assert_eq!(seen.len(), 3, "one refusal, then both: {seen:?}");
    assert!(seen[1].ms - seen[0].ms >= HOUR, "{seen:?}");
    stage.webhooks.stop().await;
}

/// A gateway that is started anew goes on where the one before stopped.
#[tokio::test(start_paused = true)]
async fn the_next_start_goes_on() {
    let stage = Stage::new(|_, _, ms| Does::Answers(if ms < 5_000 { 500 } else { 200 })).await;
    let id = stage.endpoint("https://a/", true).await;
    let mut happened = stage.happen(3).await;
    pass(2_000).await;
    stage.webhooks.stop().await;
    happened.extend(stage.happen(3).await);
    pass(MINUTE).await;
    let next = stage.started_anew().await;
    stage.until_taken("https://a/", 6).await;
    assert_eq!(stage.taken("https://a/"), happened);
    pass(1_000).await;
    let (_, status) = next.get(&id).await.unwrap();
    assert_eq!((status.waiting, status.dead), (0, 0));
    next.stop().await;
}

/// Nor does what waits until tomorrow, because it failed so often, wait for
/// that where the endpoint is back.
#[tokio::test(start_paused = true)]
async fn the_next_start_asks_whether_an_endpoint_is_back() {
    for ordered in [false, true] {
        let stage =
            Stage::new(|_, _, ms| Does::Answers(if ms < 30 * HOUR { 503 } else { 200 })).await;
        let id = stage.endpoint("https://a/", ordered).await;
        let happened = stage.happen(6).await;
        // So often that the next attempts of their own are hours away.
        pass(30 * HOUR - MINUTE).await;
        stage.webhooks.stop().await;
        let planned = stage.store.due_deliveries(&id, UnixMs(i64::MAX), 1).await;
        let due = planned.unwrap()[0].next_at.since(stage.world.clock.unix());
        assert!(due > HOUR, "{due}");
        pass(2 * MINUTE).await;
        let began = stage.world.clock.ms();
        let next = stage.started_anew().await;
        stage.until_taken("https://a/", 6).await;
        let took = stage.world.clock.ms() - began;
        assert!(took < MINUTE, "{took} ms");
        let taken: BTreeSet<_> = stage.taken("https://a/").into_iter().collect();
        assert_eq!(taken, happened.into_iter().collect());
        next.stop().await;
    }
}

/// What is dropped although an endpoint was owed it is told, and counted.
#[tokio::test(start_paused = true)]
async fn a_gap_is_told() {
    let stage = Stage::new(|_, _, _| Does::Answers(503)).await;
    let mut config = Config::defaults().unwrap();
    config.events.keep = 10;
    config.events.keep_owed = 200;
    let log = Log::new(
        stage.store.clone(),
        stage.world.clock.clone(),
        Arc::new(Live::new(Arc::new(config))),
        Arc::new(Metrics::default()),
    );
    let id = stage.endpoint("https://a/", true).await;
    stage.happen(300).await;
    pass(MINUTE).await;
    while log.drop_old().await.unwrap() {}
    pass(4 * MINUTE).await;
    let query = EventQuery {
        kinds: EventKinds::NONE.with(EventKind::WebhookGap),
        limit: 10,
        ..EventQuery::default()
    };
    let told = stage.store.events(query).await.unwrap().events;
    assert_eq!(told.len(), 1, "{told:?}");
    let EventData::Webhook(notice) = &told[0].data else {
        panic!("{told:?}");
    };
    assert_eq!(notice.webhook, id.to_string());
    assert!(notice.missed.unwrap() >= 100, "{notice:?}");
    // The one that it was being sent is not among them: it waits apart.
    let waiting = stage.store.deliveries(&id, DeliveryState::Waiting, 0, 10);
    assert_eq!(waiting.await.unwrap().len(), 1);
    stage.webhooks.stop().await;
}
