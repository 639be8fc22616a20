//! What is asked of the gateway itself: whether it lives, whether it takes
//! messages, its figures, its own description.

use super::auth::{Caller, ToRead};
use super::problem::{Code, Problem};
use super::view::{CheckJson, checks};
use super::{HttpState, JsonAnswer, openapi};
use crate::metrics;
use crate::sessions::{Check, CheckStatus, SessionView};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

type AppState = State<Arc<HttpState>>;

/// How long a readiness check of the store may take.
const CHECK_DEADLINE: Duration = Duration::from_secs(2);

/// A sign of life.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Pong {
    message: &'static str,
}

/// Answers pong. Needs no token.
#[utoipa::path(get, path = "/ping", tag = "gateway", security(()),
    responses((status = 200, body = Pong)))]
pub(super) async fn ping() -> JsonAnswer<Pong> {
    JsonAnswer(Pong { message: "pong" })
}

/// That the process lives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Alive {
    /// Always `ok`: a process that cannot answer does not.
    status: &'static str,
    version: &'static str,
    uptime_seconds: f64,
}

/// Whether the process lives. Says nothing about WhatsApp. Needs no token.
#[utoipa::path(get, path = "/healthz", tag = "gateway", security(()),
    responses((status = 200, body = Alive)))]
pub(super) async fn healthz(State(state): AppState) -> JsonAnswer<Alive> {
    let uptime_ms = state.app.clock.mono().since(state.app.started);
    JsonAnswer(Alive {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: uptime_ms as f64 / 1_000.0,
    })
}

/// Whether messages are accepted, and if not, why.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Readiness {
    ready: bool,
    /// Why not, one sentence each; empty where it is.
    reasons: Vec<String>,
    /// store, shutdown; sessions and webhooks for information.
    checks: BTreeMap<&'static str, CheckJson>,
    /// Sessions by state.
    sessions: BTreeMap<&'static str, usize>,
}

/// Whether the gateway accepts messages: it does so long as it can store them,
/// whatever the state of WhatsApp. Says why not. Needs no token.
#[utoipa::path(get, path = "/readyz", tag = "gateway", security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(super) async fn readyz(State(state): AppState) -> Response {
    let mut found = Vec::new();
    let store = match tokio::time::timeout(CHECK_DEADLINE, state.app.store.check()).await {
        Ok(Ok(())) => (CheckStatus::Pass, "messages can be stored".to_owned()),
        Ok(Err(error)) => (
            CheckStatus::Fail,
            format!("messages cannot be stored: {error}"),
        ),
        Err(_) => {
            let detail = format!(
                "the store did not answer within {} s",
                CHECK_DEADLINE.as_secs()
            );
            (CheckStatus::Fail, detail)
        }
    };
    found.push(check("store", store));
    found.push(check(
        "shutdown",
        if state.stopping.is_cancelled() {
            (CheckStatus::Fail, "the gateway is shutting down".to_owned())
        } else {
            (CheckStatus::Pass, "the gateway runs".to_owned())
        },
    ));
    let mut by_state = BTreeMap::new();
    found.push(check(
        "sessions",
        match state.app.sessions.list().await {
            Ok(views) => {
                for view in &views {
                    *by_state.entry(view.state.as_str()).or_insert(0) += 1;
                }
                sessions_check(&views)
            }
            Err(error) => (CheckStatus::Warning, error.to_string()),
        },
    ));
    found.push(check("webhooks", webhooks_check(&state)));
    let reasons: Vec<String> = found
        .iter()
        .filter(|check| check.status == CheckStatus::Fail)
        .map(|check| check.detail.clone())
        .collect();
    let ready = reasons.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = Readiness {
        ready,
        reasons,
        checks: checks(found),
        sessions: by_state,
    };
    (status, JsonAnswer(body)).into_response()
}

/// Whether endpoints take their events. One that does not is no reason to
/// refuse messages: what it is owed waits.
fn webhooks_check(state: &HttpState) -> (CheckStatus, String) {
    let statuses = state.app.webhooks.running_statuses();
    let down = statuses.iter().filter(|(_, status)| status.down).count();
    let detail = format!("{down} of {} webhook endpoints are down", statuses.len());
    let status = if down == 0 {
        CheckStatus::Pass
    } else {
        CheckStatus::Warning
    };
    (status, detail)
}

/// How many sessions are ready, and why the others are not. Their names are
/// for those who have a token.
fn sessions_check(views: &[SessionView]) -> (CheckStatus, String) {
    let ready = views.iter().filter(|view| view.ready()).count();
    let mut detail = format!("{ready} of {} sessions are ready", views.len());
    let mut others = BTreeMap::new();
    for view in views.iter().filter(|view| !view.ready()) {
        let why = match &view.reason {
            Some(reason) => format!("{} ({reason})", view.state.as_str()),
            None => view.state.as_str().to_owned(),
        };
        *others.entry(why).or_insert(0_usize) += 1;
    }
    for (why, count) in others {
        let _ = write!(detail, "; {count} {why}");
    }
    let status = if ready == views.len() {
        CheckStatus::Pass
    } else {
        CheckStatus::Warning
    };
    (status, detail)
}

fn check(name: &'static str, (status, detail): (CheckStatus, String)) -> Check {
    Check {
        name,
        status,
        detail,
    }
}

/// Everything that is counted, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "gateway",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn metrics_page(_: Caller<ToRead>, State(state): AppState) -> Response {
    let sessions = state.app.sessions.list().await.ok();
    let span = state.app.store.event_span().await.ok();
    let newest = span.map(|span| span.newest);
    let page = metrics::render(&state.app, sessions.as_deref(), newest);
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], page).into_response()
}

/// This interface, described for programs. Needs no token.
#[utoipa::path(get, path = "/openapi.json", tag = "gateway", security(()),
    responses((status = 200, body = serde_json::Value)))]
pub(super) async fn openapi_json() -> Result<Response, Problem> {
    let text = openapi::document_json()
        .ok_or_else(|| Problem::new(Code::Internal, "the description could not be written"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// This interface, described for people. Needs no token.
#[utoipa::path(get, path = "/docs", tag = "gateway", security(()),
    responses((status = 200, body = String, content_type = "text/html")))]
pub(super) async fn docs() -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    (
        [(header::CONTENT_SECURITY_POLICY, policy)],
        Html(openapi::page()),
    )
        .into_response()
}
