//! What survives a scripted page: its login, its messages, its outbox.

use crate::frames::{DeviceLogin, PageKeys};
use crate::rng::Rng;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, VecDeque};
use steadfast_core::action::Contact;
use steadfast_core::ids::ChatId;
use steadfast_core::inbound::{Happening, InboundMessage};
use steadfast_core::port::ChatSummary;

/// A message of ours as the page knows it.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) chat: String,
    pub(super) written: Written,
    /// WhatsApp's level; 0 is in the outbox, negative has failed.
    pub(super) level: i64,
}

/// A message as its frame says it.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    pub(super) kind: String,
    pub(super) body: String,
    pub(super) content: Map<String, Value>,
}

/// A profile.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) keys: PageKeys,
    pub(super) login: Option<DeviceLogin>,
    pub(super) have_history: bool,
    /// It was synced once.
    pub(super) worked: bool,
    pub(super) messages: BTreeMap<String, Known>,
    /// Ids not yet acked, oldest first.
    pub(super) outbox: VecDeque<String>,
    /// What others wrote and nobody has taken yet, oldest first.
    pub(super) inbound: VecDeque<InboundMessage>,
    pub(super) chats: BTreeMap<String, ChatSummary>,
    /// Who wrote the messages that are not ours, by the message's id.
    pub(super) authors: BTreeMap<String, ChatId>,
    /// What happened and nobody has taken yet, oldest first.
    pub(super) happenings: VecDeque<Happening>,
    /// The phone's address book.
    pub(super) contacts: BTreeMap<String, Contact>,
    /// Who we are, and under which name.
    pub(super) me: Option<(ChatId, String)>,
}

impl Profile {
    pub(super) fn empty(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x0A6E);
        Self {
            keys: PageKeys {
                static_key: rng.base64(32),
                identity: rng.base64(32),
                adv: rng.base64(32),
            },
            login: None,
            have_history: false,
            worked: false,
            messages: BTreeMap::new(),
            outbox: VecDeque::new(),
            inbound: VecDeque::new(),
            chats: BTreeMap::new(),
            authors: BTreeMap::new(),
            happenings: VecDeque::new(),
            contacts: BTreeMap::new(),
            me: None,
        }
    }

    /// WhatsApp has logged this profile out: nothing of it may be used again.
    pub(super) fn forget(&mut self) {
        let keys = self.keys.clone();
        *self = Self {
            keys,
            ..Self::empty(0)
        };
    }
}
