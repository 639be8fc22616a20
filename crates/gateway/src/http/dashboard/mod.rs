//! The dashboard: one page at `/` with its files, the login by cookie, and the
//! few answers that only it needs. Everything else it asks of `/v1`, as any
//! other client. None of these addresses is part of the described interface.

mod assets;
mod diagnostics;
pub(super) mod history;
pub(super) mod logins;
mod pictures;

use super::auth::{self, Caller, Known, Sorting, ToRead};
use super::extract::Json;
use super::peer::Peer;
use super::problem::{Code, Problem};
use super::{HttpState, JsonAnswer};
use crate::token;
use axum::Router;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, extract::Path};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use steadfast_core::port::Scope;
use steadfast_core::time::UnixMs;

type AppState = State<Arc<HttpState>>;

/// Its addresses.
pub(super) fn routes() -> Router<Arc<HttpState>> {
    Router::new()
        .route("/", get(page))
        .route("/assets/{file}", get(asset))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/dashboard/me", get(me))
        .route("/dashboard/history/{session}", get(history::of_session))
        .route("/dashboard/diagnostics", get(diagnostics::bundle))
}

/// The page itself. It holds nothing that is anybody's secret.
async fn page(headers: HeaderMap) -> Response {
    assets::answer("index.html", &headers)
}

async fn asset(Path(file): Path<String>, headers: HeaderMap) -> Response {
    assets::answer(&file, &headers)
}

/// Who is logged in, and at what.
#[derive(Debug, Serialize)]
struct Me {
    /// The token's name.
    name: String,
    /// read, send, admin.
    scope: &'static str,
    /// The sessions that it is for; null: all.
    sessions: Option<Vec<String>>,
    version: &'static str,
    /// When this gateway started. Another time is another start.
    started_at: String,
    /// The gateway's clock, for ages.
    now: String,
}

impl Me {
    fn new(state: &HttpState, name: String, scope: Scope, sessions: Option<Vec<String>>) -> Self {
        let now = state.app.clock.unix();
        let up = state.app.clock.mono().since(state.app.started);
        let started = UnixMs(now.0.saturating_sub_unsigned(up));
        Self {
            name,
            scope: token::scope_name(scope),
            sessions,
            version: env!("CARGO_PKG_VERSION"),
            started_at: started.rfc3339(),
            now: now.rfc3339(),
        }
    }
}

async fn me(caller: Caller<Sorting<ToRead>>, State(state): AppState) -> JsonAnswer<Me> {
    let sessions = caller.may_see(None);
    let sessions = sessions.map(|all| all.iter().map(ToString::to_string).collect());
    JsonAnswer(Me::new(&state, caller.name, caller.scope, sessions))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginRequest {
    token: String,
}

/// Lets the holder of a token in by a cookie from now on.
async fn login(
    State(state): AppState,
    Extension(peer): Extension<Peer>,
    Extension(known): Extension<Known>,
    method: Method,
    headers: HeaderMap,
    Json(body): Json<LoginRequest>,
) -> Result<Response, Problem> {
    if !logins::from_our_page(&method, &headers) {
        return Err(foreign());
    }
    let token = auth::holder(&state, body.token.trim(), Some(&peer), &headers).await?;
    // The hash of the very secret: once the token is rotated, the login lasts
    // as long as that secret is still taken.
    let Some(hash) = token::hash(body.token.trim()) else {
        return Err(Problem::new(Code::TokenUnknown, "this is no token"));
    };
    let now = state.app.clock.unix();
    let random = state.app.random.as_ref();
    let secret = state.logins.begin(hash, now, random).await?;
    known.note(&token.name, token.scope, "dashboard_login", &token.name);
    let sessions = token.sessions.as_ref();
    let sessions = sessions.map(|all| all.iter().map(ToString::to_string).collect());
    let me = Me::new(&state, token.name, token.scope, sessions);
    let cookie = logins::cookie(&headers, Some(&secret));
    Ok(([(SET_COOKIE, cookie)], JsonAnswer(me)).into_response())
}

/// Ends a login.
async fn logout(
    State(state): AppState,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !logins::from_our_page(&method, &headers) {
        return Err(foreign());
    }
    state.logins.end(&headers).await;
    let cookie = logins::cookie(&headers, None);
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response())
}

/// A request by cookie that another page made.
pub(super) fn foreign() -> Problem {
    Problem::new(
        Code::ForeignPage,
        "a login by cookie serves the dashboard's own page only",
    )
}
