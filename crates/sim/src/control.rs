//! The control side in the same process: phones, other people, faults, the journal.

use crate::address::Number;
use crate::error::Error;
use crate::hub::Hub;
use crate::journal::{Entry, Event};
use crate::knobs::Knobs;
use crate::world::{AccountView, Fault, NewAccount, OutsideMessage, Passkey, PersonPatch, World};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// A handle on a running world. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    hub: Arc<Hub>,
}

/// A part of the journal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JournalPage {
    /// The entries after the cursor, in order.
    pub entries: Vec<Entry>,
    /// The cursor for the next page: the number of the last entry that was looked at.
    pub next: u64,
    /// The newest number in the journal.
    pub last: u64,
    /// Sends dropped because their id had been seen.
    pub repeats_dropped: u64,
    /// Whether entries were lost because there were too many.
    pub truncated: bool,
}

impl Control {
    /// A handle on this world.
    pub fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    /// The running world itself.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    fn on<R>(
        &self,
        phone: &str,
        f: impl FnOnce(&mut World, &Number) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.hub.with(|world| {
            let number = world.account_number(phone)?;
            f(world, &number)
        })
    }

    /// Makes an account with a phone that is online.
    ///
    /// # Errors
    ///
    /// As [`World::create_account`].
    pub fn create_account(&self, new: NewAccount) -> Result<AccountView, Error> {
        self.hub.with(|world| world.create_account(new))
    }

    /// One account as it is now.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`]; so everywhere where an account is named.
    pub fn account(&self, phone: &str) -> Result<AccountView, Error> {
        self.on(phone, World::view)
    }

    /// Every account.
    pub fn accounts(&self) -> Vec<AccountView> {
        self.hub.with(World::views)
    }

    /// The QR codes that are on show now, oldest screen first: what a phone
    /// held before one of them would read.
    pub fn codes(&self) -> Vec<String> {
        self.hub.with(|world| world.codes())
    }

    /// The phone scans the whole string of a QR code.
    ///
    /// # Errors
    ///
    /// [`Error::PhoneRefuses`] as a real phone would.
    pub fn scan(&self, phone: &str, code: &str) -> Result<(), Error> {
        self.on(phone, |world, number| world.scan(number, code))
    }

    /// The phone's owner types a pairing code.
    ///
    /// # Errors
    ///
    /// [`Error::PhoneRefuses`] as a real phone would.
    pub fn enter_pairing_code(&self, phone: &str, code: &str) -> Result<(), Error> {
        self.on(phone, |world, number| {
            world.enter_pairing_code(number, code)
        })
    }

    /// The phone unlinks one companion, or all. Returns how many.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn unlink(
        &self,
        phone: &str,
        device: Option<&str>,
        logout_reason: u8,
    ) -> Result<usize, Error> {
        self.on(phone, |world, number| {
            world.unlink(number, device, logout_reason)
        })
    }

    /// The account's phone gets or loses its network.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn set_phone_online(&self, phone: &str, online: bool) -> Result<(), Error> {
        self.on(phone, |world, number| {
            world.set_phone_online(number, online)
        })
    }

    /// Bans the account for so many milliseconds, or for good.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn ban(&self, phone: &str, ms: Option<u64>) -> Result<(), Error> {
        self.on(phone, |world, number| world.ban(number, ms))
    }

    /// Lifts a ban.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn unban(&self, phone: &str) -> Result<(), Error> {
        self.on(phone, World::unban)
    }

    /// Whether linking asks for a passkey from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn set_passkey(&self, phone: &str, asked: bool) -> Result<(), Error> {
        self.on(phone, |world, number| world.set_passkey(number, asked))
    }

    /// The account has this passkey from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`], [`Error::Invalid`], [`Error::Full`].
    pub fn register_passkey(&self, phone: &str, passkey: &Passkey) -> Result<(), Error> {
        self.on(phone, |world, number| {
            world.register_passkey(number, passkey)
        })
    }

    /// Somebody writes to the account. Returns the ids.
    ///
    /// # Errors
    ///
    /// As [`World::outside_message`].
    pub fn outside_message(
        &self,
        phone: &str,
        message: &OutsideMessage,
    ) -> Result<Vec<String>, Error> {
        self.on(phone, |world, number| {
            world.outside_message(number, message)
        })
    }

    /// The account's own phone writes. Returns the id.
    ///
    /// # Errors
    ///
    /// As [`World::phone_send`].
    pub fn phone_send(&self, phone: &str, to: &str, text: &str) -> Result<String, Error> {
        self.on(phone, |world, number| world.phone_send(number, to, text))
    }

    /// Somebody types, or stops to.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn outside_chatstate(
        &self,
        phone: &str,
        from: &str,
        group: Option<&str>,
        state: &str,
    ) -> Result<(), Error> {
        self.on(phone, |world, number| {
            world.outside_chatstate(number, from, group, state)
        })
    }

    /// The phone's owner saves somebody under a name.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn save_contact(&self, phone: &str, person: &str, name: &str) -> Result<(), Error> {
        self.on(phone, |world, number| {
            world.save_contact(number, person, name)
        })
    }

    /// Moves the account's chats from numbers to hidden ids.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn migrate_to_lid(&self, phone: &str) -> Result<(), Error> {
        self.on(phone, World::migrate_to_lid)
    }

    /// Changes a person who is no account.
    ///
    /// # Errors
    ///
    /// As [`World::patch_person`].
    pub fn patch_person(&self, person: &str, patch: PersonPatch) -> Result<(), Error> {
        self.hub.with(|world| world.patch_person(person, patch))
    }

    /// Makes a group; `owner` and `members` are numbers. Returns its address.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what is no number, [`Error::Full`].
    pub fn create_group(
        &self,
        subject: &str,
        owner: &str,
        members: &[String],
    ) -> Result<String, Error> {
        let number = |text: &str| {
            let digits = text.strip_suffix("@c.us").unwrap_or(text);
            Number::parse(digits).ok_or_else(|| Error::Invalid(format!("{digits:?} is no number")))
        };
        let owner = number(owner)?;
        let members = members
            .iter()
            .map(|m| number(m))
            .collect::<Result<Vec<_>, _>>()?;
        self.hub
            .with(|world| world.create_group(subject, &owner, &members))
    }

    /// Lets a fault loose.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn fault(&self, fault: Fault) -> Result<(), Error> {
        self.hub.with(|world| world.fault(fault))
    }

    /// The knobs as they stand.
    pub fn knobs(&self) -> Knobs {
        self.hub.with(|world| world.knobs().clone())
    }

    /// Turns knobs, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Knobs`]; nothing is turned then.
    pub fn turn(&self, patch: &Map<String, Value>) -> Result<Knobs, Error> {
        self.hub.with(|world| world.turn(patch))
    }

    /// The journal after a cursor, at most `limit` entries looked at; of
    /// those only the wanted kinds, where any are named.
    pub fn journal(&self, after: u64, limit: usize, only: &[Event]) -> JournalPage {
        self.hub.with(|world| {
            let journal = world.journal();
            let seen = journal.after(after, limit);
            JournalPage {
                entries: seen
                    .iter()
                    .filter(|e| only.is_empty() || only.contains(&e.event))
                    .cloned()
                    .collect(),
                next: seen.last().map_or(after, |e| e.seq),
                last: journal.last_seq(),
                repeats_dropped: journal.repeats_dropped(),
                truncated: journal.truncated(),
            }
        })
    }

    /// Waits for an entry after `after` that pleases.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`].
    pub async fn wait_for_entry(
        &self,
        after: u64,
        what: &'static str,
        within: Duration,
        mut pleases: impl FnMut(&Entry) -> bool,
    ) -> Result<Entry, Error> {
        let mut from = after;
        self.hub
            .wait_for(what, within, |world| {
                let new = world.journal().after(from, usize::MAX);
                let found = new.iter().find(|e| pleases(e)).cloned();
                from = world.journal().last_seq();
                found
            })
            .await
    }

    /// Cuts every socket; for the end.
    pub(crate) fn cut_all(&self) {
        let cut = Fault::DropSockets { account: None };
        if let Err(error) = self.fault(cut) {
            tracing::debug!(%error, "sockets could not be cut");
        }
    }
}
