//! Groups, in WAHA's words.

use super::super::auth::{Caller, Sorting, ToRead, ToSend};
use super::super::chats::{done, off_the_point, perform};
use super::super::extract::{GroupName, Json, Query, SessionName};
use super::super::groups::{MOST_DESCRIPTION, MOST_SUBJECT, invite_code, some_people};
use super::super::people::text_within;
use super::super::problem::Problem;
use super::super::{HttpState, JsonAnswer};
use super::acts::{DONE, Done, WahaDone};
use super::{Answer as Answered, AppState, session_named, within};
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use steadfast_core::action::{
    Action, Answer, Group, GroupSetting, Participant, ParticipantChange, ParticipantResult,
};
use steadfast_core::ids::{ChatId, SessionId};
use utoipa::{IntoParams, ToSchema};

/// Somebody in a group.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaParticipant {
    id: String,
    /// participant, admin or superadmin.
    role: &'static str,
    is_admin: bool,
    is_super_admin: bool,
}

impl From<Participant> for WahaParticipant {
    fn from(who: Participant) -> Self {
        Self {
            id: who.id.into(),
            role: match (who.is_owner, who.is_admin) {
                (true, _) => "superadmin",
                (false, true) => "admin",
                (false, false) => "participant",
            },
            is_admin: who.is_admin || who.is_owner,
            is_super_admin: who.is_owner,
        }
    }
}

/// A group.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaGroup {
    id: String,
    subject: String,
    /// The subject again: some clients look for it here.
    name: String,
    description: String,
    owner: Option<String>,
    /// Seconds since 1970.
    created_at: Option<i64>,
    members_can_send_messages: bool,
    members_can_edit_info: bool,
    size: u32,
    participants: Vec<WahaParticipant>,
}

impl From<Group> for WahaGroup {
    fn from(group: Group) -> Self {
        Self {
            id: group.id.into(),
            name: group.subject.clone(),
            subject: group.subject,
            description: group.description.unwrap_or_default(),
            owner: group.owner.map(Into::into),
            created_at: group.created_at.map(|at| at.0.div_euclid(1_000)),
            members_can_send_messages: !group.only_admins_send,
            members_can_edit_info: !group.only_admins_edit,
            size: group.size,
            participants: group.participants.into_iter().map(Into::into).collect(),
        }
    }
}

async fn all(state: &HttpState, session: &SessionId) -> Result<Vec<Group>, Problem> {
    match perform(state, session, Action::Groups).await? {
        Answer::Groups(groups) => Ok(groups),
        _ => Err(off_the_point("groups")),
    }
}

async fn one(state: &HttpState, session: &SessionId, group: ChatId) -> Result<Group, Problem> {
    match perform(state, session, Action::Group(group)).await? {
        Answer::Group(group) => Ok(group),
        _ => Err(off_the_point("group")),
    }
}

/// Which groups.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WahaGroupsQuery {
    /// At most so many, up to 1000.
    limit: Option<usize>,
    /// So many are left out at the beginning.
    #[serde(default)]
    offset: usize,
}

/// The groups that the account is in.
#[utoipa::path(get, path = "/api/{session}/groups", tag = "waha",
    params(("session" = String, Path), WahaGroupsQuery),
    responses((status = 200, body = Vec<WahaGroup>)))]
pub(super) async fn list(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    Query(query): Query<WahaGroupsQuery>,
) -> Answered<Vec<WahaGroup>> {
    let limit = within(query.limit)?;
    let groups = all(&state, &session).await?;
    let page = groups.into_iter().skip(query.offset).take(limit);
    Ok(JsonAnswer(page.map(Into::into).collect()))
}

/// How many there are.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WahaCount {
    count: usize,
}

/// How many groups the account is in.
#[utoipa::path(get, path = "/api/{session}/groups/count", tag = "waha",
    params(("session" = String, Path)), responses((status = 200, body = WahaCount)))]
pub(super) async fn count(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Answered<WahaCount> {
    let count = all(&state, &session).await?.len();
    Ok(JsonAnswer(WahaCount { count }))
}

/// One group with its participants.
#[utoipa::path(get, path = "/api/{session}/groups/{group}", tag = "waha",
    params(("session" = String, Path), ("group" = String, Path)),
    responses((status = 200, body = WahaGroup)))]
pub(super) async fn get(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
) -> Answered<WahaGroup> {
    Ok(JsonAnswer(one(&state, &session, group).await?.into()))
}

/// A person, as an object or as a bare id: the two clients differ.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum WahaPerson {
    /// As `waha-py` says it.
    Object {
        /// Its chat id.
        id: String,
    },
    /// As `waha` says it.
    Id(String),
}

fn ids(people: Vec<WahaPerson>) -> Result<Vec<ChatId>, Problem> {
    let id = |person| match person {
        WahaPerson::Object { id } | WahaPerson::Id(id) => id,
    };
    some_people(&people.into_iter().map(id).collect::<Vec<_>>())
}

/// A group to be made.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct WahaNewGroup {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    #[schema(min_items = 1, max_items = 50)]
    participants: Vec<WahaPerson>,
    /// For the address without a session in it; `default` where left out.
    session: Option<String>,
}

/// Makes a group. A repeat makes another one.
#[utoipa::path(post, path = "/api/{session}/groups", tag = "waha",
    params(("session" = String, Path)), request_body = WahaNewGroup,
    responses((status = 201, body = WahaGroup)))]
pub(super) async fn create(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    Json(body): Json<WahaNewGroup>,
) -> Result<(StatusCode, JsonAnswer<WahaGroup>), Problem> {
    make(&state, &session, body).await
}

/// Makes a group, with the session in the body.
#[utoipa::path(post, path = "/api/groups", tag = "waha", request_body = WahaNewGroup,
    responses((status = 201, body = WahaGroup)))]
pub(super) async fn create_named(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    Json(body): Json<WahaNewGroup>,
) -> Result<(StatusCode, JsonAnswer<WahaGroup>), Problem> {
    let session = session_named(&caller, body.session.as_deref())?;
    make(&state, &session, body).await
}

async fn make(
    state: &HttpState,
    session: &SessionId,
    body: WahaNewGroup,
) -> Result<(StatusCode, JsonAnswer<WahaGroup>), Problem> {
    text_within("name", &body.name, 1, MOST_SUBJECT)?;
    let action = Action::CreateGroup {
        subject: body.name,
        participants: ids(body.participants)?,
    };
    match perform(state, session, action).await? {
        Answer::Created { group, .. } => Ok((StatusCode::CREATED, JsonAnswer(group.into()))),
        _ => Err(off_the_point("create_group")),
    }
}

/// An invitation.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct WahaInvitation {
    /// The code, or the link with it.
    code: String,
}

/// The group that was joined.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WahaJoined {
    id: String,
}

/// Joins the group behind an invitation.
#[utoipa::path(post, path = "/api/{session}/groups/join", tag = "waha",
    params(("session" = String, Path)), request_body = WahaInvitation,
    responses((status = 201, body = WahaJoined)))]
pub(super) async fn join(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    Json(body): Json<WahaInvitation>,
) -> Result<(StatusCode, JsonAnswer<WahaJoined>), Problem> {
    let code = invite_code(&body.code)?;
    match perform(&state, &session, Action::JoinGroup(code)).await? {
        Answer::Joined { group, .. } => {
            let id = group.into();
            Ok((StatusCode::CREATED, JsonAnswer(WahaJoined { id })))
        }
        _ => Err(off_the_point("join_group")),
    }
}

/// Leaves a group.
#[utoipa::path(post, path = "/api/{session}/groups/{group}/leave", tag = "waha",
    params(("session" = String, Path), ("group" = String, Path)),
    responses((status = 201, body = WahaDone)))]
pub(super) async fn leave(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
) -> Done {
    done(&state, &session, Action::LeaveGroup(group)).await?;
    Ok((StatusCode::CREATED, DONE))
}

async fn set(
    state: &HttpState,
    session: &SessionId,
    group: ChatId,
    setting: GroupSetting,
) -> Answered<WahaDone> {
    done(state, session, Action::SetGroup { group, setting }).await?;
    Ok(DONE)
}

/// Another subject.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct WahaSubject {
    #[schema(min_length = 1, max_length = 100)]
    subject: String,
}

/// Changes a group's subject.
#[utoipa::path(put, path = "/api/{session}/groups/{group}/subject", tag = "waha",
    params(("session" = String, Path), ("group" = String, Path)), request_body = WahaSubject,
    responses((status = 200, body = WahaDone)))]
pub(super) async fn set_subject(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
    Json(body): Json<WahaSubject>,
) -> Answered<WahaDone> {
    text_within("subject", &body.subject, 1, MOST_SUBJECT)?;
    set(&state, &session, group, GroupSetting::Subject(body.subject)).await
}

/// Another description.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct WahaDescription {
    #[schema(max_length = 2_048)]
    description: String,
}

/// Changes a group's description.
#[utoipa::path(put, path = "/api/{session}/groups/{group}/description", tag = "waha",
    params(("session" = String, Path), ("group" = String, Path)), request_body = WahaDescription,
    responses((status = 200, body = WahaDone)))]
pub(super) async fn set_description(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
    Json(body): Json<WahaDescription>,
) -> Answered<WahaDone> {
    text_within("description", &body.description, 0, MOST_DESCRIPTION)?;
    let setting = GroupSetting::Description(body.description);
    set(&state, &session, group, setting).await
}

/// What a waha client changes of a group in one request.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct WahaGroupChange {
    session: Option<String>,
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    #[schema(max_length = 2_048)]
    description: Option<String>,
}

/// Changes a group's subject, its description, or both.
#[utoipa::path(put, path = "/api/groups/{group}", tag = "waha",
    params(("group" = String, Path)), request_body = WahaGroupChange,
    responses((status = 200, body = WahaDone)))]
pub(super) async fn change(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    GroupName(group): GroupName,
    Json(body): Json<WahaGroupChange>,
) -> Answered<WahaDone> {
    let session = session_named(&caller, body.session.as_deref())?;
    if let Some(name) = &body.name {
        text_within("name", name, 1, MOST_SUBJECT)?;
    }
    if let Some(description) = &body.description {
        text_within("description", description, 0, MOST_DESCRIPTION)?;
    }
    let settings = [
        body.name.map(GroupSetting::Subject),
        body.description.map(GroupSetting::Description),
    ];
    for setting in settings.into_iter().flatten() {
        let group = group.clone();
        done(&state, &session, Action::SetGroup { group, setting }).await?;
    }
    Ok(DONE)
}

/// Who may do something.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaAdminsOnly {
    admins_only: bool,
}

/// Whether only admins change the group.
#[utoipa::path(get, path = "/api/{session}/groups/{group}/settings/security/info-admin-only", tag = "waha",
    params(("session" = String, Path), ("group" = String, Path)),
    responses((status = 200, body = WahaAdminsOnly)))]
pub(super) async fn info_admin_only(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
) -> Answered<WahaAdminsOnly> {
    let admins_only = one(&state, &session, group).await?.only_admins_edit;
    Ok(JsonAnswer(WahaAdminsOnly { admins_only }))
}

/// Lets only admins change the group, or all.
#[utoipa::path(put, path = "/api/{session}/groups/{group}/settings/security/info-admin-only", tag = "waha",
    params(("session" = String, Path), ("group" = String, Path)), request_body = WahaAdminsOnly,
    responses((status = 200, body = WahaDone)))]
pub(super) async fn set_info_admin_only(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
    Json(body): Json<WahaAdminsOnly>,
) -> Answered<WahaDone> {
    let setting = GroupSetting::OnlyAdminsEdit(body.admins_only);
    set(&state, &session, group, setting).await
}

/// Whether only admins write.
#[utoipa::path(get, path = "/api/{session}/groups/{group}/settings/security/messages-admin-only", tag = "waha",
    params(("session" = String, Path), ("group" = String, Path)),
    responses((status = 200, body = WahaAdminsOnly)))]
pub(super) async fn messages_admin_only(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
) -> Answered<WahaAdminsOnly> {
    let admins_only = one(&state, &session, group).await?.only_admins_send;
    Ok(JsonAnswer(WahaAdminsOnly { admins_only }))
}

/// Lets only admins write, or all.
#[utoipa::path(put, path = "/api/{session}/groups/{group}/settings/security/messages-admin-only", tag = "waha",
    params(("session" = String, Path), ("group" = String, Path)), request_body = WahaAdminsOnly,
    responses((status = 200, body = WahaDone)))]
pub(super) async fn set_messages_admin_only(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
    Json(body): Json<WahaAdminsOnly>,
) -> Answered<WahaDone> {
    let setting = GroupSetting::OnlyAdminsSend(body.admins_only);
    set(&state, &session, group, setting).await
}

/// The code that lets others join.
#[utoipa::path(get, path = "/api/{session}/groups/{group}/invite-code", tag = "waha",
    params(("session" = String, Path), ("group" = String, Path)),
    responses((status = 200, body = String, content_type = "application/json")))]
pub(super) async fn invite(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
) -> Answered<String> {
    code_by(&state, &session, Action::InviteCode(group)).await
}

/// Makes the old code worthless and gives a new one.
#[utoipa::path(post, path = "/api/{session}/groups/{group}/invite-code/revoke", tag = "waha",
    params(("session" = String, Path), ("group" = String, Path)),
    responses((status = 200, body = String, content_type = "application/json")))]
pub(super) async fn revoke_invite(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
) -> Answered<String> {
    code_by(&state, &session, Action::RevokeInviteCode(group)).await
}

async fn code_by(state: &HttpState, session: &SessionId, action: Action) -> Answered<String> {
    match perform(state, session, action).await? {
        Answer::InviteCode(code) => Ok(JsonAnswer(code)),
        _ => Err(off_the_point("invite_code")),
    }
}

/// Who is in a group.
#[utoipa::path(get, path = "/api/{session}/groups/{group}/participants", tag = "waha",
    params(("session" = String, Path), ("group" = String, Path)),
    responses((status = 200, body = Vec<WahaParticipant>)))]
pub(super) async fn participants(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
) -> Answered<Vec<WahaParticipant>> {
    let group = one(&state, &session, group).await?;
    Ok(JsonAnswer(
        group.participants.into_iter().map(Into::into).collect(),
    ))
}

/// Who is in a group, at its newer address.
#[utoipa::path(get, path = "/api/{session}/groups/{group}/participants/v2", tag = "waha",
    params(("session" = String, Path), ("group" = String, Path)),
    responses((status = 200, body = Vec<WahaParticipant>)))]
pub(super) async fn participants_v2(
    caller: Caller<ToRead>,
    state: AppState,
    session: SessionName,
    group: GroupName,
) -> Answered<Vec<WahaParticipant>> {
    participants(caller, state, session, group).await
}

/// People of a group.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct WahaPeople {
    #[schema(min_items = 1, max_items = 50)]
    participants: Vec<WahaPerson>,
    /// For the address without a session in it; `default` where left out.
    session: Option<String>,
}

/// What came of one of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WahaPersonResult {
    id: String,
    success: bool,
    /// WhatsApp's code: 200 done, 403 only by invitation, 404 not on WhatsApp, 409 already in.
    code: u16,
}

impl From<ParticipantResult> for WahaPersonResult {
    fn from(result: ParticipantResult) -> Self {
        Self {
            id: result.id.into(),
            success: result.code == 200,
            code: result.code,
        }
    }
}

async fn change_people(
    state: &HttpState,
    session: &SessionId,
    group: ChatId,
    change: ParticipantChange,
    people: Vec<WahaPerson>,
) -> Answered<Vec<WahaPersonResult>> {
    let action = Action::Participants {
        group,
        change,
        participants: ids(people)?,
    };
    match perform(state, session, action).await? {
        Answer::Participants(all) => Ok(JsonAnswer(all.into_iter().map(Into::into).collect())),
        _ => Err(off_the_point("participants")),
    }
}

/// Brings people into a group.
#[utoipa::path(post, path = "/api/{session}/groups/{group}/participants/add", tag = "waha",
    params(("session" = String, Path), ("group" = String, Path)), request_body = WahaPeople,
    responses((status = 200, body = Vec<WahaPersonResult>)))]
pub(super) async fn add(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
    Json(body): Json<WahaPeople>,
) -> Answered<Vec<WahaPersonResult>> {
    let people = body.participants;
    change_people(&state, &session, group, ParticipantChange::Add, people).await
}

/// Puts people out of a group.
#[utoipa::path(post, path = "/api/{session}/groups/{group}/participants/remove", tag = "waha",
    params(("session" = String, Path), ("group" = String, Path)), request_body = WahaPeople,
    responses((status = 200, body = Vec<WahaPersonResult>)))]
pub(super) async fn remove(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
    Json(body): Json<WahaPeople>,
) -> Answered<Vec<WahaPersonResult>> {
    let people = body.participants;
    change_people(&state, &session, group, ParticipantChange::Remove, people).await
}

/// Makes people admins.
#[utoipa::path(post, path = "/api/{session}/groups/{group}/admin/promote", tag = "waha",
    params(("session" = String, Path), ("group" = String, Path)), request_body = WahaPeople,
    responses((status = 200, body = Vec<WahaPersonResult>)))]
pub(super) async fn promote(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
    Json(body): Json<WahaPeople>,
) -> Answered<Vec<WahaPersonResult>> {
    let people = body.participants;
    change_people(&state, &session, group, ParticipantChange::Promote, people).await
}

/// Makes admins participants again.
#[utoipa::path(post, path = "/api/{session}/groups/{group}/admin/demote", tag = "waha",
    params(("session" = String, Path), ("group" = String, Path)), request_body = WahaPeople,
    responses((status = 200, body = Vec<WahaPersonResult>)))]
pub(super) async fn demote(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    GroupName(group): GroupName,
    Json(body): Json<WahaPeople>,
) -> Answered<Vec<WahaPersonResult>> {
    let people = body.participants;
    change_people(&state, &session, group, ParticipantChange::Demote, people).await
}

/// Brings people into a group, with the session in the body.
#[utoipa::path(post, path = "/api/groups/{group}/participants", tag = "waha",
    params(("group" = String, Path)), request_body = WahaPeople,
    responses((status = 200, body = Vec<WahaPersonResult>)))]
pub(super) async fn add_named(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    GroupName(group): GroupName,
    Json(body): Json<WahaPeople>,
) -> Answered<Vec<WahaPersonResult>> {
    let session = session_named(&caller, body.session.as_deref())?;
    let people = body.participants;
    change_people(&state, &session, group, ParticipantChange::Add, people).await
}

/// Puts people out of a group, with the session in the body.
#[utoipa::path(delete, path = "/api/groups/{group}/participants", tag = "waha",
    params(("group" = String, Path)), request_body = WahaPeople,
    responses((status = 200, body = Vec<WahaPersonResult>)))]
pub(super) async fn remove_named(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    GroupName(group): GroupName,
    Json(body): Json<WahaPeople>,
) -> Answered<Vec<WahaPersonResult>> {
    let session = session_named(&caller, body.session.as_deref())?;
    let people = body.participants;
    change_people(&state, &session, group, ParticipantChange::Remove, people).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_named_in_either_form() {
        let both = r#"[{"id": "4915123456789@c.us"}, "4915198765432@c.us"]"#;
        let people: Vec<WahaPerson> = serde_json::from_str(both).unwrap();
        assert_eq!(ids(people).unwrap().len(), 2);
    }
}
