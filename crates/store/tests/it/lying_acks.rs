//! Acks from a page that lies: for messages of others, for none, backwards, in
//! any order, with any number. A message only ever moves forward.

use crate::support::{Desk, Folder, LATER, id, record_of, session, wa};
use proptest::prelude::*;
use steadfast_core::ids::WaMessageId;
use steadfast_core::inbound::{Extras, InboundMessage};
use steadfast_core::outbox::{Ack, Message, ParkReason, Status};
use steadfast_core::port::{Outcome, Store, StoreError};
use steadfast_core::time::UnixMs;
use steadfast_store::MemoryStore;

const MESSAGES: u64 = 8;

#[derive(Debug, Clone)]
enum Op {
    Claim,
    Record(u64, Outcome),
    /// By whom, for which message (from `MESSAGES` on: none of ours), the level, when.
    Ack(bool, u64, i64, i64),
    Unpark(u64, bool),
}

fn op() -> impl Strategy<Value = Op> {
    let outcome = prop_oneof![
        (0..5_i64).prop_map(|level| Outcome::Sent(Ack::from_level(level).unwrap())),
        Just(Outcome::Unknown {
            retry_at: UnixMs(0)
        }),
        Just(Outcome::NotSent {
            retry_at: UnixMs(0)
        }),
        Just(Outcome::Parked(ParkReason::LookupUnavailable)),
        Just(Outcome::Expired),
    ];
    prop_oneof![
        2 => Just(Op::Claim),
        2 => (0..MESSAGES, outcome).prop_map(|(n, outcome)| Op::Record(n, outcome)),
        6 => (prop::bool::weighted(0.8), 0..MESSAGES + 3, prop_oneof![-8..9_i64, any::<i64>()], any::<i64>())
            .prop_map(|(ours, n, level, at)| Op::Ack(ours, n, level, at)),
        1 => (0..MESSAGES, any::<bool>()).prop_map(|(n, release)| Op::Unpark(n, release)),
    ]
}

/// How far along the way of a message that WhatsApp has.
fn far(message: &Message) -> Option<usize> {
    let way = [
        Status::Sent,
        Status::Delivered,
        Status::Read,
        Status::Played,
    ];
    way.iter().position(|status| *status == message.status)
}

async fn check(store: &dyn Store, ops: &[Op]) {
    let desk = Desk::new(store).await;
    let stranger = session("stranger");
    store.add_session(record_of(&stranger)).await.unwrap();
    for n in 0..MESSAGES {
        desk.accept(n, n % 3).await;
    }
    let mut before = Vec::new();
    for n in 0..MESSAGES {
        before.push(desk.get(n).await);
    }
    for op in ops {
        match op {
            Op::Claim => {
                desk.claim_at(LATER, 4).await;
            }
            Op::Record(n, outcome) => desk.record(*n, outcome.clone(), LATER).await,
            Op::Ack(ours, n, level, at) => {
                let Some(ack) = Ack::from_level(*level) else {
                    continue;
                };
                let whose = if *ours { &desk.session } else { &stranger };
                let moved = store.ack(whose, &wa(*n), ack, UnixMs(*at)).await.unwrap();
                assert!(moved.is_none() || (*ours && *n < MESSAGES), "{op:?}");
            }
            Op::Unpark(n, release) => {
                store
                    .unpark(&id(*n), *release, UnixMs(LATER))
                    .await
                    .unwrap();
            }
        }
        for (n, before) in before.iter_mut().enumerate() {
            let now = desk.get(n as u64).await;
            assert!(
                far(&now) >= far(before),
                "{op:?}: {before:?} became {now:?}"
            );
            // Each ack once, and what was known stays known.
            let known: Vec<Ack> = now.acks.iter().map(|(ack, _)| *ack).collect();
            assert!(known.is_sorted_by(|a, b| a < b), "{now:?}");
            assert!(
                before.acks.iter().all(|ack| now.acks.contains(ack)),
                "{now:?}"
            );
            // Nobody can ack what no attempt has touched.
            assert!(now.attempts > 0 || far(&now).is_none(), "{now:?}");
            *before = now;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_message_moves_back(ops in prop::collection::vec(op(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            check(&MemoryStore::new(), &ops).await;
            let folder = Folder::new();
            let store = folder.open();
            check(&store, &ops).await;
            store.close().await;
        });
    }
}

/// The largest thing that a page can hand in is kept whole, once, and the next one too.
#[tokio::test]
async fn an_inbound_message_of_sixteen_mebibytes_is_kept_whole() -> Result<(), StoreError> {
    let folder = Folder::new();
    let store = folder.open();
    let desk = Desk::new(&store).await;
    let large = InboundMessage {
        wa_message_id: WaMessageId::parse("3EB0LARGE").unwrap(),
        chat: crate::support::chat(1),
        chat_also: None,
        sender: crate::support::chat(1),
        from_me: false,
        kind: "chat".to_owned(),
        text: "ä".repeat(8 << 20),
        sent_at: UnixMs(5),
        recovered: false,
        extras: Extras::default(),
    };
    let small = InboundMessage {
        wa_message_id: WaMessageId::parse("3EB0SMALL").unwrap(),
        text: "hi".to_owned(),
        ..large.clone()
    };
    for (message, new) in [(&large, true), (&large, false), (&small, true)] {
        let kept = store
            .keep_inbound(&desk.session, message.clone(), UnixMs(6))
            .await?;
        assert_eq!(kept, new);
    }
    store.close().await;
    let store = folder.open();
    let kept = store.inbound(&desk.session, 0, 10).await?;
    assert_eq!(kept.len(), 2);
    assert!(kept[0].message == large && kept[1].message == small);
    store.close().await;
    Ok(())
}
