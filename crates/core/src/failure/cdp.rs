//! DevTools faults.

use super::verdict::{Handed, Verdict};
use super::{CdpFault, Kind, Operation, Rung, text};

pub(super) fn read(fault: &CdpFault, operation: Operation) -> Verdict {
    use Operation as Op;
    let dispatched = |in_flight: bool, how: Handed| if in_flight { how } else { Handed::Refused };
    match fault {
        // A pipe that is out of step: nothing that follows can be trusted.
        CdpFault::BrowserGone | CdpFault::Malformed => Verdict::of(Kind::BrowserGone),
        CdpFault::PageGone { in_flight } | CdpFault::PageCrashed { in_flight } => {
            Verdict::of(Kind::PageGone).handed(dispatched(*in_flight, Handed::Everything))
        }
        CdpFault::ContextLost { in_flight } => {
            Verdict::of(Kind::TransientContext).handed(dispatched(*in_flight, Handed::ThisCall))
        }
        CdpFault::Timeout { in_flight } => match operation {
            Op::Launch => Verdict::of(Kind::BrowserGone),
            Op::Navigate => Verdict::of(Kind::NavigationTimeout),
            Op::Auth
            | Op::RequestPairingCode
            | Op::Evaluate
            | Op::Send
            | Op::SendMedia
            | Op::Lookup
            | Op::Listen
            | Op::Probe
            | Op::Shutdown => {
                let verdict = hung();
                verdict.handed(dispatched(*in_flight, verdict.handed))
            }
        },
        CdpFault::Protocol { code, message } => protocol(*code, message, operation),
        CdpFault::Exception { text } => text::read_exception(text, operation),
        CdpFault::Overloaded => Verdict::of(Kind::ResourcesExhausted)
            .rung(Rung::Retry)
            .handed(Handed::Refused),
    }
}

/// The page's main thread answers nothing. `Runtime.terminateExecution` frees
/// it in 0.5 to 5 ms where a script holds it, and is harmless where not.
pub(super) fn hung() -> Verdict {
    Verdict::of(Kind::PageHung).rung(Rung::TerminateScript)
}

fn protocol(code: i64, message: &str, operation: Operation) -> Verdict {
    match code {
        // Detached session: the call found nobody.
        -32001 => Verdict::of(Kind::PageGone).handed(Handed::Refused),
        // Parse error, invalid request, unknown method, invalid params: refused
        // unread, and refused the next time too. A fault of this program, or a
        // browser that is too old for it.
        -32700 | -32602..=-32600 => Verdict::of(Kind::Unknown)
            .rung(Rung::Operator)
            .handed(Handed::Before),
        _ => text::read(message, Some(operation)),
    }
}
