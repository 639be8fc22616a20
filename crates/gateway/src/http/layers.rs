//! Around every request: bounds, a deadline, a net for panics, counting.

use super::HttpState;
use super::auth::Known;
use super::cors;
use super::problem::{Code, Problem};
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
    let known = Known::default();
    request.extensions_mut().insert(known.clone());
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let session = session_of(request.uri().path());
    let caller = request.headers().get("traceparent").cloned();
    let origin = {
        let live = state.app.live.get();
        cors::allowed(&live.server.cors_origins, request.headers())
    };
    let speaks_waha = waha::speaks(request.uri().path());
    let mut response = match &origin {
        Some(_) if cors::is_preflight(&request) => cors::preflight(),
        Some(_) | None => bounded(&state, request, next).await,
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
    if let Some(entry) = act(&known, changes, status, || {
        (format!("{method} {route}"), session)
    }) {
        let at = state.app.clock.unix();
        audit::record(&state.app, NewAudit { at, ..entry }).await;
    }
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

async fn bounded(state: &HttpState, request: Request, next: Next) -> Response {
    let live = state.app.live.get();
    let bounds = &live.server;
    let url_bytes = request
        .uri()
        .path_and_query()
        .map_or(0, |whole| whole.as_str().len());
    if url_bytes > bounds.max_url_bytes {
        let detail = format!("a URL may have {} bytes", bounds.max_url_bytes);
        return Problem::new(Code::UrlTooLong, detail).into_response();
    }
    // hyper's own bound is that of its read buffer, and soft.
    let head_bytes = head_bytes(request.headers()) + url_bytes;
    if head_bytes > bounds.max_header_bytes {
        let detail = format!("a request head may have {} bytes", bounds.max_header_bytes);
        return Problem::new(Code::HeadTooLarge, detail).into_response();
    }
    let deadline = Duration::from_millis(bounds.request_timeout_ms);
    // The panic hook has logged and counted it by the time it is caught here.
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(deadline, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => Problem::new(
            Code::Internal,
            "a bug ended this request; the gateway goes on",
        )
        .into_response(),
        Err(_) => {
            let detail = format!("no answer within {} ms", bounds.request_timeout_ms);
            Problem::new(Code::Timeout, detail)
                .retry_after(1)
                .into_response()
        }
    }
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
