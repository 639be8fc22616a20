//! What the store is asked, by the dice, and a store in memory that says how
//! things stand after each request.

use crate::dice::Dice;
use crate::support::{chat, id, key, message, outcome, record_of, session, wa};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use steadfast_core::event::Event;
use steadfast_core::ids::{Fence, LoginGeneration, MessageId, SessionId};
use steadfast_core::inbound::{Extras, InboundMessage};
use steadfast_core::outbox::{
    Ack, Body, Message, NewMessage, ParkReason, Priority, RejectReason, Status, Text,
};
use steadfast_core::port::{
    EventQuery, Incident, IncidentStep, MessageQuery, Outcome, Recorded, Scope, Store, StoreError,
    TokenRecord,
};
use steadfast_core::time::UnixMs;
use steadfast_store::MemoryStore;

/// Two sessions: the second one may be removed.
pub(crate) const SESSIONS: u64 = 2;
const CHATS: u64 = 6;
/// A time at which everything is due, and no key has ended.
const FAR: i64 = 1_000_000_000;
/// The largest text of a heavy run: some forty of them fill the log, so that
/// the store folds it into the database.
const HEAVY_BYTES: u64 = 400_000;

/// One request that changes something.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    AddSession(u64),
    UpdateSession(u64, bool),
    RemoveSession(u64),
    TakeFence(u64),
    Accept(New, bool),
    AcceptMany(Vec<New>),
    Claim(u64, u32),
    Record(u64, Vec<(u64, Outcome)>),
    Ack(u64, u64, Ack),
    Cancel(u64),
    Unpark(u64, bool),
    Inbound(u64, u64),
    Incident(u64, u64, bool),
    AddToken(u64),
    RemoveToken(u64),
}

#[derive(Debug, Clone)]
pub(crate) struct New {
    n: u64,
    whose: u64,
    to: u64,
    bytes: u64,
    lane: u8,
    later: bool,
}

impl New {
    fn message(&self, at: UnixMs) -> NewMessage {
        let mut new = message(&name(self.whose), self.n, self.to);
        (new.accepted_at, new.due_at) = (at, at.plus(u64::from(self.later)));
        new.priority = Priority::of_lane(self.lane).unwrap();
        if self.bytes > 0 {
            // Never the same page twice: a page that is lost must be missed.
            let mut dice = Dice::new(self.n);
            let mut text = format!("message {} ", self.n);
            while (text.len() as u64) < self.bytes {
                let _ = write!(text, "{:016x}", dice.next());
            }
            new.body = Body::text(text);
        }
        new
    }
}

pub(crate) fn name(whose: u64) -> SessionId {
    session(&format!("s{whose}"))
}

impl Ask {
    /// Asks a store; its answer as text.
    pub(crate) async fn put(self, store: &dyn Store, fences: Fences, at: UnixMs) -> String {
        let fence = |whose: u64| fences[usize::try_from(whose).unwrap()];
        match self {
            Self::AddSession(whose) => told(store.add_session(record_of(&name(whose))).await),
            Self::UpdateSession(whose, enabled) => {
                let mut record = record_of(&name(whose));
                record.enabled = enabled;
                record.parked = (!enabled).then(|| format!("since {}", at.0));
                told(store.update_session(record).await)
            }
            Self::RemoveSession(whose) => {
                told(store.remove_session(&name(whose), UnixMs(9_000)).await)
            }
            Self::TakeFence(whose) => told(store.take_fence(&name(whose)).await),
            Self::Accept(new, keyed) => {
                let key = keyed.then(|| key_of(new.n));
                told(store.accept(new.message(at), key).await)
            }
            Self::AcceptMany(new) => {
                let new = new.iter().map(|new| new.message(at)).collect();
                told(store.accept_many(new).await)
            }
            Self::Claim(whose, limit) => {
                let login = LoginGeneration(whose);
                let now = UnixMs(FAR);
                let claimed = store
                    .claim(&name(whose), fence(whose), login, now, limit)
                    .await;
                told(claimed.map(|mut claimed| {
                    for one in &mut claimed {
                        short(&mut one.message);
                    }
                    claimed
                }))
            }
            Self::Record(whose, outcomes) => {
                let recorded = |(n, what): &(u64, Outcome)| Recorded {
                    detail: Some(format!("request of {}", at.0)),
                    ..outcome(*n, what.clone(), at.0)
                };
                let outcomes = outcomes.iter().map(recorded).collect();
                told(store.record(&name(whose), fence(whose), outcomes).await)
            }
            Self::Ack(whose, n, ack) => shortened(store.ack(&name(whose), &wa(n), ack, at).await),
            Self::Cancel(n) => shortened(store.cancel(&id(n), at).await),
            Self::Unpark(n, release) => shortened(store.unpark(&id(n), release, at).await),
            Self::Inbound(whose, n) => {
                let message = InboundMessage {
                    wa_message_id: wa(n),
                    chat: chat(n % CHATS),
                    chat_also: None,
                    sender: chat(n % CHATS),
                    from_me: false,
                    kind: "chat".to_owned(),
                    text: format!("inbound {n}"),
                    sent_at: at,
                    recovered: n % 2 == 0,
                    extras: Extras::default(),
                };
                told(store.keep_inbound(&name(whose), message, at).await)
            }
            Self::Incident(whose, n, closed) => {
                told(store.put_incident(incident(whose, n, closed, at)).await)
            }
            Self::AddToken(n) => {
                let hash = [n.to_le_bytes()[0]; 32];
                let token = TokenRecord::new(format!("t{n}"), hash, Scope::Send, at);
                told(store.add_token(token).await)
            }
            Self::RemoveToken(n) => told(store.remove_token(&format!("t{n}")).await),
        }
    }
}

fn key_of(n: u64) -> steadfast_core::port::IdempotencyKey {
    key(&format!("k{n}"), n.to_le_bytes()[0], FAR + 1)
}

fn incident(whose: u64, n: u64, closed: bool, at: UnixMs) -> Incident {
    Incident {
        id: format!("inc_{n:026}"),
        session: name(whose),
        kind: "page_crashed".to_owned(),
        evidence: "the page crashed".to_owned(),
        opened_at: at,
        closed_at: closed.then_some(at),
        outcome: closed.then(|| "recovered".to_owned()),
        healed_by: None,
        recovery_ms: closed.then_some(n),
        messages_waited: n,
        steps: vec![IncidentStep {
            at,
            step: "detected".to_owned(),
            detail: "by its event".to_owned(),
        }],
    }
}

fn told<T: std::fmt::Debug>(answer: T) -> String {
    format!("{answer:?}")
}

fn shortened(answer: Result<Option<Message>, StoreError>) -> String {
    told(answer.map(|message| {
        message.map(|mut message| {
            short(&mut message);
            message
        })
    }))
}

/// Puts a digest in the place of a long text.
fn short(message: &mut Message) {
    if let Body::Text(Text { text, .. }) = &mut message.body
        && text.len() > 200
    {
        let mut digest = DefaultHasher::new();
        text.hash(&mut digest);
        *text = format!("{} bytes, {:x}", text.len(), digest.finish());
    }
}

/// Who owns the messages of each session.
pub(crate) type Fences = [Fence; SESSIONS as usize];

/// The store in memory, with what has been asked of it.
pub(crate) struct Model {
    pub(crate) store: MemoryStore,
    pub(crate) fences: Fences,
    pub(crate) asked: Vec<Ask>,
    /// The number of the next message. It never comes again, lost or not.
    next: u64,
    heavy: bool,
}

impl Model {
    pub(crate) fn new(heavy: bool) -> Self {
        Self {
            store: MemoryStore::new(),
            fences: Fences::default(),
            asked: Vec::new(),
            next: 1,
            heavy,
        }
    }

    /// As it was after its first `count` requests.
    pub(crate) async fn after(&self, count: usize) -> Self {
        let mut model = Self::new(self.heavy);
        for ask in &self.asked[..count] {
            model.ask(ask.clone()).await;
        }
        model.next = self.next;
        model
    }

    /// When the next request is made, as far as the store is told.
    pub(crate) fn time(&self) -> UnixMs {
        UnixMs(1_000).plus(self.asked.len() as u64)
    }

    pub(crate) async fn ask(&mut self, ask: Ask) -> String {
        let answer = ask.clone().put(&self.store, self.fences, self.time()).await;
        if let Ask::TakeFence(whose) = ask
            && let Some(fence) = answer.strip_prefix("Ok(Fence(")
        {
            let fence = fence.trim_end_matches(')').parse().unwrap();
            self.fences[usize::try_from(whose).unwrap()] = Fence(fence);
        }
        self.asked.push(ask);
        answer
    }

    /// What may be asked next, as things stand.
    pub(crate) async fn next_asks(&mut self, count: usize, dice: &mut Dice) -> Vec<Ask> {
        let mut known = Vec::new();
        for whose in 0..SESSIONS {
            for message in messages(&self.store, whose).await {
                let n = number(&message.id);
                known.push((whose, n, message.status, message.attempts));
            }
        }
        (0..count).map(|_| self.one(&known, dice)).collect()
    }

    fn new_message(&mut self, dice: &mut Dice) -> New {
        let n = self.next;
        self.next += 1;
        New {
            n,
            whose: u64::from(dice.once_in(4)),
            to: dice.below(CHATS),
            lane: dice.byte() % 3,
            later: dice.once_in(5),
            bytes: if self.heavy {
                dice.below(HEAVY_BYTES)
            } else {
                0
            },
        }
    }

    fn one(&mut self, known: &[(u64, u64, Status, u32)], dice: &mut Dice) -> Ask {
        let whose = u64::from(dice.once_in(4));
        let of = |wanted: fn(&(u64, u64, Status, u32)) -> bool| -> Vec<_> {
            known.iter().filter(|one| wanted(one)).copied().collect()
        };
        match dice.below(100) {
            0..36 => Ask::Accept(self.new_message(dice), dice.once_in(3)),
            36..40 => {
                let count = dice.below(5);
                Ask::AcceptMany((0..count).map(|_| self.new_message(dice)).collect())
            }
            40..55 => Ask::Claim(whose, 1 + u32::from(dice.byte() % 4)),
            55..72 => {
                let sending = of(|one| one.2 == Status::Sending);
                let Some(first) = dice.pick(&sending) else {
                    return Ask::Claim(whose, 2);
                };
                let also = sending.iter().filter(|one| one.0 == first.0).take(2);
                let outcomes = also.chain([first]).map(|one| (one.1, result(dice)));
                Ask::Record(first.0, outcomes.collect())
            }
            72..84 => match dice.pick(&of(|one| one.3 > 0)) {
                Some(one) => Ask::Ack(one.0, one.1, ack(dice)),
                None => Ask::Inbound(whose, dice.below(40)),
            },
            84..87 => match dice.pick(known) {
                Some(one) => Ask::Cancel(one.1),
                None => Ask::AddToken(1),
            },
            87..90 => match dice.pick(&of(|one| one.2 == Status::Parked)) {
                Some(one) => Ask::Unpark(one.1, dice.flip()),
                None => Ask::UpdateSession(whose, dice.flip()),
            },
            90..95 => Ask::Inbound(whose, dice.below(40)),
            95..97 => Ask::Incident(whose, dice.below(5), dice.flip()),
            97 => Ask::AddToken(dice.below(5)),
            98 => Ask::RemoveToken(dice.below(5)),
            _ if dice.once_in(4) => Ask::RemoveSession(1),
            _ => Ask::UpdateSession(whose, dice.flip()),
        }
    }
}

/// Which message an id belongs to: the other way round from [`id`].
fn number(of: &MessageId) -> u64 {
    const LETTERS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    // The number is in the last 64 bits: 13 letters of five bits each.
    let letters = of.as_str().chars().rev().take(13);
    let bits = letters.map(|letter| LETTERS.find(letter).unwrap() as u64);
    bits.enumerate()
        .fold(0, |n, (at, bits)| n | bits << (5 * at))
}

fn ack(dice: &mut Dice) -> Ack {
    const ALL: [Ack; 5] = [
        Ack::Pending,
        Ack::Server,
        Ack::Device,
        Ack::Read,
        Ack::Played,
    ];
    ALL[dice.index(ALL.len())]
}

fn result(dice: &mut Dice) -> Outcome {
    let retry_at = UnixMs(2_000);
    match dice.below(8) {
        0..3 => Outcome::Sent(ack(dice)),
        3 => Outcome::NotSent { retry_at },
        4 => Outcome::Unknown { retry_at },
        5 => Outcome::Rejected(RejectReason::RecipientInvalid),
        6 => Outcome::Parked(ParkReason::LookupUnavailable),
        _ => Outcome::Expired,
    }
}

async fn messages(store: &dyn Store, whose: u64) -> Vec<Message> {
    let all = MessageQuery {
        limit: 10_000,
        ..MessageQuery::default()
    };
    store.messages(&name(whose), all).await.unwrap()
}

/// Everything that a store shows, a line for each thing.
pub(crate) async fn shown(store: &dyn Store) -> Result<Vec<String>, StoreError> {
    let mut lines = vec![told(store.sessions().await?), told(store.tokens().await?)];
    for whose in 0..SESSIONS {
        let all = MessageQuery {
            limit: 10_000,
            ..MessageQuery::default()
        };
        let whose = name(whose);
        lines.push(told(store.depth(&whose).await?));
        lines.push(told(store.next_due(&whose).await?));
        for mut message in store.messages(&whose, all).await? {
            let attempts = store.attempts(&message.id).await?;
            short(&mut message);
            lines.push(told((message, attempts)));
        }
        let inbound = store.inbound(&whose, 0, 10_000).await?;
        lines.extend(inbound.into_iter().map(told));
        let incidents = store.incidents(&whose, None, 10_000).await?;
        lines.extend(incidents.into_iter().map(told));
    }
    let everything = EventQuery {
        limit: 10_000,
        ..EventQuery::default()
    };
    // Ids have something of the store in them; all else is the same.
    for event in store.events(everything).await?.events {
        let Event {
            seq,
            kind,
            session,
            at,
            data,
            id: _,
        } = event;
        lines.push(told((seq, kind, session, at, data)));
    }
    Ok(lines)
}

/// Uses a store to the end: new owners, all that is owed delivered, keys asked
/// for again. What it answers shows what `shown` cannot: the queue and the keys.
pub(crate) async fn used_up(asked: &[Ask], store: &dyn Store) -> Vec<String> {
    let mut answers = Vec::new();
    let at = UnixMs(FAR);
    for ask in asked {
        if let Ask::Accept(_, true) = ask {
            // With a key that is known the first answer comes again.
            answers.push(ask.clone().put(store, Fences::default(), at).await);
        }
    }
    for whose in 0..SESSIONS {
        let fence = store.take_fence(&name(whose)).await;
        answers.push(told(&fence));
        let Ok(fence) = fence else { continue };
        for _ in 0..1_000 {
            let login = LoginGeneration(9);
            let claimed = match store.claim(&name(whose), fence, login, at, 1_000).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    answers.push(told(error));
                    break;
                }
            };
            if claimed.is_empty() {
                break;
            }
            let mut outcomes = Vec::new();
            for one in claimed {
                answers.push(told((&one.message.id, one.message.seq, one.attempt)));
                outcomes.push(Recorded {
                    id: one.message.id,
                    outcome: Outcome::Sent(Ack::Server),
                    detail: None,
                    at,
                });
            }
            answers.push(told(store.record(&name(whose), fence, outcomes).await));
        }
        answers.push(told(store.depth(&name(whose)).await));
    }
    answers
}
