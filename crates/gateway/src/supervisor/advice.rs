//! What a person should do, one sentence each.

use super::snapshot::Snapshot;
use steadfast_core::failure::Rung;
use steadfast_core::port::OutboxDepth;
use steadfast_core::session::{Recycle, State};

/// The original's words for "nothing is to be done"; its users watch for them.
const ALL_WELL: &str = "All systems operating normally";

/// Never empty.
pub(super) fn recommendations(snapshot: &Snapshot, outbox: &OutboxDepth) -> Vec<String> {
    let mut advice = Vec::new();
    match &snapshot.state {
        State::Ready { .. } => {}
        State::Stopped => advice.push("The session is stopped. Start it to send and receive.".into()),
        State::Draining { why, .. } => advice.push(match why {
            Recycle::Memory => "The browser uses more memory than it may (browser.memory_limit_mib) and is replaced by a fresh one. Nothing needs to be done.".into(),
            Recycle::Age => "The browser has run for long and is replaced by a fresh one. Nothing needs to be done.".into(),
        }),
        State::Starting { .. } => advice.push("The browser is starting. Nothing needs to be done.".into()),
        State::Syncing { .. } => {
            advice.push("The account is linked and syncing. Nothing needs to be done.".into());
        }
        State::Linking { .. } if snapshot.qr.is_some() => advice.push(
            "Scan the QR code with the phone: WhatsApp, Linked devices, Link a device; or ask for a pairing code.".into(),
        ),
        State::Linking { .. } => advice.push("WhatsApp Web is loading the next QR code.".into()),
        State::Recovering { climb, .. } => advice.push(match climb.rung {
            Rung::Operator => format!(
                "Recovery needs help; it is tried again by itself meanwhile. See docs/errors/{}.md.",
                climb.kind
            ),
            Rung::Retry
            | Rung::TerminateScript
            | Rung::Reload
            | Rung::NewPage
            | Rung::RestartBrowser
            | Rung::RestoreProfile
            | Rung::Relink
            | Rung::RejectMessage => format!(
                "Recovery is under way ({}, try {}). Accepted messages are kept and sent afterwards.",
                climb.rung, climb.attempt
            ),
        }),
        State::Conflict { .. } => advice.push(
            "WhatsApp Web was opened elsewhere with this login. Close it there, then start the session.".into(),
        ),
        State::LoggedOut => advice.push("The session is logged out. Start it and link a phone.".into()),
        State::Parked { kind } => advice.push(format!(
            "A person must decide: {kind}. See docs/errors/{kind}.md, then start the session."
        )),
    }
    if let Some(health) = &snapshot.health
        && !health.missing.is_empty()
    {
        advice.push(format!(
            "WhatsApp Web lacks {}: the features that need them are off. Update the in-page library (browser.wa_js).",
            health.missing.join(", ")
        ));
    }
    if outbox.parked > 0 {
        advice.push(format!(
            "{} parked message(s) wait for a decision: list them with status=parked, then release or drop each.",
            outbox.parked
        ));
    }
    if advice.is_empty() {
        advice.push(ALL_WELL.to_owned());
    }
    advice
}
