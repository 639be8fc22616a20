//! Accounts: a phone, its companions, and what the phone knows.

use super::passkey::Registered;
use super::{ConnId, World};
use crate::address::{Number, Peer};
use crate::frames::{Item, Me, MessageFrame, ServerFrame};
use crate::journal::{Entry, Event};
use crate::knobs::Addressing;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// Items that wait for one device; WhatsApp drops a device that stays away too long.
pub(super) const MAX_QUEUE: usize = 200_000;
/// Items under way to one device at once, not yet confirmed.
pub(super) const WINDOW: usize = 256;
/// Messages that the phone keeps a chat.
const PHONE_KEEPS: usize = 1_000;

/// One WhatsApp account with its phone.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) addressing: Addressing,
    pub(super) phone_online: bool,
    /// Whether linking asks for one of its passkeys.
    pub(super) passkey: bool,
    pub(super) passkeys: Vec<Registered>,
    pub(super) ban: Option<Ban>,
    pub(super) next_device: u32,
    pub(super) devices: BTreeMap<String, Device>,
    pub(super) chats: BTreeMap<Peer, Chat>,
    /// Saved names.
    pub(super) contacts: BTreeMap<Number, String>,
    pub(super) blocked: BTreeSet<Number>,
    /// Every id that this account has sent.
    pub(super) sent: HashMap<String, Sent>,
    pub(super) pair_code: Option<PairCode>,
    pub(super) watched: BTreeSet<Number>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Ban {
    /// Until this Unix time in milliseconds.
    Temporary(i64),
    /// For good.
    Locked,
}

#[derive(Debug)]
pub(super) struct PairCode {
    pub(super) code: String,
    pub(super) conn: ConnId,
    pub(super) expires_ms: i64,
}

/// One companion device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) number: u32,
    pub(super) token: String,
    pub(super) linked_ms: i64,
    pub(super) queue: VecDeque<(u64, Item)>,
    pub(super) next_sid: u64,
    /// The newest item sent on the present connection.
    pub(super) sent_through: u64,
    pub(super) conn: Option<ConnId>,
    pub(super) synced: bool,
}

/// What the phone knows of one chat.
#[derive(Debug, Default)]
pub(super) struct Chat {
    pub(super) t: i64,
    pub(super) unread: u32,
    pub(super) archived: bool,
    pub(super) pinned: i64,
    pub(super) mute_until: i64,
    pub(super) ephemeral_s: i64,
    pub(super) messages: VecDeque<StoredMessage>,
}

/// A message as the phone keeps it.
#[derive(Debug, Clone)]
pub(super) struct StoredMessage {
    pub(super) id: String,
    pub(super) author: Number,
    pub(super) kind: String,
    pub(super) body: String,
    pub(super) content: Map<String, Value>,
    pub(super) t: i64,
}

/// A message that the account has sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) chat: Peer,
    /// The level that every recipient has reached.
    pub(super) ack: i64,
    /// Each recipient's own.
    pub(super) levels: BTreeMap<Number, i64>,
}

/// An account, as the control side shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountView {
    /// Its number.
    pub phone: String,
    /// By number.
    pub pn: String,
    /// By hidden id.
    pub lid: String,
    /// Its name.
    pub push_name: String,
    /// Whether its phone has network.
    pub phone_online: bool,
    /// How its companions name people.
    pub addressing: Addressing,
    /// Its companions.
    pub devices: Vec<DeviceView>,
}

/// A companion, as the control side shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceView {
    /// Its id.
    pub id: String,
    /// Its number on the account.
    pub number: u32,
    /// Whether a page is connected as it.
    pub connected: bool,
    /// Whether that page has caught up.
    pub synced: bool,
    /// Items that it has not confirmed.
    pub queued: usize,
    /// When it was linked, Unix milliseconds.
    pub linked_ms: i64,
}

impl Account {
    pub(super) fn new(addressing: Addressing) -> Self {
        Self {
            addressing,
            phone_online: true,
            passkey: false,
            passkeys: Vec::new(),
            ban: None,
            next_device: 1,
            devices: BTreeMap::new(),
            chats: BTreeMap::new(),
            contacts: BTreeMap::new(),
            blocked: BTreeSet::new(),
            sent: HashMap::new(),
            pair_code: None,
            watched: BTreeSet::new(),
        }
    }

    pub(super) fn banned(&self, now_ms: i64) -> bool {
        match self.ban {
            Some(Ban::Temporary(until)) => until > now_ms,
            Some(Ban::Locked) => true,
            None => false,
        }
    }
}

impl World {
    pub(super) fn me(&mut self, account: &Number, device_number: u32) -> Me {
        Me {
            pn: account.pn(),
            lid: self.lid(account),
            push_name: self.push_name(account),
            device_number,
            platform: "android",
        }
    }

    pub(super) fn device_mut(&mut self, account: &Number, device: &str) -> Option<&mut Device> {
        self.accounts.get_mut(account)?.devices.get_mut(device)
    }

    /// The device is no longer connected by this socket.
    pub(super) fn detach(&mut self, account: &Number, device: &str, conn: ConnId) {
        if let Some(device) = self.device_mut(account, device)
            && device.conn == Some(conn)
        {
            device.conn = None;
            device.synced = false;
        }
    }

    /// Queues an item for one device and sends what may be sent.
    pub(super) fn enqueue(&mut self, account: &Number, device: &str, item: Item) {
        let Some(to) = self.device_mut(account, device) else {
            return;
        };
        if to.queue.len() >= MAX_QUEUE {
            self.log(Entry::new(Event::Overflow).account(account).device(device));
            return;
        }
        let sid = to.next_sid;
        to.next_sid += 1;
        to.queue.push_back((sid, item));
        self.pump(account, device);
    }

    /// Queues an item for every device but one.
    pub(super) fn enqueue_all(&mut self, account: &Number, but: Option<&str>, item: &Item) {
        let devices: Vec<String> = self
            .accounts
            .get(account)
            .map(|a| a.devices.keys().cloned().collect())
            .unwrap_or_default();
        for device in devices.iter().filter(|d| but != Some(d.as_str())) {
            self.enqueue(account, device, item.clone());
        }
    }

    /// Sends what the window and the phase of the connection allow.
    pub(super) fn pump(&mut self, account: &Number, device: &str) {
        let Some(conn) = self.device_mut(account, device).and_then(|d| d.conn) else {
            return;
        };
        let Some(through) = self.phase_mut(conn).and_then(|p| p.may_send_through()) else {
            return;
        };
        let offline_through = self.phase_mut(conn).map_or(0, |p| p.offline_through());
        let mut out = Vec::new();
        if let Some(device) = self.device_mut(account, device) {
            let sent = device
                .queue
                .partition_point(|(sid, _)| *sid <= device.sent_through);
            for (sid, item) in device
                .queue
                .iter()
                .skip(sent)
                .take(WINDOW.saturating_sub(sent))
                .take_while(|(sid, _)| *sid <= through)
            {
                out.push(ServerFrame::Item {
                    sid: *sid,
                    offline: *sid <= offline_through,
                    item: item.clone(),
                });
            }
            if let Some(ServerFrame::Item { sid, .. }) = out.last() {
                device.sent_through = *sid;
            }
        }
        for frame in out {
            if let ServerFrame::Item { item, .. } = &frame {
                let mut entry = Entry::new(Event::Pushed)
                    .account(account)
                    .device(device)
                    .conn(conn);
                if let Item::Message(message) = item {
                    entry = entry.id(&message.id).kind(&message.kind);
                }
                self.log(entry);
            }
            self.send_frame(conn, frame);
        }
        self.check_offline_sent(account, device, conn);
    }

    /// The device has committed these items.
    pub(super) fn on_received(&mut self, account: &Number, device: &str, sids: &[u64]) {
        let mut gone = Vec::new();
        if let Some(device) = self.device_mut(account, device) {
            for sid in sids {
                if let Ok(at) = device.queue.binary_search_by_key(sid, |(sid, _)| *sid)
                    && let Some((_, item)) = device.queue.remove(at)
                {
                    gone.push(item);
                }
            }
        }
        for item in gone {
            if let Item::Message(message) = item {
                self.log(
                    Entry::new(Event::Received)
                        .account(account)
                        .device(device)
                        .id(&message.id)
                        .kind(&message.kind),
                );
                self.confirm_to_author(account, &message.id, &message.author_pn, 2);
            }
        }
        self.pump(account, device);
    }

    /// Keeps a message in the phone's own store.
    pub(super) fn keep(&mut self, account: &Number, peer: &Peer, message: StoredMessage) {
        if let Some(account) = self.accounts.get_mut(account) {
            let chat = account.chats.entry(peer.clone()).or_default();
            chat.t = chat.t.max(message.t);
            chat.messages.push_back(message);
            if chat.messages.len() > PHONE_KEEPS {
                chat.messages.pop_front();
            }
        }
    }

    /// A kept message as this account's companions see it.
    pub(super) fn render(
        &mut self,
        account: &Number,
        peer: &Peer,
        message: &StoredMessage,
    ) -> MessageFrame {
        let from_me = message.author == *account;
        let ack = if from_me {
            self.accounts
                .get(account)
                .and_then(|a| a.sent.get(&message.id))
                .map_or(1, |s| s.ack)
        } else {
            0
        };
        MessageFrame {
            id: message.id.clone(),
            chat: self.chat_address(account, peer),
            author: self.address(account, &message.author),
            author_pn: message.author.pn(),
            from_me,
            kind: message.kind.clone(),
            body: message.body.clone(),
            t: message.t,
            push_name: self.push_name(&message.author),
            content: message.content.clone(),
            ack,
        }
    }

    /// A chat as the protocol shows it.
    pub(super) fn chat_value(&mut self, account: &Number, peer: &Peer) -> Option<Value> {
        let id = self.chat_address(account, peer);
        let name = match peer {
            Peer::Person(number) => {
                let saved = self.accounts.get(account)?.contacts.get(number).cloned();
                saved.unwrap_or_else(|| self.push_name(number))
            }
            Peer::Group(group) => self.groups.get(group)?.subject.clone(),
            Peer::Status => "Status".to_owned(),
        };
        let chat = self.accounts.get(account)?.chats.get(peer)?;
        Some(json!({
            "id": id,
            "kind": if matches!(peer, Peer::Person(_)) { "user" } else { "group" },
            "name": name,
            "t": chat.t,
            "unread": chat.unread,
            "archived": chat.archived,
            "pinned": chat.pinned,
            "mute_until": chat.mute_until,
            "ephemeral_s": chat.ephemeral_s,
        }))
    }

    /// A contact as the protocol shows it.
    pub(super) fn contact_value(&mut self, account: &Number, number: &Number) -> Value {
        let saved = self
            .accounts
            .get(account)
            .and_then(|a| a.contacts.get(number).cloned());
        let business = self.person_mut(number).is_some_and(|p| p.business);
        json!({
            "id": self.address(account, number),
            "pn": number.pn(),
            "lid": self.lid(number),
            "name": saved,
            "push_name": self.push_name(number),
            "business": business,
            "saved": saved.is_some(),
        })
    }
}
