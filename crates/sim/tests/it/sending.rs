use crate::client::{BOB, End, PATIENCE, PHONE, Page, fast, link, login, start};
use serde_json::json;
use steadfast_sim::journal::Event;
use steadfast_sim::knobs::Knobs;
use steadfast_sim::world::{CutWhen, Fault, PersonPatch};

fn bob() -> String {
    format!("{BOB}@c.us")
}

#[tokio::test]
async fn a_text_is_acked_delivered_and_read() {
    let sim = start(fast()).await;
    let mut page = login(&sim, &link(&sim).await).await;
    page.text("3EB0AA", &bob(), "hello").await;
    let ack = page.until("ack").await;
    assert_eq!(
        (&ack["id"], &ack["level"], &ack["repeat"]),
        (&json!("3EB0AA"), &json!(1), &json!(false))
    );
    for level in [2, 3] {
        let receipt = page.until("receipt").await;
        assert_eq!(
            (&receipt["ids"], &receipt["level"]),
            (&json!(["3EB0AA"]), &json!(level))
        );
        page.send(json!({"op": "received", "sids": [receipt["sid"]]}))
            .await;
    }
    let delivered = sim
        .control()
        .wait_for_entry(0, "delivery", PATIENCE, |e| e.event == Event::Delivered)
        .await
        .unwrap();
    assert_eq!(delivered.body.as_deref(), Some("hello"));
    assert_eq!(delivered.peer, Some(bob()));
    sim.shutdown().await;
}

#[tokio::test]
async fn a_repeat_is_dropped_and_acked_again() {
    let sim = start(fast()).await;
    let mut page = login(&sim, &link(&sim).await).await;
    for repeat in [false, true] {
        page.text("3EB0AA", &bob(), "hello").await;
        assert_eq!(page.until("ack").await["repeat"], repeat);
    }
    let journal =
        sim.control()
            .journal(0, 10_000, &[Event::Taken, Event::Repeat, Event::Delivered]);
    let count = |event| journal.entries.iter().filter(|e| e.event == event).count();
    assert_eq!((count(Event::Taken), count(Event::Repeat)), (1, 1));
    assert_eq!(journal.repeats_dropped, 1);
    sim.shutdown().await;
}

#[tokio::test]
async fn what_was_taken_before_the_cut_is_a_repeat_afterwards() {
    let sim = start(fast()).await;
    let device = link(&sim).await;
    for (when, repeat, id) in [
        (CutWhen::Before, false, "3EB0AA"),
        (CutWhen::After, true, "3EB0BB"),
    ] {
        let mut page = login(&sim, &device).await;
        sim.control()
            .fault(Fault::CutOnSend { count: 1, when })
            .unwrap();
        page.text(id, &bob(), "hello").await;
        assert_eq!(page.end().await, End::Cut);
        let mut page = login(&sim, &device).await;
        page.text(id, &bob(), "hello").await;
        assert_eq!(page.until("ack").await["repeat"], repeat, "{when:?}");
    }
    sim.shutdown().await;
}

#[tokio::test]
async fn refused_sends_may_be_sent_again_under_their_id() {
    let sim = start(fast()).await;
    let mut page = login(&sim, &link(&sim).await).await;
    sim.control()
        .fault(Fault::RefuseSends {
            count: 1,
            code: 463,
            level: -1,
            result: "ERROR_UNKNOWN".to_owned(),
        })
        .unwrap();
    page.text("3EB0AA", &bob(), "hello").await;
    let nack = page.until("nack").await;
    assert_eq!((&nack["code"], &nack["level"]), (&json!(463), &json!(-1)));
    page.text("3EB0AA", &bob(), "hello").await;
    assert_eq!(page.until("ack").await["repeat"], false);
    sim.shutdown().await;
}

#[tokio::test]
async fn nobody_home_and_nonsense_are_refused_with_their_codes() {
    let sim = start(fast()).await;
    let mut page = login(&sim, &link(&sim).await).await;
    sim.control()
        .patch_person(
            BOB,
            PersonPatch {
                exists: Some(false),
                ..PersonPatch::default()
            },
        )
        .unwrap();
    for (id, chat, body, code) in [
        ("3EB0A1", bob(), "x".to_owned(), 406),
        ("3EB0A2", "4711@example.org".to_owned(), "x".to_owned(), 404),
        (
            "bad id!",
            "4915100000003@c.us".to_owned(),
            "x".to_owned(),
            400,
        ),
        (
            "3EB0A3",
            "4915100000003@c.us".to_owned(),
            "x".repeat(65_537),
            413,
        ),
        (
            "3EB0A4",
            "120363000000000001@g.us".to_owned(),
            "x".to_owned(),
            403,
        ),
    ] {
        page.text(id, &chat, &body).await;
        assert_eq!(page.until("nack").await["code"], code, "{id}");
    }
    sim.shutdown().await;
}

#[tokio::test]
async fn lost_sends_and_lost_acks_look_alike_to_the_page() {
    let sim = start(Knobs {
        auto_read: false,
        ..fast()
    })
    .await;
    let mut page = login(&sim, &link(&sim).await).await;
    sim.control().fault(Fault::LoseSends { count: 1 }).unwrap();
    page.text("3EB0AA", &bob(), "lost").await;
    page.send(json!({"op": "ping", "n": 1})).await;
    assert_eq!(page.next().await.unwrap()["op"], "pong");
    sim.control().fault(Fault::DropAcks { count: 1 }).unwrap();
    page.text("3EB0BB", &bob(), "taken").await;
    let receipt = page.next().await.unwrap();
    assert_eq!(
        (&receipt["op"], &receipt["ids"]),
        (&json!("receipt"), &json!(["3EB0BB"]))
    );
    sim.shutdown().await;
}

#[tokio::test]
async fn another_companion_sees_what_one_sends() {
    let sim = start(fast()).await;
    let mut one = login(&sim, &link(&sim).await).await;
    let mut two = login(&sim, &link(&sim).await).await;
    one.text("3EB0AA", &bob(), "hello").await;
    let copy = two.until("message").await;
    assert_eq!(
        (&copy["id"], &copy["from_me"], &copy["body"]),
        (&json!("3EB0AA"), &json!(true), &json!("hello"))
    );
    assert_eq!(copy["chat"], bob());
    let id = sim
        .control()
        .phone_send(PHONE, BOB, "from the phone")
        .unwrap();
    for page in [&mut one, &mut two] {
        let copy = page.until("message").await;
        assert_eq!((&copy["id"], &copy["from_me"]), (&json!(id), &json!(true)));
    }
    sim.shutdown().await;
}

#[tokio::test]
async fn a_group_is_read_when_its_last_member_has_read() {
    let sim = start(fast()).await;
    sim.control()
        .patch_person(
            "4915100000003",
            PersonPatch {
                reads: Some(false),
                ..PersonPatch::default()
            },
        )
        .unwrap();
    let members = [BOB.to_owned(), "4915100000003".to_owned()];
    let group = sim.control().create_group("Trip", PHONE, &members).unwrap();
    let mut page = login(&sim, &link(&sim).await).await;
    page.text("3EB0AA", &group, "hello all").await;
    let mut overall = Vec::new();
    let mut own = Vec::new();
    while own.len() < 3 {
        let receipt = page.until("receipt").await;
        assert_eq!(receipt["chat"], group);
        if receipt["participant"].is_null() {
            overall.push(receipt["level"].clone());
        } else {
            own.push((receipt["participant"].clone(), receipt["level"].clone()));
        }
    }
    assert!(own.contains(&(json!(bob()), json!(3))));
    assert_eq!(overall, [json!(2)]);
    sim.shutdown().await;
}

#[tokio::test]
async fn a_page_that_asks_gets_answers() {
    let sim = start(fast()).await;
    sim.control()
        .patch_person(
            "4915100000009",
            PersonPatch {
                exists: Some(false),
                ..PersonPatch::default()
            },
        )
        .unwrap();
    let mut page = login(&sim, &link(&sim).await).await;
    let answer = page
        .ask(json!({"q": "exists", "ids": [bob(), "4915100000009"]}))
        .await;
    assert_eq!(answer["results"][0]["exists"], true);
    assert_eq!(answer["results"][1]["exists"], false);
    let lid = answer["results"][0]["lid"].clone();
    let back = page.ask(json!({"q": "lids", "ids": [lid]})).await;
    assert_eq!(back["pairs"][0]["pn"], bob());
    let made = page.ask(json!({"q": "group_create", "subject": "Trip", "participants": [bob(), "4915100000009@c.us"]})).await;
    assert_eq!(
        made["participants"],
        json!([{"id": bob(), "code": 200}, {"id": "4915100000009@c.us", "code": 404}])
    );
    let unknown = page.ask(json!({"q": "brand_new"})).await;
    assert_eq!(
        (&unknown["ok"], &unknown["code"]),
        (&json!(false), &json!(501))
    );
    page.send(json!({"op": "query", "rid": 1, "q": "logout"}))
        .await;
    assert_eq!(page.until("result").await["ok"], true);
    assert_eq!(page.end().await, End::Code(1000));
    assert!(sim.control().account(PHONE).unwrap().devices.is_empty());
    sim.shutdown().await;
}

#[tokio::test]
async fn chats_move_to_hidden_ids_and_both_addresses_work() {
    let sim = start(fast()).await;
    let mut page = login(&sim, &link(&sim).await).await;
    page.text("3EB0AA", &bob(), "by number").await;
    assert_eq!(page.until("ack").await["chat"], bob());
    sim.control().migrate_to_lid(PHONE).unwrap();
    let migration = page.until("lid_migration").await;
    assert_eq!(migration["pairs"][0]["pn"], bob());
    let lid = migration["pairs"][0]["lid"].as_str().unwrap().to_owned();
    for (id, chat) in [("3EB0BB", bob()), ("3EB0CC", lid.clone())] {
        page.text(id, &chat, id).await;
        assert_eq!(page.until("ack").await["chat"], lid);
    }
    let taken = sim.control().journal(0, 10_000, &[Event::Taken]);
    assert!(taken.entries.iter().all(|e| e.chat == Some(bob())));
    sim.shutdown().await;
}

#[tokio::test]
async fn the_page_is_served_with_its_boot_object_and_policy() {
    let sim = start(Knobs {
        web_version: "2.3000.42".to_owned(),
        ..fast()
    })
    .await;
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/page/index.html");
    if std::path::Path::new(dir).exists() {
        let (status, text) = crate::client::http(&sim, "GET /?post_logout=1", b"").await;
        assert_eq!(status, 200);
        assert!(
            text.contains("content-security-policy: default-src 'self'"),
            "{text}"
        );
        assert!(text.contains("\"web_version\":\"2.3000.42\""), "{text}");
        assert!(!text.contains("__SIM_BOOT__"));
    }
    assert_eq!(
        crate::client::http(&sim, "GET /../Cargo.toml", b"").await.0,
        404
    );
    let patch = json!({"refuse_headless": true});
    sim.control().turn(patch.as_object().unwrap()).unwrap();
    let (_, text) = crate::client::http(
        &sim,
        "GET / HTTP/1.1\r\nUser-Agent: HeadlessChrome/1\r\nX: ",
        b"",
    )
    .await;
    assert!(text.contains("WhatsApp works with"), "{text}");
    let _ = Page::open(&sim).await;
    sim.shutdown().await;
}
