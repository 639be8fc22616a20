//! Lanes, messages of a later time, quotas, and what pacing remembers.

use crate::support::{Desk, LATER, NONE, id, key, message, numbers, outcome};
use steadfast_core::outbox::{Ack, Priority, Status};
use steadfast_core::pacing::{QUARTER_MS, Quarter};
use steadfast_core::port::{
    Accepted, BatchAccepted, KeptAnswer, Outcome, Quota, Store, StoreError,
};
use steadfast_core::time::UnixMs;

const SENT: Outcome = Outcome::Sent(Ack::Server);
const NOTHING_NEW: Quota = Quota {
    all: 100,
    high: 0,
    others: 0,
};

async fn accept(desk: &Desk<'_>, n: u64, to: u64, priority: Priority) {
    let mut new = message(&desk.session, n, to);
    new.priority = priority;
    assert_eq!(desk.store.accept(new, None).await, Ok(Accepted::Stored));
}

async fn accept_later(desk: &Desk<'_>, n: u64, to: u64, priority: Priority, due_at: i64) {
    let mut new = message(&desk.session, n, to);
    new.priority = priority;
    new.due_at = UnixMs(due_at);
    assert_eq!(desk.store.accept(new, None).await, Ok(Accepted::Stored));
}

async fn claim_within(desk: &Desk<'_>, now: i64, quota: Quota) -> Vec<u64> {
    let login = steadfast_core::ids::LoginGeneration(7);
    let claimed = desk
        .store
        .claim_within(&desk.session, desk.fence, login, UnixMs(now), quota)
        .await;
    numbers(&claimed.unwrap())
}

async fn next(desk: &Desk<'_>, quota: Quota) -> Option<UnixMs> {
    let next = desk.store.next_due_within(&desk.session, quota);
    next.await.unwrap()
}

pub(super) async fn a_lane_is_kept(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for (n, priority) in (1..).zip(Priority::ALL) {
        accept(&desk, n, n, priority).await;
        assert_eq!(desk.get(n).await.priority, priority);
    }
    let claimed = desk.claim_at(LATER, 10).await;
    let lanes: Vec<_> = claimed.iter().map(|one| one.message.priority).collect();
    assert_eq!(lanes, Priority::ALL);
}

pub(super) async fn higher_lanes_go_first_and_each_is_in_order(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let (high, normal, low) = (Priority::High, Priority::Normal, Priority::Low);
    for (n, priority) in (1..).zip([low, normal, low, normal, high, normal, high]) {
        accept(&desk, n, 1, priority).await;
    }
    for n in [5, 7, 2, 4, 6, 1, 3] {
        assert_eq!(desk.claim().await, [n]);
        assert_eq!(desk.claim().await, NONE, "{n} is in flight");
        desk.record(n, SENT, 2_000).await;
    }
    // Across chats: whatever was due first.
    for (n, priority) in (11..).zip([low, normal, high]) {
        accept(&desk, n, n, priority).await;
    }
    assert_eq!(numbers(&desk.claim_at(LATER, 2).await), [13, 12]);
    assert_eq!(numbers(&desk.claim_at(LATER, 2).await), [11]);
}

pub(super) async fn a_higher_message_waits_for_what_is_in_flight(store: &dyn Store) {
    let desk = Desk::new(store).await;
    accept(&desk, 1, 1, Priority::Low).await;
    accept(&desk, 2, 1, Priority::Low).await;
    assert_eq!(desk.claim().await, [1]);
    accept(&desk, 3, 1, Priority::High).await;
    assert_eq!(desk.claim().await, NONE);
    let before = store.ahead_of(vec![id(1), id(2), id(3), id(9)]).await;
    assert_eq!(before, Ok(vec![None, Some(id(1)), Some(id(1)), None]));
    // It comes back: the higher one goes first now, the lower keeps its place.
    let again = Outcome::NotSent {
        retry_at: UnixMs(1),
    };
    desk.record(1, again, 2_000).await;
    let before = store.ahead_of(vec![id(1), id(2), id(3)]).await;
    assert_eq!(before, Ok(vec![Some(id(3)), Some(id(3)), None]));
    for n in [3, 1, 2] {
        assert_eq!(desk.claim().await, [n]);
        desk.record(n, SENT, 3_000).await;
    }
}

/// Far more than any claim looks at.
const CAMPAIGN: u64 = 20_000;

pub(super) async fn a_code_overtakes_a_campaign(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for lane in [Priority::Low, Priority::Normal] {
        let first = 1 + CAMPAIGN * u64::from(lane.lane());
        let campaign = (first..first + CAMPAIGN).map(|n| {
            let mut new = message(&desk.session, n, n % 5_000);
            new.priority = lane;
            new
        });
        store.accept_many(campaign.collect()).await.unwrap();
    }
    let code = 10 * CAMPAIGN;
    accept(&desk, code, 7, Priority::High).await;
    assert_eq!(numbers(&desk.claim_at(LATER, 1).await), [code]);
    // Normal before low, although low came first.
    let normal = 1 + CAMPAIGN..1 + 2 * CAMPAIGN;
    for one in numbers(&desk.claim_at(LATER, 50).await) {
        assert!(normal.contains(&one), "{one}");
    }
}

pub(super) async fn what_is_scheduled_holds_up_nobody(store: &dyn Store) {
    let desk = Desk::new(store).await;
    accept_later(&desk, 1, 1, Priority::Normal, 5_000).await;
    accept_later(&desk, 2, 1, Priority::High, 9_000).await;
    desk.accept(3, 1).await;
    desk.accept(4, 1).await;
    assert_eq!(next(&desk, Quota::whole(1)).await, Some(UnixMs(1_003)));
    assert_eq!(numbers(&desk.claim_at(4_999, 10).await), [3]);
    assert_eq!(next(&desk, Quota::whole(1)).await, Some(UnixMs(5_000)));
    desk.record(3, SENT, 4_999).await;
    // Due, it takes its place in the lane: before what was accepted later.
    assert_eq!(numbers(&desk.claim_at(5_000, 10).await), [1]);
    // And it keeps its place from then on: a retry holds its lane.
    let again = Outcome::NotSent {
        retry_at: UnixMs(7_000),
    };
    desk.record(1, again, 5_001).await;
    assert_eq!(numbers(&desk.claim_at(6_999, 10).await), NONE);
    assert_eq!(numbers(&desk.claim_at(7_000, 10).await), [1]);
    desk.record(1, SENT, 7_001).await;
    assert_eq!(numbers(&desk.claim_at(8_999, 10).await), [4]);
    desk.record(4, SENT, 8_999).await;
    assert_eq!(next(&desk, Quota::whole(1)).await, Some(UnixMs(9_000)));
    assert_eq!(numbers(&desk.claim_at(8_999, 10).await), NONE);
    assert_eq!(numbers(&desk.claim_at(9_000, 10).await), [2]);
    assert_eq!(next(&desk, Quota::whole(1)).await, None);
}

pub(super) async fn what_is_scheduled_can_be_taken_back_and_expires(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for n in 1..=4 {
        accept_later(&desk, n, 1, Priority::Low, 5_000).await;
    }
    let mut brief = message(&desk.session, 5, 1);
    brief.due_at = UnixMs(5_000);
    brief.expires_at = Some(UnixMs(3_000));
    store.accept(brief, None).await.unwrap();
    store.cancel(&id(1), UnixMs(1_100)).await.unwrap();
    // Looked at, and put into the schedule; one is taken back from there.
    assert_eq!(numbers(&desk.claim_at(2_000, 10).await), NONE);
    store.cancel(&id(2), UnixMs(2_100)).await.unwrap();
    let now = UnixMs(3_000);
    let expired = store.expire(&desk.session, desk.fence, now, 10).await;
    assert_eq!(expired, Ok(vec![id(5)]));
    assert_eq!(desk.depth().await, (2, 0, 0));
    for n in [3, 4] {
        assert_eq!(numbers(&desk.claim_at(5_000, 10).await), [n]);
        desk.record(n, SENT, 5_000).await;
    }
    assert_eq!(desk.status(2).await, Status::Cancelled);
    assert_eq!(desk.claim().await, NONE);
    assert_eq!(store.next_due(&desk.session).await, Ok(None));
}

pub(super) async fn a_quota_bounds_what_is_new_and_not_what_has_begun(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for n in 1..=2 {
        desk.accept(n, n).await;
    }
    assert_eq!(desk.claim().await, [1, 2]);
    for n in 1..=2 {
        let doubt = Outcome::Unknown {
            retry_at: UnixMs(3_000),
        };
        desk.record(n, doubt, 2_000).await;
    }
    for n in 3..=5 {
        desk.accept(n, n).await;
    }
    for n in 6..=8 {
        accept(&desk, n, n, Priority::High).await;
    }
    // A look-up waits for no turn.
    assert_eq!(next(&desk, NOTHING_NEW).await, Some(UnixMs(3_000)));
    assert_eq!(claim_within(&desk, 2_999, NOTHING_NEW).await, NONE);
    assert_eq!(claim_within(&desk, 3_000, NOTHING_NEW).await, [1, 2]);
    assert_eq!(next(&desk, NOTHING_NEW).await, None);
    let only_high = Quota {
        all: 100,
        high: 1,
        others: 0,
    };
    assert_eq!(next(&desk, only_high).await, Some(UnixMs(1_006)));
    assert_eq!(claim_within(&desk, LATER, only_high).await, [6]);
    let two = Quota {
        all: 100,
        high: 100,
        others: 3,
    };
    // What begins in the high lane counts for the others.
    assert_eq!(claim_within(&desk, LATER, two).await, [7, 8, 3]);
    assert_eq!(claim_within(&desk, LATER, two).await, [4, 5]);
}

pub(super) async fn pace_is_remembered(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let long_ago = UnixMs(i64::MIN / 2);
    let history = store.pace(&desk.session, long_ago).await.unwrap();
    assert_eq!((history.first_begun_at, history.quarters), (None, vec![]));
    for n in 1..=4 {
        desk.accept(n, n).await;
    }
    let second = QUARTER_MS + 500;
    assert_eq!(desk.claim_at(2_000, 3).await.len(), 3);
    desk.record(1, SENT, 2_100).await;
    let slower = Outcome::SlowedDown {
        retry_at: UnixMs(2_200),
    };
    desk.record(2, slower, 2_100).await;
    let waits = desk.get(2).await;
    assert_eq!(waits.status, Status::Accepted);
    assert_eq!(waits.reason.as_deref(), Some("rate_limited"));
    // It waits for a turn again; and its second attempt does not count.
    assert_eq!(claim_within(&desk, second, NOTHING_NEW).await, NONE);
    assert_eq!(numbers(&desk.claim_at(second, 10).await), [4, 2]);
    let history = store.pace(&desk.session, long_ago).await.unwrap();
    assert_eq!(history.first_begun_at, Some(UnixMs(2_000)));
    let quarter = |starts_at, begun, refused| Quarter {
        starts_at: UnixMs(starts_at),
        begun,
        refused,
    };
    let both = [quarter(0, 3, 1), quarter(QUARTER_MS, 1, 0)];
    assert_eq!(history.quarters, both);
    let late = store.pace(&desk.session, UnixMs(second)).await.unwrap();
    assert_eq!(late.quarters, both[1..]);
    assert_eq!(late.first_begun_at, Some(UnixMs(2_000)));
    // A month later the old ones are gone.
    desk.accept(5, 5).await;
    desk.claim_at(30 * 96 * QUARTER_MS, 10).await;
    let history = store.pace(&desk.session, long_ago).await.unwrap();
    assert_eq!(history.quarters, [quarter(30 * 96 * QUARTER_MS, 1, 0)]);
    assert_eq!(history.first_begun_at, Some(UnixMs(2_000)));
}

fn kept(desk: &Desk<'_>, digest: u8, answer: &str, at: i64) -> KeptAnswer {
    KeptAnswer {
        session: desk.session.clone(),
        key: key("k", digest, 9_000),
        answer: answer.to_owned(),
        at: UnixMs(at),
    }
}

pub(super) async fn a_batch_and_its_answer_are_kept_together(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let batch = |from: u64| {
        (from..from + 3)
            .map(|n| message(&desk.session, n, n))
            .collect()
    };
    let ask = async |from, digest, answer: &str, at| {
        let key = kept(&desk, digest, answer, at);
        store.accept_batch(batch(from), Some(key)).await
    };
    assert_eq!(ask(1, 1, "first", 1_000).await, Ok(BatchAccepted::Stored));
    let first = Ok(BatchAccepted::Replayed("first".to_owned()));
    assert_eq!(ask(11, 1, "second", 2_000).await, first);
    assert_eq!(
        ask(11, 2, "second", 2_000).await,
        Ok(BatchAccepted::KeyReused)
    );
    assert_eq!(desk.depth().await, (3, 0, 0));
    // Whoever asks first is told the same.
    let asked = async |name: &str, digest| {
        let wanted = key(name, digest, 9_000);
        store.answered_before(&wanted, UnixMs(2_000)).await
    };
    let first = Some(BatchAccepted::Replayed("first".to_owned()));
    assert_eq!(asked("k", 1).await, Ok(first));
    assert_eq!(asked("k", 2).await, Ok(Some(BatchAccepted::KeyReused)));
    assert_eq!(asked("unknown", 1).await, Ok(None));
    // Neither does a single message take it, nor a batch the key of one.
    let single = store.accept(message(&desk.session, 20, 1), Some(key("k", 1, 9_000)));
    assert_eq!(single.await, Ok(Accepted::KeyReused));
    let one = key("one", 1, 9_000);
    let single = store.accept(message(&desk.session, 21, 1), Some(one.clone()));
    assert_eq!(single.await, Ok(Accepted::Stored));
    let other = KeptAnswer {
        key: one,
        ..kept(&desk, 1, "x", 2_000)
    };
    let reused = store.accept_batch(batch(11), Some(other)).await;
    assert_eq!(reused, Ok(BatchAccepted::KeyReused));
    // A batch that fails leaves no key; one of nothing is kept too.
    let failed = ask(2, 1, "late", 9_000).await;
    assert_eq!(failed, Err(StoreError::Exists));
    let empty = KeptAnswer {
        ..kept(&desk, 3, "empty", 9_001)
    };
    let stored = store.accept_batch(Vec::new(), Some(empty.clone())).await;
    assert_eq!(stored, Ok(BatchAccepted::Stored));
    let again = store.accept_batch(Vec::new(), Some(empty.clone())).await;
    assert_eq!(again, Ok(BatchAccepted::Stored), "its time was up at once");
    // A session that is gone takes its keys along.
    let lasting = KeptAnswer {
        key: key("lasting", 1, 90_000),
        ..empty
    };
    store
        .accept_batch(Vec::new(), Some(lasting.clone()))
        .await
        .unwrap();
    store
        .remove_session(&desk.session, UnixMs(9_000))
        .await
        .unwrap();
    let gone = store.accept_batch(Vec::new(), Some(lasting.clone())).await;
    assert_eq!(gone, Err(StoreError::NoSession(desk.session.clone())));
    Desk::new(store).await;
    let anew = store.accept_batch(Vec::new(), Some(lasting)).await;
    assert_eq!(anew, Ok(BatchAccepted::Stored));
}

pub(super) async fn nobody_is_ahead_of_what_is_not_owed(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for n in 1..=3 {
        desk.accept(n, 1).await;
    }
    desk.claim().await;
    store
        .record(&desk.session, desk.fence, vec![outcome(1, SENT, 2_000)])
        .await
        .unwrap();
    let ahead = store.ahead_of(vec![id(1), id(2), id(3)]).await;
    assert_eq!(ahead, Ok(vec![None, None, Some(id(2))]));
}
