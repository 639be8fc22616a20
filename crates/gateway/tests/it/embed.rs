//! The gateway inside a program, on a world in memory.

use std::time::Duration;
use steadfast_gateway::embed::{
    Ack, AckWait, Assertion, AssertionJson, Error, Gateway, LinkStep, MessageQuery, Outgoing,
    Session, SessionState, Status, UnixMs, scripted,
};

const OURS: &str = "4915112345678";
const THEIRS: &str = "4915198765432";
const PATIENCE: Duration = Duration::from_secs(30);

fn world() -> scripted::World {
    scripted::World::start(7, scripted::Knobs::default(), OURS).unwrap()
}

async fn link(session: &Session, phone: &scripted::WorldPhone) -> usize {
    let mut codes = 0;
    let linked = session.link(PATIENCE, |step| match step {
        LinkStep::Qr(qr) => {
            codes += 1;
            phone.control().scan(OURS, &qr.code).unwrap();
        }
        LinkStep::Passkey(_) => panic!("nobody asked for one"),
    });
    assert_eq!(linked.await.unwrap().state, SessionState::Ready);
    codes
}

fn code(error: &Error) -> &'static str {
    error.code().unwrap_or_else(|| panic!("{error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_before_linking_is_sent_after_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let world = world();
    let phone = world.phone.clone();
    let gateway = Gateway::builder(dir.path())
        .scripted(world)
        .start()
        .await
        .unwrap();
    assert_eq!(
        (gateway.http_address(), gateway.first_token()),
        (None, None)
    );
    let session = gateway.session("default").unwrap();
    let order = || Outgoing::text(THEIRS, "early").unwrap().key("order-1");
    let early = session.send(order()).await.unwrap();
    assert!(!early.replayed);
    assert_eq!(link(&session, &phone).await, 1);
    // The last ack that comes of a text: from here on its status stands.
    let sent = gateway.wait_for_ack(&early.id, Ack::Read, PATIENCE).await;
    assert!(matches!(sent.unwrap(), AckWait::Reached(_)));
    assert_eq!(
        scripted::Phone::reached(&phone).await.unwrap()[0].text,
        "early"
    );
    let message = gateway.message(&early.id).await.unwrap().unwrap();
    assert_eq!(message.wa_message_id, early.wa_message_id);
    assert_eq!(gateway.attempts(&early.id).await.unwrap().len(), 1);
    assert_eq!(
        gateway.cancel(&early.id).await.unwrap().unwrap().status,
        message.status
    );
    assert_eq!(gateway.unpark(&early.id, true).await.unwrap(), None);
    let health = session.health().await.unwrap();
    assert_eq!(health.recommendations, ["All systems operating normally"]);

    let ids = phone.control().outside_message(
        OURS,
        &steadfast_sim::world::OutsideMessage {
            from: THEIRS.to_owned(),
            text: "thanks".to_owned(),
            ..Default::default()
        },
    );
    let id = ids.unwrap().remove(0);
    let inbound = async {
        loop {
            let found = session.inbound(0, 10).await.unwrap();
            if let Some(first) = found.into_iter().next() {
                return first;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let inbound = tokio::time::timeout(PATIENCE, inbound).await.unwrap();
    assert_eq!(inbound.message.wa_message_id.as_str(), id);
    assert_eq!(inbound.message.text, "thanks");
    // All of it stands in the log, from the first thing on.
    let mut events = gateway.events(0).kinds(["message.*"]).unwrap();
    let mut told = Vec::new();
    while !told.contains(&"message.received") {
        let event = tokio::time::timeout(PATIENCE, events.next()).await.unwrap();
        told.push(event.unwrap().kind.as_str());
    }
    assert_eq!(told[..2], ["message.accepted", "message.sent"]);
    assert!(events.position() <= gateway.newest_event().await.unwrap());
    assert!(!events.missed_some());
    gateway.shutdown().await;
    let end = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Err(end) = events.next().await {
                return end;
            }
        }
    });
    assert_eq!(code(&end.await.unwrap()), "shutting_down");

    // Another process, as it were: the key is still known, and so is the message.
    let gateway = Gateway::builder(dir.path())
        .scripted(self::world())
        .start()
        .await
        .unwrap();
    let session = gateway.session("default").unwrap();
    let again = session.send(order()).await.unwrap();
    assert!(again.replayed);
    assert_eq!(
        (again.id, again.wa_message_id),
        (early.id, early.wa_message_id)
    );
    gateway.shutdown().await;
}

/// Browsers start one after the other: who waits for the last of them is not
/// told that it is stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_turn_to_start_has_not_come_is_starting() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::builder(dir.path()).scripted(world());
    let gateway = gateway.start().await.unwrap();
    gateway.create_session("shop").await.unwrap();
    gateway.shutdown().await;

    let gateway = Gateway::builder(dir.path())
        .scripted(world())
        .set("session.start_stagger_ms", 60_000)
        .start()
        .await
        .unwrap();
    let later = gateway.session("shop").unwrap();
    assert_eq!(later.view().await.unwrap().state, SessionState::Starting);
    let waited = later.wait_until_ready(Duration::from_millis(200)).await;
    assert_eq!(code(&waited.unwrap_err()), "timeout");
    // What its owner says goes before.
    assert_eq!(later.stop().await.unwrap().state, SessionState::Stopped);
    let waited = later.wait_until_ready(PATIENCE).await;
    assert_eq!(code(&waited.unwrap_err()), "wrong_state");
    gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_come_and_go_and_refuse_with_the_codes_of_http() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::builder(dir.path())
        .scripted(world())
        .set("session.max_sessions", 2)
        .start()
        .await
        .unwrap();
    let shop = gateway.create_session("shop").await.unwrap();
    let names = |views: Vec<steadfast_gateway::embed::SessionView>| -> Vec<String> {
        views
            .into_iter()
            .map(|view| view.name.to_string())
            .collect()
    };
    assert_eq!(
        names(gateway.sessions().await.unwrap()),
        ["default", "shop"]
    );
    let refused = |end: Result<Session, Error>| code(&end.err().unwrap());
    assert_eq!(
        refused(gateway.create_session("shop").await),
        "session_exists"
    );
    assert_eq!(
        refused(gateway.create_session("third").await),
        "session_limit"
    );
    assert_eq!(refused(gateway.session("No Name")), "invalid_field");
    let nobody = gateway.session("nobody").unwrap();
    assert_eq!(code(&nobody.view().await.unwrap_err()), "session_unknown");
    let order = Outgoing::text(THEIRS, "hi").unwrap();
    assert_eq!(
        code(&nobody.send(order).await.unwrap_err()),
        "session_unknown"
    );
    for (to, text, wrong) in [
        ("12", "hi", "invalid_recipient"),
        (THEIRS, "", "invalid_field"),
    ] {
        assert_eq!(code(&Outgoing::text(to, text).unwrap_err()), wrong);
    }
    let keyed = Outgoing::text(THEIRS, "hi").unwrap().key("");
    assert_eq!(
        code(&shop.send(keyed).await.unwrap_err()),
        "invalid_idempotency_key"
    );

    shop.stop().await.unwrap();
    let late = Outgoing::text(THEIRS, "late")
        .unwrap()
        .expires_at(UnixMs(1));
    shop.send(late).await.unwrap();
    let kept = shop
        .send(Outgoing::text(THEIRS, "kept").unwrap())
        .await
        .unwrap();
    let place =
        serde_json::json!({"to": THEIRS, "type": "location", "latitude": 52.5, "longitude": 13.4});
    let placed = shop.send_request(place.clone(), Some("place-1")).await;
    let placed = placed.unwrap();
    let stored = gateway.message(&placed.id).await.unwrap().unwrap();
    assert_eq!(stored.body.kind(), "location");
    let again = shop.send_request(place, Some("place-1")).await.unwrap();
    assert_eq!((again.id, again.replayed), (placed.id, true));
    let nowhere = serde_json::json!({"to": THEIRS, "type": "location"});
    let refused = shop.send_request(nowhere, None).await.unwrap_err();
    assert_eq!(code(&refused), "invalid_field");
    let ended = shop.wait_until_ready(PATIENCE).await.unwrap_err();
    assert_eq!(code(&ended), "wrong_state");
    let waited = gateway
        .wait_for_ack(&kept.id, Ack::Server, Duration::from_millis(50))
        .await;
    assert_eq!(waited.unwrap(), AckWait::TimedOut);
    let taken_back = gateway.cancel(&kept.id).await.unwrap().unwrap();
    assert_eq!(taken_back.status, Status::Cancelled);
    let query = MessageQuery {
        limit: 10,
        ..MessageQuery::default()
    };
    assert_eq!(shop.messages(query).await.unwrap().len(), 3);
    shop.delete().await.unwrap();
    assert_eq!(names(gateway.sessions().await.unwrap()), ["default"]);
    gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_all_named_and_a_folder_has_one_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let end = Gateway::builder(dir.path())
        .set("delivery.max_in_fligth", 3)
        .set("nothing.at_all", 1)
        .start()
        .await;
    let text = end.err().unwrap().to_string();
    assert!(text.contains("delivery.max_in_flight"), "{text}");
    assert!(text.contains("nothing.at_all"), "{text}");
    let end = Gateway::builder(dir.path())
        .set("delivery.max_in_flight", "many")
        .start()
        .await;
    assert!(matches!(end, Err(Error::Config(_))));
    let first = Gateway::builder(dir.path())
        .scripted(world())
        .set("server.listen", "127.0.0.1:0")
        .http(true)
        .start()
        .await
        .unwrap();
    let address = first.http_address().unwrap();
    let headers = [("x-api-key", first.first_token().unwrap())];
    let path = "/v1/sessions/default";
    let reply = crate::client::call(address, hyper::Method::GET, path, &headers, "").await;
    assert_eq!(reply.status, 200);
    let second = Gateway::builder(dir.path()).scripted(world()).start().await;
    assert!(matches!(second, Err(Error::Start(_))));
    first.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_is_asked_of_the_program_and_answered_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let world = world();
    let phone = world.phone.clone();
    let own = scripted::Authenticator::new().unwrap();
    scripted::Phone::demand_passkey(&phone, &own.passkey())
        .await
        .unwrap();
    let gateway = Gateway::builder(dir.path())
        .scripted(world)
        .start()
        .await
        .unwrap();
    let session = gateway.session("default").unwrap();
    let answer = |options: &str| {
        let answer: AssertionJson = serde_json::from_str(&own.answer(options).unwrap()).unwrap();
        Assertion::parse(&answer).unwrap()
    };
    let (send, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let linking = session.link(PATIENCE, |step| match step {
        LinkStep::Qr(qr) => phone.control().scan(OURS, &qr.code).unwrap(),
        LinkStep::Passkey(challenge) => send.send(challenge).unwrap(),
    });
    let answering = async {
        let challenge = asked.recv().await.unwrap();
        let view = session.view().await.unwrap();
        assert!(view.has_passkey_challenge);
        assert_eq!(view.reason.as_deref(), Some("passkey_wanted"));
        let other = answer(r#"{"challenge":"b3RoZXI","rpId":"whatsapp.com"}"#);
        let refused = session.answer_passkey(&other).await.unwrap_err();
        assert_eq!(code(&refused), "passkey_refused");
        let own = answer(&challenge.options);
        session.answer_passkey(&own).await.unwrap();
    };
    let (linked, ()) = tokio::join!(linking, answering);
    assert_eq!(linked.unwrap().state, SessionState::Ready);
    gateway.shutdown().await;
}
