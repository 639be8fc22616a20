//! Groups: who is in them, who may what, and everything a page may ask of them.

use super::World;
use super::query::{Answer, Refused, text, texts};
use crate::address::{Number, Peer};
use crate::error::Error;
use crate::frames::Item;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// WhatsApp's largest group.
const MAX_MEMBERS: usize = 1_024;
/// Groups in one world.
const MAX_GROUPS: usize = 10_000;

/// One group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) subject: String,
    owner: Number,
    created_t: i64,
    description: String,
    announce: bool,
    restrict: bool,
    ephemeral_s: i64,
    invite: String,
    /// Grows with every change, so that a page takes no older state over a newer one.
    rev: u64,
    pub(super) members: BTreeMap<Number, Role>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Member,
    Admin,
    Owner,
}

impl World {
    /// Whether this member may write into the group; the reason where not.
    pub(super) fn may_write(&self, id: &str, member: &Number) -> Result<(), &'static str> {
        let group = self.groups.get(id).ok_or("no such group")?;
        match group.members.get(member) {
            None => Err("not a member"),
            Some(Role::Member) if group.announce => Err("only admins may write"),
            Some(_) => Ok(()),
        }
    }

    /// Makes a group, `owner` being in it. Numbers that are not on WhatsApp
    /// are left out. Returns its address.
    ///
    /// # Errors
    ///
    /// [`Error::Full`].
    pub fn create_group(
        &mut self,
        subject: &str,
        owner: &Number,
        members: &[Number],
    ) -> Result<String, Error> {
        let id = self.new_group(subject, owner)?;
        let joined: Vec<Number> = members
            .iter()
            .filter(|n| *n != owner)
            .take(MAX_MEMBERS - 1)
            .cloned()
            .collect();
        for number in &joined {
            if self.exists(number)
                && let Some(group) = self.groups.get_mut(&id)
            {
                group.members.insert(number.clone(), Role::Member);
            }
        }
        self.tell_group(&id, "create", owner, &joined);
        Ok(format!("{id}@g.us"))
    }

    fn new_group(&mut self, subject: &str, owner: &Number) -> Result<String, Error> {
        if self.groups.len() >= MAX_GROUPS {
            return Err(Error::Full("groups"));
        }
        let id = format!("120363{:012}", self.rng.below(1_000_000_000_000));
        let group = Group {
            subject: subject.chars().take(100).collect(),
            owner: owner.clone(),
            created_t: self.t(),
            description: String::new(),
            announce: false,
            restrict: false,
            ephemeral_s: 0,
            invite: self.rng.base64url(16),
            rev: 0,
            members: BTreeMap::from([(owner.clone(), Role::Owner)]),
        };
        self.groups.insert(id.clone(), group);
        Ok(id)
    }

    /// The group as one account sees it.
    fn group_value(&mut self, account: &Number, id: &str) -> Option<Value> {
        let group = self.groups.get(id)?;
        let members: Vec<(Number, Role)> =
            group.members.iter().map(|(n, r)| (n.clone(), *r)).collect();
        let owner = group.owner.clone();
        let mut value = json!({
            "id": format!("{id}@g.us"),
            "subject": group.subject,
            "created_t": group.created_t,
            "description": group.description,
            "announce": group.announce,
            "restrict": group.restrict,
            "ephemeral_s": group.ephemeral_s,
            "rev": group.rev,
        });
        let participants: Vec<Value> = members
            .iter()
            .map(|(number, role)| {
                json!({
                    "id": self.address(account, number),
                    "pn": number.pn(),
                    "lid": self.lid(number),
                    "admin": *role >= Role::Admin,
                    "super_admin": *role == Role::Owner,
                })
            })
            .collect();
        value["owner"] = Value::from(self.address(account, &owner));
        value["participants"] = Value::from(participants);
        Some(value)
    }

    /// Every group that an account is in.
    pub(super) fn group_values_of(&mut self, account: &Number) -> Vec<Value> {
        let ids: Vec<String> = self
            .groups
            .iter()
            .filter(|(_, g)| g.members.contains_key(account))
            .map(|(id, _)| id.clone())
            .collect();
        ids.iter()
            .filter_map(|id| self.group_value(account, id))
            .collect()
    }

    /// Tells every account in the group (and those just put out) what was done.
    fn tell_group(&mut self, id: &str, action: &str, author: &Number, participants: &[Number]) {
        if let Some(group) = self.groups.get_mut(id) {
            group.rev += 1;
        }
        let concerned: Vec<Number> = self
            .accounts
            .keys()
            .filter(|n| {
                participants.contains(n)
                    || self
                        .groups
                        .get(id)
                        .is_some_and(|g| g.members.contains_key(n))
            })
            .cloned()
            .collect();
        let t = self.t();
        for account in concerned {
            if let Some(account) = self.accounts.get_mut(&account) {
                let chat = account.chats.entry(Peer::Group(id.to_owned())).or_default();
                chat.t = chat.t.max(t);
            }
            let Some(group) = self.group_value(&account, id) else {
                continue;
            };
            let item = Item::GroupUpdate {
                group,
                action: action.to_owned(),
                author: self.address(&account, author),
                participants: participants
                    .iter()
                    .map(|n| self.address(&account, n))
                    .collect(),
                t,
            };
            self.enqueue_all(&account, None, &item);
        }
    }

    pub(super) fn group_query(
        &mut self,
        account: &Number,
        q: &str,
        args: &Map<String, Value>,
    ) -> Answer {
        match q {
            "group_create" => self.q_group_create(account, args),
            "group_info" => {
                let id = self.group_id(args)?;
                if self.role(&id, account).is_none() {
                    return Err(Refused(403, "not a member"));
                }
                Ok(json!({"group": self.group_value(account, &id)}))
            }
            "groups" => Ok(json!({"groups": self.group_values_of(account)})),
            "group_participants" => self.q_group_participants(account, args),
            "group_set" => self.q_group_set(account, args),
            "group_leave" => {
                let id = self.group_id(args)?;
                let left = self
                    .groups
                    .get_mut(&id)
                    .and_then(|g| g.members.remove(account));
                if left.is_none() {
                    return Err(Refused(403, "not a member"));
                }
                self.tell_group(&id, "leave", account, std::slice::from_ref(account));
                Ok(json!({}))
            }
            "group_invite" => {
                let id = self.group_id(args)?;
                self.needs_admin(&id, account)?;
                if args.get("revoke").and_then(Value::as_bool) == Some(true) {
                    let fresh = self.rng.base64url(16);
                    if let Some(group) = self.groups.get_mut(&id) {
                        group.invite = fresh;
                    }
                }
                let code = self.groups.get(&id).map(|g| g.invite.clone());
                Ok(json!({"code": code}))
            }
            "group_by_invite" => {
                let id = self.by_invite(args)?;
                Ok(json!({"group": self.group_value(account, &id)}))
            }
            "group_join" => {
                let id = self.by_invite(args)?;
                let group = self
                    .groups
                    .get_mut(&id)
                    .ok_or(Refused(404, "no such group"))?;
                if group.members.len() >= MAX_MEMBERS {
                    return Err(Refused(419, "the group is full"));
                }
                group.members.entry(account.clone()).or_insert(Role::Member);
                self.tell_group(&id, "add", account, std::slice::from_ref(account));
                Ok(json!({"group": self.group_value(account, &id)}))
            }
            _ => Err(Refused(501, "the simulator does not know this question")),
        }
    }

    fn group_id(&self, args: &Map<String, Value>) -> Result<String, Refused> {
        match self.resolve(text(args, "id")?) {
            Some(Peer::Group(id)) if self.groups.contains_key(&id) => Ok(id),
            _ => Err(Refused(404, "no such group")),
        }
    }

    fn by_invite(&self, args: &Map<String, Value>) -> Result<String, Refused> {
        let code = text(args, "code")?;
        self.groups
            .iter()
            .find(|(_, g)| g.invite == code)
            .map(|(id, _)| id.clone())
            .ok_or(Refused(404, "no such invitation"))
    }

    fn role(&self, id: &str, member: &Number) -> Option<Role> {
        self.groups.get(id)?.members.get(member).copied()
    }

    fn needs_admin(&self, id: &str, member: &Number) -> Result<(), Refused> {
        match self.role(id, member) {
            Some(Role::Admin | Role::Owner) => Ok(()),
            Some(Role::Member) => Err(Refused(403, "not an admin")),
            None => Err(Refused(403, "not a member")),
        }
    }

    fn numbers(&self, args: &Map<String, Value>) -> Result<Vec<(String, Option<Number>)>, Refused> {
        let asked = texts(args, "participants")?;
        if asked.len() > MAX_MEMBERS {
            return Err(Refused(413, "too many participants"));
        }
        Ok(asked
            .into_iter()
            .map(|a| {
                let number = self.resolve_person(&a);
                (a, number)
            })
            .collect())
    }

    fn add_member(&mut self, id: &str, number: &Number) -> u16 {
        if !self.exists(number) {
            return 404;
        }
        if self.person_mut(number).is_some_and(|p| !p.addable) {
            return 403;
        }
        match self.groups.get_mut(id) {
            Some(g) if g.members.contains_key(number) => 409,
            Some(g) if g.members.len() >= MAX_MEMBERS => 419,
            Some(g) => {
                g.members.insert(number.clone(), Role::Member);
                200
            }
            None => 404,
        }
    }

    fn q_group_create(&mut self, account: &Number, args: &Map<String, Value>) -> Answer {
        let subject = text(args, "subject")?.to_owned();
        let asked = self.numbers(args)?;
        let id = self
            .new_group(&subject, account)
            .map_err(|_| Refused(500, "the simulator is full"))?;
        let (codes, added) = self.add_members(&id, asked);
        self.tell_group(&id, "create", account, &added);
        Ok(json!({"group": self.group_value(account, &id), "participants": codes}))
    }

    fn add_members(
        &mut self,
        id: &str,
        asked: Vec<(String, Option<Number>)>,
    ) -> (Vec<Value>, Vec<Number>) {
        let (mut codes, mut added) = (Vec::new(), Vec::new());
        for (address, number) in asked {
            let code = number.as_ref().map_or(404, |n| self.add_member(id, n));
            codes.push(json!({"id": address, "code": code}));
            if code == 200 {
                added.extend(number);
            }
        }
        (codes, added)
    }

    fn q_group_participants(&mut self, account: &Number, args: &Map<String, Value>) -> Answer {
        let id = self.group_id(args)?;
        self.needs_admin(&id, account)?;
        let action = text(args, "action")?;
        let asked = self.numbers(args)?;
        let (codes, done) = if action == "add" {
            self.add_members(&id, asked)
        } else {
            let (mut codes, mut done) = (Vec::new(), Vec::new());
            let group = self
                .groups
                .get_mut(&id)
                .ok_or(Refused(404, "no such group"))?;
            for (address, number) in asked {
                let role = number.as_ref().and_then(|n| group.members.get_mut(n));
                let code = match (action, role) {
                    (_, None) => 404,
                    ("remove" | "demote", Some(Role::Owner)) => 403,
                    ("remove", Some(_)) => {
                        if let Some(n) = &number {
                            group.members.remove(n);
                        }
                        200
                    }
                    ("promote", Some(role)) => {
                        *role = (*role).max(Role::Admin);
                        200
                    }
                    ("demote", Some(role)) => {
                        *role = Role::Member;
                        200
                    }
                    _ => return Err(Refused(400, "no such action")),
                };
                codes.push(json!({"id": address, "code": code}));
                if code == 200 {
                    done.extend(number);
                }
            }
            (codes, done)
        };
        if !done.is_empty() {
            self.tell_group(&id, action, account, &done);
        }
        Ok(json!({"participants": codes}))
    }

    fn q_group_set(&mut self, account: &Number, args: &Map<String, Value>) -> Answer {
        let id = self.group_id(args)?;
        let group = self
            .groups
            .get_mut(&id)
            .ok_or(Refused(404, "no such group"))?;
        match group.members.get(account) {
            None => return Err(Refused(403, "not a member")),
            Some(Role::Member) if group.restrict => return Err(Refused(403, "not an admin")),
            Some(_) => {}
        }
        let mut actions = Vec::new();
        if let Some(subject) = args.get("subject").and_then(Value::as_str) {
            group.subject = subject.chars().take(100).collect();
            actions.push("subject");
        }
        if let Some(description) = args.get("description").and_then(Value::as_str) {
            group.description = description.chars().take(2_048).collect();
            actions.push("description");
        }
        if let Some(announce) = args.get("announce").and_then(Value::as_bool) {
            group.announce = announce;
            actions.push("announce");
        }
        if let Some(restrict) = args.get("restrict").and_then(Value::as_bool) {
            group.restrict = restrict;
            actions.push("restrict");
        }
        if let Some(seconds) = args.get("ephemeral_s").and_then(Value::as_i64) {
            group.ephemeral_s = seconds;
            actions.push("ephemeral");
        }
        if actions.is_empty() {
            return Err(Refused(400, "nothing to set"));
        }
        for action in actions {
            self.tell_group(&id, action, account, &[]);
        }
        Ok(json!({"group": self.group_value(account, &id)}))
    }
}
