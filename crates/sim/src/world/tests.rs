//! The world on its own: no sockets, and time only where a test says so.

use super::*;
use crate::error::PhoneRefusal;
use crate::frames::{DeviceLogin, Item};
use serde_json::json;

const PHONE: &str = "4915100000001";
const BOB: &str = "4915100000002@c.us";

/// A world with one account, and what its sockets were told.
struct Bench {
    world: World,
    told: Vec<(ConnId, ServerFrame)>,
    closed: Vec<(ConnId, Option<u16>)>,
}

impl Bench {
    fn new(knobs: Knobs) -> Self {
        let mut world = World::new(3, UnixMs(1_780_000_000_000), knobs);
        world
            .create_account(NewAccount {
                phone: PHONE.to_owned(),
                ..NewAccount::default()
            })
            .unwrap();
        Self {
            world,
            told: Vec::new(),
            closed: Vec::new(),
        }
    }

    fn account(&self) -> Number {
        Number::parse(PHONE).unwrap()
    }

    /// Takes what the world has said since.
    fn listen(&mut self) {
        for effect in self.world.take_effects() {
            match effect {
                Effect::Send(conn, frame) => self.told.push((conn, *frame)),
                Effect::Close(conn, code) => self.closed.push((conn, code)),
                Effect::Network(_) => {}
            }
        }
    }

    fn at(&mut self, ms: u64) {
        self.world.advance(MonoMs(ms));
        self.listen();
    }

    fn say(&mut self, conn: ConnId, frame: &Value) {
        self.world.frame(conn, &frame.to_string());
        self.listen();
    }

    fn plains(&self, conn: ConnId) -> impl DoubleEndedIterator<Item = &Plain> {
        self.told.iter().filter_map(move |(c, f)| match f {
            ServerFrame::Plain(p) if *c == conn => Some(p),
            _ => None,
        })
    }

    fn items(&self, conn: ConnId) -> Vec<(u64, bool, &Item)> {
        self.told
            .iter()
            .filter_map(|(c, f)| match f {
                ServerFrame::Item { sid, offline, item } if *c == conn => {
                    Some((*sid, *offline, item))
                }
                _ => None,
            })
            .collect()
    }

    fn levels(&self, conn: ConnId) -> Vec<i64> {
        self.items(conn)
            .iter()
            .filter_map(|(_, _, item)| match item {
                Item::Receipt { level, .. } => Some(*level),
                _ => None,
            })
            .collect()
    }

    /// A socket that has said hello.
    fn hello(&mut self, device: &Option<DeviceLogin>, have_history: bool) -> ConnId {
        let conn = self.world.connect();
        self.say(
            conn,
            &json!({"op": "hello", "device": device, "have_history": have_history,
                "keys": {"static": key(1), "identity": key(2), "adv": key(3)}}),
        );
        conn
    }

    fn refs(&self, conn: ConnId) -> Vec<String> {
        self.plains(conn)
            .rev()
            .find_map(|p| match p {
                Plain::Qr { refs, .. } => Some(refs.clone()),
                _ => None,
            })
            .unwrap()
    }

    fn scan(&mut self, reference: &str) -> Result<(), Error> {
        let number = self.account();
        let code = format!("{reference},{},{},{},1", key(1), key(2), key(3));
        let scanned = self.world.scan(&number, &code);
        self.listen();
        scanned
    }

    fn link(&mut self) -> DeviceLogin {
        let conn = self.hello(&None, false);
        let reference = self.refs(conn)[0].clone();
        self.scan(&reference).unwrap();
        let login = self
            .plains(conn)
            .find_map(|p| match p {
                Plain::Paired { device, .. } => Some(device.clone()),
                _ => None,
            })
            .unwrap();
        self.say(conn, &json!({"op": "paired_ok"}));
        login
    }

    /// A socket of this device that has caught up by `now` + the sync's delay.
    fn log_in(&mut self, login: &DeviceLogin, now: u64) -> ConnId {
        let conn = self.hello(&Some(login.clone()), true);
        self.at(now + self.world.knobs().sync_delay_ms);
        assert!(self.plains(conn).any(|p| matches!(p, Plain::OfflineDone)));
        conn
    }

    fn text(&mut self, conn: ConnId, id: &str, to: &str, body: &str) {
        self.say(
            conn,
            &json!({"op": "send", "id": id, "chat": to, "kind": "chat", "body": body}),
        );
    }

    fn events(&self, event: Event) -> Vec<&Entry> {
        self.world
            .journal()
            .all()
            .iter()
            .filter(|e| e.event == event)
            .collect()
    }
}

use crate::error::Error;

fn key(n: u8) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode([n; 32])
}

fn quick() -> Knobs {
    Knobs {
        sync_delay_ms: 0,
        ack_delay_ms: 0,
        ..Knobs::default()
    }
}

fn refused(result: Result<(), Error>) -> PhoneRefusal {
    match result {
        Err(Error::PhoneRefuses(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_ref_is_good_until_its_own_time_is_over() {
    let mut stage = Bench::new(quick());
    let conn = stage.hello(&None, false);
    let refs = stage.refs(conn);
    // 20 s each and half a second for the way: the first is dead, the second not.
    stage.at(20_501);
    assert_eq!(refused(stage.scan(&refs[0])), PhoneRefusal::Expired);
    stage.at(120_501);
    assert_eq!(refused(stage.scan(&refs[5])), PhoneRefusal::Expired);
    stage.say(conn, &json!({"op": "refresh_qr"}));
    let fresh = stage.refs(conn);
    assert_eq!(refused(stage.scan(&refs[5])), PhoneRefusal::Expired);
    stage.at(120_501 + 100_500);
    assert_eq!(refused(stage.scan(&fresh[3])), PhoneRefusal::Expired);
    stage.scan(&fresh[5]).unwrap();
}

#[test]
fn pairing_codes_end_and_are_used_once() {
    let mut stage = Bench::new(quick());
    let conn = stage.hello(&None, false);
    let number = stage.account();
    let ask = |stage: &mut Bench, rid: u64| {
        stage.say(
            conn,
            &json!({"op": "pair_code_request", "rid": rid, "phone": format!("+{PHONE}")}),
        );
        let Some(Plain::Result { ok, body, .. }) = stage.plains(conn).next_back() else {
            panic!("no answer");
        };
        (*ok, body.clone())
    };
    let (_, first) = ask(&mut stage, 1);
    let (ok, again) = ask(&mut stage, 2);
    assert_eq!((ok, &again["code"]), (false, &json!(429)));
    stage.at(180_001);
    let late = stage
        .world
        .enter_pairing_code(&number, first["code"].as_str().unwrap());
    assert_eq!(refused(late), PhoneRefusal::Expired);
    let (_, second) = ask(&mut stage, 3);
    let code = second["code"].as_str().unwrap();
    stage
        .world
        .create_account(NewAccount {
            phone: "4915100000099".to_owned(),
            ..NewAccount::default()
        })
        .unwrap();
    let other = Number::parse("4915100000099").unwrap();
    assert_eq!(
        refused(stage.world.enter_pairing_code(&other, code)),
        PhoneRefusal::OtherNumber
    );
    stage.world.enter_pairing_code(&number, code).unwrap();
    assert_eq!(
        refused(stage.world.enter_pairing_code(&number, code)),
        PhoneRefusal::Expired
    );
}

#[test]
fn a_phone_links_four_companions_and_no_more() {
    let mut stage = Bench::new(quick());
    for _ in 0..4 {
        stage.link();
    }
    let conn = stage.hello(&None, false);
    let reference = stage.refs(conn)[0].clone();
    assert_eq!(
        refused(stage.scan(&reference)),
        PhoneRefusal::TooManyDevices
    );
    let number = stage.account();
    assert_eq!(stage.world.unlink(&number, None, 0).unwrap(), 4);
    stage.scan(&reference).unwrap();
}

#[test]
fn silence_is_ended_by_deadlines() {
    let mut stage = Bench::new(quick());
    let mute = stage.world.connect();
    let showing = stage.hello(&None, false);
    let reference = stage.refs(showing)[0].clone();
    stage.scan(&reference).unwrap();
    stage.at(9_999);
    assert!(stage.closed.is_empty());
    stage.at(10_000);
    // One said no hello, the other did not commit its login.
    assert_eq!(stage.closed, [(mute, Some(1002)), (showing, Some(1002))]);
    let number = stage.account();
    assert!(stage.world.view(&number).unwrap().devices.is_empty());
}

#[test]
fn acks_receipts_and_reading_come_after_their_delays() {
    let mut stage = Bench::new(Knobs {
        ack_delay_ms: 100,
        delivery_delay_ms: 300,
        read_delay_ms: 1_000,
        sync_delay_ms: 0,
        ..Knobs::default()
    });
    let login = stage.link();
    let conn = stage.log_in(&login, 0);
    stage.text(conn, "3EB01", BOB, "hello");
    stage.at(99);
    assert!(!stage.plains(conn).any(|p| matches!(p, Plain::Ack { .. })));
    stage.at(100);
    assert!(stage.plains(conn).any(|p| matches!(p, Plain::Ack { .. })));
    stage.at(299);
    assert!(stage.levels(conn).is_empty());
    stage.at(300);
    assert_eq!(stage.levels(conn), [2]);
    stage.at(1_299);
    assert_eq!(stage.levels(conn), [2]);
    stage.at(1_300);
    assert_eq!(stage.levels(conn), [2, 3]);
}

#[test]
fn a_shorter_delay_lets_nothing_overtake() {
    let mut stage = Bench::new(Knobs {
        delivery_delay_ms: 5_000,
        ..quick()
    });
    let login = stage.link();
    let conn = stage.log_in(&login, 0);
    stage.text(conn, "3EB01", BOB, "slow");
    let patch = json!({"delivery_delay_ms": 0});
    stage.world.turn(patch.as_object().unwrap()).unwrap();
    stage.text(conn, "3EB02", BOB, "fast");
    stage.at(1_000);
    assert!(stage.events(Event::Delivered).is_empty());
    stage.at(5_000);
    let order: Vec<_> = stage
        .events(Event::Delivered)
        .iter()
        .map(|e| e.id.clone().unwrap())
        .collect();
    assert_eq!(order, ["3EB01", "3EB02"]);
}

#[test]
fn a_phone_that_is_off_gets_everything_in_order_when_it_is_back() {
    let mut stage = Bench::new(quick());
    let login = stage.link();
    let conn = stage.log_in(&login, 0);
    let online = |online| PersonPatch {
        online: Some(online),
        ..PersonPatch::default()
    };
    stage.world.patch_person(BOB, online(false)).unwrap();
    for n in 0..5 {
        stage.text(conn, &format!("3EB0{n}"), BOB, "x");
    }
    stage.at(60_000);
    assert!(stage.events(Event::Delivered).is_empty());
    assert!(stage.levels(conn).is_empty());
    stage.world.patch_person(BOB, online(true)).unwrap();
    stage.listen();
    let order: Vec<_> = stage
        .events(Event::Delivered)
        .iter()
        .map(|e| e.id.clone().unwrap())
        .collect();
    assert_eq!(order, ["3EB00", "3EB01", "3EB02", "3EB03", "3EB04"]);
    assert_eq!(stage.levels(conn), [2; 5]);
}

#[test]
fn a_server_and_phones_that_forget_ids_deliver_twice() {
    for (server, phones, delivered, dropped) in [
        (true, true, 1, 0),
        (false, true, 1, 1),
        (false, false, 2, 0),
    ] {
        let mut stage = Bench::new(Knobs {
            drop_repeats: server,
            recipients_drop_repeats: phones,
            ..quick()
        });
        let login = stage.link();
        let conn = stage.log_in(&login, 0);
        stage.text(conn, "3EB01", BOB, "x");
        stage.text(conn, "3EB01", BOB, "x");
        stage.at(1_000);
        assert_eq!(stage.events(Event::Delivered).len(), delivered);
        assert_eq!(stage.events(Event::DeliveredRepeat).len(), dropped);
        assert_eq!(
            stage.world.journal().repeats_dropped(),
            u64::from(server),
            "{server} {phones}"
        );
    }
}

#[test]
fn a_ban_ends_by_its_time_and_a_lock_does_not() {
    let mut stage = Bench::new(quick());
    let login = stage.link();
    let number = stage.account();
    let conn = stage.log_in(&login, 0);
    stage.world.ban(&number, Some(60_000)).unwrap();
    stage.listen();
    assert_eq!(stage.closed.last(), Some(&(conn, Some(1000))));
    let conn = stage.hello(&Some(login.clone()), true);
    assert!(
        stage
            .plains(conn)
            .any(|p| matches!(p, Plain::Failure { reason: 402, expire_s, .. } if *expire_s == 60))
    );
    stage.at(60_000);
    stage.log_in(&login, 60_000);
    stage.world.ban(&number, None).unwrap();
    stage.at(10_000_000);
    let conn = stage.hello(&Some(login), true);
    assert!(stage.plains(conn).any(|p| matches!(
        p,
        Plain::Failure {
            reason: 403,
            logout_reason: 3,
            ..
        }
    )));
}

#[test]
fn a_long_history_comes_in_chunks_that_are_answered_one_by_one() {
    let mut stage = Bench::new(Knobs {
        history_messages: 10,
        ..quick()
    });
    let number = stage.account();
    for n in 0..120 {
        let message = OutsideMessage {
            from: format!("49152{n:08}"),
            text: "m{n}".to_owned(),
            count: Some(12),
            ..OutsideMessage::default()
        };
        stage.world.outside_message(&number, &message).unwrap();
    }
    let login = stage.link();
    let conn = stage.hello(&Some(login), false);
    let (mut chats, mut messages) = (0, 0);
    for n in 1..=6 {
        let sent: Vec<_> = stage
            .plains(conn)
            .filter_map(|p| match p {
                Plain::Sync(chunk) => Some(chunk),
                _ => None,
            })
            .collect();
        assert_eq!(sent.len(), n, "no chunk before the last was answered");
        let chunk = sent[n - 1];
        assert_eq!((chunk.chunk, chunk.chunks), (n, 6));
        chats += chunk.chats.len();
        messages += chunk.messages.len();
        stage.say(conn, &json!({"op": "sync_ok", "chunk": n}));
    }
    assert_eq!((chats, messages), (120, 1_200));
    stage.at(1);
    assert!(stage.plains(conn).any(|p| matches!(p, Plain::OfflineDone)));
}

#[test]
fn items_stay_queued_until_they_are_confirmed_and_keep_their_sids() {
    let mut stage = Bench::new(quick());
    let number = stage.account();
    let login = stage.link();
    let first = stage.log_in(&login, 0);
    let message = OutsideMessage {
        from: BOB.to_owned(),
        text: "{n}".to_owned(),
        count: Some(3),
        ..OutsideMessage::default()
    };
    stage.world.outside_message(&number, &message).unwrap();
    stage.listen();
    assert_eq!(stage.items(first).len(), 3);
    stage.say(first, &json!({"op": "received", "sids": [2, 99]}));
    stage.world.closed(first);
    let second = stage.log_in(&login, 1);
    let sids: Vec<_> = stage
        .items(second)
        .iter()
        .map(|(s, o, _)| (*s, *o))
        .collect();
    assert_eq!(sids, [(1, true), (3, true)]);
    stage.say(second, &json!({"op": "received", "sids": [1, 3]}));
    stage.world.closed(second);
    let third = stage.log_in(&login, 2);
    assert!(stage.items(third).is_empty());
}

#[test]
fn a_black_hole_hears_and_says_nothing_but_the_world_goes_on() {
    let mut stage = Bench::new(quick());
    let login = stage.link();
    let conn = stage.log_in(&login, 0);
    stage.text(conn, "3EB01", BOB, "before");
    stage.world.fault(Fault::BlackHole { ms: 5_000 }).unwrap();
    stage.listen();
    let said = stage.told.len();
    stage.text(conn, "3EB02", BOB, "inside");
    stage.at(4_999);
    assert_eq!(stage.told.len(), said);
    assert_eq!(stage.events(Event::Delivered).len(), 1);
    assert_eq!(stage.events(Event::Taken).len(), 1);
    stage.at(5_000);
    assert_eq!(stage.closed.last(), Some(&(conn, None)));
    // The receipt that nobody heard waits for the next connection.
    let conn = stage.log_in(&login, 5_000);
    assert_eq!(stage.levels(conn), [2, 3]);
}

#[test]
fn a_later_outage_is_not_ended_by_the_timer_of_an_earlier_one() {
    let mut stage = Bench::new(quick());
    stage.world.fault(Fault::NetworkAway { ms: 1_000 }).unwrap();
    stage.world.fault(Fault::NetworkBack).unwrap();
    stage.at(500);
    stage.world.fault(Fault::NetworkAway { ms: 1_000 }).unwrap();
    stage.at(1_000);
    assert_eq!(stage.world.network(), Network::Refusing);
    stage.at(1_500);
    assert_eq!(stage.world.network(), Network::Up);
}

#[test]
fn voice_notes_are_played_and_reactions_are_not_read() {
    let mut stage = Bench::new(quick());
    let login = stage.link();
    let conn = stage.log_in(&login, 0);
    for (id, kind) in [("3EB01", "ptt"), ("3EB02", "reaction")] {
        stage.say(
            conn,
            &json!({"op": "send", "id": id, "chat": BOB, "kind": kind, "body": ""}),
        );
    }
    stage.at(10_000);
    let levels = |id: &str| -> Vec<i64> {
        stage
            .events(Event::Receipt)
            .iter()
            .filter(|e| e.id.as_deref() == Some(id))
            .filter_map(|e| e.level)
            .collect()
    };
    assert_eq!(levels("3EB01"), [2, 3, 4]);
    assert_eq!(levels("3EB02"), [2]);
}

#[test]
fn a_note_to_oneself_is_read_by_ones_own_phone() {
    let mut stage = Bench::new(quick());
    let login = stage.link();
    let conn = stage.log_in(&login, 0);
    stage.text(conn, "3EB01", &format!("{PHONE}@c.us"), "canary");
    stage.at(1_000);
    assert_eq!(stage.levels(conn), [3]);
    assert_eq!(stage.events(Event::Incoming).len(), 0);
}

#[test]
fn groups_let_in_whom_they_should() {
    let mut stage = Bench::new(quick());
    let login = stage.link();
    let conn = stage.log_in(&login, 0);
    let number = stage.account();
    let owner = Number::parse("4915100000002").unwrap();
    let group = stage
        .world
        .create_group("Trip", &owner, std::slice::from_ref(&number))
        .unwrap();
    stage.listen();
    assert!(
        stage
            .items(conn)
            .iter()
            .any(|(_, _, i)| matches!(i, Item::GroupUpdate { action, .. } if action == "create"))
    );
    stage.text(conn, "3EB01", &group, "hello all");
    let ask = |stage: &mut Bench, question: Value| {
        let mut question = question;
        question["op"] = json!("query");
        question["rid"] = json!(1);
        stage.say(conn, &question);
        match stage.plains(conn).next_back() {
            Some(Plain::Result { ok, body, .. }) => (*ok, body.get("code").cloned()),
            other => panic!("{other:?}"),
        }
    };
    let add = json!({"q": "group_participants", "id": group, "action": "add", "participants": ["4915100000003"]});
    assert_eq!(ask(&mut stage, add), (false, Some(json!(403))));
    assert!(ask(&mut stage, json!({"q": "group_leave", "id": group})).0);
    stage.text(conn, "3EB02", &group, "from outside");
    stage.at(100);
    let refused = stage.events(Event::Refused);
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].level, Some(403));
    assert_eq!(stage.events(Event::Taken).len(), 1);
}

/// Frames of every op with members of every wrong kind: nothing panics, and
/// the world still works.
#[test]
fn nonsense_breaks_nothing() {
    let mut stage = Bench::new(quick());
    let login = stage.link();
    let conn = stage.log_in(&login, 0);
    let mut rng = Rng::new(9);
    let values = [
        json!(null),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("@"),
        json!("x".repeat(3_000)),
        json!([]),
        json!([[{}]]),
        json!({}),
        json!(true),
        json!(BOB),
        json!("120363@g.us"),
    ];
    let members = [
        "n",
        "rid",
        "phone",
        "id",
        "chat",
        "kind",
        "body",
        "content",
        "sids",
        "ids",
        "state",
        "available",
        "q",
        "chunk",
        "text",
        "participants",
        "action",
        "subject",
        "value",
        "before",
        "count",
        "code",
        "level",
    ];
    let questions = [
        "exists",
        "lids",
        "media_conn",
        "history",
        "chat",
        "chat_action",
        "contact",
        "profile_picture",
        "about",
        "set_push_name",
        "set_about",
        "blocklist",
        "block",
        "group_create",
        "group_info",
        "groups",
        "group_participants",
        "group_set",
        "group_leave",
        "group_invite",
        "group_by_invite",
        "group_join",
        "devices",
    ];
    for _ in 0..5_000 {
        let pick = |rng: &mut Rng, n: usize| rng.below(n as u64) as usize;
        let op = CLIENT_OPS[pick(&mut rng, CLIENT_OPS.len())];
        let mut frame = json!({"op": op});
        for _ in 0..pick(&mut rng, 6) {
            let member = members[pick(&mut rng, members.len())];
            frame[member] = values[pick(&mut rng, values.len())].clone();
        }
        if op == "query" {
            frame["q"] = json!(questions[pick(&mut rng, questions.len())]);
        }
        stage.say(conn, &frame);
        stage.told.clear();
    }
    stage.text(conn, "3EB0FFFF", BOB, "still there");
    assert!(stage.plains(conn).any(|p| matches!(p, Plain::Ack { .. })));
}
