//! Who is in a group, in WAHA's words: brought in, put out, made admin.

use super::super::auth::{Caller, Sorting, ToRead, ToSend};
use super::super::chats::{off_the_point, perform};
use super::super::extract::{GroupName, Json, SessionName};
use super::super::groups::some_people;
use super::super::problem::Problem;
use super::super::{HttpState, JsonAnswer};
use super::groups::one;
use super::{Answer as Answered, AppState, session_named};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use steadfast_core::action::{Action, Answer, Participant, ParticipantChange, ParticipantResult};
use steadfast_core::ids::{ChatId, SessionId};
use utoipa::ToSchema;

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

/// 1 to 50 people of whom each is one.
pub(super) fn ids(people: Vec<WahaPerson>) -> Result<Vec<ChatId>, Problem> {
    let id = |person| match person {
        WahaPerson::Object { id } | WahaPerson::Id(id) => id,
    };
    some_people(&people.into_iter().map(id).collect::<Vec<_>>())
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
