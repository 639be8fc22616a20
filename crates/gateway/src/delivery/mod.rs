//! Brings accepted messages to WhatsApp.
//!
//! One loop per session: while its link is ready, it claims the heads of as
//! many chats as may be in flight, hands each to an [`attempt`], and records
//! what came of it. A chat's next message is claimed only when the one before
//! is settled; chats do not wait for each other.

mod attempt;
mod paced;
mod record;
mod set_back;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::sessions::Pace;
use crate::supervisor::Activity;
use crate::updates::Updates;
use attempt::{Attempt, Landed};
use paced::Paced;
use record::Recorder;
use set_back::SetBack;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::backoff::Random;
use steadfast_core::ids::{Epoch, Fence, LoginGeneration, MessageId, SessionId};
use steadfast_core::outbox::{Claimed, DeliveryPolicy, Settled};
use steadfast_core::pacing;
use steadfast_core::port::{Engine, Quota, Store, StoreError};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A link that can take messages: an engine that is ready, and the login it has.
#[derive(Clone)]
pub struct Link {
    /// What sends.
    pub engine: Arc<dyn Engine>,
    /// The login that it sends under.
    pub login: LoginGeneration,
}

/// How delivery works, besides the policy of a single message.
#[derive(Debug, Clone)]
pub struct DeliveryOptions {
    /// How many chats may have a message in flight at once.
    pub max_in_flight: u32,
    /// The policy of a single message.
    pub policy: DeliveryPolicy,
    /// How fast messages may begin, before anything else is said.
    pub pacing: pacing::Policy,
}

/// What a delivery has in hand, told whenever it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InHand {
    /// The connection that it hands messages to; `None` once it has taken
    /// note that there is none.
    pub link: Option<Epoch>,
    /// Messages between claim and recorded outcome.
    pub flights: usize,
}

impl InHand {
    /// Whether nothing is in flight, and nothing will be before a link is there again.
    pub fn is_nothing(&self) -> bool {
        self.link.is_none() && self.flights == 0
    }
}

/// One session's delivery.
pub struct Delivery {
    /// Whose.
    pub session: SessionId,
    /// The right to write.
    pub fence: Fence,
    /// Where messages are.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The link, while it is ready.
    pub link: watch::Receiver<Option<Link>>,
    /// Told what is in hand.
    pub in_hand: watch::Sender<InHand>,
    /// Told when a message is taken up.
    pub activity: Activity,
    /// Rung when a message was accepted or released.
    pub wake: Arc<Notify>,
    /// Told of every change.
    pub updates: Updates,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How.
    pub options: DeliveryOptions,
    /// Told what pacing says.
    pub pace: watch::Sender<Pace>,
    /// How fast messages may begin, by the configuration in force.
    pub pacing: watch::Receiver<pacing::Policy>,
    /// Of the random pauses between messages.
    pub seed: u64,
}

/// How long to wait after the store failed a claim.
const STORE_RETRY: Duration = Duration::from_millis(500);
/// A message's due time is by the wall clock, and a timer is not: while
/// something waits for long, the clock is looked at so often.
const LOOK_AT_THE_CLOCK: Duration = Duration::from_secs(30);
/// How often messages whose time is up are looked for. What is due is never
/// sent late all the same: its time is looked at before each attempt.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// How many are ended at a time.
const SWEEP: u32 = 500;
/// How long a connection that failed under a message is left alone. The supervisor
/// hears of it in a moment, and withdraws the link until it is healed; before that every
/// attempt would end at once and the next begin.
const DOUBT: Duration = Duration::from_secs(1);

impl Delivery {
    /// Delivers until told to stop; then waits for what is in flight, which
    /// ends soon because its page goes away.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut flights: JoinSet<Landed> = JoinSet::new();
        let mut claimed_by: HashMap<tokio::task::Id, (MessageId, u32)> = HashMap::new();
        let mut doubted_until: Option<Instant> = None;
        // How often the supervisor has given or withdrawn the link.
        let mut turn = 0;
        let mut set_back = SetBack::new(self.clock.as_ref());
        let mut paced = self.paced();
        let mut sweep_at = Instant::now();
        loop {
            self.heed_the_clock(&mut set_back).await;
            if Instant::now() >= sweep_at {
                sweep_at = Instant::now() + self.sweep().await;
            }
            let room = self
                .options
                .max_in_flight
                .saturating_sub(u32::try_from(flights.len()).unwrap_or(u32::MAX));
            let link = {
                let link = self.link.borrow_and_update();
                if link.has_changed() {
                    // What the supervisor gives is good, though it be the same connection.
                    turn += 1;
                    doubted_until = None;
                }
                link.clone()
            };
            let noted = link.as_ref().map(|link| link.engine.epoch());
            let mut idle_until = None;
            let doubt = doubted_until.map(|at| at.saturating_duration_since(Instant::now()));
            if let Some(left) = doubt.filter(|left| !left.is_zero()) {
                idle_until = Some(left);
            } else if let Some(link) = link.filter(|_| room > 0) {
                match self.take(&mut paced, &link, room).await {
                    Ok((claimed, wait)) => {
                        idle_until = wait;
                        if !claimed.is_empty() {
                            self.activity.touch(self.clock.mono());
                        }
                        for claimed in claimed {
                            let id = claimed.message.id.clone();
                            let number = claimed.attempt;
                            let task = flights.spawn(self.attempt(&link, turn, claimed).run());
                            claimed_by.insert(task.id(), (id, number));
                        }
                    }
                    Err(error) => {
                        tracing::warn!(event = "outbox_claim_failed", session = %self.session, %error);
                        idle_until = Some(STORE_RETRY);
                    }
                }
            }
            self.tell(noted, flights.len());
            tokio::select! {
                // In this order, so that a run can be repeated from its seed.
                biased;
                () = stop.cancelled() => break,
                // The sender lives as long as the supervisor; its end is ours.
                changed = self.link.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    // Seen by the next round, not by this look.
                    self.link.mark_changed();
                }
                () = self.wake.notified() => {}
                // It begins anew by what the store has of the past, as at a start.
                Ok(()) = self.pacing.changed() => paced = self.paced(),
                Some(ended) = flights.join_next_with_id(), if !flights.is_empty() => {
                    let mut next = Some(ended);
                    // Everything that has ended by now, in one round.
                    while let Some(ended) = next {
                        let landed = self.landed(ended, &mut flights, &mut claimed_by);
                        if landed.failed == Some(turn) {
                            doubted_until = Some(Instant::now() + DOUBT);
                        }
                        if landed.slow_down {
                            paced.refused(self.clock.unix());
                        }
                        next = flights.try_join_next_with_id();
                    }
                }
                () = sleep_or_never(idle_until.map(|wait| wait.min(LOOK_AT_THE_CLOCK))) => {}
                () = sleep_or_never(set_back.due_ms().map(Duration::from_millis)) => {}
                () = tokio::time::sleep_until(sweep_at) => {}
            }
        }
        while let Some(ended) = flights.join_next_with_id().await {
            self.landed(ended, &mut flights, &mut claimed_by);
        }
    }

    /// Where the wall clock was set back, what waits by the old time is
    /// brought forward.
    async fn heed_the_clock(&self, set_back: &mut SetBack) {
        let Some(by_ms) = set_back.look(self.clock.as_ref()) else {
            return;
        };
        let now = self.clock.unix();
        let brought = self
            .store
            .bring_forward(&self.session, self.fence, now, by_ms);
        match brought.await {
            Ok(brought) => {
                tracing::warn!(event = "clock_set_back", session = %self.session, by_ms, brought);
            }
            // Somebody else owns the session now.
            Err(StoreError::StaleFence { .. } | StoreError::Closed) => {}
            Err(error) => {
                tracing::warn!(event = "outbox_claim_failed", session = %self.session, %error);
                set_back.failed(by_ms);
            }
        }
    }

    /// Ends what waits and whose time is up, also while nothing can be sent;
    /// how long until the next look.
    async fn sweep(&self) -> Duration {
        let now = self.clock.unix();
        match self
            .store
            .expire(&self.session, self.fence, now, SWEEP)
            .await
        {
            Ok(ended) => {
                let count = ended.len();
                for id in ended {
                    self.metrics
                        .outcomes
                        .inc([self.session.as_str(), "expired"]);
                    self.updates.publish(id);
                }
                if count == SWEEP as usize {
                    Duration::ZERO
                } else {
                    SWEEP_EVERY
                }
            }
            Err(error) => {
                tracing::warn!(event = "outbox_claim_failed", session = %self.session, %error);
                SWEEP_EVERY
            }
        }
    }

    fn tell(&self, link: Option<Epoch>, flights: usize) {
        let now = InHand { link, flights };
        self.in_hand
            .send_if_modified(|told| std::mem::replace(told, now) != now);
    }

    fn paced(&self) -> Paced {
        Paced {
            session: self.session.clone(),
            store: Arc::clone(&self.store),
            metrics: Arc::clone(&self.metrics),
            policy: self.pacing.borrow().clone(),
            random: Random::new(self.seed),
            told: self.pace.clone(),
            pacer: None,
        }
    }

    /// Claims what may begin now; and how long until there may be more, where
    /// that is a matter of time alone.
    async fn take(
        &self,
        paced: &mut Paced,
        link: &Link,
        room: u32,
    ) -> Result<(Vec<Claimed>, Option<Duration>), StoreError> {
        let now = self.clock.unix();
        paced.ready(now).await?;
        let (quota, _) = paced.quota(now, room);
        let claimed = self
            .store
            .claim_within(&self.session, self.fence, link.login, now, quota)
            .await?;
        paced.claimed(now, &claimed);
        if claimed.len() == room as usize {
            return Ok((claimed, None));
        }
        let (quota, turn) = paced.quota(now, room);
        let wait = match (self.next_due(quota).await, turn) {
            (Some(due), Some(turn)) => Some(due.min(turn)),
            (due, turn) => due.or(turn),
        };
        Ok((claimed, wait))
    }

    fn attempt(&self, link: &Link, turn: u64, claimed: Claimed) -> Attempt {
        Attempt {
            claimed,
            link: link.clone(),
            turn,
            recorder: self.recorder(),
            updates: self.updates.clone(),
            metrics: Arc::clone(&self.metrics),
            policy: self.options.policy.clone(),
        }
    }

    /// How long until the next head of a chat falls due that may go.
    async fn next_due(&self, quota: Quota) -> Option<Duration> {
        match self.store.next_due_within(&self.session, quota).await {
            Ok(due) => due.map(|due| Duration::from_millis(due.since(self.clock.unix()))),
            Err(_) => Some(STORE_RETRY),
        }
    }

    fn recorder(&self) -> Recorder {
        Recorder {
            session: self.session.clone(),
            fence: self.fence,
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
        }
    }

    /// Forgets a flight that has ended. One that panicked has settled
    /// nothing: its message is to be looked up, which takes its place among
    /// the flights until that is on disk.
    fn landed(
        &self,
        ended: Result<(tokio::task::Id, Landed), tokio::task::JoinError>,
        flights: &mut JoinSet<Landed>,
        claimed_by: &mut HashMap<tokio::task::Id, (MessageId, u32)>,
    ) -> Landed {
        let error = match ended {
            Ok((task, landed)) => {
                claimed_by.remove(&task);
                return landed;
            }
            Err(error) => error,
        };
        let Some((id, attempt)) = claimed_by.remove(&error.id()) else {
            return Landed::default();
        };
        tracing::error!(event = "attempt_panicked", session = %self.session, message = %id, %error);
        let wait = self.options.policy.backoff.ceiling(attempt);
        let (recorder, message) = (self.recorder(), id.clone());
        let task = flights.spawn(async move {
            let detail = "the attempt ended in a defect of the gateway; see its log";
            let settled = Settled::CheckIn(wait);
            recorder.record(&message, settled, Some(detail)).await;
            Landed::default()
        });
        claimed_by.insert(task.id(), (id, attempt));
        Landed::default()
    }
}

async fn sleep_or_never(wait: Option<Duration>) {
    match wait {
        // A due time that has just passed must not spin.
        Some(wait) => tokio::time::sleep(wait.max(Duration::from_millis(5))).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
