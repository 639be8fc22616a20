//! The dashboard's files: inside the binary; a debug build takes them from the
//! source folder, so that they can be worked on without building.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH,
    REFERRER_POLICY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::fmt::Write as _;

/// What the page may do: its own scripts, styles and requests, nothing inline,
/// nothing from elsewhere, no text that becomes a script, in no frame.
/// `blob:` is for the QR picture and for files that it offers to save.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCES: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        const FILES: &[(&str, &[u8])] = &[$((
            $name,
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/dashboard/", $name)),
        ),)*];
    };
}

files!(
    "index.html",
    "style.css",
    "icon.svg",
    "api.js",
    "app.js",
    "dom.js",
    "events.js",
    "incidents.js",
    "link.js",
    "live.js",
    "login.js",
    "outbox.js",
    "overview.js",
    "plot.js",
    "send.js",
    "session.js",
    "system.js",
    "tokens.js",
    "webhooks.js",
);

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

fn bytes_of(name: &str) -> Option<Cow<'static, [u8]>> {
    let (_, built_in) = FILES.iter().find(|(known, _)| *known == name)?;
    if cfg!(debug_assertions) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboard");
        if let Ok(bytes) = std::fs::read(std::path::Path::new(path).join(name)) {
            return Some(Cow::Owned(bytes));
        }
    }
    Some(Cow::Borrowed(built_in))
}

/// One file, or that it has not changed.
pub(super) fn answer(name: &str, headers: &HeaderMap) -> Response {
    let Some(bytes) = bytes_of(name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut tag = String::from("\"");
    for byte in Sha256::digest(&bytes).iter().take(12) {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    let same = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if same {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, content_type(name))], bytes.into_owned()).into_response()
    };
    let own = response.headers_mut();
    for (name, value) in [
        // Kept, and asked about each time: an upgrade shows at once.
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (OPENER, "same-origin"),
        (RESOURCES, "same-origin"),
    ] {
        own.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        own.insert(ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_small_and_nothing_of_it_comes_from_elsewhere() {
        let mut total = 0;
        for (name, bytes) in FILES {
            total += bytes.len();
            let text = std::str::from_utf8(bytes).unwrap();
            let outside = text.replace("http://www.w3.org/", "");
            assert!(
                !outside.contains("http://") && !outside.contains("https://"),
                "{name}"
            );
            assert!(!text.contains("innerHTML"), "{name}");
        }
        assert!(total < 200_000, "{total} bytes");
        let page = std::str::from_utf8(FILES[0].1).unwrap();
        assert!(!page.contains("<style") && !page.contains(" style="));
    }

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboard");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut served: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        there.sort();
        served.sort_unstable();
        assert_eq!(there, served);
    }
}
