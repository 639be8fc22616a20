//! The simulated WhatsApp as one deterministic machine.
//!
//! It owns no socket, no clock and no randomness but its seed. Time comes in
//! with [`World::advance`], frames with [`World::frame`], a person's doings
//! with the methods of `control`; what is to be done outside comes out of
//! [`World::take_effects`]. Same seed, same inputs, same times: same outputs.
//!
//! Read in this order: `people` and `account` (who there is), `linking`
//! and `passkey` (how a page becomes a device), `login` (how a device catches up),
//! `sending` and `delivery` (a message's way out), `incoming` (its way in),
//! `query` and `groups` (what a page may ask), `control` (what people and
//! fate do).

mod account;
mod control;
mod delivery;
mod faults;
mod groups;
mod incoming;
mod linking;
mod login;
mod media;
mod passkey;
mod people;
mod query;
mod sending;
#[cfg(test)]
mod tests;

pub use crate::frames::{PageFault, ThrowWhen};
pub use account::{AccountView, DeviceView};
pub use control::{NewAccount, OutsideFile, OutsideMessage, PersonPatch};
pub use faults::{CutWhen, Fault};
pub use media::{MediaRefusal, Stored as StoredMedia, Uploaded};
pub use passkey::Passkey;
pub(crate) use passkey::SPKI_PREFIX;

use crate::address::Number;
use crate::frames::{CLIENT_OPS, ClientFrame, Plain, ServerFrame};
use crate::journal::{Entry, Event, Journal};
use crate::knobs::Knobs;
use crate::rng::Rng;
use account::Account;
use faults::Faults;
use groups::Group;
use linking::{Linking, PendingPair};
use login::{Open, Phase};
use media::Media;
use passkey::PasskeyWait;
use people::Person;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use steadfast_core::time::{MonoMs, UnixMs};

/// One socket between a page and the server. Never used twice.
pub type ConnId = u64;

/// How long a page has for its first frame.
const HELLO_DEADLINE_MS: u64 = 10_000;
/// The most characters of a page's own log line that are kept.
const LOG_LINE_CHARS: usize = 2_000;

/// What the outside is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send this frame.
    Send(ConnId, Box<ServerFrame>),
    /// Close with this code; `None` cuts the TCP connection without a word.
    Close(ConnId, Option<u16>),
    /// The network is now like this.
    Network(Network),
}

/// What the network between page and server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// It works.
    Up,
    /// Connections are refused.
    Refusing,
    /// Connections are taken, and nothing is ever heard on them.
    BlackHole,
}

/// How far a socket has come.
#[derive(Debug)]
enum Stage {
    Fresh,
    Linking(Linking),
    Passkey(PasskeyWait),
    Paired(PendingPair),
    Open(Open),
    Ended,
}

#[derive(Debug)]
struct Conn {
    stage: Stage,
}

/// Something due later.
#[derive(Debug)]
enum Timer {
    HelloDue(ConnId),
    PasskeyDue(ConnId, String),
    PairedOkDue(ConnId),
    Settle(ConnId),
    Answer(ConnId, Box<ServerFrame>),
    Arrive {
        to: Number,
        envelope: Arc<delivery::Envelope>,
    },
    Seen {
        by: Number,
        envelope: Arc<delivery::Envelope>,
        level: i64,
    },
    NetworkUp(u64),
}

/// The machine.
#[derive(Debug)]
pub struct World {
    seed: u64,
    rng: Rng,
    epoch: UnixMs,
    now: MonoMs,
    knobs: Knobs,
    people: BTreeMap<Number, Person>,
    hidden: HashMap<String, Number>,
    accounts: BTreeMap<Number, Account>,
    groups: BTreeMap<String, Group>,
    conns: BTreeMap<ConnId, Conn>,
    next_conn: ConnId,
    timers: BTreeMap<(MonoMs, u64), Timer>,
    next_timer: u64,
    effects: Vec<Effect>,
    journal: Journal,
    faults: Faults,
    network: Network,
    network_generation: u64,
    media: Media,
}

impl World {
    /// A world in which nothing has happened. `epoch` is the wall clock's time
    /// at monotonic zero; all stamps follow from it.
    pub fn new(seed: u64, epoch: UnixMs, knobs: Knobs) -> Self {
        Self {
            seed,
            rng: Rng::new(seed),
            epoch,
            now: MonoMs(0),
            knobs,
            people: BTreeMap::new(),
            hidden: HashMap::new(),
            accounts: BTreeMap::new(),
            groups: BTreeMap::new(),
            conns: BTreeMap::new(),
            next_conn: 1,
            timers: BTreeMap::new(),
            next_timer: 0,
            effects: Vec::new(),
            journal: Journal::default(),
            faults: Faults::default(),
            network: Network::Up,
            network_generation: 0,
            media: Media::default(),
        }
    }

    /// What happened so far.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The knobs as they stand.
    pub fn knobs(&self) -> &Knobs {
        &self.knobs
    }

    /// What the network does.
    pub fn network(&self) -> Network {
        self.network
    }

    /// When something is due next.
    pub fn next_deadline(&self) -> Option<MonoMs> {
        self.timers.keys().next().map(|(due, _)| *due)
    }

    /// What is to be done outside, in order. Empties the list.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Lets time pass: runs everything due until `now`, in order. Time never goes back.
    pub fn advance(&mut self, now: MonoMs) {
        while let Some(entry) = self.timers.first_entry() {
            let due = entry.key().0;
            if due > now {
                break;
            }
            let timer = entry.remove();
            self.now = self.now.max(due);
            self.run(timer);
        }
        self.now = self.now.max(now);
    }

    /// A page has opened a socket.
    pub fn connect(&mut self) -> ConnId {
        let conn = self.next_conn;
        self.next_conn += 1;
        self.conns.insert(
            conn,
            Conn {
                stage: Stage::Fresh,
            },
        );
        self.log(Entry::new(Event::Connected).conn(conn));
        self.later(HELLO_DEADLINE_MS, Timer::HelloDue(conn));
        conn
    }

    /// A socket is gone, whoever ended it.
    pub fn closed(&mut self, conn: ConnId) {
        if let Some(gone) = self.conns.remove(&conn) {
            let mut entry = Entry::new(Event::Disconnected).conn(conn);
            if let Stage::Open(open) = &gone.stage {
                entry = entry.account(&open.account).device(&open.device);
                self.detach(&open.account.clone(), &open.device.clone(), conn);
            }
            self.log(entry);
        }
    }

    /// A page has sent this text frame.
    pub fn frame(&mut self, conn: ConnId, text: &str) {
        if self.network == Network::BlackHole
            || self
                .conns
                .get(&conn)
                .is_none_or(|c| matches!(c.stage, Stage::Ended))
        {
            return;
        }
        let Ok(value @ Value::Object(_)) = serde_json::from_str::<Value>(text) else {
            self.malformed(conn, "no JSON object");
            self.close(conn, Some(1007));
            return;
        };
        let op = value
            .get("op")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        match serde_json::from_value::<ClientFrame>(value) {
            Ok(frame) => self.dispatch(conn, frame),
            Err(_) if !CLIENT_OPS.contains(&op.as_str()) => {
                let op: String = op.chars().take(64).collect();
                self.log(Entry::new(Event::UnknownOp).conn(conn).kind(&op));
            }
            Err(error) => self.malformed(conn, &format!("{op}: {error}")),
        }
    }

    fn dispatch(&mut self, conn: ConnId, frame: ClientFrame) {
        match frame {
            ClientFrame::Hello(hello) => self.on_hello(conn, hello),
            ClientFrame::Ping { n } => self.send(conn, Plain::Pong { n }),
            ClientFrame::RefreshQr => self.on_refresh_qr(conn),
            ClientFrame::PairCodeRequest { rid, phone } => {
                self.on_pair_code_request(conn, rid, &phone);
            }
            ClientFrame::PasskeyAssertion(assertion) => {
                self.on_passkey_assertion(conn, &assertion);
            }
            ClientFrame::PasskeyCancel { error } => self.on_passkey_cancel(conn, &error),
            ClientFrame::PairedOk => self.on_paired_ok(conn),
            ClientFrame::Log { level, text } => {
                let text: String = text.chars().take(LOG_LINE_CHARS).collect();
                self.log(
                    Entry::new(Event::PageLog)
                        .conn(conn)
                        .kind(&level)
                        .detail(text),
                );
            }
            other => {
                let Some((account, device)) = self.who(conn) else {
                    self.malformed(conn, "a frame before login");
                    return;
                };
                self.dispatch_open(conn, &account, &device, other);
            }
        }
    }

    /// Frames of a device that is logged in.
    fn dispatch_open(&mut self, conn: ConnId, account: &Number, device: &str, frame: ClientFrame) {
        match frame {
            ClientFrame::SyncOk { chunk } => self.on_sync_ok(conn, chunk),
            ClientFrame::Send(send) => self.on_send(conn, account, device, send),
            ClientFrame::Received { sids } => self.on_received(account, device, &sids),
            ClientFrame::Read { chat, ids } => self.on_read(account, device, &chat, &ids),
            ClientFrame::Played { chat, ids } => self.on_played(account, device, &chat, &ids),
            ClientFrame::Presence { available } => self.log(
                Entry::new(Event::Presence)
                    .account(account)
                    .device(device)
                    .kind(if available {
                        "available"
                    } else {
                        "unavailable"
                    }),
            ),
            ClientFrame::PresenceSubscribe { id } => self.on_presence_subscribe(conn, &id),
            ClientFrame::Chatstate { chat, state } => {
                let entry = Entry::new(Event::Chatstate)
                    .account(account)
                    .device(device)
                    .kind(&state);
                match self.resolve(&chat) {
                    Some(peer) => self.log(entry.chat(&peer)),
                    None => self.malformed(conn, "chatstate for no chat"),
                }
            }
            ClientFrame::Query(query) => self.on_query(conn, account, device, query),
            // The others never come here: `dispatch` has handled them.
            ClientFrame::Hello(_)
            | ClientFrame::Ping { .. }
            | ClientFrame::RefreshQr
            | ClientFrame::PairCodeRequest { .. }
            | ClientFrame::PasskeyAssertion(_)
            | ClientFrame::PasskeyCancel { .. }
            | ClientFrame::PairedOk
            | ClientFrame::Log { .. } => {}
        }
    }

    fn run(&mut self, timer: Timer) {
        match timer {
            Timer::HelloDue(conn) => {
                if self
                    .conns
                    .get(&conn)
                    .is_some_and(|c| matches!(c.stage, Stage::Fresh))
                {
                    self.close(conn, Some(1002));
                }
            }
            Timer::PasskeyDue(conn, challenge) => self.on_passkey_timeout(conn, &challenge),
            Timer::PairedOkDue(conn) => self.on_paired_ok_timeout(conn),
            Timer::Settle(conn) => self.on_settled(conn),
            Timer::Answer(conn, frame) => self.send_frame(conn, *frame),
            Timer::Arrive { to, envelope } => self.arrive(&to, &envelope),
            Timer::Seen {
                by,
                envelope,
                level,
            } => self.seen(&by, &envelope, level),
            Timer::NetworkUp(generation) => self.on_network_up(generation),
        }
    }

    // ------------------------------------------------------------ helpers

    fn unix_ms(&self) -> i64 {
        self.epoch.plus(self.now.0).0
    }

    /// Unix seconds, as WhatsApp stamps messages.
    fn t(&self) -> i64 {
        self.unix_ms() / 1000
    }

    fn log(&mut self, entry: Entry) {
        let at = self.unix_ms();
        self.journal.push(at, entry);
    }

    fn malformed(&mut self, conn: ConnId, what: &str) {
        let what: String = what.chars().take(200).collect();
        self.log(Entry::new(Event::Malformed).conn(conn).detail(what));
    }

    fn later(&mut self, ms: u64, timer: Timer) {
        self.at(self.now.plus(ms), timer);
    }

    fn at(&mut self, due: MonoMs, timer: Timer) {
        let n = self.next_timer;
        self.next_timer += 1;
        self.timers.insert((due, n), timer);
    }

    fn send(&mut self, conn: ConnId, frame: impl Into<ServerFrame>) {
        self.send_frame(conn, frame.into());
    }

    fn send_frame(&mut self, conn: ConnId, frame: ServerFrame) {
        let deaf = self
            .conns
            .get(&conn)
            .is_none_or(|c| matches!(c.stage, Stage::Ended));
        if !deaf && self.network == Network::Up {
            self.effects.push(Effect::Send(conn, Box::new(frame)));
        }
    }

    /// Ends a socket; `None` cuts it without a word.
    fn close(&mut self, conn: ConnId, code: Option<u16>) {
        let Some(ending) = self.conns.get_mut(&conn) else {
            return;
        };
        let stage = std::mem::replace(&mut ending.stage, Stage::Ended);
        if let Stage::Open(open) = &stage {
            self.detach(&open.account, &open.device, conn);
        }
        if !matches!(stage, Stage::Ended) {
            self.effects.push(Effect::Close(conn, code));
        }
    }

    /// Sends a last frame and ends the socket in good order.
    fn end(&mut self, conn: ConnId, last: Plain) {
        self.send(conn, last);
        self.close(conn, Some(1000));
    }

    /// Whose device speaks on a socket.
    fn who(&self, conn: ConnId) -> Option<(Number, String)> {
        match &self.conns.get(&conn)?.stage {
            Stage::Open(open) => Some((open.account.clone(), open.device.clone())),
            _ => None,
        }
    }

    fn phase_mut(&mut self, conn: ConnId) -> Option<&mut Phase> {
        match &mut self.conns.get_mut(&conn)?.stage {
            Stage::Open(open) => Some(&mut open.phase),
            _ => None,
        }
    }

    fn set_stage(&mut self, conn: ConnId, stage: Stage) {
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.stage = stage;
        }
    }

    fn stage(&self, conn: ConnId) -> Option<&Stage> {
        self.conns.get(&conn).map(|c| &c.stage)
    }
}
