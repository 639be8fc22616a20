//! The configuration as the rest of the program reads it: typed, checked,
//! complete. Times are in milliseconds, sizes in bytes.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The HTTP interface.
    pub server: Server,
    /// The browser.
    pub browser: Browser,
    /// How a session lives and heals.
    pub session: Session,
    /// How messages are handed over.
    pub delivery: Delivery,
    /// How fast a session may send.
    pub pacing: Pacing,
    /// Requests to URLs that others named.
    pub outgoing: Outgoing,
    /// The log of events.
    pub events: Events,
    /// How long messages are kept.
    pub messages: Messages,
    /// Files of messages.
    pub media: Media,
    /// Events that are pushed.
    pub webhooks: Webhooks,
    /// Events that are streamed.
    pub stream: Stream,
    /// What is written down about it.
    pub log: Log,
    /// Who is told what took how long.
    pub telemetry: Telemetry,
}

/// `[server]`. What each key means stands in `config::KEYS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config::KEYS documents each key, once")]
pub struct Server {
    pub listen: SocketAddr,
    pub allow_remote: bool,
    #[serde(with = "empty_is_none")]
    pub tls_cert: Option<PathBuf>,
    #[serde(with = "empty_is_none")]
    pub tls_key: Option<PathBuf>,
    pub trusted_proxies: Vec<String>,
    pub cors_origins: Vec<String>,
    pub token_requests_per_minute: u32,
    pub token_burst: u32,
    pub auth_failures_per_minute: u32,
    pub max_connections: u32,
    pub max_body_bytes: usize,
    pub max_header_bytes: usize,
    pub max_url_bytes: usize,
    pub max_json_depth: u32,
    pub max_bulk: usize,
    pub header_timeout_ms: u64,
    pub body_timeout_ms: u64,
    pub request_timeout_ms: u64,
    pub shutdown_timeout_ms: u64,
    pub idempotency_keep_ms: u64,
}

/// `[browser]`. What each key means stands in `config::KEYS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config::KEYS documents each key, once")]
pub struct Browser {
    #[serde(with = "empty_is_none")]
    pub path: Option<PathBuf>,
    pub flavor: Flavor,
    pub sandbox: Sandbox,
    pub extra_args: Vec<String>,
    #[serde(with = "empty_is_none")]
    pub web_resolve: Option<String>,
    #[serde(with = "empty_is_none")]
    pub web_spki: Option<String>,
    #[serde(with = "empty_is_none")]
    pub wa_js: Option<PathBuf>,
    pub start_timeout_ms: u64,
    pub navigate_timeout_ms: u64,
    pub call_timeout_ms: u64,
    pub close_timeout_ms: u64,
    pub memory_limit_mib: u64,
}

/// `[session]`. What each key means stands in `config::KEYS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config::KEYS documents each key, once")]
pub struct Session {
    pub max_sessions: u32,
    pub start_stagger_ms: u64,
    pub starting_timeout_ms: u64,
    pub linking_timeout_ms: u64,
    pub syncing_timeout_ms: u64,
    pub resync_timeout_ms: u64,
    pub reconnect_timeout_ms: u64,
    pub heartbeat_interval_ms: u64,
    pub heartbeat_misses: u32,
    pub network_probe_min_ms: u64,
    pub network_probe_max_ms: u64,
    pub backoff_min_ms: u64,
    pub backoff_max_ms: u64,
    pub stable_after_ms: u64,
    pub drain_timeout_ms: u64,
    pub recycle_after_hours: u64,
    pub recycle_quiet_ms: u64,
    pub canary_interval_ms: u64,
    pub conflict: Conflict,
    pub takeover_limit: u32,
    pub relink_limit: u32,
    pub number_cache_ms: u64,
}

/// `[delivery]`. What each key means stands in `config::KEYS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config::KEYS documents each key, once")]
pub struct Delivery {
    pub max_in_flight: u32,
    pub ack_timeout_ms: u64,
    pub reply_wait_ms: u64,
    pub recheck_ms: u64,
    pub max_attempts: u32,
    pub retry_min_ms: u64,
    pub retry_max_ms: u64,
}

/// `[pacing]`. What each key means stands in `config::KEYS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config::KEYS documents each key, once")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent settings, no states"
)]
pub struct Pacing {
    pub per_minute: u32,
    pub burst: u32,
    pub jitter_ms: u64,
    pub quiet_hours: String,
    pub utc_offset: String,
    pub per_day: u32,
    pub warm_up_days: u32,
    pub warm_up_per_day: u32,
    pub high_skips_rate: bool,
    pub high_skips_jitter: bool,
    pub high_skips_quiet_hours: bool,
    pub high_skips_per_day: bool,
    pub slow_down: bool,
    pub recover_ms: u64,
}

/// `[outgoing]`. What each key means stands in `config::KEYS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config::KEYS documents each key, once")]
pub struct Outgoing {
    pub allow: Vec<String>,
    pub https_only: bool,
    #[serde(with = "empty_is_none")]
    pub ca_file: Option<PathBuf>,
    pub max_redirects: u32,
    pub connect_timeout_ms: u64,
    pub fetch_timeout_ms: u64,
}

/// `[events]`. What each key means stands in `config::KEYS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config::KEYS documents each key, once")]
pub struct Events {
    pub keep_ms: u64,
    pub keep: u64,
    pub keep_owed: u64,
}

/// `[messages]`. What each key means stands in `config::KEYS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config::KEYS documents each key, once")]
pub struct Messages {
    pub keep_ms: u64,
}

/// `[media]`. What each key means stands in `config::KEYS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config::KEYS documents each key, once")]
pub struct Media {
    pub max_image_bytes: u64,
    pub max_video_bytes: u64,
    pub max_audio_bytes: u64,
    pub max_document_bytes: u64,
    pub max_sticker_bytes: u64,
    pub max_inline_bytes: u64,
    pub max_inbound_bytes: u64,
    pub max_pixels: u64,
    pub keep_ms: u64,
    pub max_total_bytes: u64,
}

/// `[webhooks]`. What each key means stands in `config::KEYS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config::KEYS documents each key, once")]
pub struct Webhooks {
    pub max_endpoints: u32,
    pub timeout_ms: u64,
    pub retry_delays: Vec<String>,
    pub jitter_percent: u32,
    pub retry_after_max_ms: u64,
    pub max_in_flight: u32,
    pub max_in_flight_per_endpoint: u32,
    pub circuit_failures: u32,
    pub probe_min_ms: u64,
    pub probe_max_ms: u64,
    pub secret_overlap_ms: u64,
    pub keep_ms: u64,
}

/// A length of time as it is written in a list, `500ms`, `5s`, `30m` or
/// `2h`, in milliseconds.
pub fn duration_ms(text: &str) -> Option<u64> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// `[stream]`. What each key means stands in `config::KEYS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config::KEYS documents each key, once")]
pub struct Stream {
    pub heartbeat_ms: u64,
    pub max_streams: u32,
}

/// `[log]`. What each key means stands in `config::KEYS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config::KEYS documents each key, once")]
pub struct Log {
    pub format: LogFormat,
    pub level: String,
}

/// `[telemetry]`. What each key means stands in `config::KEYS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config::KEYS documents each key, once")]
pub struct Telemetry {
    #[serde(with = "empty_is_none")]
    pub otlp_endpoint: Option<String>,
    #[serde(serialize_with = "names_alone")]
    pub otlp_headers: Vec<String>,
    pub service_name: String,
}

/// Headers without their values, which may be secrets: a configuration that is
/// written out is meant to be shown.
fn names_alone<S: Serializer>(lines: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    let name = |line: &String| format!("{}=...", line.split('=').next().unwrap_or_default());
    serializer.collect_seq(lines.iter().map(name))
}

/// Which browser to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flavor {
    /// A full one.
    Auto,
    /// A full one.
    Chromium,
    /// `chromium-headless-shell`.
    HeadlessShell,
    /// A full one, with a window.
    Headed,
}

/// Chromium's sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sandbox {
    /// On, but off with a warning as root.
    Auto,
    /// On.
    On,
    /// Off.
    Off,
}

/// What to do when the same link is opened elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflict {
    /// Step back and wait for a person.
    Yield,
    /// Take it back.
    Takeover,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// An empty text in the file or the environment means "not set".
#[expect(clippy::ref_option, reason = "serde passes the field as it is")]
mod empty_is_none {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, T: From<String>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok((!text.is_empty()).then(|| T::from(text)))
    }
}
