//! Holds a run's messages against the simulated server's journal, and what
//! the gateway says of them in the end against what it may say.
//!
//! What arrived is read from the journal alone. The gateway's own word can
//! only make things worse: it has to have settled every message, and in a run
//! in which nothing may be refused it has refused none.

use super::parked::{self, Loss};
use super::traffic::Accepted;
use serde_json::Value;
use std::collections::BTreeMap;
use steadfast_sim::checker::{self, Fate, Finding, Verdict};
use steadfast_sim::journal::Entry;

/// What the gateway says of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word {
    /// `sent`, `parked`, ...
    pub status: String,
    /// Why it was rejected or parked, or why it waits.
    pub reason: String,
    /// One sentence for a person.
    pub detail: String,
    /// What its attempts came to, as far as they are kept; nothing where one
    /// was never recorded. Read only of what is parked.
    pub attempts: Vec<Option<String>>,
}

impl Word {
    /// Reads it from an answer.
    pub fn of(message: &Value) -> Self {
        let text = |field: &str| message[field].as_str().unwrap_or_default().to_owned();
        let attempts = message["attempt_log"].as_array().into_iter().flatten();
        Self {
            attempts: attempts
                .map(|attempt| attempt["outcome"].as_str().map(str::to_owned))
                .collect(),
            status: text("status"),
            reason: text("reason"),
            detail: text("detail"),
        }
    }

    /// For people.
    pub(super) fn why(&self) -> String {
        format!("{}: {}", self.reason, self.detail)
    }
}

/// What is wrong with a run's messages.
#[derive(Debug)]
pub struct Judgement {
    /// By the journal.
    pub verdict: Verdict,
    /// What the gateway should not say in the end.
    pub unsettled: Vec<Finding>,
    /// Messages that wait for a person though no login was destroyed under them.
    pub parked_unduly: Vec<Finding>,
}

/// Judges the messages of one run of one account. Where the gateway could not
/// be asked, there are no words.
pub fn judge(
    account: &str,
    accepted: &[Accepted],
    words: Option<&BTreeMap<String, Word>>,
    losses: &[Loss],
    journal: &[Entry],
    truncated: bool,
) -> Judgement {
    let (mut unsettled, mut parked) = (Vec::new(), Vec::new());
    if words.is_none() {
        unsettled.push(Finding {
            wa_id: String::new(),
            chat: String::new(),
            what: "the gateway could not be asked what became of its messages".to_owned(),
        });
    }
    let mut promised = Vec::with_capacity(accepted.len());
    for (order, message) in (0..).zip(accepted) {
        let finding = |what: String| Finding {
            wa_id: message.wa_message_id.clone(),
            chat: message.chat.clone(),
            what,
        };
        let word = words.and_then(|words| words.get(&message.id));
        let (fate, wrong) = match words {
            Some(_) => fate(word),
            None => (Fate::Owed, None),
        };
        unsettled.extend(wrong.map(finding));
        if let (Fate::Parked, Some(word)) = (fate, word) {
            parked.push((message, word));
        }
        promised.push(checker::Accepted {
            wa_id: message.wa_message_id.clone(),
            chat: message.chat.clone(),
            recipient: format!("{}@c.us", message.chat),
            lane: 0,
            order,
            body: checker::digest(&message.text),
            fate,
        });
    }
    Judgement {
        verdict: checker::judge(account, &promised, journal, truncated),
        unsettled,
        parked_unduly: parked::unduly(&parked, losses),
    }
}

/// What the gateway's word on an accepted message means, and what is wrong
/// with it where nothing may be refused, withdrawn or left undone.
fn fate(word: Option<&Word>) -> (Fate, Option<String>) {
    let Some(word) = word else {
        let what = "accepted, and the gateway does not know it";
        return (Fate::Owed, Some(what.to_owned()));
    };
    let what = || Some(format!("{} ({})", word.status, word.why()));
    match word.status.as_str() {
        "sent" | "delivered" | "read" | "played" => (Fate::Owed, None),
        "parked" => (Fate::Parked, None),
        "rejected" => (Fate::Rejected, what()),
        "expired" | "cancelled" => (Fate::Withdrawn, what()),
        _ => (
            Fate::Owed,
            what().map(|what| format!("did not settle: {what}")),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use steadfast_sim::journal::Event;
    use tokio::time::Instant;

    const ACCOUNT: &str = "4915550000001";
    const CHAT: &str = "4915550000100";

    fn accepted(n: usize) -> Accepted {
        Accepted {
            id: format!("msg_{n}"),
            wa_message_id: format!("3EB0{n:04}"),
            chat: CHAT.to_owned(),
            text: format!("text {n}"),
            offered: Instant::now(),
        }
    }

    fn word(status: &str) -> Word {
        Word {
            status: status.to_owned(),
            ..Word::default()
        }
    }

    /// Everything has arrived.
    fn journal(messages: &[Accepted]) -> Vec<Entry> {
        let mut journal = Vec::new();
        for message in messages {
            for event in [Event::Taken, Event::Delivered] {
                let mut entry = Entry::new(event);
                entry.account = Some(ACCOUNT.to_owned());
                entry.chat = Some(format!("{CHAT}@c.us"));
                entry.peer = Some(format!("{CHAT}@c.us"));
                entry.id = Some(message.wa_message_id.clone());
                entry.body = Some(message.text.clone());
                journal.push(entry);
            }
        }
        journal
    }

    /// Three messages that have arrived, of which the gateway says this of the last.
    fn judged(last: Option<Word>) -> Judgement {
        let messages: Vec<_> = (0..3).map(accepted).collect();
        let mut words: BTreeMap<_, _> = messages
            .iter()
            .map(|message| (message.id.clone(), word("delivered")))
            .collect();
        words.remove("msg_2");
        words.extend(last.map(|word| ("msg_2".to_owned(), word)));
        let journal = journal(&messages);
        judge(ACCOUNT, &messages, Some(&words), &[], &journal, false)
    }

    #[test]
    fn what_is_settled_and_has_arrived_is_fine() {
        for status in ["sent", "delivered", "read", "played"] {
            let judged = judged(Some(word(status)));
            assert!(judged.verdict.is_clean(), "{judged:?}");
            assert!(judged.unsettled.is_empty(), "{judged:?}");
            assert!(judged.parked_unduly.is_empty(), "{judged:?}");
        }
    }

    /// An outcome that was never recorded: it has arrived, and nobody knows.
    #[test]
    fn what_has_arrived_and_never_settled_is_found() {
        for status in ["accepted", "sending", "something new"] {
            let judged = judged(Some(word(status)));
            assert_eq!(judged.unsettled.len(), 1, "{judged:?}");
            assert_eq!(judged.unsettled[0].wa_id, "3EB00002");
            assert_eq!(judged.verdict.delivered, 3);
        }
        assert_eq!(judged(None).unsettled.len(), 1);
    }

    #[test]
    fn what_has_arrived_and_is_said_to_be_refused_is_found() {
        for status in ["rejected", "expired", "cancelled"] {
            let judged = judged(Some(word(status)));
            assert_eq!(judged.unsettled.len(), 1, "{judged:?}");
            assert_eq!(judged.verdict.undue.len(), 1, "{judged:?}");
            assert_eq!(judged.verdict.delivered, 2);
        }
    }

    #[test]
    fn what_is_parked_without_a_lost_login_is_found() {
        let judged = judged(Some(word("parked")));
        assert_eq!(judged.parked_unduly.len(), 1, "{judged:?}");
    }
}
