//! A companion sends: repeats dropped, refusals, then taken for good.

use super::account::{Sent, StoredMessage};
use super::delivery::Envelope;
use super::faults::CutWhen;
use super::{ConnId, Timer, World};
use crate::address::{Number, Peer};
use crate::frames::{Item, Plain, SendFrame};
use crate::journal::{Entry, Event};
use std::collections::BTreeMap;
use std::sync::Arc;

/// WhatsApp's longest text.
const MAX_BODY_CHARS: usize = 65_536;
/// The most JSON in `content`.
const MAX_CONTENT_BYTES: usize = 64 * 1024;
/// The most messages that one account sends in a simulation.
const MAX_SENT: usize = 2_000_000;

/// `msg.type`s that the server passes on.
const KINDS: &[&str] = &[
    "chat",
    "image",
    "video",
    "audio",
    "ptt",
    "document",
    "sticker",
    "location",
    "vcard",
    "multi_vcard",
    "poll_creation",
    "reaction",
    "edit",
    "revoke",
    "poll_vote",
    "ephemeral_setting",
    "pin",
];

/// Kinds that speak of another message and make no new line in the chat.
pub(super) fn is_about_another(kind: &str) -> bool {
    matches!(
        kind,
        "reaction" | "edit" | "revoke" | "poll_vote" | "pin" | "ephemeral_setting"
    )
}

/// Why the server does not take a message.
struct Refusal {
    code: u16,
    level: i64,
    result: String,
    text: String,
}

impl Refusal {
    fn new(code: u16, text: &str) -> Self {
        Self {
            code,
            level: -1,
            result: "ERROR_UNKNOWN".to_owned(),
            text: text.to_owned(),
        }
    }
}

impl World {
    pub(super) fn on_send(
        &mut self,
        conn: ConnId,
        account: &Number,
        device: &str,
        frame: SendFrame,
    ) {
        let entry = |event| {
            let id: String = frame.id.chars().take(128).collect();
            Entry::new(event)
                .account(account)
                .device(device)
                .conn(conn)
                .id(&id)
                .kind(&frame.kind)
        };
        if self.faults.lose_send() {
            self.log(entry(Event::LostOnWire));
            return;
        }
        let cut = self.faults.cut_on_send();
        if cut == Some(CutWhen::Before) {
            self.log(entry(Event::LostOnWire));
            self.close(conn, None);
            return;
        }
        let peer = match self.check_send(account, &frame) {
            Ok(peer) => peer,
            Err(refusal) => {
                self.log(
                    entry(Event::Refused)
                        .level(i64::from(refusal.code))
                        .detail(refusal.text.clone()),
                );
                let nack = Plain::Nack {
                    id: frame.id,
                    chat: frame.chat,
                    code: refusal.code,
                    level: refusal.level,
                    result: refusal.result,
                    text: refusal.text,
                };
                self.answer_later(conn, nack);
                return;
            }
        };
        let repeat = self
            .accounts
            .get(account)
            .is_some_and(|a| a.sent.contains_key(&frame.id));
        if repeat && self.knobs.drop_repeats {
            let mut seen = entry(Event::Repeat).chat(&peer).body(&frame.body);
            seen.repeat = true;
            self.log(seen);
        } else {
            let mut taken = entry(Event::Taken).chat(&peer).body(&frame.body);
            taken.repeat = repeat;
            if frame.chat != peer.canonical() {
                taken = taken.detail(frame.chat.clone());
            }
            self.log(taken);
            self.take(account, Some(device), &peer, &frame);
        }
        if cut == Some(CutWhen::After) {
            self.log(entry(Event::AckDropped));
            self.close(conn, None);
            return;
        }
        if self.faults.drop_ack() {
            self.log(entry(Event::AckDropped));
            return;
        }
        self.log(entry(Event::Acked).chat(&peer));
        let ack = Plain::Ack {
            chat: self.chat_address(account, &peer),
            t: self.t(),
            level: 1,
            repeat,
            id: frame.id,
        };
        self.answer_later(conn, ack);
    }

    /// Acks and nacks go out after the knob's delay, on this socket or never.
    fn answer_later(&mut self, conn: ConnId, answer: Plain) {
        let delay = self.knobs.ack_delay_ms;
        if delay == 0 {
            self.send(conn, answer);
        } else {
            self.later(delay, Timer::Answer(conn, Box::new(answer.into())));
        }
    }

    /// Where the message goes, or why it goes nowhere.
    fn check_send(&mut self, account: &Number, frame: &SendFrame) -> Result<Peer, Refusal> {
        let id_ok = (1..=128).contains(&frame.id.len())
            && frame
                .id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if !id_ok {
            return Err(Refusal::new(400, "no message id"));
        }
        if !KINDS.contains(&frame.kind.as_str()) {
            return Err(Refusal::new(400, "no kind of message"));
        }
        let content = serde_json::to_vec(&frame.content).map_or(usize::MAX, |b| b.len());
        if frame.body.chars().count() > MAX_BODY_CHARS || content > MAX_CONTENT_BYTES {
            return Err(Refusal::new(413, "too large"));
        }
        let peer = self
            .resolve(&frame.chat)
            .ok_or_else(|| Refusal::new(404, "no such chat"))?;
        if let Some(sent) = self.accounts.get(account).map(|a| &a.sent) {
            if sent.contains_key(&frame.id) {
                // A repeat was let through once; it is not judged again.
                return Ok(peer);
            }
            if sent.len() >= MAX_SENT {
                return Err(Refusal::new(500, "the simulator is full"));
            }
        }
        if let Some(refused) = self.faults.refuse_send() {
            return Err(Refusal {
                code: refused.code,
                level: refused.level,
                result: refused.result,
                text: "refused by the control side".to_owned(),
            });
        }
        match &peer {
            Peer::Person(number) => {
                if !self.exists(number) {
                    return Err(Refusal::new(406, "the recipient is not on WhatsApp"));
                }
            }
            Peer::Group(id) => self
                .may_write(id, account)
                .map_err(|text| Refusal::new(403, text))?,
            Peer::Status => {}
        }
        if let Some(media) = frame.content.get("media") {
            let known = media
                .get("direct_path")
                .and_then(|p| p.as_str())
                .is_some_and(|p| self.media.knows(p));
            if !known {
                return Err(Refusal::new(404, "no such media"));
            }
        }
        Ok(peer)
    }

    /// The server owes the message from here on: other companions, the
    /// phone's store, the recipients.
    pub(super) fn take(
        &mut self,
        account: &Number,
        by_device: Option<&str>,
        peer: &Peer,
        frame: &SendFrame,
    ) {
        let recipients = self.recipients(account, peer);
        let stored = StoredMessage {
            id: frame.id.clone(),
            author: account.clone(),
            kind: frame.kind.clone(),
            body: frame.body.clone(),
            content: frame.content.clone(),
            t: self.t(),
        };
        if let Some(account) = self.accounts.get_mut(account) {
            account
                .sent
                .entry(frame.id.clone())
                .or_insert_with(|| Sent {
                    chat: peer.clone(),
                    ack: 1,
                    levels: recipients
                        .iter()
                        .map(|n| (n.clone(), 1))
                        .collect::<BTreeMap<_, _>>(),
                });
        }
        if !is_about_another(&frame.kind) {
            self.keep(account, peer, stored.clone());
        }
        let copy = self.render(account, peer, &stored);
        self.enqueue_all(account, by_device, &Item::Message(Box::new(copy)));
        let envelope = Arc::new(Envelope {
            from: account.clone(),
            group: match peer {
                Peer::Group(id) => Some(id.clone()),
                Peer::Person(_) | Peer::Status => None,
            },
            status: *peer == Peer::Status,
            message: stored,
        });
        for to in recipients {
            self.post(&to, &envelope);
        }
    }

    fn recipients(&self, account: &Number, peer: &Peer) -> Vec<Number> {
        match peer {
            Peer::Person(number) => vec![number.clone()],
            Peer::Group(id) => self
                .groups
                .get(id)
                .map(|g| {
                    g.members
                        .keys()
                        .filter(|n| *n != account)
                        .cloned()
                        .collect()
                })
                .unwrap_or_default(),
            // Who sees a story is decided by the phone; here: every saved contact.
            Peer::Status => self
                .accounts
                .get(account)
                .map(|a| a.contacts.keys().cloned().collect())
                .unwrap_or_default(),
        }
    }
}
