//! What one session remembers across its epochs, while this process lives.
//!
//! A page forgets with every load which messages we gave it and which of its
//! messages we have on disk. The store could be asked, but only after the fact;
//! this spares it most of the questions. Losing it costs repeats, which the
//! store drops, never a message.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use steadfast_core::ids::WaMessageId;

/// How many messages of ours are followed.
const OWN_LIMIT: usize = 2_000;
/// How many confirmed inbound keys are told to a new page.
const KNOWN_LIMIT: usize = 2_000;
/// The longest key that is remembered, in bytes: chat, id and sender are at most some 200.
const KEY_BYTES: usize = 512;
/// Keys of messages older than this before the newest confirmed one are swept no more, in seconds.
const OVERLAP_S: i64 = 15 * 60;

/// How far WhatsApp's clock and ours may be apart, in seconds.
const CLOCKS_S: i64 = 120;

/// Shared by all epochs of one session.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    own: Bounded<WaMessageId, i64>,
    known: VecDeque<String>,
    known_set: HashSet<String>,
    /// The newest time of all that was confirmed, with older ones perhaps still on their way.
    newest: Option<i64>,
    /// Up to here all is confirmed.
    newest_confirmed: Option<i64>,
    /// When this login began, in Unix seconds: what is older was never ours to receive.
    floor: i64,
}

/// What a new document has to be told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SweepOrder {
    /// Unix seconds.
    pub(crate) from: i64,
    /// When the login began, with the clocks' difference taken off.
    pub(crate) login: i64,
    pub(crate) known: Vec<String>,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Plain data, whole after every statement: a panic elsewhere spoils nothing here.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message of ours is about to be handed over.
    pub(crate) fn follow(&self, id: &WaMessageId) {
        let mut inner = self.lock();
        if !inner.own.map.contains_key(id) {
            inner.own.insert(id.clone(), 0, OWN_LIMIT);
        }
    }

    /// The level is WhatsApp's word on a message of ours: whether it is news.
    pub(crate) fn is_news(&self, id: &WaMessageId, level: i64) -> bool {
        let mut inner = self.lock();
        match inner.own.map.get_mut(id) {
            Some(known) if *known == level || (*known > 0 && level >= 0 && level < *known) => false,
            Some(known) => {
                *known = level;
                true
            }
            // Not ours, or from before this process: the store knows.
            None => true,
        }
    }

    /// Our messages that are not at the end of their journey, newest last.
    /// Those that were read are among them: whether the store knows that is not known.
    pub(crate) fn under_way(&self) -> Vec<String> {
        let inner = self.lock();
        inner
            .own
            .order
            .iter()
            .filter(|id| inner.own.map.get(*id).is_some_and(|level| *level < 4))
            .map(|id| id.as_str().to_owned())
            .collect()
    }

    pub(crate) fn is_own(&self, id: &WaMessageId) -> bool {
        self.lock().own.map.contains_key(id)
    }

    /// An inbound message of time `t` is on disk. Times are in Unix seconds.
    ///
    /// A sender's clock may run ahead. Such a time counts as now: else what
    /// comes between now and then, while nobody listens, would not be swept.
    pub(crate) fn confirmed(&self, key: &str, t: i64, now_s: i64) {
        let t = t.min(now_s);
        let mut inner = self.lock();
        // A longer one is no key that WhatsApp makes; its message is dropped
        // by the store where it comes again.
        if key.len() <= KEY_BYTES && inner.known_set.insert(key.to_owned()) {
            inner.known.push_back(key.to_owned());
            if inner.known.len() > KNOWN_LIMIT
                && let Some(old) = inner.known.pop_front()
            {
                inner.known_set.remove(&old);
            }
        }
        inner.newest = inner.newest.max(Some(t));
    }

    /// The page has nothing unconfirmed that was sent before `to`, or nothing
    /// at all: what is confirmed so far counts up to there.
    pub(crate) fn settled(&self, to: Option<i64>) {
        let mut inner = self.lock();
        let reached = inner
            .newest
            .map(|newest| to.map_or(newest, |to| to.min(newest)));
        inner.newest_confirmed = inner.newest_confirmed.max(reached);
    }

    /// What is known from earlier processes: when the login began, and the
    /// newest message that was confirmed then.
    pub(crate) fn resume(&self, floor: i64, newest_confirmed: Option<i64>) {
        let mut inner = self.lock();
        inner.floor = inner.floor.max(floor);
        inner.newest = inner.newest.max(newest_confirmed);
        inner.newest_confirmed = inner.newest_confirmed.max(newest_confirmed);
    }

    /// A new login: nothing of the old one counts.
    pub(crate) fn begin_login(&self, now_s: i64) {
        let mut inner = self.lock();
        inner.known.clear();
        inner.known_set.clear();
        inner.newest = None;
        inner.newest_confirmed = None;
        inner.floor = now_s;
    }

    /// Up to where all messages are confirmed, in Unix seconds.
    pub(crate) fn newest_confirmed(&self) -> Option<i64> {
        self.lock().newest_confirmed
    }

    pub(crate) fn sweep_order(&self, now_s: i64) -> SweepOrder {
        let inner = self.lock();
        // A login that begins in the future began under a clock that was
        // wrong: it says nothing of what is ours.
        let floor = if inner.floor > now_s + CLOCKS_S {
            now_s - OVERLAP_S
        } else {
            inner.floor
        };
        let login = floor.saturating_sub(CLOCKS_S);
        SweepOrder {
            from: (inner.newest_confirmed.unwrap_or(floor).min(now_s))
                .saturating_sub(OVERLAP_S)
                .max(login),
            login,
            known: inner.known.iter().cloned().collect(),
        }
    }
}

/// A map that forgets what was put in first.
#[derive(Debug)]
struct Bounded<K, V> {
    map: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self {
            map: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    fn insert(&mut self, key: K, value: V, limit: usize) {
        if self.map.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > limit {
            if let Some(old) = self.order.pop_front() {
                self.map.remove(&old);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> WaMessageId {
        WaMessageId::mint([n; 9])
    }

    #[test]
    fn an_ack_is_told_once_and_never_backwards() {
        let memory = Memory::default();
        memory.follow(&id(1));
        assert!(memory.is_news(&id(1), 1));
        assert!(!memory.is_news(&id(1), 1));
        assert!(memory.is_news(&id(1), 3));
        assert!(!memory.is_news(&id(1), 2));
        assert_eq!(memory.under_way().len(), 1);
        assert!(memory.is_news(&id(1), 4));
        assert!(memory.under_way().is_empty());
        assert!(
            memory.is_news(&id(9), 2),
            "unknown ids are the store's business"
        );
    }

    #[test]
    fn a_failure_and_a_later_success_are_both_news() {
        let memory = Memory::default();
        memory.follow(&id(1));
        assert!(memory.is_news(&id(1), -1));
        assert!(memory.is_news(&id(1), 1));
        assert!(memory.is_news(&id(1), -1));
    }

    #[test]
    fn what_is_followed_is_bounded() {
        let memory = Memory::default();
        for n in 0..=OWN_LIMIT {
            let bytes = u64::try_from(n).unwrap().to_be_bytes();
            let mut random = [0; 9];
            random[1..].copy_from_slice(&bytes);
            memory.follow(&WaMessageId::mint(random));
        }
        assert_eq!(memory.under_way().len(), OWN_LIMIT);
        for n in 0..=KNOWN_LIMIT {
            memory.confirmed(&n.to_string(), 0, 10_000);
        }
        let order = memory.sweep_order(10_000);
        assert_eq!(order.known.len(), KNOWN_LIMIT);
        assert_eq!(order.known[0], "1");
    }

    #[test]
    fn sweeping_overlaps_what_is_confirmed() {
        let memory = Memory::default();
        memory.begin_login(3_000);
        assert_eq!(memory.sweep_order(10_000).from, 3_000 - CLOCKS_S);
        memory.confirmed("a", 5_000, 10_000);
        memory.confirmed("b", 4_000, 10_000);
        // Chats have not been read back yet: what is newer says nothing of what is older.
        memory.settled(Some(0));
        assert_eq!(memory.sweep_order(10_000).from, 3_000 - CLOCKS_S);
        memory.settled(Some(4_500));
        assert_eq!(memory.sweep_order(10_000).from, 4_500 - OVERLAP_S);
        memory.settled(None);
        assert_eq!(memory.sweep_order(10_000).from, 5_000 - OVERLAP_S);
        // A sender's clock that runs ahead must not hide what others sent.
        memory.confirmed("c", 99_000, 10_000);
        memory.settled(None);
        assert_eq!(memory.sweep_order(10_000).from, 10_000 - OVERLAP_S);
        // Nor what they send while we are away.
        assert_eq!(memory.sweep_order(50_000).from, 10_000 - OVERLAP_S);
        // Linked while the clock was ahead: what comes now is ours all the same.
        memory.begin_login(30_000);
        assert_eq!(
            memory.sweep_order(10_000).from,
            10_000 - OVERLAP_S - CLOCKS_S
        );
    }
}
