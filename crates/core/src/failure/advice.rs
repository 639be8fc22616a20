//! Words for people: what happened, what we do, what you can do.
//!
//! One sentence or two each, for the one who is woken by it. The pages in
//! docs/errors/ say more.

use super::{Kind, Rung};

impl Kind {
    /// The stable code that logs, metrics, problem documents and the names of
    /// the pages in docs/errors/ use. It never changes its meaning.
    pub fn code(self) -> &'static str {
        self.as_str()
    }

    /// The page about this kind, as a path in the project.
    pub fn doc(self) -> String {
        format!("docs/errors/{}.md", self.code())
    }

    /// The cheapest step that usually heals it; single cases may differ.
    pub fn usual_rung(self) -> Rung {
        super::verdict::usual_rung(self)
    }

    /// Whether the gateway gets over it without a person.
    pub fn recoverable(self) -> bool {
        match self {
            Self::TransientContext
            | Self::PageGone
            | Self::BrowserGone
            | Self::PageHung
            | Self::NavigationTimeout
            | Self::NetworkDown
            | Self::ProfileLocked
            | Self::ProfileCorrupt
            | Self::ResourcesExhausted
            | Self::RateLimited
            | Self::Unknown => true,
            Self::LaunchFailedMissingBrowser
            | Self::LaunchFailedMissingLibs
            | Self::LaunchFailedSandbox
            | Self::WaIncompatible
            | Self::AuthRequired
            | Self::AuthFailed
            | Self::Conflict
            | Self::BannedOrRestricted
            | Self::RecipientInvalid
            | Self::MediaInvalid
            | Self::PermanentRequestError => false,
        }
    }

    /// What happened.
    pub fn happened(self) -> &'static str {
        match self {
            Self::TransientContext => {
                "WhatsApp Web reloaded or navigated while a call was under way; the page itself lives on."
            }
            Self::PageGone => "The WhatsApp Web page was closed, crashed or was replaced.",
            Self::BrowserGone => "The browser ended, or the connection to it broke.",
            Self::PageHung => "The WhatsApp Web page is there but answers nothing.",
            Self::NavigationTimeout => "WhatsApp Web did not finish loading in time.",
            Self::NetworkDown => "WhatsApp cannot be reached from this machine at the moment.",
            Self::ProfileLocked => "Another process holds the browser profile of this session.",
            Self::ProfileCorrupt => "The browser profile of this session cannot be read.",
            Self::LaunchFailedMissingBrowser => {
                "No browser that this machine can run was found where it was looked for."
            }
            Self::LaunchFailedMissingLibs => {
                "The browser cannot start because something that it needs is not installed."
            }
            Self::LaunchFailedSandbox => "The browser's sandbox cannot start on this system.",
            Self::ResourcesExhausted => {
                "This machine ran out of memory, disk space, processes or file handles."
            }
            Self::WaIncompatible => {
                "WhatsApp Web has changed, and something that we rely on in it is missing or different."
            }
            Self::AuthRequired => "This session is not linked to a phone (any more).",
            Self::AuthFailed => {
                "WhatsApp refused to link this session, or refused its stored login."
            }
            Self::Conflict => {
                "The same link is in use somewhere else, and WhatsApp allows it once."
            }
            Self::BannedOrRestricted => "WhatsApp has banned, locked or restricted this account.",
            Self::RecipientInvalid => "The recipient of this message cannot be written to.",
            Self::MediaInvalid => "The file of this message cannot be sent.",
            Self::RateLimited => "WhatsApp asks this account to slow down.",
            Self::PermanentRequestError => "This request can never succeed as it stands.",
            Self::Unknown => "Something failed in a way that we have not met before.",
        }
    }

    /// What a person can do.
    pub fn you_can(self) -> &'static str {
        match self {
            Self::TransientContext | Self::PageGone | Self::PageHung => {
                "Nothing. If it comes back within minutes, look at the memory of this machine."
            }
            Self::BrowserGone => {
                "Nothing. If it comes back, look for the kernel's out-of-memory killer (dmesg) and for others who end browsers."
            }
            Self::NavigationTimeout => {
                "Nothing at first. If it lasts, open https://web.whatsapp.com from this machine and look at its speed."
            }
            Self::NetworkDown => "Check this machine's connection, DNS, proxy, firewall and clock.",
            Self::ProfileLocked => {
                "Make sure that only one gateway uses this data folder, and end left-over browsers."
            }
            Self::ProfileCorrupt => {
                "Nothing at first. If no copy of the profile works, scan the QR code again; then check the disk."
            }
            Self::LaunchFailedMissingBrowser => {
                "Install Chromium (apt install chromium), or set browser.path to one; then run `steadfast check`."
            }
            Self::LaunchFailedMissingLibs => {
                "Install the browser through the system's packages, which bring what it needs; then run `steadfast check`."
            }
            Self::LaunchFailedSandbox => {
                "Run the gateway as an ordinary user and allow user namespaces; only where that cannot be, start the browser without its sandbox."
            }
            Self::ResourcesExhausted => {
                "Free disk space or memory, raise the limits (pids, open files, /dev/shm), or run fewer sessions."
            }
            Self::WaIncompatible => {
                "Update Steadfast or its in-page library. Until then messages wait on disk."
            }
            Self::AuthRequired => {
                "Open WhatsApp on the phone, Linked devices, and scan the session's QR code."
            }
            Self::AuthFailed => {
                "Keep the phone unlocked with WhatsApp open and link again; check the number where a pairing code was asked for."
            }
            Self::Conflict => {
                "Close the other WhatsApp Web that uses this link, or restart this session to take it over."
            }
            Self::BannedOrRestricted => {
                "Open WhatsApp on the phone and follow what it says. Do not go on sending."
            }
            Self::RecipientInvalid => {
                "Check the number (international form, no leading zeros) or the chat id, and send it anew."
            }
            Self::MediaInvalid => "Check the file's type and size, and send it anew.",
            Self::RateLimited => {
                "Send less often, above all to people who have never written to this account."
            }
            Self::PermanentRequestError => "Correct the request and send it anew.",
            Self::Unknown => {
                "If it comes back, report it with the evidence shown here: it holds no personal data."
            }
        }
    }
}

impl Rung {
    /// What the gateway does on this rung.
    pub fn we_do(self) -> &'static str {
        match self {
            Self::Retry => "We try the same again, at once and then with growing waits.",
            Self::TerminateScript => {
                "We stop the script that holds the page; if the page stays mute, we reload it."
            }
            Self::Reload => "We reload the page; if that does not help, we open a new one.",
            Self::NewPage => "We open a new page in the same browser.",
            Self::RestartBrowser => "We end the browser and start it again on the same profile.",
            Self::RestoreProfile => "We start the browser on the last good copy of its profile.",
            Self::Relink => {
                "We try an older copy of the profile where there is one, then show a QR code and wait. Messages stay on disk."
            }
            Self::Operator => {
                "We keep every message on disk and wait: only a person can mend this."
            }
            Self::RejectMessage => {
                "We reject this one message with the reason, and go on with the others."
            }
        }
    }
}
