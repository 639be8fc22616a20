//! Who lost what: offered messages against the simulated server's journal.

use super::contender::{Answer, Who};
use super::kinds::Kind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;

/// A message offered this soon after a fault may have gone out before the
/// fault had its effect: it is no sign of recovery.
pub(super) const BLIND_MS: i64 = 150;

/// A message that a contender was handed.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    pub(super) who: Who,
    pub(super) round: u32,
    pub(super) kind: Kind,
    pub(super) n: u64,
    pub(super) chat: String,
    pub(super) text: String,
    /// Unix milliseconds.
    pub(super) at_ms: i64,
}

/// A message that the server took.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub(super) at_ms: i64,
    pub(super) account: String,
    pub(super) text: String,
}

impl Taken {
    /// An entry of the journal.
    pub(super) fn read(entry: &Value) -> Option<Self> {
        Some(Self {
            at_ms: entry["at_ms"].as_i64()?,
            account: entry["account"].as_str()?.to_owned(),
            text: entry["body"].as_str()?.to_owned(),
        })
    }
}

/// What one fault did to one contender's messages, in one round.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fate {
    pub(crate) offered: usize,
    /// Never taken by the server, though no error was told.
    pub(crate) lost: usize,
    /// Never taken, and whoever offered it was told an error.
    pub(crate) failed: usize,
    /// Taken, though an error was told: whoever sends it again doubles it.
    pub(crate) failed_but_sent: usize,
    /// Taken under more than one id.
    pub(crate) duplicated: usize,
    /// Taken after a later one of the same chat.
    pub(crate) reordered: usize,
}

impl Fate {
    pub(crate) fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.lost += other.lost;
        self.failed += other.failed;
        self.failed_but_sent += other.failed_but_sent;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
    }
}

/// Judges what one contender was offered in one fault. `taken` is everything
/// that the server took from it, in order.
pub(super) fn fate(offers: &[&Offer], taken: &[Taken], answers: &HashMap<u64, Answer>) -> Fate {
    let by_text: HashMap<&str, &Offer> = offers.iter().map(|o| (o.text.as_str(), *o)).collect();
    let mut times: HashMap<u64, usize> = HashMap::new();
    let mut newest: HashMap<&str, u64> = HashMap::new();
    let mut fate = Fate {
        offered: offers.len(),
        ..Fate::default()
    };
    for offer in taken.iter().filter_map(|t| by_text.get(t.text.as_str())) {
        let seen = times.entry(offer.n).or_default();
        *seen += 1;
        if *seen > 1 {
            continue;
        }
        let newest = newest.entry(&offer.chat).or_default();
        if offer.n < *newest {
            fate.reordered += 1;
        }
        *newest = offer.n.max(*newest);
    }
    for offer in offers {
        let told = matches!(answers.get(&offer.n), Some(Answer::Refused(_)));
        match (times.get(&offer.n).copied().unwrap_or(0), told) {
            (0, false) => fate.lost += 1,
            (0, true) => fate.failed += 1,
            (copies, _) => {
                fate.duplicated += copies - 1;
                fate.failed_but_sent += usize::from(told);
            }
        }
    }
    fate
}

/// From the fault to the first message that was offered after it and that
/// the server took; nothing where there is none.
pub(super) fn recovery_ms(offers: &[&Offer], taken: &[Taken], fault_ms: i64) -> Option<i64> {
    let after: Vec<&str> = offers
        .iter()
        .filter(|o| o.at_ms >= fault_ms + BLIND_MS)
        .map(|o| o.text.as_str())
        .collect();
    taken
        .iter()
        .filter(|t| t.at_ms >= fault_ms && after.contains(&t.text.as_str()))
        .map(|t| t.at_ms - fault_ms)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(n: u64, chat: &str, at_ms: i64) -> Offer {
        Offer {
            who: Who::Plain,
            round: 1,
            kind: Kind::PageClose,
            n,
            chat: chat.to_owned(),
            text: format!("m {n}"),
            at_ms,
        }
    }

    fn took(n: u64, at_ms: i64) -> Taken {
        Taken {
            at_ms,
            account: "1".to_owned(),
            text: format!("m {n}"),
        }
    }

    #[test]
    fn every_fate_is_counted_once() {
        let offers: Vec<Offer> = (0..6).map(|n| offer(n, "a", 0)).collect();
        let offers: Vec<&Offer> = offers.iter().collect();
        // 0 arrives late, 1 twice, 2 in spite of an error; 3 never, told; 4 never, untold.
        let taken = [took(1, 1), took(2, 2), took(0, 3), took(1, 4), took(5, 5)];
        let refused = || Answer::Refused("no".to_owned());
        let answers = HashMap::from([(2, refused()), (3, refused()), (5, Answer::Taken)]);
        assert_eq!(
            fate(&offers, &taken, &answers),
            Fate {
                offered: 6,
                lost: 1,
                failed: 1,
                failed_but_sent: 1,
                duplicated: 1,
                reordered: 1,
            }
        );
    }

    #[test]
    fn order_counts_within_a_chat_alone() {
        let offers = [offer(0, "a", 0), offer(1, "b", 0)];
        let offers: Vec<&Offer> = offers.iter().collect();
        let fate = fate(&offers, &[took(1, 1), took(0, 2)], &HashMap::new());
        assert_eq!((fate.reordered, fate.lost), (0, 0));
    }

    #[test]
    fn only_what_was_offered_after_the_fault_shows_a_recovery() {
        let offers = [offer(0, "a", 90), offer(1, "a", 160), offer(2, "a", 300)];
        let offers: Vec<&Offer> = offers.iter().collect();
        let taken = [took(0, 400), took(1, 500), took(2, 900)];
        assert_eq!(recovery_ms(&offers, &taken, 100), Some(800));
        assert_eq!(recovery_ms(&offers, &taken[..2], 100), None);
    }
}
