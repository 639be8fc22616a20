//! From the server to other people's phones, and their receipts back.

use super::account::StoredMessage;
use super::sending::is_about_another;
use super::{Timer, World};
use crate::address::{Number, Peer};
use crate::frames::Item;
use crate::journal::{Entry, Event};
use std::sync::Arc;

/// Messages that wait for one phone.
const MAX_PENDING: usize = 200_000;

/// A message on its way to other phones.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) from: Number,
    pub(super) group: Option<String>,
    pub(super) status: bool,
    pub(super) message: StoredMessage,
}

impl Envelope {
    /// The chat as the sender sees it.
    fn senders_chat(&self, to: &Number) -> Peer {
        match &self.group {
            Some(group) => Peer::Group(group.clone()),
            None if self.status => Peer::Status,
            None => Peer::Person(to.clone()),
        }
    }

    /// The chat as the recipient sees it.
    pub(super) fn recipients_chat(&self) -> Peer {
        match &self.group {
            Some(group) => Peer::Group(group.clone()),
            None if self.status => Peer::Status,
            None => Peer::Person(self.from.clone()),
        }
    }
}

impl World {
    /// Sends an envelope on its way. A later one never overtakes an earlier one.
    pub(super) fn post(&mut self, to: &Number, envelope: &Arc<Envelope>) {
        let due = self.now.plus(self.knobs.delivery_delay_ms);
        let Some(person) = self.person_mut(to) else {
            self.log(Entry::new(Event::Overflow).peer(to).kind("people"));
            return;
        };
        let due = due.max(person.last_arrival);
        person.last_arrival = due;
        self.at(
            due,
            Timer::Arrive {
                to: to.clone(),
                envelope: Arc::clone(envelope),
            },
        );
    }

    /// The envelope has reached the recipient's network.
    pub(super) fn arrive(&mut self, to: &Number, envelope: &Arc<Envelope>) {
        // An account's phone takes part in its own chats; whether it is
        // online only decides who sends the receipt.
        if self.accounts.contains_key(to) {
            self.arrive_at_account(to, envelope);
            return;
        }
        let mut full = false;
        if let Some(person) = self.person_mut(to)
            && !person.online
        {
            full = person.pending.len() >= MAX_PENDING;
            if !full {
                person.pending.push_back(Arc::clone(envelope));
                return;
            }
        }
        if full {
            self.log(
                Entry::new(Event::Overflow)
                    .peer(to)
                    .id(&envelope.message.id)
                    .kind("phone"),
            );
            return;
        }
        self.deliver(to, envelope);
    }

    fn deliver(&mut self, to: &Number, envelope: &Arc<Envelope>) {
        let fresh = self.note_delivery(to, envelope);
        self.seen(to, envelope, 2);
        let reads = self
            .person_mut(to)
            .and_then(|p| p.reads)
            .unwrap_or(self.knobs.auto_read);
        if fresh && reads && !is_about_another(&envelope.message.kind) {
            self.later(
                self.knobs.read_delay_ms,
                Timer::Seen {
                    by: to.clone(),
                    envelope: Arc::clone(envelope),
                    level: 3,
                },
            );
        }
    }

    /// Whether the phone takes the message, or has seen it before.
    fn note_delivery(&mut self, to: &Number, envelope: &Envelope) -> bool {
        let drops = self.knobs.recipients_drop_repeats;
        let key = (envelope.from.clone(), envelope.message.id.clone());
        let seen_before = self.person_mut(to).is_some_and(|p| !p.seen.insert(key));
        let dropped = seen_before && drops;
        let mut entry = Entry::new(if dropped {
            Event::DeliveredRepeat
        } else {
            Event::Delivered
        })
        .account(&envelope.from)
        .peer(to)
        .chat(&envelope.senders_chat(to))
        .id(&envelope.message.id)
        .kind(&envelope.message.kind)
        .body(&envelope.message.body)
        .content(&envelope.message.content);
        entry.file = self.media.arrived(&envelope.message.content);
        entry.repeat = seen_before;
        self.log(entry);
        !dropped
    }

    /// One account writes to another of this world, or to itself.
    fn arrive_at_account(&mut self, to: &Number, envelope: &Arc<Envelope>) {
        let fresh = self.note_delivery(to, envelope);
        if *to == envelope.from {
            // A note to oneself is read by the phone that shows it.
            self.seen(to, envelope, 3);
            return;
        }
        if fresh {
            self.incoming(
                to,
                &envelope.from,
                &envelope.recipients_chat(),
                &envelope.message,
            );
        }
        if self.accounts.get(to).is_some_and(|a| a.phone_online) {
            self.seen(to, envelope, 2);
        }
    }

    /// Somebody's phone sends a receipt for a message of one of our accounts.
    pub(super) fn seen(&mut self, by: &Number, envelope: &Arc<Envelope>, level: i64) {
        let chat = envelope.senders_chat(by);
        self.receipt(&envelope.from, &envelope.message.id, &chat, by, level);
        if level == 3
            && self.knobs.auto_play
            && matches!(envelope.message.kind.as_str(), "ptt" | "video")
        {
            self.later(
                self.knobs.played_delay_ms,
                Timer::Seen {
                    by: by.clone(),
                    envelope: Arc::clone(envelope),
                    level: 4,
                },
            );
        }
    }

    /// Books a receipt and tells the sender's companions.
    pub(super) fn receipt(
        &mut self,
        account: &Number,
        id: &str,
        chat: &Peer,
        by: &Number,
        level: i64,
    ) {
        let mut overall = None;
        if let Some(sent) = self
            .accounts
            .get_mut(account)
            .and_then(|a| a.sent.get_mut(id))
        {
            let own = sent.levels.entry(by.clone()).or_insert(1);
            if *own >= level {
                return;
            }
            *own = level;
            let lowest = sent.levels.values().copied().min().unwrap_or(level);
            if lowest > sent.ack {
                sent.ack = lowest;
                overall = Some(lowest);
            }
        } else {
            return;
        }
        self.log(
            Entry::new(Event::Receipt)
                .account(account)
                .chat(chat)
                .peer(by)
                .id(id)
                .level(level),
        );
        let from = self.address(account, by);
        let chat_address = self.chat_address(account, chat);
        let t = self.t();
        let item = |participant, level| Item::Receipt {
            ids: vec![id.to_owned()],
            chat: chat_address.clone(),
            from: from.clone(),
            participant,
            level,
            t,
        };
        if matches!(chat, Peer::Group(_)) {
            self.enqueue_all(account, None, &item(Some(from.clone()), level));
            if let Some(overall) = overall {
                self.enqueue_all(account, None, &item(None, overall));
            }
        } else {
            self.enqueue_all(account, None, &item(None, level));
        }
    }

    /// A phone has network again: what waited arrives, in order.
    pub(super) fn phone_back(&mut self, number: &Number) {
        let waiting = self
            .person_mut(number)
            .map(|p| std::mem::take(&mut p.pending))
            .unwrap_or_default();
        for envelope in waiting {
            self.deliver(number, &envelope);
        }
    }
}
