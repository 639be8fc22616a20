//! Texts, where text is all there is.
//!
//! The tables are read in the order given here: what can be mistaken for
//! nothing else first (a full disk, a missing library), what only a context
//! can tell last (a bare `timed out`). Inside a table the more severe and the
//! more specific stand before the general.

mod account;
mod devtools;
mod exited;
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
    let text = Folded::new(&audible(head(text, LOOKED_AT_BYTES)));
    let operation = operation.or_else(|| suggested(&text));
    let table = |rules| first(rules, &text, operation);
    let found = table(message::AFTER)
        .or_else(|| table(message::SESSIONS))
        .or_else(|| table(host::RULES))
        .or_else(|| exited::read(&text, operation))
        .or_else(|| state(&text))
        .or_else(|| status::read(&text))
        .or_else(|| table(account::RULES))
        .or_else(|| page::read(&text, operation))
        .or_else(|| table(message::RULES))
        .or_else(|| table(devtools::RULES))
        .or_else(|| table(network::RULES))
        .or_else(|| page::nameless(&text, operation))
        .unwrap_or_else(|| unknown(operation));
    Match {
        verdict: before_the_message(found.verdict, &text),
        ..found
    }
}

/// Drops the lines that Chromium writes on machines where all is well, unless
/// there are no others.
fn audible(text: &str) -> String {
    const NOISE: &[&str] = &[
        "bus.cc",
        "the bus",
        "object_proxy.cc",
        "gcm",
        "registration_request.cc",
        "vaapi",
        "viz_main_impl",
        "gl_display",
        "gl_factory",
        "gpu_memory_buffer",
        "angle_platform",
        "vulkan",
        "udev",
        "fontconfig",
        "devtools listening on",
        "permissions-policy",
        "troubleshooting:",
        "device_event_log",
        "ssl_client_socket_impl",
        "policy_logger",
    ];
    let kept: Vec<&str> = text
        .lines()
        .filter(|line| {
            let line = line.to_ascii_lowercase();
            !NOISE.iter().any(|noise| line.contains(noise))
        })
        .collect();
    if kept.iter().all(|line| line.trim().is_empty()) {
        text.to_owned()
    } else {
        kept.join("\n")
    }
}

/// A call that may have run cannot have sent anything where the text shows
/// that it was a step on the way to the message: a query for the recipient's
/// devices, an upload.
fn before_the_message(verdict: Verdict, text: &Folded) -> Verdict {
    const STEPS: &[&str] = &[
        "usync query",
        "get device list",
        "getusyncdevices",
        "get group members",
        "getgroupmembers",
        "groupmetadata",
        "assertsessions",
        "/mms/",
        "getmediaconn",
    ];
    let a_step = STEPS.iter().any(|step| text.says(step));
    if a_step && verdict.kind == Kind::NetworkDown && verdict.handed == Handed::ThisCall {
        verdict.handed(Handed::Refused)
    } else {
        verdict
    }
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
            .handed(Handed::Everything),
    }
}
