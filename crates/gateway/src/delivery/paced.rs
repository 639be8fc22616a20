//! What pacing has to say, while delivery goes on.

use crate::events;
use crate::metrics::Metrics;
use crate::sessions::Pace;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::backoff::Random;
use steadfast_core::ids::SessionId;
use steadfast_core::outbox::{Claimed, SLOWED_DOWN, Status};
use steadfast_core::pacing::{Held, Pacer, Policy};
use steadfast_core::port::{Quota, Store, StoreError};
use steadfast_core::time::UnixMs;
use tokio::sync::watch;

/// How far back a session's history is read.
const HISTORY_MS: i64 = 2 * 86_400_000;

/// One session's pacer with what it needs from outside.
pub(super) struct Paced {
    pub(super) session: SessionId,
    pub(super) store: Arc<dyn Store>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) policy: Policy,
    pub(super) random: Random,
    pub(super) told: watch::Sender<Pace>,
    /// `None` until its history is read: before that nothing may begin.
    pub(super) pacer: Option<Pacer>,
}

impl Paced {
    /// Reads what was before, where that is not known yet.
    pub(super) async fn ready(&mut self, now: UnixMs) -> Result<(), StoreError> {
        if self.pacer.is_none() {
            let since = UnixMs(now.0.saturating_sub(HISTORY_MS));
            let history = self.store.pace(&self.session, since).await?;
            self.pacer = Some(Pacer::new(self.policy.clone(), &history, now));
        }
        Ok(())
    }

    /// What may be claimed now, and how long until a lane that is held back
    /// may go on, at the earliest.
    pub(super) fn quota(&mut self, now: UnixMs, room: u32) -> (Quota, Option<Duration>) {
        let Some(pacer) = &mut self.pacer else {
            let nothing_new = Quota {
                all: room,
                high: 0,
                others: 0,
            };
            return (nothing_new, None);
        };
        let permit = pacer.permit(now);
        let pace = Pace {
            high: permit.high.later(),
            others: permit.others.later(),
            slowed: pacer.slowed(),
            day: pacer.day(now),
        };
        self.tell(pace);
        let quota = Quota {
            all: room,
            high: permit.high.allowed().min(room),
            others: permit.others.allowed().min(room),
        };
        let wait = |at: UnixMs| Duration::from_millis(at.since(now));
        (quota, permit.changes_at().map(wait))
    }

    /// These have been claimed.
    pub(super) fn claimed(&mut self, now: UnixMs, claimed: &[Claimed]) {
        let (mut count, mut again) = (0, 0);
        for claimed in claimed {
            let message = &claimed.message;
            let refused = message.status == Status::Accepted
                && message.reason.as_deref() == Some(SLOWED_DOWN);
            count += u32::from(claimed.attempt == 1 || refused);
            again += u32::from(claimed.attempt > 1 && refused);
        }
        if let Some(pacer) = &mut self.pacer {
            let pause_ms = self.random.up_to(pacer.jitter_ms());
            pacer.began(now, count, again, pause_ms);
        }
    }

    /// WhatsApp has refused a message because messages came too fast.
    pub(super) fn refused(&mut self, now: UnixMs) {
        let session = &self.session;
        self.metrics.pacing_refusals.inc([session.as_str()]);
        let Some(pacer) = &mut self.pacer else { return };
        if pacer.refused(now) {
            let halved = pacer.slowed();
            tracing::warn!(
                event = events::PACE_LOWERED, %session, halved,
                "WhatsApp asks to slow down"
            );
        }
    }

    fn tell(&self, pace: Pace) {
        let reason = |held: Option<(UnixMs, Held)>| held.map(|(_, why)| why);
        let mut before = None;
        self.told.send_if_modified(|told| {
            before = reason(told.others);
            std::mem::replace(told, pace) != pace
        });
        if let Some(why) = reason(pace.others)
            && before != Some(why)
        {
            let labels = [self.session.as_str(), why.as_str()];
            self.metrics.pacing_holds.inc(labels);
        }
    }
}
