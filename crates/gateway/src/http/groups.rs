//! `/v1/sessions/{session}/groups`: making, changing, joining and leaving.

use super::auth::{Caller, ToRead, ToSend};
use super::chats::{done, off_the_point, people, perform};
use super::extract::{GroupName, Json, SessionName};
use super::people::text_within;
use super::problem::{Code, Problem};
use super::view::Page;
use super::{HttpState, JsonAnswer};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use steadfast_core::action::{
    Action, Answer, Group, GroupSetting, Participant, ParticipantChange, ParticipantResult,
};
use steadfast_core::ids::{ChatId, SessionId};
use steadfast_core::time::UnixMs;
use utoipa::ToSchema;

type AppState = State<Arc<HttpState>>;

/// People in one request: each is asked about first, and there is a deadline.
const MOST_PEOPLE: usize = 50;
/// WhatsApp's longest subject.
pub(super) const MOST_SUBJECT: usize = 100;
/// WhatsApp's longest description.
pub(super) const MOST_DESCRIPTION: usize = 2_048;
/// No invite code is longer.
const MOST_CODE: usize = 64;
/// What an invite code stands behind.
const INVITE_LINK: &str = "https://chat.whatsapp.com/";

/// Somebody in a group.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ParticipantJson {
    id: String,
    is_admin: bool,
    /// Whether they made the group.
    is_owner: bool,
}

impl From<Participant> for ParticipantJson {
    fn from(participant: Participant) -> Self {
        Self {
            id: participant.id.into(),
            is_admin: participant.is_admin,
            is_owner: participant.is_owner,
        }
    }
}

/// A group.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupJson {
    id: String,
    subject: String,
    description: Option<String>,
    owner: Option<String>,
    created_at: Option<String>,
    /// Whether only admins may write.
    only_admins_send: bool,
    /// Whether only admins may change subject, description and picture.
    only_admins_edit: bool,
    /// How many are in it, as far as WhatsApp Web has looked.
    size: u32,
    /// Who is in it; empty in a list of groups.
    participants: Vec<ParticipantJson>,
}

impl From<Group> for GroupJson {
    fn from(group: Group) -> Self {
        Self {
            id: group.id.into(),
            subject: group.subject,
            description: group.description,
            owner: group.owner.map(Into::into),
            created_at: group.created_at.map(UnixMs::rfc3339),
            only_admins_send: group.only_admins_send,
            only_admins_edit: group.only_admins_edit,
            size: group.size,
            participants: group.participants.into_iter().map(Into::into).collect(),
        }
    }
}

/// What came of one participant's change.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ParticipantResultJson {
    id: String,
    /// Whether it is done.
    done: bool,
    /// WhatsApp's code: 200 done, 403 only by invitation, 404 not on WhatsApp or not in the group, 409 already in.
    code: u16,
}

impl From<ParticipantResult> for ParticipantResultJson {
    fn from(result: ParticipantResult) -> Self {
        Self {
            id: result.id.into(),
            done: result.code == 200,
            code: result.code,
        }
    }
}

/// The groups that the account is in, the newest talk first; at most 1,000, without their participants.
#[utoipa::path(get, path = "/v1/sessions/{session}/groups", tag = "groups",
    params(("session" = String, Path)), responses((status = 200, body = Page<GroupJson>)))]
pub(super) async fn list(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Result<JsonAnswer<Page<GroupJson>>, Problem> {
    let Answer::Groups(groups) = perform(&state, &session, Action::Groups).await? else {
        return Err(off_the_point("groups"));
    };
    Ok(JsonAnswer(Page {
        items: groups.into_iter().map(Into::into).collect(),
        next: None,
    }))
}

async fn current(
    state: &HttpState,
    session: &SessionId,
    group: ChatId,
) -> Result<JsonAnswer<GroupJson>, Problem> {
    let Answer::Group(group) = perform(state, session, Action::Group(group)).await? else {
        return Err(off_the_point("group"));
    };
    Ok(JsonAnswer(group.into()))
}

/// One group with its participants.
#[utoipa::path(get, path = "/v1/sessions/{session}/groups/{group}", tag = "groups",
    params(("session" = String, Path), ("group" = String, Path)),
    responses((status = 200, body = GroupJson)))]
pub(super) async fn get(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
) -> Result<JsonAnswer<GroupJson>, Problem> {
    current(&state, &session, group).await
}

/// A group to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewGroup {
    #[schema(min_length = 1, max_length = 100)]
    subject: String,
    /// Who is in it beside us: 1 to 50, by number or chat id.
    #[schema(min_items = 1, max_items = 50)]
    participants: Vec<String>,
}

/// A group that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreatedGroup {
    group: GroupJson,
    /// What came of each who was to be in it.
    participants: Vec<ParticipantResultJson>,
}

/// Makes a group. Not safe to repeat: a second request makes a second group.
#[utoipa::path(post, path = "/v1/sessions/{session}/groups", tag = "groups",
    params(("session" = String, Path)), request_body = NewGroup,
    responses((status = 201, body = CreatedGroup)))]
pub(super) async fn create(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    Json(body): Json<NewGroup>,
) -> Result<Response, Problem> {
    text_within("subject", &body.subject, 1, MOST_SUBJECT)?;
    let action = Action::CreateGroup {
        subject: body.subject,
        participants: some_people(&body.participants)?,
    };
    let answer = perform(&state, &session, action).await?;
    let Answer::Created {
        group,
        participants,
    } = answer
    else {
        return Err(off_the_point("create_group"));
    };
    let location = format!("/v1/sessions/{session}/groups/{}", group.id);
    let made = CreatedGroup {
        group: group.into(),
        participants: participants.into_iter().map(Into::into).collect(),
    };
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        JsonAnswer(made),
    )
        .into_response())
}

/// 1 to 50 different people.
pub(super) fn some_people(texts: &[String]) -> Result<Vec<ChatId>, Problem> {
    if texts.is_empty() || texts.len() > MOST_PEOPLE {
        let what = format!("give 1 to {MOST_PEOPLE} people");
        return Err(Problem::field("participants", what));
    }
    let mut unique: Vec<ChatId> = Vec::with_capacity(texts.len());
    for id in people("participants", texts)? {
        if !unique.contains(&id) {
            unique.push(id);
        }
    }
    Ok(unique)
}

/// What happens to people in a group.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ChangeJson {
    /// They come in.
    Add,
    /// They are put out.
    Remove,
    /// They become admins.
    Promote,
    /// They are admins no more.
    Demote,
}

impl From<ChangeJson> for ParticipantChange {
    fn from(change: ChangeJson) -> Self {
        match change {
            ChangeJson::Add => Self::Add,
            ChangeJson::Remove => Self::Remove,
            ChangeJson::Promote => Self::Promote,
            ChangeJson::Demote => Self::Demote,
        }
    }
}

/// A change of who is in a group, or what they may do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ParticipantsChange {
    /// add, remove, promote or demote.
    change: ChangeJson,
    /// Whom: 1 to 50, by number or chat id.
    #[schema(min_items = 1, max_items = 50)]
    participants: Vec<String>,
}

/// Adds, removes, promotes or demotes people. Each has a result of their own.
#[utoipa::path(post, path = "/v1/sessions/{session}/groups/{group}/participants", tag = "groups",
    params(("session" = String, Path), ("group" = String, Path)),
    request_body = ParticipantsChange,
    responses((status = 200, body = Page<ParticipantResultJson>)))]
pub(super) async fn participants(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
    Json(body): Json<ParticipantsChange>,
) -> Result<JsonAnswer<Page<ParticipantResultJson>>, Problem> {
    let action = Action::Participants {
        group,
        change: body.change.into(),
        participants: some_people(&body.participants)?,
    };
    let Answer::Participants(results) = perform(&state, &session, action).await? else {
        return Err(off_the_point("participants"));
    };
    Ok(JsonAnswer(Page {
        items: results.into_iter().map(Into::into).collect(),
        next: None,
    }))
}

/// What is to be different about a group.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupChange {
    #[schema(min_length = 1, max_length = 100)]
    subject: Option<String>,
    /// Empty for none.
    #[schema(max_length = 2_048)]
    description: Option<String>,
    /// Whether only admins may write.
    only_admins_send: Option<bool>,
    /// Whether only admins may change subject, description and picture.
    only_admins_edit: Option<bool>,
}

impl GroupChange {
    fn settings(self) -> Result<Vec<GroupSetting>, Problem> {
        if let Some(subject) = &self.subject {
            text_within("subject", subject, 1, MOST_SUBJECT)?;
        }
        if let Some(description) = &self.description {
            text_within("description", description, 0, MOST_DESCRIPTION)?;
        }
        let settings: Vec<GroupSetting> = [
            self.subject.map(GroupSetting::Subject),
            self.description.map(GroupSetting::Description),
            self.only_admins_send.map(GroupSetting::OnlyAdminsSend),
            self.only_admins_edit.map(GroupSetting::OnlyAdminsEdit),
        ]
        .into_iter()
        .flatten()
        .collect();
        if settings.is_empty() {
            let what = "give subject, description, only_admins_send or only_admins_edit";
            return Err(Problem::new(Code::InvalidField, what));
        }
        Ok(settings)
    }
}

/// Changes a group, one thing after the other, and answers how it is then.
/// Where one is refused, those before it stay changed; the same request may be repeated.
#[utoipa::path(patch, path = "/v1/sessions/{session}/groups/{group}", tag = "groups",
    params(("session" = String, Path), ("group" = String, Path)), request_body = GroupChange,
    responses((status = 200, body = GroupJson)))]
pub(super) async fn change(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
    Json(body): Json<GroupChange>,
) -> Result<JsonAnswer<GroupJson>, Problem> {
    for setting in body.settings()? {
        let group = group.clone();
        done(&state, &session, Action::SetGroup { group, setting }).await?;
    }
    current(&state, &session, group).await
}

/// What lets others into a group.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InviteJson {
    code: String,
    /// The same as a link.
    link: String,
}

async fn invite_by(
    state: &HttpState,
    session: &SessionId,
    action: Action,
) -> Result<JsonAnswer<InviteJson>, Problem> {
    let Answer::InviteCode(code) = perform(state, session, action).await? else {
        return Err(off_the_point("invite_code"));
    };
    let link = format!("{INVITE_LINK}{code}");
    Ok(JsonAnswer(InviteJson { code, link }))
}

/// The invite code. Who has it can join, so it needs the scope `send`.
#[utoipa::path(get, path = "/v1/sessions/{session}/groups/{group}/invite", tag = "groups",
    params(("session" = String, Path), ("group" = String, Path)),
    responses((status = 200, body = InviteJson)))]
pub(super) async fn invite(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
) -> Result<JsonAnswer<InviteJson>, Problem> {
    invite_by(&state, &session, Action::InviteCode(group)).await
}

/// Makes the invite code worthless, and answers the new one.
#[utoipa::path(delete, path = "/v1/sessions/{session}/groups/{group}/invite", tag = "groups",
    params(("session" = String, Path), ("group" = String, Path)),
    responses((status = 200, body = InviteJson)))]
pub(super) async fn revoke_invite(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
) -> Result<JsonAnswer<InviteJson>, Problem> {
    invite_by(&state, &session, Action::RevokeInviteCode(group)).await
}

/// An invitation that somebody gave us.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Invitation {
    /// The code, or the whole link.
    code: String,
}

/// A group that was joined.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JoinedJson {
    group: String,
    /// Whether an admin must let us in first.
    pending: bool,
}

/// Joins a group by its invite code.
#[utoipa::path(post, path = "/v1/sessions/{session}/groups/join", tag = "groups",
    params(("session" = String, Path)), request_body = Invitation,
    responses((status = 200, body = JoinedJson)))]
pub(super) async fn join(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    Json(body): Json<Invitation>,
) -> Result<JsonAnswer<JoinedJson>, Problem> {
    let code = invite_code(&body.code)?;
    let Answer::Joined { group, pending } =
        perform(&state, &session, Action::JoinGroup(code)).await?
    else {
        return Err(off_the_point("join_group"));
    };
    Ok(JsonAnswer(JoinedJson {
        group: group.into(),
        pending,
    }))
}

/// The bare code of an invitation, with or without its link.
pub(super) fn invite_code(text: &str) -> Result<String, Problem> {
    let text = text.trim();
    let code = text
        .strip_prefix("https://")
        .unwrap_or(text)
        .trim_start_matches("chat.whatsapp.com/")
        .trim_start_matches("invite/");
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if code.is_empty() || code.len() > MOST_CODE || !code.bytes().all(fits) {
        let what = "give the code behind https://chat.whatsapp.com/, or the whole link";
        return Err(Problem::field("code", what));
    }
    Ok(code.to_owned())
}

/// Leaves a group.
#[utoipa::path(post, path = "/v1/sessions/{session}/groups/{group}/leave", tag = "groups",
    params(("session" = String, Path), ("group" = String, Path)),
    responses((status = 204)))]
pub(super) async fn leave(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
) -> Result<StatusCode, Problem> {
    done(&state, &session, Action::LeaveGroup(group)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_is_read_with_or_without_its_link() {
        for text in [
            "AbC-123_x",
            " https://chat.whatsapp.com/AbC-123_x ",
            "chat.whatsapp.com/invite/AbC-123_x",
        ] {
            assert_eq!(invite_code(text).unwrap(), "AbC-123_x", "{text}");
        }
        for wrong in ["", "https://example.org/x", "a b", &"a".repeat(65)] {
            assert!(invite_code(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
