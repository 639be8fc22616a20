//! Compares what was accepted with what arrived. It believes the simulator's
//! journal alone: what the recipients' phones got, in the order in which they got it.

use super::traffic::Accepted;
use std::collections::{BTreeMap, BTreeSet};
use steadfast_sim::journal::{Entry, Event};

/// What came of a run's messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How many were accepted.
    pub accepted: u64,
    /// How many of them reached the recipient.
    pub delivered: u64,
    /// How many of them wait for a person.
    pub parked: u64,
    /// Accepted, neither delivered nor parked.
    pub lost: u64,
    /// Reached the recipient more than once, under any id.
    pub duplicated: u64,
    /// Reached the recipient after a message that was accepted later for the same chat.
    pub reordered: u64,
    /// Second copies under the same id, dropped by the server before anybody saw them.
    pub repeats_dropped: u64,
    /// Which messages these are, for a person who looks for the cause.
    pub findings: Vec<String>,
}

impl Verdict {
    /// Whether nothing was lost, doubled or put out of order.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.reordered == 0
    }
}

/// Judges. `accepted` is in the order of acceptance; every text is unique;
/// `parked` names our ids.
pub fn judge(accepted: &[Accepted], parked: &BTreeSet<String>, journal: &[Entry]) -> Verdict {
    let mut verdict = Verdict {
        accepted: accepted.len() as u64,
        repeats_dropped: journal.iter().filter(|e| e.event == Event::Repeat).count() as u64,
        ..Verdict::default()
    };
    let place: BTreeMap<(&str, &str), usize> = accepted
        .iter()
        .enumerate()
        .map(|(i, m)| ((m.chat.as_str(), m.text.as_str()), i))
        .collect();
    let mut copies = vec![0_u64; accepted.len()];
    let mut newest: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in journal {
        // A repeat that the recipient's phone dropped is still a second delivery of ours.
        if !matches!(entry.event, Event::Delivered | Event::DeliveredRepeat) {
            continue;
        }
        let (Some(chat), Some(text)) = (chat_of(entry), entry.body.as_deref()) else {
            continue;
        };
        let Some(&i) = place.get(&(chat, text)) else {
            continue;
        };
        copies[i] += 1;
        if copies[i] > 1 {
            continue;
        }
        let newest = newest.entry(chat).or_insert(i);
        if *newest > i {
            verdict.reordered += 1;
            verdict
                .findings
                .push(format!("{} came out of order", accepted[i].id));
        }
        *newest = (*newest).max(i);
    }
    for (message, copies) in accepted.iter().zip(copies) {
        match copies {
            0 if parked.contains(&message.id) => verdict.parked += 1,
            0 => {
                verdict.lost += 1;
                verdict.findings.push(format!("{} was lost", message.id));
            }
            1 => verdict.delivered += 1,
            n => {
                verdict.delivered += 1;
                verdict.duplicated += n - 1;
                verdict
                    .findings
                    .push(format!("{} arrived {n} times", message.id));
            }
        }
    }
    verdict
}

/// The chat's number, without its server.
fn chat_of(entry: &Entry) -> Option<&str> {
    let chat = entry.chat.as_deref()?;
    Some(chat.split('@').next().unwrap_or(chat))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(n: usize) -> Vec<Accepted> {
        (0..n)
            .map(|i| Accepted {
                id: format!("msg_{i}"),
                wa_message_id: format!("3EB0{i}"),
                chat: "4915100000001".to_owned(),
                text: format!("message {i}"),
            })
            .collect()
    }

    fn arrived(order: &[usize]) -> Vec<Entry> {
        order
            .iter()
            .map(|i| Entry {
                chat: Some("4915100000001@c.us".to_owned()),
                id: Some(format!("3EB0{i}")),
                body: Some(format!("message {i}")),
                ..Entry::new(Event::Delivered)
            })
            .collect()
    }

    #[test]
    fn what_arrives_once_and_in_order_is_clean() {
        let verdict = judge(&accepted(3), &BTreeSet::new(), &arrived(&[0, 1, 2]));
        assert!(verdict.is_clean());
        assert_eq!(verdict.delivered, 3);
    }

    #[test]
    fn a_lost_a_doubled_and_a_late_one_are_each_noticed() {
        let none = BTreeSet::new();
        assert_eq!(judge(&accepted(3), &none, &arrived(&[0, 2])).lost, 1);
        assert_eq!(
            judge(&accepted(3), &none, &arrived(&[0, 1, 1, 2])).duplicated,
            1
        );
        assert_eq!(
            judge(&accepted(3), &none, &arrived(&[0, 2, 1])).reordered,
            1
        );
    }

    #[test]
    fn a_copy_under_another_id_is_a_duplicate() {
        let mut journal = arrived(&[0, 0]);
        journal[1].id = Some("3EB0FF".to_owned());
        let verdict = judge(&accepted(1), &BTreeSet::new(), &journal);
        assert_eq!(verdict.duplicated, 1);
    }

    #[test]
    fn a_parked_one_is_not_lost_and_a_dropped_repeat_is_no_duplicate() {
        let parked = BTreeSet::from(["msg_1".to_owned()]);
        let mut journal = arrived(&[0]);
        journal.push(Entry::new(Event::Repeat));
        let verdict = judge(&accepted(2), &parked, &journal);
        assert!(verdict.is_clean());
        assert_eq!((verdict.parked, verdict.repeats_dropped), (1, 1));
    }
}
