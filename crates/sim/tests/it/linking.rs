use crate::authenticator::Signing;
use crate::client::{End, PHONE, Page, fast, link, login, start};
use serde_json::{Value, json};
use steadfast_sim::journal::Event;
use steadfast_sim::world::Passkey;
use steadfast_sim::{Authenticator, Error, PhoneRefusal};

#[tokio::test]
async fn a_scanned_page_becomes_a_device_and_catches_up() {
    let sim = start(fast()).await;
    let device = link(&sim).await;
    let mut page = Page::open(&sim).await;
    page.hello(&device, false).await;
    let seen = page.caught_up().await;
    let ops: Vec<&str> = seen.iter().filter_map(|f| f["op"].as_str()).collect();
    assert_eq!(ops, ["success", "sync", "offline", "offline_done"]);
    assert_eq!(seen[0]["me"]["pn"], format!("{PHONE}@c.us"));
    assert_eq!(seen[0]["me"]["push_name"], "Ada");
    let view = sim.control().account(PHONE).unwrap();
    assert!(view.devices[0].connected && view.devices[0].synced);
    sim.shutdown().await;
}

#[tokio::test]
async fn phones_refuse_codes_that_are_not_the_pages_own() {
    let sim = start(fast()).await;
    let mut page = Page::open(&sim).await;
    page.hello(&Value::Null, false).await;
    let qr = page.until("qr").await;
    assert_eq!(qr["refs"].as_array().unwrap().len(), 6);
    let good = page.code(&qr, 0);
    let refused = |code: &str| match sim.control().scan(PHONE, code) {
        Err(Error::PhoneRefuses(why)) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("hello"), PhoneRefusal::NotACode);
    let wrong_keys = good.replacen(
        page.keys["adv"].as_str().unwrap(),
        page.keys["static"].as_str().unwrap(),
        1,
    );
    assert_eq!(refused(&wrong_keys), PhoneRefusal::WrongKeys);
    let unknown = good.replacen("2@", "2@x", 1);
    assert_eq!(refused(&unknown), PhoneRefusal::Expired);
    sim.control().set_phone_online(PHONE, false).unwrap();
    assert_eq!(refused(&good), PhoneRefusal::Offline);
    sim.control().set_phone_online(PHONE, true).unwrap();
    sim.control().scan(PHONE, &good).unwrap();
    sim.shutdown().await;
}

#[tokio::test]
async fn a_pairing_code_links_too() {
    let sim = start(fast()).await;
    let mut page = Page::open(&sim).await;
    page.hello(&Value::Null, false).await;
    page.send(json!({"op": "pair_code_request", "rid": 4, "phone": PHONE}))
        .await;
    let answer = page.until("result").await;
    assert_eq!(answer["ok"], true);
    let code = answer["code"].as_str().unwrap();
    assert_eq!(code.len(), 8);
    let shown = format!("{}-{}", &code[..4], &code[4..]);
    sim.control().enter_pairing_code(PHONE, &shown).unwrap();
    page.until("paired").await;
    page.send(json!({"op": "pair_code_request", "rid": 5, "phone": PHONE}))
        .await;
    assert_eq!(page.until("result").await["code"], 400);
    sim.shutdown().await;
}

#[tokio::test]
async fn unlinked_devices_are_told_at_once_and_refused_later() {
    let sim = start(fast()).await;
    let device = link(&sim).await;
    let mut page = login(&sim, &device).await;
    assert_eq!(sim.control().unlink(PHONE, None, 1).unwrap(), 1);
    let told = page.until("stream_error").await;
    assert_eq!(
        (&told["code"], &told["conflict"]),
        (&json!(401), &json!("device_removed"))
    );
    assert_eq!(page.end().await, End::Code(1000));
    let mut again = Page::open(&sim).await;
    again.hello(&device, true).await;
    let failure = again.until("failure").await;
    assert_eq!(
        (&failure["reason"], &failure["logout_reason"]),
        (&json!(401), &json!(1))
    );
    sim.shutdown().await;
}

#[tokio::test]
async fn a_second_page_of_the_same_device_replaces_the_first() {
    let sim = start(fast()).await;
    let device = link(&sim).await;
    let mut first = login(&sim, &device).await;
    let mut second = login(&sim, &device).await;
    let told = first.until("stream_error").await;
    assert_eq!(
        (&told["code"], &told["conflict"]),
        (&json!(409), &json!("replaced"))
    );
    second
        .text("3EB0AA", "4915100000002@c.us", "still here")
        .await;
    assert_eq!(second.until("ack").await["id"], "3EB0AA");
    sim.shutdown().await;
}

#[tokio::test]
async fn bans_and_old_versions_fail_the_login() {
    let sim = start(fast()).await;
    let device = link(&sim).await;
    sim.control().ban(PHONE, Some(3_600_000)).unwrap();
    let mut page = Page::open(&sim).await;
    page.hello(&device, true).await;
    let failure = page.until("failure").await;
    assert_eq!(failure["reason"], 402);
    assert!(failure["expire_s"].as_u64().unwrap() > 3_500);
    sim.control().unban(PHONE).unwrap();
    let patch = json!({"deprecated": true});
    sim.control().turn(patch.as_object().unwrap()).unwrap();
    let mut page = Page::open(&sim).await;
    page.hello(&device, true).await;
    assert_eq!(page.until("failure").await["reason"], 405);
    sim.shutdown().await;
}

/// What the server says, and what is wrong with the answer.
type Case = (&'static str, fn(&mut Signing));

#[tokio::test]
async fn a_passkey_must_answer_this_challenge_on_this_origin() {
    let sim = start(fast()).await;
    let (own, strange) = (Authenticator::new().unwrap(), Authenticator::new().unwrap());
    let control = sim.control();
    control.register_passkey(PHONE, &own.passkey()).unwrap();
    control.set_passkey(PHONE, true).unwrap();
    let mut page = Page::open(&sim).await;
    page.hello(&Value::Null, false).await;
    let mut qr = page.until("qr").await;
    let cases: [Case; 8] = [
        ("another challenge", |s| s.challenge = "AAAA".to_owned()),
        ("another origin", |s| {
            s.origin = "https://evil.example".to_owned();
        }),
        ("another relying party", |s| {
            s.rp_id = "evil.example".to_owned();
        }),
        ("nobody was there", |s| s.flags = 4),
        ("no assertion", |s| s.kind = "webauthn.create".to_owned()),
        ("the signature is not this passkey's", |s| {
            s.by_a_stranger = true;
        }),
        ("no passkey of this account", |s| {
            s.id = Some("c3RyYW5nZQ".to_owned());
        }),
        ("verified", |_| {}),
    ];
    for (why, change) in cases {
        control.scan(PHONE, &page.code(&qr, 0)).unwrap();
        let asked = page.until("passkey_request").await;
        assert_eq!(asked["rp_id"], "whatsapp.com");
        assert_eq!(asked["allow_credentials"], json!([own.id()]));
        let mut signing = Signing::of(&asked);
        change(&mut signing);
        let key = if signing.by_a_stranger {
            &strange
        } else {
            &own
        };
        page.send(signing.frame(key, own.id())).await;
        if why == "verified" {
            page.until("paired").await;
        } else {
            assert_eq!(page.until("pair_failed").await["code"], "passkey");
            page.send(json!({"op": "refresh_qr"})).await;
            qr = page.until("qr").await;
        }
        let ended = control
            .journal(0, usize::MAX, &[Event::PasskeyEnded])
            .entries;
        let last = ended.last().unwrap();
        let said = last.detail.as_deref().or(last.kind.as_deref());
        assert_eq!(said, Some(why));
    }
    sim.shutdown().await;
}

#[tokio::test]
async fn a_passkey_that_does_not_come_leads_back_to_the_code() {
    let mut knobs = fast();
    knobs.passkey_timeout_ms = 50;
    let sim = start(knobs).await;
    sim.control().set_passkey(PHONE, true).unwrap();
    let mut page = Page::open(&sim).await;
    page.hello(&Value::Null, false).await;
    let qr = page.until("qr").await;
    sim.control().scan(PHONE, &page.code(&qr, 0)).unwrap();
    page.until("passkey_request").await;
    assert_eq!(page.until("pair_failed").await["code"], "passkey");
    let refused = sim.control().register_passkey(
        PHONE,
        &Passkey {
            id: "AAAA".to_owned(),
            public_key: "AAAA".to_owned(),
        },
    );
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    sim.shutdown().await;
}

#[tokio::test]
async fn a_login_that_is_not_committed_is_forgotten() {
    let sim = start(fast()).await;
    let mut page = Page::open(&sim).await;
    page.hello(&Value::Null, false).await;
    let qr = page.until("qr").await;
    sim.control().scan(PHONE, &page.code(&qr, 0)).unwrap();
    let device = page.until("paired").await["device"].clone();
    drop(page);
    let mut again = Page::open(&sim).await;
    again.hello(&device, false).await;
    assert_eq!(again.until("failure").await["reason"], 401);
    assert!(sim.control().account(PHONE).unwrap().devices.is_empty());
    sim.shutdown().await;
}

#[tokio::test]
async fn frames_out_of_place_break_nothing() {
    let sim = start(fast()).await;
    let mut page = Page::open(&sim).await;
    page.text("3EB0", "4915100000002@c.us", "before hello")
        .await;
    page.send(json!({"op": "brand_new"})).await;
    page.send(json!({"op": "ping", "n": 3})).await;
    assert_eq!(page.next().await.unwrap(), json!({"op": "pong", "n": 3}));
    page.send_raw("no json").await;
    assert_eq!(page.end().await, End::Code(1007));
    sim.shutdown().await;
}
