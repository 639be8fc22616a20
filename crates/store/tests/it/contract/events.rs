//! The log of everything that happens.

use crate::support::{Desk, LATER, id, message, session, wa};
use std::collections::BTreeSet;
use steadfast_core::event::{Event, EventData, EventKind, EventKinds, StateChange, Told};
use steadfast_core::ids::{ChatId, MessageKey, SessionId};
use steadfast_core::inbound::{Extras, Happening, InboundMessage};
use steadfast_core::outbox::{Ack, ParkReason, RejectReason};
use steadfast_core::port::{
    EventPage, EventQuery, Incident, Outcome, Store, StoreError, TrimEvents,
};
use steadfast_core::time::UnixMs;
use steadfast_store::MAX_EVENTS_LOOKED_AT;

async fn page(store: &dyn Store, after: i64, limit: u32) -> EventPage {
    let query = EventQuery {
        after,
        limit,
        ..EventQuery::default()
    };
    store.events(query).await.unwrap()
}

async fn all(store: &dyn Store) -> Vec<Event> {
    page(store, 0, 1_000).await.events
}

/// What was told of messages: kind and message.
fn of_messages(events: &[Event]) -> Vec<(EventKind, u64)> {
    let number = |event: &Event| match &event.data {
        EventData::Message(moved) => (1..=100).find(|n| id(*n) == moved.id),
        _ => None,
    };
    let told = events.iter();
    told.filter_map(|event| Some((event.kind, number(event)?)))
        .collect()
}

fn inbound(n: u64, from_me: bool) -> InboundMessage {
    let chat = ChatId::parse("4915123456789").unwrap();
    InboundMessage {
        wa_message_id: wa(n),
        chat: chat.clone(),
        chat_also: None,
        sender: chat,
        from_me,
        kind: "chat".to_owned(),
        text: format!("hello {n}"),
        sent_at: UnixMs(500),
        recovered: false,
        extras: Extras::default(),
    }
}

fn reaction(n: u64, emoji: &str, at: i64) -> Happening {
    Happening::Reaction {
        message: MessageKey {
            chat: ChatId::parse("4915123456789").unwrap(),
            id: wa(n),
            from_me: true,
            participant: None,
        },
        sender: ChatId::parse("4915123456789").unwrap(),
        emoji: emoji.to_owned(),
        at: UnixMs(at),
    }
}

fn state(whose: &SessionId, from: &str, to: &str) -> Told {
    let change = StateChange {
        from: from.to_owned(),
        to: to.to_owned(),
        reason: None,
    };
    Told::State(whose.clone(), change)
}

pub(super) async fn each_move_of_a_message_is_told_once(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for n in 1..=7 {
        desk.accept(n, n).await;
    }
    desk.store.cancel(&id(7), UnixMs(1_900)).await.unwrap();
    // Twice said, once told.
    desk.store.cancel(&id(7), UnixMs(1_901)).await.unwrap();
    assert_eq!(desk.claim().await, [1, 2, 3, 4, 5, 6]);
    desk.record(1, Outcome::Sent(Ack::Server), 2_000).await;
    let ack = async |n, ack, at| {
        let acked = store.ack(&desk.session, &wa(n), ack, UnixMs(at)).await;
        acked.unwrap();
    };
    ack(1, Ack::Server, 2_001).await;
    ack(1, Ack::Read, 2_002).await;
    ack(1, Ack::Device, 2_003).await;
    ack(1, Ack::Played, 2_004).await;
    let reason = RejectReason::RecipientInvalid;
    desk.record(2, Outcome::Rejected(reason), 2_005).await;
    let parked = Outcome::Parked(ParkReason::LoginLost);
    desk.record(3, parked.clone(), 2_006).await;
    desk.record(4, parked, 2_007).await;
    let retry = Outcome::NotSent {
        retry_at: UnixMs(9_000),
    };
    desk.record(5, retry, 2_008).await;
    desk.record(6, Outcome::Expired, 2_009).await;
    store.unpark(&id(3), true, UnixMs(2_010)).await.unwrap();
    store.unpark(&id(4), false, UnixMs(2_011)).await.unwrap();
    let events = all(store).await;
    let mut expected: Vec<_> = (1..=7).map(|n| (EventKind::MessageAccepted, n)).collect();
    expected.extend([
        (EventKind::MessageCancelled, 7),
        (EventKind::MessageSent, 1),
        (EventKind::MessageRead, 1),
        (EventKind::MessagePlayed, 1),
        (EventKind::MessageRejected, 2),
        (EventKind::MessageParked, 3),
        (EventKind::MessageParked, 4),
        (EventKind::MessageExpired, 6),
        (EventKind::MessageReleased, 3),
        (EventKind::MessageCancelled, 4),
    ]);
    assert_eq!(of_messages(&events), expected);
    let rejected = events
        .iter()
        .find(|event| event.kind == EventKind::MessageRejected);
    let rejected = rejected.unwrap();
    assert_eq!(rejected.at, UnixMs(2_005));
    assert_eq!(rejected.session.as_ref(), Some(&desk.session));
    let EventData::Message(moved) = &rejected.data else {
        panic!("{rejected:?}");
    };
    assert_eq!(moved.wa_message_id, wa(2));
    assert_eq!(moved.reason.as_deref(), Some(reason.as_str()));
    assert_eq!(moved.kind, "text");
    assert_eq!(moved.accepted_at, UnixMs(1_002));
    // Positions and ids are each one's own, and the same when they are read again.
    let ids: BTreeSet<_> = events.iter().map(|event| event.id.clone()).collect();
    assert_eq!(ids.len(), events.len());
    assert!(events.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    assert_eq!(all(store).await, events);
}

pub(super) async fn what_expires_is_told(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let mut late = message(&desk.session, 1, 1);
    late.expires_at = Some(UnixMs(3_000));
    store.accept(late, None).await.unwrap();
    let expired = store.expire(&desk.session, desk.fence, UnixMs(3_001), 10);
    assert_eq!(expired.await, Ok(vec![id(1)]));
    let told = of_messages(&all(store).await);
    assert_eq!(
        told,
        [
            (EventKind::MessageAccepted, 1),
            (EventKind::MessageExpired, 1)
        ]
    );
}

pub(super) async fn many_at_once_are_told_each(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let other = Desk::named(store, "other").await;
    let mut many: Vec<_> = (1..=5).map(|n| message(&desk.session, n, n)).collect();
    many.push(message(&other.session, 6, 6));
    many.push(message(&desk.session, 7, 7));
    store.accept_many(many).await.unwrap();
    let events = all(store).await;
    let expected: Vec<_> = (1..=7).map(|n| (EventKind::MessageAccepted, n)).collect();
    assert_eq!(of_messages(&events), expected);
    // From anywhere in between, and piece by piece, it reads the same.
    for start in 0..events.len() {
        let after = events[start].seq;
        assert_eq!(page(store, after, 1_000).await.events, events[start + 1..]);
    }
    let (mut pieces, mut after) = (Vec::new(), 0);
    loop {
        let piece = page(store, after, 2).await;
        after = piece.next;
        pieces.extend(piece.events);
        if !piece.more {
            break;
        }
    }
    assert_eq!(pieces, events);
    let query = EventQuery {
        sessions: Some(vec![other.session.clone()]),
        kinds: EventKinds::of(["message.*"]).unwrap(),
        limit: 10,
        ..EventQuery::default()
    };
    let of_other = store.events(query).await.unwrap();
    assert_eq!(
        of_messages(&of_other.events),
        [(EventKind::MessageAccepted, 6)]
    );
    assert_eq!(of_other.next, events.last().unwrap().seq);
    assert!(!of_other.more);
}

pub(super) async fn what_is_refused_is_not_told(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    let again = store.accept(message(&desk.session, 1, 1), None).await;
    assert_eq!(again, Err(StoreError::Exists));
    let twice = vec![
        message(&desk.session, 2, 1),
        message(&desk.session, 3, 1),
        message(&desk.session, 1, 1),
    ];
    assert_eq!(store.accept_many(twice).await, Err(StoreError::Exists));
    let stale = store
        .expire(
            &desk.session,
            steadfast_core::ids::Fence(0),
            UnixMs(LATER),
            9,
        )
        .await;
    assert!(stale.is_err());
    let told = of_messages(&all(store).await);
    assert_eq!(told, [(EventKind::MessageAccepted, 1)]);
}

pub(super) async fn what_comes_in_is_told_once(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for (n, from_me) in [(1, false), (2, true), (1, false)] {
        let kept = store.keep_inbound(&desk.session, inbound(n, from_me), UnixMs(600));
        kept.await.unwrap();
    }
    let happening = reaction(1, "👍", 700);
    let keep = async |happening: &Happening, at| {
        store
            .keep_happening(&desk.session, happening.clone(), UnixMs(at))
            .await
    };
    assert_eq!(keep(&happening, 800).await, Ok(true));
    assert_eq!(keep(&happening, 900).await, Ok(false));
    assert_eq!(keep(&reaction(1, "", 701), 900).await, Ok(true));
    let nobody = session("nobody");
    let refused = store.keep_happening(&nobody, happening.clone(), UnixMs(1));
    assert_eq!(refused.await, Err(StoreError::NoSession(nobody)));
    let events = all(store).await;
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        [
            EventKind::SessionCreated,
            EventKind::MessageReceived,
            EventKind::MessageSentElsewhere,
            EventKind::MessageReaction,
            EventKind::MessageReaction,
        ]
    );
    let EventData::Received(received) = &events[1].data else {
        panic!("{:?}", events[1]);
    };
    assert_eq!(received.message, inbound(1, false));
    assert_eq!(events[1].at, UnixMs(600));
    assert_eq!(events[3].data, EventData::Happening(happening));
    assert_eq!(events[3].at, UnixMs(700));
}

/// Also where it was forgotten in between: the page may tell it again at any time.
pub(super) async fn a_happening_never_gets_a_second_id(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let keep = async || {
        let kept = store.keep_happening(&desk.session, reaction(1, "👍", 700), UnixMs(800));
        assert_eq!(kept.await, Ok(true));
        all(store).await.pop().unwrap()
    };
    let first = keep().await;
    let everything = TrimEvents {
        before: UnixMs(i64::MAX),
        keep: 0,
        keep_owed: 0,
        limit: 100,
        at: UnixMs(900),
    };
    let trimmed = store.trim_events(everything).await.unwrap();
    assert_eq!(trimmed.events, 2);
    let second = keep().await;
    assert_eq!(second.id, first.id);
    assert!(second.seq > first.seq, "a position is never used again");
}

pub(super) async fn states_and_incidents_are_told(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let told = state(&desk.session, "ready", "recovering");
    store.tell(told.clone(), UnixMs(10)).await.unwrap();
    let nobody = session("nobody");
    let refused = store.tell(state(&nobody, "a", "b"), UnixMs(10)).await;
    assert_eq!(refused, Err(StoreError::NoSession(nobody)));
    let open = Incident {
        id: "inc_1".to_owned(),
        session: desk.session.clone(),
        kind: "page_gone".to_owned(),
        evidence: "seen".to_owned(),
        opened_at: UnixMs(20),
        closed_at: None,
        outcome: None,
        healed_by: None,
        recovery_ms: None,
        messages_waited: 0,
        steps: Vec::new(),
    };
    let closed = Incident {
        closed_at: Some(UnixMs(30)),
        outcome: Some("recovered".to_owned()),
        ..open.clone()
    };
    for incident in [&open, &open, &closed, &closed] {
        store.put_incident(incident.clone()).await.unwrap();
    }
    let events = all(store).await;
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.kind, event.at.0))
        .collect();
    assert_eq!(
        told,
        [
            (EventKind::SessionCreated, 1),
            (EventKind::SessionState, 10),
            (EventKind::IncidentOpened, 20),
            (EventKind::IncidentClosed, 30),
        ]
    );
    assert_eq!(events[3].data, EventData::Incident(Box::new(closed)));
}

pub(super) async fn events_go_with_their_session(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let other = Desk::named(store, "other").await;
    desk.accept(1, 1).await;
    other.accept(2, 1).await;
    let kept = store.keep_happening(&desk.session, reaction(1, "👍", 700), UnixMs(800));
    kept.await.unwrap();
    let newest = store.event_span().await.unwrap().newest;
    let removed = store.remove_session(&desk.session, UnixMs(77)).await;
    removed.unwrap();
    let events = all(store).await;
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.kind, event.session.clone().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            (EventKind::SessionCreated, other.session.clone()),
            (EventKind::MessageAccepted, other.session.clone()),
            (EventKind::SessionDeleted, desk.session.clone()),
        ]
    );
    assert_eq!(events[2].at, UnixMs(77));
    assert_eq!(events[2].seq, newest + 1);
}

pub(super) async fn old_events_go_and_that_is_told(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for n in 1..=9 {
        desk.accept(n, n).await;
    }
    let newest = store.event_span().await.unwrap().newest;
    let trim = async |before, keep| {
        let trim = TrimEvents {
            before: UnixMs(before),
            keep,
            keep_owed: 1_000,
            limit: 100,
            at: UnixMs(5_000),
        };
        store.trim_events(trim).await.unwrap().events
    };
    assert_eq!(trim(0, 1_000).await, 0);
    // By age: those of times 1 (the session), 1001 and 1002.
    assert_eq!(trim(1_003, 1_000).await, 3);
    // By number.
    assert_eq!(trim(0, 2).await, newest.cast_unsigned() - 5);
    let span = store.event_span().await.unwrap();
    assert_eq!((span.dropped_upto, span.newest), (newest - 2, newest));
    let left = page(store, 0, 100).await;
    assert_eq!(
        of_messages(&left.events),
        [
            (EventKind::MessageAccepted, 8),
            (EventKind::MessageAccepted, 9)
        ]
    );
    assert!(left.gap);
    assert!(page(store, newest - 3, 100).await.gap);
    assert!(!page(store, newest - 2, 100).await.gap);
    // A position that there never was.
    let beyond = page(store, newest + 5, 100).await;
    assert_eq!(
        (beyond.gap, beyond.next, beyond.more),
        (true, newest, false)
    );
    assert_eq!(trim(i64::MAX, 0).await, 2);
    assert_eq!(page(store, newest - 2, 100).await.next, newest);
    desk.accept(10, 10).await;
    let next = all(store).await;
    assert_eq!(next[0].seq, newest + 1, "a position is never used again");
}

pub(super) async fn news_wake_those_who_wait(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let newest = store.event_span().await.unwrap().newest;
    assert_eq!(store.events_beyond(newest - 1).await, Ok(newest));
    let (woken, ()) = tokio::join!(store.events_beyond(newest), async {
        tokio::task::yield_now().await;
        desk.accept(1, 1).await;
    });
    assert_eq!(woken, Ok(newest + 1));
}

pub(super) async fn a_look_at_the_log_is_bounded(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let many = u64::from(MAX_EVENTS_LOOKED_AT) + 10;
    let messages = (1..=many).map(|n| message(&desk.session, n, n % 50));
    store.accept_many(messages.collect()).await.unwrap();
    store
        .tell(state(&desk.session, "a", "b"), UnixMs(1))
        .await
        .unwrap();
    let mut query = EventQuery {
        kinds: EventKinds::NONE.with(EventKind::SessionState),
        limit: 10,
        ..EventQuery::default()
    };
    let first = store.events(query.clone()).await.unwrap();
    assert_eq!((first.events.len(), first.more), (0, true));
    assert_eq!(first.next, i64::from(MAX_EVENTS_LOOKED_AT));
    query.after = first.next;
    let second = store.events(query).await.unwrap();
    assert_eq!((second.events.len(), second.more), (1, false));
}
