//! Which messages may wait for a person: only those that were under way when
//! a login was destroyed.
//!
//! Three things must hold of each, and only one of them is the gateway's word.
//! The run knows which logins it destroyed, and which messages were offered in
//! time for it. Within a chat one message is under way at a time, so that each
//! destroyed login excuses one of a chat at most. And the gateway's own
//! account of it must show an attempt in doubt before the one that parked it.

use super::judge::Word;
use super::traffic::Accepted;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use steadfast_core::outbox::ParkReason;
use steadfast_sim::checker::Finding;
use tokio::time::Instant;

/// A login that the run destroyed.
#[derive(Debug, Clone, Default)]
pub struct Loss {
    /// What was parked before.
    pub parked_before: BTreeSet<String>,
    /// When the session was ready under the next login; nothing where it never was.
    pub healed: Option<Instant>,
}

/// A parked message that one of these losses may excuse.
type Excused<'a> = (Range<usize>, &'a Accepted, &'a Word);

/// Those of the parked messages that no destroyed login excuses.
pub fn unduly(parked: &[(&Accepted, &Word)], losses: &[Loss]) -> Vec<Finding> {
    let mut unduly = Vec::new();
    let mut excused: BTreeMap<&str, Vec<Excused<'_>>> = BTreeMap::new();
    for (message, word) in parked {
        let finding = |what: &str| finding(message, word, what);
        let span = losses_of(message, losses);
        if word.reason != ParkReason::LoginLost.as_str() {
            unduly.push(finding("and not since a login was destroyed"));
        } else if span.is_empty() {
            unduly.push(finding("and no login was destroyed under it"));
        } else if !was_in_doubt(&word.attempts) {
            unduly.push(finding("and it was not under way"));
        } else {
            let of_chat = excused.entry(&message.chat).or_default();
            of_chat.push((span, message, word));
        }
    }
    for mut of_chat in excused.into_values() {
        for loss in 0..losses.len() {
            // Of those that it may excuse, the one that the fewest later ones may.
            let one = (0..of_chat.len())
                .filter(|i| of_chat[*i].0.contains(&loss))
                .min_by_key(|i| of_chat[*i].0.end);
            if let Some(one) = one {
                of_chat.remove(one);
            }
        }
        unduly.extend(of_chat.into_iter().map(|(_, message, word)| {
            let what = "and another of its chat was under way when the login was destroyed";
            finding(message, word, what)
        }));
    }
    unduly
}

fn finding(message: &Accepted, word: &Word, what: &str) -> Finding {
    Finding {
        wa_id: message.wa_message_id.clone(),
        chat: message.chat.clone(),
        what: format!(
            "parked ({}; attempts {:?}), {what}",
            word.why(),
            word.attempts
        ),
    }
}

/// Which losses can have met a message. One that was healed before it was
/// offered cannot, nor one before which it was parked.
fn losses_of(message: &Accepted, losses: &[Loss]) -> Range<usize> {
    let in_time = |loss: &&Loss| loss.healed.is_none_or(|healed| message.offered < healed);
    let first = losses.iter().take_while(|loss| !in_time(loss)).count();
    let free = |loss: &&Loss| !loss.parked_before.contains(&message.id);
    first..losses.iter().take_while(free).count()
}

/// Whether the attempt before the one that parked it ended in doubt, or was
/// never recorded. One that surely failed leaves nothing to park.
fn was_in_doubt(attempts: &[Option<String>]) -> bool {
    match attempts {
        [.., before, Some(last)] => {
            last == "parked" && before.as_deref().is_none_or(|outcome| outcome == "unknown")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn message(n: usize, chat: &str, offered: Instant) -> Accepted {
        Accepted {
            id: format!("msg_{n}"),
            wa_message_id: format!("3EB0{n:04}"),
            chat: chat.to_owned(),
            text: format!("text {n}"),
            offered,
        }
    }

    fn word(reason: &str, attempts: &[&str]) -> Word {
        let outcome = |name: &&str| (!name.is_empty()).then(|| (*name).to_owned());
        Word {
            status: "parked".to_owned(),
            reason: reason.to_owned(),
            attempts: attempts.iter().map(outcome).collect(),
            ..Word::default()
        }
    }

    fn in_doubt() -> Word {
        word("login_lost", &["unknown", "parked"])
    }

    /// Losses that were healed 10, 20, ... seconds after the start.
    fn losses(start: Instant, n: u64) -> Vec<Loss> {
        (1..=n)
            .map(|k| Loss {
                parked_before: BTreeSet::new(),
                healed: Some(start + Duration::from_secs(10 * k)),
            })
            .collect()
    }

    #[test]
    fn what_was_under_way_when_a_login_was_destroyed_is_excused() {
        let start = Instant::now();
        let (a, b) = (message(1, "a", start), message(2, "b", start));
        let doubts = [
            word("login_lost", &["unknown", "parked"]),
            word("login_lost", &["not_sent", "", "parked"]),
        ];
        let parked = [(&a, &doubts[0]), (&b, &doubts[1])];
        assert_eq!(unduly(&parked, &losses(start, 1)), []);
        // One that was never healed excuses all that was offered.
        assert_eq!(unduly(&parked, &[Loss::default()]), []);
        assert_eq!(unduly(&parked, &[]).len(), 2);
    }

    /// The whole backlog is parked when the login changes: no attempt of it
    /// was ever in doubt.
    #[test]
    fn a_parked_backlog_is_found() {
        let start = Instant::now();
        let waiting = message(1, "a", start);
        for attempts in [
            &["parked"][..],
            &["not_sent", "parked"],
            &["rate_limited", "parked"],
            &["unknown", "not_sent", "parked"],
            &["unknown"],
            &[],
        ] {
            let word = word("login_lost", attempts);
            let found = unduly(&[(&waiting, &word)], &losses(start, 1));
            assert_eq!(found.len(), 1, "{attempts:?}");
            assert!(found[0].what.ends_with("it was not under way"), "{found:?}");
        }
    }

    /// The same, by a gateway that says that all of it was in doubt.
    #[test]
    fn a_login_excuses_one_message_of_a_chat() {
        let start = Instant::now();
        let messages: Vec<_> = (0..5).map(|n| message(n, "a", start)).collect();
        let word = in_doubt();
        let parked: Vec<_> = messages.iter().map(|m| (m, &word)).collect();
        assert_eq!(unduly(&parked, &losses(start, 1)).len(), 4);
        assert_eq!(unduly(&parked, &losses(start, 3)).len(), 2);
        assert_eq!(unduly(&parked, &losses(start, 5)).len(), 0);
    }

    #[test]
    fn each_is_excused_by_a_login_of_its_own_time() {
        let start = Instant::now();
        let mut losses = losses(start, 3);
        let early = message(1, "a", start);
        let late = message(2, "a", start + Duration::from_secs(25));
        let later = message(3, "a", start + Duration::from_secs(31));
        for loss in &mut losses[1..] {
            loss.parked_before.insert(early.id.clone());
        }
        let word = in_doubt();
        assert_eq!(unduly(&[(&late, &word), (&early, &word)], &losses), []);
        assert_eq!(unduly(&[(&later, &word)], &losses).len(), 1);
        // Parked before any login was destroyed.
        losses[0].parked_before.insert(early.id.clone());
        assert_eq!(unduly(&[(&early, &word)], &losses).len(), 1);
    }

    #[test]
    fn no_other_reason_is_excused() {
        let start = Instant::now();
        let parked = message(1, "a", start);
        for reason in ["lookup_unavailable", "too_many_attempts", ""] {
            let word = word(reason, &["unknown", "parked"]);
            assert_eq!(unduly(&[(&parked, &word)], &losses(start, 1)).len(), 1);
        }
    }
}
