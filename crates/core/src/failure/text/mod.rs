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
mod foreign;
mod gateway;
mod general;
mod host;
mod likeness;
mod message;
mod network;
mod page;
mod rule;
mod status;

use super::verdict::{Handed, Verdict};
use super::{Kind, Operation as Op, Rung, wa};
use fold::{Folded, ends};
pub(super) use fold::{LOOKED_AT_BYTES, head};
use rule::{Match, first};

/// Where a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Code in the page threw it: whatever its stack looks like, it is no
    /// caller's wrong argument, and no guess may reject a message for it.
    Page,
    /// A log, a standard error, another program.
    Anywhere,
    /// The same, and whoever asks wants a guess rather than nothing.
    Asked,
}

/// What a text means. Without an operation, the text's own words are asked
/// for one, but what they suggest never makes a resend safe.
pub(super) fn read(text: &str, operation: Option<Op>) -> Verdict {
    explain(text, operation, Origin::Anywhere).verdict
}

/// The same for somebody who asks what it means: where no rule knows, a guess
/// by likeness.
pub(super) fn read_for_people(text: &str, operation: Option<Op>) -> Verdict {
    explain(text, operation, Origin::Asked).verdict
}

/// What an exception from the page means.
pub(super) fn read_exception(text: &str, operation: Op) -> Verdict {
    explain(text, Some(operation), Origin::Page).verdict
}

fn explain(text: &str, operation: Option<Op>, origin: Origin) -> Match {
    let said = audible(&ends(text));
    let text = Folded::new(&said);
    let operation = operation.or_else(|| suggested(&text));
    let table = |rules| first(rules, &text, operation);
    let found = sent_by_its_own_result(&text, operation)
        .or_else(|| table(message::AFTER))
        .or_else(|| table(gateway::SESSIONS))
        .or_else(|| table(host::RULES))
        .or_else(|| exited::read(&text, operation))
        .or_else(|| named(&text, operation))
        .or_else(|| status::read(&text, operation))
        .or_else(|| table(account::RULES))
        .or_else(|| page::read(&text, operation, origin))
        .or_else(|| message::TABLES.iter().copied().find_map(table))
        .or_else(|| table(devtools::RULES))
        .or_else(|| table(network::RULES))
        .or_else(|| match origin {
            Origin::Page => None,
            Origin::Anywhere | Origin::Asked => table(gateway::ENVELOPES),
        })
        .or_else(|| page::nameless(&text, operation))
        .or_else(|| says_nothing(&text).then(|| unknown(operation)))
        .or_else(|| match origin {
            Origin::Page => None,
            Origin::Anywhere | Origin::Asked => table(foreign::RULES)
                .or_else(|| table(general::RULES))
                .or_else(|| by_names(&said, operation)),
        })
        .or_else(|| match origin {
            Origin::Page | Origin::Anywhere => None,
            Origin::Asked => by_likeness(&said, &text, operation),
        })
        .unwrap_or_else(|| unknown(operation));
    Match {
        verdict: before_the_message(in_doubt(found.verdict, &text), &text),
        ..found
    }
}

/// Programs also speak in names: `phoneNotConnected`, `MEDIA_TOO_LARGE`. Taken
/// apart they are words like any others. Last of all, and for nothing sure:
/// the names in a stack are of what works.
fn by_names(said: &str, operation: Option<Op>) -> Option<Match> {
    /// A name that says something stands early; a log is full of others.
    const NAMES_WITHIN_BYTES: usize = 2 * 1024;
    let lines: Vec<String> = head(said, NAMES_WITHIN_BYTES)
        .lines()
        .filter(|line| !line.trim_start().starts_with("at "))
        .map(apart)
        .collect();
    let text = Folded::new(&lines.join("\n"));
    let table = |rules| first(rules, &text, operation);
    let found = table(host::RULES)
        .or_else(|| table(account::RULES))
        .or_else(|| message::TABLES.iter().copied().find_map(table))
        .or_else(|| table(devtools::RULES))
        .or_else(|| table(network::RULES))
        .or_else(|| table(gateway::ENVELOPES))
        .or_else(|| table(general::RULES))?;
    Some(Match {
        verdict: unsure(found.verdict),
        ..found
    })
}

/// What the text is like; failing that, what was being done leaves few ways to
/// fail.
fn by_likeness(said: &str, text: &Folded, operation: Option<Op>) -> Option<Match> {
    let (concept, kind) = if let Some(kind) = likeness::guess(said, operation) {
        ("it is like others of its kind", kind)
    } else {
        match operation {
            _ if text.as_str().is_empty() => return None,
            Some(Op::Launch) => ("a browser that did not come up", Kind::BrowserGone),
            Some(Op::Navigate) => ("a page that did not come", Kind::NetworkDown),
            _ => return None,
        }
    };
    Some(Match {
        concept,
        verdict: unsure(Verdict::of(kind)),
    })
}

/// A likely kind says nothing sure of the message in hand.
fn unsure(verdict: Verdict) -> Verdict {
    match verdict.handed {
        Handed::Before | Handed::Refused => verdict.handed(Handed::ThisCall),
        Handed::ThisCall | Handed::Everything | Handed::Earlier | Handed::After => verdict,
    }
}

/// `aNameLikeThis` and `a_name_like_this` as words.
fn apart(line: &str) -> String {
    let mut words = String::with_capacity(line.len() + line.len() / 4);
    let mut small_before = false;
    for c in line.chars() {
        if c == '_' {
            words.push(' ');
        } else {
            if c.is_uppercase() && small_before {
                words.push(' ');
            }
            words.push(c);
        }
        small_before = c.is_lowercase();
    }
    words
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

/// Takes back that a call never ran where the same text shows that something
/// was under way, or that the message arrived: several lines of one log often
/// tell of more than one thing.
fn in_doubt(verdict: Verdict, text: &Folded) -> Verdict {
    const UNDER_WAY: &[&str] = &[
        "target closed",
        "targetcloseerror",
        "timed out",
        "crashed",
        "=econnreset",
        "context was destroyed",
        "navigated or closed",
        "message sent",
        "was sent",
        "been sent",
        "was delivered",
        "was received",
        "connection reset",
        "oneshot",
        "promise was collected",
        "unresponsive",
        // The value that came back could not be read: the call had run.
        "jsonvalue",
        "at jshandle",
        "returned by value",
        "reference chain is too long",
        "json response",
        "response body",
        "invalid response",
        // What a gateway does once a message is out.
        "webhook",
        "chatwoot",
        "typebot",
        "rabbitmq",
        "amqp",
        "minio",
        "amazonaws",
    ];
    /// Where the services beside a gateway are found. What they refuse, it
    /// may have asked after the send.
    const BESIDE: &[&str] = &[
        "localhost",
        "127.0.0.1",
        "::1",
        "redis",
        "postgres",
        "mysql",
        "mongo",
        ":6379",
        ":5432",
        ":3306",
        ":27017",
        ":5672",
    ];
    let certain = matches!(verdict.handed, Handed::Before | Handed::Refused);
    let beside = verdict.kind == Kind::NetworkDown && BESIDE.iter().any(|place| text.says(place));
    if certain && (beside || UNDER_WAY.iter().any(|sign| text.says(sign))) {
        verdict.handed(Handed::ThisCall)
    } else {
        verdict
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
        "media connection",
    ];
    let a_step = STEPS.iter().any(|step| text.says(step));
    if a_step && verdict.kind == Kind::NetworkDown && verdict.handed == Handed::ThisCall {
        verdict.handed(Handed::Refused)
    } else {
        verdict
    }
}

const SEND_RESULTS: &[&str] = &["messagesendresult", "sendmsgresult"];

/// An error that carries WhatsApp Web's own result of the send, and that
/// result is OK: whatever failed, it was not the send.
fn sent_by_its_own_result(text: &Folded, operation: Option<Op>) -> Option<Match> {
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
fn named(text: &Folded, operation: Option<Op>) -> Option<Match> {
    const STATES: &[&str] = &[
        "change:state",
        "change_state",
        "state changed to",
        "state changed",
        "state change",
        "statechange",
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
                .find(|word| !word.is_empty() && *word != "ok" && !SEND_RESULTS.contains(word));
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
            let rest = rest.trim_start_matches([' ', '"', '\'', '=', ':', '(', '{', '>', ')', ',']);
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
                .unwrap_or(rest.len());
            rest.get(..end)
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

/// Words by which a program says that it does not know either.
fn says_nothing(text: &Folded) -> bool {
    text.says("unknow error|unknown error|unexpected error|something went wrong|error: undefined")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_in_the_form_that_texts_are_folded_to() {
        let tables = [
            message::AFTER,
            gateway::SESSIONS,
            gateway::ENVELOPES,
            host::RULES,
            account::RULES,
            devtools::RULES,
            network::RULES,
            foreign::RULES,
            general::RULES,
        ];
        let tables = tables.into_iter().chain(message::TABLES.iter().copied());
        for pattern in tables.flatten().flat_map(rule::Rule::patterns) {
            assert_eq!(pattern, pattern.to_ascii_lowercase());
            for part in pattern.split(" + ").flat_map(|part| part.split('|')) {
                let part = part.strip_prefix('=').unwrap_or(part);
                assert!(
                    !part.is_empty() && Folded::new(part).says(part),
                    "{pattern}"
                );
            }
        }
    }

    #[test]
    fn the_cause_is_heard_before_its_consequence() {
        for (text, concept) in [
            (
                "No usable sandbox!\nTrace/breakpoint trap (core dumped)",
                "the sandbox cannot start",
            ),
            ("page closed\nbrowserClose", "the browser ended"),
            (
                "ENOSPC while writing leveldb/LOCK",
                "the disk or the quota is full",
            ),
        ] {
            assert_eq!(
                explain(text, Some(Op::Listen), Origin::Anywhere).concept,
                concept,
                "{text}"
            );
        }
    }
}
