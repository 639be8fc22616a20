//! What a scripted page does with messages: levels of ours, those of others.

use super::content::extras;
use super::happenings::is_no_message;
use super::page::Page;
use super::profile::{Known, Written};
use crate::frames::{Item, Me, MessageFrame};
use serde_json::Value;
use std::time::Duration;
use steadfast_core::ids::{ChatId, WaMessageId};
use steadfast_core::inbound::InboundMessage;
use steadfast_core::outbox::Ack;
use steadfast_core::port::{ChatSummary, EngineEvent, InboundRefused};
use steadfast_core::time::UnixMs;
use tokio::time::Instant;

/// How long a message that the gateway could not store waits for the next try.
const INBOUND_RETRY: Duration = Duration::from_millis(500);
/// Messages that go to the gateway in one go before the socket is heard again.
const INBOUND_BATCH: usize = 64;

impl Page {
    /// A level of a message of ours: tells who waits, and the supervisor.
    pub(super) fn take_level(&self, id: &str, level: i64) {
        {
            let mut profile = self.profile();
            if level != 0 {
                profile.outbox.retain(|o| o != id);
            }
            match profile.messages.get_mut(id) {
                Some(known) if level < 0 && known.level <= 0 => known.level = level,
                Some(known) if level > known.level => known.level = level,
                _ => return,
            }
        }
        let waiting = self.take_waiting(id);
        let waited = waiting.is_some_and(|w| w.send(level).is_ok());
        let Ok(wa_message_id) = WaMessageId::parse(id) else {
            return;
        };
        match Ack::from_level(level) {
            Some(ack) => self.event(EngineEvent::Ack { wa_message_id, ack }),
            None if !waited => self.event(EngineEvent::AckError {
                wa_message_id,
                level,
            }),
            None => {}
        }
    }

    /// Takes something from the queue. True where there is a message for the gateway.
    pub(super) fn take_item(&self, item: Item) -> bool {
        match item {
            Item::Message(message) if is_no_message(&message.kind) => self.take_change(&message),
            Item::Message(message) => self.take_message(*message),
            Item::GroupUpdate {
                group,
                action,
                author,
                participants,
                t,
            } => self.take_group(&group, action, &author, &participants, t),
            Item::ContactUpdate { contact } => {
                self.take_contact(&contact);
                false
            }
            Item::MeUpdate { me } => {
                self.take_me(me);
                false
            }
            Item::Receipt {
                ids,
                level,
                participant: None,
                ..
            } => {
                for id in ids {
                    self.take_level(&id, level);
                }
                false
            }
            Item::Receipt { .. }
            | Item::ChatUpdate { .. }
            | Item::LidMigration { .. }
            | Item::BlocklistUpdate { .. } => false,
        }
    }

    /// Who we are: kept, and told.
    pub(super) fn take_me(&self, me: Me) {
        if let Ok(id) = ChatId::parse(&me.pn) {
            self.profile().me = Some((id.clone(), me.push_name.clone()));
            self.event(EngineEvent::Me {
                id,
                push_name: Some(me.push_name),
            });
        }
    }

    fn take_message(&self, message: MessageFrame) -> bool {
        let (Ok(wa_message_id), Ok(chat), Ok(sender)) = (
            WaMessageId::parse(&message.id),
            ChatId::parse(&message.chat),
            ChatId::parse(&message.author),
        ) else {
            return false;
        };
        let sent_at = UnixMs(message.t.saturating_mul(1000));
        let mut profile = self.profile();
        if profile.messages.contains_key(&message.id) {
            return false;
        }
        if !message.from_me {
            profile.authors.insert(message.id.clone(), sender.clone());
        }
        profile.messages.insert(
            message.id,
            Known {
                chat: message.chat.clone(),
                written: Written {
                    kind: message.kind.clone(),
                    body: message.body.clone(),
                    content: message.content.clone(),
                },
                level: if message.from_me { message.ack } else { 1 },
            },
        );
        let unread = u32::from(!message.from_me);
        let summary = profile
            .chats
            .entry(message.chat)
            .or_insert_with(|| ChatSummary {
                name: message.push_name.clone(),
                is_group: chat.is_group(),
                id: chat.clone(),
                unread: 0,
                last_message_at: None,
            });
        summary.unread = summary.unread.saturating_add(unread);
        summary.last_message_at = Some(sent_at);
        let extras = extras(
            &message.kind,
            &message.push_name,
            &message.body,
            &message.content,
        );
        profile.inbound.push_back(InboundMessage {
            wa_message_id,
            chat,
            chat_also: None,
            sender,
            from_me: message.from_me,
            kind: message.kind,
            text: message.body,
            sent_at,
            recovered: false,
            extras,
        });
        true
    }

    pub(super) fn take_history(&self, message: &MessageFrame) {
        let mut profile = self.profile();
        if let Ok(author) = ChatId::parse(&message.author)
            && !message.from_me
        {
            profile.authors.insert(message.id.clone(), author);
        }
        profile
            .messages
            .entry(message.id.clone())
            .or_insert_with(|| Known {
                chat: message.chat.clone(),
                written: Written {
                    kind: message.kind.clone(),
                    body: message.body.clone(),
                    content: message.content.clone(),
                },
                level: message.ack.max(1),
            });
    }

    pub(super) fn take_chat(&self, chat: &Value) {
        let text = |name: &str| chat[name].as_str().unwrap_or_default().to_owned();
        let Ok(id) = ChatId::parse(&text("id")) else {
            return;
        };
        let summary = ChatSummary {
            name: text("name"),
            is_group: id.is_group(),
            id: id.clone(),
            unread: chat["unread"]
                .as_u64()
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(0),
            last_message_at: chat["t"]
                .as_i64()
                .filter(|t| *t > 0)
                .map(|t| UnixMs(t.saturating_mul(1000))),
        };
        self.profile().chats.insert(id.as_str().to_owned(), summary);
    }

    /// Offers what others wrote to the gateway, oldest first; what it cannot
    /// store stays. Tells when to offer again.
    pub(super) async fn offer_inbound(&self) -> Option<Instant> {
        for _ in 0..INBOUND_BATCH {
            let message = self.profile().inbound.front().cloned()?;
            match self.sink.inbound(self.epoch, message).await {
                Ok(()) => {
                    self.profile().inbound.pop_front();
                }
                Err(InboundRefused::StaleEpoch) => return None,
                Err(InboundRefused::NotStored(_)) => {
                    if let Some(front) = self.profile().inbound.front_mut() {
                        front.recovered = true;
                    }
                    return Some(Instant::now() + INBOUND_RETRY);
                }
            }
        }
        Some(Instant::now())
    }
}
