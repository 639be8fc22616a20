//! What becomes of messages and groups on a scripted page: told like inbound
//! messages, and kept until the gateway has it.

use super::page::Page;
use crate::frames::MessageFrame;
use serde_json::Value;
use std::time::Duration;
use steadfast_core::action::Contact;
use steadfast_core::ids::{ChatId, MessageKey, WaMessageId};
use steadfast_core::inbound::Happening;
use steadfast_core::port::InboundRefused;
use steadfast_core::time::UnixMs;
use tokio::time::Instant;

/// How long a happening that the gateway could not store waits for the next try.
const RETRY: Duration = Duration::from_millis(500);
/// Happenings that go to the gateway in one go before the socket is heard again.
const BATCH: usize = 64;

/// Kinds that change another message, or the chat, and are no message themselves.
pub(super) fn is_no_message(kind: &str) -> bool {
    matches!(
        kind,
        "edit" | "revoke" | "reaction" | "poll_vote" | "pin" | "ephemeral_setting"
    )
}

impl Page {
    /// Takes what changes another message. True where there is news for the gateway.
    pub(super) fn take_change(&self, frame: &MessageFrame) -> bool {
        let target = frame.content.get("target").unwrap_or(&Value::Null);
        let Some(message) = target["id"].as_str().and_then(|id| self.key_of(id)) else {
            return false;
        };
        let at = UnixMs(frame.t.saturating_mul(1000));
        let happening = match frame.kind.as_str() {
            "edit" => Happening::Edited {
                message,
                text: frame.body.clone(),
                at,
            },
            "revoke" => Happening::Revoked { message, at },
            "reaction" => {
                let Ok(sender) = ChatId::parse(&frame.author) else {
                    return false;
                };
                let emoji = frame.content.get("reaction").and_then(Value::as_str);
                Happening::Reaction {
                    message,
                    sender,
                    emoji: emoji.unwrap_or_default().to_owned(),
                    at,
                }
            }
            _ => return false,
        };
        self.profile().happenings.push_back(happening);
        true
    }

    /// The key of a message that this page knows.
    fn key_of(&self, id: &str) -> Option<MessageKey> {
        let profile = self.profile();
        let known = profile.messages.get(id)?;
        let chat = ChatId::parse(&known.chat).ok()?;
        let author = profile.authors.get(id);
        let me = profile.me.as_ref().map(|(id, _)| id);
        let participant = chat.is_group().then(|| author.or(me).cloned()).flatten();
        Some(MessageKey {
            from_me: author.is_none(),
            id: WaMessageId::parse(id).ok()?,
            chat,
            participant,
        })
    }

    /// Takes a change of a group, which makes its chat known too.
    pub(super) fn take_group(
        &self,
        group: &Value,
        change: String,
        author: &str,
        participants: &[String],
        t: i64,
    ) -> bool {
        let Some(id) = group["id"].as_str().and_then(|id| ChatId::parse(id).ok()) else {
            return false;
        };
        self.take_chat(&serde_json::json!({
            "id": id, "name": group["subject"], "t": t,
        }));
        let happening = Happening::Group {
            group: id,
            change,
            by: ChatId::parse(author).ok(),
            participants: participants
                .iter()
                .filter_map(|who| ChatId::parse(who).ok())
                .collect(),
            at: UnixMs(t.saturating_mul(1000)),
        };
        self.profile().happenings.push_back(happening);
        true
    }

    /// A contact of the phone's address book, or one that left it.
    pub(super) fn take_contact(&self, contact: &Value) {
        let Some(id) = contact["id"].as_str().and_then(|id| ChatId::parse(id).ok()) else {
            return;
        };
        let text = |name: &str| contact[name].as_str().map(str::to_owned);
        let mut profile = self.profile();
        if contact["saved"] == true {
            profile.contacts.insert(
                id.as_str().to_owned(),
                Contact {
                    name: text("name"),
                    push_name: text("push_name"),
                    is_saved: true,
                    is_blocked: false,
                    id,
                },
            );
        } else {
            profile.contacts.remove(id.as_str());
        }
    }

    /// Offers what happened to the gateway, oldest first; what it cannot
    /// store stays. Tells when to offer again.
    pub(super) async fn offer_happenings(&self) -> Option<Instant> {
        for _ in 0..BATCH {
            let happening = self.profile().happenings.front().cloned()?;
            match self.sink.happened(self.epoch, happening).await {
                Ok(()) => {
                    self.profile().happenings.pop_front();
                }
                Err(InboundRefused::StaleEpoch) => return None,
                Err(InboundRefused::NotStored(_)) => return Some(Instant::now() + RETRY),
            }
        }
        Some(Instant::now())
    }
}
