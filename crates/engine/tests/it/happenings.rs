//! What becomes of messages and groups reaches the store, over interruptions
//! too; and actions where people go by hidden ids.

use crate::harness::{FRIEND, PHONE, Scene, chat, knobs};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use steadfast_core::action::{Action, Activity, Answer, ParticipantChange};
use steadfast_core::failure::Kind;
use steadfast_core::inbound::Happening;
use steadfast_core::port::{OpenStep, Phase};
use steadfast_sim::world::OutsideMessage;

const OTHER: &str = "4915120000003";

fn from_friend(scene: &Scene, message: OutsideMessage) -> String {
    let message = OutsideMessage {
        from: FRIEND.to_owned(),
        ..message
    };
    let ids = scene.sim.control().outside_message(PHONE, &message);
    ids.unwrap().remove(0)
}

/// A message of the friend's that is on disk.
async fn received(scene: &Scene, text: &str) -> String {
    let message = OutsideMessage {
        text: text.to_owned(),
        ..OutsideMessage::default()
    };
    let id = from_friend(scene, message);
    scene
        .sink
        .until("the message", |_, inbound| {
            inbound
                .iter()
                .any(|m| m.wa_message_id.as_str() == id)
                .then_some(())
        })
        .await;
    id
}

/// The friend does something to a message of theirs.
fn about(scene: &Scene, kind: &str, text: &str, id: &str) {
    let author = format!("{FRIEND}@c.us");
    let mut content = Map::new();
    content.insert(
        "target".to_owned(),
        json!({"id": id, "chat": author, "from_me": true, "author": author}),
    );
    if kind == "reaction" {
        content.insert("reaction".to_owned(), Value::from(text));
    }
    from_friend(
        scene,
        OutsideMessage {
            kind: Some(kind.to_owned()),
            text: text.to_owned(),
            content,
            ..OutsideMessage::default()
        },
    );
}

fn what(happening: &Happening) -> &'static str {
    match happening {
        Happening::Edited { .. } => "edited",
        Happening::Revoked { .. } => "revoked",
        Happening::Reaction { .. } => "reaction",
        Happening::Group { .. } => "group",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_page_had_and_the_store_had_not_is_found_by_level() {
    let (scene, _engine) = Scene::linked().await;
    let (edited, revoked) = (
        received(&scene, "helo").await,
        received(&scene, "oops").await,
    );
    scene.sink.refuse_happenings(true);
    about(&scene, "edit", "hello", &edited);
    about(&scene, "reaction", "👍", &edited);
    about(&scene, "revoke", "", &revoked);
    scene
        .sim
        .control()
        .create_group("Theirs", FRIEND, &[PHONE.to_owned()])
        .unwrap();
    // The page has confirmed them to WhatsApp, and nobody will tell it again.
    received(&scene, "behind them").await;
    assert!(scene.sink.happenings().is_empty());
    scene.ready_by(OpenStep::Reload).await;
    scene.sink.refuse_happenings(false);
    let told = scene.sink.happened(4).await;
    let mut kinds: Vec<_> = told.iter().map(what).collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        ["edited", "group", "reaction", "revoked"],
        "{told:?}"
    );
    for happening in &told {
        match happening {
            Happening::Edited { message, text, .. } => {
                assert_eq!(
                    (message.id.as_str(), text.as_str()),
                    (edited.as_str(), "hello")
                );
            }
            Happening::Revoked { message, .. } => assert_eq!(message.id.as_str(), revoked),
            Happening::Reaction {
                message,
                sender,
                emoji,
                ..
            } => {
                assert_eq!(
                    (message.id.as_str(), emoji.as_str()),
                    (edited.as_str(), "👍")
                );
                assert_eq!(*sender, chat(FRIEND));
            }
            Happening::Group { change, by, .. } => {
                assert_eq!(
                    (change.as_str(), by.as_ref()),
                    ("create", Some(&chat(FRIEND)))
                );
            }
        }
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reaction_taken_back_is_told_with_no_emoji() {
    let (scene, _engine) = Scene::linked().await;
    let id = received(&scene, "nice?").await;
    about(&scene, "reaction", "👍", &id);
    scene.sink.happened(1).await;
    about(&scene, "reaction", "", &id);
    let told = scene.sink.happened(2).await;
    assert!(
        matches!(&told[1], Happening::Reaction { emoji, .. } if emoji.is_empty()),
        "{told:?}"
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_found_by_number_where_they_go_by_hidden_ids() {
    let (scene, engine) = Scene::linked_with(knobs(json!({"addressing": "lid"})), |_| {}).await;
    received(&scene, "hello").await;
    let friend = chat(FRIEND);
    let ask = async |action: Action| engine.perform(&action).await.unwrap();
    let typing = Action::Typing {
        chat: friend.clone(),
        activity: Activity::Composing,
    };
    assert_eq!(ask(typing).await, Answer::Done);
    let read = Action::MarkRead {
        chat: friend.clone(),
    };
    assert_eq!(ask(read).await, Answer::Done);
    let history = ask(Action::History {
        chat: friend.clone(),
        limit: 1,
        before: None,
    })
    .await;
    assert!(
        matches!(&history, Answer::History(m) if m.len() == 1 && m[0].message.text == "hello"),
        "{history:?}"
    );
    let created = ask(Action::CreateGroup {
        subject: "Hidden".to_owned(),
        participants: vec![friend.clone()],
    })
    .await;
    let Answer::Created {
        group,
        participants,
    } = created
    else {
        panic!("{created:?}");
    };
    assert_eq!(
        (participants[0].id.clone(), participants[0].code),
        (friend.clone(), 200)
    );
    assert!(
        group
            .participants
            .iter()
            .all(|p| p.id.as_str().ends_with("@lid")),
        "{group:?}"
    );
    for (change, who) in [
        (ParticipantChange::Promote, FRIEND),
        (ParticipantChange::Demote, FRIEND),
        (ParticipantChange::Remove, FRIEND),
        (ParticipantChange::Add, OTHER),
    ] {
        let answer = ask(Action::Participants {
            group: group.id.clone(),
            change,
            participants: vec![chat(who)],
        })
        .await;
        assert!(
            matches!(&answer, Answer::Participants(p) if p.len() == 1 && p[0].id == chat(who) && p[0].code == 200),
            "{change:?}: {answer:?}"
        );
    }
    let block = |blocked| Action::Block {
        contact: friend.clone(),
        blocked,
    };
    assert_eq!(ask(block(true)).await, Answer::Done);
    let Answer::Blocklist(blocked) = ask(Action::Blocklist).await else {
        panic!("no blocklist");
    };
    assert_eq!(blocked.len(), 1);
    assert_eq!(ask(block(false)).await, Answer::Done);
    assert_eq!(ask(Action::Blocklist).await, Answer::Blocklist(vec![]));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_a_login_refuses_at_once() {
    let scene = Scene::new().await;
    let engine = scene.open(OpenStep::Launch).await;
    scene.sink.phase(engine.epoch(), Phase::Linking).await;
    scene.sink.qr(engine.epoch()).await;
    let begun = Instant::now();
    let failure = engine.perform(&Action::Contacts).await.unwrap_err();
    assert_eq!(failure.kind, Kind::AuthRequired, "{failure:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    scene.end().await;
}
