//! Texts, where text is all there is.
//!
//! The tables are read in the order given here: what can be mistaken for
//! nothing else first (a full disk, a missing library), what only a context
//! can tell last (a bare `timed out`). Inside a table the more severe and the
//! more specific stand before the general.

mod account;
mod devtools;
mod fold;
mod host;
mod message;
mod network;
mod page;
mod rule;
mod status;

use super::verdict::{Handed, Verdict};
use super::{Kind, Operation as Op, Rung, wa};
use fold::Folded;
pub(super) use fold::{LOOKED_AT_BYTES, head};
use rule::{Match, first};

/// What a text means. Without an operation, the text's own words are asked
/// for one, but what they suggest never makes a resend safe.
pub(super) fn read(text: &str, operation: Option<Op>) -> Verdict {
    explain(text, operation).verdict
}

fn explain(text: &str, operation: Option<Op>) -> Match {
    let text = Folded::new(text);
    let operation = operation.or_else(|| suggested(&text));
    let table = |rules| first(rules, &text, operation);
    table(message::AFTER)
        .or_else(|| table(host::RULES))
        .or_else(|| state(&text))
        .or_else(|| status::read(&text))
        .or_else(|| table(account::RULES))
        .or_else(|| page::read(&text, operation))
        .or_else(|| table(message::RULES))
        .or_else(|| table(devtools::RULES))
        .or_else(|| table(network::RULES))
        .or_else(|| page::nameless(&text, operation))
        .unwrap_or_else(|| unknown(operation))
}

/// The state that WhatsApp Web's socket or stream is said to have.
fn state(text: &Folded) -> Option<Match> {
    const MARKS: &[&str] = &[
        "change:state ",
        "change_state ",
        "state changed to ",
        "state changed: ",
        "state changed ",
        "state change: ",
        "statechange: ",
        "statechange ",
        "new state: ",
        "socket.state ",
        "socket state ",
        "socket state: ",
        "stream mode ",
        "stream mode: ",
        "stream.mode ",
        "stream.mode: ",
        "disconnected: ",
        "disconnected ",
    ];
    let text = text.as_str();
    MARKS.iter().find_map(|mark| {
        let rest = text.split_once(mark)?.1;
        let rest = rest.trim_start_matches([' ', '"', '\'', '=', ':', '(', '>', '-']);
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let verdict = wa::named_state(rest.get(..end)?)?;
        Some(Match {
            concept: "WhatsApp Web's own state",
            verdict,
        })
    })
}

/// The operation that a text's own words point to.
fn suggested(text: &Folded) -> Option<Op> {
    const SIGNS: &[(Op, &[&str])] = &[
        (
            Op::Launch,
            &[
                "failed to launch",
                "launch the browser",
                "browsertype.launch",
                "puppeteer.launch",
                "spawn ",
            ],
        ),
        (Op::Navigate, &["navigat", "page.goto", " at http"]),
        (
            Op::SendMedia,
            &[
                "sendimage",
                "sendfile",
                "sendmedia",
                "sendvideo",
                "sendvoice",
            ],
        ),
        (
            Op::Send,
            &["sendmessage", "sendtext", "send message", "sending message"],
        ),
    ];
    SIGNS
        .iter()
        .find(|(_, signs)| signs.iter().any(|x| text.says(x)))
        .map(|(op, _)| *op)
}

fn unknown(operation: Option<Op>) -> Match {
    let rung = match operation {
        Some(Op::Launch | Op::Auth | Op::Navigate) => Rung::RestartBrowser,
        _ => Rung::Retry,
    };
    Match {
        concept: "nothing that we know",
        verdict: Verdict::of(Kind::Unknown)
            .rung(rung)
            .handed(Handed::ThisCall),
    }
}
