//! The closed set of kinds.

use serde::{Deserialize, Serialize};

/// How a fault shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    /// The gateway must notice it, and say so.
    AsIncident,
    /// It may pass without an incident, as long as the session is ready afterwards.
    Perhaps,
    /// The gateway itself begins anew.
    AsRestart,
    /// Not by the session's state: the kind says itself what is to be seen.
    ByItself,
}

/// What a kind needs of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing but a browser.
    Nothing,
    /// File systems of a few megabytes for the data folder and its profiles.
    SmallDisks,
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $shows:ident, $needs:ident;)+) => {
        /// What can be done to a running gateway from outside.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
        #[serde(rename_all = "snake_case")]
        #[value(rename_all = "snake_case")]
        pub enum FaultKind {
            $($(#[doc = $doc])+ $name,)+
        }

        impl FaultKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The stable name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What it is, for people.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }

            pub(super) fn shows(self) -> Shows {
                match self { $(Self::$name => Shows::$shows,)+ }
            }

            fn needs(self) -> Needs {
                match self { $(Self::$name => Needs::$needs,)+ }
            }
        }
    };
}

kinds! {
    /// The page is closed.
    PageClose = "page_close", AsIncident, Nothing;
    /// The page is loaded anew behind the gateway's back.
    PageReload = "page_reload", Perhaps, Nothing;
    /// The page goes somewhere else.
    NavigateAway = "navigate_away", AsIncident, Nothing;
    /// The renderer crashes.
    RendererCrash = "renderer_crash", AsIncident, Nothing;
    /// The renderer runs out of memory and dies of it.
    RendererOom = "renderer_oom", AsIncident, Nothing;
    /// The page's main thread hangs for ever.
    MainThreadHang = "main_thread_hang", AsIncident, Nothing;
    /// The browser is killed.
    BrowserKill = "browser_kill", AsIncident, Nothing;
    /// The browser is stopped, and answers nothing.
    BrowserStop = "browser_stop", AsIncident, Nothing;
    /// The pipe to the browser is cut while the browser lives.
    PipeCut = "pipe_cut", AsIncident, Nothing;
    /// WhatsApp's socket is dropped.
    SocketDrop = "socket_drop", Perhaps, Nothing;
    /// WhatsApp cannot be reached for three seconds.
    NetworkAway = "network_away", AsIncident, Nothing;
    /// The server takes its time to ack.
    SlowAcks = "slow_acks", Perhaps, Nothing;
    /// Some acks get lost.
    DroppedAcks = "dropped_acks", Perhaps, Nothing;
    /// The server refuses some sends.
    RefusedSends = "refused_sends", Perhaps, Nothing;
    /// The link is opened elsewhere.
    Conflict = "conflict", AsIncident, Nothing;
    /// The phone removes the link, and scans again.
    Unlink = "unlink", AsIncident, Nothing;
    /// The phone removes the link, and codes expire unscanned before it scans the newest.
    ExpiredQr = "expired_qr", AsIncident, Nothing;
    /// Another process holds the profile while the browser is started again.
    ProfileLocked = "profile_locked", AsIncident, Nothing;
    /// The browser is killed, and databases of its profile are damaged.
    CorruptProfile = "corrupt_profile", AsIncident, Nothing;
    /// The disk is full under the gateway's store.
    DiskFullStore = "disk_full_store", ByItself, SmallDisks;
    /// The disk is full under the profile while the browser is started again.
    DiskFullProfile = "disk_full_profile", ByItself, SmallDisks;
    /// A WhatsApp update lacks bindings for three seconds.
    BindingsRemoved = "bindings_removed", AsIncident, Nothing;
    /// The wall clock jumps hours ahead, hours back, and right again.
    ClockJump = "clock_jump", ByItself, Nothing;
    /// The gateway is killed and started again.
    GatewayKill = "gateway_kill", AsRestart, Nothing;
    /// The gateway is asked to end in mid-send, and started again.
    GatewayTerminate = "gateway_terminate", AsRestart, Nothing;
}

impl FaultKind {
    /// Whether it needs small file systems of its own.
    pub fn needs_small_disks(self) -> bool {
        self.needs() == Needs::SmallDisks
    }

    /// Whether it sends messages of the run itself, to see what becomes of them.
    pub fn keeps_messages(self) -> bool {
        matches!(
            self,
            Self::DiskFullStore | Self::DiskFullProfile | Self::ClockJump
        )
    }

    /// Whether messages in flight may be parked by it: what was under way
    /// when a login was destroyed cannot be looked up under the next one.
    pub fn destroys_the_login(self) -> bool {
        matches!(self, Self::Unlink | Self::ExpiredQr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn a_kind_has_one_name_everywhere() {
        for kind in FaultKind::ALL {
            let given = kind.to_possible_value().unwrap();
            assert_eq!(given.get_name(), kind.as_str());
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
