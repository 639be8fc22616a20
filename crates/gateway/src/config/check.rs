//! Checks of texts in the configuration. Each says what would be right.

use base64::Engine as _;
use std::net::SocketAddr;
use steadfast_core::pacing::{Policy, QuietHours};

/// Takes a text or says what would be right.
pub(super) type TextCheck = fn(&str) -> Result<(), String>;

/// Anything.
#[expect(clippy::unnecessary_wraps, reason = "it stands where checks stand")]
pub(super) fn any(_: &str) -> Result<(), String> {
    Ok(())
}

/// `address:port`.
pub(super) fn socket_address(text: &str) -> Result<(), String> {
    text.parse::<SocketAddr>().map(|_| ()).map_err(|_| {
        format!(
            "{text:?} is not an address with a port: write 127.0.0.1:8080, or [::1]:8080 (port 0 picks a free one)"
        )
    })
}

/// An address, or addresses with a prefix length.
pub(super) fn network(text: &str) -> Result<(), String> {
    crate::http::network(text).map(|_| ())
}

/// The origin of a web page.
pub(super) fn origin(text: &str) -> Result<(), String> {
    let wrong = || {
        format!(
            "{text:?} is no origin of a web page: write https://app.example, or http://localhost:3000, without a path ('*' is not taken)"
        )
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let host_ok = !rest.is_empty()
        && rest
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b));
    if matches!(scheme, "http" | "https") && host_ok {
        Ok(())
    } else {
        Err(wrong())
    }
}

/// Empty, or the address of a server.
pub(super) fn http_url(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    crate::outgoing::Target::parse(text)
        .map(|_| ())
        .map_err(|e| format!("{text:?} is no address: {e}; write http://127.0.0.1:4318"))
}

/// A header with its value. The value may be a secret, so it is not repeated.
pub(super) fn header_line(text: &str) -> Result<(), String> {
    match crate::traces::header(text) {
        Some(_) => Ok(()),
        None => Err("that is no header: write name=value".to_owned()),
    }
}

/// Empty, or `address:port` or `name:port`.
pub(super) fn resolve_target(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let wrong =
        || format!("{text:?} is not a host with a port: write 127.0.0.1:8443, or leave it empty");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host_ok = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b));
    match port.parse::<u16>() {
        Ok(port) if port > 0 && host_ok => Ok(()),
        _ => Err(wrong()),
    }
}

/// Empty, or the base64 of 32 bytes.
pub(super) fn spki_hash(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    match base64::engine::general_purpose::STANDARD.decode(text) {
        Ok(bytes) if bytes.len() == 32 => Ok(()),
        _ => Err(format!(
            "{text:?} is not the base64 SHA-256 of a public key (44 characters): \
             openssl x509 -pubkey -noout -in cert.pem | openssl pkey -pubin -outform der | \
             openssl dgst -sha256 -binary | base64"
        )),
    }
}

/// One argument for the browser, and none of those that are refused.
pub(super) fn browser_argument(text: &str) -> Result<(), String> {
    if !text.starts_with("--") || text.len() == 2 || text.contains(['\n', '\0']) {
        return Err(format!(
            "{text:?} is not a browser argument: each starts with -- and is an item of its own"
        ));
    }
    let name = text.split('=').next().unwrap_or(text);
    match REFUSED.iter().find(|(refused, _)| *refused == name) {
        Some((_, why)) => Err(format!("{name} is refused: {why}")),
        None => Ok(()),
    }
}

/// What is logged: `info`, or `info,steadfast_cdp=debug`.
pub(super) fn log_filter(text: &str) -> Result<(), String> {
    text.parse::<tracing_subscriber::filter::Targets>()
        .map(|_| ())
        .map_err(|_| {
            format!(
                "{text:?} is not a log level: write off, error, warn, info, debug or trace, \
                 with exceptions after commas: info,steadfast_engine=debug"
            )
        })
}

/// Hours of the day: `22:00-07:00`, or nothing.
pub(super) fn quiet_hours(text: &str) -> Result<(), String> {
    if text.is_empty() || QuietHours::parse(text).is_some() {
        return Ok(());
    }
    Err(format!("{text:?} are no hours: write 22:00-07:00"))
}

/// How far a clock is ahead of UTC.
pub(super) fn utc_offset(text: &str) -> Result<(), String> {
    if Policy::parse_offset(text).is_some() {
        return Ok(());
    }
    Err(format!(
        "{text:?} is no offset from UTC: write +05:30 or -03:00, from -12:00 to +14:00"
    ))
}

/// A length of time: `500ms`, `5s`, `30m`, `2h`.
pub(super) fn duration(text: &str) -> Result<(), String> {
    match super::types::duration_ms(text) {
        Some(ms) if ms <= MAX_DURATION_MS => Ok(()),
        _ => Err(format!(
            "{text:?} is no pause of at most 30 days: write a whole number and ms, s, m or h (500ms, 5s, 30m, 2h)"
        )),
    }
}

const MAX_DURATION_MS: u64 = 30 * 24 * 3_600_000;

/// Arguments that would hand the account to others, or break what the
/// gateway relies on, with the reason for each.
const REFUSED: &[(&str, &str)] = &[
    (
        "--disable-web-security",
        "it lets any page read the account",
    ),
    (
        "--remote-debugging-port",
        "any local process could take the account over",
    ),
    (
        "--remote-debugging-address",
        "anybody could take the account over",
    ),
    ("--remote-debugging-pipe", "the gateway sets it"),
    (
        "--user-data-dir",
        "the gateway keeps the profile in its data folder",
    ),
    (
        "--ignore-certificate-errors",
        "it lets anybody stand in for WhatsApp; use browser.web_spki",
    ),
    (
        "--allow-running-insecure-content",
        "it lets strangers' script into the page",
    ),
    (
        "--disable-site-isolation-trials",
        "it lets other sites into WhatsApp's process",
    ),
    ("--no-sandbox", "use browser.sandbox = \"off\""),
    ("--headless", "use browser.flavor"),
    ("--host-resolver-rules", "use browser.web_resolve"),
    (
        "--ignore-certificate-errors-spki-list",
        "use browser.web_spki",
    ),
    ("--single-process", "one crash would end the browser"),
    ("--host-rules", "use browser.web_resolve"),
];
