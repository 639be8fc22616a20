//! The HTTP interface: `/v1`, `/api/whatsapp`, and what is asked of the
//! gateway itself.

mod accept;
mod audit_log;
mod auth;
mod batch;
mod cards;
mod changes;
mod chats;
mod content;
mod cors;
mod dashboard;
mod deliveries;
pub(crate) mod embedded;
mod event_json;
mod events;
mod expiry;
mod extract;
mod fetches;
mod files;
mod groups;
mod layers;
mod media;
mod messages;
mod multipart;
mod openapi;
mod options;
mod original;
mod passkey;
mod patience;
mod peer;
mod people;
pub mod problem;
mod rate;
mod server;
mod sessions;
mod stall;
mod stats;
mod stream;
mod system;
mod tasks;
mod tls;
mod tokens;
mod usage;
mod view;
mod waha;
mod waits;
mod webhooks;

pub(crate) use event_json::EventJson;
pub use openapi::document_json;
pub(crate) use peer::network;
pub use server::Server;
pub(crate) use tls::Tls;
pub use tls::TlsError;
pub use waha::WahaEnvelope;

use crate::app::App;
use axum::Json as JsonAnswer;
use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use problem::{Code, Problem};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What handlers share.
pub struct HttpState {
    app: Arc<App>,
    /// The hash of the credential of this machine's command line.
    local_token: Option<[u8; 32]>,
    in_flight: accept::InFlight,
    limits: auth::Limits,
    usage: usage::Usage,
    /// Who is logged in at the dashboard.
    logins: dashboard::logins::Logins,
    /// What the dashboard's plots show.
    history: dashboard::history::History,
    /// Places for those who listen to events.
    streams: Arc<Semaphore>,
    /// Requests with a file in them that are read at a time: each is held whole.
    inline: Arc<Semaphore>,
    /// Files of messages that are on their way here.
    fetches: fetches::Fetches,
    /// What runs to its end, whoever waits for it.
    tasks: tasks::Tasks,
    /// Goes up whenever a token is changed or revoked.
    tokens_changed: watch::Sender<u64>,
    stopping: CancellationToken,
}

impl HttpState {
    /// `stopping` is cancelled when the gateway shuts down. Logins of the
    /// dashboard end with it.
    pub fn new(
        app: Arc<App>,
        local_token: Option<[u8; 32]>,
        stopping: CancellationToken,
    ) -> Arc<Self> {
        Self::keeping_logins(app, local_token, stopping, None)
    }

    /// As [`HttpState::new`], with a file in which the dashboard's logins
    /// outlive the gateway.
    pub fn keeping_logins(
        app: Arc<App>,
        local_token: Option<[u8; 32]>,
        stopping: CancellationToken,
        logins: Option<PathBuf>,
    ) -> Arc<Self> {
        let limits = auth::Limits::of(&app.config.server);
        let streams = Arc::new(Semaphore::new(app.config.stream.max_streams as usize));
        Arc::new(Self {
            app,
            limits,
            streams,
            local_token,
            in_flight: accept::InFlight::default(),
            usage: usage::Usage::default(),
            logins: dashboard::logins::Logins::open(logins),
            history: dashboard::history::History::default(),
            inline: Arc::new(Semaphore::new(INLINE_AT_ONCE)),
            fetches: fetches::Fetches::default(),
            tasks: tasks::Tasks::default(),
            tokens_changed: watch::Sender::default(),
            stopping,
        })
    }
}

/// Large requests that are held at a time.
const INLINE_AT_ONCE: usize = 4;

/// Every route with its description.
fn api() -> OpenApiRouter<Arc<HttpState>> {
    let original = OpenApiRouter::new()
        .routes(routes!(original::status))
        .routes(routes!(original::qr))
        .routes(routes!(original::health))
        .routes(routes!(original::stats))
        .routes(routes!(original::chats))
        .routes(routes!(original::restart))
        .routes(routes!(original::send_message))
        .routes(routes!(original::send_bulk))
        .routes(routes!(original::send_to_group))
        .routes(routes!(original::check_number))
        .layer(from_fn(layers::original_problems));
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(system::ping))
        .routes(routes!(system::healthz))
        .routes(routes!(system::readyz))
        .routes(routes!(system::metrics_page))
        .routes(routes!(system::openapi_json))
        .routes(routes!(system::docs))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(tokens::rotate))
        .routes(routes!(audit_log::list))
        .routes(routes!(sessions::list, sessions::create))
        .routes(routes!(sessions::get, sessions::change, sessions::delete))
        .routes(routes!(sessions::start))
        .routes(routes!(sessions::stop))
        .routes(routes!(sessions::restart))
        .routes(routes!(sessions::logout))
        .routes(routes!(sessions::qr))
        .routes(routes!(sessions::pairing_code))
        .routes(routes!(passkey::challenge, passkey::answer))
        .routes(routes!(sessions::health))
        .routes(routes!(stats::stats))
        .routes(routes!(sessions::incidents))
        .routes(routes!(sessions::inbound))
        .routes(routes!(sessions::chats))
        .routes(routes!(sessions::check_number))
        .routes(routes!(chats::typing))
        .routes(routes!(chats::read))
        .routes(routes!(chats::presence))
        .routes(routes!(chats::history))
        .routes(routes!(chats::picture))
        .routes(routes!(chats::check_numbers))
        .routes(routes!(people::contacts))
        .routes(routes!(people::contact))
        .routes(routes!(people::profile, people::change_profile))
        .routes(routes!(people::blocklist))
        .routes(routes!(people::block, people::unblock))
        .routes(routes!(groups::list, groups::create))
        .routes(routes!(groups::join))
        .routes(routes!(groups::get, groups::change))
        .routes(routes!(groups::participants))
        .routes(routes!(groups::invite, groups::revoke_invite))
        .routes(routes!(groups::leave))
        .routes(routes!(messages::send, messages::list))
        .routes(routes!(media::upload))
        .routes(routes!(media::of_message))
        .routes(routes!(changes::react, changes::unreact))
        .routes(routes!(changes::edit, changes::revoke))
        .routes(routes!(batch::send_batch))
        .routes(routes!(messages::get, messages::cancel))
        .routes(routes!(messages::release))
        .routes(routes!(messages::discard))
        .routes(routes!(events::list))
        .routes(routes!(stream::stream))
        .routes(routes!(stream::socket))
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::get, webhooks::change, webhooks::remove))
        .routes(routes!(webhooks::pause))
        .routes(routes!(webhooks::resume))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::test))
        .routes(routes!(deliveries::attempts))
        .routes(routes!(deliveries::deliveries))
        .routes(routes!(deliveries::replay))
        .merge(original)
        .merge(waha::routes())
}

/// The whole interface as a service.
pub fn router(state: Arc<HttpState>) -> Router {
    let (router, _) = api().split_for_parts();
    waha::unsupported_routes(router)
        .merge(dashboard::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(state.clone(), layers::guard))
        .with_state(state)
}

async fn not_found(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(Code::NotFound, format!("there is nothing at {path}"))
}

async fn method_not_allowed(method: Method) -> Problem {
    let method: String = method.as_str().chars().take(20).collect();
    Problem::new(
        Code::MethodNotAllowed,
        format!("{method} is not for this address"),
    )
}

/// How many items a page may have.
fn page_limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked {
        None => Ok(50),
        Some(limit @ 1..=200) => Ok(limit),
        Some(_) => Err(Problem::new(
            Code::InvalidRequest,
            "limit is a number from 1 to 200",
        )),
    }
}
