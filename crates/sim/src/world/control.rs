//! What people do with their phones, and what the operator of the world does.

use super::account::{Account, AccountView, Ban, DeviceView, StoredMessage};
use super::people::MAX_PEOPLE;
use super::{Stage, World};
use crate::address::{Number, Peer};
use crate::error::Error;
use crate::frames::{Item, Plain, SendFrame};
use crate::journal::{Entry, Event};
use crate::knobs::{Addressing, Knobs};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The most messages that one request may make.
const MAX_AT_ONCE: u32 = 10_000;
/// The most accounts in a world.
const MAX_ACCOUNTS: usize = 1_000;

/// An account to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// 7 to 15 digits.
    pub phone: String,
    /// The name that others see.
    #[serde(default)]
    pub push_name: Option<String>,
    /// How its companions name people; the knob where absent.
    #[serde(default)]
    pub addressing: Option<Addressing>,
    /// Whether linking asks for a passkey.
    #[serde(default)]
    pub passkey: bool,
}

/// Changes to a person who is no account of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonPatch {
    /// Whether the number is on WhatsApp.
    #[serde(default)]
    pub exists: Option<bool>,
    /// The name that others see.
    #[serde(default)]
    pub push_name: Option<String>,
    /// The line under the name.
    #[serde(default)]
    pub about: Option<String>,
    /// A URL of a picture.
    #[serde(default)]
    pub picture: Option<String>,
    /// Whether it is a business.
    #[serde(default)]
    pub business: Option<bool>,
    /// Whether the phone has network.
    #[serde(default)]
    pub online: Option<bool>,
    /// Whether its owner reads what arrives.
    #[serde(default)]
    pub reads: Option<bool>,
    /// Whether it lets others add it to groups.
    #[serde(default)]
    pub addable: Option<bool>,
}

/// A message of somebody else to an account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutsideMessage {
    /// Who writes: a number or an address.
    pub from: String,
    /// In which group; to the account itself where absent.
    #[serde(default)]
    pub group: Option<String>,
    /// WhatsApp's `msg.type`; `chat` where absent. A `ciphertext` cannot be
    /// read, until one of another kind with the same id brings what it says.
    #[serde(default)]
    pub kind: Option<String>,
    /// Text or caption. `{n}` stands for the number of the copy, from 1.
    #[serde(default)]
    pub text: String,
    /// Anything else of the message.
    #[serde(default)]
    pub content: Map<String, Value>,
    /// How many; 1 where absent, 10,000 at most.
    #[serde(default)]
    pub count: Option<u32>,
    /// The id; only for a single one. Made up where absent.
    #[serde(default)]
    pub id: Option<String>,
    /// The file that comes with it, of a kind that has one.
    #[serde(default)]
    pub file: Option<OutsideFile>,
}

/// A file that somebody sends to an account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutsideFile {
    /// Its bytes in base64.
    pub data: String,
    /// Its type.
    pub mimetype: String,
    /// Its name, where it has one.
    #[serde(default)]
    pub filename: Option<String>,
}

impl World {
    pub(super) fn account(&self, number: &Number) -> Result<&Account, Error> {
        self.accounts.get(number).ok_or_else(|| Error::Missing {
            what: "account",
            name: number.to_string(),
        })
    }

    /// The account with this number or address.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn account_number(&self, phone: &str) -> Result<Number, Error> {
        self.resolve_person(phone)
            .filter(|n| self.accounts.contains_key(n))
            .ok_or_else(|| Error::Missing {
                what: "account",
                name: phone.chars().take(40).collect(),
            })
    }

    fn somebody(&self, phone: &str) -> Result<Number, Error> {
        self.resolve_person(phone).ok_or_else(|| Error::Missing {
            what: "person",
            name: phone.chars().take(40).collect(),
        })
    }

    /// Makes an account with a phone that is online.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a number that is none, [`Error::Exists`], [`Error::Full`].
    pub fn create_account(&mut self, new: NewAccount) -> Result<AccountView, Error> {
        let number = Number::parse(&new.phone)
            .ok_or_else(|| Error::Invalid("phone: 7 to 15 digits".to_owned()))?;
        if self.accounts.contains_key(&number) {
            return Err(Error::Exists(format!("account {number}")));
        }
        if self.accounts.len() >= MAX_ACCOUNTS || self.people.len() >= MAX_PEOPLE {
            return Err(Error::Full("accounts"));
        }
        let mut account = Account::new(new.addressing.unwrap_or(self.knobs.addressing));
        account.passkey = new.passkey;
        self.accounts.insert(number.clone(), account);
        if let Some(person) = self.person_mut(&number) {
            person.exists = true;
            if let Some(name) = new.push_name {
                person.push_name = name;
            }
        }
        self.view(&number)
    }

    /// An account as it is now.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn view(&mut self, number: &Number) -> Result<AccountView, Error> {
        let account = self.account(number)?;
        let mut view = AccountView {
            phone: number.to_string(),
            pn: number.pn(),
            lid: String::new(),
            push_name: String::new(),
            phone_online: account.phone_online,
            addressing: account.addressing,
            devices: account
                .devices
                .iter()
                .map(|(id, d)| DeviceView {
                    id: id.clone(),
                    number: d.number,
                    connected: d.conn.is_some(),
                    synced: d.synced,
                    queued: d.queue.len(),
                    linked_ms: d.linked_ms,
                })
                .collect(),
        };
        view.lid = self.lid(number);
        view.push_name = self.push_name(number);
        view.devices.sort_by_key(|d| d.number);
        Ok(view)
    }

    /// Every account.
    pub fn views(&mut self) -> Vec<AccountView> {
        let numbers: Vec<Number> = self.accounts.keys().cloned().collect();
        numbers.iter().filter_map(|n| self.view(n).ok()).collect()
    }

    /// The phone unlinks one companion, or all of them. Returns how many.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] for an account or device that is not there.
    pub fn unlink(
        &mut self,
        number: &Number,
        device: Option<&str>,
        logout_reason: u8,
    ) -> Result<usize, Error> {
        let account = self.account(number)?;
        let devices: Vec<String> = match device {
            Some(one) if account.devices.contains_key(one) => vec![one.to_owned()],
            Some(other) => {
                return Err(Error::Missing {
                    what: "device",
                    name: other.to_owned(),
                });
            }
            None => account.devices.keys().cloned().collect(),
        };
        for device in &devices {
            self.remove_device(number, device, logout_reason);
        }
        Ok(devices.len())
    }

    /// Takes a device off its account and tells its page, where one is connected.
    pub(super) fn remove_device(&mut self, number: &Number, device: &str, logout_reason: u8) {
        let removed = self
            .accounts
            .get_mut(number)
            .and_then(|a| a.devices.remove(device));
        let Some(removed) = removed else {
            return;
        };
        self.faults.set_unlink_reason(device, logout_reason);
        self.log(Entry::new(Event::Unlinked).account(number).device(device));
        if let Some(conn) = removed.conn {
            self.end(
                conn,
                Plain::StreamError {
                    code: 401,
                    conflict: Some("device_removed"),
                    logout_reason,
                    text: "unlinked".to_owned(),
                },
            );
        }
    }

    /// The account's own phone gets or loses its network.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn set_phone_online(&mut self, number: &Number, online: bool) -> Result<(), Error> {
        self.account(number)?;
        if let Some(account) = self.accounts.get_mut(number) {
            account.phone_online = online;
        }
        for conn in self.conns_of(Some(number)) {
            self.send(conn, Plain::Phone { online });
        }
        Ok(())
    }

    /// Bans an account for so many milliseconds, or for good (`None`). Its
    /// sockets are closed; the next login says why.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn ban(&mut self, number: &Number, ms: Option<u64>) -> Result<(), Error> {
        self.account(number)?;
        let until = ms.map(|ms| self.unix_ms().saturating_add_unsigned(ms));
        if let Some(account) = self.accounts.get_mut(number) {
            account.ban = Some(until.map_or(Ban::Locked, Ban::Temporary));
        }
        self.log(Entry::new(Event::Fault).account(number).kind("ban"));
        for conn in self.conns_of(Some(number)) {
            self.close(conn, Some(1000));
        }
        Ok(())
    }

    /// Lifts a ban.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn unban(&mut self, number: &Number) -> Result<(), Error> {
        self.account(number)?;
        if let Some(account) = self.accounts.get_mut(number) {
            account.ban = None;
        }
        Ok(())
    }

    /// Changes somebody.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] for an address that names nobody, [`Error::Full`].
    pub fn patch_person(&mut self, phone: &str, patch: PersonPatch) -> Result<(), Error> {
        let number = self.somebody(phone)?;
        let person = self.person_mut(&number).ok_or(Error::Full("people"))?;
        let came_back = patch.online == Some(true) && !person.online;
        person.exists = patch.exists.unwrap_or(person.exists);
        person.business = patch.business.unwrap_or(person.business);
        person.online = patch.online.unwrap_or(person.online);
        person.addable = patch.addable.unwrap_or(person.addable);
        person.reads = patch.reads.or(person.reads);
        person.picture = patch.picture.or(person.picture.take());
        if let Some(name) = patch.push_name {
            person.push_name = name;
        }
        if let Some(about) = patch.about {
            person.about = about;
        }
        if came_back {
            self.phone_back(&number);
        }
        if let Some(available) = patch.online {
            self.tell_presence(&number, available);
        }
        Ok(())
    }

    fn tell_presence(&mut self, number: &Number, available: bool) {
        let watchers: Vec<Number> = self
            .accounts
            .iter()
            .filter(|(_, a)| a.watched.contains(number))
            .map(|(n, _)| n.clone())
            .collect();
        let last_seen_t = (!available).then(|| self.t());
        for account in watchers {
            let id = self.address(&account, number);
            for conn in self.conns_of(Some(&account)) {
                self.send(
                    conn,
                    Plain::Presence {
                        id: id.clone(),
                        available,
                        last_seen_t,
                    },
                );
            }
        }
    }

    /// The phone's owner saves somebody under a name.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn save_contact(&mut self, account: &Number, phone: &str, name: &str) -> Result<(), Error> {
        self.account(account)?;
        let number = self.somebody(phone)?;
        if let Some(account) = self.accounts.get_mut(account) {
            account.contacts.insert(number.clone(), name.to_owned());
        }
        let contact = self.contact_value(account, &number);
        self.enqueue_all(account, None, &Item::ContactUpdate { contact });
        Ok(())
    }

    /// Somebody writes to an account, once or many times at once. Returns the ids.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] for people, groups or memberships that are not
    /// there, [`Error::Invalid`] for too many.
    pub fn outside_message(
        &mut self,
        account: &Number,
        message: &OutsideMessage,
    ) -> Result<Vec<String>, Error> {
        self.account(account)?;
        let from = self.somebody(&message.from)?;
        let count = message.count.unwrap_or(1);
        if count == 0 || count > MAX_AT_ONCE || (message.id.is_some() && count != 1) {
            return Err(Error::Invalid(
                "count: 1 to 10000, and 1 with an id".to_owned(),
            ));
        }
        let chat = match &message.group {
            None => Peer::Person(from.clone()),
            Some(group) => {
                let Some(Peer::Group(id)) = self.resolve(group) else {
                    return Err(Error::Invalid("group: no group's address".to_owned()));
                };
                for member in [account, &from] {
                    self.may_write(&id, member).map_err(|_| Error::Missing {
                        what: "member",
                        name: member.to_string(),
                    })?;
                }
                Peer::Group(id)
            }
        };
        let kind = message.kind.clone().unwrap_or_else(|| "chat".to_owned());
        let mut content = message.content.clone();
        if let Some(file) = &message.file {
            content.insert("media".to_owned(), self.outside_media(&kind, file)?);
        }
        let mut ids = Vec::with_capacity(count as usize);
        for n in 1..=count {
            let id = message.id.clone().unwrap_or_else(|| self.phones_id());
            let stored = StoredMessage {
                id: id.clone(),
                author: from.clone(),
                kind: kind.clone(),
                body: message.text.replace("{n}", &n.to_string()),
                content: content.clone(),
                t: self.t(),
            };
            self.incoming(account, &from, &chat, &stored);
            ids.push(id);
        }
        Ok(ids)
    }

    /// The id that a phone makes for its message: 32 hex digits, as Android does.
    fn phones_id(&mut self) -> String {
        self.rng.hex(16)
    }

    /// The account's own phone writes to somebody; its companions see it.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`], or [`Error::PhoneRefuses`] while it is offline.
    pub fn phone_send(&mut self, account: &Number, to: &str, text: &str) -> Result<String, Error> {
        if !self.account(account)?.phone_online {
            return Err(Error::PhoneRefuses(crate::error::PhoneRefusal::Offline));
        }
        let peer = self.resolve(to).ok_or_else(|| Error::Missing {
            what: "chat",
            name: to.chars().take(40).collect(),
        })?;
        let frame = SendFrame {
            id: self.phones_id(),
            chat: to.to_owned(),
            kind: "chat".to_owned(),
            body: text.to_owned(),
            content: Map::new(),
        };
        self.log(
            Entry::new(Event::PhoneSent)
                .account(account)
                .chat(&peer)
                .id(&frame.id)
                .kind("chat")
                .body(text),
        );
        self.take(account, None, &peer, &frame);
        Ok(frame.id)
    }

    /// Somebody types, or stops to.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn outside_chatstate(
        &mut self,
        account: &Number,
        from: &str,
        group: Option<&str>,
        state: &str,
    ) -> Result<(), Error> {
        self.account(account)?;
        let from = self.somebody(from)?;
        let who = self.address(account, &from);
        let (chat, participant) = match group {
            Some(group) => (group.to_owned(), Some(who)),
            None => (who, None),
        };
        for conn in self.conns_of(Some(account)) {
            self.send(
                conn,
                Plain::Chatstate {
                    chat: chat.clone(),
                    participant: participant.clone(),
                    state: state.to_owned(),
                },
            );
        }
        Ok(())
    }

    /// Moves an account's chats from numbers to hidden ids.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn migrate_to_lid(&mut self, account: &Number) -> Result<(), Error> {
        let old = self.account(account)?;
        let mut numbers: Vec<Number> = old.contacts.keys().cloned().collect();
        numbers.extend(old.chats.keys().filter_map(|p| match p {
            Peer::Person(n) => Some(n.clone()),
            Peer::Group(_) | Peer::Status => None,
        }));
        numbers.sort();
        numbers.dedup();
        if let Some(account) = self.accounts.get_mut(account) {
            account.addressing = Addressing::Lid;
        }
        let pairs = numbers
            .iter()
            .map(|n| json!({"pn": n.pn(), "lid": self.lid(n)}))
            .collect();
        self.enqueue_all(
            account,
            None,
            &Item::LidMigration {
                pairs,
                addressing: Addressing::Lid,
            },
        );
        Ok(())
    }

    /// Turns knobs. Pages hear of those that concern them while they run.
    ///
    /// # Errors
    ///
    /// [`Error::Knobs`]; nothing is turned then.
    pub fn turn(&mut self, patch: &Map<String, Value>) -> Result<Knobs, Error> {
        self.knobs = self.knobs.patched(patch)?;
        let config = self.config_frame();
        for conn in self.conns_of(None) {
            if !matches!(self.stage(conn), Some(Stage::Fresh)) {
                self.send(conn, config.clone());
            }
        }
        if self.knobs.deprecated {
            for conn in self.conns_of(None) {
                self.close(conn, Some(1000));
            }
        }
        Ok(self.knobs.clone())
    }
}
