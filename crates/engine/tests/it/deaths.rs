//! Each way to die is noticed by event, and told once with what it means.

use crate::harness::{FRIEND, LONG, PHONE, Scene, chat, text};
use serde_json::json;
use std::time::{Duration, Instant};
use steadfast_core::failure::{Kind, Rung};
use steadfast_core::port::{EngineEvent, OpenStep, Phase, SendOutcome};
use steadfast_engine::Injected;
use steadfast_sim::frames::PageFault;
use steadfast_sim::world::Fault;

/// An event, on a machine that others use too. Without one a crash would be told 5 s late.
const SOON: Duration = Duration::from_millis(4_500);

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_is_killed() {
    let (scene, engine) = Scene::linked().await;
    let begun = Instant::now();
    scene.connector.inject(Injected::KillBrowser).await.unwrap();
    let (failure, at) = scene.sink.failed(engine.epoch()).await;
    assert_eq!(failure.kind, Kind::BrowserGone);
    assert!(at - begun < SOON, "{:?}", at - begun);
    // Later calls fail at once, and surely sent nothing.
    let id = scene.mint();
    let outcome = engine.send(&id, &chat(FRIEND), &text("too late")).await;
    assert!(matches!(outcome, SendOutcome::NotSent(_)), "{outcome:?}");
    assert_eq!(engine.health().await.unwrap_err().kind, Kind::BrowserGone);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_closed() {
    let (scene, engine) = Scene::linked().await;
    let begun = Instant::now();
    scene.connector.inject(Injected::ClosePage).await.unwrap();
    let (failure, at) = scene.sink.failed(engine.epoch()).await;
    assert_eq!(
        (failure.kind, failure.rung),
        (Kind::PageGone, Rung::NewPage),
        "{failure:?}"
    );
    assert!(at - begun < SOON, "{:?}", at - begun);
    let (_, took) = scene.ready_by(OpenStep::NewPage).await;
    println!("page closed -> ready: {took:?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_renderer_dies() {
    let (scene, mut engine) = Scene::linked().await;
    for fault in [Injected::KillRenderer, Injected::CrashPage] {
        let begun = Instant::now();
        scene.connector.inject(fault).await.unwrap();
        let (failure, at) = scene.sink.failed(engine.epoch()).await;
        assert_eq!(failure.kind, Kind::PageGone, "{fault:?}");
        assert!(at - begun < SOON, "{:?}", at - begun);
        let (next, took) = scene.ready_by(OpenStep::Reload).await;
        println!("{fault:?} -> ready: {took:?}");
        engine = next;
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_browser_answers_nothing_and_is_replaced() {
    let (scene, engine) = Scene::linked().await;
    scene.connector.inject(Injected::StopBrowser).await.unwrap();
    let failure = engine.health().await.unwrap_err();
    assert_eq!(failure.kind, Kind::PageHung, "{failure:?}");
    // No step within it can help: the first one finds that out and ends it. One whose
    // own timers were late, on a machine that stood still, judges nobody by them.
    let deadline = Instant::now() + LONG;
    let failure = loop {
        let opened = scene.try_open(OpenStep::TerminateScript).await;
        let failure = opened.err().unwrap();
        if failure.kind != Kind::NavigationTimeout || Instant::now() > deadline {
            break failure;
        }
    };
    assert_eq!(failure.kind, Kind::BrowserGone, "{failure:?}");
    assert_eq!(scene.connector.browser_pid().await, None);
    // It was killed without having written its newest localStorage, as on any kill:
    // whether the login survives depends on how old it was.
    let engine = scene.open(OpenStep::RestartBrowser).await;
    scene
        .sink
        .event(engine.epoch(), "a page that lives", |event| match event {
            EngineEvent::Phase(Phase::Ready | Phase::Linking) => Some(()),
            _ => None,
        })
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_goes_elsewhere() {
    let (scene, engine) = Scene::linked().await;
    scene.page_fault(PageFault::Navigate {
        url: "about:blank".to_owned(),
    });
    let (failure, _) = scene.sink.failed(engine.epoch()).await;
    assert_eq!(
        (failure.kind, failure.rung),
        (Kind::PageGone, Rung::Reload),
        "{failure:?}"
    );
    scene.ready_by(OpenStep::Reload).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_reloads_itself_and_comes_back() {
    let (scene, engine) = Scene::linked().await;
    let before = scene.sink.heard().len();
    scene.page_fault(PageFault::Reload);
    scene
        .sink
        .until("loading, then ready", |heard, _| {
            let phases: Vec<Phase> = heard
                .iter()
                .skip(before)
                .filter_map(|h| match h.event {
                    EngineEvent::Phase(phase) => Some(phase),
                    _ => None,
                })
                .collect();
            (phases.first() == Some(&Phase::Loading) && phases.last() == Some(&Phase::Ready))
                .then_some(())
        })
        .await;
    assert!(
        !scene
            .sink
            .heard()
            .iter()
            .any(|h| matches!(h.event, EngineEvent::Failed(_)))
    );
    crate::harness::send_ok(&scene, &engine, &chat(FRIEND), "after the reload").await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_page_answers_no_probe_and_is_freed() {
    let (scene, engine) = Scene::linked().await;
    scene.page_fault(PageFault::Hang { ms: 0 });
    crate::harness::eventually("the hang", || {
        let engine = engine.clone();
        async move {
            engine
                .health()
                .await
                .is_err_and(|failure| failure.kind == Kind::PageHung)
        }
    })
    .await;
    let (freed, took) = scene.ready_by(OpenStep::TerminateScript).await;
    println!("hung -> script terminated -> ready: {took:?}");
    assert!(freed.health().await.is_ok());
    // The page goes on under a new epoch; so must what it loads by itself.
    let before = scene.sink.heard().len();
    scene.page_fault(PageFault::Reload);
    scene
        .sink
        .until("the freed page, ready after its own reload", |heard, _| {
            let mut phases = heard.iter().skip(before).filter_map(|h| match h.event {
                EngineEvent::Phase(phase) if h.epoch == freed.epoch() => Some(phase),
                _ => None,
            });
            (phases.next() == Some(Phase::Loading) && phases.next_back() == Some(Phase::Ready))
                .then_some(())
        })
        .await;
    scene.page_fault(PageFault::Hang { ms: 0 });
    crate::harness::eventually("the second hang", || {
        let freed = freed.clone();
        async move { freed.health().await.is_err() }
    })
    .await;
    let (_, took) = scene.ready_by(OpenStep::Reload).await;
    println!("hung -> reload -> ready: {took:?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_phone_unlinks_us() {
    let (scene, engine) = Scene::linked().await;
    scene.sim.control().unlink(PHONE, None, 0).unwrap();
    let (failure, _) = scene.sink.failed(engine.epoch()).await;
    assert_eq!(
        (failure.kind, failure.rung),
        (Kind::AuthRequired, Rung::Relink),
        "{failure:?}"
    );
    // A fresh profile, and a new login.
    let engine = scene.open(OpenStep::FreshProfile).await;
    let code = scene.sink.qr(engine.epoch()).await;
    scene.sim.control().scan(PHONE, &code).unwrap();
    scene.sink.phase(engine.epoch(), Phase::Ready).await;
    let linked = scene
        .sink
        .heard()
        .iter()
        .filter(|h| h.event == EngineEvent::Linked)
        .count();
    assert_eq!(linked, 2);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_page_takes_the_link() {
    let (scene, engine) = Scene::linked().await;
    scene
        .sim
        .control()
        .fault(Fault::Conflict { account: None })
        .unwrap();
    let (failure, _) = scene.sink.failed(engine.epoch()).await;
    assert_eq!(failure.kind, Kind::Conflict);
    // The page keeps its document and takes its link back.
    let page = scene.connector.page().await.unwrap();
    page.evaluate("window.kept = true", LONG).await.unwrap();
    let (engine, took) = scene.ready_by(OpenStep::TakeOver).await;
    println!("opened elsewhere -> ready: {took:?}");
    let kept = page.evaluate("window.kept === true", LONG).await;
    assert_eq!(kept.unwrap(), json!(true), "the page was loaded anew");
    assert!(engine.health().await.is_ok());
    // A page in which nothing stands still is only taken on.
    scene.ready_by(OpenStep::TakeOver).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatsapp_bans_the_account() {
    let (scene, engine) = Scene::linked().await;
    scene.sim.control().ban(PHONE, Some(60_000)).unwrap();
    let (failure, _) = scene.sink.failed(engine.epoch()).await;
    assert_eq!(failure.kind, Kind::BannedOrRestricted, "{failure:?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_is_too_old() {
    let (scene, _) = Scene::linked().await;
    scene.turn(json!({"deprecated": true}));
    let engine = scene.open(OpenStep::Reload).await;
    let (failure, _) = scene.sink.failed(engine.epoch()).await;
    assert_eq!(failure.kind, Kind::WaIncompatible, "{failure:?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_network_at_the_start_says_so() {
    let (scene, _) = Scene::linked().await;
    assert!(steadfast_core::port::Connector::network_reachable(&scene.connector).await);
    let Scene {
        sim,
        connector,
        sink,
        dir,
        ..
    } = scene;
    let addr = sim.addr();
    sim.shutdown().await;
    // Nobody else is given the port, and nobody listens on it.
    let deaf = tokio::net::TcpSocket::new_v4().unwrap();
    deaf.set_reuseaddr(true).unwrap();
    deaf.bind(addr).unwrap();
    assert!(!steadfast_core::port::Connector::network_reachable(&connector).await);
    let epoch = steadfast_core::ids::Epoch(90);
    let opened =
        steadfast_core::port::Connector::open(&connector, OpenStep::Reload, epoch, sink.clone())
            .await;
    assert!(opened.is_ok());
    let (failure, _) = sink.failed(epoch).await;
    assert_eq!(failure.kind, Kind::NetworkDown, "{failure:?}");
    steadfast_core::port::Connector::close(&connector, steadfast_core::port::Close::Kill).await;
    drop(dir);
}
