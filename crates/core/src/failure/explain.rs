//! What a failure text from anywhere means, in words for people.

use super::{Kind, Operation, Resend, Rung, text};
use serde::Serialize;

/// The meaning of one failure text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What kind of failure it is.
    pub kind: Kind,
    /// The cheapest step that heals it.
    pub rung: Rung,
    /// Whether the message in hand may be sent again.
    pub safe_to_resend: Resend,
    /// No rule knows the text, and the kind is that of texts like it. The
    /// gateway itself never acts on a guess.
    pub guess: bool,
    /// The stable code, also the name of the page.
    pub code: &'static str,
    /// What happened, in one sentence.
    pub happened: &'static str,
    /// What the gateway does by itself.
    pub we_do: &'static str,
    /// What a person can do.
    pub you_can: &'static str,
    /// The page that says more, as a path in the project.
    pub doc: String,
}

/// Explains a failure text.
///
/// `operation` is what was being done, in our words or in another program's
/// (`sendText`, `page.goto`). Where it is missing or says nothing, only what
/// is sure in every operation is called safe to send again.
pub fn explain(text: &str, operation: Option<&str>) -> Explanation {
    let operation = operation.and_then(Operation::read);
    let (verdict, guess) = text::read_or_guess(text, operation);
    let kind = verdict.kind;
    Explanation {
        kind,
        rung: verdict.rung,
        safe_to_resend: verdict.resend(operation),
        guess,
        code: kind.code(),
        happened: kind.happened(),
        we_do: verdict.rung.we_do(),
        you_can: kind.you_can(),
        doc: kind.doc(),
    }
}
