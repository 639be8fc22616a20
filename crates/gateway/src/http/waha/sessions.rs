//! Sessions, in WAHA's words.

use super::super::auth::{Caller, Sorting, ToAdmin, ToRead};
use super::super::extract::{Json, Query, SessionName};
use super::super::problem::{Code, Problem};
use super::super::{HttpState, JsonAnswer};
use super::config::{self, WahaConfig};
use super::shape::{WahaMe, WahaSession};
use super::webhooks;
use super::{Answer, AppState};
use crate::app::DEFAULT_SESSION;
use crate::clock::random_bytes;
use crate::sessions::{SessionError, SessionState, SessionView};
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use steadfast_core::ids::{SessionId, ulid};
use steadfast_core::port::Scope;
use utoipa::{IntoParams, ToSchema};

type Made = Result<(StatusCode, JsonAnswer<WahaSession>), Problem>;

async fn shown(state: &HttpState, view: &SessionView, to: Scope) -> Result<WahaSession, Problem> {
    let config = config::kept(state, &view.name).await?.unwrap_or_default();
    Ok(WahaSession::new(view, config.shown(to)))
}

/// WAHA answers its actions with 201. All of them are an administrator's.
async fn made(state: &HttpState, view: &SessionView) -> Made {
    Ok((
        StatusCode::CREATED,
        JsonAnswer(shown(state, view, Scope::Admin).await?),
    ))
}

/// Which sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WahaSessionsQuery {
    /// Also those that are stopped.
    #[serde(default)]
    all: bool,
}

/// The sessions, by name; those that are stopped only where asked for.
#[utoipa::path(get, path = "/api/sessions", tag = "waha", params(WahaSessionsQuery),
    responses((status = 200, body = Vec<WahaSession>)))]
pub(super) async fn list(
    caller: Caller<Sorting<ToRead>>,
    State(state): AppState,
    Query(query): Query<WahaSessionsQuery>,
) -> Answer<Vec<WahaSession>> {
    let mut found = Vec::new();
    for view in state.app.sessions.list().await? {
        let wanted = query.all || view.state != SessionState::Stopped;
        if wanted && caller.sees(&view.name) {
            found.push(shown(&state, &view, caller.scope).await?);
        }
    }
    Ok(JsonAnswer(found))
}

fn yes() -> bool {
    true
}

/// A session to be made.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct WahaNewSession {
    /// 1 to 32 of a-z, 0-9, '-' and '_'; one is made up where it is left out.
    name: Option<String>,
    config: Option<WahaConfig>,
    /// Whether it is to start at once.
    #[serde(default = "yes")]
    start: bool,
}

/// Makes a session. `default` exists from the start, and can be made once all the same.
#[utoipa::path(post, path = "/api/sessions", tag = "waha", request_body = WahaNewSession,
    responses((status = 201, body = WahaSession)))]
pub(super) async fn create(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    Json(body): Json<WahaNewSession>,
) -> Made {
    let name = if let Some(name) = body.name {
        name
    } else {
        let random = random_bytes(state.app.random.as_ref())?;
        let ulid = ulid(state.app.clock.unix(), random);
        format!("s_{}", ulid.to_ascii_lowercase())
    };
    let session = SessionId::parse(&name)?;
    let config = body.config.unwrap_or_default();
    let proxy = config.check()?;
    caller.act("session_created", session.as_str());
    let mut fresh = false;
    let mut view = match state.app.sessions.create(&session, proxy.clone()).await {
        Ok(view) => {
            fresh = true;
            view
        }
        Err(SessionError::Exists(_)) if is_untouched(&state, &session).await? => {
            if state.app.sessions.get(&session).await?.proxy != proxy {
                state.app.sessions.set_proxy(&session, proxy).await?;
            }
            state.app.sessions.start(&session).await?
        }
        Err(error) => return Err(error.into()),
    };
    if let Err(problem) = config::keep(&state, &session, &config).await {
        if fresh {
            // Half of it is worth nothing, and the same request may be made again.
            state.app.sessions.delete(&session).await?;
            webhooks::forget(&state, &session).await?;
        }
        return Err(problem);
    }
    if !body.start {
        view = state.app.sessions.stop(&session).await?;
    }
    made(&state, &view).await
}

/// Whether it is the session that exists from the start and nobody has made here.
async fn is_untouched(state: &HttpState, session: &SessionId) -> Result<bool, Problem> {
    Ok(session.as_str() == DEFAULT_SESSION && config::kept(state, session).await?.is_none())
}

/// One session.
#[utoipa::path(get, path = "/api/sessions/{session}", tag = "waha",
    params(("session" = String, Path)), responses((status = 200, body = WahaSession)))]
pub(super) async fn get(
    caller: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Answer<WahaSession> {
    let view = state.app.sessions.get(&session).await?;
    Ok(JsonAnswer(shown(&state, &view, caller.scope).await?))
}

/// What is to change.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct WahaSessionChange {
    /// Takes the place of the old one.
    config: Option<WahaConfig>,
    /// Whether to start it afterwards, where it is stopped.
    #[serde(default)]
    start: bool,
    /// Whether to stop it.
    #[serde(default)]
    stop: bool,
}

/// Changes a session's configuration. It goes on running.
#[utoipa::path(put, path = "/api/sessions/{session}", tag = "waha",
    params(("session" = String, Path)), request_body = WahaSessionChange,
    responses((status = 200, body = WahaSession)))]
pub(super) async fn update(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    SessionName(session): SessionName,
    Json(body): Json<WahaSessionChange>,
) -> Answer<WahaSession> {
    let mut view = state.app.sessions.get(&session).await?;
    caller.act("session_changed", session.as_str());
    if let Some(config) = body.config {
        let proxy = config.check()?;
        config::keep(&state, &session, &config).await?;
        if view.proxy != proxy {
            view = state.app.sessions.set_proxy(&session, proxy).await?;
        }
    }
    if body.stop {
        view = state.app.sessions.stop(&session).await?;
    }
    if body.start {
        view = state.app.sessions.start(&session).await?;
    }
    Ok(JsonAnswer(shown(&state, &view, caller.scope).await?))
}

/// Logs out, and forgets the session with all its messages. One that is not
/// there is gone already.
#[utoipa::path(delete, path = "/api/sessions/{session}", tag = "waha",
    params(("session" = String, Path)), responses((status = 200)))]
pub(super) async fn delete(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Result<StatusCode, Problem> {
    caller.act("session_deleted", session.as_str());
    match state.app.sessions.delete(&session).await {
        Ok(()) | Err(SessionError::NotFound(_)) => {}
        Err(error) => return Err(error.into()),
    }
    webhooks::forget(&state, &session).await?;
    Ok(StatusCode::OK)
}

/// Who the session is at WhatsApp; null before it is linked.
#[utoipa::path(get, path = "/api/sessions/{session}/me", tag = "waha",
    params(("session" = String, Path)), responses((status = 200, body = Option<WahaMe>)))]
pub(super) async fn me(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Answer<Option<WahaMe>> {
    let view = state.app.sessions.get(&session).await?;
    Ok(JsonAnswer(view.me.as_ref().map(WahaMe::from)))
}

/// Wants the session to run. Answers before it works.
#[utoipa::path(post, path = "/api/sessions/{session}/start", tag = "waha",
    params(("session" = String, Path)), responses((status = 201, body = WahaSession)))]
pub(super) async fn start(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Made {
    caller.act("session_started", session.as_str());
    made(&state, &state.app.sessions.start(&session).await?).await
}

/// Wants the session not to run. Messages are accepted all the same, and wait.
#[utoipa::path(post, path = "/api/sessions/{session}/stop", tag = "waha",
    params(("session" = String, Path)), responses((status = 201, body = WahaSession)))]
pub(super) async fn stop(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Made {
    caller.act("session_stopped", session.as_str());
    made(&state, &state.app.sessions.stop(&session).await?).await
}

/// Ends the session's browser and starts it anew. Also the way out of FAILED.
#[utoipa::path(post, path = "/api/sessions/{session}/restart", tag = "waha",
    params(("session" = String, Path)), responses((status = 201, body = WahaSession)))]
pub(super) async fn restart(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Made {
    caller.act("session_restarted", session.as_str());
    made(&state, &state.app.sessions.restart(&session).await?).await
}

/// Logs the link out at WhatsApp; one that was running then offers a new code.
#[utoipa::path(post, path = "/api/sessions/{session}/logout", tag = "waha",
    params(("session" = String, Path)), responses((status = 201, body = WahaSession)))]
pub(super) async fn logout(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Made {
    caller.act("session_logged_out", session.as_str());
    made(&state, &log_out(&state, &session).await?).await
}

async fn log_out(state: &HttpState, session: &SessionId) -> Result<SessionView, Problem> {
    let before = state.app.sessions.get(session).await?;
    let after = state.app.sessions.logout(session).await?;
    if before.state == SessionState::Stopped {
        return Ok(after);
    }
    Ok(state.app.sessions.start(session).await?)
}

/// A session by name, as older clients give it.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct WahaNamedSession {
    name: String,
    config: Option<WahaConfig>,
    /// Whether to log out before.
    #[serde(default)]
    logout: bool,
}

/// Makes the session where there is none, and starts it. The older form.
#[utoipa::path(post, path = "/api/sessions/start", tag = "waha", request_body = WahaNamedSession,
    responses((status = 201, body = WahaSession)))]
pub(super) async fn start_named(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    Json(body): Json<WahaNamedSession>,
) -> Made {
    let session = SessionId::parse(&body.name)?;
    let given = body.config.is_some();
    let config = body.config.unwrap_or_default();
    let proxy = config.check()?;
    caller.act("session_started", session.as_str());
    let mut fresh = true;
    let view = match state.app.sessions.create(&session, proxy).await {
        Ok(view) => view,
        Err(SessionError::Exists(_)) => {
            fresh = false;
            state.app.sessions.start(&session).await?
        }
        Err(error) => return Err(error.into()),
    };
    // Who only starts a session says nothing of its configuration.
    if fresh || given {
        config::keep(&state, &session, &config).await?;
    }
    made(&state, &view).await
}

/// Stops a session, and logs it out before where asked to. The older form.
#[utoipa::path(post, path = "/api/sessions/stop", tag = "waha", request_body = WahaNamedSession,
    responses((status = 201)))]
pub(super) async fn stop_named(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    Json(body): Json<WahaNamedSession>,
) -> Result<StatusCode, Problem> {
    let session = SessionId::parse(&body.name)?;
    caller.act("session_stopped", session.as_str());
    if body.logout {
        state.app.sessions.logout(&session).await?;
    }
    state.app.sessions.stop(&session).await?;
    Ok(StatusCode::CREATED)
}

/// Logs a session out. The older form.
#[utoipa::path(post, path = "/api/sessions/logout", tag = "waha", request_body = WahaNamedSession,
    responses((status = 201)))]
pub(super) async fn logout_named(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    Json(body): Json<WahaNamedSession>,
) -> Result<StatusCode, Problem> {
    let session = SessionId::parse(&body.name)?;
    caller.act("session_logged_out", session.as_str());
    log_out(&state, &session).await?;
    Ok(StatusCode::CREATED)
}

/// The problem of a session in the wrong state.
pub(super) fn wrong_state(view: &SessionView, what: &str) -> Problem {
    let detail = format!("the session is {}, {what}", view.state.as_str());
    let problem = match view.state {
        SessionState::Starting | SessionState::Syncing | SessionState::Recovering => {
            Problem::new(Code::NotReady, detail).retry_after(1)
        }
        SessionState::Linking => Problem::new(Code::NotReady, detail).retry_after(1),
        SessionState::Stopped
        | SessionState::Ready
        | SessionState::Conflict
        | SessionState::LoggedOut
        | SessionState::Parked => Problem::new(Code::WrongState, detail),
    };
    problem.with("state", view.state.as_str())
}
