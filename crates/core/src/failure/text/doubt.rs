//! What a text leaves open, whatever the rule that fits says of the message.

use super::super::Kind;
use super::super::verdict::{Handed, Verdict};
use super::fold::Folded;

/// A verdict, weighed against the rest of its text.
pub(super) fn weighed(verdict: Verdict, text: &Folded) -> Verdict {
    before_the_message(in_doubt(verdict, text), text)
}

/// A likely kind says nothing sure of the message in hand: what looks like the
/// fault of one call may be that of the browser.
pub(super) fn unsure(verdict: Verdict) -> Verdict {
    match verdict.handed {
        Handed::Before | Handed::Refused | Handed::ThisCall => verdict.handed(Handed::Everything),
        Handed::Everything | Handed::Earlier | Handed::After => verdict,
    }
}

/// What an event tells of is no message of ours: where a file that came in
/// could not be fetched or passed on, nothing is to be rejected, and a message
/// in hand is as undecided as before.
pub(super) fn of_an_event(verdict: Verdict) -> Verdict {
    match (verdict.kind, verdict.handed) {
        (Kind::MediaInvalid, _) => Verdict::of(Kind::Unknown).handed(Handed::Earlier),
        (
            Kind::Unknown
            | Kind::RecipientInvalid
            | Kind::PermanentRequestError
            | Kind::RateLimited,
            Handed::Before,
        ) => verdict.handed(Handed::Earlier),
        _ => verdict,
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
        // A program that fell over may have done so after it had sent.
        "panic: ",
        "panicked at",
        "panic recovered",
        "recovered from panic",
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
