//! What was seen, typed where there is a type, text where text is all there is.

use super::Operation;

/// What a DevTools call or connection reported, in this crate's own words
/// (core knows no protocol client).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CdpFault {
    /// The pipe to the browser ended, or its process exited.
    BrowserGone,
    /// The page was closed or detached; `in_flight` where a call was under way.
    PageGone {
        /// Whether a call had been dispatched when it went.
        in_flight: bool,
    },
    /// The renderer process crashed.
    PageCrashed {
        /// Whether a call had been dispatched when it crashed.
        in_flight: bool,
    },
    /// The JavaScript context was destroyed under a call.
    ContextLost {
        /// Whether a call had been dispatched when it went.
        in_flight: bool,
    },
    /// No answer within the call's deadline.
    Timeout {
        /// Whether the call had been written to the browser by then. One that was
        /// not had others before it that a browser standing still did not read.
        in_flight: bool,
    },
    /// The protocol refused the call.
    Protocol {
        /// The JSON-RPC error code.
        code: i64,
        /// Its message.
        message: String,
    },
    /// Script in the page threw.
    Exception {
        /// Message and stack.
        text: String,
    },
    /// An answer that was not what the protocol promises.
    Malformed,
    /// Our own queue to the browser was full: nothing was written.
    Overloaded,
}

/// Evidence of one failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// A DevTools fault.
    Cdp(CdpFault),
    /// The browser ended while starting or running.
    Exit {
        /// Its exit code, where it exited by itself.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
        /// The last lines of its standard error.
        stderr: String,
    },
    /// The browser could not be started at all: the operating system's error.
    Spawn {
        /// The error kind, as `std::io::ErrorKind` prints it.
        os_error: String,
    },
    /// Heartbeats went unanswered.
    HeartbeatMissed {
        /// How many in a row.
        missed: u32,
    },
    /// A phase (starting, linking, syncing) outlived its deadline.
    PhaseTimeout {
        /// How long it had, in milliseconds.
        after_ms: u64,
    },
    /// Bindings of WhatsApp Web that we need are missing.
    BindingsMissing {
        /// Their names.
        names: Vec<String>,
    },
    /// WhatsApp Web's socket says that it is not connected.
    SocketState {
        /// The state's own name, e.g. `TIMEOUT`, `CONFLICT`.
        state: String,
    },
    /// WhatsApp logged this link out.
    LoggedOut {
        /// WhatsApp's own reason code, where it gave one.
        reason: Option<i64>,
    },
    /// The result of a send as WhatsApp's own function returned it.
    SendResult {
        /// `ERROR_NETWORK`, `EXPIRED`, `CANCELLED`, `UPLOAD`, `UNKNOWN`.
        result: String,
    },
    /// A negative ack.
    AckError {
        /// The level, -7 to -1.
        level: i64,
    },
    /// No server ack within the watchdog's time.
    AckMissing {
        /// How long it waited, in milliseconds.
        after_ms: u64,
    },
    /// Text, where text is all there is.
    Text {
        /// What was said.
        text: String,
    },
}

impl Evidence {
    /// Shorthand for a text with its operation, the form in which foreign
    /// failures arrive.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// What was seen, in few words. May hold personal data: see [`super::redact`].
    pub(super) fn said(&self) -> String {
        match self {
            Self::Cdp(fault) => fault.said(),
            Self::Exit {
                code,
                signal,
                stderr,
            } => {
                let how = match (code, signal) {
                    (_, Some(signal)) => format!("the browser was ended by signal {signal}"),
                    (Some(code), None) => format!("the browser exited with code {code}"),
                    (None, None) => "the browser ended".to_owned(),
                };
                let last = stderr.lines().rev().find(|line| !line.trim().is_empty());
                last.map_or(how.clone(), |line| format!("{how}: {}", line.trim()))
            }
            Self::Spawn { os_error } => format!("the browser could not be started: {os_error}"),
            Self::HeartbeatMissed { missed } => format!("{missed} heartbeats went unanswered"),
            Self::PhaseTimeout { after_ms } => {
                format!("the phase did not end within {after_ms} ms")
            }
            Self::BindingsMissing { names } => {
                format!("bindings of WhatsApp Web are missing: {}", names.join(", "))
            }
            Self::SocketState { state } => format!("WhatsApp Web's socket says {state}"),
            Self::LoggedOut {
                reason: Some(reason),
            } => {
                format!("WhatsApp logged this link out, reason {reason}")
            }
            Self::LoggedOut { reason: None } => "WhatsApp logged this link out".to_owned(),
            Self::SendResult { result } => format!("the send ended with {result}"),
            Self::AckError { level } => format!("the message came back with ack {level}"),
            Self::AckMissing { after_ms } => format!("no server ack within {after_ms} ms"),
            Self::Text { text } => text.clone(),
        }
    }
}

impl CdpFault {
    fn said(&self) -> String {
        let when = |in_flight: bool| {
            if in_flight {
                "under a call"
            } else {
                "before the call"
            }
        };
        match self {
            Self::BrowserGone => "the pipe to the browser ended".to_owned(),
            Self::PageGone { in_flight } => format!("the page was closed {}", when(*in_flight)),
            Self::PageCrashed { in_flight } => {
                format!("the renderer crashed {}", when(*in_flight))
            }
            Self::ContextLost { in_flight } => {
                format!("the JavaScript context was destroyed {}", when(*in_flight))
            }
            Self::Timeout { in_flight: true } => "the page did not answer in time".to_owned(),
            Self::Timeout { in_flight: false } => {
                "the browser did not take the call in time".to_owned()
            }
            Self::Protocol { code, message } => format!("DevTools error {code}: {message}"),
            Self::Exception { text } => text.clone(),
            Self::Malformed => "the browser sent what the protocol does not allow".to_owned(),
            Self::Overloaded => "our queue to the browser is full".to_owned(),
        }
    }
}

/// Evidence with what was being done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// What was being done.
    pub operation: Operation,
    /// What was seen.
    pub evidence: Evidence,
}
