//! WhatsApp Web as it may be one day: renamed, slowed down, with parts missing.

use crate::harness::{FRIEND, LONG, PHONE, Scene, chat, eventually, knobs, send_ok};
use serde_json::{Value, json};
use steadfast_core::failure::Kind;
use steadfast_core::outbox::Ack;
use steadfast_core::port::{LookupOutcome, OpenStep, Phase};
use steadfast_engine::UserAgent;

/// Links, sends by name and by wa-js, looks up, loads anew, looks up again.
async fn works_with(patch: Value) {
    let (scene, engine) = Scene::linked_with(knobs(patch), |_| {}).await;
    let first = send_ok(&scene, &engine, &chat(FRIEND), "first").await;
    scene.equipped().await;
    let second = send_ok(&scene, &engine, &chat(FRIEND), "second").await;
    for id in [&first, &second] {
        scene.delivered(id).await;
        assert_eq!(scene.taken_and_delivered(id), (1, 1));
        scene.sink.ack(id, Ack::Device).await;
    }
    let (engine, took) = scene.ready_by(OpenStep::Reload).await;
    println!("reload -> ready: {took:?}");
    for id in [&first, &second] {
        scene.found(&engine, id, Ack::Device).await;
    }
    let never = scene.mint();
    assert_eq!(
        engine.lookup(&never, &chat(FRIEND)).await,
        LookupOutcome::NotFound
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_renamed() {
    works_with(json!({"msgkey_field": "$1"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_debug() {
    works_with(json!({"debug_present": false})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_thirteen_thousand_modules() {
    works_with(json!({"filler_modules": 13_000})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_slow() {
    works_with(json!({"boot_delay_ms": 2_000, "sync_delay_ms": 1_500, "ack_delay_ms": 700})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_named_by_hidden_ids() {
    works_with_any_chat(json!({"addressing": "lid"})).await;
}

/// As above, where the chat's own id is another than the one written to.
async fn works_with_any_chat(patch: Value) {
    let (scene, engine) = Scene::linked_with(knobs(patch), |_| {}).await;
    let first = send_ok(&scene, &engine, &chat(FRIEND), "by number").await;
    scene.equipped().await;
    let second = send_ok(&scene, &engine, &chat(FRIEND), "by number, wa-js").await;
    let (engine, _) = scene.ready_by(OpenStep::Reload).await;
    for id in [&first, &second] {
        scene.delivered(id).await;
        assert_eq!(scene.taken_and_delivered(id), (1, 1));
        assert!(matches!(
            engine.lookup(id, &chat(FRIEND)).await,
            LookupOutcome::Found(_)
        ));
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_moves_to_hidden_ids_while_we_run() {
    let (scene, engine) = Scene::linked().await;
    let before = send_ok(&scene, &engine, &chat(FRIEND), "before").await;
    scene.sim.control().migrate_to_lid(PHONE).unwrap();
    eventually("the move", || async {
        let chats = engine.chats().await.unwrap();
        chats.iter().any(|chat| chat.id.as_str().ends_with("@lid"))
    })
    .await;
    assert!(matches!(
        engine.lookup(&before, &chat(FRIEND)).await,
        LookupOutcome::Found(_)
    ));
    let after = send_ok(&scene, &engine, &chat(FRIEND), "after").await;
    let (engine, _) = scene.ready_by(OpenStep::Reload).await;
    for id in [&before, &after] {
        scene.delivered(id).await;
        assert_eq!(scene.taken_and_delivered(id), (1, 1));
        assert!(matches!(
            engine.lookup(id, &chat(FRIEND)).await,
            LookupOutcome::Found(_)
        ));
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_optional_binding_disables_its_feature_alone() {
    let scene = Scene::with(
        knobs(json!({"exports_removed": [
            "WAWebGetEphemeralFieldsMsgActionsUtils.getEphemeralFields",
            "WAWebQueryExistsJob.queryWidExists",
            "WAWebAltDeviceLinkingApi.startAltLinkingFlow",
        ]})),
        |_| {},
    )
    .await;
    let engine = scene.open(OpenStep::Launch).await;
    let code = scene.sink.qr(engine.epoch()).await;
    scene.sim.control().scan(PHONE, &code).unwrap();
    scene.sink.phase(engine.epoch(), Phase::Ready).await;
    let health = engine.health().await.unwrap();
    assert!(
        health
            .missing
            .contains(&"WAWebQueryExistsJob.queryWidExists".to_owned()),
        "{:?}",
        health.missing
    );
    send_ok(&scene, &engine, &chat(FRIEND), "goes out all the same").await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_needed_binding_is_named() {
    let (scene, _) = Scene::linked().await;
    scene.turn(json!({"modules_removed": ["WAWebSendMsgChatAction"]}));
    let engine = scene.open(OpenStep::Reload).await;
    let (failure, _) = scene.sink.failed(engine.epoch()).await;
    assert_eq!(failure.kind, Kind::WaIncompatible);
    assert!(
        failure
            .evidence
            .contains("WAWebSendMsgChatAction.addAndSendMsgToChat"),
        "{}",
        failure.evidence
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_does_not_call_itself_headless_is_let_in() {
    let (scene, _) = Scene::linked_with(knobs(json!({"refuse_headless": true})), |_| {}).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browsers_name_can_be_chosen() {
    let (scene, _) = Scene::linked_with(knobs(json!({})), |options| {
        options.user_agent =
            UserAgent::Fixed("Mozilla/5.0 (X11; Linux x86_64) Chrome/150.0.0.0".to_owned());
    })
    .await;
    scene.end().await;
}

/// Notes in the page what was under way when wa-js came.
const NOTE_WHEN_WA_JS_COMES: &str = r"(() => {
  if (window.isOld || window.Debug?.VERSION === undefined) return false;
  const { Socket } = window.require('WAWebSocketModel');
  const { Msg } = window.require('WAWebCollections');
  const when = () => {
    if (Socket.hasSynced !== true) return 'before the sync had ended';
    const waits = Msg.getModelsArray().some((msg) => msg.id.fromMe && msg.ack === 0);
    return waits ? 'under a message' : 'rightly';
  };
  window.cameWhen = window.WPP ? 'too early to be noted' : '';
  let wpp = window.WPP;
  Object.defineProperty(window, 'WPP', {
    configurable: true,
    get: () => wpp,
    set: (value) => { wpp = value; window.cameWhen = when(); },
  });
  return true;
})()";

/// To read it holds the page up for longer than a recovery takes.
#[tokio::test(flavor = "multi_thread")]
async fn wa_js_comes_when_nobody_waits_for_the_page() {
    let (scene, engine) = Scene::linked_with(knobs(json!({})), |_| {}).await;
    scene.equipped().await;
    drop(engine);
    scene.page_says("window.isOld = true").await;
    scene.turn(json!({"sync_delay_ms": 1_500, "ack_delay_ms": 800, "delivery_delay_ms": 800}));
    let reloaded = scene.open(OpenStep::Reload).await;
    scene.page_says(NOTE_WHEN_WA_JS_COMES).await;
    scene.sink.phase(reloaded.epoch(), Phase::Ready).await;
    send_ok(&scene, &reloaded, &chat(FRIEND), "before wa-js").await;
    scene.equipped().await;
    let page = scene.connector.page().await.unwrap();
    let when = page.evaluate("window.cameWhen", LONG).await.unwrap();
    assert_eq!(when, json!("rightly"));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_library_takes_the_place_of_the_built_in_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    // A wa-js that never gets ready: everything that text needs works without it.
    std::fs::write(
        file.path(),
        "self.WPP = { isReady: false, isFullReady: false };",
    )
    .unwrap();
    let path = file.path().to_owned();
    let (scene, engine) = Scene::linked_with(knobs(json!({})), move |options| {
        options.library = Some(path);
    })
    .await;
    scene.page_says("window.WPP?.isReady === false").await;
    let id = send_ok(&scene, &engine, &chat(FRIEND), "by name alone").await;
    scene.sink.ack(&id, Ack::Read).await;
    scene.end().await;
}
