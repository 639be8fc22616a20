//! Around every request: bounds, a deadline, a net for panics, counting.

use super::HttpState;
use super::auth::Known;
use super::cors;
use super::patience::Patience;
use super::problem::{Code, Problem};
use super::tasks::{Place, TAIL};
use super::waha;
use crate::audit;
use crate::clock::random_bytes;
use crate::events;
use crate::traces::Span;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use steadfast_core::ids::SessionId;
use steadfast_core::port::{NewAudit, Scope};
use steadfast_core::time::UnixMs;

/// The outermost layer.
pub(super) async fn guard(
    State(state): State<Arc<HttpState>>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let method = method_name(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let caller = request.headers().get("traceparent").cloned();
    let (patience, origin) = {
        let live = state.app.live.get();
        let limit = Duration::from_millis(live.server.request_timeout_ms);
        let origin = cors::allowed(&live.server.cors_origins, request.headers());
        (Patience::new(limit), origin)
    };
    request.extensions_mut().insert(patience.clone());
    let speaks_waha = waha::speaks(request.uri().path());
    let mut response = match &origin {
        Some(_) if cors::is_preflight(&request) => cors::preflight(),
        Some(_) | None => match too_long(&state, &request) {
            Some(problem) => problem.into_response(),
            None => answered(&state, request, next, &patience).await,
        },
    };
    if speaks_waha {
        response = waha::with_its_words(response);
    }
    if let Some(origin) = origin {
        cors::open(response.headers_mut(), origin);
    }
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    // Answers hold texts and numbers; nobody between us and the caller keeps them.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    let status = response.status();
    let took = began.elapsed();
    let metrics = &state.app.metrics;
    metrics.http_requests.inc([method, &route, status.as_str()]);
    metrics.http_seconds.observe([&route], took.as_secs_f64());
    metrics.traces.tell(|| {
        let ended = state.app.clock.unix();
        let began = UnixMs(ended.0.saturating_sub(took.as_millis() as i64));
        let caller = caller.as_ref().and_then(|header| header.to_str().ok());
        let fresh = random_bytes(state.app.random.as_ref()).ok()?;
        let status = status.as_u16();
        let request = (method, route.as_str());
        Some(Span::of_request(
            request,
            status,
            (began, ended),
            caller,
            fresh,
        ))
    });
    tracing::debug!(
        event = events::HTTP_REQUEST,
        method,
        route,
        status = status.as_u16(),
        took_us = took.as_micros(),
        "request"
    );
    response
}

/// Answers within the caller's patience. What changes something goes on all
/// the same, in a task of the gateway's own, and is written down at its end.
async fn answered(
    state: &Arc<HttpState>,
    request: Request,
    next: Next,
    patience: &Patience,
) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let _held = patience.held();
    let answer = async {
        if !changes {
            return Some(written_down(state, request, next).await);
        }
        let place = request.extensions().get::<Place>().cloned();
        let (owned, limit) = (Arc::clone(state), patience.until() + TAIL);
        let work = async move {
            let whole = written_down(&owned, request, next);
            let ended = tokio::time::timeout_at(limit, whole).await;
            drop(place);
            ended.ok()
        };
        // The panic hook has logged what ended it, where something did.
        state.tasks.spawn(work).await.ok()??
    };
    match tokio::time::timeout_at(patience.until(), answer).await {
        Ok(Some(response)) => response,
        Ok(None) if state.stopping.is_cancelled() => {
            let detail = "the gateway ended before the request did";
            Problem::new(Code::ShuttingDown, detail)
                .retry_after(5)
                .into_response()
        }
        Ok(None) => bug().into_response(),
        Err(_) => {
            let limit = state.app.live.get().server.request_timeout_ms;
            let detail = format!("no answer within {limit} ms");
            Problem::new(Code::Timeout, detail)
                .retry_after(1)
                .into_response()
        }
    }
}

/// The answer, with what was done in the audit log.
async fn written_down(state: &HttpState, mut request: Request, next: Next) -> Response {
    let known = Known::default();
    request.extensions_mut().insert(known.clone());
    let method = request.method().clone();
    let changes = !matches!(method, Method::GET | Method::HEAD);
    let route = request.extensions().get::<MatchedPath>().cloned();
    let session = session_of(request.uri().path());
    // The panic hook has logged and counted it by the time it is caught here.
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let response = answer.unwrap_or_else(|_| bug().into_response());
    let unnamed = || {
        let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
        (format!("{} {route}", method_name(&method)), session)
    };
    if let Some(entry) = act(&known, changes, response.status(), unnamed) {
        let at = state.app.clock.unix();
        audit::record(&state.app, NewAudit { at, ..entry }).await;
    }
    response
}

fn bug() -> Problem {
    Problem::new(
        Code::Internal,
        "a bug ended this request; the gateway goes on",
    )
}

/// What goes into the audit log: what a handler named, and whatever else an
/// administrator changed. A request that was refused changed nothing; one that
/// failed may have.
fn act(
    known: &Known,
    changes: bool,
    status: StatusCode,
    unnamed: impl FnOnce() -> (String, Option<String>),
) -> Option<NewAudit> {
    let (actor, scope) = known.caller()?;
    if status.is_client_error() {
        return None;
    }
    let (act, target) = match known.act() {
        Some(act) => (act.name.to_owned(), Some(act.target.clone())),
        None if changes && *scope == Scope::Admin => unnamed(),
        None => return None,
    };
    Some(NewAudit {
        at: UnixMs(0),
        actor: actor.clone(),
        act,
        target,
        done: !status.is_server_error(),
        detail: None,
    })
}

/// The session that an address names. Nothing else of a path is written down:
/// it may hold a number.
fn session_of(path: &str) -> Option<String> {
    let rest = path
        .strip_prefix("/v1/sessions/")
        .or_else(|| path.strip_prefix("/api/sessions/"))?;
    let name = rest.split('/').next()?;
    SessionId::parse(name).ok().map(String::from)
}

fn too_long(state: &HttpState, request: &Request) -> Option<Problem> {
    let live = state.app.live.get();
    let bounds = &live.server;
    let url_bytes = request
        .uri()
        .path_and_query()
        .map_or(0, |whole| whole.as_str().len());
    if url_bytes > bounds.max_url_bytes {
        let detail = format!("a URL may have {} bytes", bounds.max_url_bytes);
        return Some(Problem::new(Code::UrlTooLong, detail));
    }
    // hyper's own bound is that of its read buffer, and soft.
    let head_bytes = head_bytes(request.headers()) + url_bytes;
    if head_bytes > bounds.max_header_bytes {
        let detail = format!("a request head may have {} bytes", bounds.max_header_bytes);
        return Some(Problem::new(Code::HeadTooLarge, detail));
    }
    None
}

/// Each header with the colon, the space and the line's end.
fn head_bytes(headers: &HeaderMap) -> usize {
    let one = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    headers.iter().map(one).sum()
}

/// Under `/api/whatsapp` a problem also says `success: false` and `error`.
pub(super) async fn original_problems(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone().for_original().into_response(),
        None => response,
    }
}

/// A stranger's method must not become a label of its own.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
