//! From what happened to what we conclude: every error of ours as evidence.

use crate::Error;
use steadfast_cdp as cdp;
use steadfast_core::failure::{
    CdpFault, Evidence, Failure, Kind, Observed, Operation, Rung, classify,
};

/// What an error means, for what was being done.
pub(crate) fn conclude(operation: Operation, error: &Error) -> Failure {
    match error {
        Error::Cdp(error) => of(operation, evidence(error)),
        Error::Page { .. } => of(
            operation,
            Evidence::Cdp(CdpFault::Exception { text: said(error) }),
        ),
        Error::Answer { .. } => of(
            operation,
            Evidence::Cdp(CdpFault::Exception {
                text: error.to_string(),
            }),
        ),
        Error::Over { in_flight } => of(
            operation,
            Evidence::Cdp(CdpFault::ContextLost {
                in_flight: *in_flight,
            }),
        ),
        Error::NotLoaded => of(
            operation,
            Evidence::Cdp(CdpFault::ContextLost { in_flight: false }),
        ),
        Error::LoginGone | Error::StorageLost => {
            known(operation, Kind::ProfileCorrupt, Rung::RestoreProfile, error)
        }
        Error::StorageUnusable | Error::NoRoom { .. } => known(
            operation,
            Kind::ResourcesExhausted,
            Rung::RestartBrowser,
            error,
        ),
        Error::BrowserSilent { .. } => {
            known(operation, Kind::BrowserGone, Rung::RestartBrowser, error)
        }
        Error::ProfileLocked { .. } | Error::ProfileHeld { .. } => {
            known(operation, Kind::ProfileLocked, Rung::Operator, error)
        }
        Error::Profile { detail, .. } => {
            // A full disk or missing rights are the system's, not the profile's.
            let read = of(operation, Evidence::text(detail.clone()));
            match read.kind {
                Kind::ResourcesExhausted => read,
                _ => known(operation, Kind::ProfileCorrupt, Rung::Operator, error),
            }
        }
        Error::Option { .. } | Error::Library { .. } => known(
            operation,
            Kind::PermanentRequestError,
            Rung::Operator,
            error,
        ),
    }
}

/// What a piece of evidence means, for what was being done.
pub(crate) fn of(operation: Operation, evidence: Evidence) -> Failure {
    classify(&Observed {
        operation,
        evidence,
    })
}

/// A conclusion that the error's own type already is.
fn known(operation: Operation, kind: Kind, rung: Rung, error: &Error) -> Failure {
    let read = of(operation, Evidence::text(error.to_string()));
    Failure { kind, rung, ..read }
}

fn said(error: &Error) -> String {
    match error {
        Error::Page {
            name,
            message,
            stack,
        } if stack.contains(message.as_str()) && !message.is_empty() => {
            let _ = name;
            stack.clone()
        }
        Error::Page { stack, .. } => format!("{error}\n{stack}"),
        other => other.to_string(),
    }
}

/// A DevTools client's error as evidence. No wildcard: a new one must be placed here.
pub(crate) fn evidence(error: &cdp::Error) -> Evidence {
    Evidence::Cdp(match error {
        cdp::Error::BrowserGone { .. } => CdpFault::BrowserGone,
        cdp::Error::PageGone { in_flight, .. } => CdpFault::PageGone {
            in_flight: *in_flight,
        },
        cdp::Error::PageCrashed { in_flight, .. } => CdpFault::PageCrashed {
            in_flight: *in_flight,
        },
        cdp::Error::ContextLost { in_flight, .. } => CdpFault::ContextLost {
            in_flight: *in_flight,
        },
        // The document lives on; the call did not end.
        cdp::Error::Terminated { .. } => CdpFault::ContextLost { in_flight: true },
        cdp::Error::Timeout { in_flight, .. } => CdpFault::Timeout {
            in_flight: *in_flight,
        },
        cdp::Error::Overloaded { .. } => CdpFault::Overloaded,
        cdp::Error::Protocol { code, message, .. } => CdpFault::Protocol {
            code: *code,
            message: message.clone(),
        },
        cdp::Error::Exception { text, .. } => CdpFault::Exception { text: text.clone() },
        cdp::Error::Malformed { .. } => CdpFault::Malformed,
        cdp::Error::Navigation { text, .. } => return Evidence::text(text.clone()),
        cdp::Error::TooLarge { .. } => return Evidence::text(error.to_string()),
        cdp::Error::Launch(error) => return launch_evidence(error),
    })
}

fn launch_evidence(error: &cdp::LaunchError) -> Evidence {
    match error {
        cdp::LaunchError::NotFound { .. } | cdp::LaunchError::Placeholder { .. } => {
            Evidence::Spawn {
                os_error: std::io::ErrorKind::NotFound.to_string(),
            }
        }
        cdp::LaunchError::Spawn { text, .. } => Evidence::Spawn {
            os_error: text.clone(),
        },
        cdp::LaunchError::Argument { .. } => Evidence::text(error.to_string()),
        cdp::LaunchError::Exited {
            code,
            signal,
            stderr,
        } => Evidence::Exit {
            code: *code,
            signal: *signal,
            stderr: stderr.clone(),
        },
        cdp::LaunchError::NoAnswer { after, .. } => Evidence::PhaseTimeout {
            after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        },
        cdp::LaunchError::Handshake { .. } => Evidence::Cdp(CdpFault::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use steadfast_core::failure::Resend;

    fn send(error: cdp::Error) -> Failure {
        conclude(Operation::Send, &Error::Cdp(error))
    }

    #[test]
    fn a_disk_without_room_is_the_machine_s_and_heals_by_another_start() {
        let error = Error::NoRoom {
            path: "/data/profile".into(),
            free_kib: 12,
            need_kib: 8192,
        };
        let failure = conclude(Operation::Launch, &error);
        assert_eq!(
            (failure.kind, failure.rung, failure.resend),
            (Kind::ResourcesExhausted, Rung::RestartBrowser, Resend::Yes)
        );
        assert!(failure.evidence.contains("12 KiB are free"), "{failure:?}");
    }

    #[test]
    fn what_never_reached_the_page_may_be_sent_again() {
        for (in_flight, resend) in [(false, Resend::Yes), (true, Resend::CheckFirst)] {
            let method = "Runtime.callFunctionOn";
            for error in [
                cdp::Error::PageGone { method, in_flight },
                cdp::Error::PageCrashed { method, in_flight },
                cdp::Error::ContextLost { method, in_flight },
                cdp::Error::Timeout {
                    method,
                    after: Duration::from_secs(1),
                    in_flight,
                },
            ] {
                assert_eq!(error.may_have_run(), in_flight);
                assert_eq!(send(error.clone()).resend, resend, "{error}");
            }
        }
        assert_eq!(
            send(cdp::Error::Overloaded { method: "x" }).resend,
            Resend::Yes
        );
        assert_eq!(
            send(cdp::Error::Terminated { method: "x" }).resend,
            Resend::CheckFirst
        );
    }

    #[test]
    fn a_start_that_fails_says_why() {
        let launch = |error| conclude(Operation::Launch, &Error::Cdp(cdp::Error::Launch(error)));
        assert_eq!(
            launch(cdp::LaunchError::NotFound {
                path: "/nowhere".into()
            })
            .kind,
            Kind::LaunchFailedMissingBrowser
        );
        assert_eq!(
            launch(cdp::LaunchError::Exited {
                code: Some(21),
                signal: None,
                stderr: String::new()
            })
            .kind,
            Kind::ProfileLocked
        );
    }

    #[test]
    fn a_page_that_cannot_be_loaded_is_the_networks_fault() {
        for text in [
            "net::ERR_CONNECTION_REFUSED",
            "net::ERR_INTERNET_DISCONNECTED",
            "net::ERR_NAME_NOT_RESOLVED",
            "net::ERR_CONNECTION_TIMED_OUT",
        ] {
            let failure = conclude(
                Operation::Navigate,
                &Error::Cdp(cdp::Error::Navigation {
                    method: "Page.navigate",
                    url: "https://web.whatsapp.com/".to_owned(),
                    text: text.to_owned(),
                }),
            );
            assert_eq!(failure.kind, Kind::NetworkDown, "{text}");
        }
    }

    #[test]
    fn a_locked_profile_needs_a_person() {
        let failure = conclude(
            Operation::Launch,
            &Error::ProfileLocked {
                path: "/data/p".into(),
            },
        );
        assert_eq!(
            (failure.kind, failure.rung),
            (Kind::ProfileLocked, Rung::Operator)
        );
    }
}
