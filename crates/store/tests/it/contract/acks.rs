//! WhatsApp's word on how far a message has come.

use crate::support::{Desk, LATER, NONE, id, numbers, session, wa};
use steadfast_core::outbox::{Ack, ParkReason, RejectReason, Status};
use steadfast_core::port::{Outcome, Store};
use steadfast_core::time::UnixMs;

pub(super) async fn acks_move_forward_and_keep_their_times(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    desk.claim().await;
    let ack = async |ack, at| {
        store
            .ack(&desk.session, &wa(1), ack, UnixMs(at))
            .await
            .unwrap()
    };
    assert_eq!(ack(Ack::Pending, 2_000).await, None);
    desk.record(1, Outcome::Sent(Ack::Server), 2_001).await;
    assert_eq!(ack(Ack::Server, 2_002).await, None);
    let read = ack(Ack::Read, 2_003).await.unwrap();
    assert_eq!(read.status, Status::Read);
    assert_eq!(read, desk.get(1).await);
    // Late news of less.
    assert_eq!(ack(Ack::Device, 2_004).await, None);
    assert_eq!(ack(Ack::Read, 2_005).await, None);
    let played = ack(Ack::Played, 2_006).await.unwrap();
    assert_eq!(played.status, Status::Played);
    assert_eq!(played.updated_at, UnixMs(2_006));
    let times = [
        (Ack::Server, 2_001),
        (Ack::Read, 2_003),
        (Ack::Played, 2_006),
    ];
    assert_eq!(played.acks, times.map(|(ack, at)| (ack, UnixMs(at))));
}

pub(super) async fn an_ack_beats_the_outcome_that_comes_after_it(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let late = [
        Outcome::NotSent {
            retry_at: UnixMs(1),
        },
        Outcome::Unknown {
            retry_at: UnixMs(1),
        },
        Outcome::Rejected(RejectReason::PermanentRequestError),
        Outcome::Parked(ParkReason::TooManyAttempts),
        Outcome::Expired,
        Outcome::Sent(Ack::Pending),
        Outcome::Sent(Ack::Server),
    ];
    for (n, late) in (1..).zip(late) {
        desk.accept(n, 1).await;
        assert_eq!(desk.claim().await, [n]);
        let acked = store
            .ack(&desk.session, &wa(n), Ack::Device, UnixMs(2_000))
            .await
            .unwrap();
        assert_eq!(acked.map(|message| message.status), Some(Status::Delivered));
        let before = desk.get(n).await;
        desk.record(n, late, 2_500).await;
        assert_eq!(desk.get(n).await, before);
        let attempts = store.attempts(&id(n)).await.unwrap();
        assert_eq!(attempts[0].outcome.as_deref(), Some("sent"));
        assert_eq!(attempts[0].ended_at, Some(UnixMs(2_000)));
    }
    assert_eq!(desk.claim().await, NONE);
    assert_eq!(desk.depth().await, (0, 0, 0));
}

pub(super) async fn an_ack_frees_the_chat_of_a_claimed_message(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    desk.accept(2, 1).await;
    assert_eq!(desk.claim().await, [1]);
    store
        .ack(&desk.session, &wa(1), Ack::Server, UnixMs(2_000))
        .await
        .unwrap();
    assert_eq!(desk.claim().await, [2]);
    // The outcome of the first does not touch the second's claim.
    desk.record(
        1,
        Outcome::Unknown {
            retry_at: UnixMs(1),
        },
        2_500,
    )
    .await;
    assert_eq!(desk.claim().await, NONE);
    assert_eq!(desk.status(2).await, Status::Sending);
}

pub(super) async fn an_ack_settles_what_waits_for_a_look_up(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    desk.accept(2, 1).await;
    desk.claim().await;
    desk.record(
        1,
        Outcome::Unknown {
            retry_at: UnixMs(LATER),
        },
        2_000,
    )
    .await;
    assert_eq!(store.next_due(&desk.session).await, Ok(Some(UnixMs(LATER))));
    let acked = store
        .ack(&desk.session, &wa(1), Ack::Server, UnixMs(2_100))
        .await
        .unwrap();
    assert_eq!(acked.and_then(|message| message.reason), None);
    assert_eq!(numbers(&desk.claim_at(2_200, 10).await), [2]);
}

pub(super) async fn an_ack_ends_every_doubt(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let doubts = [
        Outcome::Parked(ParkReason::LookupUnavailable),
        Outcome::Rejected(RejectReason::MediaInvalid),
        Outcome::Expired,
        Outcome::NotSent {
            retry_at: UnixMs(1),
        },
    ];
    for (n, doubt) in (1..).zip(doubts) {
        desk.accept(n, 1).await;
        assert_eq!(desk.claim().await, [n]);
        desk.record(n, doubt, 2_000).await;
        let acked = store
            .ack(&desk.session, &wa(n), Ack::Server, UnixMs(2_100))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(acked.status, Status::Sent);
        assert_eq!((acked.reason, acked.detail), (None, None));
    }
    assert_eq!(desk.depth().await, (0, 0, 0));
    assert_eq!(desk.claim().await, NONE);
    // Nor can a person revive it.
    let sent = store
        .unpark(&id(1), true, UnixMs(2_200))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(sent.status, Status::Sent);
}

pub(super) async fn an_ack_of_the_unknown_is_nothing(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    let ack = async |session, n| {
        store
            .ack(&session, &wa(n), Ack::Server, UnixMs(2_000))
            .await
    };
    assert_eq!(ack(desk.session.clone(), 9).await, Ok(None));
    // Nobody has tried to send it yet: it cannot be meant.
    assert_eq!(ack(desk.session.clone(), 1).await, Ok(None));
    assert_eq!(desk.status(1).await, Status::Accepted);
    desk.claim().await;
    assert_eq!(ack(session("other"), 1).await, Ok(None));
    assert_eq!(desk.status(1).await, Status::Sending);
}

pub(super) async fn a_lower_outcome_does_not_take_an_ack_back(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    desk.claim().await;
    store
        .ack(&desk.session, &wa(1), Ack::Device, UnixMs(2_000))
        .await
        .unwrap();
    desk.record(1, Outcome::Sent(Ack::Server), 2_100).await;
    assert_eq!(desk.status(1).await, Status::Delivered);
    // A higher one still counts.
    desk.record(1, Outcome::Sent(Ack::Read), 2_200).await;
    let read = desk.get(1).await;
    assert_eq!(read.status, Status::Read);
    assert_eq!(
        read.acks,
        [(Ack::Device, UnixMs(2_000)), (Ack::Read, UnixMs(2_200))]
    );
}
