//! What a person should do, one sentence or two each, with the page that says more.

use super::snapshot::{PasskeyStep, Snapshot};
use crate::sessions::CheckStatus;
use steadfast_core::failure::{Kind, Rung};
use steadfast_core::ladder::Climb;
use steadfast_core::port::OutboxDepth;
use steadfast_core::session::{Recycle, State};

/// The original's words for "nothing is to be done"; its users watch for them.
const ALL_WELL: &str = "All systems operating normally";

/// What stands in the way of being ready, of one that is not.
const STARTING: &str = "The browser is starting. Nothing needs to be done.";

/// Never empty.
pub(super) fn recommendations(snapshot: &Snapshot, outbox: &OutboxDepth) -> Vec<String> {
    let mut advice: Vec<String> = state(snapshot).into_iter().collect();
    if let Some(health) = &snapshot.health
        && !health.missing.is_empty()
    {
        advice.push(format!(
            "WhatsApp Web lacks {}: the features that need them are off. Update Steadfast, or name another in-page library (browser.wa_js). See {}.",
            health.missing.join(", "),
            Kind::WaIncompatible.doc(),
        ));
    }
    if let Some(canary) = &snapshot.canary
        && canary.status() != CheckStatus::Pass
    {
        advice.push(format!(
            "The last message to oneself did not get through at {} ({}). If the next one does not either, look at the incidents of this session.",
            canary.at.rfc3339(),
            canary.detail,
        ));
    }
    if outbox.parked > 0 {
        advice.push(format!(
            "{} parked message(s) wait for a decision: `steadfast outbox list` shows them with their reasons; release or discard each.",
            outbox.parked
        ));
    }
    if advice.is_empty() {
        advice.push(ALL_WELL.to_owned());
    }
    advice
}

/// What the state itself asks for; nothing where it is ready.
fn state(snapshot: &Snapshot) -> Option<String> {
    Some(match &snapshot.state {
        State::Ready { .. } => return None,
        State::Stopped => "The session is stopped. Start it to send and receive.".to_owned(),
        State::Starting { .. } => STARTING.to_owned(),
        State::Draining { why, .. } => match why {
            Recycle::Memory => "The browser uses more memory than it may (browser.memory_limit_mib) and is replaced by a fresh one. Nothing needs to be done.",
            Recycle::Age => "The browser has run for long and is replaced by a fresh one. Nothing needs to be done.",
        }
        .to_owned(),
        State::Syncing { .. } => {
            "The account is linked and syncing. Nothing needs to be done.".to_owned()
        }
        State::Linking { climb, .. } => match &snapshot.passkey {
            Some(step @ (PasskeyStep::Wanted(_) | PasskeyStep::Answered)) => passkey(step).to_owned(),
            Some(step @ (PasskeyStep::Refused | PasskeyStep::Missed)) => format!(
                "{} {}",
                passkey(step),
                linking(snapshot.qr.is_some(), climb.as_ref())
            ),
            None => linking(snapshot.qr.is_some(), climb.as_ref()),
        },
        State::Recovering { climb, .. } => recovering(climb),
        State::Conflict { .. } => format!(
            "{} {} Then start the session. See {}.",
            Kind::Conflict.happened(),
            Kind::Conflict.you_can(),
            Kind::Conflict.doc()
        ),
        State::LoggedOut => "The session is logged out. Start it and link a phone.".to_owned(),
        State::Parked { kind } => format!(
            "{} {} Then start the session. See {}.",
            kind.happened(),
            kind.you_can(),
            kind.doc()
        ),
    })
}

fn passkey(step: &PasskeyStep) -> &'static str {
    match step {
        PasskeyStep::Wanted(_) => {
            "WhatsApp asks for the passkey of this account before it links. Answer GET /v1/sessions/{session}/passkey by POST, or link once in a visible browser: steadfast init --headed. See docs/LINKING.md."
        }
        PasskeyStep::Answered => {
            "The passkey was given, and WhatsApp looks at it. Nothing needs to be done."
        }
        PasskeyStep::Refused => {
            "WhatsApp did not take the passkey that was given; use the one that belongs to this account, or link in a visible browser (steadfast init --headed, see docs/LINKING.md)."
        }
        PasskeyStep::Missed => {
            "WhatsApp asked for the passkey of this account, and did not get it in time: link again and be quicker, or link in a visible browser (steadfast init --headed, see docs/LINKING.md)."
        }
    }
}

fn linking(has_qr: bool, climb: Option<&Climb>) -> String {
    let what = if has_qr {
        "Scan the QR code with the phone: WhatsApp, Linked devices, Link a device; or ask for a pairing code."
    } else {
        "WhatsApp Web is loading the next QR code."
    };
    match climb {
        Some(climb) => format!("{} {what} See {}.", climb.kind.happened(), climb.kind.doc()),
        None => what.to_owned(),
    }
}

fn recovering(climb: &Climb) -> String {
    let kind = climb.kind;
    let doing = match climb.rung {
        Rung::Operator => format!(
            "It is tried again by itself, but needs help: {}",
            kind.you_can()
        ),
        Rung::Retry
        | Rung::TerminateScript
        | Rung::Reload
        | Rung::NewPage
        | Rung::RestartBrowser
        | Rung::RestoreProfile
        | Rung::Relink
        | Rung::RejectMessage => format!(
            "Recovery is under way ({}, try {}); accepted messages are kept and sent afterwards. What you can do: {}",
            climb.rung,
            climb.attempt,
            kind.you_can()
        ),
    };
    format!("{} {doing} See {}.", kind.happened(), kind.doc())
}

#[cfg(test)]
mod tests {
    use super::super::canary::CanaryReport;
    use super::*;
    use steadfast_core::ids::Epoch;
    use steadfast_core::session::{Stage, TimerGen};
    use steadfast_core::time::{MonoMs, UnixMs};

    fn climb(kind: Kind, rung: Rung) -> Climb {
        Climb {
            kind,
            rung,
            attempt: 2,
            restarts: 0,
            restored: false,
            syncs: 0,
        }
    }

    fn advice(state: State) -> Vec<String> {
        recommendations(&Snapshot::of(state), &OutboxDepth::default())
    }

    fn ready() -> State {
        State::Ready {
            epoch: Epoch(1),
            since: MonoMs::default(),
            timer: TimerGen(1),
        }
    }

    #[test]
    fn nothing_to_do_is_said_in_the_originals_words() {
        assert_eq!(advice(ready()), [ALL_WELL]);
    }

    /// Whatever fails, the words say what it is and what to do, and name a
    /// page that exists.
    #[test]
    fn every_kind_leads_to_its_page() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
        for kind in Kind::ALL.iter().copied() {
            for state in [
                State::Parked { kind },
                State::Recovering {
                    climb: climb(kind, Rung::Operator),
                    stage: Stage::Opening {
                        epoch: Epoch(1),
                        timer: TimerGen(1),
                        within_ms: 60_000,
                    },
                },
                State::Recovering {
                    climb: climb(kind, Rung::NewPage),
                    stage: Stage::Opening {
                        epoch: Epoch(1),
                        timer: TimerGen(1),
                        within_ms: 60_000,
                    },
                },
            ] {
                let said = advice(state);
                assert_eq!(said.len(), 1);
                assert!(said[0].contains(kind.you_can()), "{said:?}");
                assert!(said[0].contains(&kind.doc()), "{said:?}");
            }
            let page = format!("{root}{}", kind.doc());
            assert!(std::fs::exists(&page).unwrap(), "{page} is missing");
        }
    }

    #[test]
    fn a_phone_is_asked_for_with_the_reason() {
        let said = advice(State::Linking {
            epoch: Epoch(1),
            timer: TimerGen(1),
            climb: Some(climb(Kind::AuthRequired, Rung::Relink)),
        });
        assert!(said[0].contains("docs/errors/auth_required.md"), "{said:?}");
    }

    #[test]
    fn parked_messages_and_a_lost_canary_are_told_also_while_ready() {
        let mut snapshot = Snapshot::of(ready());
        snapshot.canary = Some(CanaryReport {
            at: UnixMs(1_705_314_600_000),
            passed: false,
            detail: "network_down: no server ack within 10000 ms".to_owned(),
        });
        let outbox = OutboxDepth {
            parked: 3,
            ..OutboxDepth::default()
        };
        let said = recommendations(&snapshot, &outbox);
        assert_eq!(said.len(), 2);
        assert!(said[0].contains("2024-01-15T10:30:00.000Z"), "{said:?}");
        assert!(said[1].starts_with("3 parked") && said[1].contains("steadfast outbox"));
    }
}
