//! One message: handed over once, under the id given, with an honest outcome.

use crate::harness::{FRIEND, LONG, PHONE, Scene, chat, knobs, send_ok, text};
use serde_json::json;
use std::time::{Duration, Instant};
use steadfast_core::failure::Kind;
use steadfast_core::outbox::Ack;
use steadfast_core::port::{EngineEvent, LookupOutcome, OpenStep, SendOutcome};
use steadfast_sim::frames::{PageFault, ThrowWhen};
use steadfast_sim::journal::Event;
use steadfast_sim::world::{Fault, PersonPatch};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_out_under_its_id_and_its_acks_come_back() {
    let (scene, engine) = Scene::linked().await;
    let id = send_ok(&scene, &engine, &chat(FRIEND), "first").await;
    scene.sink.ack(&id, Ack::Read).await;
    let taken = scene.entries(Event::Taken, &id);
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].body.as_deref(), Some("first"));
    assert_eq!(
        engine.lookup(&id, &chat(FRIEND)).await,
        LookupOutcome::Found(Ack::Read)
    );

    // Long texts, line ends and other scripts arrive as they were written.
    let body = format!(
        "{}\nзавтра 👍 \u{202e}x \"quoted\" \\",
        "lang ".repeat(5000)
    );
    let id = send_ok(&scene, &engine, &chat(FRIEND), &body).await;
    assert_eq!(
        scene.entries(Event::Taken, &id)[0].body.as_deref(),
        Some(body.as_str())
    );

    let levels: Vec<i64> = scene
        .sink
        .heard()
        .into_iter()
        .filter_map(|h| match h.event {
            EngineEvent::Ack { ack, .. } => Some(ack.level()),
            _ => None,
        })
        .collect();
    assert!(levels.contains(&3), "{levels:?}");
    scene.end().await;
}

/// The store may have lost what was told: it cannot say so, and drops what it knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_loaded_anew_tells_its_acks_again() {
    let (scene, engine) = Scene::linked().await;
    let id = send_ok(&scene, &engine, &chat(FRIEND), "how far are you").await;
    scene.sink.ack(&id, Ack::Read).await;
    let (engine, _) = scene.ready_by(OpenStep::Reload).await;
    scene
        .sink
        .event(engine.epoch(), "the ack once more", |event| match event {
            EngineEvent::Ack { wa_message_id, ack } => {
                (*wa_message_id == id && *ack == Ack::Read).then_some(())
            }
            _ => None,
        })
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_of_sending_do_the_same() {
    let (scene, engine) = Scene::linked().await;
    // Right after ready wa-js still counts modules: this one goes by exact names.
    let first = send_ok(&scene, &engine, &chat(FRIEND), "by name").await;
    scene.equipped().await;
    let second = send_ok(&scene, &engine, &chat(FRIEND), "by wa-js").await;
    for id in [&first, &second] {
        scene.delivered(id).await;
        assert_eq!(scene.taken_and_delivered(id), (1, 1));
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_twice_is_one_message() {
    let (scene, engine) = Scene::linked().await;
    let id = send_ok(&scene, &engine, &chat(FRIEND), "once").await;
    let again = engine.send(&id, &chat(FRIEND), &text("once")).await;
    assert!(
        matches!(again, SendOutcome::HandedOff(ack) if ack >= Ack::Server),
        "{again:?}"
    );
    scene.delivered(&id).await;
    assert_eq!(scene.taken_and_delivered(&id), (1, 1));
    assert!(scene.entries(Event::Repeat, &id).is_empty());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_chats_are_written_to_at_once() {
    let (scene, engine) = Scene::linked().await;
    let sends = (0..40).map(|n| {
        let (engine, id) = (engine.clone(), scene.mint());
        let to = chat(&format!("49151300000{n:02}"));
        async move { (id.clone(), engine.send(&id, &to, &text("hello")).await) }
    });
    for (id, outcome) in futures_util::future::join_all(sends).await {
        assert!(
            matches!(outcome, SendOutcome::HandedOff(ack) if ack >= Ack::Server),
            "{id}: {outcome:?}"
        );
        assert_eq!(scene.entries(Event::Taken, &id).len(), 1);
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_written_to() {
    let (scene, engine) = Scene::linked().await;
    let group = scene
        .sim
        .control()
        .create_group("Friends", PHONE, &[FRIEND.to_owned()])
        .unwrap();
    let group = chat(&group);
    let mut id = send_ok(&scene, &engine, &group, "to all").await;
    scene.delivered(&id).await;
    assert!(matches!(
        engine.lookup(&id, &group).await,
        LookupOutcome::Found(_)
    ));
    scene.equipped().await;
    id = send_ok(&scene, &engine, &group, "to all, by wa-js").await;
    scene.delivered(&id).await;
    let chats = engine.chats().await.unwrap();
    let listed = chats.iter().find(|listed| listed.id == group).unwrap();
    assert_eq!((listed.name.as_str(), listed.is_group), ("Friends", true));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_without_whatsapp_is_rejected() {
    let (scene, engine) = Scene::linked().await;
    let nobody = "4915190000009";
    let patch = PersonPatch {
        exists: Some(false),
        ..PersonPatch::default()
    };
    scene.sim.control().patch_person(nobody, patch).unwrap();
    let id = scene.mint();
    let outcome = engine.send(&id, &chat(nobody), &text("hello?")).await;
    let SendOutcome::Rejected(failure) = outcome else {
        panic!("not rejected: {outcome:?}");
    };
    assert_eq!(failure.kind, Kind::RecipientInvalid);
    assert!(scene.entries(Event::Taken, &id).is_empty());
    assert_eq!(engine.check_number(&chat(nobody)).await, Ok(None));
    assert_eq!(
        engine.check_number(&chat(FRIEND)).await,
        Ok(Some(chat(FRIEND)))
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thrown_before_it_went_out_it_can_be_sent_again() {
    let (scene, engine) = Scene::linked().await;
    let fault = PageFault::ThrowOnSend {
        count: 1,
        when: ThrowWhen::Before,
        text: "made to fail".to_owned(),
    };
    send_ok_after_fault(&scene, &engine, fault).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thrown_after_it_went_out_it_is_known_by_its_ack() {
    let (scene, engine) = Scene::linked().await;
    let fault = PageFault::ThrowOnSend {
        count: 1,
        when: ThrowWhen::After,
        text: "Cannot read properties of undefined (reading 'serialize')".to_owned(),
    };
    send_ok_after_fault(&scene, &engine, fault).await;
    scene.end().await;
}

/// Whatever the page throws: never "not sent" for what was taken, and a look-up tells.
async fn send_ok_after_fault(
    scene: &Scene,
    engine: &std::sync::Arc<dyn steadfast_core::port::Engine>,
    fault: PageFault,
) {
    scene.page_fault_in_force(fault).await;
    let id = scene.mint();
    let to = chat(FRIEND);
    let mut outcome = engine.send(&id, &to, &text("once")).await;
    if let SendOutcome::Unknown(_) = outcome {
        outcome = match engine.lookup(&id, &to).await {
            LookupOutcome::Found(ack) => SendOutcome::HandedOff(ack),
            LookupOutcome::NotFound => engine.send(&id, &to, &text("once")).await,
            other => panic!("the look-up did not decide: {other:?}"),
        };
    }
    assert!(
        matches!(outcome, SendOutcome::HandedOff(ack) if ack >= Ack::Server),
        "{outcome:?}"
    );
    scene.delivered(&id).await;
    assert_eq!(scene.taken_and_delivered(&id), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promise_that_never_settles_holds_nobody_up() {
    let (scene, engine) = Scene::linked_with(knobs(json!({})), |options| {
        options.deadlines.ack = LONG;
    })
    .await;
    scene
        .page_fault_in_force(PageFault::HangSend { count: 2 })
        .await;
    let begun = Instant::now();
    send_ok(&scene, &engine, &chat(FRIEND), "acked all the same").await;
    // The ack ends it, not the deadline.
    assert!(begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_ack_it_is_with_the_page_and_no_more() {
    let (scene, engine) = Scene::linked_with(knobs(json!({})), |options| {
        // All of it is waited for.
        options.deadlines.ack = Duration::from_secs(5);
    })
    .await;
    scene
        .sim
        .control()
        .fault(Fault::LoseSends { count: 1 })
        .unwrap();
    let id = scene.mint();
    let outcome = engine
        .send(&id, &chat(FRIEND), &text("lost on the wire"))
        .await;
    assert_eq!(outcome, SendOutcome::HandedOff(Ack::Pending));
    assert_eq!(
        engine.lookup(&id, &chat(FRIEND)).await,
        LookupOutcome::Found(Ack::Pending)
    );
    // The page's own outbox sends it once the socket is new; or a resend does.
    scene
        .sim
        .control()
        .fault(Fault::DropSockets { account: None })
        .unwrap();
    scene.sink.ack(&id, Ack::Server).await;
    let resent = engine.resend(&id, &chat(FRIEND)).await;
    assert!(
        matches!(resent, SendOutcome::HandedOff(ack) if ack >= Ack::Server),
        "{resent:?}"
    );
    assert_eq!(scene.taken_and_delivered(&id).0, 1);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_refuses_is_found_failed_and_can_be_resent() {
    let (scene, engine) = Scene::linked().await;
    scene
        .sim
        .control()
        .fault(Fault::RefuseSends {
            count: 1,
            code: 500,
            level: -1,
            result: "ERROR_UNKNOWN".to_owned(),
        })
        .unwrap();
    let id = scene.mint();
    let outcome = engine.send(&id, &chat(FRIEND), &text("refused")).await;
    assert!(matches!(outcome, SendOutcome::Unknown(_)), "{outcome:?}");
    assert_eq!(
        engine.lookup(&id, &chat(FRIEND)).await,
        LookupOutcome::FoundFailed(-1)
    );
    scene
        .sink
        .until("the failed ack", |heard, _| {
            heard
                .iter()
                .any(|h| matches!(&h.event, EngineEvent::AckError { wa_message_id, level: -1 } if *wa_message_id == id))
                .then_some(())
        })
        .await;
    let resent = engine.resend(&id, &chat(FRIEND)).await;
    assert!(
        matches!(resent, SendOutcome::HandedOff(ack) if ack >= Ack::Server),
        "{resent:?}"
    );
    assert_eq!(scene.taken_and_delivered(&id).0, 1);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unready_page_is_given_nothing() {
    let (scene, engine) = Scene::linked().await;
    scene
        .sim
        .control()
        .fault(Fault::NetworkAway { ms: 0 })
        .unwrap();
    scene
        .sink
        .phase(engine.epoch(), steadfast_core::port::Phase::Offline)
        .await;
    let id = scene.mint();
    let outcome = engine.send(&id, &chat(FRIEND), &text("too early")).await;
    let SendOutcome::NotSent(failure) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(failure.kind, Kind::NetworkDown, "{failure:?}");
    let lookup = engine.lookup(&id, &chat(FRIEND)).await;
    assert!(matches!(lookup, LookupOutcome::Failed(_)), "{lookup:?}");
    // With the network it comes back by itself, in the same epoch.
    scene.sim.control().fault(Fault::NetworkBack).unwrap();
    scene
        .sink
        .until("ready again", |heard, _| {
            let last = heard.iter().rev().find_map(|h| match h.event {
                EngineEvent::Phase(phase) => Some(phase),
                _ => None,
            });
            (last == Some(steadfast_core::port::Phase::Ready)).then_some(())
        })
        .await;
    assert_eq!(
        engine.lookup(&id, &chat(FRIEND)).await,
        LookupOutcome::NotFound
    );
    scene.end().await;
}
