//! What is over is forgotten in time, and nothing else is.

use crate::support::{Desk, id, outcome};
use steadfast_core::outbox::Ack;
use steadfast_core::port::{ForgetMessages, Outcome, Store, TrimEvents};
use steadfast_core::time::UnixMs;

async fn forget(store: &dyn Store, before: i64, after: i64, limit: u32) -> (u64, Option<i64>) {
    let what = ForgetMessages {
        before: UnixMs(before),
        after,
        limit,
    };
    let forgotten = store.forget_messages(what).await.unwrap();
    (forgotten.messages, forgotten.next)
}

/// The log lets go of everything that it tells of.
async fn trim(store: &dyn Store) {
    let all = TrimEvents {
        before: UnixMs(i64::MAX),
        keep: 0,
        keep_owed: 0,
        limit: 1_000,
        at: UnixMs(9_000),
    };
    store.trim_events(all).await.unwrap();
}

pub(super) async fn only_what_is_over_and_old_is_forgotten(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for n in 1..=4 {
        desk.accept(n, n).await;
    }
    desk.claim_at(2_000, 2).await;
    desk.record(1, Outcome::Sent(Ack::Server), 2_100).await;
    desk.record(2, Outcome::Sent(Ack::Server), 8_000).await;
    // The log still tells of them.
    assert_eq!(forget(store, 5_000, 0, 10).await.0, 0);
    trim(store).await;
    // 2 changed lately, 3 and 4 are owed.
    assert_eq!(forget(store, 5_000, 0, 10).await, (1, None));
    assert_eq!(store.message(&id(1)).await.unwrap(), None);
    for n in 2..=4 {
        desk.get(n).await;
    }
    // What is owed is sent all the same, and the counts are as before.
    assert_eq!(desk.claim().await, [3, 4]);
    assert_eq!(desk.depth().await.0 + desk.depth().await.1, 2);
    assert_eq!(forget(store, 9_000, 0, 10).await, (1, None));
    // Its id may come again, and is another message then.
    store
        .record(
            &desk.session,
            desk.fence,
            vec![outcome(1, Outcome::Expired, 9_500)],
        )
        .await
        .unwrap();
    desk.accept(1, 1).await;
}

pub(super) async fn a_piece_says_where_to_go_on(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for n in 1..=5 {
        desk.accept(n, n).await;
    }
    desk.claim_at(2_000, 10).await;
    for n in [1, 2, 4, 5] {
        desk.record(n, Outcome::Sent(Ack::Server), 2_100).await;
    }
    trim(store).await;
    let (first, next) = forget(store, 5_000, 0, 2).await;
    assert_eq!(first, 2);
    // Past the one that stays.
    let (second, next) = forget(store, 5_000, next.unwrap(), 2).await;
    assert_eq!(second, 1);
    assert_eq!(forget(store, 5_000, next.unwrap(), 2).await, (1, None));
    desk.get(3).await;
}
