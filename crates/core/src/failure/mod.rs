//! What went wrong, and what it means.
//!
//! An error is what happened; a [`Failure`] is what we conclude from it:
//! its kind, the cheapest rung that heals it, and whether the message in hand
//! may be sent again.
//!
//! [`classify`] reads typed evidence first and text only where text is all
//! there is; the operation is always part of it. Each source of evidence has
//! a module of its own. [`explain`] is the same for a text from anywhere.

mod advice;
mod cdp;
mod evidence;
mod exit;
mod explain;
mod kind;
mod operation;
mod redact;
mod text;
mod verdict;
mod wa;

pub use evidence::{CdpFault, Evidence, Observed};
pub use explain::{Explanation, explain};
pub use kind::{Kind, Resend, Rung};
pub use operation::Operation;
pub use redact::redact;

use serde::Serialize;
use text::head;
use verdict::{Handed, Verdict};

/// No evidence is kept longer than this: enough for a message and its first frames.
const EVIDENCE_BYTES: usize = 1024;

/// A conclusion about one thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: Kind,
    /// The cheapest step that heals it.
    pub rung: Rung,
    /// Whether the message in hand may be sent again.
    pub resend: Resend,
    /// What was being done.
    pub operation: Operation,
    /// What was seen, for logs and incidents: no message text, no number.
    pub evidence: String,
}

impl Failure {
    /// What an engine says of a request that it cannot do at all, whoever asks.
    pub fn unsupported(operation: Operation, what: &str) -> Self {
        Self {
            kind: Kind::PermanentRequestError,
            rung: Rung::RejectMessage,
            resend: Resend::Yes,
            operation,
            evidence: format!("this engine does not support {what}"),
        }
    }

    /// What happened, in one sentence for a person.
    pub fn happened(&self) -> &'static str {
        self.kind.happened()
    }

    /// What the gateway does about it by itself.
    pub fn we_do(&self) -> &'static str {
        self.rung.we_do()
    }

    /// What a person can do; says so where that is nothing.
    pub fn you_can(&self) -> &'static str {
        self.kind.you_can()
    }

    /// The page that says more, as a path in the project.
    pub fn doc(&self) -> String {
        self.kind.doc()
    }
}

/// Draws the conclusion from what was seen.
///
/// Total: any evidence gives an answer, [`Kind::Unknown`] where it says
/// nothing that we know. Reads no more than the first 64 KiB of a text, in
/// time linear in its length.
pub fn classify(observed: &Observed) -> Failure {
    let verdict = verdict(observed);
    Failure {
        kind: verdict.kind,
        rung: verdict.rung,
        resend: verdict.resend(Some(observed.operation)),
        operation: observed.operation,
        evidence: head(&redact(&observed.evidence.said()), EVIDENCE_BYTES).to_owned(),
    }
}

fn verdict(observed: &Observed) -> Verdict {
    let operation = observed.operation;
    match &observed.evidence {
        Evidence::Cdp(fault) => cdp::read(fault, operation),
        Evidence::Exit {
            code,
            signal: _,
            stderr,
        } => exit::ended(*code, stderr, operation),
        Evidence::Spawn { os_error } => exit::not_started(os_error),
        Evidence::HeartbeatMissed { missed: _ } => cdp::hung().handed(Handed::Everything),
        Evidence::PhaseTimeout { after_ms: _ } => phase_timeout(operation),
        Evidence::BindingsMissing { names: _ } => {
            Verdict::of(Kind::WaIncompatible).handed(Handed::Before)
        }
        Evidence::SocketState { state } => wa::socket_state(state),
        Evidence::LoggedOut { reason } => wa::logged_out(*reason),
        Evidence::SendResult { result } => wa::send_result(result),
        Evidence::AckError { level } => wa::ack_error(*level),
        // The page took it and no server answered: its own outbox has it.
        Evidence::AckMissing { after_ms: _ } => Verdict::of(Kind::NetworkDown),
        Evidence::Text { text } => text::read(text, Some(operation)),
    }
}

/// A phase that outlived its deadline. What it was waiting for is not known,
/// so the step is the cheapest that starts the phase anew.
fn phase_timeout(operation: Operation) -> Verdict {
    use Operation as Op;
    match operation {
        Op::Launch => Verdict::of(Kind::BrowserGone),
        Op::Navigate => Verdict::of(Kind::NavigationTimeout),
        // Codes were shown and nobody scanned one.
        Op::RequestPairingCode => Verdict::of(Kind::AuthRequired).rung(Rung::Operator),
        Op::Auth
        | Op::Evaluate
        | Op::Send
        | Op::SendMedia
        | Op::Lookup
        | Op::Listen
        | Op::Probe
        | Op::Shutdown => Verdict::of(Kind::PageHung),
    }
}

#[cfg(test)]
mod tests;
