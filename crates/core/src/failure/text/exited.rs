//! Exit codes in texts: what a process left behind when it said nothing else.

use super::super::verdict::Verdict;
use super::super::{Kind, Operation};
use super::fold::Folded;
use super::rule::Match;

/// Words that an exit code follows.
const MARKS: &[&str] = &[
    "exitcode",
    "exit code",
    "exit status",
    "exited with code",
    "exited with status",
    "exited with",
    "crashed with code",
    "closed with code",
    "process exit",
    "unix_wait_status",
    "browser process: code",
    "code",
];

/// Reads an exit code, where the text has one and the browser is spoken of.
pub(super) fn read(text: &Folded, operation: Option<Operation>) -> Option<Match> {
    // The code of a renderer: the browser lives on.
    if text.says(
        "targetcrashed|target crashed|page crashed|renderer|render process|render-process|web contents|webcontents|gpu process|utility process",
    ) {
        return None;
    }
    let launching = operation == Some(Operation::Launch);
    let kind = match code(text.as_str())? {
        // Chromium's RESULT_CODE_PROFILE_IN_USE
        21 if launching || text.says("exit") => Kind::ProfileLocked,
        // It gave its URL to the browser that holds the profile, and left.
        // Exceptions of other languages carry a code of their own, often 0.
        0 if launching && text.says("exit|crash|process|closed with") => Kind::ProfileLocked,
        // The shell's "cannot be run" and "not found".
        126 | 127 if launching => Kind::LaunchFailedMissingBrowser,
        // 128 and the signal that ended it: ILL, TRAP, ABRT, BUS, FPE, KILL, SEGV, TERM.
        132..=137 | 139 | 143 => Kind::BrowserGone,
        // Windows: a library was not found, or lacks a function.
        0xC000_0135 | 0xC000_0139 if launching => Kind::LaunchFailedMissingLibs,
        // Windows: an exception ended it.
        0xC000_0000.. if launching || text.says("exit|crash") => Kind::BrowserGone,
        _ => return None,
    };
    Some(Match {
        concept: "an exit code",
        verdict: Verdict::of(kind),
    })
}

fn code(text: &str) -> Option<u32> {
    MARKS.iter().find_map(|mark| {
        text.match_indices(mark).find_map(|(at, _)| {
            let rest = text.get(at + mark.len()..)?;
            let rest = rest.trim_start_matches([' ', ':', '=', '(', '"', '\'']);
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            let stands_alone = !rest
                .get(end..)?
                .starts_with(|c: char| c.is_alphanumeric() || c == '_');
            rest.get(..end)?.parse().ok().filter(|_| stands_alone)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_their_many_forms() {
        for (text, expected) in [
            ("<process did exit: exitCode=21, signal=null>", Some(21)),
            ("Failed to launch the browser process: Code: 21", Some(21)),
            (
                "Chrome subprocess crashed with code 0. Error output",
                Some(0),
            ),
            ("exit status: 127", Some(127)),
            (
                "exited with status ExitStatus(unix_wait_status(139))",
                Some(139),
            ),
            ("exited with code 3221225477", Some(0xC000_0005)),
            ("{\"code\":-32000}", None),
            ("nothing", None),
        ] {
            assert_eq!(code(Folded::new(text).as_str()), expected, "{text}");
        }
    }
}
