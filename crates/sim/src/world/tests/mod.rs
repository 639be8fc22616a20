//! The world on its own: no sockets, and time only where a test says so.

mod delivering;
mod linking;
mod network;
mod receiving;

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
    fn hello(&mut self, device: Option<&DeviceLogin>, have_history: bool) -> ConnId {
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
        let number = account();
        let code = format!("{reference},{},{},{},1", key(1), key(2), key(3));
        let scanned = self.world.scan(&number, &code);
        self.listen();
        scanned
    }

    fn link(&mut self) -> DeviceLogin {
        let conn = self.hello(None, false);
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
        let conn = self.hello(Some(login), true);
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

fn account() -> Number {
    Number::parse(PHONE).unwrap()
}

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
