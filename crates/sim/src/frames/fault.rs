//! Faults that only a page can have.

use serde::{Deserialize, Serialize};

/// A fault that only a page can have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PageFault {
    /// A busy loop on the main thread.
    Hang {
        /// For so long; 0 is for ever.
        ms: u64,
    },
    /// Socket.state becomes this.
    ForceState {
        /// The state's name.
        state: String,
    },
    /// Stream.mode becomes this.
    ForceStream {
        /// The mode's name.
        mode: String,
    },
    /// The page reloads itself.
    Reload,
    /// The page goes elsewhere.
    Navigate {
        /// Where.
        url: String,
    },
    /// The page closes itself.
    ClosePage,
    /// The next sends throw.
    ThrowOnSend {
        /// So many.
        count: u32,
        /// `before` or `after` the message went out.
        when: ThrowWhen,
        /// The error's message.
        text: String,
    },
    /// The next sends go out, but their promise never settles.
    HangSend {
        /// So many.
        count: u32,
    },
    /// Exports vanish from live modules.
    RemoveExports {
        /// As `Module.export`.
        names: Vec<String>,
    },
    /// Both stores of the page are wiped.
    LoseStore,
    /// Collections and models fire no events any more.
    MuteEvents {
        /// Whether.
        on: bool,
    },
}

/// When a send throws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrowWhen {
    /// Nothing went out.
    Before,
    /// The message went out.
    After,
}
