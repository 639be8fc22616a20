//! From hello to caught up: success, history, offline items, live.

use super::account::Ban;
use super::{ConnId, Stage, Timer, World};
use crate::address::{Number, Peer};
use crate::frames::{Hello, Plain, SyncChunk};
use crate::journal::{Entry, Event};
use serde_json::Value;
use steadfast_core::time::UnixMs;

/// Chats in one history chunk.
const CHUNK_CHATS: usize = 50;
/// Messages in one history chunk.
const CHUNK_MESSAGES: usize = 200;

/// A device that is logged in on a socket.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) account: Number,
    pub(super) device: String,
    pub(super) phase: Phase,
}

/// How far a connection has caught up.
#[derive(Debug)]
pub(super) enum Phase {
    /// History goes out, chunk by chunk; `next` is the one after the last that was sent.
    History { next: usize, chunks: Vec<SyncChunk> },
    /// What waited in the queue goes out, up to and with this sid.
    Offline { through: u64 },
    /// All of it is out; the end of the sync is due.
    Settling { through: u64 },
    /// Items go out as they come.
    Live,
}

impl Phase {
    /// The newest item that may go out now.
    pub(super) fn may_send_through(&self) -> Option<u64> {
        match self {
            Self::Offline { through } => Some(*through),
            Self::Live => Some(u64::MAX),
            Self::History { .. } | Self::Settling { .. } => None,
        }
    }

    /// The newest item that had been waiting.
    pub(super) fn offline_through(&self) -> u64 {
        match self {
            Self::Offline { through } | Self::Settling { through } => *through,
            Self::History { .. } | Self::Live => 0,
        }
    }
}

impl World {
    pub(super) fn config_frame(&self) -> Plain {
        Plain::Config {
            ping_ms: self.knobs.ping_ms,
            ping_timeout_ms: self.knobs.ping_timeout_ms,
            reconnect_min_ms: self.knobs.reconnect_min_ms,
            reconnect_max_ms: self.knobs.reconnect_max_ms,
            send_timeout_ms: self.knobs.send_timeout_ms,
            server_t: self.t(),
        }
    }

    pub(super) fn on_hello(&mut self, conn: ConnId, hello: Hello) {
        if !matches!(self.stage(conn), Some(Stage::Fresh)) {
            self.malformed(conn, "a second hello");
            return;
        }
        let ua: String = hello.ua.chars().take(200).collect();
        self.log(
            Entry::new(Event::Hello)
                .conn(conn)
                .kind(if hello.device.is_some() {
                    "device"
                } else {
                    "new"
                })
                .detail(ua),
        );
        let config = self.config_frame();
        self.send(conn, config);
        if self.knobs.deprecated {
            self.login_refused(conn, 405, 0, 0, "this version is too old");
            return;
        }
        let Some(login) = hello.device else {
            self.start_linking(conn, hello.keys);
            return;
        };
        let owner = self
            .accounts
            .iter()
            .find(|(_, a)| {
                a.devices
                    .get(&login.id)
                    .is_some_and(|d| d.token == login.token)
            })
            .map(|(number, _)| number.clone());
        if let Some(account) = owner {
            self.log_in(conn, &account, &login.id, hello.have_history);
        } else {
            let reason = self.faults.unlink_reason(&login.id);
            self.login_refused(conn, 401, reason, 0, "this device is not linked");
        }
    }

    fn login_refused(&mut self, conn: ConnId, reason: u16, logout: u8, expire_s: u64, text: &str) {
        self.log(
            Entry::new(Event::LoginRefused)
                .conn(conn)
                .level(i64::from(reason)),
        );
        self.end(
            conn,
            Plain::Failure {
                reason,
                logout_reason: logout,
                expire_s,
                text: text.to_owned(),
            },
        );
    }

    fn log_in(&mut self, conn: ConnId, account: &Number, device: &str, have_history: bool) {
        let now_ms = self.unix_ms();
        match self.accounts.get(account).and_then(|a| a.ban) {
            Some(Ban::Locked) => {
                self.login_refused(conn, 403, 3, 0, "the account is locked");
                return;
            }
            Some(Ban::Temporary(until)) if until > now_ms => {
                let left = UnixMs(until).since(UnixMs(now_ms)).div_ceil(1000);
                self.login_refused(conn, 402, 0, left, "the account is banned for a time");
                return;
            }
            Some(Ban::Temporary(_)) | None => {}
        }
        if let Some(older) = self.device_mut(account, device).and_then(|d| d.conn) {
            self.end(
                older,
                Plain::StreamError {
                    code: 409,
                    conflict: Some("replaced"),
                    logout_reason: 0,
                    text: "connected elsewhere".to_owned(),
                },
            );
        }
        let Some(linked) = self.device_mut(account, device) else {
            return;
        };
        linked.conn = Some(conn);
        linked.sent_through = 0;
        linked.synced = false;
        let number = linked.number;
        let chunks = if have_history {
            Vec::new()
        } else {
            self.history(account)
        };
        self.set_stage(
            conn,
            Stage::Open(Open {
                account: account.clone(),
                device: device.to_owned(),
                phase: Phase::History { next: 0, chunks },
            }),
        );
        self.log(
            Entry::new(Event::LoggedIn)
                .account(account)
                .device(device)
                .conn(conn),
        );
        let success = Plain::Success {
            me: self.me(account, number),
            t: self.t(),
            addressing: self.addressing(account),
        };
        self.send(conn, success);
        self.next_chunk(conn, account, device);
    }

    /// Sends the next history chunk, or goes on to what waited in the queue.
    fn next_chunk(&mut self, conn: ConnId, account: &Number, device: &str) {
        let newest = self
            .device_mut(account, device)
            .and_then(|d| d.queue.back().map(|(sid, _)| *sid))
            .unwrap_or(0);
        let count = self
            .device_mut(account, device)
            .map_or(0, |d| d.queue.len());
        let Some(phase) = self.phase_mut(conn) else {
            return;
        };
        let Phase::History { next, chunks } = phase else {
            return;
        };
        if let Some(chunk) = chunks.get(*next).cloned() {
            *next += 1;
            self.send(conn, Plain::Sync(Box::new(chunk)));
        } else {
            *phase = Phase::Offline { through: newest };
            self.send(conn, Plain::Offline { count });
            self.pump(account, device);
        }
    }

    pub(super) fn on_sync_ok(&mut self, conn: ConnId, chunk: usize) {
        let Some((account, device)) = self.who(conn) else {
            return;
        };
        if let Some(Phase::History { next, .. }) = self.phase_mut(conn)
            && *next == chunk
        {
            self.next_chunk(conn, &account, &device);
        } else {
            self.malformed(conn, "sync_ok for a chunk that is not out");
        }
    }

    /// Where everything that waited has gone out, the end of the sync is near.
    pub(super) fn check_offline_sent(&mut self, account: &Number, device: &str, conn: ConnId) {
        let Some(Phase::Offline { through }) = self.phase_mut(conn) else {
            return;
        };
        let through = *through;
        let all_out = self.device_mut(account, device).is_some_and(|d| {
            d.sent_through >= through
                || d.queue
                    .iter()
                    .all(|(sid, _)| *sid <= d.sent_through || *sid > through)
        });
        if all_out {
            if let Some(phase) = self.phase_mut(conn) {
                *phase = Phase::Settling { through };
            }
            self.later(self.knobs.sync_delay_ms, Timer::Settle(conn));
        }
    }

    pub(super) fn on_settled(&mut self, conn: ConnId) {
        let Some((account, device)) = self.who(conn) else {
            return;
        };
        if let Some(phase) = self.phase_mut(conn) {
            *phase = Phase::Live;
        }
        if let Some(device) = self.device_mut(&account, &device) {
            device.synced = true;
        }
        self.log(
            Entry::new(Event::Synced)
                .account(&account)
                .device(&device)
                .conn(conn),
        );
        self.send(conn, Plain::OfflineDone);
        self.pump(&account, &device);
    }

    /// What the phone tells a new companion: chats with their newest
    /// messages, contacts, groups. At least one chunk.
    fn history(&mut self, account: &Number) -> Vec<SyncChunk> {
        let keep = self.knobs.history_messages as usize;
        let mut peers: Vec<(i64, Peer)> = Vec::new();
        let mut contacts: Vec<Number> = Vec::new();
        let mut blocked: Vec<Number> = Vec::new();
        if let Some(account) = self.accounts.get(account) {
            peers.extend(account.chats.iter().map(|(p, c)| (c.t, p.clone())));
            contacts.extend(account.contacts.keys().cloned());
            blocked.extend(account.blocked.iter().cloned());
        }
        for (_, peer) in &peers {
            if let Peer::Person(number) = peer
                && !contacts.contains(number)
            {
                contacts.push(number.clone());
            }
        }
        peers.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let mut chats: Vec<Value> = Vec::new();
        let mut messages = Vec::new();
        for (_, peer) in &peers {
            chats.extend(self.chat_value(account, peer));
            let newest: Vec<_> = self
                .accounts
                .get(account)
                .and_then(|a| a.chats.get(peer))
                .map(|c| {
                    let skip = c.messages.len().saturating_sub(keep);
                    c.messages.iter().skip(skip).cloned().collect()
                })
                .unwrap_or_default();
            for message in newest {
                messages.push(self.render(account, peer, &message));
            }
        }
        let contacts: Vec<Value> = contacts
            .iter()
            .map(|n| self.contact_value(account, n))
            .collect();
        let groups = self.group_values_of(account);
        let blocklist = blocked.iter().map(|n| self.address(account, n)).collect();
        let count = chats
            .len()
            .div_ceil(CHUNK_CHATS)
            .max(messages.len().div_ceil(CHUNK_MESSAGES))
            .max(1);
        let (mut chats, mut messages) = (chats.into_iter(), messages.into_iter());
        let mut first = Some((contacts, groups, blocklist));
        (1..=count)
            .map(|chunk| {
                let (contacts, groups, blocklist) = first.take().unwrap_or_default();
                SyncChunk {
                    chunk,
                    chunks: count,
                    progress: (chunk * 100 / count) as u8,
                    chats: chats.by_ref().take(CHUNK_CHATS).collect(),
                    contacts,
                    groups,
                    messages: messages.by_ref().take(CHUNK_MESSAGES).collect(),
                    blocklist,
                }
            })
            .collect()
    }
}
