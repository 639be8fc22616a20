//! A modelled WhatsApp: the server, the profile on disk, the page's outbox.
//! It is the truth that the check believes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use steadfast_core::backoff::Random;
use steadfast_core::ids::{ChatId, MessageId, WaMessageId};
use steadfast_core::outbox::{Message, ParkReason};
use steadfast_core::port::Outcome;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A way in which the modelled WhatsApp, or the store under the gateway, can
/// be made to lie, so that the check is seen to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Acks what it does not keep.
    LoseAcked,
    /// Puts a message before the one that it got first.
    Reorder,
    /// Delivers a second message of an id that it has seen.
    DeliverRepeats,
    /// The store says of all that is claimed after a login was lost that it
    /// was begun under that login: the gateway parks it.
    ParkBacklog,
    /// The store says of a message in doubt that it was begun under the login
    /// of today: the gateway asks a device that cannot know.
    ForgetLogin,
}

impl Defect {
    pub(crate) const ALL: [Self; 5] = [
        Self::LoseAcked,
        Self::Reorder,
        Self::DeliverRepeats,
        Self::ParkBacklog,
        Self::ForgetLogin,
    ];
}

/// The account's own number, to which canaries go.
pub(crate) const ME: &str = "4915199999999";

/// What the profile on disk holds; it outlives pages and browsers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Profile {
    /// The device that it is linked as; 0 where it is not.
    pub(crate) device: u64,
    /// Whether the gateway is yet to keep that it was linked.
    pub(crate) untold: bool,
    /// Messages of ours that it knows, with the ack level.
    pub(crate) known: BTreeMap<WaMessageId, i64>,
    /// The page's own outbox, in order.
    pub(crate) outbox: VecDeque<(ChatId, WaMessageId)>,
    /// Inbound messages that wait to be taken.
    pub(crate) unconfirmed: VecDeque<u64>,
}

/// A page that is open.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// Cancelled when it is gone.
    pub(crate) gone: CancellationToken,
    /// Answers nothing.
    pub(crate) hung: bool,
    /// Has synced and is connected.
    pub(crate) ready: bool,
}

/// The truth.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a world, no states"
)]
pub(crate) struct Truth {
    /// When this run began.
    pub(crate) began: Instant,
    pub(crate) random: Random,
    pub(crate) defect: Option<Defect>,
    /// What the recipient has, in order.
    pub(crate) delivered: Vec<(ChatId, WaMessageId)>,
    seen: BTreeSet<WaMessageId>,
    pub(crate) repeats_dropped: u64,
    /// The device that the phone has linked; 0 for none.
    pub(crate) linked: u64,
    pub(crate) next_device: u64,
    /// How often a login was lost.
    pub(crate) logins_lost: u64,
    pub(crate) network: bool,
    pub(crate) drop_acks: u8,
    pub(crate) refuse_sends: u8,
    pub(crate) too_fast: u8,
    /// Sends that were refused as too fast.
    pub(crate) refused: u64,
    pub(crate) break_launch: u8,
    pub(crate) profile: Profile,
    pub(crate) page: Option<Page>,
    pub(crate) browser: bool,
    pub(crate) inbound_sent: u64,
    /// The browser uses more memory than it may.
    pub(crate) bloated: bool,
    /// Until when each message is worth sending, in milliseconds of this run.
    pub(crate) expires: BTreeMap<WaMessageId, u64>,
    /// Messages that were handed to a page after that.
    pub(crate) sent_late: Vec<WaMessageId>,
    /// Before when each scheduled message must not go.
    pub(crate) not_before: BTreeMap<WaMessageId, u64>,
    /// Messages that were handed to a page before that.
    pub(crate) sent_early: Vec<WaMessageId>,
    /// Messages of which an attempt has begun that has not surely failed, and
    /// the device under which the first of them did.
    in_doubt: BTreeMap<MessageId, (WaMessageId, u64)>,
    /// Messages that were parked for a lost login, and were not in doubt under one.
    pub(crate) parked_unduly: Vec<MessageId>,
    /// Messages that were in doubt under a device that was lost, and were
    /// handed to a page of another one.
    pub(crate) sent_again: Vec<WaMessageId>,
    pub(crate) looked_up: u64,
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) calm: bool,
}

/// Shared by the engine, the happenings and the check.
#[derive(Clone)]
pub(crate) struct World(Arc<Mutex<Truth>>);

impl World {
    pub(crate) fn new(seed: u64, defect: Option<Defect>, trace: bool) -> Self {
        Self(Arc::new(Mutex::new(Truth {
            began: Instant::now(),
            random: Random::new(seed),
            defect,
            delivered: Vec::new(),
            seen: BTreeSet::new(),
            repeats_dropped: 0,
            linked: 0,
            next_device: 1,
            logins_lost: 0,
            network: true,
            drop_acks: 0,
            refuse_sends: 0,
            too_fast: 0,
            refused: 0,
            break_launch: 0,
            profile: Profile::default(),
            page: None,
            browser: false,
            inbound_sent: 0,
            bloated: false,
            expires: BTreeMap::new(),
            not_before: BTreeMap::new(),
            sent_early: Vec::new(),
            sent_late: Vec::new(),
            in_doubt: BTreeMap::new(),
            parked_unduly: Vec::new(),
            sent_again: Vec::new(),
            looked_up: 0,
            trace: trace.then(Vec::new),
            calm: false,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Truth> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        self.lock().say(what);
    }

    /// A delay, mostly short, sometimes long.
    pub(crate) async fn pause(&self, usual_ms: u64) {
        let ms = {
            let mut truth = self.lock();
            let most = if truth.random.up_to(9) == 0 {
                usual_ms * 8
            } else {
                usual_ms
            };
            truth.random.up_to(most)
        };
        tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
    }
}

impl Truth {
    pub(crate) fn say(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(what());
        }
    }

    pub(crate) fn chance(&mut self, one_in: u64) -> bool {
        !self.calm && self.random.up_to(one_in - 1) == 0
    }

    /// A message is handed to a page.
    pub(crate) fn handed(&mut self, id: &WaMessageId) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if self.expires.get(id).is_some_and(|at| *at <= now) {
            self.sent_late.push(id.clone());
        }
        let device = self.profile.device;
        let elsewhere = |(doubted, under): &(WaMessageId, u64)| doubted == id && *under != device;
        if device != 0 && self.in_doubt.values().any(elsewhere) {
            self.sent_again.push(id.clone());
        }
        if self.not_before.get(id).is_some_and(|at| now < *at) {
            self.sent_early.push(id.clone());
        }
    }

    /// An attempt at a message has begun.
    pub(crate) fn claimed(&mut self, message: &Message) {
        let doubt = || (message.wa_message_id.clone(), self.profile.device);
        self.in_doubt
            .entry(message.id.clone())
            .or_insert_with(doubt);
    }

    /// It is written down what came of it.
    pub(crate) fn recorded(&mut self, id: &MessageId, outcome: &Outcome) {
        match outcome {
            Outcome::NotSent { .. } | Outcome::SlowedDown { .. } => {
                self.in_doubt.remove(id);
            }
            // The device that may have sent it is there to be asked.
            Outcome::Parked(ParkReason::LoginLost)
                if self
                    .in_doubt
                    .get(id)
                    .is_some_and(|(_, device)| *device == self.profile.device) =>
            {
                self.parked_unduly.push(id.clone());
            }
            Outcome::Parked(_)
            | Outcome::Sent(_)
            | Outcome::Unknown { .. }
            | Outcome::Rejected(_)
            | Outcome::Expired => {}
        }
    }

    /// The server receives a message; true where it acks.
    pub(crate) fn receive(&mut self, chat: &ChatId, id: &WaMessageId) -> bool {
        let new = self.seen.insert(id.clone());
        self.say(|| format!("server: {id} for {chat}, new: {new}"));
        if new || self.defect == Some(Defect::DeliverRepeats) {
            let lost = self.defect == Some(Defect::LoseAcked) && self.random.up_to(3) == 0;
            if lost {
                // Acked below, kept nowhere.
            } else if self.defect == Some(Defect::Reorder) && self.random.up_to(3) == 0 {
                let at = self.delivered.len().saturating_sub(1);
                self.delivered.insert(at, (chat.clone(), id.clone()));
            } else {
                self.delivered.push((chat.clone(), id.clone()));
            }
        }
        if !new {
            self.repeats_dropped += 1;
        }
        if self.drop_acks > 0 {
            self.drop_acks -= 1;
            return false;
        }
        true
    }

    /// The page is connected: it sends what waits in its own outbox, in order.
    pub(crate) fn flush(&mut self) {
        if !self.network || self.linked != self.profile.device {
            return;
        }
        let mut unacked = VecDeque::new();
        while let Some((chat, id)) = self.profile.outbox.pop_front() {
            if self.receive(&chat, &id) {
                self.profile.known.insert(id, 1);
            } else {
                unacked.push_back((chat, id));
            }
        }
        self.profile.outbox = unacked;
    }

    pub(crate) fn close_page(&mut self) {
        if let Some(page) = self.page.take() {
            page.gone.cancel();
        }
    }

    pub(crate) fn is_serving(&self, device: u64) -> bool {
        self.network && device != 0 && self.linked == device
    }
}
