//! Questions of a page and their answers. Groups are in `groups`.

use super::{ConnId, World};
use crate::address::{Number, Peer};
use crate::frames::{Item, Plain, QueryFrame};
use crate::journal::{Entry, Event};
use serde_json::{Map, Value, json};

/// The most ids in one number check.
const MAX_IDS: usize = 50;
/// The most old messages in one answer.
const MAX_HISTORY: usize = 100;

/// Why a question is answered with no.
#[derive(Debug)]
pub(super) struct Refused(pub(super) u16, pub(super) &'static str);

pub(super) type Answer = Result<Value, Refused>;

/// The text of a member of a question.
pub(super) fn text<'a>(args: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refused> {
    args.get(name)
        .and_then(Value::as_str)
        .ok_or(Refused(400, "a member is missing"))
}

/// The texts of a member of a question; numbers that came as numbers count too.
pub(super) fn texts(args: &Map<String, Value>, name: &str) -> Result<Vec<String>, Refused> {
    let list = args
        .get(name)
        .and_then(Value::as_array)
        .ok_or(Refused(400, "a member is missing"))?;
    Ok(list
        .iter()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect())
}

impl World {
    /// A good answer.
    pub(super) fn answer(&mut self, conn: ConnId, rid: Value, body: Value) {
        let body = match body {
            Value::Object(body) => body,
            _ => Map::new(),
        };
        self.send(
            conn,
            Plain::Result {
                rid,
                ok: true,
                body,
            },
        );
    }

    /// An answer that says no.
    pub(super) fn refuse(&mut self, conn: ConnId, rid: Value, code: u16, text: &str) {
        let body = Map::from_iter([
            ("code".to_owned(), Value::from(code)),
            ("text".to_owned(), Value::from(text)),
        ]);
        self.send(
            conn,
            Plain::Result {
                rid,
                ok: false,
                body,
            },
        );
    }

    pub(super) fn on_query(
        &mut self,
        conn: ConnId,
        account: &Number,
        device: &str,
        query: QueryFrame,
    ) {
        let name: String = query.q.chars().take(64).collect();
        self.log(
            Entry::new(Event::Query)
                .account(account)
                .device(device)
                .kind(&name),
        );
        let args = &query.args;
        let answer = match query.q.as_str() {
            "exists" => self.q_exists(account, args),
            "lids" => self.q_lids(args),
            "media_conn" => Ok(json!({
                "auth": self.give_media_auth(account),
                "ttl_ms": super::media::AUTH_TTL_MS,
                "max_bytes": self.knobs.max_media_bytes,
                "hosts": ["web.whatsapp.com"],
            })),
            "history" => self.q_history(account, args),
            "chat" => self.q_chat(account, args),
            "chat_action" => self.q_chat_action(account, device, args),
            "contact" => self
                .q_person(args)
                .map(|n| json!({"contact": self.contact_value(account, &n)})),
            "profile_picture" => self.q_picture(args),
            "about" => self.q_person(args).map(|n| {
                let about = self.person_mut(&n).map(|p| p.about.clone());
                json!({"text": about.unwrap_or_default()})
            }),
            "set_push_name" => self.q_set_name(account, args),
            "set_about" => text(args, "text").map(str::to_owned).map(|about| {
                if let Some(person) = self.person_mut(account) {
                    person.about = about;
                }
                json!({})
            }),
            "blocklist" => Ok(json!({"blocklist": self.blocklist(account)})),
            "block" => self.q_block(account, device, args),
            "devices" => Ok(json!({"devices": self.q_devices(account)})),
            "logout" => {
                self.answer(conn, query.rid, json!({}));
                self.close(conn, Some(1000));
                self.remove_device(account, device, 0);
                return;
            }
            _ => self.group_query(account, &query.q, args),
        };
        match answer {
            Ok(body) => self.answer(conn, query.rid, body),
            Err(Refused(code, text)) => self.refuse(conn, query.rid, code, text),
        }
    }

    fn q_exists(&mut self, account: &Number, args: &Map<String, Value>) -> Answer {
        let ids = texts(args, "ids")?;
        if ids.len() > MAX_IDS {
            return Err(Refused(413, "too many ids"));
        }
        let results: Vec<Value> = ids
            .into_iter()
            .map(|input| {
                let number = self.resolve_person(&input).filter(|n| self.exists(n));
                match number {
                    Some(number) => json!({
                        "input": input,
                        "exists": true,
                        "pn": number.pn(),
                        "lid": self.lid(&number),
                        "id": self.address(account, &number),
                        "business": self.person_mut(&number).is_some_and(|p| p.business),
                    }),
                    None => json!({"input": input, "exists": false}),
                }
            })
            .collect();
        Ok(json!({"results": results}))
    }

    fn q_lids(&mut self, args: &Map<String, Value>) -> Answer {
        let ids = texts(args, "ids")?;
        let mut pairs = Vec::new();
        for id in ids.iter().take(1_000) {
            if let Some(number) = self.resolve_person(id)
                && self.exists(&number)
            {
                pairs.push(json!({"pn": number.pn(), "lid": self.lid(&number)}));
            }
        }
        Ok(json!({"pairs": pairs}))
    }

    fn q_person(&mut self, args: &Map<String, Value>) -> Result<Number, Refused> {
        let number = self
            .resolve_person(text(args, "id")?)
            .ok_or(Refused(404, "nobody"))?;
        if self.exists(&number) {
            Ok(number)
        } else {
            Err(Refused(404, "nobody"))
        }
    }

    fn q_peer(&self, args: &Map<String, Value>, name: &str) -> Result<Peer, Refused> {
        self.resolve(text(args, name)?)
            .ok_or(Refused(404, "no such chat"))
    }

    fn q_history(&mut self, account: &Number, args: &Map<String, Value>) -> Answer {
        let peer = self.q_peer(args, "chat")?;
        let of = self
            .accounts
            .get(account)
            .ok_or(Refused(500, "no account"))?;
        if !of.phone_online {
            return Err(Refused(503, "the phone is offline"));
        }
        let before = args.get("before").and_then(Value::as_str);
        let count = args
            .get("count")
            .and_then(Value::as_u64)
            .map_or(MAX_HISTORY, |c| (c as usize).min(MAX_HISTORY));
        let Some(chat) = of.chats.get(&peer) else {
            return Ok(json!({"messages": [], "end": true}));
        };
        let end = match before {
            Some(id) => chat
                .messages
                .iter()
                .position(|m| m.id == id)
                .ok_or(Refused(404, "no such message"))?,
            None => chat.messages.len(),
        };
        let start = end.saturating_sub(count);
        let found: Vec<_> = chat
            .messages
            .iter()
            .skip(start)
            .take(end - start)
            .cloned()
            .collect();
        let messages: Vec<Value> = found
            .iter()
            .filter_map(|m| serde_json::to_value(self.render(account, &peer, m)).ok())
            .collect();
        Ok(json!({"messages": messages, "end": start == 0}))
    }

    fn q_chat(&mut self, account: &Number, args: &Map<String, Value>) -> Answer {
        let peer = self.q_peer(args, "id")?;
        self.chat_value(account, &peer)
            .map(|chat| json!({"chat": chat}))
            .ok_or(Refused(404, "no such chat"))
    }

    fn q_chat_action(
        &mut self,
        account: &Number,
        device: &str,
        args: &Map<String, Value>,
    ) -> Answer {
        let peer = self.q_peer(args, "chat")?;
        let action = text(args, "action")?;
        let value = args.get("value").cloned().unwrap_or(Value::Bool(true));
        let number = || value.as_i64().unwrap_or(i64::from(value == true));
        let chats = &mut self
            .accounts
            .get_mut(account)
            .ok_or(Refused(500, "no account"))?
            .chats;
        let chat = chats.entry(peer.clone()).or_default();
        let change = match action {
            "archive" => {
                chat.archived = value.as_bool().unwrap_or(true);
                ("archived", Value::from(chat.archived))
            }
            "pin" => {
                chat.pinned = number();
                ("pinned", Value::from(chat.pinned))
            }
            "mute" => {
                chat.mute_until = number();
                ("mute_until", Value::from(chat.mute_until))
            }
            "unread" => {
                chat.unread = u32::try_from(number().max(0)).unwrap_or(u32::MAX);
                ("unread", Value::from(chat.unread))
            }
            "ephemeral" => {
                chat.ephemeral_s = number();
                ("ephemeral_s", Value::from(chat.ephemeral_s))
            }
            "clear" => {
                chat.messages.clear();
                ("cleared", Value::Bool(true))
            }
            "delete" => {
                chats.remove(&peer);
                ("deleted", Value::Bool(true))
            }
            _ => return Err(Refused(400, "no such action")),
        };
        let chat = self.chat_address(account, &peer);
        let changes = Map::from_iter([(change.0.to_owned(), change.1)]);
        self.enqueue_all(account, Some(device), &Item::ChatUpdate { chat, changes });
        Ok(json!({}))
    }

    fn q_picture(&mut self, args: &Map<String, Value>) -> Answer {
        let number = self.q_person(args)?;
        self.person_mut(&number)
            .and_then(|p| p.picture.clone())
            .map(|url| json!({"url": url}))
            .ok_or(Refused(404, "no picture"))
    }

    fn q_set_name(&mut self, account: &Number, args: &Map<String, Value>) -> Answer {
        let name: String = text(args, "text")?.chars().take(25).collect();
        if let Some(person) = self.person_mut(account) {
            person.push_name = name;
        }
        let devices: Vec<(String, u32)> = self
            .accounts
            .get(account)
            .map(|a| {
                a.devices
                    .iter()
                    .map(|(id, d)| (id.clone(), d.number))
                    .collect()
            })
            .unwrap_or_default();
        for (device, number) in devices {
            let me = self.me(account, number);
            self.enqueue(account, &device, Item::MeUpdate { me });
        }
        Ok(json!({}))
    }

    fn blocklist(&mut self, account: &Number) -> Vec<String> {
        let blocked: Vec<Number> = self
            .accounts
            .get(account)
            .map(|a| a.blocked.iter().cloned().collect())
            .unwrap_or_default();
        blocked.iter().map(|n| self.address(account, n)).collect()
    }

    fn q_block(&mut self, account: &Number, device: &str, args: &Map<String, Value>) -> Answer {
        let number = self.q_person(args)?;
        let blocked = args.get("blocked").and_then(Value::as_bool).unwrap_or(true);
        if let Some(account) = self.accounts.get_mut(account) {
            if blocked {
                account.blocked.insert(number);
            } else {
                account.blocked.remove(&number);
            }
        }
        let blocklist = self.blocklist(account);
        self.enqueue_all(
            account,
            Some(device),
            &Item::BlocklistUpdate {
                blocklist: blocklist.clone(),
            },
        );
        Ok(json!({"blocklist": blocklist}))
    }

    fn q_devices(&self, account: &Number) -> Vec<Value> {
        self.accounts
            .get(account)
            .map(|a| {
                a.devices
                    .values()
                    .map(|d| json!({"number": d.number, "platform": "web"}))
                    .collect()
            })
            .unwrap_or_default()
    }
}
