//! How a page becomes a companion device: QR or pairing code. The passkey that some
//! accounts ask for besides is in [`super::passkey`].

use super::account::{Device, PairCode};
use super::{ConnId, Stage, Timer, World};
use crate::address::Number;
use crate::error::{Error, PhoneRefusal};
use crate::frames::{DeviceLogin, PageKeys, Plain};
use crate::journal::{Entry, Event};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// The letters of a pairing code: no 0, I, O or U, as WhatsApp shows them.
const CODE_LETTERS: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTVWXYZ";
/// How long a page has to commit its login.
const PAIRED_OK_DEADLINE_MS: u64 = 10_000;
/// A ref is taken this much longer than it is shown, for the way over the network.
const REF_GRACE_MS: u64 = 500;
/// How long a page must leave between two requests for a pairing code.
const CODE_PAUSE_MS: i64 = 1_000;

/// A page that shows a QR code.
#[derive(Debug)]
pub(super) struct Linking {
    pub(super) keys: PageKeys,
    refs: Vec<String>,
    sent_at: steadfast_core::time::MonoMs,
    ttl_ms: u64,
    last_code_ms: Option<i64>,
}

/// A page that was given a login and has not said that it is committed.
#[derive(Debug)]
pub(super) struct PendingPair {
    account: Number,
    login: DeviceLogin,
    number: u32,
}

impl World {
    pub(super) fn start_linking(&mut self, conn: ConnId, keys: PageKeys) {
        self.set_stage(
            conn,
            Stage::Linking(Linking {
                keys,
                refs: Vec::new(),
                sent_at: self.now,
                ttl_ms: 0,
                last_code_ms: None,
            }),
        );
        self.give_refs(conn);
    }

    /// Back to linking, with no refs until the page asks for some.
    pub(super) fn link_again(&mut self, conn: ConnId, keys: PageKeys, code: &str) {
        self.set_stage(
            conn,
            Stage::Linking(Linking {
                keys,
                refs: Vec::new(),
                sent_at: self.now,
                ttl_ms: 0,
                last_code_ms: None,
            }),
        );
        let code = code.to_owned();
        self.send(conn, Plain::PairFailed { code });
    }

    fn give_refs(&mut self, conn: ConnId) {
        let refs: Vec<String> = (0..self.knobs.qr_refs)
            .map(|_| format!("2@{}", self.rng.base64(66)))
            .collect();
        let (now, ttl_ms) = (self.now, self.knobs.qr_ttl_ms);
        if let Some(super::Conn {
            stage: Stage::Linking(linking),
        }) = self.conns.get_mut(&conn)
        {
            linking.refs.clone_from(&refs);
            linking.sent_at = now;
            linking.ttl_ms = ttl_ms;
            self.log(Entry::new(Event::QrSent).conn(conn));
            self.send(conn, Plain::Qr { refs, ttl_ms });
        }
    }

    pub(super) fn on_refresh_qr(&mut self, conn: ConnId) {
        match self.stage(conn) {
            Some(Stage::Linking(_)) => self.give_refs(conn),
            _ => self.malformed(conn, "refresh_qr while not linking"),
        }
    }

    pub(super) fn on_pair_code_request(&mut self, conn: ConnId, rid: Value, phone: &str) {
        let now_ms = self.unix_ms();
        let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
        let account = Number::parse(&digits).filter(|n| self.accounts.contains_key(n));
        let Some(super::Conn {
            stage: Stage::Linking(linking),
        }) = self.conns.get_mut(&conn)
        else {
            self.refuse(conn, rid, 400, "not linking");
            return;
        };
        if linking
            .last_code_ms
            .is_some_and(|last| now_ms - last < CODE_PAUSE_MS)
        {
            self.refuse(conn, rid, 429, "asked too often");
            return;
        }
        linking.last_code_ms = Some(now_ms);
        let Some(number) = account else {
            self.refuse(conn, rid, 400, "no account has this number");
            return;
        };
        let code = self.rng.letters(CODE_LETTERS, 8);
        let ttl_ms = self.knobs.pair_code_ttl_ms;
        self.log(Entry::new(Event::PairCodeSent).account(&number).conn(conn));
        if let Some(account) = self.accounts.get_mut(&number) {
            account.pair_code = Some(PairCode {
                code: code.clone(),
                conn,
                expires_ms: now_ms.saturating_add_unsigned(ttl_ms),
            });
        }
        self.answer(conn, rid, json!({"code": code, "ttl_ms": ttl_ms}));
    }

    /// The codes that screens show now, whole, as a phone would read them.
    pub fn codes(&self) -> Vec<String> {
        let shown = self.conns.values().filter_map(|conn| match &conn.stage {
            Stage::Linking(linking) => {
                let turn = self.now.since(linking.sent_at) / linking.ttl_ms.max(1);
                let reference = linking.refs.get(usize::try_from(turn).ok()?)?;
                let keys = &linking.keys;
                let (own, identity, adv) = (&keys.static_key, &keys.identity, &keys.adv);
                Some(format!("{reference},{own},{identity},{adv},1"))
            }
            _ => None,
        });
        shown.collect()
    }

    /// The phone scans what a screen shows.
    ///
    /// # Errors
    ///
    /// As a phone refuses.
    pub fn scan(&mut self, number: &Number, code: &str) -> Result<(), Error> {
        self.phone_may_link(number)?;
        let parts: Vec<&str> = code.trim().split(',').collect();
        let [reference, static_key, identity, adv, platform] = parts[..] else {
            return Err(Error::PhoneRefuses(PhoneRefusal::NotACode));
        };
        let key = |text: &str| STANDARD.decode(text).is_ok_and(|k| k.len() == 32);
        if !reference.starts_with("2@")
            || !key(static_key)
            || !key(identity)
            || !key(adv)
            || platform.is_empty()
        {
            return Err(Error::PhoneRefuses(PhoneRefusal::NotACode));
        }
        let now = self.now;
        let found = self.conns.iter().find_map(|(id, conn)| match &conn.stage {
            Stage::Linking(linking) => {
                let index = linking.refs.iter().position(|r| r == reference)?;
                let shown_until = linking
                    .sent_at
                    .plus(linking.ttl_ms.saturating_mul(index as u64 + 1))
                    .plus(REF_GRACE_MS);
                (now <= shown_until).then(|| (*id, linking.keys.clone()))
            }
            _ => None,
        });
        let Some((conn, keys)) = found else {
            return Err(Error::PhoneRefuses(PhoneRefusal::Expired));
        };
        if (
            keys.static_key.as_str(),
            keys.identity.as_str(),
            keys.adv.as_str(),
        ) != (static_key, identity, adv)
        {
            return Err(Error::PhoneRefuses(PhoneRefusal::WrongKeys));
        }
        self.log(
            Entry::new(Event::Scanned)
                .account(number)
                .conn(conn)
                .kind("qr"),
        );
        self.accept_page(number, conn, keys);
        Ok(())
    }

    /// The phone's owner types a pairing code.
    ///
    /// # Errors
    ///
    /// As a phone refuses.
    pub fn enter_pairing_code(&mut self, number: &Number, code: &str) -> Result<(), Error> {
        self.phone_may_link(number)?;
        let typed: String = code
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_uppercase())
            .collect();
        if typed.len() != 8 {
            return Err(Error::PhoneRefuses(PhoneRefusal::NotACode));
        }
        let now_ms = self.unix_ms();
        let others = self
            .accounts
            .iter()
            .any(|(n, a)| n != number && a.pair_code.as_ref().is_some_and(|p| p.code == typed));
        if others {
            return Err(Error::PhoneRefuses(PhoneRefusal::OtherNumber));
        }
        let pending = self
            .accounts
            .get_mut(number)
            .and_then(|a| a.pair_code.take_if(|p| p.code == typed))
            .filter(|p| p.expires_ms >= now_ms);
        let page = pending.and_then(|p| match self.stage(p.conn) {
            Some(Stage::Linking(linking)) => Some((p.conn, linking.keys.clone())),
            _ => None,
        });
        let Some((conn, keys)) = page else {
            return Err(Error::PhoneRefuses(PhoneRefusal::Expired));
        };
        self.log(
            Entry::new(Event::Scanned)
                .account(number)
                .conn(conn)
                .kind("code"),
        );
        self.accept_page(number, conn, keys);
        Ok(())
    }

    fn phone_may_link(&self, number: &Number) -> Result<(), Error> {
        let account = self.account(number)?;
        let refusal = if !account.phone_online {
            Some(PhoneRefusal::Offline)
        } else if account.banned(self.unix_ms()) {
            Some(PhoneRefusal::Banned)
        } else if account.devices.len() >= self.knobs.max_devices as usize {
            Some(PhoneRefusal::TooManyDevices)
        } else {
            None
        };
        refusal.map_or(Ok(()), |r| Err(Error::PhoneRefuses(r)))
    }

    /// The phone has said yes: ask for the passkey, or hand out the login.
    fn accept_page(&mut self, number: &Number, conn: ConnId, keys: PageKeys) {
        if self.accounts.get(number).is_some_and(|a| a.passkey) {
            self.ask_for_passkey(number, conn, keys);
        } else {
            self.hand_out_login(number, conn);
        }
    }

    pub(super) fn hand_out_login(&mut self, number: &Number, conn: ConnId) {
        let login = DeviceLogin {
            id: format!("d{}", self.rng.hex(8)),
            token: self.rng.base64url(32),
        };
        let Some(account) = self.accounts.get_mut(number) else {
            return;
        };
        let device_number = account.next_device;
        account.next_device += 1;
        let me = self.me(number, device_number);
        self.set_stage(
            conn,
            Stage::Paired(PendingPair {
                account: number.clone(),
                login: login.clone(),
                number: device_number,
            }),
        );
        self.send(conn, Plain::Paired { device: login, me });
        self.later(PAIRED_OK_DEADLINE_MS, Timer::PairedOkDue(conn));
    }

    pub(super) fn on_paired_ok(&mut self, conn: ConnId) {
        let now_ms = self.unix_ms();
        let Some(Stage::Paired(pending)) = self.stage(conn) else {
            self.malformed(conn, "paired_ok while not paired");
            return;
        };
        let (number, login, device_number) = (
            pending.account.clone(),
            pending.login.clone(),
            pending.number,
        );
        if let Some(account) = self.accounts.get_mut(&number) {
            account.devices.insert(
                login.id.clone(),
                Device {
                    number: device_number,
                    token: login.token,
                    linked_ms: now_ms,
                    queue: VecDeque::new(),
                    next_sid: 1,
                    sent_through: 0,
                    conn: None,
                    synced: false,
                },
            );
        }
        self.log(
            Entry::new(Event::Linked)
                .account(&number)
                .device(&login.id)
                .conn(conn),
        );
        self.end(
            conn,
            Plain::StreamError {
                code: 515,
                conflict: None,
                logout_reason: 0,
                text: "restart required".to_owned(),
            },
        );
    }

    pub(super) fn on_paired_ok_timeout(&mut self, conn: ConnId) {
        if matches!(self.stage(conn), Some(Stage::Paired(_))) {
            self.close(conn, Some(1002));
        }
    }
}
