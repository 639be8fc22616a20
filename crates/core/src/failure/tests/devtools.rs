use super::*;

#[test]
fn devtools_faults() {
    let table = [
        (
            Op::Send,
            CdpFault::BrowserGone,
            Kind::BrowserGone,
            Rung::RestartBrowser,
            Resend::CheckFirst,
        ),
        (
            Op::Launch,
            CdpFault::BrowserGone,
            Kind::BrowserGone,
            Rung::RestartBrowser,
            Resend::Yes,
        ),
        (
            Op::Send,
            CdpFault::PageGone { in_flight: true },
            Kind::PageGone,
            Rung::NewPage,
            Resend::CheckFirst,
        ),
        (
            Op::Send,
            CdpFault::PageGone { in_flight: false },
            Kind::PageGone,
            Rung::NewPage,
            Resend::Yes,
        ),
        (
            Op::Listen,
            CdpFault::PageGone { in_flight: false },
            Kind::PageGone,
            Rung::NewPage,
            Resend::CheckFirst,
        ),
        (
            Op::Send,
            CdpFault::PageCrashed { in_flight: true },
            Kind::PageGone,
            Rung::NewPage,
            Resend::CheckFirst,
        ),
        (
            Op::Send,
            CdpFault::ContextLost { in_flight: true },
            Kind::TransientContext,
            Rung::Retry,
            Resend::CheckFirst,
        ),
        (
            Op::Send,
            CdpFault::ContextLost { in_flight: false },
            Kind::TransientContext,
            Rung::Retry,
            Resend::Yes,
        ),
        (
            Op::Evaluate,
            CdpFault::ContextLost { in_flight: true },
            Kind::TransientContext,
            Rung::Retry,
            Resend::Yes,
        ),
        (
            Op::Send,
            CdpFault::Timeout { in_flight: true },
            Kind::PageHung,
            Rung::TerminateScript,
            Resend::CheckFirst,
        ),
        (
            Op::Navigate,
            CdpFault::Timeout { in_flight: true },
            Kind::NavigationTimeout,
            Rung::Reload,
            Resend::Yes,
        ),
        (
            Op::Launch,
            CdpFault::Timeout { in_flight: true },
            Kind::BrowserGone,
            Rung::RestartBrowser,
            Resend::Yes,
        ),
        // The browser read nothing: it stands still, and the message is still ours.
        (
            Op::Send,
            CdpFault::Timeout { in_flight: false },
            Kind::PageHung,
            Rung::TerminateScript,
            Resend::Yes,
        ),
        (
            Op::Probe,
            CdpFault::Timeout { in_flight: false },
            Kind::PageHung,
            Rung::TerminateScript,
            Resend::Yes,
        ),
        (
            Op::Send,
            CdpFault::Malformed,
            Kind::BrowserGone,
            Rung::RestartBrowser,
            Resend::CheckFirst,
        ),
        (
            Op::Send,
            CdpFault::Overloaded,
            Kind::ResourcesExhausted,
            Rung::Retry,
            Resend::Yes,
        ),
    ];
    for (operation, fault, kind, rung, resend) in table {
        let got = failure(operation, Evidence::Cdp(fault.clone()));
        assert_eq!(got, (kind, rung, resend), "{operation} {fault:?}");
    }
}

#[test]
fn protocol_errors_are_read_by_number_then_by_text() {
    let protocol = |code, message: &str| {
        let message = message.to_owned();
        failure(
            Operation::Send,
            Evidence::Cdp(CdpFault::Protocol { code, message }),
        )
    };
    let gone = (Kind::PageGone, Rung::NewPage, Resend::Yes);
    assert_eq!(protocol(-32001, "Session with given id not found."), gone);
    let navigated = (Kind::TransientContext, Rung::Retry, Resend::CheckFirst);
    assert_eq!(
        protocol(-32000, "Inspected target navigated or closed"),
        navigated
    );
    let stale = (Kind::TransientContext, Rung::Retry, Resend::Yes);
    assert_eq!(
        protocol(-32000, "Cannot find context with specified id"),
        stale
    );
    let ours = (Kind::Unknown, Rung::Operator, Resend::Yes);
    assert_eq!(protocol(-32601, "'Page.frobnicate' wasn't found"), ours);
}

#[test]
fn an_exception_in_the_page_is_read_with_its_operation() {
    let thrown = |operation, text: &str| {
        let text = text.to_owned();
        failure(operation, Evidence::Cdp(CdpFault::Exception { text }))
    };
    let after = "TypeError: Cannot read properties of undefined (reading 'serialize')";
    assert_eq!(
        thrown(Operation::Send, after),
        (Kind::WaIncompatible, Rung::Operator, Resend::No)
    );
    assert_eq!(
        thrown(Operation::Evaluate, after),
        (Kind::WaIncompatible, Rung::Operator, Resend::Yes)
    );
    assert_eq!(
        thrown(Operation::Send, "TypeError: x.y is not a function"),
        (Kind::WaIncompatible, Rung::Operator, Resend::CheckFirst)
    );
}

/// A rejected message is gone for its sender: only certain words may do that.
#[test]
fn no_guess_about_an_exception_rejects_a_message() {
    for text in [
        "TypeError: Cannot read properties of undefined (reading 'x')\n at send (bridge.js:1:2)",
        "Error: the format of a field is invalid",
        "Error: file could not be found",
    ] {
        let text = text.to_owned();
        let (kind, rung, resend) =
            failure(Op::SendMedia, Evidence::Cdp(CdpFault::Exception { text }));
        assert_ne!(rung, Rung::RejectMessage, "{kind}");
        assert_ne!(resend, Resend::Yes, "{kind}");
    }
}
