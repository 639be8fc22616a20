//! What a person may do to a message: take it back, release it, drop it.

use crate::support::{Desk, LATER, NONE, id, numbers};
use steadfast_core::outbox::{Ack, ParkReason, Status};
use steadfast_core::port::{Outcome, Store};
use steadfast_core::time::UnixMs;

const PARKED: Outcome = Outcome::Parked(ParkReason::LookupUnavailable);
const SENT: Outcome = Outcome::Sent(Ack::Server);

pub(super) async fn only_what_waits_can_be_cancelled(store: &dyn Store) {
    let desk = Desk::new(store).await;
    assert_eq!(store.cancel(&id(1), UnixMs(2_000)).await, Ok(None));
    for n in 1..=3 {
        desk.accept(n, n).await;
    }
    let cancelled = store.cancel(&id(1), UnixMs(2_000)).await.unwrap().unwrap();
    assert_eq!(cancelled.status, Status::Cancelled);
    assert_eq!(cancelled.updated_at, UnixMs(2_000));
    assert_eq!(cancelled, desk.get(1).await);
    assert_eq!(desk.claim().await, [2, 3]);
    desk.record(3, SENT, 2_100).await;
    for (n, status) in [
        (1, Status::Cancelled),
        (2, Status::Sending),
        (3, Status::Sent),
    ] {
        let before = desk.get(n).await;
        let after = store.cancel(&id(n), UnixMs(2_200)).await.unwrap().unwrap();
        assert_eq!(after.status, status);
        assert_eq!(after, before);
    }
}

pub(super) async fn a_cancelled_head_lets_the_next_one_up(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for n in 1..=4 {
        desk.accept(n, 1).await;
    }
    store.cancel(&id(3), UnixMs(2_000)).await.unwrap();
    store.cancel(&id(1), UnixMs(2_000)).await.unwrap();
    assert_eq!(desk.claim().await, [2]);
    desk.record(2, SENT, 2_100).await;
    assert_eq!(desk.claim().await, [4]);
}

pub(super) async fn a_released_message_takes_its_old_place(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for n in 1..=3 {
        desk.accept(n, 1).await;
    }
    desk.claim().await;
    desk.record(1, PARKED, 2_000).await;
    let parked = desk.get(1).await;
    assert_eq!(parked.reason.as_deref(), Some("lookup_unavailable"));
    assert_eq!(desk.claim().await, [2]);
    desk.record(2, SENT, 2_100).await;
    let released = store
        .unpark(&id(1), true, UnixMs(3_000))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(released.status, Status::Accepted);
    assert_eq!(released.reason.as_deref(), Some("released"));
    assert_eq!(released.due_at, UnixMs(3_000));
    assert_eq!(released.seq, parked.seq);
    assert_eq!(released.wa_message_id, parked.wa_message_id);
    assert_eq!(released.attempts, 1);
    let claimed = desk.claim_at(LATER, 10).await;
    assert_eq!(numbers(&claimed), [1]);
    assert_eq!(claimed[0].attempt, 2);
    desk.record(1, SENT, 3_100).await;
    assert_eq!(desk.claim().await, [3]);
}

pub(super) async fn a_release_does_not_disturb_what_is_in_flight(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for n in 1..=3 {
        desk.accept(n, 1).await;
    }
    desk.claim().await;
    desk.record(1, PARKED, 2_000).await;
    assert_eq!(desk.claim().await, [2]);
    store.unpark(&id(1), true, UnixMs(2_100)).await.unwrap();
    assert_eq!(desk.claim().await, NONE, "message 2 is in flight");
    // Message 2 comes back: the older one goes first now.
    desk.record(
        2,
        Outcome::NotSent {
            retry_at: UnixMs(1),
        },
        2_200,
    )
    .await;
    for n in [1, 2, 3] {
        assert_eq!(desk.claim().await, [n]);
        desk.record(n, SENT, 2_300).await;
    }
}

pub(super) async fn a_release_goes_before_a_waiting_head(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for n in 1..=4 {
        desk.accept(n, 1).await;
    }
    for n in 1..=2 {
        assert_eq!(desk.claim().await, [n]);
        desk.record(n, PARKED, 2_000).await;
    }
    // Head is 3. First 2 steps before it, then 1 before 2.
    store.unpark(&id(2), true, UnixMs(5_000)).await.unwrap();
    assert_eq!(store.next_due(&desk.session).await, Ok(Some(UnixMs(5_000))));
    assert_eq!(numbers(&desk.claim_at(4_999, 10).await), NONE);
    store.unpark(&id(1), true, UnixMs(2_100)).await.unwrap();
    for n in 1..=4 {
        assert_eq!(desk.claim().await, [n]);
        desk.record(n, SENT, 6_000).await;
    }
    assert_eq!(store.next_due(&desk.session).await, Ok(None));
}

pub(super) async fn a_dropped_message_is_cancelled(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    desk.accept(2, 1).await;
    desk.claim().await;
    desk.record(1, PARKED, 2_000).await;
    let dropped = store
        .unpark(&id(1), false, UnixMs(2_100))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(dropped.status, Status::Cancelled);
    assert_eq!(desk.depth().await, (1, 0, 0));
    assert_eq!(desk.claim().await, [2]);
}

pub(super) async fn only_the_parked_can_be_released(store: &dyn Store) {
    let desk = Desk::new(store).await;
    assert_eq!(store.unpark(&id(1), true, UnixMs(2_000)).await, Ok(None));
    desk.accept(1, 1).await;
    for release in [true, false] {
        let before = desk.get(1).await;
        let after = store
            .unpark(&id(1), release, UnixMs(2_000))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(after, before);
        desk.claim().await;
    }
    desk.record(1, SENT, 2_100).await;
    let sent = store
        .unpark(&id(1), true, UnixMs(2_200))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(sent.status, Status::Sent);
    assert_eq!(desk.claim().await, NONE);
}

pub(super) async fn a_later_message_does_not_overtake_after_a_new_owner(store: &dyn Store) {
    let mut desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    desk.accept(2, 1).await;
    desk.claim().await;
    desk.record(1, PARKED, 2_000).await;
    assert_eq!(desk.claim().await, [2]);
    store.unpark(&id(1), true, UnixMs(2_100)).await.unwrap();
    // The owner dies with message 2 in flight.
    desk.fence = store.take_fence(&desk.session).await.unwrap();
    assert_eq!(desk.claim().await, [1]);
    assert_eq!(desk.claim().await, NONE);
    desk.record(1, SENT, 2_200).await;
    assert_eq!(desk.claim().await, [2]);
}
