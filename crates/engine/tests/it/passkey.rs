//! An account that asks for a passkey before it links: held and told, or left
//! to the browser, whose authenticator is a virtual one here.

use crate::harness::{PHONE, Scene, knobs};
use serde_json::{Value, json};
use std::time::Duration;
use steadfast_core::failure::Kind;
use steadfast_core::ids::Epoch;
use steadfast_core::port::{EngineEvent, OpenStep, PasskeyEnd, Phase};
use steadfast_engine::EngineOptions;
use steadfast_sim::world::Passkey;

const CALL: Duration = Duration::from_secs(10);

/// A scene whose phone has just scanned the code, for an account with a passkey.
async fn scanned(patch: Value, change: impl FnOnce(&mut EngineOptions)) -> (Scene, Epoch) {
    let scene = Scene::with(knobs(patch), change).await;
    scene.sim.control().set_passkey(PHONE, true).unwrap();
    let engine = scene.open(OpenStep::Launch).await;
    let code = scene.sink.qr(engine.epoch()).await;
    scene.sim.control().scan(PHONE, &code).unwrap();
    (scene, engine.epoch())
}

async fn wanted(scene: &Scene, epoch: Epoch) -> (Value, u64) {
    let found = scene
        .sink
        .event(epoch, "a passkey wanted", |event| match event {
            EngineEvent::PasskeyWanted {
                options,
                expires_in_ms,
            } => Some((serde_json::from_str(options).unwrap(), *expires_in_ms)),
            _ => None,
        });
    found.await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_is_told_and_its_end_too() {
    let (scene, epoch) = scanned(json!({"passkey_timeout_ms": 3_000}), |_| {}).await;
    let (options, expires_in_ms) = wanted(&scene, epoch).await;
    assert_eq!(options["rpId"], "whatsapp.com");
    assert_eq!(options["timeout"], 3_000);
    assert_eq!(options["userVerification"], "preferred");
    // 32 bytes, base64url.
    assert_eq!(options["challenge"].as_str().unwrap().len(), 43);
    assert!((1..=3_000).contains(&expires_in_ms), "{expires_in_ms}");
    let over = scene.sink.event(epoch, "its end", |event| match event {
        EngineEvent::PasskeyOver(end) => Some(*end),
        _ => None,
    });
    assert_eq!(over.await.0, PasskeyEnd::TimedOut);
    // Back to a code, another one than before.
    let codes = scene.sink.until("another code", |heard, _| {
        let over = heard
            .iter()
            .position(|h| matches!(h.event, EngineEvent::PasskeyOver(_)))?;
        heard[over..]
            .iter()
            .any(|h| matches!(h.event, EngineEvent::Qr { .. }))
            .then_some(())
    });
    codes.await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_another_challenge_is_not_passed_on() {
    let scene = Scene::new().await;
    scene.sim.control().set_passkey(PHONE, true).unwrap();
    let engine = scene.open(OpenStep::Launch).await;
    let code = scene.sink.qr(engine.epoch()).await;
    // {"challenge":"b3RoZXI"}
    let answer = json!({"id": "AAECAw", "type": "public-key", "response": {
        "clientDataJSON": "eyJjaGFsbGVuZ2UiOiJiM1JvWlhJIn0", "authenticatorData": "AA", "signature": "AA"}})
    .to_string();
    let refused = engine.answer_passkey(&answer).await.unwrap_err();
    assert_eq!(refused.kind, Kind::PermanentRequestError);
    assert!(
        refused.evidence.contains("asks for no passkey"),
        "{refused:?}"
    );
    scene.sim.control().scan(PHONE, &code).unwrap();
    wanted(&scene, engine.epoch()).await;
    let refused = engine.answer_passkey(&answer).await.unwrap_err();
    assert_eq!(refused.kind, Kind::PermanentRequestError);
    assert!(
        refused.evidence.contains("another challenge"),
        "{refused:?}"
    );
    let refused = engine.answer_passkey("{").await.unwrap_err();
    assert_eq!(refused.kind, Kind::PermanentRequestError);
    // The page goes: so does its question.
    let engine = scene.open(OpenStep::Reload).await;
    scene.sink.phase(engine.epoch(), Phase::Linking).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_one_question_at_a_time_and_may_take_it_back() {
    let scene = Scene::new().await;
    let engine = scene.open(OpenStep::Launch).await;
    let epoch = engine.epoch();
    scene.sink.qr(epoch).await;
    let page = scene.connector.page().await.unwrap();
    let script = "(() => {
        const ask = (signal) => navigator.credentials.get({
          publicKey: { challenge: new Uint8Array([1, 2, 3]).buffer, rpId: 'whatsapp.com',
            allowCredentials: [{ type: 'public-key', id: new Uint8Array([4]), transports: ['hybrid'] }],
            extensions: { prf: { eval: { first: new Uint8Array([5]) } } } },
          signal }).then(() => 'given', (error) => error.name);
        const own = new AbortController();
        window.asked = [ask(own.signal), ask(undefined)];
        window.takeBack = () => own.abort();
        return Function.prototype.toString.call(navigator.credentials.get);
      })()";
    let native: String = page.evaluate_as(script, CALL).await.unwrap();
    assert!(native.contains("[native code]"), "{native}");
    let (options, expires_in_ms) = wanted(&scene, epoch).await;
    assert_eq!(
        options,
        json!({"challenge": "AQID", "timeout": 300_000, "rpId": "whatsapp.com",
            "allowCredentials": [{"type": "public-key", "id": "BA", "transports": ["hybrid"]}],
            "userVerification": "preferred", "extensions": {"prf": {"eval": {"first": "BQ"}}}})
    );
    assert!(
        (290_000..=300_000).contains(&expires_in_ms),
        "{expires_in_ms}"
    );
    let ends = "(() => { window.takeBack(); return Promise.all(window.asked); })()";
    let ends: Vec<String> = page.evaluate_as(ends, CALL).await.unwrap();
    assert_eq!(ends, ["AbortError", "OperationError"]);
    let over = scene.sink.event(epoch, "its end", |event| match event {
        EngineEvent::PasskeyOver(end) => Some(*end),
        _ => None,
    });
    assert_eq!(over.await.0, PasskeyEnd::GivenUp);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_with_its_own_authenticator_is_left_alone() {
    let scene = Scene::with(knobs(json!({})), |options| options.hold_passkeys = false).await;
    scene.sim.control().set_passkey(PHONE, true).unwrap();
    let engine = scene.open(OpenStep::Launch).await;
    let epoch = engine.epoch();
    let code = scene.sink.qr(epoch).await;
    let page = scene.connector.page().await.unwrap();
    let _: Value = page.call("WebAuthn.enable", json!({}), CALL).await.unwrap();
    let authenticator = json!({"options": {"protocol": "ctap2", "transport": "internal",
        "hasResidentKey": true, "hasUserVerification": true, "isUserVerified": true,
        "automaticPresenceSimulation": true}});
    let _: Value = page
        .call("WebAuthn.addVirtualAuthenticator", authenticator, CALL)
        .await
        .unwrap();
    let create = "(async () => {
        const made = await navigator.credentials.create({ publicKey: {
          challenge: new Uint8Array(16), rp: { id: 'whatsapp.com', name: 'WhatsApp' },
          user: { id: new Uint8Array([1]), name: 'ada', displayName: 'Ada' },
          pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
          authenticatorSelection: { residentKey: 'required' } } });
        const text = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
          .replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
        return { id: made.id, public_key: text(made.response.getPublicKey()) };
      })()";
    let passkey: Passkey = page.evaluate_as(create, CALL).await.unwrap();
    let control = scene.sim.control();
    control.register_passkey(PHONE, &passkey).unwrap();
    control.scan(PHONE, &code).unwrap();
    scene.sink.phase(epoch, Phase::Ready).await;
    let told = scene.sink.heard();
    let held = told
        .iter()
        .any(|h| matches!(h.event, EngineEvent::PasskeyWanted { .. }));
    assert!(!held, "{told:?}");
    scene.end().await;
}
