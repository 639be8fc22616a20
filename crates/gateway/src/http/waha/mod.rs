//! `/api`: the REST interface of WAHA, so that programs and client libraries
//! written for it work here as they are. docs/MOVING-FROM-WAHA.md says what
//! differs.
//!
//! Its words are kept: session statuses, message ids with the chat in them,
//! `fromMe`, seconds since 1970. What stands behind them is ours: a message is
//! on disk before it is answered, and errors are problems with a `code`.

mod acts;
mod changes;
mod chats;
mod config;
mod envelope;
mod groups;
mod history;
mod linking;
mod members;
mod people;
mod send;
mod server;
mod sessions;
mod shape;
mod unsupported;
mod webhooks;

pub use envelope::WahaEnvelope;
pub(super) use unsupported::add_to as unsupported_routes;
pub(super) use webhooks::forget as forget_webhooks;

use super::auth::Caller;
use super::extract::path_text;
use super::problem::{Code, Problem};
use super::{HttpState, JsonAnswer};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::Response;
use serde::{Deserialize, Deserializer};
use std::sync::Arc;
use steadfast_core::ids::{ChatId, SessionId, WaMessageId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

type AppState = State<Arc<HttpState>>;
type Answer<T> = Result<JsonAnswer<T>, Problem>;

/// Every route that does something, with its description.
pub(super) fn routes() -> OpenApiRouter<Arc<HttpState>> {
    OpenApiRouter::new()
        .routes(routes!(server::health))
        .routes(routes!(server::version))
        .routes(routes!(server::server_version))
        .routes(routes!(server::server_status))
        .routes(routes!(sessions::list, sessions::create))
        .routes(routes!(sessions::start_named))
        .routes(routes!(sessions::stop_named))
        .routes(routes!(sessions::logout_named))
        .routes(routes!(sessions::get, sessions::update, sessions::delete))
        .routes(routes!(sessions::me))
        .routes(routes!(sessions::start))
        .routes(routes!(sessions::stop))
        .routes(routes!(sessions::restart))
        .routes(routes!(sessions::logout))
        .routes(routes!(linking::qr))
        .routes(routes!(linking::request_code))
        .routes(routes!(linking::passkey_challenge))
        .routes(routes!(linking::answer_passkey))
        .routes(routes!(send::text))
        .routes(routes!(send::reply))
        .routes(routes!(send::image))
        .routes(routes!(send::file))
        .routes(routes!(send::voice))
        .routes(routes!(send::video))
        .routes(routes!(send::sticker))
        .routes(routes!(send::location))
        .routes(routes!(send::poll))
        .routes(routes!(send::cards))
        .routes(routes!(send::forward))
        .routes(routes!(changes::react))
        .routes(routes!(acts::seen))
        .routes(routes!(acts::read))
        .routes(routes!(acts::start_typing))
        .routes(routes!(acts::stop_typing))
        .routes(routes!(acts::presence))
        .routes(routes!(history::list))
        .routes(routes!(history::list_by_query))
        .routes(routes!(history::get, changes::edit, changes::delete))
        .routes(routes!(history::download))
        .routes(routes!(people::contacts))
        .routes(routes!(people::contact))
        .routes(routes!(people::contact_by_path))
        .routes(routes!(people::contact_picture))
        .routes(routes!(people::chat_picture))
        .routes(routes!(people::block))
        .routes(routes!(people::unblock))
        .routes(routes!(people::profile))
        .routes(routes!(people::set_name))
        .routes(routes!(people::set_status))
        .merge(group_routes())
        .routes(routes!(chats::list))
        .routes(routes!(chats::list_by_query))
        .routes(routes!(chats::check_exists))
        .routes(routes!(chats::check_number_status))
}

fn group_routes() -> OpenApiRouter<Arc<HttpState>> {
    OpenApiRouter::new()
        .routes(routes!(groups::list, groups::create))
        .routes(routes!(groups::create_named))
        .routes(routes!(groups::change))
        .routes(routes!(members::add_named, members::remove_named))
        .routes(routes!(groups::count))
        .routes(routes!(groups::join))
        .routes(routes!(groups::get))
        .routes(routes!(groups::leave))
        .routes(routes!(groups::set_subject))
        .routes(routes!(groups::set_description))
        .routes(routes!(
            groups::info_admin_only,
            groups::set_info_admin_only
        ))
        .routes(routes!(
            groups::messages_admin_only,
            groups::set_messages_admin_only
        ))
        .routes(routes!(groups::invite))
        .routes(routes!(groups::revoke_invite))
        .routes(routes!(members::participants))
        .routes(routes!(members::participants_v2))
        .routes(routes!(members::add))
        .routes(routes!(members::remove))
        .routes(routes!(members::promote))
        .routes(routes!(members::demote))
}

/// Whether a path is one of this surface, so that its problems speak WAHA too.
pub(super) fn speaks(path: &str) -> bool {
    let whatsapp = path == "/api/whatsapp" || path.starts_with("/api/whatsapp/");
    (path.starts_with("/api/") && !whatsapp) || matches!(path, "/health" | "/mcp")
}

/// A problem with the members that WAHA's clients look for. The response is
/// left alone where it is none.
pub(super) fn with_its_words(response: Response) -> Response {
    use axum::response::IntoResponse as _;
    match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone().for_waha().into_response(),
        None => response,
    }
}

/// The session that a body or query names, where the token is for it; WAHA's
/// clients leave `default` out.
fn session_named<D>(caller: &Caller<D>, name: Option<&str>) -> Result<SessionId, Problem> {
    let name = name.unwrap_or(crate::app::DEFAULT_SESSION);
    match SessionId::parse(name) {
        Ok(session) if caller.sees(&session) => Ok(session),
        // Whether there is one is not the caller's business.
        Ok(_) | Err(_) => Err(super::problem::session_unknown(name)),
    }
}

/// A chat id. Channels and broadcasts are told apart from typing errors.
fn chat_named(text: &str) -> Result<ChatId, Problem> {
    let text = text.trim();
    if text.ends_with("@newsletter") || text.ends_with("@broadcast") {
        return Err(not_supported("channels and status broadcasts"));
    }
    Ok(ChatId::parse(text)?)
}

fn not_supported(what: &str) -> Problem {
    Problem::new(
        Code::Unsupported,
        format!("{what}: not supported here; docs/MOVING-FROM-WAHA.md lists what is"),
    )
}

/// `{message}` in the path: the bare id of it, whichever way it is named.
struct MessageId(WaMessageId);

impl<S: Sync> FromRequestParts<S> for MessageId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = path_text(parts, "message").await?;
        if text.contains('@') {
            return Ok(Self(send::key_named(&text)?.id));
        }
        Ok(Self(WaMessageId::parse(&text)?))
    }
}

/// Most items of one answer.
const MAX_LIMIT: usize = 1_000;

fn within(limit: Option<usize>) -> Result<usize, Problem> {
    match limit {
        None => Ok(MAX_LIMIT),
        Some(limit @ 1..=MAX_LIMIT) => Ok(limit),
        Some(_) => {
            let detail = format!("limit is a number from 1 to {MAX_LIMIT}");
            Err(Problem::new(Code::InvalidRequest, detail))
        }
    }
}

/// A list that may be null or left out.
fn nullable<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}
