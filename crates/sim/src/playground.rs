//! The playground: a page on which a person is the phone, the other people and
//! fate. It speaks to the control side beside it, as any other client.

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";
const NO_SNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

macro_rules! files {
    ($($name:literal: $kind:literal),* $(,)?) => {
        const FILES: &[(&str, &str, &[u8])] = &[$((
            $name,
            $kind,
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/playground/", $name)),
        ),)*];
    };
}

files!(
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "play.js": "text/javascript; charset=utf-8",
    "faults.js": "text/javascript; charset=utf-8",
);

pub(crate) async fn page() -> Response {
    answer("index.html")
}

pub(crate) async fn file(Path(file): Path<String>) -> Response {
    answer(&file)
}

fn answer(name: &str) -> Response {
    let Some((_, kind, bytes)) = FILES.iter().find(|(known, _, _)| *known == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (CONTENT_TYPE, *kind),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (NO_SNIFF, "nosniff"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (headers, *bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_small_and_takes_nothing_from_elsewhere() {
        let total: usize = FILES.iter().map(|(_, _, bytes)| bytes.len()).sum();
        assert!(total < 60_000, "{total} bytes");
        for (name, _, bytes) in FILES {
            let text = std::str::from_utf8(bytes).unwrap();
            assert!(
                !text.contains("://") && !text.contains("innerHTML"),
                "{name}"
            );
        }
    }
}
