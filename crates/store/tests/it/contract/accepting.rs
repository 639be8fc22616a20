//! Taking messages in.

use crate::support::{Desk, NONE, chat, id, key, message, number, session, wa};
use steadfast_core::outbox::{Body, Status};
use steadfast_core::port::{Accepted, MessageQuery, OutboxDepth, Outcome, Store, StoreError};
use steadfast_core::time::UnixMs;

pub(super) async fn what_is_accepted_reads_back(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let mut new = message(&desk.session, 1, 5);
    let text = "two\nlines, \"quotes\", a zero \0 and a face \u{1f642}";
    new.body = Body::text(text.to_owned());
    new.due_at = UnixMs(9_000);
    new.expires_at = Some(UnixMs(10_000));
    assert_eq!(store.accept(new.clone(), None).await, Ok(Accepted::Stored));
    let kept = desk.get(1).await;
    assert_eq!(kept.id, new.id);
    assert_eq!(kept.wa_message_id, wa(1));
    assert_eq!(kept.session, desk.session);
    assert_eq!(kept.to, chat(5));
    assert_eq!(kept.body, new.body);
    assert_eq!(kept.status, Status::Accepted);
    assert_eq!((kept.reason, kept.detail), (None, None));
    assert_eq!(kept.attempts, 0);
    assert_eq!(kept.accepted_at, UnixMs(1_001));
    assert_eq!(kept.due_at, UnixMs(9_000));
    assert_eq!(kept.expires_at, Some(UnixMs(10_000)));
    assert_eq!(kept.updated_at, UnixMs(1_001));
    assert_eq!(kept.login, None);
    assert_eq!(kept.acks, []);
    assert_eq!(store.message(&id(2)).await, Ok(None));
    assert_eq!(store.attempts(&id(1)).await, Ok(vec![]));
}

pub(super) async fn an_id_is_taken_once(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    let again = store.accept(message(&desk.session, 1, 2), None).await;
    assert_eq!(again, Err(StoreError::Exists));
    assert_eq!(desk.get(1).await.to, chat(1));
    assert_eq!(desk.depth().await, (1, 0, 0));
}

pub(super) async fn many_are_taken_all_or_none(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let many = |range: std::ops::Range<u64>| {
        range
            .map(|n| message(&desk.session, n, n))
            .collect::<Vec<_>>()
    };
    assert_eq!(store.accept_many(many(1..6)).await, Ok(()));
    assert_eq!(desk.depth().await, (5, 0, 0));
    // The last one is known already, or comes twice, or belongs nowhere.
    let mut known = many(6..10);
    known.push(message(&desk.session, 5, 1));
    assert_eq!(store.accept_many(known).await, Err(StoreError::Exists));
    let mut twice = many(6..10);
    twice.push(message(&desk.session, 6, 1));
    assert_eq!(store.accept_many(twice).await, Err(StoreError::Exists));
    let nowhere = session("nowhere");
    let mut lost = many(6..10);
    lost.push(message(&nowhere, 10, 1));
    assert_eq!(
        store.accept_many(lost).await,
        Err(StoreError::NoSession(nowhere))
    );
    assert_eq!(store.message(&id(6)).await, Ok(None));
    assert_eq!(desk.depth().await, (5, 0, 0));
    assert_eq!(desk.claim().await, [1, 2, 3, 4, 5]);
    assert_eq!(store.accept_many(Vec::new()).await, Ok(()));
    assert_eq!(store.accept_many(many(6..8)).await, Ok(()));
    assert_eq!(desk.get(6).await.seq, 6);
}

pub(super) async fn a_key_gives_its_first_answer_again(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let first = store
        .accept(message(&desk.session, 1, 1), Some(key("shop/k", 1, 9_000)))
        .await;
    assert_eq!(first, Ok(Accepted::Stored));
    let again = store
        .accept(message(&desk.session, 2, 1), Some(key("shop/k", 1, 9_000)))
        .await;
    let Ok(Accepted::Replayed { message: replayed }) = again else {
        panic!("{again:?}");
    };
    assert_eq!(*replayed, desk.get(1).await);
    assert_eq!(store.message(&id(2)).await, Ok(None));
    assert_eq!(desk.depth().await, (1, 0, 0));
    // Another caller's key of the same name is another key.
    let other = store
        .accept(message(&desk.session, 2, 1), Some(key("desk/k", 2, 9_000)))
        .await;
    assert_eq!(other, Ok(Accepted::Stored));
}

pub(super) async fn a_key_with_another_request_is_refused(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for (n, digest, expected) in [(1, 1, Accepted::Stored), (2, 2, Accepted::KeyReused)] {
        let answer = store
            .accept(message(&desk.session, n, 1), Some(key("k", digest, 9_000)))
            .await;
        assert_eq!(answer, Ok(expected));
    }
    assert_eq!(store.message(&id(2)).await, Ok(None));
}

pub(super) async fn a_key_ends(store: &dyn Store) {
    let desk = Desk::new(store).await;
    // Message 1 is accepted at 1001, message 4 at 1004: the key ends in between.
    for (n, digest, expected) in [
        (1, 1, Accepted::Stored),
        (2, 2, Accepted::KeyReused),
        (4, 2, Accepted::Stored),
        (3, 3, Accepted::KeyReused),
    ] {
        let keep_until = 1_003 + i64::try_from(n).unwrap() - 1;
        let answer = store
            .accept(
                message(&desk.session, n, 1),
                Some(key("k", digest, keep_until)),
            )
            .await;
        assert_eq!(answer, Ok(expected), "message {n}");
    }
    // To the millisecond: at its end it is gone.
    store
        .accept(message(&desk.session, 10, 1), Some(key("e", 1, 1_020)))
        .await
        .unwrap();
    let at_the_end = store
        .accept(message(&desk.session, 20, 1), Some(key("e", 2, 9_000)))
        .await;
    assert_eq!(at_the_end, Ok(Accepted::Stored));
}

pub(super) async fn old_keys_do_not_pile_up_in_the_way(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for n in 1..=200 {
        let answer = store
            .accept(
                message(&desk.session, n, n),
                Some(key(&format!("k{n}"), 1, 1_000)),
            )
            .await;
        assert_eq!(answer, Ok(Accepted::Stored));
    }
    // Clearing old keys away has not taken a young one.
    store
        .accept(message(&desk.session, 300, 1), Some(key("young", 1, 9_000)))
        .await
        .unwrap();
    for n in 301..=320 {
        store
            .accept(
                message(&desk.session, n, 1),
                Some(key(&format!("k{n}"), 1, 9_000)),
            )
            .await
            .unwrap();
    }
    let again = store
        .accept(message(&desk.session, 400, 1), Some(key("young", 1, 9_000)))
        .await;
    assert!(matches!(again, Ok(Accepted::Replayed { .. })), "{again:?}");
}

pub(super) async fn nothing_is_accepted_for_an_unknown_session(store: &dyn Store) {
    let nobody = session("nobody");
    let refused = store
        .accept(message(&nobody, 1, 1), Some(key("k", 1, 9_000)))
        .await;
    assert_eq!(refused, Err(StoreError::NoSession(nobody.clone())));
    assert_eq!(store.message(&id(1)).await, Ok(None));
    assert_eq!(store.depth(&nobody).await, Ok(OutboxDepth::default()));
    assert_eq!(store.next_due(&nobody).await, Ok(None));
    assert_eq!(store.messages(&nobody, all(10)).await, Ok(vec![]));
}

fn all(limit: u32) -> MessageQuery {
    MessageQuery {
        limit,
        ..MessageQuery::default()
    }
}

pub(super) async fn pages_follow_the_order_of_acceptance(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let other = Desk::named(store, "other").await;
    for n in 1..=9 {
        // Every third one belongs to somebody else.
        let whose = if n % 3 == 0 { &other } else { &desk };
        whose.accept(n, n).await;
    }
    assert_eq!(desk.claim_at(1_002, 10).await.len(), 2);
    desk.record(
        2,
        Outcome::NotSent {
            retry_at: UnixMs(5),
        },
        1_010,
    )
    .await;
    let page = async |status, after, limit| {
        let query = MessageQuery {
            status,
            after,
            limit,
            ..MessageQuery::default()
        };
        let page = store.messages(&desk.session, query).await.unwrap();
        let positions: Vec<_> = page.iter().map(|message| message.seq).collect();
        assert!(positions.is_sorted());
        page.iter().map(number).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 0, 100).await, [1, 2, 4, 5, 7, 8]);
    assert_eq!(page(None, 0, 4).await, [1, 2, 4, 5]);
    assert_eq!(page(None, 5, 4).await, [7, 8]);
    assert_eq!(page(None, i64::MAX, 4).await, NONE);
    assert_eq!(page(None, -7, 1).await, [1]);
    assert_eq!(page(None, 0, 0).await, NONE);
    assert_eq!(page(Some(Status::Sending), 0, 100).await, [1]);
    assert_eq!(page(Some(Status::Accepted), 0, 2).await, [2, 4]);
    assert_eq!(page(Some(Status::Accepted), 4, 100).await, [5, 7, 8]);
    assert_eq!(page(Some(Status::Parked), 0, 100).await, NONE);

    let newest = async |status, after, before, limit| {
        let query = MessageQuery {
            status,
            after,
            before: Some(before),
            limit,
        };
        let page = store.messages(&desk.session, query).await.unwrap();
        page.iter().map(number).collect::<Vec<_>>()
    };
    assert_eq!(newest(None, 0, i64::MAX, 4).await, [8, 7, 5, 4]);
    assert_eq!(newest(None, 0, 5, 4).await, [4, 2, 1]);
    assert_eq!(newest(None, 2, 7, 100).await, [5, 4]);
    assert_eq!(newest(None, 0, 1, 4).await, NONE);
    assert_eq!(newest(None, 7, 3, 4).await, NONE);
    assert_eq!(newest(None, 0, -7, 4).await, NONE);
    let waiting = Some(Status::Accepted);
    assert_eq!(newest(waiting, 0, i64::MAX, 2).await, [8, 7]);
    assert_eq!(newest(waiting, 0, 7, 100).await, [5, 4, 2]);
}

pub(super) async fn depth_is_kept(store: &dyn Store) {
    let desk = Desk::new(store).await;
    assert_eq!(store.depth(&desk.session).await, Ok(OutboxDepth::default()));
    for n in 1..=4 {
        desk.accept(n, n).await;
    }
    let oldest = async || store.depth(&desk.session).await.unwrap().oldest_accepted_at;
    assert_eq!(desk.depth().await, (4, 0, 0));
    assert_eq!(oldest().await, Some(UnixMs(1_001)));
    desk.claim_at(1_003, 10).await;
    assert_eq!(desk.depth().await, (1, 3, 0));
    assert_eq!(oldest().await, Some(UnixMs(1_001)));
    desk.record(
        1,
        Outcome::Parked(steadfast_core::outbox::ParkReason::LoginLost),
        1_010,
    )
    .await;
    assert_eq!(desk.depth().await, (1, 2, 1));
    assert_eq!(oldest().await, Some(UnixMs(1_002)));
    desk.record(2, Outcome::Sent(steadfast_core::outbox::Ack::Server), 1_010)
        .await;
    desk.record(
        3,
        Outcome::NotSent {
            retry_at: UnixMs(1),
        },
        1_010,
    )
    .await;
    assert_eq!(desk.depth().await, (2, 0, 1));
    assert_eq!(oldest().await, Some(UnixMs(1_003)));
    store.cancel(&id(3), UnixMs(1_011)).await.unwrap();
    store.cancel(&id(4), UnixMs(1_011)).await.unwrap();
    assert_eq!(desk.depth().await, (0, 0, 1));
    assert_eq!(oldest().await, None);
    store.unpark(&id(1), true, UnixMs(1_012)).await.unwrap();
    assert_eq!(desk.depth().await, (1, 0, 0));
    assert_eq!(oldest().await, Some(UnixMs(1_001)));
}
