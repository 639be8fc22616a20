//! Judges a run: what was accepted against what the simulated WhatsApp saw.
//!
//! What goes in must come out, once, in order. The checker believes nobody:
//! a message counts as delivered only where the journal shows that the server
//! took it, with the text that was accepted, for the one it was accepted for.

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
    /// For whom it is, as the journal names people and groups: by number
    /// (`4915123456789@c.us`), whatever address the one who is tested uses.
    pub recipient: String,
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
    /// Sent to, or arrived at, somebody for whom it was not.
    pub misdelivered: Vec<Finding>,
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
            && self.misdelivered.is_empty()
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
        misdelivered: Vec::new(),
        undue: Vec::new(),
        unaccounted: Vec::new(),
        repeats_dropped,
        complete: !truncated,
    };
    judge_fates(&mut verdict, accepted, &taken);
    judge_recipients(&mut verdict, accepted, journal.iter().filter(ours));
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

/// Each message has gone to its recipient and to nobody else. A copy that the
/// server dropped counts too: elsewhere the same id in another chat is another message.
fn judge_recipients<'a>(
    verdict: &mut Verdict,
    accepted: &[Accepted],
    journal: impl Iterator<Item = &'a Entry>,
) {
    let expected: HashMap<&str, &Accepted> =
        accepted.iter().map(|m| (m.wa_id.as_str(), m)).collect();
    for entry in journal {
        let sent = matches!(entry.event, Event::Taken | Event::Repeat);
        let arrived = matches!(entry.event, Event::Delivered | Event::DeliveredRepeat);
        let message = entry.id.as_deref().and_then(|id| expected.get(id));
        let (Some(message), true) = (message, sent || arrived) else {
            continue;
        };
        let to = entry.chat.as_deref().unwrap_or_default();
        // Members of a group get what is written to the group.
        let by = entry.peer.as_deref().unwrap_or_default();
        let stray = if to != message.recipient {
            to
        } else if arrived && !to.ends_with("@g.us") && by != message.recipient {
            by
        } else {
            continue;
        };
        let verb = if sent { "sent to" } else { "arrived at" };
        verdict.misdelivered.push(finding(
            message,
            format!("{verb} {stray}, and was for {}", message.recipient),
        ));
    }
    verdict.misdelivered.sort();
    verdict.misdelivered.dedup();
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
mod tests;
