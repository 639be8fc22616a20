//! How the browser's process ended, or why it never began.

use super::verdict::Verdict;
use super::{Kind, Operation, text};

/// Chromium's `RESULT_CODE_PROFILE_IN_USE`.
const PROFILE_IN_USE: i32 = 21;
/// A shell's words for "found, but cannot be run" and "not found".
const CANNOT_RUN: i32 = 126;
const NOT_FOUND: i32 = 127;

pub(super) fn ended(code: Option<i32>, stderr: &str, operation: Operation) -> Verdict {
    let launching = operation == Operation::Launch;
    // A start that ends well has handed its URL to the browser that holds the profile.
    if code == Some(PROFILE_IN_USE) || (launching && code == Some(0)) {
        return Verdict::of(Kind::ProfileLocked);
    }
    let said = text::read(tail(stderr), Some(operation));
    match said.kind {
        // Why a process could not live.
        Kind::LaunchFailedMissingBrowser
        | Kind::LaunchFailedMissingLibs
        | Kind::LaunchFailedSandbox
        | Kind::ResourcesExhausted
        | Kind::ProfileLocked
        | Kind::ProfileCorrupt => said,
        // Chromium's log is full of lines that do not end it.
        Kind::TransientContext
        | Kind::PageGone
        | Kind::BrowserGone
        | Kind::PageHung
        | Kind::NavigationTimeout
        | Kind::NetworkDown
        | Kind::WaIncompatible
        | Kind::AuthRequired
        | Kind::AuthFailed
        | Kind::Conflict
        | Kind::BannedOrRestricted
        | Kind::RecipientInvalid
        | Kind::MediaInvalid
        | Kind::RateLimited
        | Kind::PermanentRequestError
        | Kind::Unknown => match code {
            Some(CANNOT_RUN | NOT_FOUND) => Verdict::of(Kind::LaunchFailedMissingBrowser),
            _ => Verdict::of(Kind::BrowserGone),
        },
    }
}

pub(super) fn not_started(os_error: &str) -> Verdict {
    let said = text::read(os_error, Some(Operation::Launch));
    if said.kind == Kind::ResourcesExhausted {
        return said;
    }
    // Whatever else the system refuses, what it was given is nothing that it can run.
    Verdict::of(Kind::LaunchFailedMissingBrowser)
}

/// The end of a log is what killed it.
fn tail(stderr: &str) -> &str {
    const LIMIT: usize = 16 * 1024;
    let mut start = stderr.len().saturating_sub(LIMIT);
    while !stderr.is_char_boundary(start) {
        start += 1;
    }
    stderr.get(start..).unwrap_or_default()
}
