//! Messages that reach an account, and what its companions say back.

use super::account::StoredMessage;
use super::sending::is_about_another;
use super::{ConnId, World};
use crate::address::{Number, Peer};
use crate::frames::{Item, Plain};
use crate::journal::{Entry, Event};
use serde_json::{Map, Value};

impl World {
    /// A message of somebody else reaches an account: its phone keeps it,
    /// every companion is to have it.
    pub(super) fn incoming(
        &mut self,
        account: &Number,
        from: &Number,
        chat: &Peer,
        message: &StoredMessage,
    ) {
        let blocked = self
            .accounts
            .get(account)
            .is_none_or(|a| a.blocked.contains(from));
        if blocked {
            return;
        }
        self.log(
            Entry::new(Event::Incoming)
                .account(account)
                .peer(from)
                .chat(chat)
                .id(&message.id)
                .kind(&message.kind)
                .body(&message.body),
        );
        if !is_about_another(&message.kind) {
            self.keep(account, chat, message.clone());
            if let Some(chat) = self
                .accounts
                .get_mut(account)
                .and_then(|a| a.chats.get_mut(chat))
            {
                chat.unread = chat.unread.saturating_add(1);
            }
        }
        let frame = self.render(account, chat, message);
        self.enqueue_all(account, None, &Item::Message(Box::new(frame)));
    }

    /// The author of a message that reached one of our accounts gets a
    /// receipt, where the author is an account of this world too.
    pub(super) fn confirm_to_author(
        &mut self,
        reader: &Number,
        id: &str,
        author_pn: &str,
        level: i64,
    ) {
        let Some(author) = self.resolve_person(author_pn) else {
            return;
        };
        if author == *reader {
            return;
        }
        let chat = self
            .accounts
            .get(&author)
            .and_then(|a| a.sent.get(id))
            .map(|s| s.chat.clone());
        if let Some(chat) = chat {
            self.receipt(&author, id, &chat, reader, level);
        }
    }

    pub(super) fn on_read(&mut self, account: &Number, device: &str, chat: &str, ids: &[String]) {
        let Some(peer) = self.resolve(chat) else {
            return;
        };
        let entry = Entry::new(Event::Read)
            .account(account)
            .device(device)
            .chat(&peer);
        if ids.is_empty() {
            self.log(entry);
        } else {
            for id in ids.iter().take(1_000) {
                self.log(entry.clone().id(id));
            }
        }
        let mut read: Vec<(String, String)> = Vec::new();
        let mut was_unread = false;
        if let Some(chat) = self
            .accounts
            .get_mut(account)
            .and_then(|a| a.chats.get_mut(&peer))
        {
            was_unread = chat.unread > 0;
            chat.unread = 0;
            read.extend(
                chat.messages
                    .iter()
                    .filter(|m| m.author != *account && (ids.is_empty() || ids.contains(&m.id)))
                    .map(|m| (m.id.clone(), m.author.pn())),
            );
        }
        for (id, author) in read {
            self.confirm_to_author(account, &id, &author, 3);
        }
        if was_unread {
            let chat = self.chat_address(account, &peer);
            let changes = Map::from_iter([("unread".to_owned(), Value::from(0))]);
            self.enqueue_all(account, Some(device), &Item::ChatUpdate { chat, changes });
        }
    }

    pub(super) fn on_played(&mut self, account: &Number, device: &str, chat: &str, ids: &[String]) {
        let Some(peer) = self.resolve(chat) else {
            return;
        };
        for id in ids.iter().take(1_000) {
            self.log(
                Entry::new(Event::Played)
                    .account(account)
                    .device(device)
                    .chat(&peer)
                    .id(id),
            );
            let author = self
                .accounts
                .get(account)
                .and_then(|a| a.chats.get(&peer))
                .and_then(|c| c.messages.iter().find(|m| m.id == *id))
                .map(|m| m.author.pn());
            if let Some(author) = author {
                self.confirm_to_author(account, id, &author, 4);
            }
        }
    }

    pub(super) fn on_presence_subscribe(&mut self, conn: ConnId, id: &str) {
        let Some((account, _)) = self.who(conn) else {
            return;
        };
        let Some(number) = self.resolve_person(id) else {
            self.malformed(conn, "presence_subscribe for nobody");
            return;
        };
        let available = self.person_mut(&number).is_some_and(|p| p.online);
        if let Some(account) = self.accounts.get_mut(&account)
            && account.watched.len() < 10_000
        {
            account.watched.insert(number.clone());
        }
        let frame = Plain::Presence {
            id: self.address(&account, &number),
            available,
            last_seen_t: None,
        };
        self.send(conn, frame);
    }
}
