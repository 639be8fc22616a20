//! Every step of the ladder leads back to ready, and nothing of an old epoch counts.

use crate::harness::{FRIEND, LONG, PHONE, Scene, chat, send_ok, text};
use serde_json::json;
use std::time::Instant;
use steadfast_core::outbox::Ack;
use steadfast_core::port::{
    Close, Connector, EngineEvent, LookupOutcome, OpenStep, Phase, SendOutcome,
};
use steadfast_engine::Injected;
use steadfast_sim::journal::Event;
use steadfast_sim::knobs::Knobs;
use steadfast_sim::world::Fault;

#[tokio::test(flavor = "multi_thread")]
async fn each_step_leads_back_to_ready() {
    let (scene, engine) = Scene::linked().await;
    let id = send_ok(&scene, &engine, &chat(FRIEND), "before").await;
    for step in [
        OpenStep::Launch,
        OpenStep::TerminateScript,
        OpenStep::Reload,
        OpenStep::NewPage,
        OpenStep::RestartBrowser,
        OpenStep::RestoreProfile,
    ] {
        let (engine, took) = scene.ready_by(step).await;
        println!("{step:?} -> ready: {took:?}");
        scene.found(&engine, &id, Ack::Server).await;
        send_ok(&scene, &engine, &chat(FRIEND), &format!("after {step:?}")).await;
    }
    let linked = scene
        .sink
        .heard()
        .iter()
        .filter(|h| h.event == EngineEvent::Linked)
        .count();
    assert_eq!(linked, 1, "no step but a scan makes a new login");
    // Exactly one page was connected at a time.
    let view = scene.sim.control().account(PHONE).unwrap();
    assert_eq!(view.devices.len(), 1);
    assert!(view.devices[0].connected);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_browser_is_back_with_its_login() {
    let (scene, engine) = Scene::linked().await;
    let id = send_ok(&scene, &engine, &chat(FRIEND), "before the kill").await;
    let engine = {
        drop(engine);
        scene.relaunched().await
    };
    let begun = Instant::now();
    scene.connector.inject(Injected::KillBrowser).await.unwrap();
    let (_, noticed) = scene.sink.failed(engine.epoch()).await;
    let engine = scene.open(OpenStep::RestartBrowser).await;
    let ready = scene.sink.phase(engine.epoch(), Phase::Ready).await;
    println!(
        "killed -> noticed {:?} -> ready {:?}",
        noticed - begun,
        ready - begun
    );
    scene.found(&engine, &id, Ack::Server).await;
    let never = scene.mint();
    assert_eq!(
        engine.lookup(&never, &chat(FRIEND)).await,
        LookupOutcome::NotFound
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_flight_when_the_browser_dies_is_unknown_and_the_lookup_tells() {
    let (scene, _) = Scene::linked().await;
    let engine = scene.relaunched().await;
    // Neither an ack nor a receipt may come before the browser dies.
    scene.turn(json!({"ack_delay_ms": 15_000, "delivery_delay_ms": 15_000}));
    let sends: Vec<_> = (0..4)
        .map(|n| {
            let (engine, id) = (engine.clone(), scene.mint());
            let to = chat(&format!("491514000000{n}"));
            let sent = id.clone();
            let task =
                crate::harness::run(
                    async move { engine.send(&sent, &to, &text("in flight")).await },
                );
            (id, chat(&format!("491514000000{n}")), task)
        })
        .collect();
    for (id, ..) in &sends {
        let wanted = id.as_str().to_owned();
        scene
            .sim
            .control()
            .wait_for_entry(0, "the message at the server", LONG, |e| {
                e.event == Event::Taken && e.id.as_deref() == Some(wanted.as_str())
            })
            .await
            .unwrap();
    }
    scene.connector.inject(Injected::KillBrowser).await.unwrap();
    scene.turn(json!({"ack_delay_ms": 5, "delivery_delay_ms": 20}));
    let mut messages = Vec::new();
    for (id, to, task) in sends {
        let outcome = task.await.unwrap();
        assert!(matches!(outcome, SendOutcome::Unknown(_)), "{outcome:?}");
        messages.push((id, to));
    }
    let (engine, _) = scene.ready_by(OpenStep::RestartBrowser).await;
    for (id, to) in messages {
        match engine.lookup(&id, &to).await {
            LookupOutcome::Found(ack) if ack >= Ack::Server => {}
            LookupOutcome::Found(_) => {
                let outcome = engine.resend(&id, &to).await;
                assert!(
                    matches!(outcome, SendOutcome::HandedOff(ack) if ack >= Ack::Server),
                    "{outcome:?}"
                );
            }
            LookupOutcome::NotFound => {
                let outcome = engine.send(&id, &to, &text("in flight")).await;
                assert!(
                    matches!(outcome, SendOutcome::HandedOff(ack) if ack >= Ack::Server),
                    "{outcome:?}"
                );
            }
            other => panic!("{id}: {other:?}"),
        }
        scene.delivered(&id).await;
        assert_eq!(scene.taken_and_delivered(&id), (1, 1));
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_epoch_ends_at_once_and_tells_nothing_more() {
    let (scene, old) = Scene::linked_with(Knobs::default(), |options| {
        options.deadlines.ack = LONG;
    })
    .await;
    scene.turn(json!({"ack_delay_ms": 60_000}));
    let id = scene.mint();
    let waiting = {
        let (old, id) = (old.clone(), id.clone());
        crate::harness::run(async move { old.send(&id, &chat(FRIEND), &text("waiting")).await })
    };
    let wanted = id.as_str().to_owned();
    scene
        .sim
        .control()
        .wait_for_entry(0, "the message", LONG, |e| {
            e.event == Event::Taken && e.id.as_deref() == Some(wanted.as_str())
        })
        .await
        .unwrap();
    let begun = Instant::now();
    let new = scene.open(OpenStep::Reload).await;
    let told = scene.sink.heard().len();
    let outcome = waiting.await.unwrap();
    assert!(matches!(outcome, SendOutcome::Unknown(_)), "{outcome:?}");
    assert!(begun.elapsed() < LONG / 2);
    assert!(matches!(
        old.send(&scene.mint(), &chat(FRIEND), &text("x")).await,
        SendOutcome::NotSent(_)
    ));
    scene.turn(json!({"ack_delay_ms": 5}));
    scene.sink.phase(new.epoch(), Phase::Ready).await;
    let late = scene
        .sink
        .heard()
        .into_iter()
        .skip(told)
        .filter(|h| h.epoch != new.epoch())
        .count();
    assert_eq!(late, 0);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_reconnects_by_itself() {
    let (scene, engine) = Scene::linked().await;
    scene
        .sim
        .control()
        .fault(Fault::DropSockets { account: None })
        .unwrap();
    scene.sink.phase(engine.epoch(), Phase::Offline).await;
    ready_again(&scene).await;
    send_ok(&scene, &engine, &chat(FRIEND), "after the outage").await;
    scene.end().await;
}

/// The newest phase that was told is ready.
async fn ready_again(scene: &Scene) {
    scene
        .sink
        .until("ready again", |heard, _| {
            let last = heard.iter().rev().find_map(|h| match h.event {
                EngineEvent::Phase(phase) => Some(phase),
                _ => None,
            });
            (last == Some(Phase::Ready)).then_some(())
        })
        .await;
}

/// The page's own wait would outlast the test.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_waits_to_reconnect_does_so_when_told_that_the_network_is_back() {
    let waits = crate::harness::knobs(json!({
        "reconnect_min_ms": 3_600_000, "reconnect_max_ms": 3_600_000
    }));
    let (scene, engine) = Scene::linked_with(waits, |_| {}).await;
    // Where nothing waits, nothing is done.
    engine.reconnect().await.unwrap();
    assert!(engine.health().await.is_ok());
    scene
        .sim
        .control()
        .fault(Fault::DropSockets { account: None })
        .unwrap();
    scene.sink.phase(engine.epoch(), Phase::Offline).await;
    engine.reconnect().await.unwrap();
    ready_again(&scene).await;
    send_ok(&scene, &engine, &chat(FRIEND), "after the wait").await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_gracefully_and_launched_again_it_is_still_linked() {
    let (scene, _) = Scene::linked().await;
    // No waiting: a graceful close writes what a kill would lose.
    scene
        .connector
        .close(Close::Graceful {
            deadline_ms: 10_000,
        })
        .await;
    scene.connector.close(Close::Kill).await;
    assert_eq!(scene.connector.browser_pid().await, None);
    let (engine, took) = scene.ready_by(OpenStep::Launch).await;
    println!("cold launch -> ready: {took:?}");
    send_ok(&scene, &engine, &chat(FRIEND), "after the restart").await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_leaves_no_link_behind() {
    let (scene, engine) = Scene::linked().await;
    engine.logout().await.unwrap();
    crate::harness::eventually("the device to go", || async {
        scene
            .sim
            .control()
            .account(PHONE)
            .unwrap()
            .devices
            .is_empty()
    })
    .await;
    scene
        .connector
        .close(Close::Graceful {
            deadline_ms: 10_000,
        })
        .await;
    scene.connector.erase().await.unwrap();
    let engine = scene.open(OpenStep::Launch).await;
    scene.sink.qr(engine.epoch()).await;
    scene.end().await;
}
