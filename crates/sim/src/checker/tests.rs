use super::*;
use crate::rng::Rng;

const ACCOUNT: &str = "4915100000001";

fn accepted(n: u64, chat: &str) -> Accepted {
    Accepted {
        wa_id: format!("3EB0{n:04}"),
        chat: chat.to_owned(),
        recipient: chat.to_owned(),
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
    if matches!(event, Event::Delivered | Event::DeliveredRepeat) {
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
    journal.push(entry(Event::DeliveredRepeat, 1, "4915100000001@c.us"));
    journal.push(entry(Event::Repeat, 1, "4915100000001@c.us"));
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

/// Everything arrives once, in order, with its text: two neighbours have got
/// each other's.
#[test]
fn messages_of_the_wrong_chat_are_found() {
    let (messages, mut journal) = good_run(9);
    for (n, other) in [(4, 2), (5, 1)] {
        let other = format!("491510000000{other}@c.us");
        let id = format!("3EB0{n:04}");
        for entry in journal.iter_mut().filter(|e| e.id.as_deref() == Some(&id)) {
            entry.chat = Some(other.clone());
            entry.peer = entry.peer.is_some().then(|| other.clone());
        }
    }
    let verdict = verdict(&messages, &journal);
    // Each was sent there, and arrived there.
    assert_eq!(verdict.misdelivered.len(), 4, "{verdict:?}");
    assert_eq!(
        verdict.misdelivered[0].what,
        "arrived at 4915100000002@c.us, and was for 4915100000001@c.us"
    );
    assert!(!verdict.is_clean());
}

#[test]
fn a_second_recipient_of_a_private_message_is_found() {
    let (messages, mut journal) = good_run(3);
    journal.push(entry(Event::Delivered, 1, "4915100000002@c.us"));
    assert_eq!(verdict(&messages, &journal).misdelivered.len(), 1);
}

#[test]
fn a_copy_for_somebody_else_is_found_though_the_server_drops_it() {
    let (messages, mut journal) = good_run(3);
    journal.push(entry(Event::Repeat, 1, "4915100000002@c.us"));
    assert_eq!(verdict(&messages, &journal).misdelivered.len(), 1);
}

#[test]
fn all_members_of_a_group_get_what_is_written_to_it() {
    let group = "120363000000000001@g.us";
    let messages = [accepted(1, group)];
    let mut journal = vec![entry(Event::Taken, 1, group)];
    for peer in ["4915100000001@c.us", "4915100000002@c.us"] {
        let mut arrived = entry(Event::Delivered, 1, group);
        arrived.peer = Some(peer.to_owned());
        journal.push(arrived);
    }
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
        let found = match seed % 4 {
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
            2 => {
                let chat = journal[victim].chat.clone().unwrap();
                let other = if chat.starts_with("4915100000000") {
                    "4915100000001@c.us"
                } else {
                    "4915100000000@c.us"
                };
                journal[victim + 1].peer = Some(other.to_owned());
                let v = verdict(&messages, &journal);
                (
                    v.misdelivered.len(),
                    v.lost.len() + v.duplicated.len() + v.reordered.len(),
                )
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
