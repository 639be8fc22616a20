//! The closed sets that a classification is made of.

use serde::{Deserialize, Serialize};

macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vmeta])* #[serde(rename = $text)] $variant,)+
        }
        impl $name {
            /// Every member, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name, the same in the API, logs, metrics and docs.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Reads the stable name.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|x| x.as_str() == text)
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use named;

named! {
    /// What kind of failure it is. Each has a page in docs/errors/.
    Kind {
        /// The JavaScript context went away under a call; the page lives on.
        TransientContext = "transient_context",
        /// The page was closed, crashed or detached.
        PageGone = "page_gone",
        /// The browser's process or its pipe ended.
        BrowserGone = "browser_gone",
        /// The page's main thread answers nothing.
        PageHung = "page_hung",
        /// A navigation did not finish in time.
        NavigationTimeout = "navigation_timeout",
        /// This machine, or WhatsApp, cannot be reached.
        NetworkDown = "network_down",
        /// Another process holds the profile.
        ProfileLocked = "profile_locked",
        /// The profile cannot be read.
        ProfileCorrupt = "profile_corrupt",
        /// No browser was found to start.
        LaunchFailedMissingBrowser = "launch_failed_missing_browser",
        /// The browser lacks shared libraries.
        LaunchFailedMissingLibs = "launch_failed_missing_libs",
        /// The browser's sandbox cannot start here.
        LaunchFailedSandbox = "launch_failed_sandbox",
        /// Memory, disk, processes or file handles ran out.
        ResourcesExhausted = "resources_exhausted",
        /// WhatsApp Web changed, and a binding that we need is missing.
        WaIncompatible = "wa_incompatible",
        /// The account is not linked: a phone must scan.
        AuthRequired = "auth_required",
        /// Linking, or the stored login, was refused.
        AuthFailed = "auth_failed",
        /// The same link was opened elsewhere.
        Conflict = "conflict",
        /// WhatsApp banned or restricted the account.
        BannedOrRestricted = "banned_or_restricted",
        /// The recipient cannot be written to.
        RecipientInvalid = "recipient_invalid",
        /// The media cannot be sent.
        MediaInvalid = "media_invalid",
        /// WhatsApp asks us to slow down.
        RateLimited = "rate_limited",
        /// The request itself can never succeed.
        PermanentRequestError = "permanent_request_error",
        /// Nothing that we know.
        Unknown = "unknown",
    }
}

named! {
    /// One recovery step, cheapest first. `RejectMessage` heals nothing: the
    /// failure is one message's own fault.
    Rung {
        /// Do the same again.
        Retry = "retry",
        /// Stop the script that holds the page's main thread.
        TerminateScript = "terminate_script",
        /// Reload the page.
        Reload = "reload",
        /// Close the page and open a new one in the same browser.
        NewPage = "new_page",
        /// End the browser and start another on the same profile.
        RestartBrowser = "restart_browser",
        /// Start a browser on the last good snapshot of the profile.
        RestoreProfile = "restore_profile",
        /// Start with an empty profile; a phone must scan.
        Relink = "relink",
        /// Only a person can help.
        Operator = "operator",
        /// Reject the one message that caused it.
        RejectMessage = "reject_message",
    }
}

named! {
    /// Whether the message in hand may be sent again.
    Resend {
        /// Surely not handed over: send again.
        Yes = "yes",
        /// Handed over: never send again.
        No = "no",
        /// Cannot be known from this: look the id up first.
        CheckFirst = "check_first",
    }
}
