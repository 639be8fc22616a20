//! `perform`: each action as the page's arguments, each answer as the port's.

use super::outcome::not_ready;
use super::{MARGIN, PageEngine};
use crate::Error;
use crate::conclude::conclude;
use crate::wire::Received;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;
use steadfast_core::action::{
    Action, Answer, Contact, Group, GroupSetting, HistoryMessage, Participant, ParticipantResult,
    Profile, Refusal,
};
use steadfast_core::failure::{Failure, Operation};
use steadfast_core::ids::ChatId;
use steadfast_core::outbox::Ack;
use steadfast_core::time::UnixMs;
use tracing::debug;

/// How long the page gives WhatsApp for one action. With the way there and
/// back it stays within what a supervisor waits for an answer (20 s).
const PERFORM: Duration = Duration::from_secs(12);

impl PageEngine {
    pub(super) async fn act(&self, action: &Action) -> Result<Answer, Failure> {
        let operation = Operation::Evaluate;
        let args = json!({
            "action": action.name(),
            "args": arguments(action),
            "ms": Self::ms(PERFORM),
        });
        let performed: Result<Performed, Error> =
            self.link.call("perform", args, PERFORM + MARGIN).await;
        let value = match performed.map_err(|error| conclude(operation, &error))? {
            Performed::Done(value) => value,
            Performed::Refused(reason) => return Ok(Answer::Refused(refusal(&reason))),
            Performed::NotReady {
                socket,
                mode,
                missing,
            } => {
                return Err(Failure {
                    operation,
                    ..not_ready(socket, mode, missing)
                });
            }
        };
        answer(action, value).map_err(|error| {
            let detail = format!("{}: {error}", action.name());
            conclude(operation, &Error::Answer { detail })
        })
    }
}

/// How an action ended in the page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Performed {
    Done(Value),
    Refused(String),
    NotReady {
        socket: Option<String>,
        mode: Option<String>,
        missing: Vec<String>,
    },
}

fn refusal(reason: &str) -> Refusal {
    match reason {
        "unknown_chat" => Refusal::UnknownChat,
        "unknown_message" => Refusal::UnknownMessage,
        "unknown_group" => Refusal::UnknownGroup,
        "not_on_whatsapp" => Refusal::NotOnWhatsApp,
        "not_member" => Refusal::NotMember,
        "not_admin" => Refusal::NotAdmin,
        "invite_invalid" => Refusal::InviteInvalid,
        "group_full" => Refusal::GroupFull,
        other => {
            debug!(other, "a refusal without a reason that we know");
            Refusal::Refused
        }
    }
}

/// What `page/actions.js` is given.
fn arguments(action: &Action) -> Value {
    match action {
        Action::Typing { chat, activity } => json!({ "chat": chat, "activity": activity }),
        Action::Online(online) => json!({ "online": online }),
        Action::MarkRead { chat } => json!({ "chat": chat }),
        Action::CheckNumbers(numbers) => json!({ "numbers": numbers }),
        Action::Contacts | Action::Groups | Action::Profile | Action::Blocklist => json!({}),
        Action::Contact(contact) => json!({ "contact": contact }),
        Action::History {
            chat,
            limit,
            before,
        } => json!({ "chat": chat, "limit": limit, "before": before }),
        Action::Group(group)
        | Action::InviteCode(group)
        | Action::RevokeInviteCode(group)
        | Action::LeaveGroup(group) => json!({ "group": group }),
        Action::CreateGroup {
            subject,
            participants,
        } => json!({ "subject": subject, "participants": participants }),
        Action::Participants {
            group,
            change,
            participants,
        } => json!({ "group": group, "change": change, "participants": participants }),
        Action::SetGroup { group, setting } => {
            let (setting, value) = match setting {
                GroupSetting::Subject(text) => ("subject", json!(text)),
                GroupSetting::Description(text) => ("description", json!(text)),
                GroupSetting::OnlyAdminsSend(only) => ("only_admins_send", json!(only)),
                GroupSetting::OnlyAdminsEdit(only) => ("only_admins_edit", json!(only)),
            };
            json!({ "group": group, "setting": setting, "value": value })
        }
        Action::JoinGroup(code) => json!({ "code": code }),
        Action::Picture(of) => json!({ "of": of }),
        Action::SetProfileName(name) => json!({ "name": name }),
        Action::SetAbout(about) => json!({ "about": about }),
        Action::Block { contact, blocked } => json!({ "contact": contact, "blocked": blocked }),
    }
}

/// What `page/actions.js` gives back. What has an id that is none that we
/// know (a channel, a community's own) is left out of lists.
fn answer(action: &Action, value: Value) -> Result<Answer, serde_json::Error> {
    Ok(match action {
        Action::Typing { .. }
        | Action::Online(_)
        | Action::MarkRead { .. }
        | Action::SetGroup { .. }
        | Action::LeaveGroup(_)
        | Action::SetProfileName(_)
        | Action::SetAbout(_)
        | Action::Block { .. } => Answer::Done,
        Action::CheckNumbers(_) => {
            let told: Numbers = read(value)?;
            let numbers = told.numbers.into_iter();
            Answer::Numbers(
                numbers
                    .map(|(asked, found)| (asked, known(found)))
                    .collect(),
            )
        }
        Action::Contacts => {
            let told: Contacts = read(value)?;
            Answer::Contacts(told.contacts.into_iter().filter_map(contact).collect())
        }
        Action::Contact(_) => {
            let told: OneContact = read(value)?;
            Answer::Contact(told.contact.and_then(contact))
        }
        Action::History { .. } => {
            let told: History = read(value)?;
            Answer::History(told.messages.iter().filter_map(held).collect())
        }
        Action::Groups => {
            let told: Groups = read(value)?;
            Answer::Groups(told.groups.into_iter().map(group).collect())
        }
        Action::Group(_) => Answer::Group(group(read::<OneGroup>(value)?.group)),
        Action::CreateGroup { .. } => {
            let told: Created = read(value)?;
            Answer::Created {
                group: group(told.group),
                participants: told.participants,
            }
        }
        Action::Participants { .. } => Answer::Participants(read::<Changed>(value)?.participants),
        Action::InviteCode(_) | Action::RevokeInviteCode(_) => {
            Answer::InviteCode(read::<Code>(value)?.code)
        }
        Action::JoinGroup(_) => {
            let told: Joined = read(value)?;
            Answer::Joined {
                group: told.group,
                pending: told.pending,
            }
        }
        Action::Picture(_) => Answer::Picture(read::<Picture>(value)?.url),
        Action::Profile => Answer::Profile(read::<Profile>(value)?),
        Action::Blocklist => {
            let told: Blocklist = read(value)?;
            let ids = told.blocklist.into_iter();
            Answer::Blocklist(ids.filter_map(|id| known(Some(id))).collect())
        }
    })
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(value)
}

fn known(id: Option<String>) -> Option<ChatId> {
    ChatId::parse(&id?).ok()
}

#[derive(Deserialize)]
struct Numbers {
    numbers: Vec<(ChatId, Option<String>)>,
}

#[derive(Deserialize)]
struct Contacts {
    contacts: Vec<PageContact>,
}

#[derive(Deserialize)]
struct OneContact {
    contact: Option<PageContact>,
}

#[derive(Deserialize)]
struct PageContact {
    id: String,
    name: Option<String>,
    push_name: Option<String>,
    is_saved: bool,
    is_blocked: bool,
}

fn contact(told: PageContact) -> Option<Contact> {
    Some(Contact {
        id: known(Some(told.id))?,
        name: told.name,
        push_name: told.push_name,
        is_saved: told.is_saved,
        is_blocked: told.is_blocked,
    })
}

#[derive(Deserialize)]
struct History {
    messages: Vec<Held>,
}

#[derive(Deserialize)]
struct Held {
    #[serde(flatten)]
    message: Received,
    ack: Option<i64>,
}

fn held(told: &Held) -> Option<HistoryMessage> {
    Some(HistoryMessage {
        message: told.message.message()?,
        ack: told.ack.and_then(Ack::from_level),
    })
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<PageGroup>,
}

#[derive(Deserialize)]
struct OneGroup {
    group: PageGroup,
}

#[derive(Deserialize)]
struct PageGroup {
    id: ChatId,
    subject: String,
    description: Option<String>,
    owner: Option<String>,
    created_t: Option<i64>,
    only_admins_send: bool,
    only_admins_edit: bool,
    size: u32,
    participants: Vec<PageParticipant>,
}

#[derive(Deserialize)]
struct PageParticipant {
    id: String,
    is_admin: bool,
    is_owner: bool,
}

fn group(told: PageGroup) -> Group {
    let members = told.participants.into_iter();
    Group {
        id: told.id,
        subject: told.subject,
        description: told.description,
        owner: known(told.owner),
        created_at: told.created_t.map(|t| UnixMs(t.saturating_mul(1000))),
        only_admins_send: told.only_admins_send,
        only_admins_edit: told.only_admins_edit,
        size: told.size,
        participants: members
            .filter_map(|member| {
                Some(Participant {
                    id: known(Some(member.id))?,
                    is_admin: member.is_admin,
                    is_owner: member.is_owner,
                })
            })
            .collect(),
    }
}

#[derive(Deserialize)]
struct Created {
    group: PageGroup,
    participants: Vec<ParticipantResult>,
}

#[derive(Deserialize)]
struct Changed {
    participants: Vec<ParticipantResult>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Joined {
    group: ChatId,
    pending: bool,
}

#[derive(Deserialize)]
struct Picture {
    url: Option<String>,
}

#[derive(Deserialize)]
struct Blocklist {
    blocklist: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use steadfast_core::action::Activity;

    fn chat(text: &str) -> ChatId {
        ChatId::parse(text).unwrap()
    }

    #[test]
    fn actions_go_to_the_page_under_their_names() {
        let typing = Action::Typing {
            chat: chat("4915123456789"),
            activity: Activity::Composing,
        };
        assert_eq!(
            arguments(&typing),
            json!({"chat": "4915123456789@c.us", "activity": "composing"})
        );
        let before = "false_120363000000000001@g.us_AC12_4915123456789@c.us";
        let history = Action::History {
            chat: chat("120363000000000001@g.us"),
            limit: 5,
            before: Some(before.parse().unwrap()),
        };
        assert_eq!(
            arguments(&history)["before"],
            json!({"chat": "120363000000000001@g.us", "id": "AC12", "from_me": false,
                "participant": "4915123456789@c.us"})
        );
        let set = Action::SetGroup {
            group: chat("120363000000000001@g.us"),
            setting: GroupSetting::OnlyAdminsSend(true),
        };
        assert_eq!(arguments(&set)["setting"], "only_admins_send");
        assert_eq!(arguments(&set)["value"], true);
    }

    #[test]
    fn strangers_in_a_list_are_left_out() {
        let told = json!({"contacts": [
            {"id": "4915123456789@c.us", "name": "Ann", "push_name": null, "is_saved": true, "is_blocked": false},
            {"id": "channel@newsletter", "name": "x", "push_name": null, "is_saved": false, "is_blocked": false},
        ]});
        let Ok(Answer::Contacts(contacts)) = answer(&Action::Contacts, told) else {
            panic!("no contacts");
        };
        assert_eq!(contacts.len(), 1);
        let told = json!({"messages": [
            {"key": "k", "id": "AC12", "chat": "4915123456789@c.us", "sender": "4915123456789@c.us",
             "from_me": false, "type": "chat", "text": "hi", "t": 5, "recovered": false, "ack": null},
        ]});
        let asked = Action::History {
            chat: chat("4915123456789"),
            limit: 5,
            before: None,
        };
        let Ok(Answer::History(messages)) = answer(&asked, told) else {
            panic!("no messages");
        };
        assert_eq!(messages[0].message.text, "hi");
        assert!(answer(&Action::Profile, json!({"id": 5})).is_err());
    }

    #[test]
    fn what_is_refused_without_a_known_reason_is_refused() {
        assert_eq!(refusal("not_admin"), Refusal::NotAdmin);
        assert_eq!(refusal("who knows"), Refusal::Refused);
    }
}
