//! What WhatsApp Web says in its own names and numbers, as they stand in a
//! log: states, reasons, results of sends, acks.

use super::super::verdict::{Handed, Verdict};
use super::super::{Kind, Operation as Op, Rung, wa};
use super::fold::Folded;
use super::rule::Match;

const SEND_RESULTS: &[&str] = &["messagesendresult", "sendmsgresult"];

/// The results' own names, which libraries pass on under keys of their own.
const RESULT_NAMES: &[&str] = &[
    "=error_network",
    "=error_upload",
    "=error_expired",
    "=error_cancelled",
    "=error_unknown",
];

/// An error that carries WhatsApp Web's own result of the send, and that
/// result is OK: whatever failed, it was not the send.
pub(super) fn sent_by_its_own_result(text: &Folded, operation: Option<Op>) -> Option<Match> {
    let mut results = words_after(text, SEND_RESULTS)
        .filter(|word| !word.is_empty() && !SEND_RESULTS.contains(word))
        .peekable();
    results.peek()?;
    let sending = matches!(operation, Some(Op::Send | Op::SendMedia) | None);
    (sending && results.all(|word| word == "ok")).then_some(Match {
        concept: "WhatsApp Web's own result of the send is OK",
        verdict: Verdict::of(Kind::Unknown)
            .rung(Rung::Operator)
            .handed(Handed::After),
    })
}

/// What WhatsApp Web says in its own names and numbers, as they stand in a log.
pub(super) fn named(text: &Folded, operation: Option<Op>) -> Option<Match> {
    const STATES: &[&str] = &[
        "change:state",
        "change_state",
        "state changed to",
        "state changed",
        "state change",
        "statechange",
        "statechanged",
        "new state",
        "socket.state",
        "socket state",
        "state:",
        "state\"",
        "state is",
        "state",
        "stream mode",
        "stream.mode",
        "disconnected",
    ];
    const REASONS: &[&str] = &["disconnectreason.", "reason", "disconnected"];
    const ACKS: &[&str] = &["ack changed to", "ack level", "ack"];
    let told =
        |concept, verdict: Option<Verdict>| verdict.map(|verdict| Match { concept, verdict });
    let state = words_after(text, STATES).find_map(wa::named_state);
    // Of a message or a group, the same words mean something else.
    let of_the_link = matches!(operation, Some(Op::Auth | Op::Listen | Op::Probe));
    told("WhatsApp Web's own state", state)
        .or_else(|| {
            let mut reasons = words_after(text, REASONS).filter(|_| of_the_link);
            told("why a link ended", reasons.find_map(wa::named_reason))
        })
        .or_else(|| {
            let result = words_after(text, SEND_RESULTS)
                .find(|word| !word.is_empty() && *word != "ok" && !SEND_RESULTS.contains(word))
                .or_else(|| RESULT_NAMES.iter().copied().find(|name| text.says(name)));
            let result = result.map(|name| name.trim_start_matches('='));
            told("the result of a send", result.map(wa::send_result))
        })
        .or_else(|| {
            let level =
                words_after(text, ACKS).find_map(|word| word.parse().ok().filter(|l| *l < 0));
            told("a negative ack", level.map(wa::ack_error))
        })
}

/// The words that follow any of the marks, past quotes and signs.
fn words_after<'a>(text: &'a Folded, marks: &'a [&str]) -> impl Iterator<Item = &'a str> {
    let text = text.as_str();
    marks.iter().flat_map(move |mark| {
        text.match_indices(mark).filter_map(|(at, mark)| {
            let rest = text.get(at + mark.len()..)?;
            let past = |rest: &'a str| {
                rest.trim_start_matches([' ', '"', '\'', '=', ':', '(', '{', '>', ')', ','])
            };
            let rest = past(rest);
            let rest = past(rest.strip_prefix("to ").unwrap_or(rest));
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
                .unwrap_or(rest.len());
            rest.get(..end)
        })
    })
}
