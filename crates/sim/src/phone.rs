//! The account's phone and the people around it, as a test holds them: the
//! same calls whether the engine under test is scripted or drives a real
//! browser on the simulator.

use crate::control::Control;
use crate::error::Error;
use crate::journal::{ArrivedFile, Entry, Event};
use crate::world::{Fault, OutsideMessage, Passkey, PersonPatch};
use async_trait::async_trait;
use serde_json::{Map, Value};
use std::time::Duration;
use steadfast_core::ids::{ChatId, WaMessageId};

/// A message that reached somebody else's phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Its id.
    pub wa_id: String,
    /// Whose phone, by number.
    pub to: String,
    /// Its text.
    pub text: String,
    /// WhatsApp's name of its kind.
    pub kind: String,
    /// What it carries beside its text.
    pub content: Map<String, Value>,
    /// Its file, as the phone has fetched it.
    pub file: Option<ArrivedFile>,
}

/// A phone, other people, and the world between.
#[async_trait]
pub trait Phone: Send + Sync {
    /// The account's own number id.
    fn id(&self) -> ChatId;

    /// Scans the whole string of a QR code.
    async fn scan(&self, code: &str) -> Result<(), Error>;

    /// Types a pairing code.
    async fn enter_pairing_code(&self, code: &str) -> Result<(), Error>;

    /// The account has this passkey, and asks for it before it links.
    async fn demand_passkey(&self, passkey: &Passkey) -> Result<(), Error>;

    /// Unlinks every companion. Returns how many there were.
    async fn unlink(&self) -> Result<usize, Error>;

    /// Somebody writes to the account. Returns the message's id.
    async fn send_text(&self, from: &ChatId, text: &str) -> Result<WaMessageId, Error>;

    /// Somebody writes to the account, whatever kind of message. Returns its id.
    async fn send(&self, message: &OutsideMessage) -> Result<WaMessageId, Error>;

    /// Somebody makes a group. Returns its id.
    async fn create_group(
        &self,
        subject: &str,
        owner: &ChatId,
        members: &[ChatId],
    ) -> Result<ChatId, Error>;

    /// What has reached other people's phones so far, in order.
    async fn reached(&self) -> Result<Vec<Reached>, Error>;

    /// How many sends the server dropped because it had seen their id.
    async fn repeats_dropped(&self) -> Result<u64, Error>;

    /// Whether somebody is on WhatsApp.
    async fn set_exists(&self, who: &ChatId, exists: bool) -> Result<(), Error>;

    /// Lets a fault loose.
    async fn fault(&self, fault: Fault) -> Result<(), Error>;

    /// The journal so far.
    async fn journal(&self) -> Result<Vec<Entry>, Error>;

    /// Waits until the journal has an entry of this event that pleases.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] after `within`.
    async fn wait_for(
        &self,
        event: Event,
        within: Duration,
        pleases: &(dyn for<'a> Fn(&'a Entry) -> bool + Sync),
    ) -> Result<Entry, Error>;
}

/// An account of a world in this process.
#[derive(Clone)]
pub struct WorldPhone {
    control: Control,
    number: String,
    id: ChatId,
}

impl WorldPhone {
    /// The phone of an account that exists.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn new(control: Control, number: &str) -> Result<Self, Error> {
        let view = control.account(number)?;
        let id = ChatId::parse(&view.pn).map_err(|e| Error::Invalid(e.to_string()))?;
        Ok(Self {
            control,
            number: view.phone,
            id,
        })
    }

    /// All that can be done in this world.
    pub fn control(&self) -> &Control {
        &self.control
    }

    fn ours(&self, entry: &Entry) -> bool {
        entry.account.as_deref() == Some(&self.number)
    }
}

#[async_trait]
impl Phone for WorldPhone {
    fn id(&self) -> ChatId {
        self.id.clone()
    }

    async fn scan(&self, code: &str) -> Result<(), Error> {
        self.control.scan(&self.number, code)
    }

    async fn enter_pairing_code(&self, code: &str) -> Result<(), Error> {
        self.control.enter_pairing_code(&self.number, code)
    }

    async fn demand_passkey(&self, passkey: &Passkey) -> Result<(), Error> {
        self.control.register_passkey(&self.number, passkey)?;
        self.control.set_passkey(&self.number, true)
    }

    async fn unlink(&self) -> Result<usize, Error> {
        self.control.unlink(&self.number, None, 0)
    }

    async fn send_text(&self, from: &ChatId, text: &str) -> Result<WaMessageId, Error> {
        let message = OutsideMessage {
            from: from.as_str().to_owned(),
            text: text.to_owned(),
            ..OutsideMessage::default()
        };
        self.send(&message).await
    }

    async fn send(&self, message: &OutsideMessage) -> Result<WaMessageId, Error> {
        let ids = self.control.outside_message(&self.number, message)?;
        let id = ids.first().map(String::as_str).unwrap_or_default();
        WaMessageId::parse(id).map_err(|e| Error::Invalid(e.to_string()))
    }

    async fn create_group(
        &self,
        subject: &str,
        owner: &ChatId,
        members: &[ChatId],
    ) -> Result<ChatId, Error> {
        let members: Vec<String> = members.iter().map(ToString::to_string).collect();
        let id = self
            .control
            .create_group(subject, owner.as_str(), &members)?;
        ChatId::parse(&id).map_err(|e| Error::Invalid(e.to_string()))
    }

    async fn reached(&self) -> Result<Vec<Reached>, Error> {
        let page = self.control.journal(0, usize::MAX, &[Event::Delivered]);
        Ok(page
            .entries
            .into_iter()
            .filter(|e| self.ours(e))
            .map(|e| Reached {
                wa_id: e.id.unwrap_or_default(),
                to: e.peer.unwrap_or_default(),
                text: e.body.unwrap_or_default(),
                kind: e.kind.unwrap_or_default(),
                content: e.content.map(|content| *content).unwrap_or_default(),
                file: e.file.map(|file| *file),
            })
            .collect())
    }

    async fn repeats_dropped(&self) -> Result<u64, Error> {
        let page = self.control.journal(0, usize::MAX, &[Event::Repeat]);
        Ok(page.entries.iter().filter(|e| self.ours(e)).count() as u64)
    }

    async fn set_exists(&self, who: &ChatId, exists: bool) -> Result<(), Error> {
        let patch = PersonPatch {
            exists: Some(exists),
            ..PersonPatch::default()
        };
        self.control.patch_person(who.as_str(), patch)
    }

    async fn fault(&self, fault: Fault) -> Result<(), Error> {
        self.control.fault(fault)
    }

    async fn journal(&self) -> Result<Vec<Entry>, Error> {
        Ok(self.control.journal(0, usize::MAX, &[]).entries)
    }

    async fn wait_for(
        &self,
        event: Event,
        within: Duration,
        pleases: &(dyn for<'a> Fn(&'a Entry) -> bool + Sync),
    ) -> Result<Entry, Error> {
        self.control
            .wait_for_entry(0, "an entry in the journal", within, |e| {
                e.event == event && pleases(e)
            })
            .await
    }
}
