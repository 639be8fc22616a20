//! `/v1/sessions/{session}/contacts`, `profile` and `blocklist`.

use super::auth::{Caller, ToRead, ToSend};
use super::chats::{done, off_the_point, perform};
use super::extract::{ContactName, Json, SessionName};
use super::problem::{Code, Problem};
use super::view::Page;
use super::{HttpState, JsonAnswer};
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use steadfast_core::action::{Action, Answer, Contact, Profile};
use steadfast_core::ids::SessionId;
use utoipa::ToSchema;

type AppState = State<Arc<HttpState>>;

/// WhatsApp's longest name.
pub(super) const MOST_NAME: usize = 25;
/// WhatsApp's longest about text.
pub(super) const MOST_ABOUT: usize = 139;

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ContactJson {
    id: String,
    /// The name in the address book.
    name: Option<String>,
    /// The name that they go by.
    push_name: Option<String>,
    /// Whether they are in the address book.
    is_saved: bool,
    is_blocked: bool,
}

impl From<Contact> for ContactJson {
    fn from(contact: Contact) -> Self {
        Self {
            id: contact.id.into(),
            name: contact.name,
            push_name: contact.push_name,
            is_saved: contact.is_saved,
            is_blocked: contact.is_blocked,
        }
    }
}

/// Everybody in the address book or with a chat, at most 5,000; saved ones first.
#[utoipa::path(get, path = "/v1/sessions/{session}/contacts", tag = "people",
    params(("session" = String, Path)), responses((status = 200, body = Page<ContactJson>)))]
pub(super) async fn contacts(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Result<JsonAnswer<Page<ContactJson>>, Problem> {
    let Answer::Contacts(contacts) = perform(&state, &session, Action::Contacts).await? else {
        return Err(off_the_point("contacts"));
    };
    Ok(JsonAnswer(Page {
        items: contacts.into_iter().map(Into::into).collect(),
        next: None,
    }))
}

/// What WhatsApp Web knows of one person.
#[utoipa::path(get, path = "/v1/sessions/{session}/contacts/{contact}", tag = "people",
    params(("session" = String, Path), ("contact" = String, Path)),
    responses((status = 200, body = ContactJson)))]
pub(super) async fn contact(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    ContactName(contact): ContactName,
) -> Result<JsonAnswer<ContactJson>, Problem> {
    match perform(&state, &session, Action::Contact(contact)).await? {
        Answer::Contact(Some(contact)) => Ok(JsonAnswer(contact.into())),
        Answer::Contact(None) => Err(Problem::new(
            Code::ContactUnknown,
            "WhatsApp Web knows nothing of this person",
        )),
        _ => Err(off_the_point("contact")),
    }
}

/// Us, as others see us.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProfileJson {
    id: String,
    name: Option<String>,
    about: Option<String>,
}

impl From<Profile> for ProfileJson {
    fn from(profile: Profile) -> Self {
        Self {
            id: profile.id.into(),
            name: profile.name,
            about: profile.about,
        }
    }
}

async fn current(
    state: &HttpState,
    session: &SessionId,
) -> Result<JsonAnswer<ProfileJson>, Problem> {
    let Answer::Profile(profile) = perform(state, session, Action::Profile).await? else {
        return Err(off_the_point("profile"));
    };
    Ok(JsonAnswer(profile.into()))
}

/// Who we are to others.
#[utoipa::path(get, path = "/v1/sessions/{session}/profile", tag = "people",
    params(("session" = String, Path)), responses((status = 200, body = ProfileJson)))]
pub(super) async fn profile(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Result<JsonAnswer<ProfileJson>, Problem> {
    current(&state, &session).await
}

/// What is to be different about us.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileChange {
    /// The name that others see.
    #[schema(min_length = 1, max_length = 25)]
    name: Option<String>,
    /// The about text; empty for none.
    #[schema(max_length = 139)]
    about: Option<String>,
}

/// Changes our name or about text, and answers who we are then.
#[utoipa::path(patch, path = "/v1/sessions/{session}/profile", tag = "people",
    params(("session" = String, Path)), request_body = ProfileChange,
    responses((status = 200, body = ProfileJson)))]
pub(super) async fn change_profile(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    Json(body): Json<ProfileChange>,
) -> Result<JsonAnswer<ProfileJson>, Problem> {
    if body.name.is_none() && body.about.is_none() {
        let what = "give a name, an about text, or both";
        return Err(Problem::new(Code::InvalidField, what));
    }
    if let Some(name) = &body.name {
        text_within("name", name, 1, MOST_NAME)?;
    }
    if let Some(about) = &body.about {
        text_within("about", about, 0, MOST_ABOUT)?;
    }
    if let Some(name) = body.name {
        done(&state, &session, Action::SetProfileName(name)).await?;
    }
    if let Some(about) = body.about {
        done(&state, &session, Action::SetAbout(about)).await?;
    }
    current(&state, &session).await
}

/// A text of so many characters, counted as people do; blanks alone are none.
pub(super) fn text_within(
    field: &str,
    text: &str,
    least: usize,
    most: usize,
) -> Result<(), Problem> {
    let count = text.chars().count();
    if count > most || count < least || (least > 0 && text.trim().is_empty()) {
        let what = format!("{least} to {most} characters, and these are {count}");
        return Err(Problem::field(field, what));
    }
    Ok(())
}

/// Somebody whom we block.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BlockedJson {
    id: String,
}

/// Whom we block.
#[utoipa::path(get, path = "/v1/sessions/{session}/blocklist", tag = "people",
    params(("session" = String, Path)), responses((status = 200, body = Page<BlockedJson>)))]
pub(super) async fn blocklist(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Result<JsonAnswer<Page<BlockedJson>>, Problem> {
    let Answer::Blocklist(ids) = perform(&state, &session, Action::Blocklist).await? else {
        return Err(off_the_point("blocklist"));
    };
    let items = ids.into_iter().map(|id| BlockedJson { id: id.into() });
    Ok(JsonAnswer(Page {
        items: items.collect(),
        next: None,
    }))
}

/// Blocks somebody.
#[utoipa::path(put, path = "/v1/sessions/{session}/blocklist/{contact}", tag = "people",
    params(("session" = String, Path), ("contact" = String, Path)),
    responses((status = 204)))]
pub(super) async fn block(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    ContactName(contact): ContactName,
) -> Result<StatusCode, Problem> {
    let blocked = true;
    done(&state, &session, Action::Block { contact, blocked }).await
}

/// Blocks somebody no more.
#[utoipa::path(delete, path = "/v1/sessions/{session}/blocklist/{contact}", tag = "people",
    params(("session" = String, Path), ("contact" = String, Path)),
    responses((status = 204)))]
pub(super) async fn unblock(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    ContactName(contact): ContactName,
) -> Result<StatusCode, Problem> {
    let blocked = false;
    done(&state, &session, Action::Block { contact, blocked }).await
}
