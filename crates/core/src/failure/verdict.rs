//! What a rule concludes, before the operation has had its say on the resend.

use super::{Kind, Operation, Resend, Rung};

/// What is known of the message in hand, whatever the operation was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handed {
    /// The failure came before anything was given to the page, or WhatsApp
    /// refused the message outright.
    Before,
    /// The failing call never ran. Says nothing of other calls.
    Refused,
    /// The failing call itself may have run, and only that call.
    ThisCall,
    /// Whatever was under way may have run: the page, the browser or the
    /// login went while calls were open.
    Everything,
    /// The text tells of something that came before it, of which it knows
    /// nothing: a session that worked has fallen back.
    Earlier,
    /// The message had gone out when this failed.
    After,
}

/// Kind, rung and what is known of the message in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) kind: Kind,
    pub(super) rung: Rung,
    pub(super) handed: Handed,
}

impl Verdict {
    /// The kind's own rung and what it usually means for the message in hand.
    pub(super) const fn of(kind: Kind) -> Self {
        Self {
            kind,
            rung: usual_rung(kind),
            handed: usual_handed(kind),
        }
    }

    pub(super) const fn rung(self, rung: Rung) -> Self {
        Self { rung, ..self }
    }

    pub(super) const fn handed(self, handed: Handed) -> Self {
        Self { handed, ..self }
    }

    /// Whether the message in hand may be sent again.
    ///
    /// `operation` is `None` where nobody said what was being done: then only
    /// what is sure in every operation is called safe.
    pub(super) fn resend(self, operation: Option<Operation>) -> Resend {
        use Operation as Op;
        let under_way = |undecided: bool| {
            if undecided {
                Resend::CheckFirst
            } else {
                Resend::Yes
            }
        };
        match (self.handed, operation) {
            (Handed::After, _) => Resend::No,
            (Handed::Before, op) if op != Some(Op::Lookup) => Resend::Yes,
            // A look-up that failed leaves open what it was to decide; and
            // where nobody says what was being done, it may have been a send.
            (Handed::Before | Handed::Earlier, _)
            | (Handed::Refused | Handed::ThisCall | Handed::Everything, None | Some(Op::Lookup)) => {
                Resend::CheckFirst
            }
            // An event is no call: what it tells of may have struck one.
            (Handed::Refused, Some(op)) => under_way(op == Op::Listen),
            // A call that sends nothing leaves nothing undecided; an event may
            // have interrupted a send of which the event knows nothing.
            (Handed::ThisCall, Some(op)) => {
                under_way(matches!(op, Op::Send | Op::SendMedia | Op::Listen))
            }
            // Before the link is up there is nothing under way.
            (Handed::Everything, Some(op)) => under_way(!matches!(
                op,
                Op::Launch | Op::Navigate | Op::Auth | Op::RequestPairingCode
            )),
        }
    }
}

/// The cheapest step that usually heals a kind. A rule that knows more says so.
pub(super) const fn usual_rung(kind: Kind) -> Rung {
    match kind {
        Kind::TransientContext | Kind::NetworkDown | Kind::RateLimited | Kind::Unknown => {
            Rung::Retry
        }
        Kind::PageHung | Kind::NavigationTimeout => Rung::Reload,
        Kind::PageGone => Rung::NewPage,
        Kind::BrowserGone | Kind::ProfileLocked | Kind::ProfileCorrupt => Rung::RestartBrowser,
        Kind::AuthRequired | Kind::AuthFailed => Rung::Relink,
        Kind::LaunchFailedMissingBrowser
        | Kind::LaunchFailedMissingLibs
        | Kind::LaunchFailedSandbox
        | Kind::ResourcesExhausted
        | Kind::WaIncompatible
        | Kind::Conflict
        | Kind::BannedOrRestricted => Rung::Operator,
        Kind::RecipientInvalid | Kind::MediaInvalid | Kind::PermanentRequestError => {
            Rung::RejectMessage
        }
    }
}

const fn usual_handed(kind: Kind) -> Handed {
    match kind {
        Kind::BrowserGone | Kind::AuthRequired | Kind::Conflict | Kind::BannedOrRestricted => {
            Handed::Everything
        }
        Kind::TransientContext
        | Kind::PageGone
        | Kind::PageHung
        | Kind::NetworkDown
        | Kind::ProfileLocked
        | Kind::ProfileCorrupt
        | Kind::ResourcesExhausted
        | Kind::WaIncompatible
        | Kind::AuthFailed
        | Kind::Unknown => Handed::ThisCall,
        Kind::NavigationTimeout
        | Kind::LaunchFailedMissingBrowser
        | Kind::LaunchFailedMissingLibs
        | Kind::LaunchFailedSandbox
        | Kind::RecipientInvalid
        | Kind::MediaInvalid
        | Kind::RateLimited
        | Kind::PermanentRequestError => Handed::Before,
    }
}
