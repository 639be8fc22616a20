//! Runs one schedule under virtual time.

use crate::check::{Outcome, Promise, judge, keeps_pace};
use crate::engine::SimConnector;
use crate::full;
use crate::schedule::{Happening, Schedule};
use crate::world::{ME, World};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use steadfast_core::ids::{ChatId, MessageId, SessionId, WaMessageId};
use steadfast_core::outbox::{Body, DeliveryPolicy, Message, NewMessage, Priority};
use steadfast_core::pacing;
use steadfast_core::port::{Connector, MessageQuery, Store, StoreError};
use steadfast_core::proxy::ProxySetting;
use steadfast_core::session::{ConflictPolicy, Policy};
use steadfast_core::time::{MonoMs, UnixMs};
use steadfast_gateway::clock::{Clock, Random, RandomError};
use steadfast_gateway::delivery::DeliveryOptions;
use steadfast_gateway::metrics::Metrics;
use steadfast_gateway::sessions::Sessions;
use steadfast_gateway::supervisor::{Connectors, Supervisor, SupervisorOptions, UpkeepPolicy};
use steadfast_store::MemoryStore;
use tokio::time::Instant;

/// Once the faults have ended, everything settles within this, in virtual time.
const SETTLES_WITHIN: Duration = Duration::from_mins(10);
/// How much longer where WhatsApp asked to slow down: a message that it refused
/// waits a quarter of an hour at most, and others wait for their turn.
const PATIENCE: Duration = Duration::from_mins(20);

/// What a browser uses that uses too much, in bytes.
pub(crate) const BLOATED: u64 = 4 << 30;

struct VirtualClock(Instant);

impl Clock for VirtualClock {
    fn unix(&self) -> UnixMs {
        UnixMs(1_700_000_000_000).plus(self.mono().0)
    }
    fn mono(&self) -> MonoMs {
        MonoMs(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

struct Counted(AtomicU64);

impl Random for Counted {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        let n = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        for (to, from) in buffer.iter_mut().zip(n.iter().cycle()) {
            *to = *from;
        }
        Ok(())
    }
}

struct OneConnector(World);

impl Connectors for OneConnector {
    fn connector(&self, _: &SessionId, _: ProxySetting) -> Arc<dyn Connector> {
        Arc::new(SimConnector::new(self.0.clone()))
    }
}

/// The parts that outlive a gateway that is killed.
struct Bench {
    world: World,
    store: Arc<full::Full<MemoryStore>>,
    clock: Arc<VirtualClock>,
    random: Arc<Counted>,
    metrics: Arc<Metrics>,
    session: SessionId,
}

impl Bench {
    async fn gateway(&self, pacing: &pacing::Policy) -> Arc<Supervisor> {
        let options = SupervisorOptions {
            policy: Policy {
                conflict: ConflictPolicy::TakeOver,
                ..Policy::default()
            },
            delivery: DeliveryOptions {
                max_in_flight: 16,
                policy: DeliveryPolicy::default(),
                pacing: pacing.clone(),
            },
            // Often, so that it meets everything else.
            upkeep: UpkeepPolicy {
                memory_limit_bytes: Some(BLOATED / 2),
                memory_confirm_ms: 2_000,
                memory_rest_ms: 5_000,
                max_age_ms: Some(15_000),
                quiet_ms: 2_000,
            },
            canary_interval: Some(Duration::from_secs(7)),
            heartbeat_interval: Duration::from_secs(1),
            heartbeat_misses: 2,
            max_sessions: 10,
            start_stagger: Duration::from_secs(1),
            number_cache: Duration::from_mins(1),
        };
        Supervisor::start(
            options,
            Arc::new(OneConnector(self.world.clone())),
            Arc::clone(&self.store) as Arc<dyn Store>,
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            Arc::clone(&self.random) as Arc<dyn Random>,
            Arc::clone(&self.metrics),
            &self.session,
        )
        .await
        .expect("the store failed at the start")
    }
}

pub(crate) fn run(schedule: &Schedule, trace: bool) -> Outcome {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("no runtime")
        .block_on(play(schedule, trace))
}

async fn play(schedule: &Schedule, trace: bool) -> Outcome {
    let world = World::new(schedule.seed, schedule.defect, trace);
    let bench = Bench {
        world: world.clone(),
        store: Arc::new(full::Full {
            inner: MemoryStore::new(),
            no_room: AtomicBool::new(false),
            world,
        }),
        clock: Arc::new(VirtualClock(Instant::now())),
        random: Arc::new(Counted(AtomicU64::new(1))),
        metrics: Arc::new(Metrics::default()),
        session: SessionId::parse("default").expect("a name"),
    };
    let mut accepted = Vec::new();
    let mut ends: Vec<(Instant, Happening)> = Vec::new();
    let start = Instant::now();
    let mut gateway = bench.gateway(&schedule.pacing).await;
    let mut crashes = 0;
    for &(at, happening) in &schedule.happenings {
        let due = start + Duration::from_millis(at);
        run_until(due, &mut ends, &bench).await;
        bench
            .world
            .say(|| format!("-- {} ms: {happening:?}", start.elapsed().as_millis()));
        match happening {
            Happening::Accept { .. } => {
                if let Some(message) = accept(&bench, happening, accepted.len()).await {
                    accepted.push(message);
                    gateway.notify_outbox(&bench.session);
                }
            }
            Happening::Restart => {
                let _ = gateway.restart(&bench.session).await;
            }
            Happening::KillGateway => {
                crashes += 1;
                drop(gateway);
                // The browser notices that its pipe has closed.
                {
                    let mut truth = bench.world.lock();
                    truth.close_page();
                    truth.browser = false;
                }
                gateway = restart(&bench, &schedule.pacing).await;
            }
            other => strike(&bench, other, &mut ends),
        }
    }
    while let Some(end) = ends.iter().map(|(at, _)| *at).max() {
        run_until(end, &mut ends, &bench).await;
    }
    calm(&bench);
    let within = if bench.world.lock().refused > 0 {
        SETTLES_WITHIN + PATIENCE
    } else {
        SETTLES_WITHIN
    };
    let settled = tokio::time::timeout(within, settle(&bench, &gateway)).await;
    let stored = messages(&bench).await;
    let begun = first_attempts(&bench, &stored).await;
    drop(gateway);
    let mut truth = bench.world.lock();
    let verdict = judge(&accepted, &stored, &truth)
        .and_then(|()| settled.map_err(|_| "it did not settle in time".to_owned()))
        .and_then(|()| inbound(&bench, &truth))
        .and_then(|()| keeps_pace(&begun, &schedule.pacing))
        .and_then(|()| match bench.metrics.illegal_events.get([]) {
            0 => Ok(()),
            n => Err(format!("{n} illegal events")),
        });
    Outcome {
        verdict,
        accepted: accepted.len() as u64,
        parked: stored
            .iter()
            .filter(|m| m.status == steadfast_core::outbox::Status::Parked)
            .count() as u64,
        expired: stored
            .iter()
            .filter(|m| m.status == steadfast_core::outbox::Status::Expired)
            .count() as u64,
        recycled: bench.metrics.recycles.each().iter().map(|(_, n)| n).sum(),
        canaries: bench.metrics.canary.each().iter().map(|(_, n)| n).sum(),
        faults: schedule.faults(),
        crashes,
        refused: truth.refused,
        looked_up: truth.looked_up,
        repeats_dropped: truth.repeats_dropped,
        delivered: truth
            .delivered
            .iter()
            .filter(|(chat, _)| chat.user() != ME)
            .map(|(_, id)| id.clone())
            .collect(),
        trace: truth.trace.take().unwrap_or_default(),
    }
}

/// A gateway that dies while its disk is full starts again when there is room.
async fn restart(bench: &Bench, pacing: &pacing::Policy) -> Arc<Supervisor> {
    bench.store.no_room.store(false, Ordering::Relaxed);
    bench.gateway(pacing).await
}

/// WhatsApp's id of the `number`-th message that is accepted.
pub(crate) fn wa_id(number: usize) -> Option<WaMessageId> {
    let mut unique = [0; 9];
    unique[0] = u8::try_from(number + 1).ok()?;
    Some(WaMessageId::mint(unique))
}

async fn accept(bench: &Bench, happening: Happening, number: usize) -> Option<Promise> {
    let Happening::Accept {
        chat,
        ttl_ms,
        lane,
        later_ms,
    } = happening
    else {
        return None;
    };
    let priority = Priority::of_lane(lane)?;
    let to = ChatId::parse(&format!("49151000000{chat:02}")).ok()?;
    let now = bench.clock.unix();
    let mut random = [0; 10];
    random[0] = u8::try_from(number + 1).ok()?;
    let message = NewMessage {
        id: MessageId::mint(now, random),
        wa_message_id: wa_id(number)?,
        session: bench.session.clone(),
        to: to.clone(),
        body: Body::text(number.to_string()),
        priority,
        accepted_at: now,
        due_at: now.plus(later_ms.unwrap_or_default()),
        expires_at: ttl_ms.map(|ms| now.plus(ms)),
    };
    let id = message.wa_message_id.clone();
    let expires = ttl_ms.map(|ms| bench.clock.mono().0 + ms);
    // Refused where the disk is full: then nobody was promised anything.
    match bench.store.accept(message, None).await {
        Ok(_) => {
            let mut truth = bench.world.lock();
            if let Some(at) = expires {
                truth.expires.insert(id.clone(), at);
            }
            if let Some(ms) = later_ms {
                truth
                    .not_before
                    .insert(id.clone(), bench.clock.mono().0 + ms);
            }
            drop(truth);
            Some(Promise {
                chat: to,
                id,
                priority,
                scheduled: later_ms.is_some(),
            })
        }
        Err(StoreError::Full) => None,
        Err(error) => panic!("accept failed: {error}"),
    }
}

fn strike(bench: &Bench, happening: Happening, ends: &mut Vec<(Instant, Happening)>) {
    let now = Instant::now();
    let mut truth = bench.world.lock();
    match happening {
        // Whoever wins a conflict, our page is gone.
        Happening::ClosePage | Happening::Conflict => truth.close_page(),
        Happening::SelfReload => {
            if let Some(page) = &mut truth.page {
                page.ready = false;
            }
        }
        Happening::KillBrowser => {
            truth.browser = false;
            truth.close_page();
        }
        Happening::Hang => {
            if let Some(page) = &mut truth.page {
                page.hung = true;
            }
        }
        Happening::Outage { ms } => {
            truth.network = false;
            ends.push((now + Duration::from_millis(ms), happening));
        }
        Happening::Unlink => {
            if truth.linked != 0 {
                truth.linked = 0;
                truth.logins_lost += 1;
            }
        }
        Happening::DropAcks { count } => truth.drop_acks += count,
        Happening::RefuseSends { count } => truth.refuse_sends += count,
        Happening::TooFast { count } => truth.too_fast += count,
        Happening::BreakLaunch { count } => truth.break_launch += count,
        Happening::DiskFull { ms } => {
            bench.store.no_room.store(true, Ordering::Relaxed);
            ends.push((now + Duration::from_millis(ms), happening));
        }
        Happening::Inbound => {
            let number = truth.inbound_sent;
            truth.inbound_sent += 1;
            truth.profile.unconfirmed.push_back(number);
        }
        Happening::Bloat => truth.bloated = true,
        Happening::Accept { .. } | Happening::KillGateway | Happening::Restart => {}
    }
}

/// Lets time pass, ending what has an end on the way.
async fn run_until(due: Instant, ends: &mut Vec<(Instant, Happening)>, bench: &Bench) {
    loop {
        ends.sort_by_key(|(at, _)| *at);
        match ends.first().copied() {
            Some((at, happening)) if at <= due => {
                tokio::time::sleep_until(at).await;
                ends.remove(0);
                match happening {
                    Happening::Outage { .. } => bench.world.lock().network = true,
                    Happening::DiskFull { .. } => {
                        bench.store.no_room.store(false, Ordering::Relaxed);
                    }
                    _ => {}
                }
            }
            _ => {
                tokio::time::sleep_until(due).await;
                return;
            }
        }
    }
}

/// The faults have ended.
fn calm(bench: &Bench) {
    bench.store.no_room.store(false, Ordering::Relaxed);
    let mut truth = bench.world.lock();
    truth.say(|| "-- calm".to_owned());
    truth.calm = true;
    truth.network = true;
    truth.drop_acks = 0;
    truth.refuse_sends = 0;
    truth.too_fast = 0;
    truth.break_launch = 0;
}

/// Waits until nothing is owed and the session is ready.
async fn settle(bench: &Bench, gateway: &Supervisor) {
    loop {
        let owed = messages(bench).await.iter().any(|m| m.status.is_owed());
        let ready = gateway
            .get(&bench.session)
            .await
            .is_ok_and(|view| view.ready());
        let offered = !bench.world.lock().profile.unconfirmed.is_empty();
        if !owed && ready && !offered {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn messages(bench: &Bench) -> Vec<Message> {
    let query = MessageQuery {
        limit: 1_000,
        ..MessageQuery::default()
    };
    bench
        .store
        .messages(&bench.session, query)
        .await
        .expect("the store is in memory")
}

/// When the first attempt of each message began, in order.
async fn first_attempts(bench: &Bench, stored: &[Message]) -> Vec<UnixMs> {
    let mut begun = Vec::new();
    for message in stored {
        let attempts = bench.store.attempts(&message.id).await;
        let attempts = attempts.expect("the store is in memory");
        let first = attempts.first().filter(|attempt| attempt.number == 1);
        begun.extend(first.map(|attempt| attempt.started_at));
    }
    begun.sort_unstable();
    begun
}

/// Nothing that came in was lost (but with a profile that was destroyed), and none is kept twice.
fn inbound(bench: &Bench, truth: &crate::world::Truth) -> Result<(), String> {
    let kept = futures_util::future::FutureExt::now_or_never(bench.store.inbound(
        &bench.session,
        0,
        1_000,
    ))
    .expect("the store is in memory")
    .expect("the store is in memory");
    let count = kept.len() as u64;
    if truth.logins_lost == 0 && count != truth.inbound_sent {
        return Err(format!("{} came in, {count} kept", truth.inbound_sent));
    }
    if count > truth.inbound_sent {
        return Err("an inbound message was kept twice".to_owned());
    }
    Ok(())
}
