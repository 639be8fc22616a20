//! Whatever the page says: nothing panics, what is remembered stays bounded,
//! and what cannot be read is never taken for *not sent* or *not found*.
//!
//! `PROPTEST_CASES` asks for more cases; a failure prints its case, shrunk,
//! and keeps its seed under `proptest-regressions/`.

use super::outcome::{outcome, page_error};
use super::*;
use crate::memory::Memory;
use crate::phase::Seen;
use crate::wire::{
    Answer, Confirmed, Fetched, News, Received, Resumed, Sent, Told, Waiting, one_by_one,
};
use garble::{Garbled, garbled};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use steadfast_core::failure::Resend;

#[path = "../../../cdp/tests/fuzz/garble.rs"]
mod garble;

/// The latest time that a wall clock may say here, in Unix seconds.
const NOW_S: i64 = 2_000_000_000;

/// What the page tells by itself.
fn news() -> Vec<String> {
    let levels = r#"{"socket":"CONNECTED","synced":true,"mode":"MAIN","needs_update":false,
        "me":{"pn":"4915112345678@c.us","lid":"123@lid","name":"Ada"},"version":"2.3","logout":{"reason":1},
        "wpp":3,"missing":["a.b"],"missing_optional":["WAWebCmd.Cmd"],"settled":true,"qr":"1@x,y"}"#;
    vec![
        format!(r#"{{"kind":"levels","doc":"ab","epoch":3,"seq":1,"levels":{levels}}}"#),
        format!(
            r#"{{"kind":"levels","doc":"ab","epoch":3,"seq":2,"levels":{}}}"#,
            levels.replace("CONNECTED", "UNPAIRED")
        ),
        r#"{"kind":"inbox","doc":"ab","epoch":3,"waiting":4}"#.to_owned(),
        r#"{"kind":"acks","doc":"ab","epoch":3,"acks":[["3EB0AA",2],["3EB0BB",-1],["3EB0AA",1]]}"#
            .to_owned(),
    ]
}

/// Answers to what the page is asked.
fn answers() -> Vec<String> {
    let error =
        r#"{"name":"TypeError","message":"Cannot read","stack":"TypeError: Cannot read\n at x"}"#;
    [
        r#"{"state":"handed","level":1}"#.to_owned(),
        r#"{"state":"not_ready","socket":"OPENING","mode":null,"missing":["a.b"]}"#.to_owned(),
        format!(r#"{{"state":"not_sent","stage":"chat","error":{error}}}"#),
        r#"{"state":"rejected","reason":"not on WhatsApp"}"#.to_owned(),
        r#"{"state":"failed","level":-1}"#.to_owned(),
        r#"{"state":"result","result":"ERROR_NETWORK"}"#.to_owned(),
        format!(r#"{{"state":"unknown","error":{error}}}"#),
        r#"{"state":"absent","conclusive":true}"#.to_owned(),
        r#"{"found":true,"level":2,"conclusive":false,"wpp":3,"why":""}"#.to_owned(),
        r#"{"found":false,"conclusive":true}"#.to_owned(),
        r#"{"doc":"ab","seq":1,"levels":{"socket":"CONNECTED"},"waiting":2}"#.to_owned(),
        r#"{"messages":[{"key":"false_1@g.us_X","id":"X","chat":"120363-1@g.us","sender":"4915112345678@c.us",
            "from_me":false,"type":"chat","text":"hi","t":5,"recovered":true}]}"#.to_owned(),
        r#"{"acks":[["3EB0AA",2]]}"#.to_owned(),
        r#"{"known":true,"id":"4915112345678@c.us"}"#.to_owned(),
        r#"{"chats":[{"id":"1@c.us","name":"n","is_group":false,"unread":1,"t":5}],"total":1}"#.to_owned(),
        r#"{"code":"ABCD1234"}"#.to_owned(),
    ]
    .into_iter()
    .map(|answer| format!(r#"{{"ok":{answer}}}"#))
    .chain([format!(r#"{{"error":{error}}}"#)])
    .collect()
}

/// Words that mean a lot elsewhere, where an answer's own words should be.
fn misleading() -> Vec<String> {
    [
        "Cannot find context with specified id",
        "net::ERR_INTERNET_DISCONNECTED",
        "not a registered user on WhatsApp",
        "msg_not_found: the message is not in the page",
        "TypeError: Invalid recipient",
    ]
    .map(|words| format!(r#"{{"ok":{{"state":"{words}","level":1}}}}"#))
    .into()
}

/// An answer as the caller of the bridge reads it.
fn read<T: DeserializeOwned>(text: &Garbled) -> Result<T, Error> {
    match serde_json::from_slice(&text.0) {
        Ok(Answer::Ok(value)) => Ok(value),
        Ok(Answer::Error(error)) => Err(page_error(error)),
        Err(error) => Err(Error::Answer {
            detail: error.to_string(),
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_news_breaks_anything(told in prop::collection::vec(garbled(news()), 1..10)) {
        let (memory, mut seen) = (Memory::default(), Seen::default());
        for told in &told {
            let Ok(told) = serde_json::from_slice::<Told>(&told.0) else { continue };
            match told.news {
                News::Levels { levels, .. } => {
                    let reading = seen.read(&levels);
                    if let Some(trouble) = reading.trouble {
                        of(Operation::Listen, trouble);
                    }
                    let _ = levels.me.id();
                }
                News::Acks { acks } => {
                    for (id, level) in acks {
                        if let Ok(id) = WaMessageId::parse(&id) {
                            memory.is_news(&id, level);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_decides_nothing(
        answer in prop_oneof![garbled(answers()), garbled(misleading())]
    ) {
        let id = WaMessageId::mint([1; 9]);
        let sent = read::<Sent>(&answer);
        let unread = sent.is_err();
        let outcome = outcome(Operation::Send, &id, sent);
        if unread {
            prop_assert!(matches!(&outcome, SendOutcome::Unknown(failure) if failure.resend == Resend::CheckFirst));
        }
        if let Err(error) = read::<Found>(&answer) {
            conclude(Operation::Lookup, &error);
        }
        let _ = (read::<Health>(&answer), read::<Resumed>(&answer), read::<Waiting>(&answer));
        let _ = (read::<Checked>(&answer), read::<Chats>(&answer), read::<PairCode>(&answer));
        let _ = (read::<Nothing>(&answer), read::<Confirmed>(&answer));
    }

    #[test]
    fn no_inbound_message_spoils_the_memory(
        batches in prop::collection::vec(garbled(answers()), 1..6),
        times in prop::collection::vec(any::<i64>(), 1..6),
        now in 0..NOW_S,
    ) {
        let memory = Memory::default();
        memory.begin_login(now);
        for batch in &batches {
            let Ok(fetched) = read::<Fetched>(batch) else { continue };
            memory.settled(fetched.confirmed_to);
            for (key, received) in one_by_one::<Received>(fetched.messages) {
                let Ok(received) = received else { continue };
                if let Some(message) = received.message() {
                    prop_assert!(message.kind.chars().count() <= 64);
                    memory.confirmed(&key, received.t, now);
                }
            }
        }
        for t in times {
            memory.confirmed("key", t, now);
        }
        memory.confirmed(&"k".repeat(1 << 20), i64::MIN, now);
        memory.settled(None);
        // A message that claims to come from the future hides nothing that
        // comes while we are away.
        let much_later = memory.sweep_order(now + 1_000_000);
        prop_assert!(much_later.from <= now);
        prop_assert!(much_later.known.iter().all(|key| key.len() < 1 << 10));
        // What was written to the profile by an older process is no better.
        memory.resume(i64::MIN, Some(i64::MIN));
        memory.resume(i64::MIN, Some(i64::MAX));
        prop_assert!(memory.sweep_order(now).from <= now);
    }
}

/// As large as WhatsApp lets anything be, and larger than its longest text.
#[test]
fn sixteen_mebibytes_of_text_are_one_message() {
    let text = "ä".repeat(8 << 20);
    let answer = json!({"ok": {"messages": [{
        "key": "k", "id": "X", "chat": "1@c.us", "sender": "1@c.us", "from_me": false,
        "type": "chat", "text": text, "t": 5, "recovered": false,
    }]}});
    let fetched = read::<Fetched>(&Garbled(answer.to_string().into_bytes())).unwrap();
    let (_, received) = one_by_one::<Received>(fetched.messages).next().unwrap();
    let message = received.unwrap().message().unwrap();
    assert_eq!(message.text.len(), 16 << 20);
}
