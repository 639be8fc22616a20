//! Groups, in WAHA's words. Who is in them: [`super::members`].

use super::super::auth::{Caller, Sorting, ToRead, ToSend};
use super::super::chats::{done, off_the_point, perform};
use super::super::extract::{GroupName, Json, Query, SessionName};
use super::super::groups::{MOST_DESCRIPTION, MOST_SUBJECT, invite_code};
use super::super::people::text_within;
use super::super::problem::Problem;
use super::super::{HttpState, JsonAnswer};
use super::acts::{DONE, Done, WahaDone};
use super::members::{WahaParticipant, WahaPerson, ids};
use super::{Answer as Answered, AppState, session_named, within};
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use steadfast_core::action::{Action, Answer, Group, GroupSetting};
use steadfast_core::ids::{ChatId, SessionId};
use utoipa::{IntoParams, ToSchema};

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

/// One group as WhatsApp tells of it now.
pub(super) async fn one(
    state: &HttpState,
    session: &SessionId,
    group: ChatId,
) -> Result<Group, Problem> {
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
