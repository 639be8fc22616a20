use super::*;

#[test]
fn what_the_page_and_whatsapp_say_of_themselves() {
    let names = vec!["WAWebCollections".to_owned()];
    let state = |state: &str| Evidence::SocketState {
        state: state.to_owned(),
    };
    let result = |result: &str| Evidence::SendResult {
        result: result.to_owned(),
    };
    let table = [
        (
            Op::Probe,
            Evidence::HeartbeatMissed { missed: 2 },
            Kind::PageHung,
            Rung::TerminateScript,
            Resend::CheckFirst,
        ),
        (
            Op::Launch,
            Evidence::PhaseTimeout { after_ms: 1 },
            Kind::BrowserGone,
            Rung::RestartBrowser,
            Resend::Yes,
        ),
        (
            Op::Navigate,
            Evidence::PhaseTimeout { after_ms: 1 },
            Kind::NavigationTimeout,
            Rung::Reload,
            Resend::Yes,
        ),
        (
            Op::Auth,
            Evidence::PhaseTimeout { after_ms: 1 },
            Kind::PageHung,
            Rung::Reload,
            Resend::Yes,
        ),
        (
            Op::Auth,
            Evidence::BindingsMissing { names },
            Kind::WaIncompatible,
            Rung::Operator,
            Resend::Yes,
        ),
        (
            Op::Listen,
            state("CONFLICT"),
            Kind::Conflict,
            Rung::Reload,
            Resend::CheckFirst,
        ),
        (
            Op::Listen,
            state("UNPAIRED"),
            Kind::AuthRequired,
            Rung::Relink,
            Resend::CheckFirst,
        ),
        (
            Op::Listen,
            state("UNPAIRED_IDLE"),
            Kind::AuthRequired,
            Rung::Operator,
            Resend::CheckFirst,
        ),
        (
            Op::Listen,
            state("TOS_BLOCK"),
            Kind::BannedOrRestricted,
            Rung::Operator,
            Resend::CheckFirst,
        ),
        (
            Op::Listen,
            state("TIMEOUT"),
            Kind::NetworkDown,
            Rung::Retry,
            Resend::CheckFirst,
        ),
        (
            Op::Probe,
            state("OPENING"),
            Kind::NetworkDown,
            Rung::Retry,
            Resend::Yes,
        ),
        (
            Op::Listen,
            state("DEPRECATED_VERSION"),
            Kind::WaIncompatible,
            Rung::Reload,
            Resend::Yes,
        ),
        (
            Op::Listen,
            state("BRAND_NEW"),
            Kind::Unknown,
            Rung::Retry,
            Resend::CheckFirst,
        ),
        (
            Op::Listen,
            Evidence::LoggedOut { reason: None },
            Kind::AuthRequired,
            Rung::Relink,
            Resend::CheckFirst,
        ),
        (
            Op::Listen,
            Evidence::LoggedOut { reason: Some(0) },
            Kind::AuthRequired,
            Rung::Relink,
            Resend::CheckFirst,
        ),
        (
            Op::Auth,
            Evidence::LoggedOut { reason: Some(2) },
            Kind::AuthFailed,
            Rung::Relink,
            Resend::Yes,
        ),
        (
            Op::Listen,
            Evidence::LoggedOut { reason: Some(3) },
            Kind::BannedOrRestricted,
            Rung::Operator,
            Resend::CheckFirst,
        ),
        (
            Op::Send,
            result("ERROR_NETWORK"),
            Kind::NetworkDown,
            Rung::Retry,
            Resend::CheckFirst,
        ),
        (
            Op::SendMedia,
            result("UPLOAD"),
            Kind::MediaInvalid,
            Rung::Retry,
            Resend::Yes,
        ),
        (
            Op::Send,
            result("ERROR_CANCELLED"),
            Kind::Unknown,
            Rung::Retry,
            Resend::CheckFirst,
        ),
        (
            Op::SendMedia,
            Evidence::AckError { level: -4 },
            Kind::MediaInvalid,
            Rung::RejectMessage,
            Resend::Yes,
        ),
        (
            Op::Send,
            Evidence::AckError { level: -1 },
            Kind::Unknown,
            Rung::Retry,
            Resend::CheckFirst,
        ),
        (
            Op::Send,
            Evidence::AckMissing { after_ms: 30_000 },
            Kind::NetworkDown,
            Rung::Retry,
            Resend::CheckFirst,
        ),
        (
            Op::Send,
            Evidence::text("Session closed. Most likely the page has been closed."),
            Kind::PageGone,
            Rung::NewPage,
            Resend::Yes,
        ),
    ];
    for (operation, evidence, kind, rung, resend) in table {
        let got = failure(operation, evidence.clone());
        assert_eq!(got, (kind, rung, resend), "{operation} {evidence:?}");
    }
}
