//! Judges a run: what was accepted against what the simulated WhatsApp saw.
//!
//! What goes in must come out, once, in order. The checker believes nobody:
//! a message counts as delivered only where the journal shows that the server
//! took it, with the text that was accepted.

use crate::journal::{Entry, Event};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// SHA-256 of a message's text.
pub type BodyDigest = [u8; 32];

/// The digest under which a text is accepted.
pub fn digest(text: &str) -> BodyDigest {
    Sha256::digest(text.as_bytes()).into()
}

/// What whoever is tested says has become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Owed or sent: it must be with the server.
    Owed,
    /// Waits for a person; the server may have it or not.
    Parked,
    /// Refused for its own fault: the server must not have it.
    Rejected,
    /// Expired or taken back: the server must not have it.
    Withdrawn,
}

/// One message that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The id under which it goes to WhatsApp.
    pub wa_id: String,
    /// Its chat, as the one who is tested names it: order is promised within it.
    pub chat: String,
    /// Order is promised within a lane; 0 where there are none.
    pub lane: u32,
    /// Rises with each accept.
    pub order: u64,
    /// Of its text.
    pub body: BodyDigest,
    /// What is said of it.
    pub fate: Fate,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The message.
    pub wa_id: String,
    /// Where.
    pub chat: String,
    /// What is wrong, for people.
    pub what: String,
}

/// The judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Messages accepted.
    pub accepted: usize,
    /// Of those, owed and taken by the server.
    pub delivered: usize,
    /// Of those, said to be parked.
    pub parked: usize,
    /// Of those, said to be rejected.
    pub rejected: usize,
    /// Of those, said to be expired or taken back.
    pub withdrawn: usize,
    /// Owed, and never taken by the server.
    pub lost: Vec<Finding>,
    /// The same message twice: under two ids, or twice at one recipient.
    pub duplicated: Vec<Finding>,
    /// Out of the order of acceptance within chat and lane. The fewest
    /// messages that would have to move.
    pub reordered: Vec<Finding>,
    /// Taken with another text than was accepted.
    pub altered: Vec<Finding>,
    /// Said to be rejected or withdrawn, and taken all the same.
    pub undue: Vec<Finding>,
    /// Taken, accepted by nobody, and the text of nothing accepted.
    pub unaccounted: Vec<Finding>,
    /// Sends that the server dropped because it had seen their id: saved duplicates.
    pub repeats_dropped: u64,
    /// Whether the journal is whole; a truncated one proves nothing.
    pub complete: bool,
}

impl Verdict {
    /// Whether nothing at all is wrong.
    pub fn is_clean(&self) -> bool {
        self.complete
            && self.lost.is_empty()
            && self.duplicated.is_empty()
            && self.reordered.is_empty()
            && self.altered.is_empty()
            && self.undue.is_empty()
            && self.unaccounted.is_empty()
    }
}

/// What the journal shows of one id.
struct Seen<'a> {
    /// Position of the first time that the server took it.
    at: usize,
    entry: &'a Entry,
}

/// Judges one account's messages. `journal` is the whole journal in order,
/// `truncated` what it says of itself.
pub fn judge(account: &str, accepted: &[Accepted], journal: &[Entry], truncated: bool) -> Verdict {
    let ours = |e: &&Entry| e.account.as_deref() == Some(account);
    let mut taken: HashMap<&str, Seen<'_>> = HashMap::new();
    let mut arrivals: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    let mut repeats_dropped = 0;
    for (at, entry) in journal.iter().enumerate().filter(|(_, e)| ours(e)) {
        let id = entry.id.as_deref().unwrap_or_default();
        match entry.event {
            Event::Taken => {
                taken.entry(id).or_insert(Seen { at, entry });
            }
            Event::Repeat => repeats_dropped += 1,
            Event::Delivered => {
                let peer = entry.peer.as_deref().unwrap_or_default();
                arrivals.entry((id, peer)).or_default().push(at);
            }
            _ => {}
        }
    }
    let mut verdict = Verdict {
        accepted: accepted.len(),
        delivered: 0,
        parked: 0,
        rejected: 0,
        withdrawn: 0,
        lost: Vec::new(),
        duplicated: Vec::new(),
        reordered: Vec::new(),
        altered: Vec::new(),
        undue: Vec::new(),
        unaccounted: Vec::new(),
        repeats_dropped,
        complete: !truncated,
    };
    judge_fates(&mut verdict, accepted, &taken);
    judge_duplicates(&mut verdict, accepted, &taken, &arrivals);
    judge_order(&mut verdict, accepted, &taken, &arrivals);
    verdict
}

fn finding(message: &Accepted, what: impl Into<String>) -> Finding {
    Finding {
        wa_id: message.wa_id.clone(),
        chat: message.chat.clone(),
        what: what.into(),
    }
}

fn judge_fates(verdict: &mut Verdict, accepted: &[Accepted], taken: &HashMap<&str, Seen<'_>>) {
    for message in accepted {
        let seen = taken.get(message.wa_id.as_str());
        match (message.fate, seen) {
            (Fate::Owed, Some(_)) => verdict.delivered += 1,
            (Fate::Owed, None) => verdict
                .lost
                .push(finding(message, "the server never took it")),
            (Fate::Parked, _) => verdict.parked += 1,
            (Fate::Rejected, None) => verdict.rejected += 1,
            (Fate::Withdrawn, None) => verdict.withdrawn += 1,
            (Fate::Rejected, Some(_)) => {
                verdict.rejected += 1;
                verdict
                    .undue
                    .push(finding(message, "rejected, and the server took it"));
            }
            (Fate::Withdrawn, Some(_)) => {
                verdict.withdrawn += 1;
                verdict
                    .undue
                    .push(finding(message, "withdrawn, and the server took it"));
            }
        }
        if let Some(seen) = seen
            && digest(seen.entry.body.as_deref().unwrap_or_default()) != message.body
        {
            verdict
                .altered
                .push(finding(message, "taken with another text"));
        }
    }
}

fn judge_duplicates(
    verdict: &mut Verdict,
    accepted: &[Accepted],
    taken: &HashMap<&str, Seen<'_>>,
    arrivals: &HashMap<(&str, &str), Vec<usize>>,
) {
    let mut ids: BTreeSet<&str> = BTreeSet::new();
    let mut bodies: HashMap<BodyDigest, &Accepted> = HashMap::new();
    for message in accepted {
        if !ids.insert(&message.wa_id) {
            verdict
                .duplicated
                .push(finding(message, "one id for two accepted messages"));
        }
        bodies.insert(message.body, message);
    }
    for (id, seen) in taken.iter().filter(|(id, _)| !ids.contains(**id)) {
        let chat = seen.entry.chat.clone().unwrap_or_default();
        let body = digest(seen.entry.body.as_deref().unwrap_or_default());
        let (list, what) = match bodies.get(&body) {
            Some(original) => (
                &mut verdict.duplicated,
                format!("the text of {}, under a second id", original.wa_id),
            ),
            None => (
                &mut verdict.unaccounted,
                "taken, but nobody accepted it".to_owned(),
            ),
        };
        list.push(Finding {
            wa_id: (*id).to_owned(),
            chat,
            what,
        });
    }
    for ((id, peer), at) in arrivals.iter().filter(|(_, at)| at.len() > 1) {
        verdict.duplicated.push(Finding {
            wa_id: (*id).to_owned(),
            chat: (*peer).to_owned(),
            what: format!("reached the recipient {} times", at.len()),
        });
    }
    verdict.duplicated.sort();
    verdict.unaccounted.sort();
}

fn judge_order(
    verdict: &mut Verdict,
    accepted: &[Accepted],
    taken: &HashMap<&str, Seen<'_>>,
    arrivals: &HashMap<(&str, &str), Vec<usize>>,
) {
    // First arrival at each recipient, by message.
    let mut reached: HashMap<&str, Vec<(&str, usize)>> = HashMap::new();
    for ((id, peer), at) in arrivals {
        if let Some(first) = at.first() {
            reached.entry(id).or_default().push((peer, *first));
        }
    }
    let mut queues: BTreeMap<(&str, u32), Vec<&Accepted>> = BTreeMap::new();
    for message in accepted.iter().filter(|m| m.fate == Fate::Owed) {
        queues
            .entry((&message.chat, message.lane))
            .or_default()
            .push(message);
    }
    for queue in queues.values_mut() {
        queue.sort_by_key(|m| m.order);
        let mut wrong: BTreeMap<&str, &Accepted> = BTreeMap::new();
        let at_server: Vec<(usize, &Accepted)> = queue
            .iter()
            .filter_map(|m| taken.get(m.wa_id.as_str()).map(|s| (s.at, *m)))
            .collect();
        for message in out_of_order(&at_server) {
            wrong.insert(&message.wa_id, message);
        }
        let mut at_recipient: BTreeMap<&str, Vec<(usize, &Accepted)>> = BTreeMap::new();
        for message in queue.iter() {
            for (peer, at) in reached.get(message.wa_id.as_str()).into_iter().flatten() {
                at_recipient.entry(peer).or_default().push((*at, message));
            }
        }
        for arrived in at_recipient.values() {
            for message in out_of_order(arrived) {
                wrong.insert(&message.wa_id, message);
            }
        }
        verdict
            .reordered
            .extend(wrong.values().map(|m| finding(m, "out of order")));
    }
}

/// The fewest messages of a list in order of acceptance that would have to
/// move so that their positions rise: all that are not in one longest rising
/// subsequence (patience sorting, O(n log n)).
fn out_of_order<'a>(list: &[(usize, &'a Accepted)]) -> Vec<&'a Accepted> {
    let mut tops: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(list.len());
    for (index, (at, _)) in list.iter().enumerate() {
        let pile = tops.partition_point(|top| list[*top].0 < *at);
        before.push(pile.checked_sub(1).map(|below| tops[below]));
        if pile == tops.len() {
            tops.push(index);
        } else {
            tops[pile] = index;
        }
    }
    let mut in_order = vec![false; list.len()];
    let mut next = tops.last().copied();
    while let Some(index) = next {
        in_order[index] = true;
        next = before[index];
    }
    list.iter()
        .zip(in_order)
        .filter(|(_, fine)| !fine)
        .map(|((_, message), _)| *message)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    const ACCOUNT: &str = "4915100000001";

    fn accepted(n: u64, chat: &str) -> Accepted {
        Accepted {
            wa_id: format!("3EB0{n:04}"),
            chat: chat.to_owned(),
            lane: 0,
            order: n,
            body: digest(&format!("text {n}")),
            fate: Fate::Owed,
        }
    }

    fn entry(event: Event, n: u64, chat: &str) -> Entry {
        let mut entry = Entry::new(event)
            .id(&format!("3EB0{n:04}"))
            .body(&format!("text {n}"));
        entry.account = Some(ACCOUNT.to_owned());
        entry.chat = Some(chat.to_owned());
        if event == Event::Delivered {
            entry.peer = Some(chat.to_owned());
        }
        entry
    }

    /// A run of `n` messages over three chats in which all went well.
    fn good_run(n: u64) -> (Vec<Accepted>, Vec<Entry>) {
        let chat = |n: u64| format!("491510000000{}@c.us", n % 3);
        let messages = (1..=n).map(|n| accepted(n, &chat(n))).collect();
        let journal = (1..=n)
            .flat_map(|n| {
                [
                    entry(Event::Taken, n, &chat(n)),
                    entry(Event::Delivered, n, &chat(n)),
                ]
            })
            .collect();
        (messages, journal)
    }

    fn verdict(messages: &[Accepted], journal: &[Entry]) -> Verdict {
        judge(ACCOUNT, messages, journal, false)
    }

    #[test]
    fn a_good_run_is_clean_whatever_the_chats_interleave() {
        let (messages, journal) = good_run(300);
        let verdict = verdict(&messages, &journal);
        assert!(verdict.is_clean(), "{verdict:?}");
        assert_eq!((verdict.accepted, verdict.delivered), (300, 300));
    }

    #[test]
    fn a_lost_message_is_found() {
        let (messages, mut journal) = good_run(9);
        journal.retain(|e| e.id.as_deref() != Some("3EB00004"));
        let verdict = verdict(&messages, &journal);
        assert_eq!(verdict.lost.len(), 1);
        assert_eq!(verdict.lost[0].wa_id, "3EB00004");
        assert_eq!(verdict.delivered, 8);
        assert!(!verdict.is_clean());
    }

    #[test]
    fn a_message_of_another_account_delivers_nothing() {
        let (messages, mut journal) = good_run(1);
        for entry in &mut journal {
            entry.account = Some("4999999999".to_owned());
        }
        assert_eq!(verdict(&messages, &journal).lost.len(), 1);
    }

    #[test]
    fn a_second_id_with_the_same_text_is_a_duplicate() {
        let (messages, mut journal) = good_run(3);
        let mut copy = entry(Event::Taken, 2, "4915100000002@c.us");
        copy.id = Some("3EB0FFFF".to_owned());
        journal.push(copy);
        let verdict = verdict(&messages, &journal);
        assert_eq!(verdict.duplicated.len(), 1);
        assert!(verdict.duplicated[0].what.contains("3EB00002"));
    }

    #[test]
    fn the_same_text_accepted_twice_is_no_duplicate() {
        let (mut messages, mut journal) = good_run(2);
        messages[1].body = messages[0].body;
        let chat = messages[0].chat.clone();
        messages[1].chat = chat;
        for entry in &mut journal[2..] {
            entry.body = Some("text 1".to_owned());
        }
        assert!(verdict(&messages, &journal).is_clean());
    }

    #[test]
    fn two_arrivals_at_one_recipient_are_a_duplicate_and_dropped_ones_are_not() {
        let (messages, mut journal) = good_run(3);
        journal.push(entry(Event::DeliveredRepeat, 1, "x"));
        journal.push(entry(Event::Repeat, 1, "x"));
        let fine = verdict(&messages, &journal);
        assert!(fine.is_clean());
        assert_eq!(fine.repeats_dropped, 1);
        journal.push(entry(Event::Delivered, 1, "4915100000001@c.us"));
        assert_eq!(verdict(&messages, &journal).duplicated.len(), 1);
    }

    #[test]
    fn order_is_judged_within_chat_and_lane_and_counts_the_fewest_moves() {
        let (mut messages, mut journal) = good_run(30);
        // Message 28 overtakes all others of its chat: one has to move.
        let late: Vec<Entry> = journal.drain(54..56).collect();
        journal.splice(0..0, late);
        let found = verdict(&messages, &journal);
        assert_eq!(found.reordered.len(), 1, "{:?}", found.reordered);
        assert_eq!(found.reordered[0].wa_id, "3EB00028");
        messages[27].lane = 1;
        assert!(verdict(&messages, &journal).is_clean());
    }

    #[test]
    fn order_at_the_recipient_counts_too() {
        let chat = "4915100000000@c.us";
        let messages = [accepted(1, chat), accepted(2, chat)];
        let journal = [
            entry(Event::Taken, 1, chat),
            entry(Event::Taken, 2, chat),
            entry(Event::Delivered, 2, chat),
            entry(Event::Delivered, 1, chat),
        ];
        assert_eq!(verdict(&messages, &journal).reordered.len(), 1);
    }

    #[test]
    fn what_is_said_of_a_message_must_be_true() {
        let (mut messages, mut journal) = good_run(6);
        messages[0].fate = Fate::Rejected;
        messages[1].fate = Fate::Withdrawn;
        messages[2].fate = Fate::Parked;
        journal[7].body = Some("another text".to_owned());
        journal[6].body = Some("another text".to_owned());
        journal.push(entry(Event::Taken, 999, "x"));
        let verdict = verdict(&messages, &journal);
        assert_eq!(verdict.undue.len(), 2);
        assert_eq!(verdict.parked, 1);
        assert_eq!(verdict.altered.len(), 1);
        assert_eq!(verdict.unaccounted.len(), 1);
        assert_eq!(
            verdict.delivered + verdict.parked + verdict.rejected + verdict.withdrawn,
            6
        );
    }

    #[test]
    fn a_parked_message_may_be_missing_and_holds_nobody_up() {
        let (mut messages, mut journal) = good_run(6);
        messages[0].fate = Fate::Parked;
        journal.retain(|e| e.id.as_deref() != Some("3EB00001"));
        assert!(verdict(&messages, &journal).is_clean());
        // Sent at the very end, after a person said so.
        journal.push(entry(Event::Taken, 1, "4915100000001@c.us"));
        assert!(verdict(&messages, &journal).is_clean());
    }

    #[test]
    fn a_truncated_journal_proves_nothing() {
        let (messages, journal) = good_run(3);
        assert!(!judge(ACCOUNT, &messages, &journal, true).is_clean());
    }

    /// Random runs with one planted fault each: the checker must see exactly that one.
    #[test]
    fn planted_faults_are_found_in_random_runs() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let n = 20 + rng.below(200);
            let (messages, mut journal) = good_run(n);
            let victim = (rng.below(n) as usize) * 2;
            let found = match seed % 3 {
                0 => {
                    journal.drain(victim..victim + 2);
                    let v = verdict(&messages, &journal);
                    (v.lost.len(), v.duplicated.len() + v.reordered.len())
                }
                1 => {
                    let mut copy = journal[victim].clone();
                    copy.id = Some(format!("3EB0{}", rng.hex(9)));
                    let at = rng.below(journal.len() as u64) as usize;
                    journal.insert(at, copy);
                    let v = verdict(&messages, &journal);
                    (v.duplicated.len(), v.lost.len() + v.reordered.len())
                }
                _ => {
                    // Three apart is the same chat.
                    let victim = victim.min(journal.len() - 8);
                    journal.swap(victim, victim + 6);
                    let v = verdict(&messages, &journal);
                    (v.reordered.len(), v.lost.len() + v.duplicated.len())
                }
            };
            assert_eq!(found, (1, 0), "seed {seed}");
        }
    }

    /// The fewest moves, checked against trying every subset.
    #[test]
    fn the_fewest_moves_agree_with_brute_force() {
        let all: Vec<Accepted> = (0..7).map(|n| accepted(n, "c")).collect();
        for seed in 0..100 {
            let mut rng = Rng::new(seed);
            let mut at: Vec<usize> = (0..7).collect();
            for i in (1..7).rev() {
                at.swap(i, rng.below(i as u64 + 1) as usize);
            }
            let list: Vec<(usize, &Accepted)> = at.iter().copied().zip(&all).collect();
            let longest = (0_u32..128)
                .filter(|subset| {
                    let kept: Vec<usize> = (0..7)
                        .filter(|i| subset >> i & 1 == 1)
                        .map(|i| at[i])
                        .collect();
                    kept.is_sorted()
                })
                .map(u32::count_ones)
                .max()
                .unwrap_or(0);
            assert_eq!(out_of_order(&list).len(), 7 - longest as usize, "{at:?}");
        }
    }
}
