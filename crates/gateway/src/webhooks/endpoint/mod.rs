//! One endpoint's task: gives it the log, event by event, from where it
//! stopped, and what it did not take again when that is due.
//!
//! The log itself is the queue. An event that is taken moves the cursor on;
//! one that is not becomes a delivery of its own, and the cursor moves on all
//! the same, unless the endpoint wants its events in order. Cursor, deliveries
//! and attempts are written in one transaction *after* the request: a crash
//! between the two sends it once more, under the same id.
//!
//! What is sent, and when, is decided here; [`settle`] writes down what came of it.
//!
//! Bounds: so many requests at once, of which one needs no leave of anybody
//! else, so that slow endpoints never keep others waiting; [`MAX_WAITING`]
//! events that wait for another try, after which the log waits instead.

mod settle;

use super::Shared;
use super::circuit::{Circuit, Leave, Limits};
use super::post::{self, Answer};
use super::schedule::Schedule;
use crate::events;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::backoff::Random;
use steadfast_core::event::{Event, EventKinds};
use steadfast_core::port::{DeliveryState, EventQuery, StoreError, WebhookRecord};
use steadfast_core::time::{MonoMs, UnixMs};
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Events of one endpoint that may wait for another try.
const MAX_WAITING: u64 = 1_000;
/// Events that are read from the log at once.
const READ_AT_ONCE: u32 = 64;
/// Two looks at the log are at least so far apart: news come in bursts, and
/// many endpoints look at once.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// How long requests that are under way may take to end when the task is told to.
const GRACE: Duration = Duration::from_secs(1);
/// Pause after the store did not take what came of a request.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// How an endpoint does, for those who ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// It has every event up to here, or waits to be tried again with it.
    pub cursor: i64,
    /// Whether it counts as down.
    pub down: bool,
    /// So many events wait for another try.
    pub waiting: u64,
    /// So many were given up; only where the store was asked.
    pub dead: u64,
    /// Requests under way.
    pub in_flight: usize,
    /// When it last took something.
    pub taken_at: Option<UnixMs>,
    /// When it last did not, and why.
    pub failed: Option<(UnixMs, String)>,
}

/// What the task is given.
pub(super) struct Brief {
    pub(super) shared: Arc<Shared>,
    pub(super) record: Arc<WebhookRecord>,
    pub(super) cursor: i64,
    pub(super) seed: u64,
    /// Somebody changed what waits.
    pub(super) wake: Arc<Notify>,
    pub(super) status: watch::Sender<Status>,
    pub(super) stop: CancellationToken,
}

/// One request to be made.
struct Job {
    event: Event,
    /// How many attempts were made before.
    attempts: u32,
    /// Where it waited: until when. `None`: it comes from the log.
    waited: Option<UnixMs>,
    /// Only asks whether the endpoint is back: not one of its attempts.
    extra: bool,
}

struct Done {
    job: Job,
    answer: Answer,
    // Held for as long as the request lasts.
    _leave: Option<OwnedSemaphorePermit>,
}

/// What became of a job.
enum Begun {
    /// A request is under way.
    Sent,
    /// There was nothing to send.
    Skipped,
    /// All endpoints together have as many requests under way as they may; one of ours is among them.
    NoLeave,
}

struct Endpoint {
    brief: Brief,
    kinds: EventKinds,
    schedule: Schedule,
    circuit: Circuit,
    /// Something waited when this began, and it has taken nothing since: it may
    /// have been down then, which is not on disk.
    unsure: bool,
    /// It is to be asked at once whether it is up, with something that waits.
    asks_first: bool,
    limits: Limits,
    random: Random,
    /// The log was read up to here.
    read_upto: i64,
    /// Read and not sent yet.
    fresh: VecDeque<Event>,
    /// Positions read from the log whose events are not settled.
    open: BTreeSet<i64>,
    /// Positions under way.
    busy: HashSet<i64>,
    requests: JoinSet<Done>,
    /// The cursor as it is on disk, and since when.
    on_disk: i64,
    written: MonoMs,
    /// How many wait, where that is known.
    waiting: Option<u64>,
    looked: Option<MonoMs>,
}

/// What is worth waiting for.
struct Until {
    news: bool,
    at: Option<MonoMs>,
}

/// Runs until it is told to stop, or the endpoint wants nothing any more.
pub(super) async fn run(brief: Brief) {
    let record = &brief.record;
    // Patterns are checked when they are stored; one of a newer version means none here.
    let patterns = record.events.iter().map(String::as_str);
    let kinds = if record.events.is_empty() {
        EventKinds::ALL
    } else {
        EventKinds::of(patterns).unwrap_or(EventKinds::NONE)
    };
    let tuning = brief.shared.tuning();
    let schedule = match &record.retry {
        Some(policy) => tuning.schedule.with(policy),
        None => tuning.schedule.clone(),
    };
    let mut limits = tuning.limits;
    if record.ordered {
        // Everything waits behind the one that failed: it is asked again soon,
        // not only when that one's next attempt is due.
        limits.failures = 1;
    }
    let cursor = brief.cursor;
    let mut endpoint = Endpoint {
        kinds,
        schedule,
        circuit: Circuit::default(),
        unsure: false,
        asks_first: false,
        limits,
        random: Random::new(brief.seed),
        read_upto: cursor,
        fresh: VecDeque::new(),
        open: BTreeSet::new(),
        busy: HashSet::new(),
        requests: JoinSet::new(),
        on_disk: cursor,
        written: brief.shared.clock.mono(),
        waiting: None,
        looked: None,
        brief,
    };
    let stop = endpoint.brief.stop.clone();
    let patience = async {
        stop.cancelled().await;
        tokio::time::sleep(2 * GRACE).await;
    };
    tokio::select! {
        () = endpoint.serve() => {}
        // The store takes nothing: what was under way is sent again after the next start.
        () = patience => {}
    }
}

impl Endpoint {
    /// Ends where it is told to, the store is closed, or the endpoint is gone.
    async fn serve(&mut self) {
        let stop = self.brief.stop.clone();
        let mut begun = false;
        loop {
            if stop.is_cancelled() {
                return self.drain().await;
            }
            let filled = async {
                if !begun {
                    self.recall().await?;
                    begun = true;
                }
                self.fill().await
            };
            let until = match filled.await {
                Ok(until) => until,
                Err(StoreError::Closed) => return,
                Err(error) => {
                    self.store_failed(&error);
                    tokio::time::sleep(STORE_PAUSE).await;
                    continue;
                }
            };
            self.show(|_| {});
            let clock = Arc::clone(&self.brief.shared.clock);
            let nap = async {
                match until.at {
                    Some(at) => {
                        let ms = at.since(clock.mono());
                        tokio::time::sleep(Duration::from_millis(ms)).await;
                    }
                    None => std::future::pending().await,
                }
            };
            let (mut ended, mut broken) = (Vec::new(), false);
            let store = Arc::clone(&self.brief.shared.store);
            tokio::select! {
                Some(done) = self.requests.join_next(), if !self.requests.is_empty() => {
                    broken |= done.is_err();
                    ended.extend(done);
                }
                () = self.brief.wake.notified() => {
                    self.waiting = None;
                    self.circuit = self.circuit.ask_now(clock.mono());
                }
                news = store.events_beyond(self.read_upto), if until.news => {
                    if news.is_err() {
                        return;
                    }
                }
                () = nap => {}
                () = stop.cancelled() => continue,
            }
            while let Some(done) = self.requests.try_join_next() {
                broken |= done.is_err();
                ended.extend(done);
            }
            if broken {
                // The panic is logged already. Which event it was nobody knows:
                // all that is not on disk is done once more.
                self.requests.shutdown().await;
                self.fresh.clear();
                self.open.clear();
                self.busy.clear();
                self.read_upto = self.on_disk;
                continue;
            }
            if !ended.is_empty() && self.finish(ended).await {
                return;
            }
        }
    }

    /// Lets what is under way end, for a moment: what is answered by then is
    /// written down, and not sent again.
    async fn drain(&mut self) {
        let mut ended = Vec::new();
        let all = async {
            while let Some(done) = self.requests.join_next().await {
                ended.extend(done);
            }
        };
        let _ = tokio::time::timeout(GRACE, all).await;
        if !ended.is_empty() {
            self.finish(ended).await;
        }
    }

    fn store_failed(&self, error: &StoreError) {
        tracing::warn!(
            event = events::WEBHOOK_NOT_STORED,
            webhook = %self.brief.record.id,
            %error,
        );
    }

    /// What waits may do so because the endpoint was down before this began, and
    /// its own next attempt may be a day away.
    async fn recall(&mut self) -> Result<(), StoreError> {
        let id = &self.brief.record.id;
        let counts = self.brief.shared.store.delivery_counts(id).await?;
        self.waiting = Some(counts.waiting);
        self.unsure = counts.waiting > 0;
        self.asks_first = self.unsure;
        Ok(())
    }

    /// Begins as many requests as there may be now, and says what to wait for.
    async fn fill(&mut self) -> Result<Until, StoreError> {
        let now = self.brief.shared.clock.mono();
        let mut until = Until {
            news: false,
            at: None,
        };
        let most = if self.brief.record.ordered {
            1
        } else {
            self.brief.shared.tuning().per_endpoint
        };
        let mut room = most.saturating_sub(self.requests.len());
        let mut asks = false;
        match self.circuit.leave(now) {
            Leave::Free => asks = std::mem::take(&mut self.asks_first),
            Leave::One => {
                asks = true;
                room = usize::from(self.requests.is_empty());
            }
            Leave::NotBefore(at) => {
                until.at = Some(at);
                room = 0;
            }
            Leave::Busy => room = 0,
        }
        let mut waiting = if let Some(waiting) = self.waiting {
            waiting
        } else {
            let id = &self.brief.record.id;
            let counts = self.brief.shared.store.delivery_counts(id).await?;
            *self.waiting.insert(counts.waiting)
        };
        if room > 0 && waiting > 0 {
            let (taken, next) = self.again(room, asks).await?;
            room -= taken;
            until.at = next.map(|at| now.plus(at.since(self.brief.shared.clock.unix())));
            if self.brief.record.ordered {
                // Nothing passes what waits.
                room = 0;
            }
        }
        while room > 0 && waiting < MAX_WAITING {
            if self.fresh.is_empty() && !self.read().await? {
                until.news = true;
                break;
            }
            let Some(event) = self.fresh.pop_front() else {
                continue;
            };
            let job = Job {
                event,
                attempts: 0,
                waited: None,
                extra: false,
            };
            match self.begin(job).await {
                Begun::Sent => room -= 1,
                Begun::Skipped => {}
                Begun::NoLeave => break,
            }
            waiting = self.waiting.unwrap_or(waiting);
        }
        self.write_lazily(&mut until).await?;
        Ok(until)
    }

    /// Sends again what is due; how many, and when the next one will be.
    async fn again(
        &mut self,
        room: usize,
        asks: bool,
    ) -> Result<(usize, Option<UnixMs>), StoreError> {
        let shared = Arc::clone(&self.brief.shared);
        let id = self.brief.record.id.clone();
        let now = shared.clock.unix();
        let look = u32::try_from(room + self.busy.len() + 1).unwrap_or(u32::MAX);
        let mut found = if self.brief.record.ordered {
            let oldest = shared.store.deliveries(&id, DeliveryState::Waiting, 0, 1);
            oldest.await?
        } else {
            let soonest = shared.store.due_deliveries(&id, UnixMs(i64::MAX), look);
            soonest.await?
        };
        found.retain(|delivery| !self.busy.contains(&delivery.event.seq));
        let mut taken = 0;
        for delivery in found {
            let due = delivery.next_at <= now;
            // An endpoint that is down may be asked with what is not due yet.
            if taken == room || !(due || (asks && taken == 0)) {
                return Ok((taken, Some(delivery.next_at)));
            }
            let job = Job {
                event: delivery.event,
                attempts: delivery.attempts,
                waited: Some(delivery.next_at),
                extra: !due,
            };
            match self.begin(job).await {
                Begun::Sent => taken += 1,
                Begun::Skipped => {}
                // Whatever ends looks at it again.
                Begun::NoLeave => return Ok((room, None)),
            }
        }
        Ok((taken, None))
    }

    /// Reads on in the log; whether there is something to send.
    async fn read(&mut self) -> Result<bool, StoreError> {
        let shared = Arc::clone(&self.brief.shared);
        let now = shared.clock.mono();
        let pause = u64::try_from(LOOK_PAUSE.as_millis()).unwrap_or(0);
        if let Some(looked) = self.looked
            && now.since(looked) < pause
        {
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        let record = &self.brief.record;
        let sessions = (!record.sessions.is_empty()).then(|| record.sessions.clone());
        let page = shared
            .store
            .events(EventQuery {
                after: self.read_upto,
                kinds: self.kinds,
                sessions,
                limit: READ_AT_ONCE,
            })
            .await?;
        self.looked = (!page.more).then(|| shared.clock.mono());
        self.read_upto = page.next;
        self.open.extend(page.events.iter().map(|event| event.seq));
        self.fresh.extend(page.events);
        Ok(!self.fresh.is_empty() || page.more)
    }

    /// Begins one request.
    async fn begin(&mut self, job: Job) -> Begun {
        let shared = Arc::clone(&self.brief.shared);
        let record = Arc::clone(&self.brief.record);
        let at = shared.clock.unix();
        let packed = match shared.envelope(&record.envelope) {
            Some(envelope) => {
                let packing = envelope.pack(&job.event, &record, at);
                match tokio::time::timeout(shared.tuning().timeout, packing).await {
                    Ok(packed) => packed,
                    Err(_) => Err("it could not be packed in time".to_owned()),
                }
            }
            None => Err(format!("there is no envelope {:?}", record.envelope)),
        };
        let packed = match packed {
            Ok(Some(packed)) => Ok(packed),
            Ok(None) => {
                self.skip(&job).await;
                return Begun::Skipped;
            }
            Err(detail) => Err(detail),
        };
        // The first request of an endpoint needs no leave: others cannot hold it up.
        let leave = if self.requests.is_empty() {
            None
        } else if let Ok(leave) = Arc::clone(&shared.in_flight).try_acquire_owned() {
            Some(leave)
        } else {
            if job.waited.is_none() {
                self.fresh.push_front(job.event);
            }
            return Begun::NoLeave;
        };
        self.circuit = self.circuit.begun();
        self.busy.insert(job.event.seq);
        self.requests.spawn(async move {
            let answer = match packed {
                Ok(packed) => {
                    let (post, clock) = (shared.post.as_ref(), shared.clock.as_ref());
                    post::send(post, clock, &record, packed, shared.tuning().timeout).await
                }
                Err(detail) => Answer {
                    ended: super::schedule::Ended::Failed,
                    status: None,
                    detail: Some(detail),
                    at,
                    took_ms: 0,
                },
            };
            Done {
                job,
                answer,
                _leave: leave,
            }
        });
        Begun::Sent
    }

    fn show(&self, change: impl FnOnce(&mut Status)) {
        let cursor = self.cursor();
        self.brief.status.send_modify(|status| {
            status.cursor = cursor;
            status.down = self.circuit.is_down();
            status.waiting = self.waiting.unwrap_or(status.waiting);
            status.in_flight = self.requests.len();
            change(status);
        });
    }
}
