//! Faults that are armed now and strike later, and those that strike at once.

use super::{Effect, Network, Stage, Timer, World};
use crate::address::Number;
use crate::error::Error;
use crate::frames::{PageFault, Plain};
use crate::journal::{Entry, Event};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// When a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutWhen {
    /// Before the server takes the message.
    Before,
    /// After the server has taken it, before the ack.
    After,
}

fn minus_one() -> i64 {
    -1
}

fn error_unknown() -> String {
    "ERROR_UNKNOWN".to_owned()
}

/// One fault, as the control side lets it loose.
///
/// `account` limits a fault to one account's companions where it is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fault {
    /// Every socket is cut without a word; pages reconnect.
    DropSockets {
        /// Whose; everybody's where absent.
        #[serde(default)]
        account: Option<String>,
    },
    /// Connections are cut and refused.
    NetworkAway {
        /// For so long; 0: until `network_back`.
        ms: u64,
    },
    /// Connections stay, and nothing is ever heard on them; cut at the end.
    BlackHole {
        /// For so long; 0: until `network_back`.
        ms: u64,
    },
    /// The network works again.
    NetworkBack,
    /// The server restarts: every page is told 503.
    ServerRestart,
    /// The next sends never reach the server.
    LoseSends {
        /// So many.
        count: u32,
    },
    /// The next sends are taken, but their acks are lost.
    DropAcks {
        /// So many.
        count: u32,
    },
    /// The next sends are refused.
    RefuseSends {
        /// So many.
        count: u32,
        /// The server's code.
        code: u16,
        /// The message's ack.
        #[serde(default = "minus_one")]
        level: i64,
        /// The page's result.
        #[serde(default = "error_unknown")]
        result: String,
    },
    /// With the next sends the connection is cut.
    CutOnSend {
        /// So many.
        count: u32,
        /// Before or after the message was taken.
        when: CutWhen,
    },
    /// The next uploads are refused.
    RefuseUploads {
        /// So many.
        count: u32,
        /// The HTTP status.
        status: u16,
    },
    /// All media is gone: downloads answer 410.
    ExpireMedia,
    /// Another page opens as this account's devices: the present ones are replaced.
    Conflict {
        /// Whose; everybody's where absent.
        #[serde(default)]
        account: Option<String>,
    },
    /// Something that a page does to itself.
    Page {
        /// Whose; every page's where absent, linked or not.
        #[serde(default)]
        account: Option<String>,
        /// What.
        fault: PageFault,
    },
}

#[derive(Debug, Clone)]
pub(super) struct RefusedSend {
    left: u32,
    pub(super) code: u16,
    pub(super) level: i64,
    pub(super) result: String,
}

/// What is armed.
#[derive(Debug, Default)]
pub(super) struct Faults {
    lose_sends: u32,
    drop_acks: u32,
    refuse_sends: Option<RefusedSend>,
    cut_on_send: Option<(u32, CutWhen)>,
    refuse_uploads: Option<(u32, u16)>,
    unlink_reasons: HashMap<String, u8>,
}

fn spend(left: &mut u32) -> bool {
    let armed = *left > 0;
    *left = left.saturating_sub(1);
    armed
}

impl Faults {
    pub(super) fn lose_send(&mut self) -> bool {
        spend(&mut self.lose_sends)
    }

    pub(super) fn drop_ack(&mut self) -> bool {
        spend(&mut self.drop_acks)
    }

    pub(super) fn refuse_send(&mut self) -> Option<RefusedSend> {
        let armed = self.refuse_sends.as_mut()?;
        spend(&mut armed.left).then(|| armed.clone())
    }

    pub(super) fn cut_on_send(&mut self) -> Option<CutWhen> {
        let (left, when) = self.cut_on_send.as_mut()?;
        spend(left).then_some(*when)
    }

    pub(super) fn refuse_upload(&mut self) -> Option<u16> {
        let (left, status) = self.refuse_uploads.as_mut()?;
        spend(left).then_some(*status)
    }

    pub(super) fn set_unlink_reason(&mut self, device: &str, reason: u8) {
        self.unlink_reasons.insert(device.to_owned(), reason);
    }

    pub(super) fn unlink_reason(&self, device: &str) -> u8 {
        self.unlink_reasons.get(device).copied().unwrap_or(0)
    }
}

impl World {
    /// Lets a fault loose, or arms it.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] for an account that is not there.
    pub fn fault(&mut self, fault: Fault) -> Result<(), Error> {
        let name = serde_json::to_value(&fault)
            .ok()
            .and_then(|v| {
                let page = v.pointer("/fault/kind").or_else(|| v.get("kind"))?;
                page.as_str().map(str::to_owned)
            })
            .unwrap_or_default();
        match fault {
            Fault::DropSockets { account } => {
                let of = self.some_account(account.as_deref())?;
                for conn in self.conns_of(of.as_ref()) {
                    self.close(conn, None);
                }
            }
            Fault::NetworkAway { ms } => self.set_network(Network::Refusing, ms),
            Fault::BlackHole { ms } => self.set_network(Network::BlackHole, ms),
            Fault::NetworkBack => self.set_network(Network::Up, 0),
            Fault::ServerRestart => {
                for conn in self.conns_of(None) {
                    self.end(
                        conn,
                        Plain::StreamError {
                            code: 503,
                            conflict: None,
                            logout_reason: 0,
                            text: "the server restarts".to_owned(),
                        },
                    );
                }
            }
            Fault::LoseSends { count } => self.faults.lose_sends = count,
            Fault::DropAcks { count } => self.faults.drop_acks = count,
            Fault::RefuseSends {
                count,
                code,
                level,
                result,
            } => {
                self.faults.refuse_sends = Some(RefusedSend {
                    left: count,
                    code,
                    level,
                    result,
                });
            }
            Fault::CutOnSend { count, when } => self.faults.cut_on_send = Some((count, when)),
            Fault::RefuseUploads { count, status } => {
                self.faults.refuse_uploads = Some((count, status));
            }
            Fault::ExpireMedia => self.media.expire_all(),
            Fault::Conflict { account } => {
                let of = self.some_account(account.as_deref())?;
                for conn in self.conns_of(of.as_ref()) {
                    if matches!(self.stage(conn), Some(Stage::Open(_))) {
                        self.end(
                            conn,
                            Plain::StreamError {
                                code: 409,
                                conflict: Some("replaced"),
                                logout_reason: 0,
                                text: "connected elsewhere".to_owned(),
                            },
                        );
                    }
                }
            }
            Fault::Page { account, fault } => {
                let of = self.some_account(account.as_deref())?;
                for conn in self.conns_of(of.as_ref()) {
                    self.send(conn, Plain::Fault(fault.clone()));
                }
            }
        }
        self.log(Entry::new(Event::Fault).kind(&name));
        Ok(())
    }

    /// Sockets of an account's devices; all sockets where none is named.
    pub(super) fn conns_of(&self, account: Option<&Number>) -> Vec<super::ConnId> {
        self.conns
            .iter()
            .filter(|(_, conn)| match (account, &conn.stage) {
                (_, Stage::Ended) => false,
                (None, _) => true,
                (Some(number), Stage::Open(open)) => open.account == *number,
                (Some(_), _) => false,
            })
            .map(|(id, _)| *id)
            .collect()
    }

    fn some_account(&self, phone: Option<&str>) -> Result<Option<Number>, Error> {
        phone.map(|p| self.account_number(p)).transpose()
    }

    fn set_network(&mut self, network: Network, ms: u64) {
        let was = std::mem::replace(&mut self.network, network);
        self.network_generation += 1;
        // What hung in a black hole is dead when it ends; an outage cuts at once.
        if network == Network::Refusing || (was == Network::BlackHole && network == Network::Up) {
            for conn in self.conns_of(None) {
                self.close(conn, None);
            }
        }
        self.effects.push(Effect::Network(network));
        if network != Network::Up && ms > 0 {
            self.later(ms, Timer::NetworkUp(self.network_generation));
        }
    }

    pub(super) fn on_network_up(&mut self, generation: u64) {
        if generation == self.network_generation {
            self.set_network(Network::Up, 0);
        }
    }
}
