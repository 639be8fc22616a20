//! Fetches inbound messages from the page, gives them to the store, and tells
//! the page which ones are on disk.

use crate::link::Link;
use crate::wire::{Confirmed, Fetched, Received, one_by_one};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use steadfast_core::port::InboundRefused;
use tracing::{debug, warn};

/// Messages fetched at a time.
const BATCH: u32 = 50;
/// The first and the longest wait after the store refused one.
const REFUSED_WAIT: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];
/// How often the confirmed time is written to the profile.
const MARK_EVERY: Duration = Duration::from_secs(2);

enum Taken {
    /// On disk, or none of our business: not to be offered again.
    Done,
    /// The store could not keep it now.
    Refused,
    /// The epoch is over.
    Over,
}

/// Serves one epoch's inbox until the epoch ends.
pub(crate) async fn serve(link: Arc<Link>) {
    let mut marked: Option<Instant> = None;
    loop {
        tokio::select! {
            () = link.ended() => return,
            () = link.inbox.notified() => {}
        }
        let mut refusals = 0;
        loop {
            match round(&link).await {
                Round::Empty => break,
                Round::More => refusals = 0,
                Round::Refused => {
                    refusals += 1;
                    tokio::select! {
                        () = link.ended() => return,
                        () = tokio::time::sleep(refused_wait(refusals)) => {}
                    }
                }
                Round::Over => return,
            }
            if marked.is_none_or(|at| at.elapsed() >= MARK_EVERY) {
                marked = Some(Instant::now());
                let link = Arc::clone(&link);
                let written = tokio::task::spawn_blocking(move || mark(&link)).await;
                if let Err(error) = written {
                    debug!(%error, "the mark was not written");
                }
            }
        }
    }
}

/// Keeps in the profile how far the inbox is confirmed. A disk may take its
/// time over it: not for the runtime's own threads.
pub(crate) fn mark(link: &Link) {
    if let Some(newest) = link.session.memory.newest_confirmed() {
        link.login.set_confirmed(newest);
    }
    // An older mark only means that more is offered again, which the store
    // drops, or a login taken for new; never that a message is lost.
    if let Err(error) = link.login.write() {
        warn!(epoch = link.epoch.0, %error, "cannot keep the login's marks");
    }
}

enum Round {
    Empty,
    More,
    Refused,
    Over,
}

async fn round(link: &Link) -> Round {
    let deadline = link.session.deadlines.call;
    let fetched: Fetched = match link
        .call("inbox_fetch", json!({ "limit": BATCH }), deadline)
        .await
    {
        Ok(fetched) => fetched,
        Err(error) => {
            // The page still holds them: the next document, or heartbeat, tells of them again.
            debug!(epoch = link.epoch.0, %error, "cannot fetch from the inbox");
            return Round::Empty;
        }
    };
    let memory = &link.session.memory;
    if fetched.messages.is_empty() {
        memory.settled(fetched.confirmed_to);
        return Round::Empty;
    }
    let mut keys = Vec::with_capacity(fetched.messages.len());
    let mut refused = false;
    for (key, received) in one_by_one(fetched.messages) {
        let taken = match received {
            Ok(received) => take(link, &received).await,
            // It is not known as confirmed, so that the next document offers it again.
            Err(error) => {
                warn!(
                    epoch = link.epoch.0,
                    "an inbound message could not be read and is left out"
                );
                debug!(epoch = link.epoch.0, %error, "why it could not be read");
                Taken::Done
            }
        };
        match taken {
            Taken::Done => keys.push(key),
            Taken::Refused => {
                refused = true;
                break;
            }
            Taken::Over => return Round::Over,
        }
    }
    if !keys.is_empty() {
        let confirmed: Result<Confirmed, _> = link
            .call("inbox_confirm", json!({ "keys": keys }), deadline)
            .await;
        match confirmed {
            Ok(confirmed) => {
                memory.settled(confirmed.confirmed_to);
                if confirmed.waiting == 0 && !refused {
                    return Round::Empty;
                }
            }
            Err(error) => {
                debug!(epoch = link.epoch.0, %error, "cannot confirm to the inbox");
                return Round::Empty;
            }
        }
    }
    if refused { Round::Refused } else { Round::More }
}

async fn take(link: &Link, received: &Received) -> Taken {
    let memory = &link.session.memory;
    let Some(message) = received.message() else {
        debug!(
            epoch = link.epoch.0,
            "an inbound message of a kind of chat that is not known was left out"
        );
        return Taken::Done;
    };
    // Our own message, told back to us by a page that has forgotten it was ours.
    if message.from_me && memory.is_own(&message.wa_message_id) {
        return Taken::Done;
    }
    match link.deliver(message).await {
        Ok(()) => {
            let now_s = link.session.unix_seconds();
            memory.confirmed(&received.key, received.t, now_s);
            Taken::Done
        }
        Err(InboundRefused::StaleEpoch) => Taken::Over,
        Err(InboundRefused::NotStored(why)) => {
            warn!(
                epoch = link.epoch.0,
                why, "an inbound message could not be stored; it is kept in the page"
            );
            Taken::Refused
        }
    }
}

pub(crate) fn refused_wait(refusals: u32) -> Duration {
    let [first, longest] = REFUSED_WAIT;
    first
        .saturating_mul(
            1_u32
                .checked_shl(refusals.saturating_sub(1))
                .unwrap_or(u32::MAX),
        )
        .min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusing_store_is_asked_less_and_less() {
        assert_eq!(refused_wait(1), Duration::from_millis(200));
        assert_eq!(refused_wait(3), Duration::from_millis(800));
        assert_eq!(refused_wait(99), Duration::from_secs(5));
    }
}
