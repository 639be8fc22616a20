//! Endpoints, and what each is owed.

use crate::support::Desk;
use steadfast_core::event::{EventData, EventKind, StateChange, Told};
use steadfast_core::ids::WebhookId;
use steadfast_core::port::{
    Delivery, DeliveryAttempt, DeliveryCounts, DeliveryState, EventQuery, Replay, SecretText,
    Settled, Store, StoreError, TrimEvents, WebhookRecord, WebhookState,
};
use steadfast_core::time::UnixMs;
use steadfast_store::{MAX_DEAD_KEPT, MAX_DELIVERY_ATTEMPTS_KEPT};

fn webhook(n: u8) -> WebhookRecord {
    WebhookRecord {
        id: WebhookId::mint(UnixMs(1), [n; 10]),
        owner: "v1".to_owned(),
        url: "https://example.org/".to_owned(),
        events: vec!["message.*".to_owned()],
        sessions: Vec::new(),
        headers: vec![("x-a".to_owned(), SecretText("b".to_owned()))],
        ordered: true,
        state: WebhookState::Active,
        secret: Some(SecretText("whsec_AAAA".to_owned())),
        old_secret: None,
        envelope: "standard".to_owned(),
        retry: None,
        created_at: UnixMs(1),
    }
}

fn disabled(n: u8) -> WebhookRecord {
    WebhookRecord {
        state: WebhookState::Disabled {
            why: "gone".to_owned(),
        },
        ..webhook(n)
    }
}

/// So many things happen; the newest position.
async fn happen(desk: &Desk<'_>, many: u32) -> i64 {
    for _ in 0..many {
        let change = StateChange {
            from: "a".to_owned(),
            to: "b".to_owned(),
            reason: None,
        };
        let told = Told::State(desk.session.clone(), change);
        desk.store.tell(told, UnixMs(100)).await.unwrap();
    }
    desk.store.event_span().await.unwrap().newest
}

async fn cursor(store: &dyn Store, id: &WebhookId) -> i64 {
    let all = store.webhooks().await.unwrap();
    let found = all.iter().find(|stored| stored.record.id == *id);
    found.unwrap().cursor
}

/// The events of the log as deliveries in this state.
async fn deliveries(store: &dyn Store, state: DeliveryState, next_at: i64) -> Vec<Delivery> {
    let query = EventQuery {
        limit: 20_000,
        ..EventQuery::default()
    };
    let events = store.events(query).await.unwrap().events.into_iter();
    let deliver = |event| Delivery {
        event,
        state,
        attempts: 1,
        next_at: UnixMs(next_at),
        updated_at: UnixMs(50),
        detail: Some("answered 500".to_owned()),
    };
    events.map(deliver).collect()
}

fn attempt(delivery: &Delivery, number: u32) -> DeliveryAttempt {
    DeliveryAttempt {
        n: 0,
        seq: delivery.event.seq,
        event: delivery.event.id.clone(),
        kind: delivery.event.kind,
        number,
        at: UnixMs(40),
        took_ms: 7,
        status: Some(500),
        outcome: "failed".to_owned(),
        detail: None,
    }
}

pub(super) async fn endpoints_are_kept_and_owed_what_comes(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let first = happen(&desk, 3).await;
    store.add_webhook(webhook(1)).await.unwrap();
    assert_eq!(store.add_webhook(webhook(1)).await, Err(StoreError::Exists));
    store.add_webhook(disabled(2)).await.unwrap();
    let (one, two) = (webhook(1).id, webhook(2).id);
    let stored = store.webhooks().await.unwrap();
    assert_eq!(stored[0].record, webhook(1));
    assert_eq!(stored[1].record, disabled(2));
    assert_eq!(cursor(store, &one).await, first);
    let newest = happen(&desk, 2).await;
    // A pause keeps what is owed; to be disabled does not.
    let paused = WebhookRecord {
        state: WebhookState::Paused,
        ..webhook(1)
    };
    assert_eq!(store.update_webhook(paused).await, Ok(true));
    assert_eq!(store.update_webhook(webhook(1)).await, Ok(true));
    assert_eq!(store.update_webhook(webhook(2)).await, Ok(true));
    assert_eq!(cursor(store, &one).await, first);
    assert_eq!(cursor(store, &two).await, newest);
    assert_eq!(store.update_webhook(webhook(3)).await, Ok(false));
    assert_eq!(store.remove_webhook(&one).await, Ok(true));
    assert_eq!(store.remove_webhook(&one).await, Ok(false));
    assert_eq!(store.webhooks().await.unwrap().len(), 1);
    // What comes of a request to one that is gone is nothing.
    let settled = Settled {
        cursor: Some(9),
        put: deliveries(store, DeliveryState::Dead, 1).await,
        ..Settled::default()
    };
    assert_eq!(store.settle(&one, settled).await, Ok(0));
    assert_eq!(
        store.delivery_counts(&one).await,
        Ok(DeliveryCounts::default())
    );
}

pub(super) async fn what_an_endpoint_did_not_take_waits_for_it(store: &dyn Store) {
    let desk = Desk::new(store).await;
    store.add_webhook(webhook(1)).await.unwrap();
    let id = webhook(1).id;
    let newest = happen(&desk, 3).await;
    let mut put = deliveries(store, DeliveryState::Waiting, 900).await;
    put[1].next_at = UnixMs(300);
    let attempts: Vec<_> = put.iter().map(|delivery| attempt(delivery, 1)).collect();
    let settled = Settled {
        cursor: Some(newest),
        put: put.clone(),
        done: Vec::new(),
        attempts,
    };
    assert_eq!(store.settle(&id, settled).await, Ok(0));
    assert_eq!(cursor(store, &id).await, newest);
    let counts = store.delivery_counts(&id).await.unwrap();
    assert_eq!((counts.waiting, counts.dead), (4, 0));
    assert_eq!(counts.next_at, Some(UnixMs(300)));
    let due = async |by| store.due_deliveries(&id, UnixMs(by), 2).await.unwrap();
    assert_eq!(due(299).await, []);
    assert_eq!(due(300).await, [put[1].clone()]);
    assert_eq!(due(900).await, [put[1].clone(), put[0].clone()]);
    assert_eq!(store.hasten(&id, UnixMs(400)).await, Ok(3));
    assert_eq!(due(400).await.len(), 2);
    // One is taken, one given up; the cursor never goes back.
    let dead = Delivery {
        state: DeliveryState::Dead,
        attempts: 10,
        ..put[2].clone()
    };
    let settled = Settled {
        cursor: Some(1),
        put: vec![dead.clone()],
        done: vec![put[1].event.seq],
        attempts: vec![attempt(&put[1], 2), attempt(&dead, 10)],
    };
    store.settle(&id, settled).await.unwrap();
    assert_eq!(cursor(store, &id).await, newest);
    let page = async |state, after| {
        let page = store.deliveries(&id, state, after, 10).await.unwrap();
        page.iter().map(|d| d.event.seq).collect::<Vec<_>>()
    };
    assert_eq!(page(DeliveryState::Dead, 0).await, [dead.event.seq]);
    assert_eq!(page(DeliveryState::Waiting, 0).await, [1, 4]);
    assert_eq!(page(DeliveryState::Waiting, 1).await, [4]);
    let attempts = store.delivery_attempts(&id, None, None, 3).await.unwrap();
    let told: Vec<_> = attempts.iter().map(|a| (a.seq, a.number)).collect();
    assert_eq!(told, [(3, 10), (2, 2), (4, 1)]);
    let older = store.delivery_attempts(&id, Some(2), Some(attempts[1].n), 9);
    let older = older.await.unwrap();
    assert_eq!(older.len(), 1);
    assert_eq!((older[0].number, older[0].status), (1, Some(500)));
    // A person replays it.
    let beside = Replay::Range(4, 9);
    assert_eq!(store.replay(&id, beside, UnixMs(500)).await, Ok(0));
    assert_eq!(store.replay(&id, Replay::All, UnixMs(500)).await, Ok(1));
    let counts = store.delivery_counts(&id).await.unwrap();
    assert_eq!((counts.waiting, counts.dead), (3, 0));
    let again = store
        .deliveries(&id, DeliveryState::Waiting, 2, 1)
        .await
        .unwrap();
    assert_eq!((again[0].attempts, again[0].next_at), (0, UnixMs(500)));
}

pub(super) async fn what_is_over_is_forgotten_in_time(store: &dyn Store) {
    let desk = Desk::new(store).await;
    store.add_webhook(webhook(1)).await.unwrap();
    let id = webhook(1).id;
    happen(&desk, 3).await;
    let mut put = deliveries(store, DeliveryState::Dead, 1).await;
    put[0].updated_at = UnixMs(200);
    put[1].state = DeliveryState::Waiting;
    let attempts = vec![attempt(&put[0], 1)];
    let settled = Settled {
        put,
        attempts,
        ..Settled::default()
    };
    store.settle(&id, settled).await.unwrap();
    assert_eq!(store.forget_deliveries(UnixMs(40), 100).await, Ok(0));
    assert_eq!(store.forget_deliveries(UnixMs(60), 100).await, Ok(3));
    let counts = store.delivery_counts(&id).await.unwrap();
    assert_eq!((counts.waiting, counts.dead), (1, 1));
    // And with its session.
    store
        .remove_session(&desk.session, UnixMs(300))
        .await
        .unwrap();
    let counts = store.delivery_counts(&id).await.unwrap();
    assert_eq!((counts.waiting, counts.dead), (0, 0));
}

pub(super) async fn what_is_kept_of_an_endpoint_is_bounded(store: &dyn Store) {
    let desk = Desk::new(store).await;
    store.add_webhook(webhook(1)).await.unwrap();
    let id = webhook(1).id;
    happen(&desk, 1).await;
    let one = deliveries(store, DeliveryState::Dead, 1)
        .await
        .pop()
        .unwrap();
    let many = i64::from(MAX_DEAD_KEPT) + 3;
    let put: Vec<_> = (1..=many)
        .map(|seq| {
            let mut delivery = one.clone();
            delivery.event.seq = seq;
            delivery
        })
        .collect();
    let attempts = vec![attempt(&one, 1); MAX_DELIVERY_ATTEMPTS_KEPT as usize + 5];
    let settled = Settled {
        put,
        attempts,
        ..Settled::default()
    };
    assert_eq!(store.settle(&id, settled).await, Ok(3));
    let counts = store.delivery_counts(&id).await.unwrap();
    assert_eq!(counts.dead, u64::from(MAX_DEAD_KEPT));
    let oldest = store
        .deliveries(&id, DeliveryState::Dead, 0, 1)
        .await
        .unwrap();
    assert_eq!(oldest[0].event.seq, 4);
    let kept = store.delivery_attempts(&id, None, None, u32::MAX).await;
    assert_eq!(kept.unwrap().len(), MAX_DELIVERY_ATTEMPTS_KEPT as usize);
}

pub(super) async fn what_is_owed_is_kept_and_a_gap_is_told(store: &dyn Store) {
    let desk = Desk::new(store).await;
    store.add_webhook(webhook(1)).await.unwrap();
    store.add_webhook(disabled(2)).await.unwrap();
    let id = webhook(1).id;
    let owed_from = cursor(store, &id).await;
    let newest = happen(&desk, 100).await;
    let trim = async |keep_owed| {
        let trim = TrimEvents {
            before: UnixMs(i64::MAX),
            keep: 5,
            keep_owed,
            limit: 1_000,
            at: UnixMs(700),
        };
        store.trim_events(trim).await.unwrap()
    };
    // Only what nobody is owed.
    let trimmed = trim(1_000).await;
    assert_eq!(trimmed.events, owed_from.cast_unsigned());
    assert_eq!(trimmed.missed, []);
    let trimmed = trim(50).await;
    let upto = newest - 45;
    let missed = (upto - owed_from).cast_unsigned();
    assert_eq!(trimmed.missed, [(id.clone(), missed)]);
    assert_eq!(cursor(store, &id).await, upto);
    let query = EventQuery {
        after: newest,
        limit: 10,
        ..EventQuery::default()
    };
    let told = store.events(query).await.unwrap().events;
    assert_eq!(
        (told.len(), told[0].kind, told[0].at),
        (1, EventKind::WebhookGap, UnixMs(700))
    );
    let EventData::Webhook(notice) = &told[0].data else {
        panic!("{told:?}");
    };
    assert_eq!(
        (notice.webhook.as_str(), notice.missed),
        (id.as_str(), Some(missed))
    );
    assert_eq!(trim(50).await.missed, [], "a gap makes no gap");
}
