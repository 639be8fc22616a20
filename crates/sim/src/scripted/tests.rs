use super::*;
use crate::contract::{CLAUSES, Recorder, Rig};
use crate::journal::Event;
use crate::phone::Phone;
use std::time::Duration;
use steadfast_core::failure::{Kind, Resend};
use steadfast_core::ids::{ChatId, WaMessageId};
use steadfast_core::outbox::{Ack, Body};
use steadfast_core::port::{EngineEvent, LookupOutcome, Phase, SendOutcome};

const PHONE: &str = "4915100000001";
const PATIENCE: Duration = Duration::from_mins(10);

/// Every clause of the contract, under a paused clock.
#[tokio::test(start_paused = true)]
async fn the_scripted_engine_keeps_the_contract() {
    for clause in CLAUSES {
        let world = ScriptedWorld::start(7, Knobs::default(), PHONE).unwrap();
        let (connector, _script) = world.connector(1);
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig {
            connector: Arc::new(connector.with_media(dir.path().to_owned())),
            media_dir: dir.path().to_owned(),
            phone: Arc::new(world.phone.clone()),
            patience: PATIENCE,
        };
        if let Err(broken) = (clause.run)(rig).await {
            panic!("{}: {broken}", clause.name);
        }
    }
}

struct Bench {
    world: ScriptedWorld,
    connector: ScriptedConnector,
    script: Arc<Script>,
    recorder: Arc<Recorder>,
    engine: Arc<dyn Engine>,
}

fn bob() -> ChatId {
    ChatId::parse("4915100000002").unwrap()
}

fn id(n: u8) -> WaMessageId {
    WaMessageId::mint([n; 9])
}

fn text(t: &str) -> Body {
    Body::text(t.to_owned())
}

impl Bench {
    async fn ready() -> Self {
        let world = ScriptedWorld::start(7, Knobs::default(), PHONE).unwrap();
        let (connector, script) = world.connector(1);
        let recorder = Arc::new(Recorder::default());
        recorder.expect(Epoch(1));
        let engine = connector
            .open(OpenStep::Launch, Epoch(1), recorder.clone())
            .await
            .unwrap();
        let code = recorder
            .wait("code", PATIENCE, |seen| {
                seen.events().find_map(|e| match e {
                    EngineEvent::Qr { code, .. } => Some(code.clone()),
                    _ => None,
                })
            })
            .await
            .unwrap();
        world.phone.scan(&code).await.unwrap();
        let bench = Self {
            world,
            connector,
            script,
            recorder,
            engine,
        };
        bench.until_ready().await;
        bench
    }

    async fn until_ready(&self) {
        self.recorder
            .wait("ready", PATIENCE, |s| {
                (s.phase() == Some(Phase::Ready)).then_some(())
            })
            .await
            .unwrap();
    }

    async fn reopen(&mut self, epoch: u64, step: OpenStep) {
        self.recorder.expect(Epoch(epoch));
        self.engine = self
            .connector
            .open(step, Epoch(epoch), self.recorder.clone())
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn scripted_sends_do_what_they_are_told() {
    let bench = Bench::ready().await;
    let why = gone(steadfast_core::failure::Operation::Send);
    bench.script.on_send(SendScript::NotSent(why.clone()));
    bench.script.on_send(SendScript::UnknownLost(why.clone()));
    bench.script.on_send(SendScript::UnknownTaken(why.clone()));
    assert_eq!(
        bench.engine.send(&id(1), &bob(), &text("a")).await,
        SendOutcome::NotSent(why.clone())
    );
    assert_eq!(
        bench.engine.send(&id(2), &bob(), &text("b")).await,
        SendOutcome::Unknown(why.clone())
    );
    assert_eq!(
        bench.engine.lookup(&id(2), &bob()).await,
        LookupOutcome::NotFound
    );
    assert_eq!(
        bench.engine.send(&id(3), &bob(), &text("c")).await,
        SendOutcome::Unknown(why)
    );
    bench
        .world
        .phone
        .wait_for(Event::Delivered, PATIENCE, &|e| {
            e.body.as_deref() == Some("c")
        })
        .await
        .unwrap();
    assert!(matches!(
        bench.engine.lookup(&id(3), &bob()).await,
        LookupOutcome::Found(ack) if ack >= Ack::Server
    ));
    bench
        .script
        .on_lookup(LookupScript::Answer(LookupOutcome::Unsupported));
    assert_eq!(
        bench.engine.lookup(&id(3), &bob()).await,
        LookupOutcome::Unsupported
    );
}

#[tokio::test(start_paused = true)]
async fn a_killed_epoch_fails_what_was_under_way_and_the_next_one_finds_it() {
    let mut bench = Bench::ready().await;
    bench
        .world
        .phone
        .fault(crate::world::Fault::DropAcks { count: 1 })
        .await
        .unwrap();
    let engine = bench.engine.clone();
    let sending = tokio::join!(
        async { engine.send(&id(1), &bob(), &text("under way")).await },
        async {
            bench
                .world
                .phone
                .wait_for(Event::Taken, PATIENCE, &|_| true)
                .await
                .unwrap();
            bench.script.kill_browser();
        }
    );
    assert!(
        matches!(&sending.0, SendOutcome::Unknown(f) if f.kind == Kind::BrowserGone && f.resend == Resend::CheckFirst),
        "{sending:?}"
    );
    assert!(matches!(
        bench.engine.send(&id(2), &bob(), &text("x")).await,
        SendOutcome::NotSent(_)
    ));
    bench.reopen(2, OpenStep::RestartBrowser).await;
    bench.until_ready().await;
    bench
        .recorder
        .wait("the outbox's ack", PATIENCE, |s| {
            s.events()
                .any(|e| matches!(e, EngineEvent::Ack { wa_message_id, ack } if *wa_message_id == id(1) && *ack >= Ack::Server))
                .then_some(())
        })
        .await
        .unwrap();
    assert_eq!(bench.world.phone.repeats_dropped().await.unwrap(), 1);
    let reached = bench.world.phone.reached().await.unwrap();
    assert_eq!(reached.len(), 1, "{reached:?}");
    assert_eq!(
        bench.script.steps(),
        [OpenStep::Launch, OpenStep::RestartBrowser]
    );
}

#[tokio::test(start_paused = true)]
async fn a_hung_page_answers_by_deadlines_only() {
    let bench = Bench::ready().await;
    bench.script.hang();
    assert!(matches!(bench.engine.health().await, Err(f) if f.kind == Kind::PageHung));
    assert!(matches!(
        bench.engine.send(&id(1), &bob(), &text("x")).await,
        SendOutcome::Unknown(_)
    ));
}

#[tokio::test(start_paused = true)]
async fn a_lost_profile_must_be_linked_again_and_a_snapshot_need_not() {
    let mut bench = Bench::ready().await;
    bench.reopen(2, OpenStep::Reload).await;
    bench.until_ready().await;
    bench.script.lose_profile();
    bench.reopen(3, OpenStep::RestartBrowser).await;
    bench
        .recorder
        .wait("linking", PATIENCE, |s| {
            (s.phase() == Some(Phase::Linking)).then_some(())
        })
        .await
        .unwrap();
    bench.reopen(4, OpenStep::RestoreProfile).await;
    bench.until_ready().await;
}

/// Same seed, same calls, same times: the journals are equal, entry by entry.
#[tokio::test(start_paused = true)]
async fn a_seed_decides_everything() {
    let mut journals = Vec::new();
    for _ in 0..2 {
        let bench = Bench::ready().await;
        for n in 1..5 {
            bench.engine.send(&id(n), &bob(), &text("x")).await;
        }
        journals.push(bench.world.phone.journal().await.unwrap());
    }
    assert!(!journals[0].is_empty());
    assert_eq!(journals[0], journals[1]);
}
