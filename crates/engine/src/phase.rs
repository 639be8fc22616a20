//! From levels to a phase: what the page's state means, as a pure function.

use crate::wire::Levels;
use steadfast_core::failure::Evidence;
use steadfast_core::port::Phase;

/// What one document has shown so far; some states mean different things
/// before and after the first connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its socket has been CONNECTED.
    connected: bool,
    /// It has waited for a phone.
    linking: bool,
}

/// What a set of levels means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    /// How far the connection has come.
    pub(crate) phase: Phase,
    /// What is wrong beyond what a phase says, where something is.
    pub(crate) trouble: Option<Evidence>,
    /// Whether the page is logged in, surely: a phone has linked it.
    pub(crate) logged_in: bool,
    /// Whether the page waits for a phone, surely: whatever login there was is gone.
    pub(crate) logged_out: bool,
}

impl Seen {
    /// Reads the levels, and remembers what later ones depend on.
    ///
    /// State names are WhatsApp Web's own (`SOCKET_STATE` and `StreamMode` in
    /// @wppconnect/wa-js 4.6.0).
    pub(crate) fn read(&mut self, levels: &Levels) -> Reading {
        let socket = levels.socket.as_deref();
        let known = levels.me.id().is_some();
        let connected = socket == Some("CONNECTED");
        let synced = levels.synced == Some(true);
        let unpaired = matches!(socket, Some("UNPAIRED" | "UNPAIRED_IDLE"));
        // At the very start UNPAIRED may only mean that the login has not been read yet:
        // a code to scan settles it.
        let waits_for_phone = unpaired && (levels.qr.is_some() || socket == Some("UNPAIRED_IDLE"));
        self.connected |= connected;
        // Whatever the page calls its state then, it is not linked before it is answered.
        let passkey = levels.passkey.as_ref().is_some_and(|p| p.end.is_none());
        self.linking |= waits_for_phone || (passkey && !connected);

        let phase = match socket {
            Some("CONNECTED") => connected_phase(levels, synced),
            Some(_) if passkey && !self.connected => Phase::Linking,
            Some("UNPAIRED" | "UNPAIRED_IDLE") if waits_for_phone => Phase::Linking,
            Some("UNPAIRED" | "UNPAIRED_IDLE" | "UNLAUNCHED") | None => Phase::Loading,
            // Scanned: the page connects anew with its login.
            Some("PAIRING" | "OPENING") if self.linking && !self.connected => Phase::Syncing,
            Some("TIMEOUT") => Phase::Offline,
            // The first connection is part of loading; a later one is a lost socket.
            Some(_) if self.connected => Phase::Offline,
            Some(_) => Phase::Loading,
        };
        Reading {
            phase,
            trouble: self.trouble(levels, phase),
            logged_in: connected && (known || synced),
            logged_out: waits_for_phone,
        }
    }

    fn trouble(self, levels: &Levels, phase: Phase) -> Option<Evidence> {
        if let Some(logout) = levels.logout
            && !self.connected
        {
            return Some(Evidence::LoggedOut {
                reason: logout.reason,
            });
        }
        for state in [&levels.socket, &levels.mode].into_iter().flatten() {
            if matches!(
                state.as_str(),
                "CONFLICT" | "TOS_BLOCK" | "SMB_TOS_BLOCK" | "PROXYBLOCK" | "DEPRECATED_VERSION"
            ) {
                return Some(Evidence::SocketState {
                    state: state.clone(),
                });
            }
        }
        let names_needed = match phase {
            Phase::Loading => levels.socket.is_none(),
            Phase::Syncing | Phase::Ready => levels.synced == Some(true),
            Phase::Linking | Phase::Offline => false,
        };
        (levels.settled && names_needed && !levels.missing.is_empty()).then(|| {
            Evidence::BindingsMissing {
                names: levels.missing.clone(),
            }
        })
    }
}

fn connected_phase(levels: &Levels, synced: bool) -> Phase {
    let main = levels.mode.as_deref().is_none_or(|mode| mode == "MAIN");
    if synced && main && levels.missing.is_empty() {
        Phase::Ready
    } else {
        Phase::Syncing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Logout, Me, Passkey};
    use steadfast_core::port::PasskeyEnd;

    fn levels(socket: &str) -> Levels {
        Levels {
            socket: Some(socket.to_owned()),
            ..Levels::default()
        }
    }

    fn ready() -> Levels {
        Levels {
            synced: Some(true),
            mode: Some("MAIN".to_owned()),
            me: Me {
                pn: Some("4915112345678@c.us".to_owned()),
                ..Me::default()
            },
            ..levels("CONNECTED")
        }
    }

    fn phase(levels: &Levels) -> Phase {
        Seen::default().read(levels).phase
    }

    #[test]
    fn ready_needs_socket_sync_and_main() {
        assert_eq!(phase(&ready()), Phase::Ready);
        for not in [
            Levels {
                synced: Some(false),
                ..ready()
            },
            Levels {
                mode: Some("SYNCING".to_owned()),
                ..ready()
            },
            Levels {
                missing: vec!["X".to_owned()],
                ..ready()
            },
        ] {
            assert_eq!(phase(&not), Phase::Syncing, "{not:?}");
        }
        // A page whose stream cannot be read is judged by the socket alone.
        let blind = Levels {
            mode: None,
            ..ready()
        };
        assert_eq!(phase(&blind), Phase::Ready);
    }

    #[test]
    fn a_lost_socket_is_not_a_first_connection() {
        let mut seen = Seen::default();
        assert_eq!(seen.read(&levels("OPENING")).phase, Phase::Loading);
        assert_eq!(seen.read(&ready()).phase, Phase::Ready);
        assert_eq!(seen.read(&levels("OPENING")).phase, Phase::Offline);
        assert_eq!(
            Seen::default().read(&levels("TIMEOUT")).phase,
            Phase::Offline
        );
    }

    #[test]
    fn a_scanned_page_is_on_its_way() {
        let mut seen = Seen::default();
        assert_eq!(seen.read(&levels("UNPAIRED")).phase, Phase::Loading);
        let shown = Levels {
            qr: Some("1,2,3,4,5".to_owned()),
            ..levels("UNPAIRED")
        };
        let reading = seen.read(&shown);
        assert_eq!(reading.phase, Phase::Linking);
        assert!(reading.logged_out && !reading.logged_in);
        assert_eq!(seen.read(&levels("PAIRING")).phase, Phase::Syncing);
        assert_eq!(seen.read(&levels("OPENING")).phase, Phase::Syncing);
        assert!(seen.read(&ready()).logged_in);
        assert_eq!(seen.read(&shown).phase, Phase::Linking);
    }

    #[test]
    fn a_page_that_asks_for_a_passkey_is_linking_whatever_it_says() {
        let mut seen = Seen::default();
        let asking = |socket: &str, end| Levels {
            passkey: Some(Passkey {
                n: 1,
                options: "{}".to_owned(),
                until_ms: 0,
                end,
            }),
            ..levels(socket)
        };
        assert_eq!(seen.read(&asking("PAIRING", None)).phase, Phase::Linking);
        assert!(!seen.read(&asking("UNPAIRED", None)).logged_out);
        let answered = asking("PAIRING", Some(PasskeyEnd::Answered));
        assert_eq!(seen.read(&answered).phase, Phase::Syncing);
        let mut linked = ready();
        linked.passkey = asking("", None).passkey;
        assert_eq!(seen.read(&linked).phase, Phase::Ready);
    }

    #[test]
    fn trouble_is_told_by_level() {
        let mut seen = Seen::default();
        seen.read(&ready());
        let conflict = seen.read(&levels("CONFLICT"));
        assert_eq!(conflict.phase, Phase::Offline);
        assert_eq!(
            conflict.trouble,
            Some(Evidence::SocketState {
                state: "CONFLICT".to_owned()
            })
        );
        let banned = Levels {
            mode: Some("TOS_BLOCK".to_owned()),
            ..ready()
        };
        assert!(Seen::default().read(&banned).trouble.is_some());
        let unlinked = Levels {
            logout: Some(Logout { reason: Some(1) }),
            ..levels("UNPAIRED")
        };
        assert_eq!(
            Seen::default().read(&unlinked).trouble,
            Some(Evidence::LoggedOut { reason: Some(1) })
        );
        // Linked again in the same document: the address is history.
        let again = Levels {
            logout: Some(Logout { reason: Some(1) }),
            ..ready()
        };
        assert_eq!(Seen::default().read(&again).trouble, None);
    }

    #[test]
    fn missing_bindings_are_told_only_when_nothing_more_can_come() {
        let mut broken = Levels {
            missing: vec!["WAWebSendMsgChatAction.addAndSendMsgToChat".to_owned()],
            ..ready()
        };
        assert_eq!(Seen::default().read(&broken).trouble, None);
        broken.settled = true;
        assert!(Seen::default().read(&broken).trouble.is_some());
        let no_socket = Levels {
            missing: vec!["WAWebSocketModel.Socket".to_owned()],
            settled: true,
            ..Levels::default()
        };
        assert!(Seen::default().read(&no_socket).trouble.is_some());
    }
}
