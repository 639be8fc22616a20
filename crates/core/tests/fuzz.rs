//! Texts, numbers and acks that nobody has thought of: no panic, no leak, and
//! no text that takes more time than its length is worth.
//!
//! `PROPTEST_CASES` asks for more cases; a failure prints its case, shrunk.

use proptest::prelude::*;
use std::time::{Duration, Instant};
use steadfast_core::failure::{
    CdpFault, Evidence, Observed, Operation, Resend, classify, explain, redact,
};
use steadfast_core::ids::{ChatId, MessageId, SessionId, WaMessageId};
use steadfast_core::outbox::{Ack, Status};

/// Pieces that rules look for, and pieces that stop them.
const PIECES: &[&str] = &[
    "a",
    "é",
    "\u{1F600}",
    "\u{2019}",
    "\u{a0}",
    " ",
    "\n",
    "\t",
    "\0",
    "\\",
    "\\n",
    "\\\"",
    "\"",
    "'",
    "`",
    "@",
    ".",
    "-",
    "_",
    "+",
    "=",
    ":",
    "(",
    ")",
    "{",
    "}",
    ",",
    ";",
    "/",
    "1",
    "12",
    "4915112345678",
    "2024-01-15",
    "(0)",
    "+1 ",
    "a-",
    "a@",
    "a.b@",
    "@c.us",
    "@lid",
    "x@y.zz ",
    "/home/",
    "/home/a",
    "\\Users\\",
    "C:\\Users\\anna\\",
    "token=",
    "token: ",
    "\"body\":\"",
    "body",
    "text:",
    "Bearer ",
    "bearer abcdefgh",
    "password",
    "cookie=\\\"",
    "ack ",
    "ack changed to ",
    "ack: -1 ",
    "new state ",
    "socket.state=",
    "disconnected ",
    "sendMsgResult ",
    "exit code ",
    "code=440 ",
    "status 503 ",
    "http 429 ",
    "ECONNRESET ",
    "net::ERR_",
    "TypeError: ",
    "Error: ",
    "at https://web.whatsapp.com/x.js:1:2\n",
    "Target closed ",
    "timed out ",
    "Execution context was destroyed ",
    "ENOSPC ",
    "[1:2:ERROR:bus.cc(1)] \n",
    "no usable sandbox! ",
    "SingletonLock ",
    "libnss3.so: ",
    "undefined ",
    "unknown error ",
    "0x1F ",
    "signal 9 ",
    "was sent ",
    "message sent ",
    "getMediaConn ",
    "/mms/ ",
    "logged out ",
];

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(PIECES).prop_map(str::to_owned),
        1 => "\\PC{0,12}",
        1 => any::<char>().prop_map(String::from),
    ]
}

fn text() -> impl Strategy<Value = String> {
    (prop::collection::vec(piece(), 0..40), 1..40_usize)
        .prop_map(|(pieces, times)| pieces.concat().repeat(times))
}

fn operation() -> impl Strategy<Value = Operation> {
    prop::sample::select(Operation::ALL.to_vec())
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let typed = prop_oneof![
        (any::<Option<i32>>(), any::<Option<i32>>(), text()).prop_map(|(code, signal, stderr)| {
            Evidence::Exit {
                code,
                signal,
                stderr,
            }
        }),
        text().prop_map(|os_error| Evidence::Spawn { os_error }),
        text().prop_map(|state| Evidence::SocketState { state }),
        text().prop_map(|result| Evidence::SendResult { result }),
        prop::collection::vec(text(), 0..3).prop_map(|names| Evidence::BindingsMissing { names }),
        any::<i64>().prop_map(|level| Evidence::AckError { level }),
        any::<Option<i64>>().prop_map(|reason| Evidence::LoggedOut { reason }),
        any::<u32>().prop_map(|missed| Evidence::HeartbeatMissed { missed }),
        any::<u64>().prop_map(|after_ms| Evidence::PhaseTimeout { after_ms }),
    ];
    prop_oneof![
        typed,
        (any::<i64>(), text())
            .prop_map(|(code, message)| { Evidence::Cdp(CdpFault::Protocol { code, message }) }),
        text().prop_map(|text| Evidence::Cdp(CdpFault::Exception { text })),
        text().prop_map(Evidence::text),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_evidence_has_a_meaning(operation in operation(), evidence in evidence()) {
        let failure = classify(&Observed { operation, evidence });
        prop_assert!(failure.evidence.len() <= 1024);
        prop_assert!(!failure.happened().is_empty() && !failure.you_can().is_empty());
    }

    #[test]
    fn any_text_is_explained(text in text(), word in prop::option::of(".{0,20}")) {
        let explained = explain(&text, word.as_deref());
        prop_assert!(!explained.happened.is_empty());
    }

    #[test]
    fn an_empty_text_is_never_safe_to_resend(operation in operation(), spaces in "[ \n\t]{0,20}") {
        let evidence = Evidence::text(spaces);
        let sends = matches!(operation, Operation::Send | Operation::SendMedia);
        let failure = classify(&Observed { operation, evidence });
        prop_assert!(!sends || failure.resend != Resend::Yes);
    }

    /// Whatever stands around it, a number or an address does not stand there afterwards.
    #[test]
    fn people_are_masked_in_any_text(before in text(), after in text()) {
        let before = &before[before.floor_char_boundary(before.len().saturating_sub(1_000))..];
        for secret in ["4915112345678", "4915112345678@c.us", "anna@example.org", "+49 151 1234 5678"] {
            let masked = redact(&format!("{before} {secret} {after}"));
            let alone = format!(" {secret} ");
            prop_assert!(!masked.contains(&alone), "{masked}");
        }
    }

    #[test]
    fn any_text_is_an_id_or_none(text in text()) {
        if let Ok(chat) = ChatId::parse(&text) {
            prop_assert_eq!(ChatId::parse(chat.as_str()), Ok(chat.clone()));
            let _ = (chat.is_group(), chat.user());
        }
        for refused in [
            SessionId::parse(&text).err(),
            MessageId::parse(&text).err(),
            WaMessageId::parse(&text).err(),
        ] {
            // A stranger's text stays short in what is said about it.
            prop_assert!(refused.is_none_or(|error| error.to_string().len() < 2_000));
        }
    }

    #[test]
    fn no_sequence_of_acks_moves_a_message_back(
        first in prop::sample::select(Status::ALL.to_vec()),
        levels in prop::collection::vec(prop_oneof![-9..9_i64, any::<i64>()], 0..40)
    ) {
        let way = [Status::Sent, Status::Delivered, Status::Read, Status::Played];
        let far = |status| way.iter().position(|step| *step == status);
        let mut status = first;
        for level in levels {
            let Some(next) = Ack::from_level(level).and_then(|ack| status.after_ack(ack)) else {
                continue;
            };
            prop_assert!(far(next) > far(status), "{status:?} {level} {next:?}");
            status = next;
        }
    }
}

/// How long a text of this many bytes takes, all of it one piece again and again.
fn time_of(piece: &str, bytes: usize) -> Duration {
    let text = piece.repeat(bytes / piece.len());
    let begin = Instant::now();
    let _ = (redact(&text), explain(&text, Some("send")));
    begin.elapsed()
}

/// Four times the text may cost four times the time; sixteen times would be
/// the square of it. Other programs run at the same time: what looks slow is
/// looked at again.
#[test]
fn the_time_grows_with_the_text_and_no_faster() {
    let linear = |piece: &str| {
        let long = time_of(piece, 16 << 10);
        long < Duration::from_millis(20) || long < time_of(piece, 4 << 10) * 9
    };
    for first in PIECES {
        for second in ["", "-"] {
            let piece = format!("{first}{second}");
            assert!((0..4).any(|_| linear(&piece)), "{piece:?}");
        }
    }
}

#[test]
fn a_text_of_sixteen_mebibytes_costs_no_more_than_its_head() {
    let text = "Error: x@y.zz 4915112345678 \u{1F600} ".repeat(1 << 19);
    let observed = Observed {
        operation: Operation::Send,
        evidence: Evidence::text(text.clone()),
    };
    assert!(classify(&observed).evidence.len() <= 1024);
    assert!(redact(&text).len() <= 1 << 20);
    assert!(
        !explain(&text, Some(&"send text ".repeat(1 << 14)))
            .happened
            .is_empty()
    );
}
