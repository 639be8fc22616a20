//! `/api`: the REST interface of WAHA, so that programs and client libraries
//! written for it work here as they are. docs/MOVING-FROM-WAHA.md says what
//! differs.
//!
//! Its words are kept: session statuses, message ids with the chat in them,
//! `fromMe`, seconds since 1970. What stands behind them is ours: a message is
//! on disk before it is answered, and errors are problems with a `code`.

mod chats;
mod config;
mod linking;
mod send;
mod server;
mod sessions;
mod shape;
mod unsupported;

pub(super) use unsupported::add_to as unsupported_routes;

use super::problem::{Code, Problem};
use super::{HttpState, JsonAnswer};
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Deserializer};
use std::sync::Arc;
use steadfast_core::ids::{ChatId, SessionId};
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
        .routes(routes!(send::text))
        .routes(routes!(send::reply))
        .routes(routes!(chats::list))
        .routes(routes!(chats::list_by_query))
        .routes(routes!(chats::check_exists))
        .routes(routes!(chats::check_number_status))
}

/// Whether a path is one of this surface, so that its problems speak WAHA too.
pub(super) fn speaks(path: &str) -> bool {
    let whatsapp = path == "/api/whatsapp" || path.starts_with("/api/whatsapp/");
    (path.starts_with("/api/") && !whatsapp) || path == "/health"
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

/// The session that a body or query names; WAHA's clients leave `default` out.
fn session_named(name: Option<&str>) -> Result<SessionId, Problem> {
    let name = name.unwrap_or(crate::app::DEFAULT_SESSION);
    SessionId::parse(name).map_err(|_| super::problem::session_unknown(name))
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

/// A list that may be null or left out.
fn nullable<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}
