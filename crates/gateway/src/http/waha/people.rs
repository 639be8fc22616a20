//! The address book, the block list and the account's own profile.

use super::super::auth::{Caller, Sorting, ToRead, ToSend};
use super::super::chats::{done, off_the_point, perform};
use super::super::extract::{ChatName, ContactName, Json, Query, SessionName};
use super::super::people::{MOST_ABOUT, MOST_NAME, text_within};
use super::super::problem::{Code, Problem};
use super::super::{HttpState, JsonAnswer};
use super::acts::{DONE, WahaDone};
use super::{Answer as Answered, AppState, chat_named, session_named, within};
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use steadfast_core::action::{Action, Answer, Contact};
use steadfast_core::ids::{ChatId, SessionId};
use utoipa::{IntoParams, ToSchema};

/// A person.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaContact {
    id: String,
    /// The digits, where the id is a number.
    number: Option<String>,
    /// The name in the address book.
    name: Option<String>,
    /// The name that they go by.
    pushname: Option<String>,
    is_group: bool,
    is_my_contact: bool,
    is_blocked: bool,
}

impl From<Contact> for WahaContact {
    fn from(contact: Contact) -> Self {
        let is_number = contact.id.as_str().ends_with("@c.us");
        Self {
            number: is_number.then(|| contact.id.user().to_owned()),
            is_group: contact.id.is_group(),
            id: contact.id.into(),
            name: contact.name,
            pushname: contact.push_name,
            is_my_contact: contact.is_saved,
            is_blocked: contact.is_blocked,
        }
    }
}

/// Which contacts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WahaContactsQuery {
    /// `default` where left out.
    session: Option<String>,
    /// At most so many, up to 1000.
    limit: Option<usize>,
    /// So many are left out at the beginning.
    #[serde(default)]
    offset: usize,
}

/// The address book.
#[utoipa::path(get, path = "/api/contacts/all", tag = "waha", params(WahaContactsQuery),
    responses((status = 200, body = Vec<WahaContact>)))]
pub(super) async fn contacts(
    caller: Caller<Sorting<ToRead>>,
    State(state): AppState,
    Query(query): Query<WahaContactsQuery>,
) -> Answered<Vec<WahaContact>> {
    let session = session_named(&caller, query.session.as_deref())?;
    let limit = within(query.limit)?;
    let Answer::Contacts(found) = perform(&state, &session, Action::Contacts).await? else {
        return Err(off_the_point("contacts"));
    };
    let page = found.into_iter().skip(query.offset).take(limit);
    Ok(JsonAnswer(page.map(Into::into).collect()))
}

/// Which person.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct WahaContactQuery {
    /// `default` where left out.
    session: Option<String>,
    /// A chat id or a number.
    contact_id: String,
}

/// What is known of one person.
#[utoipa::path(get, path = "/api/contacts", tag = "waha", params(WahaContactQuery),
    responses((status = 200, body = WahaContact)))]
pub(super) async fn contact(
    caller: Caller<Sorting<ToRead>>,
    State(state): AppState,
    Query(query): Query<WahaContactQuery>,
) -> Answered<WahaContact> {
    let session = session_named(&caller, query.session.as_deref())?;
    one(&state, &session, chat_named(&query.contact_id)?).await
}

/// What is known of one person.
#[utoipa::path(get, path = "/api/{session}/contacts/{contact}", tag = "waha",
    params(("session" = String, Path), ("contact" = String, Path)),
    responses((status = 200, body = WahaContact)))]
pub(super) async fn contact_by_path(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    ContactName(contact): ContactName,
) -> Answered<WahaContact> {
    one(&state, &session, contact).await
}

async fn one(state: &HttpState, session: &SessionId, contact: ChatId) -> Answered<WahaContact> {
    match perform(state, session, Action::Contact(contact)).await? {
        Answer::Contact(Some(contact)) => Ok(JsonAnswer(contact.into())),
        Answer::Contact(None) => Err(Problem::new(
            Code::ContactUnknown,
            "WhatsApp Web knows nothing of this person",
        )),
        _ => Err(off_the_point("contact")),
    }
}

/// Where a picture is, at WhatsApp.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WahaContactPicture {
    /// Null where there is none, or none that we may see. Valid for some days.
    #[serde(rename = "profilePictureURL")]
    profile_picture_url: Option<String>,
}

/// The picture of a person.
#[utoipa::path(get, path = "/api/contacts/profile-picture", tag = "waha", params(WahaContactQuery),
    responses((status = 200, body = WahaContactPicture)))]
pub(super) async fn contact_picture(
    caller: Caller<Sorting<ToRead>>,
    State(state): AppState,
    Query(query): Query<WahaContactQuery>,
) -> Answered<WahaContactPicture> {
    let session = session_named(&caller, query.session.as_deref())?;
    let url = picture(&state, &session, chat_named(&query.contact_id)?).await?;
    Ok(JsonAnswer(WahaContactPicture {
        profile_picture_url: url,
    }))
}

/// Where a chat's picture is, at WhatsApp.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WahaChatPicture {
    /// Null where there is none, or none that we may see. Valid for some days.
    url: Option<String>,
}

/// The picture of a chat.
#[utoipa::path(get, path = "/api/{session}/chats/{chat}/picture", tag = "waha",
    params(("session" = String, Path), ("chat" = String, Path)),
    responses((status = 200, body = WahaChatPicture)))]
pub(super) async fn chat_picture(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    ChatName(chat): ChatName,
) -> Answered<WahaChatPicture> {
    let url = picture(&state, &session, chat).await?;
    Ok(JsonAnswer(WahaChatPicture { url }))
}

async fn picture(
    state: &HttpState,
    session: &SessionId,
    chat: ChatId,
) -> Result<Option<String>, Problem> {
    match perform(state, session, Action::Picture(chat)).await? {
        Answer::Picture(url) => Ok(url),
        _ => Err(off_the_point("picture")),
    }
}

/// Whom to block.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaContactNamed {
    /// `default` where left out.
    session: Option<String>,
    contact_id: String,
}

/// Blocks a person.
#[utoipa::path(post, path = "/api/contacts/block", tag = "waha", request_body = WahaContactNamed,
    responses((status = 201, body = WahaDone)))]
pub(super) async fn block(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    Json(body): Json<WahaContactNamed>,
) -> super::acts::Done {
    set_blocked(&state, &caller, &body, true).await
}

/// Blocks a person no more.
#[utoipa::path(post, path = "/api/contacts/unblock", tag = "waha", request_body = WahaContactNamed,
    responses((status = 201, body = WahaDone)))]
pub(super) async fn unblock(
    caller: Caller<Sorting<ToSend>>,
    State(state): AppState,
    Json(body): Json<WahaContactNamed>,
) -> super::acts::Done {
    set_blocked(&state, &caller, &body, false).await
}

async fn set_blocked(
    state: &HttpState,
    caller: &Caller<Sorting<ToSend>>,
    body: &WahaContactNamed,
    blocked: bool,
) -> super::acts::Done {
    let session = session_named(caller, body.session.as_deref())?;
    let contact = chat_named(&body.contact_id)?;
    if contact.is_group() {
        return Err(Problem::field("contactId", "a group is no person"));
    }
    done(state, &session, Action::Block { contact, blocked }).await?;
    Ok((StatusCode::CREATED, DONE))
}

/// The account, as others see it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WahaProfile {
    id: String,
    name: Option<String>,
    /// The about text.
    status: Option<String>,
    /// Where its picture is, at WhatsApp.
    picture: Option<String>,
}

/// The account's own profile.
#[utoipa::path(get, path = "/api/{session}/profile", tag = "waha",
    params(("session" = String, Path)), responses((status = 200, body = WahaProfile)))]
pub(super) async fn profile(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Answered<WahaProfile> {
    let Answer::Profile(profile) = perform(&state, &session, Action::Profile).await? else {
        return Err(off_the_point("profile"));
    };
    let picture = picture(&state, &session, profile.id.clone()).await?;
    Ok(JsonAnswer(WahaProfile {
        id: profile.id.into(),
        name: profile.name,
        status: profile.about,
        picture,
    }))
}

/// Another name.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct WahaProfileName {
    #[schema(min_length = 1, max_length = 25)]
    name: String,
}

/// Changes the name that others see.
#[utoipa::path(put, path = "/api/{session}/profile/name", tag = "waha",
    params(("session" = String, Path)), request_body = WahaProfileName,
    responses((status = 200, body = WahaDone)))]
pub(super) async fn set_name(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    Json(body): Json<WahaProfileName>,
) -> Answered<WahaDone> {
    text_within("name", &body.name, 1, MOST_NAME)?;
    done(&state, &session, Action::SetProfileName(body.name)).await?;
    Ok(DONE)
}

/// Another about text.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct WahaProfileStatus {
    #[schema(max_length = 139)]
    status: String,
}

/// Changes the about text.
#[utoipa::path(put, path = "/api/{session}/profile/status", tag = "waha",
    params(("session" = String, Path)), request_body = WahaProfileStatus,
    responses((status = 200, body = WahaDone)))]
pub(super) async fn set_status(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    Json(body): Json<WahaProfileStatus>,
) -> Answered<WahaDone> {
    text_within("status", &body.status, 0, MOST_ABOUT)?;
    done(&state, &session, Action::SetAbout(body.status)).await?;
    Ok(DONE)
}
