//! What was being done when something failed. The same words mean different
//! things in different operations, so it is always part of the evidence.

use serde::{Deserialize, Serialize};

super::kind::named! {
    /// What was being done.
    Operation {
        /// Starting the browser.
        Launch = "launch",
        /// Loading WhatsApp Web.
        Navigate = "navigate",
        /// Linking the account, or opening it with a stored login.
        Auth = "auth",
        /// Asking for a pairing code.
        RequestPairingCode = "request_pairing_code",
        /// Running something in the page that sends nothing.
        Evaluate = "evaluate",
        /// Sending a text.
        Send = "send",
        /// Sending a file.
        SendMedia = "send_media",
        /// Looking a message up by its id.
        Lookup = "lookup",
        /// Nothing of ours: an event that came by itself.
        Listen = "listen",
        /// An active probe of liveness.
        Probe = "probe",
        /// Closing down.
        Shutdown = "shutdown",
    }
}

impl Operation {
    /// Reads what somebody else calls an operation: `sendText`,
    /// `SEND_MESSAGE`, `page.goto`, `qr`. `None` where the word says nothing.
    pub fn read(word: &str) -> Option<Self> {
        let word = word
            .trim()
            .to_ascii_lowercase()
            .replace([' ', '-', '.'], "_");
        if let Some(exact) = Self::parse(&word) {
            return Some(exact);
        }
        SIGNS
            .iter()
            .find(|(_, signs)| signs.iter().any(|sign| word.contains(sign)))
            .map(|(operation, _)| *operation)
    }
}

/// Parts of foreign names, the more telling first: `send_media` before `send`,
/// `relaunch` before `start`.
const SIGNS: &[(Operation, &[&str])] = &[
    (
        Operation::SendMedia,
        &[
            "media",
            "image",
            "file",
            "video",
            "audio",
            "voice",
            "document",
            "sticker",
            "upload",
            "attachment",
        ],
    ),
    (
        Operation::Send,
        &[
            "send",
            "reply",
            "forward",
            "message_create",
            "broadcast",
            "publish",
            "resend",
        ],
    ),
    (
        Operation::RequestPairingCode,
        &[
            "pairing",
            "pair_code",
            "paircode",
            "request_code",
            "requestcode",
        ],
    ),
    (
        Operation::Lookup,
        &[
            "lookup",
            "look_up",
            "getmessagebyid",
            "get_message",
            "find_message",
        ],
    ),
    (
        Operation::Shutdown,
        &[
            "shutdown", "stop", "close", "destroy", "logout", "dispose", "exit", "cleanup", "kill",
        ],
    ),
    (
        Operation::Launch,
        &["launch", "spawn", "start_browser", "open_browser", "boot"],
    ),
    (
        Operation::Navigate,
        &[
            "navigat",
            "goto",
            "load",
            "open_page",
            "newpage",
            "new_page",
        ],
    ),
    (
        Operation::Probe,
        &[
            "probe",
            "health",
            "heartbeat",
            "ping",
            "getstate",
            "status",
            "alive",
        ],
    ),
    (
        Operation::Auth,
        &[
            "auth", "login", "link", "qr", "init", "connect", "pair", "restore", "inject", "sync",
            "start",
        ],
    ),
    (
        Operation::Listen,
        &[
            "listen",
            "event",
            "receive",
            "inbound",
            "incoming",
            "idle",
            "background",
            "on_",
            "watch",
        ],
    ),
    (
        Operation::Evaluate,
        &[
            "eval", "call", "get", "fetch", "check", "query", "read", "list", "group", "contact",
            "chat", "set", "update", "create", "delete", "add", "remove", "join", "download",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_names_are_read() {
        for (word, operation) in [
            ("send", Operation::Send),
            ("sendText", Operation::Send),
            ("SEND_MESSAGE", Operation::Send),
            ("sendImage", Operation::SendMedia),
            ("page.goto", Operation::Navigate),
            ("requestPairingCode", Operation::RequestPairingCode),
            ("puppeteer.launch", Operation::Launch),
            ("initialize", Operation::Auth),
            ("getChats", Operation::Evaluate),
            ("logout", Operation::Shutdown),
            ("on_message", Operation::Listen),
            ("health-check", Operation::Probe),
        ] {
            assert_eq!(Operation::read(word), Some(operation), "{word}");
        }
        assert_eq!(Operation::read("frobnicate"), None);
        assert_eq!(Operation::read(""), None);
        for operation in Operation::ALL {
            assert_eq!(Operation::read(operation.as_str()), Some(*operation));
        }
    }
}
