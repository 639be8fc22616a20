//! What is asked of the gateway itself, in WAHA's words.

use super::super::JsonAnswer;
use super::super::auth::{Caller, ToRead};
use super::super::problem::Problem;
use super::AppState;
use crate::config::Config;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

/// How long the store may take to say how it is.
const CHECK_DEADLINE: Duration = Duration::from_secs(2);

/// The name of the engine, as WAHA's clients know names: theirs drives
/// WhatsApp Web in a browser too.
pub(super) const ENGINE: &str = "WEBJS";
/// WAHA's clients read from it that several sessions and files are allowed.
const TIER: &str = "PLUS";

/// One part that was looked at.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct WahaHealthPart {
    /// up or down.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Whether the gateway is well.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WahaHealth {
    /// ok or error.
    status: &'static str,
    /// What is up.
    info: BTreeMap<String, WahaHealthPart>,
    /// What is down.
    error: BTreeMap<String, WahaHealthPart>,
    /// All of it.
    details: BTreeMap<String, WahaHealthPart>,
}

/// Whether messages can be stored and sessions asked. 503 where not.
#[utoipa::path(get, path = "/health", tag = "waha",
    responses((status = 200, body = WahaHealth), (status = 503, body = WahaHealth)))]
pub(super) async fn health(_: Caller<ToRead>, State(state): AppState) -> Response {
    let store = match tokio::time::timeout(CHECK_DEADLINE, state.app.store.check()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("the store did not answer in time".to_owned()),
    };
    let sessions = state.app.sessions.list().await.err();
    let mut details = BTreeMap::new();
    for (name, wrong) in [
        ("store", store),
        ("sessions", sessions.map(|error| error.to_string())),
    ] {
        let status = if wrong.is_none() { "up" } else { "down" };
        let message = wrong;
        details.insert(name.to_owned(), WahaHealthPart { status, message });
    }
    let of = |status: &str| {
        let parts = details.iter().filter(|(_, part)| part.status == status);
        parts
            .map(|(name, part)| (name.clone(), part.clone()))
            .collect()
    };
    let (info, error): (_, BTreeMap<_, _>) = (of("up"), of("down"));
    let well = error.is_empty();
    let body = WahaHealth {
        status: if well { "ok" } else { "error" },
        info,
        error,
        details,
    };
    let status = if well {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, JsonAnswer(body)).into_response()
}

/// Which process it is; there is one.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WahaWorker {
    id: &'static str,
}

/// What runs here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WahaVersion {
    /// The gateway's own version.
    version: &'static str,
    engine: &'static str,
    tier: &'static str,
    /// The browser's path, where one is configured.
    browser: Option<String>,
    platform: String,
    worker: WahaWorker,
}

/// What runs here, also as a part of each webhook.
pub(super) fn environment(config: &Config) -> WahaVersion {
    let path = config.browser.path.as_ref();
    WahaVersion {
        version: env!("CARGO_PKG_VERSION"),
        engine: ENGINE,
        tier: TIER,
        browser: path.map(|path| path.display().to_string()),
        platform: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
        worker: WahaWorker { id: "steadfast" },
    }
}

/// The version.
#[utoipa::path(get, path = "/api/server/version", tag = "waha",
    responses((status = 200, body = WahaVersion)))]
pub(super) async fn server_version(
    _: Caller<ToRead>,
    State(state): AppState,
) -> JsonAnswer<WahaVersion> {
    JsonAnswer(environment(&state.app.config))
}

/// The version, at its older address.
#[utoipa::path(get, path = "/api/version", tag = "waha",
    responses((status = 200, body = WahaVersion)))]
pub(super) async fn version(_: Caller<ToRead>, State(state): AppState) -> JsonAnswer<WahaVersion> {
    JsonAnswer(environment(&state.app.config))
}

/// Since when it runs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaServerStatus {
    /// Milliseconds since 1970.
    start_timestamp: i64,
    /// Milliseconds.
    uptime: u64,
    worker: WahaWorker,
}

/// Since when the gateway runs.
#[utoipa::path(get, path = "/api/server/status", tag = "waha",
    responses((status = 200, body = WahaServerStatus)))]
pub(super) async fn server_status(
    _: Caller<ToRead>,
    State(state): AppState,
) -> Result<JsonAnswer<WahaServerStatus>, Problem> {
    let uptime = state.app.clock.mono().since(state.app.started);
    let now = state.app.clock.unix().0;
    Ok(JsonAnswer(WahaServerStatus {
        start_timestamp: now.saturating_sub(i64::try_from(uptime).unwrap_or(i64::MAX)),
        uptime,
        worker: WahaWorker { id: "steadfast" },
    }))
}
