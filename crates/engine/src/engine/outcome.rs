//! What the page's word on a message means: handed over, surely not, or perhaps.

use crate::Error;
use crate::conclude::{conclude, of};
use crate::files::NotUploaded;
use crate::wire::{PageError, Sent};
use steadfast_core::failure::{CdpFault, Evidence, Failure, Kind, Operation, Resend, Rung};
use steadfast_core::ids::WaMessageId;
use steadfast_core::outbox::Ack;
use steadfast_core::port::SendOutcome;
use tracing::debug;

/// How handing a message over ended, by what the page answered or what became
/// of the call. Whatever leaves a doubt is *unknown*: looked up, never sent again.
pub(super) fn outcome(
    operation: Operation,
    id: &WaMessageId,
    answer: Result<Sent, Error>,
) -> SendOutcome {
    let sent = match answer {
        Ok(sent) => sent,
        Err(error) => {
            let failure = conclude(operation, &error);
            return if error.surely_not_run() {
                not_handed(failure)
            } else {
                maybe_handed(failure)
            };
        }
    };
    debug!(%id, ?sent, "the page's word on a message");
    match sent {
        Sent::Handed { level } => {
            SendOutcome::HandedOff(Ack::from_level(level).unwrap_or(Ack::Pending))
        }
        Sent::NotReady {
            socket,
            mode,
            missing,
        } => not_handed(not_ready(socket, mode, missing)),
        Sent::Before { stage, error } => before_the_gate(operation, &stage, error),
        Sent::Rejected { reason } => {
            let (kind, what) = refusal(&reason);
            SendOutcome::Rejected(Failure {
                kind,
                rung: Rung::RejectMessage,
                resend: Resend::Yes,
                ..of(operation, Evidence::text(format!("{what}: {reason}")))
            })
        }
        Sent::Failed { level } => maybe_handed(of(operation, Evidence::AckError { level })),
        Sent::Result { result } => maybe_handed(of(operation, Evidence::SendResult { result })),
        Sent::Unknown { error } => maybe_handed(thrown(operation, error)),
        Sent::Absent { conclusive } => {
            let failure = of(
                operation,
                Evidence::text("msg_not_found: the message is not in the page"),
            );
            if conclusive {
                not_handed(failure)
            } else {
                maybe_handed(failure)
            }
        }
    }
}

/// Surely not handed over: we know more of this one message than its failure's kind says.
pub(super) fn not_handed(failure: Failure) -> SendOutcome {
    SendOutcome::NotSent(Failure {
        resend: Resend::Yes,
        ..failure
    })
}

/// Perhaps handed over, whatever the failure's kind usually means.
fn maybe_handed(failure: Failure) -> SendOutcome {
    SendOutcome::Unknown(Failure {
        resend: Resend::CheckFirst,
        ..failure
    })
}

fn thrown(operation: Operation, error: PageError) -> Failure {
    conclude(operation, &page_error(error))
}

/// What a refusal of our own script in the page means.
fn refusal(reason: &str) -> (Kind, &'static str) {
    match reason {
        "not_on_whatsapp" => (Kind::RecipientInvalid, "the recipient cannot be written to"),
        "no_such_message" => (
            Kind::PermanentRequestError,
            "the message that is meant is not in the chat",
        ),
        _ => (
            Kind::PermanentRequestError,
            "the message that is meant does not allow this",
        ),
    }
}

/// A file that did not get into the page: nothing was sent.
pub(super) fn not_in_page(why: NotUploaded) -> SendOutcome {
    let operation = Operation::SendMedia;
    match why {
        NotUploaded::File(what) => SendOutcome::Rejected(Failure {
            kind: Kind::MediaInvalid,
            rung: Rung::RejectMessage,
            resend: Resend::Yes,
            ..of(operation, Evidence::text(what))
        }),
        NotUploaded::Disk(error) => not_handed(of(operation, Evidence::text(error.to_string()))),
        NotUploaded::Page(error) => not_handed(conclude(operation, &error)),
    }
}

/// What was thrown in the page, as an error of ours.
pub(super) fn page_error(error: PageError) -> Error {
    Error::Page {
        name: error.name,
        message: error.message,
        stack: error.stack,
    }
}

/// Failed before it was handed over. Where the recipient or the message itself
/// is at fault, trying again would fail again.
fn before_the_gate(operation: Operation, stage: &str, error: PageError) -> SendOutcome {
    debug!(stage, name = error.name, "a message was not handed over");
    let failure = thrown(operation, error);
    match failure.kind {
        Kind::RecipientInvalid | Kind::MediaInvalid | Kind::PermanentRequestError => {
            SendOutcome::Rejected(failure)
        }
        Kind::TransientContext
        | Kind::PageGone
        | Kind::BrowserGone
        | Kind::PageHung
        | Kind::NavigationTimeout
        | Kind::NetworkDown
        | Kind::ProfileLocked
        | Kind::ProfileCorrupt
        | Kind::LaunchFailedMissingBrowser
        | Kind::LaunchFailedMissingLibs
        | Kind::LaunchFailedSandbox
        | Kind::ResourcesExhausted
        | Kind::WaIncompatible
        | Kind::AuthRequired
        | Kind::AuthFailed
        | Kind::Conflict
        | Kind::BannedOrRestricted
        | Kind::RateLimited
        | Kind::Unknown => not_handed(failure),
    }
}

/// The page says that it cannot do it now, and what it lacks.
pub(super) fn not_ready(
    socket: Option<String>,
    mode: Option<String>,
    missing: Vec<String>,
) -> Failure {
    let evidence = if !missing.is_empty() {
        Evidence::BindingsMissing { names: missing }
    } else if socket.as_deref() == Some("CONNECTED") {
        Evidence::SocketState {
            state: mode.unwrap_or_else(|| "SYNCING".to_owned()),
        }
    } else if let Some(state) = socket {
        Evidence::SocketState { state }
    } else {
        Evidence::Cdp(CdpFault::ContextLost { in_flight: false })
    };
    of(Operation::Send, evidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(sent: Sent) -> SendOutcome {
        outcome(Operation::Send, &WaMessageId::mint([1; 9]), Ok(sent))
    }

    fn error(message: &str) -> PageError {
        PageError {
            name: "Error".to_owned(),
            message: message.to_owned(),
            stack: String::new(),
        }
    }

    #[test]
    fn only_what_never_passed_the_gate_counts_as_not_sent() {
        let unknown = [
            Sent::Failed { level: -1 },
            Sent::Result {
                result: "ERROR_NETWORK".to_owned(),
            },
            Sent::Result {
                result: "ERROR_UPLOAD".to_owned(),
            },
            Sent::Unknown {
                error: error("x is not a function"),
            },
            Sent::Absent { conclusive: false },
        ];
        for sent in unknown {
            let said = format!("{sent:?}");
            let SendOutcome::Unknown(failure) = meant(sent) else {
                panic!("{said}");
            };
            assert_eq!(failure.resend, Resend::CheckFirst, "{said}");
        }
        let not_sent = [
            Sent::NotReady {
                socket: Some("OPENING".to_owned()),
                mode: None,
                missing: vec![],
            },
            Sent::Before {
                stage: "prepare".to_owned(),
                error: error("x is not a function"),
            },
            Sent::Absent { conclusive: true },
        ];
        for sent in not_sent {
            let said = format!("{sent:?}");
            let SendOutcome::NotSent(failure) = meant(sent) else {
                panic!("{said}");
            };
            assert_eq!(failure.resend, Resend::Yes, "{said}");
        }
    }

    #[test]
    fn the_servers_ack_is_what_it_says() {
        assert_eq!(
            meant(Sent::Handed { level: 1 }),
            SendOutcome::HandedOff(Ack::Server)
        );
        assert_eq!(
            meant(Sent::Handed { level: 3 }),
            SendOutcome::HandedOff(Ack::Read)
        );
        assert_eq!(
            meant(Sent::Handed { level: 0 }),
            SendOutcome::HandedOff(Ack::Pending)
        );
    }

    #[test]
    fn a_wrong_recipient_is_the_messages_own_fault() {
        let SendOutcome::Rejected(failure) = meant(Sent::Rejected {
            reason: "not_on_whatsapp".to_owned(),
        }) else {
            panic!("not rejected");
        };
        assert_eq!(
            (failure.kind, failure.rung),
            (Kind::RecipientInvalid, Rung::RejectMessage)
        );
        assert!(matches!(
            meant(Sent::Before {
                stage: "prepare".to_owned(),
                error: error("wid error: invalid wid")
            }),
            SendOutcome::Rejected(_)
        ));
    }

    #[test]
    fn a_call_that_died_on_the_way_is_unknown_and_one_that_never_left_is_not() {
        for (in_flight, unknown) in [(true, true), (false, false)] {
            for error in [
                Error::Over { in_flight },
                Error::Cdp(steadfast_cdp::Error::BrowserGone {
                    method: "x",
                    in_flight,
                }),
                Error::Cdp(steadfast_cdp::Error::ContextLost {
                    method: "x",
                    in_flight,
                }),
            ] {
                let said = format!("{error:?}");
                let outcome = outcome(Operation::Send, &WaMessageId::mint([1; 9]), Err(error));
                assert_eq!(
                    matches!(outcome, SendOutcome::Unknown(_)),
                    unknown,
                    "{said}"
                );
                assert_eq!(
                    matches!(outcome, SendOutcome::NotSent(_)),
                    !unknown,
                    "{said}"
                );
            }
        }
    }
}
