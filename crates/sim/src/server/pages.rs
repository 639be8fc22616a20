//! The page itself, with WhatsApp's own headers.

use super::{App, assets};
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, STRICT_TRANSPORT_SECURITY,
    USER_AGENT, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use std::path::PathBuf;

const CSP: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; \
    connect-src 'self' wss://web.whatsapp.com; worker-src 'self' blob:; object-src 'none'; \
    base-uri 'self'; frame-ancestors 'none'";

/// Where the boot object goes in index.html.
const BOOT_MARK: &str = "__SIM_BOOT__";

const UNSUPPORTED: &str = "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <title>WhatsApp Web</title></head><body><div class=\"landing-title version-title\">\
    WhatsApp works with Google Chrome 100+</div><p>To use WhatsApp, update Chrome or use \
    Mozilla Firefox, Safari, Microsoft Edge or Opera.</p></body></html>";

pub(super) async fn check() -> StatusCode {
    StatusCode::NO_CONTENT
}

pub(super) async fn index(State(app): State<App>, headers: HeaderMap) -> Response {
    let knobs = app.hub.with(|world| world.knobs().clone());
    let headless = headers
        .get(USER_AGENT)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|ua| ua.contains("HeadlessChrome"));
    let html = if knobs.refuse_headless && headless {
        UNSUPPORTED.to_owned()
    } else {
        let Some(file) =
            assets::file(app.page_dir.as_deref().map(PathBuf::as_path), "index.html").await
        else {
            return (
                StatusCode::NOT_FOUND,
                "this simulator was built without its page",
            )
                .into_response();
        };
        // In a data block only `<` could end the block early.
        let boot = knobs.boot().to_string().replace('<', "\\u003c");
        String::from_utf8_lossy(&file).replace(BOOT_MARK, &boot)
    };
    let mut response = ([(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response();
    let headers = response.headers_mut();
    common(headers);
    if knobs.csp_strict {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
    }
    headers.insert(
        STRICT_TRANSPORT_SECURITY,
        HeaderValue::from_static("max-age=31536000; preload; includeSubDomains"),
    );
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("unsafe-none"),
    );
    response
}

pub(super) async fn file(State(app): State<App>, uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let dir = app.page_dir.as_deref().map(PathBuf::as_path);
    let found = match assets::content_type(path) {
        Some(content_type) if path != "index.html" => {
            assets::file(dir, path).await.map(|f| (content_type, f))
        }
        _ => None,
    };
    match found {
        Some((content_type, bytes)) => {
            let mut response = ([(CONTENT_TYPE, content_type)], bytes.into_owned()).into_response();
            common(response.headers_mut());
            response
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn common(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
