//! What can go wrong, typed by what happened. Every call's error names its method.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a call, or a start of the browser, did not end as asked.
///
/// `in_flight` tells whether the command had been given to the pipe before
/// its addressee died: if so it may have run, if not it surely has not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The browser's process or its pipe ended.
    #[error("{method}: the browser is gone ({})", fate(*in_flight))]
    BrowserGone {
        /// The protocol method that was called.
        method: &'static str,
        /// Whether the command may have run.
        in_flight: bool,
    },
    /// The page was closed, or our session on it ended.
    #[error("{method}: the page is gone ({})", fate(*in_flight))]
    PageGone {
        /// The protocol method that was called.
        method: &'static str,
        /// Whether the command may have run.
        in_flight: bool,
    },
    /// The page's renderer crashed or was killed. [`crate::Page::revive`] brings it back.
    #[error("{method}: the page crashed ({})", fate(*in_flight))]
    PageCrashed {
        /// The protocol method that was called.
        method: &'static str,
        /// Whether the command may have run.
        in_flight: bool,
    },
    /// The document that the call was meant for is no longer there (reload, navigation).
    #[error("{method}: the page's document was replaced ({})", fate(*in_flight))]
    ContextLost {
        /// The protocol method that was called.
        method: &'static str,
        /// Whether the command may have run.
        in_flight: bool,
    },
    /// The script was running, and was ended by [`crate::Page::terminate_script`].
    #[error("{method}: the script was terminated")]
    Terminated {
        /// The protocol method that was called.
        method: &'static str,
    },
    /// No answer in time. A late answer is dropped.
    #[error("{method}: no answer within {} ms ({})", after.as_millis(), fate(*in_flight))]
    Timeout {
        /// The protocol method that was called.
        method: &'static str,
        /// How long was waited.
        after: Duration,
        /// Whether the command may have run or may still run. Where not, it
        /// has been withdrawn and never will.
        in_flight: bool,
    },
    /// The browser refused the command.
    #[error("{method}: protocol error {code}: {message}")]
    Protocol {
        /// The protocol method that was called.
        method: &'static str,
        /// JSON-RPC's number, for example -32601 for an unknown method.
        code: i64,
        /// The browser's words.
        message: String,
    },
    /// The script in the page threw, or its promise was rejected.
    #[error("{method}: exception in the page: {text}")]
    Exception {
        /// The protocol method that was called.
        method: &'static str,
        /// The message and, where there is one, the stack.
        text: String,
    },
    /// The page could not be loaded.
    #[error("{method}: cannot load {url}: {text}")]
    Navigation {
        /// The protocol method that was called.
        method: &'static str,
        /// Where to.
        url: String,
        /// Chromium's net error, for example `net::ERR_CONNECTION_REFUSED`.
        text: String,
    },
    /// The answer came, but is not of the type that was asked for.
    #[error("{method}: unexpected answer: {detail}")]
    Malformed {
        /// The protocol method that was called.
        method: &'static str,
        /// What did not fit.
        detail: String,
    },
    /// Too much is waiting already. Nothing was written; try again later.
    #[error("{method}: too many commands are waiting for the browser")]
    Overloaded {
        /// The protocol method that was called.
        method: &'static str,
    },
    /// The command is larger than the browser would take. Nothing was written.
    #[error("{method}: the command has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// The protocol method that was called.
        method: &'static str,
        /// The command's size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The browser could not be started.
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

/// The exit code of a browser whose profile another one uses, or seems to:
/// see [`crate::reap::clear_stale_lock`]. (chrome/common/chrome_result_codes.h)
pub const EXIT_PROFILE_IN_USE: i32 = 21;

/// Why the browser could not be started. Nothing is left running.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// There is no browser at this path.
    #[error("there is no browser at {}", path.display())]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// All that was found is a script that tells people to install the browser from the snap store.
    #[error(
        "{} is no browser: it only says how to install the chromium snap. Install a browser that is \
         none (Google Chrome's .deb, or Chromium from Debian or from its own builds) and, where it is not found \
         by itself, set browser.path. A snap's browser is confined to its own folders and cannot use the data folder",
        path.display()
    )]
    Placeholder {
        /// The script.
        path: PathBuf,
    },
    /// The system refused to start it.
    #[error("cannot start {}: {text}", path.display())]
    Spawn {
        /// What was to be started, or the profile folder that could not be made.
        path: PathBuf,
        /// The system's reason.
        kind: io::ErrorKind,
        /// The system's words.
        text: String,
    },
    /// An extra argument would break the pipe, the profile or the page's safety.
    #[error("the browser argument {arg} is refused: {reason}")]
    Argument {
        /// The argument.
        arg: String,
        /// Why not.
        reason: &'static str,
    },
    /// It started and ended before it could be spoken to; with [`EXIT_PROFILE_IN_USE`]
    /// the profile is another's.
    #[error("the browser ended at once ({})", describe_exit(*code, *signal))]
    Exited {
        /// Its exit code, unless a signal ended it.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
        /// The last of what it wrote to stderr.
        stderr: String,
    },
    /// It runs, but did not answer in time. It was killed.
    #[error("the browser did not answer within {} ms", after.as_millis())]
    NoAnswer {
        /// How long was waited.
        after: Duration,
        /// The last of what it wrote to stderr.
        stderr: String,
    },
    /// It answered, but not as a browser does. It was killed.
    #[error("the browser's first answer is no answer: {detail}")]
    Handshake {
        /// What was wrong with it.
        detail: String,
        /// The last of what it wrote to stderr.
        stderr: String,
    },
}

impl Error {
    /// The protocol method that failed; none where the browser did not start.
    pub fn method(&self) -> Option<&'static str> {
        match self {
            Self::BrowserGone { method, .. }
            | Self::PageGone { method, .. }
            | Self::PageCrashed { method, .. }
            | Self::ContextLost { method, .. }
            | Self::Terminated { method }
            | Self::Timeout { method, .. }
            | Self::Protocol { method, .. }
            | Self::Exception { method, .. }
            | Self::Navigation { method, .. }
            | Self::Malformed { method, .. }
            | Self::Overloaded { method }
            | Self::TooLarge { method, .. } => Some(method),
            Self::Launch(_) => None,
        }
    }

    /// Whether the command may have taken effect although it failed.
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::BrowserGone { in_flight, .. }
            | Self::PageGone { in_flight, .. }
            | Self::PageCrashed { in_flight, .. }
            | Self::ContextLost { in_flight, .. }
            | Self::Timeout { in_flight, .. } => *in_flight,
            Self::Terminated { .. } | Self::Exception { .. } | Self::Malformed { .. } => true,
            Self::Protocol { .. }
            | Self::Navigation { .. }
            | Self::Overloaded { .. }
            | Self::TooLarge { .. }
            | Self::Launch(_) => false,
        }
    }
}

fn fate(in_flight: bool) -> &'static str {
    if in_flight {
        "the command may have run"
    } else {
        "the command was not sent"
    }
}

pub(crate) fn describe_exit(code: Option<i32>, signal: Option<i32>) -> String {
    match (code, signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "cause unknown".to_owned(),
    }
}
