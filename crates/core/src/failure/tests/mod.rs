mod devtools;
mod said;
mod texts;

use super::*;
use Operation as Op;
use proptest::prelude::*;

fn failure(operation: Operation, evidence: Evidence) -> (Kind, Rung, Resend) {
    let failure = classify(&Observed {
        operation,
        evidence,
    });
    (failure.kind, failure.rung, failure.resend)
}

fn exit(code: Option<i32>, signal: Option<i32>, stderr: &str) -> Evidence {
    Evidence::Exit {
        code,
        signal,
        stderr: stderr.to_owned(),
    }
}

#[test]
fn how_the_browser_ended() {
    let table = [
        (
            Operation::Launch,
            exit(Some(21), None, ""),
            Kind::ProfileLocked,
        ),
        (
            Operation::Launch,
            exit(Some(0), None, "Opening in existing browser session."),
            Kind::ProfileLocked,
        ),
        (
            Operation::Listen,
            exit(Some(0), None, ""),
            Kind::BrowserGone,
        ),
        (
            Operation::Listen,
            exit(None, Some(9), ""),
            Kind::BrowserGone,
        ),
        (
            Operation::Launch,
            exit(None, Some(11), "dbus: something"),
            Kind::BrowserGone,
        ),
        (
            Operation::Launch,
            exit(Some(127), None, ""),
            Kind::LaunchFailedMissingBrowser,
        ),
        (
            Operation::Launch,
            exit(
                Some(127),
                None,
                "error while loading shared libraries: libnss3.so",
            ),
            Kind::LaunchFailedMissingLibs,
        ),
        (
            Operation::Launch,
            exit(None, Some(5), "No usable sandbox!"),
            Kind::LaunchFailedSandbox,
        ),
        (
            Operation::Listen,
            exit(None, Some(5), "Out of memory. size=524288"),
            Kind::ResourcesExhausted,
        ),
        (
            Operation::Launch,
            exit(
                Some(1),
                None,
                "leveldb_database.cc: Corruption: checksum mismatch",
            ),
            Kind::ProfileCorrupt,
        ),
        // Lines that do not end a browser say nothing of why it ended.
        (
            Operation::Listen,
            exit(None, Some(9), "handshake failed; net::ERR_CONNECTION_RESET"),
            Kind::BrowserGone,
        ),
    ];
    for (operation, evidence, kind) in table {
        assert_eq!(failure(operation, evidence.clone()).0, kind, "{evidence:?}");
    }
}

#[test]
fn a_browser_that_never_began() {
    let spawn = |os_error: &str| {
        let os_error = os_error.to_owned();
        failure(Operation::Launch, Evidence::Spawn { os_error })
    };
    let missing = (
        Kind::LaunchFailedMissingBrowser,
        Rung::Operator,
        Resend::Yes,
    );
    assert_eq!(spawn("No such file or directory (os error 2)"), missing);
    assert_eq!(spawn("entity not found"), missing);
    assert_eq!(spawn("Permission denied (os error 13)"), missing);
    let full = (Kind::ResourcesExhausted, Rung::Operator, Resend::Yes);
    assert_eq!(spawn("Cannot allocate memory (os error 12)"), full);
    assert_eq!(
        spawn("Resource temporarily unavailable (os error 11)"),
        full
    );
}
