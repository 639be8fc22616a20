//! What others write reaches the store once, over every kind of interruption.

use crate::harness::{FRIEND, LONG, PHONE, Scene, chat, eventually, knobs, send_ok};
use serde_json::{Value, json};
use steadfast_core::ids::Epoch;
use steadfast_core::inbound::InboundMessage;
use steadfast_core::port::{Close, Connector, OpenStep, Phase};
use steadfast_sim::frames::PageFault;
use steadfast_sim::journal::{Entry, Event};
use steadfast_sim::world::{Fault, OutsideFile, OutsideMessage};

fn written(scene: &Scene, text: &str) -> String {
    let message = OutsideMessage {
        from: FRIEND.to_owned(),
        text: text.to_owned(),
        ..OutsideMessage::default()
    };
    scene
        .sim
        .control()
        .outside_message(PHONE, &message)
        .unwrap()
        .remove(0)
}

async fn received(scene: &Scene, id: &str) -> InboundMessage {
    scene
        .sink
        .until(&format!("inbound {id}"), |_, inbound| {
            inbound
                .iter()
                .find(|m| m.wa_message_id.as_str() == id)
                .cloned()
        })
        .await
}

/// Waits until the page has told the server that this message is in its database.
async fn kept_by_page(scene: &Scene, id: &str) {
    let receipt = |e: &Entry| e.event == Event::Received && e.id.as_deref() == Some(id);
    let control = scene.sim.control();
    control
        .wait_for_entry(0, "the page's receipt", LONG, receipt)
        .await
        .unwrap();
}

fn copies(scene: &Scene, id: &str) -> usize {
    let all = scene.sink.inbound_messages();
    all.iter()
        .filter(|m| m.wa_message_id.as_str() == id)
        .count()
}

/// Asks the page's own side of the engine.
async fn asked(scene: &Scene, epoch: Epoch, call: &str) -> Value {
    let page = scene.connector.page().await.unwrap();
    let script = format!("__steadfast({call:?}, {}, {{ limit: 1 }})", epoch.0);
    let answer: String = page.evaluate_as(&script, LONG).await.unwrap();
    serde_json::from_str::<Value>(&answer).unwrap()["ok"].take()
}

/// Waits until the page has read its chats back and has nothing left to tell.
async fn caught_up(scene: &Scene, epoch: Epoch) {
    eventually("the page to have read back", || async {
        let fetched = asked(scene, epoch, "inbox_fetch").await;
        fetched["messages"] == json!([]) && fetched["confirmed_to"].is_null()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_arrive_live_and_once() {
    let (scene, _engine) = Scene::linked().await;
    let id = written(&scene, "hello you");
    let message = received(&scene, &id).await;
    assert_eq!(message.text, "hello you");
    assert_eq!(message.chat, chat(FRIEND));
    assert_eq!(message.sender, chat(FRIEND));
    assert_eq!(message.kind, "chat");
    assert!(!message.from_me && !message.recovered);
    assert!(
        message.sent_at.0 > 1_600_000_000_000,
        "{:?}",
        message.sent_at
    );
    // Loading anew offers nothing that the store has, and the page.
    kept_by_page(&scene, &id).await;
    scene.ready_by(OpenStep::Reload).await;
    let later = written(&scene, "and again");
    received(&scene, &later).await;
    assert_eq!(copies(&scene, &id), 1);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_at_once_arrive_in_order() {
    let (scene, _engine) = Scene::linked().await;
    let message = OutsideMessage {
        from: FRIEND.to_owned(),
        text: "number {n}".to_owned(),
        count: Some(100),
        ..OutsideMessage::default()
    };
    let ids = scene
        .sim
        .control()
        .outside_message(PHONE, &message)
        .unwrap();
    received(&scene, ids.last().unwrap()).await;
    scene
        .sink
        .until("all hundred", |_, inbound| {
            (inbound.len() >= 100).then_some(())
        })
        .await;
    let got: Vec<String> = scene
        .sink
        .inbound_messages()
        .into_iter()
        .map(|m| m.wa_message_id.as_str().to_owned())
        .collect();
    assert_eq!(got, ids);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_is_asked_again() {
    let (scene, _engine) = Scene::linked().await;
    scene.sink.refuse(3);
    let id = written(&scene, "keep me");
    received(&scene, &id).await;
    assert_eq!(copies(&scene, &id), 1);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_when_the_page_died_comes_back_marked() {
    let (scene, _engine) = Scene::linked().await;
    scene.sink.refuse(u32::MAX);
    let id = written(&scene, "nearly lost");
    // The page has told the server that it has it: only its own store knows it now.
    kept_by_page(&scene, &id).await;
    scene.open(OpenStep::Reload).await;
    scene.sink.refuse(0);
    let message = received(&scene, &id).await;
    assert!(message.recovered);
    assert_eq!(copies(&scene, &id), 1);
    scene.end().await;
}

/// A new document has only the newest few of a chat in memory.
#[tokio::test(flavor = "multi_thread")]
async fn what_lies_deep_in_the_pages_database_comes_back_too() {
    let (scene, _engine) = Scene::linked().await;
    scene.sink.refuse(u32::MAX);
    let burst = OutsideMessage {
        from: FRIEND.to_owned(),
        text: "number {n}".to_owned(),
        count: Some(120),
        ..OutsideMessage::default()
    };
    let control = scene.sim.control();
    let ids = control.outside_message(PHONE, &burst).unwrap();
    for id in &ids {
        kept_by_page(&scene, id).await;
    }
    scene.open(OpenStep::Reload).await;
    scene.sink.refuse(0);
    scene
        .sink
        .until("all of them", |_, inbound| {
            ids.iter()
                .all(|id| inbound.iter().any(|m| m.wa_message_id.as_str() == id))
                .then_some(())
        })
        .await;
    assert!(ids.iter().all(|id| copies(&scene, id) == 1));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_we_were_away_is_fetched() {
    let (scene, engine) = Scene::linked().await;
    let first = written(&scene, "before");
    received(&scene, &first).await;
    // Taken is not confirmed yet: what is taken next shows that the one before it was.
    let next = written(&scene, "also before");
    received(&scene, &next).await;
    drop(engine);
    scene
        .connector
        .close(Close::Graceful {
            deadline_ms: 10_000,
        })
        .await;
    let away = written(&scene, "while away");
    scene.ready_by(OpenStep::Launch).await;
    received(&scene, &away).await;
    assert_eq!((copies(&scene, &first), copies(&scene, &away)), (1, 1));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_outage_loses_nothing() {
    let (scene, engine) = Scene::linked().await;
    scene
        .sim
        .control()
        .fault(Fault::NetworkAway { ms: 0 })
        .unwrap();
    scene.sink.phase(engine.epoch(), Phase::Offline).await;
    let id = written(&scene, "during the outage");
    scene.sim.control().fault(Fault::NetworkBack).unwrap();
    received(&scene, &id).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_events_is_read_by_level() {
    let (scene, engine) = Scene::linked().await;
    scene
        .page_fault_in_force(PageFault::MuteEvents { on: true })
        .await;
    let id = written(&scene, "no event tells of me");
    received(&scene, &id).await;
    let sent = send_ok(&scene, &engine, &chat(FRIEND), "nor of my acks").await;
    scene
        .sink
        .ack(&sent, steadfast_core::outbox::Ack::Read)
        .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_our_other_devices_are_told_apart() {
    let (scene, engine) = Scene::linked().await;
    let group = scene
        .sim
        .control()
        .create_group("Friends", PHONE, &[FRIEND.to_owned()])
        .unwrap();
    let in_group = OutsideMessage {
        from: FRIEND.to_owned(),
        group: Some(group.clone()),
        text: "to the group".to_owned(),
        ..OutsideMessage::default()
    };
    let id = scene
        .sim
        .control()
        .outside_message(PHONE, &in_group)
        .unwrap()
        .remove(0);
    let message = received(&scene, &id).await;
    assert_eq!(message.chat.as_str(), group);
    assert_eq!(message.sender, chat(FRIEND));

    let from_phone = scene
        .sim
        .control()
        .phone_send(PHONE, FRIEND, "from my phone")
        .unwrap();
    let message = received(&scene, &from_phone).await;
    assert!(message.from_me);
    assert_eq!((message.chat, message.sender), (chat(FRIEND), chat(PHONE)));

    // Our own sends are no inbound messages, also after a reload.
    let own = send_ok(&scene, &engine, &chat(FRIEND), "ours").await;
    scene.ready_by(OpenStep::Reload).await;
    let after = written(&scene, "after");
    received(&scene, &after).await;
    assert_eq!(copies(&scene, own.as_str()), 0);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_not_inbound() {
    let scene = Scene::with(knobs(json!({})), |_| {}).await;
    for n in 0..5 {
        written(&scene, &format!("old {n}"));
    }
    let engine = scene.open(OpenStep::Launch).await;
    let code = scene.sink.qr(engine.epoch()).await;
    scene.sim.control().scan(PHONE, &code).unwrap();
    scene.sink.phase(engine.epoch(), Phase::Ready).await;
    let live = written(&scene, "new");
    let message = received(&scene, &live).await;
    assert!(!message.recovered);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_in_the_middle_of_an_emoji_holds_nothing_up() {
    let (scene, _engine) = Scene::linked().await;
    let control = scene.sim.control();
    let long = OutsideMessage {
        from: FRIEND.to_owned(),
        text: format!("a{}", "\u{1f600}".repeat(40_000)),
        ..OutsideMessage::default()
    };
    let long = control.outside_message(PHONE, &long).unwrap().remove(0);
    let named = OutsideMessage {
        from: FRIEND.to_owned(),
        kind: Some("document".to_owned()),
        file: Some(OutsideFile {
            data: "aGVsbG8=".to_owned(),
            mimetype: "text/plain".to_owned(),
            filename: Some(format!("{}\u{1f600}", "n".repeat(254))),
        }),
        ..OutsideMessage::default()
    };
    let named = control.outside_message(PHONE, &named).unwrap().remove(0);
    let behind = written(&scene, "behind them");
    received(&scene, &behind).await;
    // 65,536 units of UTF-16 at most, and no half of a pair.
    assert_eq!(
        received(&scene, &long).await.text,
        format!("a{}", "\u{1f600}".repeat(32_767))
    );
    let file = received(&scene, &named).await.extras.media.unwrap();
    assert_eq!(file.name, Some("n".repeat(254)));
    scene.end().await;
}

/// Its text may come hours after it, to a document that no longer holds it for new.
#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_readable_late_is_told_though_the_page_was_loaded_anew() {
    let (scene, _engine) = Scene::linked().await;
    let control = scene.sim.control();
    let late = "A0B1C2D3E4F5A0B1C2D3E4F5A0B1C2D3";
    let message = |kind: &str, text: &str| OutsideMessage {
        from: FRIEND.to_owned(),
        kind: Some(kind.to_owned()),
        text: text.to_owned(),
        id: Some(late.to_owned()),
        ..OutsideMessage::default()
    };
    control
        .outside_message(PHONE, &message("ciphertext", ""))
        .unwrap();
    // More than a new document begins with.
    let others: Vec<String> = (0..8).map(|n| written(&scene, &n.to_string())).collect();
    received(&scene, others.last().unwrap()).await;
    let (engine, _) = scene.ready_by(OpenStep::Reload).await;
    caught_up(&scene, engine.epoch()).await;
    assert_eq!(copies(&scene, late), 0);
    control
        .outside_message(PHONE, &message("chat", "now you can read me"))
        .unwrap();
    assert_eq!(received(&scene, late).await.text, "now you can read me");
    assert_eq!(copies(&scene, late), 1);
    scene.end().await;
}

/// The keys of an account's messages change with its addresses.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_to_hidden_ids_tells_nothing_twice() {
    let (scene, engine) = Scene::linked().await;
    let before = written(&scene, "before the move");
    received(&scene, &before).await;
    caught_up(&scene, engine.epoch()).await;
    scene.sim.control().migrate_to_lid(PHONE).unwrap();
    let after = written(&scene, "after it");
    let moved = received(&scene, &after).await.chat;
    assert!(moved.as_str().ends_with("@lid"));
    // A look at all that is in memory: the count of messages has changed.
    asked(&scene, engine.epoch(), "health").await;
    caught_up(&scene, engine.epoch()).await;
    assert_eq!((copies(&scene, &before), copies(&scene, &after)), (1, 1));
    scene.end().await;
}
