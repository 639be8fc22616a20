//! What is forgotten, and when: a disk is not to be filled by what nobody asks
//! for any more.
//!
//! | what | kept for | looked for | at once | by |
//! |---|---|---|---|---|
//! | events | `events.keep_ms`, and `events.keep` of them; what a webhook is owed up to `events.keep_owed` | every minute | 500 | [`log`] |
//! | dead letters and attempts of webhooks | `webhooks.keep_ms` | with the events | 500 | [`log`] |
//! | files of messages | `media.keep_ms` after their last use, and `media.max_total_bytes` of them; longer where a message needs one | every 10 minutes | 200 | [`files`] |
//! | files that no message ever had, left by a crash | until the next start | at the start | 200 | [`files`] |
//! | messages that are over, and messages received | `messages.keep_ms`, and no shorter than `server.idempotency_keep_ms`; longer where an event tells of one | every hour | 500 | [`messages`] |
//! | memory that was freed, to the system | | every 20 seconds | all | [`memory`] |
//!
//! One task does all of it, a piece at a time, so that the store is never asked
//! for two of these at once; after a piece it takes breath, so that nobody waits
//! for it, and whoever has waited longest is next. What is bounded where it is
//! written needs no one to come by: the audit log, incidents, attempts of a
//! message, keys of idempotency, the history of pacing.

mod files;
mod log;
mod memory;
mod messages;

use crate::app::App;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::time::UnixMs;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use log::Log;

/// How often something old is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rhythm {
    /// Between two looks, where the first one left nothing.
    every: Duration,
    /// Between two pieces of one look.
    breath: Duration,
}

/// One kind of thing that is forgotten.
#[async_trait]
trait Chore: Send {
    /// When it is done.
    fn rhythm(&self) -> Rhythm;

    /// Forgets one bounded piece; whether there is likely more. What fails is in
    /// the log, and is tried again at the next look.
    async fn piece(&mut self) -> bool;
}

/// Forgets what is old, until told to stop.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let log = Log::new(
        app.store.clone(),
        app.clock.clone(),
        app.live.clone(),
        app.metrics.clone(),
    );
    let files = files::Files::new(app.media.clone());
    let messages =
        messages::Messages::new(app.store.clone(), app.clock.clone(), app.config.clone());
    keep(
        vec![
            Box::new(log),
            Box::new(files),
            Box::new(messages),
            Box::new(memory::Memory),
        ],
        stop,
    )
    .await;
}

/// Does each chore in its rhythm: all of them at once, then whichever is due longest.
async fn keep(chores: Vec<Box<dyn Chore>>, stop: CancellationToken) {
    let now = Instant::now();
    let mut turns: Vec<(Instant, Box<dyn Chore>)> =
        chores.into_iter().map(|chore| (now, chore)).collect();
    while let Some((due, chore)) = turns.iter_mut().min_by_key(|(due, _)| *due) {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(*due) => {}
        }
        let more = chore.piece().await;
        let Rhythm { every, breath } = chore.rhythm();
        *due = Instant::now() + if more { breath } else { every };
    }
}

/// So long before now.
fn ago(now: UnixMs, ms: u64) -> UnixMs {
    UnixMs(now.0.saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    type Done = Arc<Mutex<Vec<(&'static str, u64)>>>;

    /// Has so many pieces, and writes down when each was done.
    struct Pieces {
        name: &'static str,
        left: u32,
        rhythm: Rhythm,
        began: Instant,
        done: Done,
    }

    #[async_trait]
    impl Chore for Pieces {
        fn rhythm(&self) -> Rhythm {
            self.rhythm
        }

        async fn piece(&mut self) -> bool {
            let at = u64::try_from(self.began.elapsed().as_millis()).unwrap();
            self.done.lock().unwrap().push((self.name, at));
            // As long as a store takes.
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.left = self.left.saturating_sub(1);
            self.left > 0
        }
    }

    /// What is done within so long.
    async fn done(
        pieces: &[(&'static str, u32, u64, u64)],
        within_ms: u64,
    ) -> Vec<(&'static str, u64)> {
        let done = Done::default();
        let began = Instant::now();
        let chores = pieces.iter().map(|(name, left, every, breath)| {
            let rhythm = Rhythm {
                every: Duration::from_millis(*every),
                breath: Duration::from_millis(*breath),
            };
            let (name, left, done) = (*name, *left, done.clone());
            Box::new(Pieces {
                name,
                left,
                rhythm,
                began,
                done,
            }) as Box<dyn Chore>
        });
        let stop = CancellationToken::new();
        let end = stop.clone().drop_guard();
        let limit = Duration::from_millis(within_ms);
        let timer = async {
            tokio::time::sleep(limit).await;
            drop(end);
        };
        tokio::join!(keep(chores.collect(), stop), timer);
        done.lock().unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_done_at_the_start_and_then_in_its_rhythm() {
        let found = done(&[("a", 3, 1_000, 10), ("b", 1, 400, 10)], 1_100).await;
        assert_eq!(
            found,
            [
                ("a", 0),
                ("b", 1),
                ("a", 11),
                ("a", 22),
                ("b", 402),
                ("b", 803),
                ("a", 1_023)
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_never_ends_keeps_no_other_waiting() {
        let found = done(&[("endless", u32::MAX, 0, 0), ("b", 1, 50, 0)], 500).await;
        let times: Vec<u64> = found
            .iter()
            .filter(|(name, _)| *name == "b")
            .map(|(_, at)| *at)
            .collect();
        assert!(times.len() >= 9, "{times:?}");
        assert!(found.len() > 400, "{}", found.len());
    }
}
