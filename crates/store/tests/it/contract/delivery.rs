//! Claiming, and recording what came of it.

use crate::support::{Desk, LATER, NONE, id, message, numbers, outcome, session};
use steadfast_core::ids::{Fence, LoginGeneration};
use steadfast_core::outbox::{Ack, ParkReason, RejectReason, Status};
use steadfast_core::port::{Outcome, Recorded, Store, StoreError};
use steadfast_core::time::UnixMs;
use steadfast_store::{MAX_ATTEMPTS_KEPT, MAX_CLAIM};

const SENT: Outcome = Outcome::Sent(Ack::Server);

fn not_sent(retry_at: i64) -> Outcome {
    Outcome::NotSent {
        retry_at: UnixMs(retry_at),
    }
}

fn unknown(retry_at: i64) -> Outcome {
    Outcome::Unknown {
        retry_at: UnixMs(retry_at),
    }
}

pub(super) async fn a_claim_is_durable_and_shows_what_was_before(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    let before = desk.get(1).await;
    let claimed = desk.claim_at(2_000, 10).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].message, before);
    assert_eq!(claimed[0].attempt, 1);
    let after = desk.get(1).await;
    assert_eq!(after.status, Status::Sending);
    assert_eq!(after.attempts, 1);
    assert_eq!(after.login, Some(LoginGeneration(7)));
    assert_eq!(after.updated_at, UnixMs(2_000));
    assert_eq!(after.due_at, before.due_at);
    let attempts = store.attempts(&id(1)).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(
        (attempts[0].number, attempts[0].started_at),
        (1, UnixMs(2_000))
    );
    assert_eq!((attempts[0].ended_at, &attempts[0].outcome), (None, &None));
    // It is in flight: nobody gets it again.
    assert_eq!(desk.claim().await, NONE);
    // The next claim sees that WhatsApp may have it.
    desk.record(1, unknown(3_000), 2_500).await;
    let again = desk.claim_at(3_000, 10).await;
    assert_eq!(again[0].message.status, Status::Sending);
    assert_eq!(again[0].message.attempts, 1);
    assert_eq!(again[0].message.login, Some(LoginGeneration(7)));
    assert_eq!(again[0].attempt, 2);
}

pub(super) async fn doubt_keeps_its_login_until_it_is_settled(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    desk.claim_at(2_000, 10).await;
    desk.record(1, unknown(3_000), 2_500).await;
    // A new login claims it, and is gone before it says what came of that.
    let claim = |fence, login| {
        let now = UnixMs(4_000);
        store.claim(&desk.session, fence, LoginGeneration(login), now, 10)
    };
    assert_eq!(claim(desk.fence, 8).await.unwrap().len(), 1);
    let fence = store.take_fence(&desk.session).await.unwrap();
    let again = claim(fence, 8).await.unwrap();
    assert_eq!(again[0].message.login, Some(LoginGeneration(7)));
    // Once it is known not to have been sent, it is of the login that tries next.
    let not_sent = outcome(1, not_sent(4_000), 4_000);
    store
        .record(&desk.session, fence, vec![not_sent])
        .await
        .unwrap();
    claim(fence, 8).await.unwrap();
    assert_eq!(desk.get(1).await.login, Some(LoginGeneration(8)));
}

pub(super) async fn a_chat_is_delivered_in_order(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for n in 1..=5 {
        desk.accept(n, 1).await;
    }
    for n in 1..=5 {
        assert_eq!(desk.claim().await, [n]);
        assert_eq!(desk.claim().await, NONE, "{n} is in flight");
        // A failure in between changes nothing about the order.
        desk.record(n, not_sent(2_000), 1_500).await;
        assert_eq!(desk.claim().await, [n]);
        desk.record(n, SENT, 2_500).await;
    }
    assert_eq!(desk.claim().await, NONE);
    assert_eq!(desk.depth().await, (0, 0, 0));
}

pub(super) async fn chats_do_not_wait_for_each_other(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for (n, to) in [(1, 1), (2, 1), (3, 2), (4, 3), (5, 2)] {
        desk.accept(n, to).await;
    }
    assert_eq!(desk.claim().await, [1, 3, 4]);
    desk.record(3, SENT, 2_000).await;
    assert_eq!(desk.claim().await, [5]);
}

pub(super) async fn a_claim_is_bounded_and_takes_the_longest_due_first(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for n in 1..=6 {
        desk.accept(n, n).await;
    }
    let mut early = message(&desk.session, 7, 7);
    early.due_at = UnixMs(5);
    store.accept(early, None).await.unwrap();
    assert_eq!(numbers(&desk.claim_at(LATER, 0).await), NONE);
    assert_eq!(numbers(&desk.claim_at(LATER, 3).await), [7, 1, 2]);
    assert_eq!(numbers(&desk.claim_at(LATER, 2).await), [3, 4]);
    desk.record(1, not_sent(2_000), 1_500).await;
    assert_eq!(numbers(&desk.claim_at(LATER, 9).await), [5, 6, 1]);
    let crowd: Vec<_> = (100..102 + u64::from(MAX_CLAIM))
        .map(|n| message(&desk.session, n, n))
        .collect();
    store.accept_many(crowd).await.unwrap();
    assert_eq!(
        desk.claim_at(LATER, u32::MAX).await.len(),
        MAX_CLAIM as usize
    );
    assert_eq!(desk.claim_at(LATER, u32::MAX).await.len(), 2);
}

pub(super) async fn a_head_that_is_due_later_holds_its_chat_only(store: &dyn Store) {
    let desk = Desk::new(store).await;
    // Accepted while the clock was ahead: it is not scheduled, it is next.
    let mut ahead = message(&desk.session, 1, 1);
    (ahead.accepted_at, ahead.due_at) = (UnixMs(5_000), UnixMs(5_000));
    store.accept(ahead, None).await.unwrap();
    desk.accept(2, 1).await;
    desk.accept(3, 2).await;
    assert_eq!(numbers(&desk.claim_at(4_999, 10).await), [3]);
    assert_eq!(numbers(&desk.claim_at(4_999, 10).await), NONE);
    assert_eq!(numbers(&desk.claim_at(5_000, 10).await), [1]);
    // A clock that is set back makes nothing due.
    desk.record(1, not_sent(4_000), 5_001).await;
    assert_eq!(numbers(&desk.claim_at(3_000, 10).await), NONE);
    assert_eq!(numbers(&desk.claim_at(4_000, 10).await), [1]);
}

pub(super) async fn next_due_is_that_of_the_next_free_head(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let next = async || store.next_due(&desk.session).await.unwrap();
    assert_eq!(next().await, None);
    for (n, to, due_at) in [(1, 1, 5_000), (2, 1, 1_000), (3, 2, 6_000)] {
        let mut new = message(&desk.session, n, to);
        (new.accepted_at, new.due_at) = (UnixMs(due_at), UnixMs(due_at));
        store.accept(new, None).await.unwrap();
    }
    // Message 2 is due first, but it stands behind message 1.
    assert_eq!(next().await, Some(UnixMs(5_000)));
    assert_eq!(numbers(&desk.claim_at(5_500, 10).await), [1]);
    assert_eq!(next().await, Some(UnixMs(6_000)));
    desk.record(1, unknown(5_800), 5_600).await;
    assert_eq!(next().await, Some(UnixMs(5_800)));
    desk.claim_at(5_800, 10).await;
    desk.record(1, SENT, 5_900).await;
    assert_eq!(next().await, Some(UnixMs(1_000)));
    desk.claim_at(LATER, 10).await;
    assert_eq!(next().await, None);
}

/// The clock was set back from a million to 5,000.
pub(super) async fn what_we_put_off_ourselves_is_brought_forward(store: &dyn Store) {
    let desk = Desk::new(store).await;
    // Tried before: once surely not sent, once in doubt.
    for n in [1, 2] {
        desk.accept(n, n).await;
    }
    assert_eq!(desk.claim_at(1_000_000, 10).await.len(), 2);
    desk.record(1, not_sent(1_002_000), 1_000_000).await;
    desk.record(2, unknown(1_003_000), 1_000_000).await;
    // Accepted under the old time, to be sent at once: two of one chat.
    for n in [3, 4] {
        let mut new = message(&desk.session, n, 3);
        (new.accepted_at, new.due_at) = (UnixMs(1_000_000), UnixMs(1_000_000));
        store.accept(new, None).await.unwrap();
    }
    // Somebody asked for this one to be sent later.
    let mut later = message(&desk.session, 5, 5);
    later.due_at = UnixMs(1_000_000);
    store.accept(later, None).await.unwrap();
    assert!(desk.claim_at(5_000, 10).await.is_empty());

    let (now, by_ms) = (UnixMs(5_000), 995_000);
    let brought = store
        .bring_forward(&desk.session, desk.fence, now, by_ms)
        .await;
    assert_eq!(brought, Ok(4));
    assert_eq!(numbers(&desk.claim_at(5_000, 10).await), [3]);
    desk.record(3, SENT, 5_000).await;
    assert_eq!(numbers(&desk.claim_at(5_000, 10).await), [4]);
    assert_eq!(numbers(&desk.claim_at(6_999, 10).await), Vec::<u64>::new());
    assert_eq!(numbers(&desk.claim_at(7_000, 10).await), [1]);
    assert_eq!(numbers(&desk.claim_at(8_000, 10).await), [2]);
    assert_eq!(desk.get(5).await.due_at, UnixMs(1_000_000));

    let stale = store
        .bring_forward(&desk.session, Fence(desk.fence.0 - 1), now, by_ms)
        .await;
    assert!(matches!(stale, Err(StoreError::StaleFence { .. })));
}

/// Time ends what waits, wherever it stands, and nothing that may be with WhatsApp.
pub(super) async fn only_what_waits_expires(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let until = async |n: u64, to: u64, end: i64| {
        let mut new = message(&desk.session, n, to);
        new.expires_at = Some(UnixMs(end));
        assert_eq!(
            store.accept(new, None).await,
            Ok(steadfast_core::port::Accepted::Stored)
        );
    };
    until(1, 1, 5_000).await;
    until(2, 1, 4_000).await;
    desk.accept(3, 1).await;
    until(4, 2, 9_000).await;
    until(5, 3, 4_500).await;
    let expire = async |at: i64, limit| {
        store
            .expire(&desk.session, desk.fence, UnixMs(at), limit)
            .await
    };
    assert_eq!(expire(3_999, 10).await, Ok(vec![]));
    // 1 is in flight: only a look-up may tell.
    assert_eq!(numbers(&desk.claim_at(2_000, 1).await), [1]);
    assert_eq!(expire(8_000, 1).await, Ok(vec![id(2)]));
    assert_eq!(expire(8_000, 10).await, Ok(vec![id(5)]));
    assert_eq!(expire(8_000, 10).await, Ok(vec![]));
    let ended = desk.get(2).await;
    assert_eq!(
        (ended.status, ended.reason.as_deref(), ended.updated_at),
        (Status::Expired, Some("expired"), UnixMs(8_000))
    );
    assert_eq!(desk.depth().await, (2, 1, 0));
    // What was behind moves up, and nothing that has ended is claimed.
    assert_eq!(numbers(&desk.claim_at(8_000, 10).await), [4]);
    desk.record(1, not_sent(8_000), 8_000).await;
    assert_eq!(expire(8_000, 10).await, Ok(vec![id(1)]));
    assert_eq!(numbers(&desk.claim_at(8_000, 10).await), [3]);
    let stale = store
        .expire(&desk.session, Fence(desk.fence.0 - 1), UnixMs(8_000), 10)
        .await;
    assert!(matches!(stale, Err(StoreError::StaleFence { .. })));
}

pub(super) async fn not_sent_waits_as_accepted(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    desk.claim().await;
    let recorded = Recorded {
        detail: Some("the page was gone".to_owned()),
        ..outcome(1, not_sent(4_000), 3_000)
    };
    store
        .record(&desk.session, desk.fence, vec![recorded])
        .await
        .unwrap();
    let waits = desk.get(1).await;
    assert_eq!(waits.status, Status::Accepted);
    assert_eq!(waits.due_at, UnixMs(4_000));
    assert_eq!(waits.updated_at, UnixMs(3_000));
    assert_eq!(waits.reason.as_deref(), Some("not_sent"));
    assert_eq!(waits.detail.as_deref(), Some("the page was gone"));
    assert_eq!(waits.attempts, 1);
    assert_eq!(numbers(&desk.claim_at(3_999, 10).await), NONE);
    let claimed = desk.claim_at(4_000, 10).await;
    assert_eq!(claimed[0].message, waits);
}

pub(super) async fn unknown_waits_as_sending(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    desk.accept(2, 1).await;
    desk.claim().await;
    desk.record(1, unknown(4_000), 3_000).await;
    let waits = desk.get(1).await;
    assert_eq!(waits.status, Status::Sending);
    assert_eq!(waits.due_at, UnixMs(4_000));
    assert_eq!(waits.reason.as_deref(), Some("unknown"));
    assert_eq!(desk.depth().await, (1, 1, 0));
    // It holds its chat, and cannot be taken back.
    assert_eq!(numbers(&desk.claim_at(3_999, 10).await), NONE);
    let still = store.cancel(&id(1), UnixMs(3_500)).await.unwrap().unwrap();
    assert_eq!(still.status, Status::Sending);
    assert_eq!(numbers(&desk.claim_at(4_000, 10).await), [1]);
}

pub(super) async fn the_end_of_a_message_frees_its_chat(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let ends = [
        (SENT, Status::Sent, None),
        (Outcome::Sent(Ack::Read), Status::Read, None),
        (
            Outcome::Rejected(RejectReason::RecipientInvalid),
            Status::Rejected,
            Some("recipient_invalid"),
        ),
        (
            Outcome::Parked(ParkReason::LookupUnavailable),
            Status::Parked,
            Some("lookup_unavailable"),
        ),
        (Outcome::Expired, Status::Expired, Some("expired")),
    ];
    for (n, (end, status, reason)) in (1..).zip(ends) {
        desk.accept(n, 1).await;
        assert_eq!(desk.claim().await, [n]);
        desk.record(n, end, 3_000).await;
        let ended = desk.get(n).await;
        assert_eq!(ended.status, status);
        assert_eq!(ended.reason.as_deref(), reason);
        assert_eq!(ended.updated_at, UnixMs(3_000));
    }
    assert_eq!(desk.claim().await, NONE);
}

pub(super) async fn sent_without_a_server_is_unknown(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    desk.claim().await;
    desk.record(1, Outcome::Sent(Ack::Pending), 3_000).await;
    let waits = desk.get(1).await;
    assert_eq!(waits.status, Status::Sending);
    assert_eq!(waits.acks, []);
    assert_eq!(desk.claim().await, [1]);
}

pub(super) async fn the_same_outcome_twice_still_frees_the_chat(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    for _ in 0..3 {
        // Claimed and recorded at the same time: the row itself hardly changes.
        assert_eq!(numbers(&desk.claim_at(3_000, 10).await), [1]);
        desk.record(1, unknown(3_000), 3_000).await;
    }
}

pub(super) async fn a_stale_fence_changes_nothing(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    desk.accept(2, 2).await;
    assert_eq!(numbers(&desk.claim_at(1_001, 10).await), [1]);
    let current = store.take_fence(&desk.session).await.unwrap();
    assert!(current > desk.fence);
    let before = desk.get(1).await;
    for given in [desk.fence, Fence(0), Fence(current.0 + 1), Fence(u64::MAX)] {
        let stale = StoreError::StaleFence { given, current };
        let record = store
            .record(&desk.session, given, vec![outcome(1, SENT, 3_000)])
            .await;
        assert_eq!(record, Err(stale.clone()));
        let claim = store
            .claim(&desk.session, given, LoginGeneration(8), UnixMs(LATER), 10)
            .await;
        assert_eq!(claim, Err(stale));
    }
    assert_eq!(desk.get(1).await, before);
    assert_eq!(desk.status(2).await, Status::Accepted);
    assert_eq!(store.attempts(&id(1)).await.unwrap()[0].ended_at, None);
    let nobody = session("nobody");
    let claim = store
        .claim(&nobody, current, LoginGeneration(8), UnixMs(LATER), 10)
        .await;
    assert_eq!(claim, Err(StoreError::NoSession(nobody.clone())));
    let fence = store.take_fence(&nobody).await;
    assert_eq!(fence, Err(StoreError::NoSession(nobody)));
}

pub(super) async fn a_new_owner_frees_the_claims_of_the_old(store: &dyn Store) {
    let mut desk = Desk::new(store).await;
    for (n, to) in [(1, 1), (2, 1), (3, 2)] {
        desk.accept(n, to).await;
    }
    assert_eq!(desk.claim().await, [1, 3]);
    desk.fence = store.take_fence(&desk.session).await.unwrap();
    // They may be with WhatsApp: the new owner learns that.
    let claimed = desk.claim_at(LATER, 10).await;
    assert_eq!(numbers(&claimed), [1, 3]);
    for claimed in claimed {
        assert_eq!(claimed.message.status, Status::Sending);
        assert_eq!(claimed.attempt, 2);
    }
    let attempts = store.attempts(&id(1)).await.unwrap();
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0].ended_at, None);
}

pub(super) async fn fences_only_grow(store: &dyn Store) {
    let one = Desk::named(store, "one").await;
    let two = Desk::named(store, "two").await;
    let mut last = two.fence.max(one.fence);
    for session in [&one.session, &two.session, &one.session] {
        let fence = store.take_fence(session).await.unwrap();
        assert!(fence > last);
        last = fence;
    }
    store
        .remove_session(&one.session, UnixMs(9_000))
        .await
        .unwrap();
    let again = Desk::named(store, "one").await;
    assert!(again.fence > last);
}

pub(super) async fn sessions_do_not_share_queues(store: &dyn Store) {
    let one = Desk::named(store, "one").await;
    let two = Desk::named(store, "two").await;
    one.accept(1, 1).await;
    two.accept(2, 1).await;
    one.accept(3, 1).await;
    assert_eq!(two.claim().await, [2]);
    assert_eq!(one.claim().await, [1]);
    let fresh = store.take_fence(&two.session).await.unwrap();
    assert!(fresh > one.fence);
    one.record(1, SENT, 3_000).await;
    assert_eq!(one.claim().await, [3]);
    assert_eq!(one.depth().await, (0, 1, 0));
    assert_eq!(two.depth().await, (0, 1, 0));
}

pub(super) async fn outcomes_of_strangers_are_passed_over(store: &dyn Store) {
    let one = Desk::named(store, "one").await;
    let two = Desk::named(store, "two").await;
    one.accept(1, 1).await;
    two.accept(2, 1).await;
    one.claim().await;
    two.claim().await;
    let outcomes = vec![
        outcome(9, SENT, 3_000),
        outcome(2, SENT, 3_000),
        outcome(1, SENT, 3_000),
    ];
    assert_eq!(
        store.record(&one.session, one.fence, outcomes).await,
        Ok(())
    );
    assert_eq!(one.status(1).await, Status::Sent);
    assert_eq!(two.status(2).await, Status::Sending);
}

pub(super) async fn an_outcome_without_an_attempt_is_passed_over(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    let before = desk.get(1).await;
    for what in [SENT, not_sent(1), unknown(1), Outcome::Expired] {
        desk.record(1, what, 3_000).await;
        assert_eq!(desk.get(1).await, before);
    }
    assert_eq!(desk.claim().await, [1]);
}

/// More messages than any claim looks at.
const MANY: u64 = 12_000;

pub(super) async fn a_long_queue_is_found_to_its_end(store: &dyn Store) {
    let desk = Desk::new(store).await;
    // All in one chat, and one message of another chat behind them.
    let crowd = (1..=MANY).map(|n| message(&desk.session, n, 1)).collect();
    store.accept_many(crowd).await.unwrap();
    desk.accept(MANY + 1, 2).await;
    let mut found = Vec::new();
    for _ in 0..20 {
        found.extend(desk.claim().await);
        if found.len() == 2 {
            break;
        }
        // There is more: nobody may go to sleep over it.
        let due = store.next_due(&desk.session).await.unwrap();
        assert!(due.is_some_and(|due| due <= UnixMs(LATER)), "{due:?}");
    }
    assert_eq!(found, [1, MANY + 1]);
    assert_eq!(store.next_due(&desk.session).await, Ok(None));
    // What was not looked at yet can be taken back all the same.
    desk.accept(MANY + 2, 3).await;
    desk.accept(MANY + 3, 3).await;
    store.cancel(&id(MANY + 2), UnixMs(2_000)).await.unwrap();
    assert_eq!(desk.claim().await, [MANY + 3]);
    assert_eq!(desk.depth().await, (MANY - 1, 3, 0));
}

pub(super) async fn attempts_tell_what_happened(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    let told = [
        (not_sent(1), "not_sent"),
        (unknown(1), "unknown"),
        (Outcome::Sent(Ack::Pending), "unknown"),
        (SENT, "sent"),
    ];
    for (n, (what, _)) in (0..).zip(&told) {
        desk.claim_at(2_000 + n, 10).await;
        let recorded = Recorded {
            detail: Some(format!("because {n}")),
            ..outcome(1, what.clone(), 3_000 + n)
        };
        store
            .record(&desk.session, desk.fence, vec![recorded])
            .await
            .unwrap();
        if n == 2 {
            desk.record(1, not_sent(1), 3_500).await;
        }
    }
    let attempts = store.attempts(&id(1)).await.unwrap();
    assert_eq!(attempts.len(), told.len());
    for (n, (attempt, (_, name))) in (0..).zip(attempts.iter().zip(&told)) {
        assert_eq!(attempt.number, u32::try_from(n).unwrap() + 1);
        assert_eq!(attempt.started_at, UnixMs(2_000 + n));
        // What was recorded first stays.
        assert_eq!(attempt.ended_at, Some(UnixMs(3_000 + n)));
        assert_eq!(attempt.outcome.as_deref(), Some(*name));
        assert_eq!(attempt.detail, Some(format!("because {n}")));
    }
}

pub(super) async fn attempts_are_bounded(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    let all = MAX_ATTEMPTS_KEPT + 7;
    for _ in 0..all {
        assert_eq!(desk.claim().await, [1]);
        desk.record(1, unknown(1), 3_000).await;
    }
    let attempts = store.attempts(&id(1)).await.unwrap();
    assert_eq!(attempts.len(), MAX_ATTEMPTS_KEPT as usize);
    assert_eq!(attempts.first().map(|attempt| attempt.number), Some(8));
    assert_eq!(attempts.last().map(|attempt| attempt.number), Some(all));
    assert_eq!(desk.get(1).await.attempts, all);
}
