//! Everybody with a phone, and who hides behind which address.

use super::World;
use super::delivery::Envelope;
use crate::address::{Number, Peer, RawAddress};
use crate::knobs::Addressing;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use steadfast_core::time::MonoMs;

/// The most people that a world holds.
pub(super) const MAX_PEOPLE: usize = 500_000;

/// One person with one phone.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about a person, not states of one machine"
)]
pub(super) struct Person {
    pub(super) hidden: String,
    pub(super) exists: bool,
    pub(super) push_name: String,
    pub(super) about: String,
    pub(super) picture: Option<String>,
    pub(super) business: bool,
    /// Whether the phone has network.
    pub(super) online: bool,
    /// Whether this one reads; `None` follows the knob.
    pub(super) reads: Option<bool>,
    /// Whether this one lets others add it to groups.
    pub(super) addable: bool,
    /// What waits until the phone has network again.
    pub(super) pending: VecDeque<Arc<Envelope>>,
    /// (sender, id) of every message that reached the phone.
    pub(super) seen: HashSet<(Number, String)>,
    /// The latest arrival that is due, so that a shorter delay cannot overtake.
    pub(super) last_arrival: MonoMs,
}

impl World {
    /// The person, made known where nobody has asked before. `None` where
    /// the world holds as many as it may.
    pub(super) fn person_mut(&mut self, number: &Number) -> Option<&mut Person> {
        if !self.people.contains_key(number) {
            if self.people.len() >= MAX_PEOPLE {
                return None;
            }
            let hidden = number.hidden(self.seed);
            self.hidden.insert(hidden.clone(), number.clone());
            let tail = number.as_str().len().saturating_sub(4);
            self.people.insert(
                number.clone(),
                Person {
                    hidden,
                    exists: self.knobs.unknown_numbers_exist,
                    push_name: format!("Person {}", &number.as_str()[tail..]),
                    about: "Hey there! I am using WhatsApp.".to_owned(),
                    picture: None,
                    business: false,
                    online: true,
                    reads: None,
                    addable: true,
                    pending: VecDeque::new(),
                    seen: HashSet::new(),
                    last_arrival: MonoMs(0),
                },
            );
        }
        self.people.get_mut(number)
    }

    pub(super) fn exists(&mut self, number: &Number) -> bool {
        self.person_mut(number).is_some_and(|p| p.exists)
    }

    /// Who or what an address means. Hidden ids must have been given out before.
    pub(super) fn resolve(&self, text: &str) -> Option<Peer> {
        Some(match RawAddress::parse(text)? {
            RawAddress::Number(number) => Peer::Person(number),
            RawAddress::Hidden(hidden) => Peer::Person(self.hidden.get(&hidden)?.clone()),
            RawAddress::Group(id) => Peer::Group(id),
            RawAddress::Status => Peer::Status,
        })
    }

    /// As [`Self::resolve`], for people only.
    pub(super) fn resolve_person(&self, text: &str) -> Option<Number> {
        match self.resolve(text)? {
            Peer::Person(number) => Some(number),
            Peer::Group(_) | Peer::Status => None,
        }
    }

    /// `<digits>@lid` of a person.
    pub(super) fn lid(&mut self, number: &Number) -> String {
        let seed = self.seed;
        match self.person_mut(number) {
            Some(person) => format!("{}@lid", person.hidden),
            None => format!("{}@lid", number.hidden(seed)),
        }
    }

    /// The person's address as this account names people.
    pub(super) fn address(&mut self, account: &Number, number: &Number) -> String {
        match self.addressing(account) {
            Addressing::Pn => number.pn(),
            Addressing::Lid => self.lid(number),
        }
    }

    /// The chat's address as this account names it.
    pub(super) fn chat_address(&mut self, account: &Number, peer: &Peer) -> String {
        match peer {
            Peer::Person(number) => self.address(account, number),
            Peer::Group(_) | Peer::Status => peer.canonical(),
        }
    }

    pub(super) fn addressing(&self, account: &Number) -> Addressing {
        self.accounts
            .get(account)
            .map_or(self.knobs.addressing, |a| a.addressing)
    }

    pub(super) fn push_name(&mut self, number: &Number) -> String {
        self.person_mut(number)
            .map(|p| p.push_name.clone())
            .unwrap_or_default()
    }
}
