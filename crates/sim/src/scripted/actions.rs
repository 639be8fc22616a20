//! `perform` on a scripted page: the same questions to the same server as the
//! real page asks, and the page's own knowledge where that answers them.

use super::engine::ScriptedEngine;
use crate::frames::ClientFrame;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use steadfast_core::action::{
    Action, Activity, Answer, Contact, Group, GroupSetting, HistoryMessage, Participant,
    ParticipantChange, ParticipantResult, Profile, Refusal,
};
use steadfast_core::failure::{Evidence, Failure, Operation};
use steadfast_core::ids::{ChatId, MessageKey, WaMessageId};
use steadfast_core::inbound::{Extras, InboundMessage};
use steadfast_core::outbox::Ack;
use steadfast_core::time::UnixMs;

const OPERATION: Operation = Operation::Evaluate;

/// An answer, or a no on its way to become one.
enum No {
    Refused(Refusal),
    Failed(Failure),
}

impl From<Failure> for No {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

type Said<T> = Result<T, No>;

impl ScriptedEngine {
    pub(super) async fn act(&self, action: &Action) -> Result<Answer, Failure> {
        self.alive(OPERATION).await?;
        self.phase_allows(OPERATION)?;
        match self.obey(action).await {
            Ok(answer) => Ok(answer),
            Err(No::Refused(why)) => Ok(Answer::Refused(why)),
            Err(No::Failed(failure)) => Err(failure),
        }
    }

    async fn obey(&self, action: &Action) -> Said<Answer> {
        match action {
            Action::Typing { chat, activity } => self.typing(chat, *activity).await,
            Action::Online(available) => self.told(&ClientFrame::Presence {
                available: *available,
            }),
            Action::MarkRead { chat } => self.mark_read(chat),
            Action::CheckNumbers(numbers) => self.numbers(numbers).await,
            Action::Contacts => Ok(Answer::Contacts(self.contacts().await?)),
            Action::Contact(who) => {
                let all = self.contacts().await?;
                Ok(Answer::Contact(all.into_iter().find(|c| c.id == *who)))
            }
            Action::History {
                chat,
                limit,
                before,
            } => self.history(chat, *limit, before.as_ref()).await,
            Action::Groups => self.groups().await,
            Action::Group(group) => Ok(Answer::Group(self.group(group).await?)),
            Action::CreateGroup {
                subject,
                participants,
            } => self.create_group(subject, participants).await,
            Action::Participants {
                group,
                change,
                participants,
            } => self.participants(group, *change, participants).await,
            Action::SetGroup { group, setting } => self.set_group(group, setting).await,
            Action::InviteCode(group) => self.invite(group, false).await,
            Action::RevokeInviteCode(group) => self.invite(group, true).await,
            Action::JoinGroup(code) => self.join(code).await,
            Action::LeaveGroup(group) => {
                self.group(group).await?;
                self.said("group_leave", json!({"id": group}), in_group)
                    .await?;
                Ok(Answer::Done)
            }
            Action::Picture(of) => self.picture(of).await,
            Action::Profile => self.profile().await,
            Action::SetProfileName(name) => self.done("set_push_name", json!({"text": name})).await,
            Action::SetAbout(about) => self.done("set_about", json!({"text": about})).await,
            Action::Blocklist => Ok(Answer::Blocklist(self.blocked().await?)),
            Action::Block { contact, blocked } => {
                let args = json!({"id": contact, "blocked": blocked});
                self.said("block", args, |_| Refusal::NotOnWhatsApp).await?;
                Ok(Answer::Done)
            }
        }
    }

    /// Asks the server; `refusal` says what its codes mean here.
    async fn said(
        &self,
        q: &str,
        args: Value,
        refusal: fn(u16) -> Refusal,
    ) -> Said<Map<String, Value>> {
        let answer = self.ask_server(OPERATION, q, args).await?;
        if answer.get("ok") == Some(&Value::Bool(true)) {
            return Ok(answer);
        }
        let code = answer.get("code").and_then(Value::as_u64).unwrap_or(500);
        match u16::try_from(code).unwrap_or(500) {
            code @ 400..=499 if code != 429 => Err(refusal(code).into()),
            code => Err(super::engine::failure(
                OPERATION,
                Evidence::text(format!("{q}: the server answered {code}")),
            )
            .into()),
        }
    }

    async fn done(&self, q: &str, args: Value) -> Said<Answer> {
        self.said(q, args, |_| Refusal::Refused).await?;
        Ok(Answer::Done)
    }

    fn told(&self, frame: &ClientFrame) -> Said<Answer> {
        if self.page.frame(frame) {
            return Ok(Answer::Done);
        }
        Err(super::engine::failure(
            OPERATION,
            Evidence::SocketState {
                state: "TIMEOUT".to_owned(),
            },
        )
        .into())
    }

    fn has_chat(&self, chat: &ChatId) -> bool {
        self.page.profile().chats.contains_key(chat.as_str())
    }

    async fn typing(&self, chat: &ChatId, activity: Activity) -> Said<Answer> {
        if !self.has_chat(chat) {
            if chat.is_group() {
                return Err(Refusal::UnknownChat.into());
            }
            if self.exist(std::slice::from_ref(chat)).await? == [None] {
                return Err(Refusal::NotOnWhatsApp.into());
            }
        }
        let state = match activity {
            Activity::Composing => "composing",
            Activity::Recording => "recording",
            Activity::Paused => "paused",
        };
        self.told(&ClientFrame::Chatstate {
            chat: chat.to_string(),
            state: state.to_owned(),
        })
    }

    fn mark_read(&self, chat: &ChatId) -> Said<Answer> {
        match self.page.profile().chats.get_mut(chat.as_str()) {
            Some(summary) => summary.unread = 0,
            None => return Err(Refusal::UnknownChat.into()),
        }
        self.told(&ClientFrame::Read {
            chat: chat.to_string(),
            ids: Vec::new(),
        })
    }

    /// Each number's chat id, where it is on WhatsApp.
    async fn exist(&self, numbers: &[ChatId]) -> Said<Vec<Option<ChatId>>> {
        let answer = self
            .said("exists", json!({"ids": numbers}), |_| Refusal::Refused)
            .await?;
        let results = answer.get("results").and_then(Value::as_array);
        let found = results.into_iter().flatten().map(|result| {
            let id = result["id"].as_str().filter(|_| result["exists"] == true)?;
            ChatId::parse(id).ok()
        });
        Ok(found.collect())
    }

    async fn numbers(&self, numbers: &[ChatId]) -> Said<Answer> {
        let found = self.exist(numbers).await?;
        Ok(Answer::Numbers(
            numbers.iter().cloned().zip(found).collect(),
        ))
    }

    /// Whoever is in the address book or has a chat.
    async fn contacts(&self) -> Said<Vec<Contact>> {
        let blocked = self.blocked().await?;
        let profile = self.page.profile();
        let mut all = BTreeMap::new();
        for chat in profile.chats.values().filter(|c| !c.is_group) {
            all.insert(
                chat.id.clone(),
                Contact {
                    id: chat.id.clone(),
                    name: None,
                    push_name: Some(chat.name.clone()),
                    is_saved: false,
                    is_blocked: false,
                },
            );
        }
        for saved in profile.contacts.values() {
            all.insert(saved.id.clone(), saved.clone());
        }
        for contact in all.values_mut() {
            contact.is_blocked = blocked.contains(&contact.id);
        }
        Ok(all.into_values().collect())
    }

    async fn blocked(&self) -> Said<Vec<ChatId>> {
        let answer = self
            .said("blocklist", json!({}), |_| Refusal::Refused)
            .await?;
        let list = answer.get("blocklist").and_then(Value::as_array);
        let ids = list.into_iter().flatten().filter_map(Value::as_str);
        Ok(ids.filter_map(|id| ChatId::parse(id).ok()).collect())
    }

    async fn history(
        &self,
        chat: &ChatId,
        limit: u32,
        before: Option<&MessageKey>,
    ) -> Said<Answer> {
        if !self.has_chat(chat) {
            return Err(Refusal::UnknownChat.into());
        }
        let limit = limit as usize;
        let mut before = before.map(|key| key.id.to_string());
        let mut found: Vec<HistoryMessage> = Vec::new();
        while found.len() < limit {
            let args = json!({"chat": chat, "before": before, "count": limit - found.len()});
            let answer = self
                .said("history", args, |_| Refusal::UnknownMessage)
                .await?;
            let messages = answer.get("messages").and_then(Value::as_array);
            let mut older: Vec<HistoryMessage> =
                messages.into_iter().flatten().filter_map(held).collect();
            before = older.first().map(|m| m.message.wa_message_id.to_string());
            older.append(&mut found);
            found = older;
            if before.is_none() || answer.get("end") == Some(&Value::Bool(true)) {
                break;
            }
        }
        Ok(Answer::History(found))
    }

    async fn groups(&self) -> Said<Answer> {
        let answer = self.said("groups", json!({}), |_| Refusal::Refused).await?;
        let list = answer.get("groups").and_then(Value::as_array);
        let groups = list.into_iter().flatten().filter_map(group);
        Ok(Answer::Groups(
            groups
                .map(|group| Group {
                    participants: Vec::new(),
                    ..group
                })
                .collect(),
        ))
    }

    async fn group(&self, id: &ChatId) -> Said<Group> {
        let known = self.has_chat(id);
        let answer = self
            .said("group_info", json!({"id": id}), in_group)
            .await
            .map_err(|no| match no {
                // The page knows only the groups that it has a chat of.
                No::Refused(_) if known => No::Refused(Refusal::NotMember),
                No::Refused(_) => No::Refused(Refusal::UnknownGroup),
                No::Failed(failure) => No::Failed(failure),
            })?;
        answer
            .get("group")
            .and_then(group)
            .ok_or(Refusal::UnknownGroup.into())
    }

    async fn create_group(&self, subject: &str, participants: &[ChatId]) -> Said<Answer> {
        let found = self.exist(participants).await?;
        if found.iter().all(Option::is_none) {
            return Err(Refusal::NotOnWhatsApp.into());
        }
        let args = json!({"subject": subject, "participants": participants});
        let answer = self
            .said("group_create", args, |_| Refusal::Refused)
            .await?;
        let made = answer.get("group").and_then(group);
        Ok(Answer::Created {
            group: made.ok_or(Refusal::Refused)?,
            participants: results(&answer),
        })
    }

    async fn participants(
        &self,
        id: &ChatId,
        change: ParticipantChange,
        participants: &[ChatId],
    ) -> Said<Answer> {
        self.group(id).await?;
        let action = match change {
            ParticipantChange::Add => "add",
            ParticipantChange::Remove => "remove",
            ParticipantChange::Promote => "promote",
            ParticipantChange::Demote => "demote",
        };
        let args = json!({"id": id, "action": action, "participants": participants});
        let answer = self.said("group_participants", args, in_group).await?;
        Ok(Answer::Participants(results(&answer)))
    }

    async fn set_group(&self, id: &ChatId, setting: &GroupSetting) -> Said<Answer> {
        let before = self.group(id).await?;
        let (name, value, of_info) = match setting {
            GroupSetting::Subject(text) => ("subject", json!(text), true),
            GroupSetting::Description(text) => ("description", json!(text), true),
            GroupSetting::OnlyAdminsSend(only) => ("announce", json!(only), false),
            GroupSetting::OnlyAdminsEdit(only) => ("restrict", json!(only), false),
        };
        let me = self.me()?;
        let admin = before.participants.iter().any(|p| p.id == me && p.is_admin);
        if !of_info && !admin {
            return Err(Refusal::NotAdmin.into());
        }
        let args = Map::from_iter([("id".to_owned(), json!(id)), (name.to_owned(), value)]);
        self.said("group_set", Value::Object(args), in_group)
            .await?;
        Ok(Answer::Done)
    }

    async fn invite(&self, id: &ChatId, revoke: bool) -> Said<Answer> {
        self.group(id).await?;
        let args = json!({"id": id, "revoke": revoke});
        let answer = self.said("group_invite", args, in_group).await?;
        let code = answer.get("code").and_then(Value::as_str);
        Ok(Answer::InviteCode(code.unwrap_or_default().to_owned()))
    }

    async fn join(&self, code: &str) -> Said<Answer> {
        let answer = self
            .said("group_join", json!({"code": code}), |code| match code {
                419 => Refusal::GroupFull,
                _ => Refusal::InviteInvalid,
            })
            .await?;
        let joined = answer.get("group").and_then(group);
        Ok(Answer::Joined {
            group: joined.ok_or(Refusal::InviteInvalid)?.id,
            pending: false,
        })
    }

    async fn picture(&self, of: &ChatId) -> Said<Answer> {
        match self
            .said("profile_picture", json!({"id": of}), |_| Refusal::Refused)
            .await
        {
            Ok(answer) => Ok(Answer::Picture(
                answer.get("url").and_then(Value::as_str).map(str::to_owned),
            )),
            // Nobody, or no picture: there is none to be seen.
            Err(No::Refused(_)) => Ok(Answer::Picture(None)),
            Err(no) => Err(no),
        }
    }

    fn me(&self) -> Said<ChatId> {
        let me = self.page.profile().me.clone();
        let (id, _) = me.ok_or(Refusal::Refused)?;
        Ok(id)
    }

    async fn profile(&self) -> Said<Answer> {
        let id = self.me()?;
        let answer = self
            .said("about", json!({"id": id}), |_| Refusal::Refused)
            .await?;
        let about = answer.get("text").and_then(Value::as_str);
        let name = self.page.profile().me.clone().map(|(_, name)| name);
        Ok(Answer::Profile(Profile {
            id,
            name,
            about: about.map(str::to_owned),
        }))
    }
}

/// What the server's codes mean where a group is asked for.
fn in_group(code: u16) -> Refusal {
    match code {
        403 => Refusal::NotAdmin,
        404 => Refusal::UnknownGroup,
        419 => Refusal::GroupFull,
        _ => Refusal::Refused,
    }
}

fn results(answer: &Map<String, Value>) -> Vec<ParticipantResult> {
    let list = answer.get("participants").and_then(Value::as_array);
    let each = list.into_iter().flatten().filter_map(|entry| {
        Some(ParticipantResult {
            id: ChatId::parse(entry["id"].as_str()?).ok()?,
            code: u16::try_from(entry["code"].as_u64()?).ok()?,
        })
    });
    each.collect()
}

fn group(value: &Value) -> Option<Group> {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let members = value["participants"].as_array()?;
    let participants: Vec<Participant> = members
        .iter()
        .filter_map(|member| {
            Some(Participant {
                id: ChatId::parse(member["id"].as_str()?).ok()?,
                is_admin: member["admin"] == true,
                is_owner: member["super_admin"] == true,
            })
        })
        .collect();
    Some(Group {
        id: ChatId::parse(value["id"].as_str()?).ok()?,
        subject: text("subject")?,
        description: text("description").filter(|text| !text.is_empty()),
        owner: value["owner"]
            .as_str()
            .and_then(|id| ChatId::parse(id).ok()),
        created_at: value["created_t"]
            .as_i64()
            .map(|t| UnixMs(t.saturating_mul(1000))),
        only_admins_send: value["announce"] == true,
        only_admins_edit: value["restrict"] == true,
        size: u32::try_from(participants.len()).unwrap_or(u32::MAX),
        participants,
    })
}

fn held(value: &Value) -> Option<HistoryMessage> {
    let from_me = value["from_me"] == true;
    let level = value["ack"].as_i64().unwrap_or(0);
    Some(HistoryMessage {
        message: InboundMessage {
            wa_message_id: WaMessageId::parse(value["id"].as_str()?).ok()?,
            chat: ChatId::parse(value["chat"].as_str()?).ok()?,
            chat_also: None,
            sender: ChatId::parse(value["author"].as_str()?).ok()?,
            from_me,
            kind: value["kind"].as_str()?.to_owned(),
            text: value["body"].as_str()?.to_owned(),
            sent_at: UnixMs(value["t"].as_i64()?.saturating_mul(1000)),
            recovered: false,
            extras: Extras::default(),
        },
        ack: from_me.then(|| Ack::from_level(level)).flatten(),
    })
}
