//! From nothing to ready: QR, pairing code, and what comes with them.

use crate::harness::{PHONE, Scene, knobs};
use serde_json::json;
use steadfast_core::failure::Kind;
use steadfast_core::port::{EngineEvent, OpenStep, Phase};

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_scans_the_code() {
    let scene = Scene::new().await;
    let engine = scene.open(OpenStep::Launch).await;
    let epoch = engine.epoch();
    let code = scene.sink.qr(epoch).await;
    assert_eq!(code.split(',').count(), 5, "{code}");
    scene.sim.control().scan(PHONE, &code).unwrap();
    scene.sink.phase(epoch, Phase::Ready).await;

    let events: Vec<EngineEvent> = scene.sink.heard().into_iter().map(|h| h.event).collect();
    let place = |wanted: &EngineEvent| events.iter().position(|event| event == wanted);
    assert_eq!(events[0], EngineEvent::Phase(Phase::Loading));
    let linking = place(&EngineEvent::Phase(Phase::Linking)).unwrap();
    let linked = place(&EngineEvent::Linked).unwrap();
    let ready = place(&EngineEvent::Phase(Phase::Ready)).unwrap();
    assert!(linking < linked && linked < ready, "{events:#?}");
    assert_eq!(
        events.iter().filter(|e| **e == EngineEvent::Linked).count(),
        1
    );
    let me = events.iter().find_map(|event| match event {
        EngineEvent::Me { id, push_name } if push_name.is_some() => {
            Some((id.user().to_owned(), push_name.clone()))
        }
        _ => None,
    });
    assert_eq!(me, Some((PHONE.to_owned(), Some("Ada".to_owned()))));

    let health = engine.health().await.unwrap();
    assert_eq!(health.phase, Phase::Ready);
    assert_eq!(health.socket_state.as_deref(), Some("CONNECTED"));
    assert_eq!(health.web_version.as_deref(), Some("2.3000.1029384756"));
    assert_eq!(health.missing, Vec::<String>::new());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_follow_each_other_past_the_last_one() {
    let scene = Scene::with(knobs(json!({"qr_ttl_ms": 300, "qr_refs": 2})), |_| {}).await;
    let engine = scene.open(OpenStep::Launch).await;
    let newest = scene
        .sink
        .until("five codes", |heard, _| {
            let codes: Vec<String> = heard
                .iter()
                .filter_map(|h| match &h.event {
                    EngineEvent::Qr { code, .. } => Some(code.clone()),
                    _ => None,
                })
                .collect();
            (codes.len() >= 5).then(|| codes.last().cloned().unwrap())
        })
        .await;
    assert!(newest.split(',').count() == 5);
    // Whichever is on show by now is good.
    scene.turn(json!({"qr_ttl_ms": 20_000}));
    let epoch = engine.epoch();
    let seen = scene.sink.heard().len();
    loop {
        let code = scene
            .sink
            .until("a fresh code", |heard, _| {
                heard.iter().skip(seen).rev().find_map(|h| match &h.event {
                    EngineEvent::Qr { code, .. } => Some(code.clone()),
                    _ => None,
                })
            })
            .await;
        if scene.sim.control().scan(PHONE, &code).is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    scene.sink.phase(epoch, Phase::Ready).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_codes_life_is_read_from_the_page() {
    let scene = Scene::with(knobs(json!({"qr_ttl_ms": 90_000})), |_| {}).await;
    let engine = scene.open(OpenStep::Launch).await;
    let (life_ms, _) = scene
        .sink
        .event(engine.epoch(), "a QR", |event| match event {
            EngineEvent::Qr { expires_in_ms, .. } => Some(*expires_in_ms),
            _ => None,
        })
        .await;
    // Counted from when the page got it, which was a moment ago.
    assert!((60_000..=90_000).contains(&life_ms), "{life_ms}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pairing_code_links_too() {
    let scene = Scene::new().await;
    let engine = scene.open(OpenStep::Launch).await;
    scene.sink.phase(engine.epoch(), Phase::Linking).await;
    assert!(engine.capabilities().pairing_code);
    let failure = engine.request_pair_code("12").await.unwrap_err();
    assert_eq!(failure.kind, Kind::PermanentRequestError);
    let code = engine.request_pair_code(PHONE).await.unwrap();
    assert_eq!(code.len(), 8, "{code}");
    scene
        .sim
        .control()
        .enter_pairing_code(PHONE, &code)
        .unwrap();
    scene.sink.phase(engine.epoch(), Phase::Ready).await;
    scene.end().await;
}
