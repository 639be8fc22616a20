//! Whatever is asked, in whatever order: the store on disk answers as the
//! plain one in memory does, and its queue and counters agree with its messages.

use crate::support::{Folder, chat, id, message, record_of, session, wa};
use proptest::prelude::*;
use steadfast_core::ids::{Fence, LoginGeneration, SessionId};
use steadfast_core::inbound::{Extras, InboundMessage};
use steadfast_core::outbox::{
    Ack, Attempt, NewMessage, ParkReason, Priority, RejectReason, Status,
};
use steadfast_core::port::{
    EventQuery, IdempotencyKey, MessageQuery, Outcome, Quota, Recorded, Store, StoreError,
};
use steadfast_core::time::UnixMs;
use steadfast_store::MemoryStore;

const SESSIONS: u64 = 2;
const CHATS: u64 = 3;
const MESSAGES: u64 = 24;

/// One thing to ask. Small numbers everywhere, so that they meet often.
#[derive(Debug, Clone)]
enum Op {
    Accept(New, Option<(u8, u8, i64)>),
    AcceptMany(Vec<New>),
    TakeFence(u64),
    Claim {
        whose: u64,
        stale: bool,
        now: i64,
        quota: Quota,
    },
    AheadOf,
    Record {
        whose: u64,
        stale: bool,
        outcomes: Vec<(u64, Outcome, i64)>,
    },
    Ack {
        whose: u64,
        n: u64,
        ack: Ack,
        at: i64,
    },
    Cancel {
        n: u64,
        at: i64,
    },
    Unpark {
        n: u64,
        release: bool,
        at: i64,
    },
    Inbound {
        whose: u64,
        n: u64,
        from: u64,
        at: i64,
    },
    Remove(u64),
    Add(u64),
}

#[derive(Debug, Clone)]
struct New {
    n: u64,
    whose: u64,
    to: u64,
    due_at: i64,
    priority: Priority,
}

impl New {
    fn message(&self, now: UnixMs, era: u64) -> NewMessage {
        let mut new = message(&name(self.whose), self.n + era, self.to);
        new.due_at = UnixMs(self.due_at);
        new.priority = self.priority;
        new.accepted_at = now;
        new
    }
}

fn name(whose: u64) -> SessionId {
    session(&format!("s{whose}"))
}

fn time() -> impl Strategy<Value = i64> {
    0..40_i64
}

fn new_message() -> impl Strategy<Value = New> {
    let lane = prop::sample::select(Priority::ALL.to_vec());
    (0..MESSAGES, 0..SESSIONS, 0..CHATS, time(), lane).prop_map(
        |(n, whose, to, due_at, priority)| New {
            n,
            whose,
            to,
            due_at,
            priority,
        },
    )
}

fn quota() -> impl Strategy<Value = Quota> {
    prop_oneof![
        2 => (0..5_u32).prop_map(Quota::whole),
        1 => (0..5_u32, 0..3_u32, 0..3_u32).prop_map(|(all, high, others)| Quota {
            all,
            high,
            others,
        }),
    ]
}

fn ack() -> impl Strategy<Value = Ack> {
    prop::sample::select(vec![
        Ack::Pending,
        Ack::Server,
        Ack::Device,
        Ack::Read,
        Ack::Played,
    ])
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        2 => ack().prop_map(Outcome::Sent),
        2 => time().prop_map(|at| Outcome::NotSent { retry_at: UnixMs(at) }),
        1 => time().prop_map(|at| Outcome::SlowedDown { retry_at: UnixMs(at) }),
        2 => time().prop_map(|at| Outcome::Unknown { retry_at: UnixMs(at) }),
        1 => Just(Outcome::Rejected(RejectReason::MediaInvalid)),
        3 => Just(Outcome::Parked(ParkReason::LoginLost)),
        1 => Just(Outcome::Expired),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let whose = 0..SESSIONS;
    let n = 0..MESSAGES;
    let stale = prop::bool::weighted(0.05);
    prop_oneof![
        8 => (new_message(), prop::option::weighted(0.3, (0..3_u8, 0..2_u8, time())))
            .prop_map(|(new, key)| Op::Accept(new, key)),
        2 => prop::collection::vec(new_message(), 0..5).prop_map(Op::AcceptMany),
        1 => whose.clone().prop_map(Op::TakeFence),
        8 => (whose.clone(), stale, time(), quota())
            .prop_map(|(whose, stale, now, quota)| Op::Claim { whose, stale, now, quota }),
        1 => Just(Op::AheadOf),
        8 => (whose.clone(), stale, prop::collection::vec((n.clone(), outcome(), time()), 0..6))
            .prop_map(|(whose, stale, outcomes)| Op::Record { whose, stale, outcomes }),
        3 => (whose.clone(), n.clone(), ack(), time())
            .prop_map(|(whose, n, ack, at)| Op::Ack { whose, n, ack, at }),
        2 => (n.clone(), time()).prop_map(|(n, at)| Op::Cancel { n, at }),
        4 => (n, prop::bool::weighted(0.8), time())
            .prop_map(|(n, release, at)| Op::Unpark { n, release, at }),
        1 => (whose.clone(), 0..5_u64, 0..2_u64, time())
            .prop_map(|(whose, n, from, at)| Op::Inbound { whose, n, from, at }),
        1 => prop::bool::weighted(0.3).prop_flat_map(|remove| {
            (0..SESSIONS).prop_map(move |whose| if remove { Op::Remove(whose) } else { Op::Add(whose) })
        }),
    ]
}

/// What one store is asked with.
struct Asker<'s> {
    store: &'s dyn Store,
    fences: [Fence; 2],
    /// When messages are accepted. It never goes back: when a key that has
    /// ended is cleared away is each store's own affair, so that a clock set
    /// back could still find it, or not.
    now: UnixMs,
    /// Added to each message's number, higher after each removal of a session:
    /// ids are minted and never come again, so when exactly the old ones are
    /// cleared away is each store's own affair too.
    era: u64,
}

/// Asks one store, and gives its answer as text.
async fn ask(asker: &mut Asker<'_>, op: &Op) -> String {
    let Asker {
        store,
        fences,
        now,
        era,
    } = asker;
    let (now, id, wa) = (*now, |n| id(n + *era), |n| wa(n + *era));
    let held = *fences;
    let fence = |whose: u64, stale: bool| {
        let Fence(fence) = held[usize::try_from(whose).unwrap()];
        Fence(if stale { fence.wrapping_sub(1) } else { fence })
    };
    match op.clone() {
        Op::Accept(new, key) => {
            let key = key.map(|(name, digest, keep_until)| IdempotencyKey {
                key: format!("k{name}"),
                digest: [digest; 32],
                keep_until: UnixMs(keep_until),
            });
            format!("{:?}", store.accept(new.message(now, *era), key).await)
        }
        Op::AcceptMany(new) => {
            let new = new.iter().map(|new| new.message(now, *era)).collect();
            format!("{:?}", store.accept_many(new).await)
        }
        Op::TakeFence(whose) => {
            let fence = store.take_fence(&name(whose)).await;
            if let Ok(fence) = fence {
                fences[usize::try_from(whose).unwrap()] = fence;
            }
            format!("{fence:?}")
        }
        Op::Claim {
            whose,
            stale,
            now,
            quota,
        } => {
            let login = LoginGeneration(now.unsigned_abs());
            let fence = fence(whose, stale);
            format!(
                "{:?}",
                store
                    .claim_within(&name(whose), fence, login, UnixMs(now), quota)
                    .await
            )
        }
        Op::AheadOf => {
            let all = (0..MESSAGES).map(id).collect();
            // What is not placed yet is not looked at: a claim of nothing new places it.
            for (whose, fence) in (0..SESSIONS).zip(held) {
                let quota = Quota {
                    all: 1,
                    high: 0,
                    others: 0,
                };
                let at = UnixMs(-1);
                let login = LoginGeneration(0);
                let whose = name(whose);
                let none = store.claim_within(&whose, fence, login, at, quota);
                if let Err(error) = none.await {
                    return format!("{error:?}");
                }
            }
            format!("{:?}", store.ahead_of(all).await)
        }
        Op::Record {
            whose,
            stale,
            outcomes,
        } => {
            let outcomes = outcomes.into_iter().map(|(n, outcome, at)| Recorded {
                id: id(n),
                outcome,
                detail: Some(format!("at {at}")),
                at: UnixMs(at),
            });
            format!(
                "{:?}",
                store
                    .record(&name(whose), fence(whose, stale), outcomes.collect())
                    .await
            )
        }
        Op::Ack { whose, n, ack, at } => {
            format!(
                "{:?}",
                store.ack(&name(whose), &wa(n), ack, UnixMs(at)).await
            )
        }
        Op::Cancel { n, at } => format!("{:?}", store.cancel(&id(n), UnixMs(at)).await),
        Op::Unpark { n, release, at } => {
            format!("{:?}", store.unpark(&id(n), release, UnixMs(at)).await)
        }
        Op::Inbound { whose, n, from, at } => {
            let message = InboundMessage {
                wa_message_id: wa(n),
                chat: chat(from),
                chat_also: None,
                sender: chat(from),
                from_me: false,
                kind: "chat".to_owned(),
                text: "hello".to_owned(),
                sent_at: UnixMs(at),
                recovered: false,
                extras: Extras::default(),
            };
            format!(
                "{:?}",
                store.keep_inbound(&name(whose), message, UnixMs(at)).await
            )
        }
        Op::Remove(whose) => {
            *era += 1_000;
            format!(
                "{:?}",
                store.remove_session(&name(whose), UnixMs(9_000)).await
            )
        }
        Op::Add(whose) => format!("{:?}", store.add_session(record_of(&name(whose))).await),
    }
}

/// Everything that can be seen from outside.
async fn look(store: &dyn Store) -> Vec<String> {
    let mut seen = vec![format!("{:?}", store.sessions().await)];
    for whose in 0..SESSIONS {
        let whose = name(whose);
        let everything = MessageQuery {
            limit: 100,
            ..MessageQuery::default()
        };
        let state = (
            store.depth(&whose).await,
            store.next_due(&whose).await,
            store
                .next_due_within(
                    &whose,
                    Quota {
                        all: 1,
                        high: 1,
                        others: 0,
                    },
                )
                .await,
            store.pace(&whose, UnixMs(0)).await,
            store.inbound(&whose, 0, 100).await,
            store.messages(&whose, everything).await,
        );
        seen.push(format!("{state:?}"));
    }
    let everything = EventQuery {
        limit: 1_000,
        ..EventQuery::default()
    };
    // Ids have something of the store in them; all else is the same.
    let log = store.events(everything).await.unwrap();
    for event in log.events {
        let told = (event.seq, event.kind, event.session, event.at, event.data);
        seen.push(format!("{told:?}"));
    }
    seen.push(format!("{:?}", store.event_span().await));
    seen
}

async fn attempts(asker: &Asker<'_>) -> Vec<Result<Vec<Attempt>, StoreError>> {
    let mut seen = Vec::new();
    for n in 0..MESSAGES {
        seen.push(asker.store.attempts(&id(n + asker.era)).await);
    }
    seen
}

/// What must be true of the tables, whatever happened.
fn check_tables(folder: &Folder) {
    let db = rusqlite::Connection::open(folder.path()).unwrap();
    let broken = |rule: &str, sql: &str| {
        let found: i64 = db
            .query_row(&format!("SELECT count(*) FROM ({sql})"), (), |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(found, 0, "{rule}");
    };
    let count = |status: Status| {
        let status = status.as_str();
        format!("(SELECT count(*) FROM messages m WHERE m.sid = s.sid AND m.status = '{status}')")
    };
    broken(
        "the counters are those of the messages",
        &format!(
            "SELECT 1 FROM sessions s WHERE s.name IS NOT NULL AND (s.accepted, s.sending, s.waiting_for_a_person)
             IS NOT ({}, {}, {})",
            count(Status::Accepted),
            count(Status::Sending),
            count(Status::Parked)
        ),
    );
    let upto = "CASE m.lane WHEN 0 THEN s.queued_upto_high WHEN 1 THEN s.queued_upto ELSE s.queued_upto_low END";
    let live = "JOIN sessions s ON s.sid = m.sid AND s.name IS NOT NULL";
    broken(
        "what is owed is queued, as it stands",
        &format!(
            "SELECT 1 FROM messages m {live}
             LEFT JOIN queue q ON q.sid = m.sid AND q.chat = m.chat AND q.lane = m.lane AND q.seq = m.seq
             LEFT JOIN schedule p ON p.sid = m.sid AND p.lane = m.lane AND p.seq = m.seq
             WHERE (m.status IN ('accepted', 'sending') AND m.seq <= {upto})
                IS NOT ((q.seq IS NOT NULL) + (p.seq IS NOT NULL))
             OR q.due_at <> m.due_at OR p.due_at <> m.due_at
             OR (q.state = 1 AND q.begun <> (m.attempts > 0
                 AND NOT (m.status = 'accepted' AND m.reason IS 'rate_limited')))
             OR (p.seq IS NOT NULL AND m.attempts > 0)"
        ),
    );
    broken(
        "what has no place yet was never touched",
        &format!(
            "SELECT 1 FROM messages m {live}
             WHERE m.seq > {upto} AND (m.attempts > 0 OR m.status NOT IN ('accepted', 'cancelled'))"
        ),
    );
    broken(
        "only what is sending is claimed",
        &format!(
            "SELECT 1 FROM queue q JOIN messages m ON m.seq = q.seq {live}
             WHERE q.state = 2 AND m.status <> 'sending'"
        ),
    );
    broken(
        "each chat has one claim or one head, and the head is the first by lane and position",
        "SELECT 1 FROM queue GROUP BY sid, chat
         HAVING sum(state <> 0) <> 1 OR (sum(state = 1) = 1
         AND min(lane * 1000000 + seq) <> max((lane * 1000000 + seq) * (state = 1)))",
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_give_the_same_answers(ops in prop::collection::vec(op(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = Folder::new();
            let on_disk = folder.open();
            let in_memory = MemoryStore::new();
            let stores: [&dyn Store; 2] = [&on_disk, &in_memory];
            let mut askers = stores.map(|store| Asker {
                store,
                fences: [Fence(0); 2],
                now: UnixMs(0),
                era: 0,
            });
            let begin = (0..SESSIONS).flat_map(|whose| [Op::Add(whose), Op::TakeFence(whose)]);
            for (step, op) in begin.chain(ops).enumerate() {
                let mut answers = Vec::new();
                for asker in &mut askers {
                    asker.now = UnixMs(i64::try_from(step / 3).unwrap());
                    answers.push(ask(asker, &op).await);
                }
                let [said, expected] = &answers[..] else { unreachable!() };
                assert_eq!(said, expected, "step {step}: {op:?}");
                if step % 4 == 0 {
                    assert_eq!(look(&on_disk).await, look(&in_memory).await, "after step {step}: {op:?}");
                }
            }
            assert_eq!(look(&on_disk).await, look(&in_memory).await);
            assert_eq!(attempts(&askers[0]).await, attempts(&askers[1]).await);
            on_disk.close().await;
            check_tables(&folder);
        });
    }
}
