//! What of the configuration may change while the gateway runs.
//!
//! Everything else is built into sockets, browsers and folders when it starts,
//! and needs a restart; a reload names what of it has changed. Certificate and
//! key are no values of it, but the files that two of them name: a reload reads
//! those again, and they are also when they change (`http/tls.rs`).

use super::{Config, KEYS, Key};
use std::sync::{Arc, PoisonError, RwLock};

/// Keys that a reload takes, and sections of which it takes every key.
const LIVE: &[&str] = &[
    "server.cors_origins",
    "server.max_url_bytes",
    "server.max_bulk",
    "server.request_timeout_ms",
    "pacing.",
    "events.",
    "webhooks.",
    "log.level",
];
/// Of those sections, what is built into something at the start all the same.
const FIXED: &[&str] = &["webhooks.max_in_flight"];

impl Key {
    /// Whether a reload (SIGHUP) takes a new value.
    pub fn is_live(&self) -> bool {
        let listed = |entry: &str| {
            self.name == entry || (entry.ends_with('.') && self.name.starts_with(entry))
        };
        LIVE.iter().any(|entry| listed(entry)) && !FIXED.contains(&self.name)
    }
}

/// The configuration in force, replaced as a whole by a reload.
#[derive(Debug)]
pub struct Live(RwLock<Arc<Config>>);

impl Live {
    /// As at the start.
    pub fn new(config: Arc<Config>) -> Self {
        Self(RwLock::new(config))
    }

    /// As it is now.
    pub fn get(&self) -> Arc<Config> {
        // Replaced whole: a panic elsewhere leaves the old or the new one.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on.
    pub(crate) fn set(&self, config: Arc<Config>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
    }
}

/// What a reload does with each key that has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In force from now on.
    pub taken: Vec<&'static str>,
    /// In force after the next start.
    pub waiting: Vec<&'static str>,
}

/// How two configurations differ, key by key.
pub fn changes(old: &Config, new: &Config) -> Changes {
    // Written out they lack their values.
    let headers_differ = old.telemetry.otlp_headers != new.telemetry.otlp_headers;
    let value = |config: &Config| serde_json::to_value(config).unwrap_or_default();
    let (old, new) = (value(old), value(new));
    let mut changes = Changes::default();
    for key in KEYS {
        let differs = old[key.section()][key.leaf()] != new[key.section()][key.leaf()]
            || (key.name == "telemetry.otlp_headers" && headers_differ);
        if differs && key.is_live() {
            changes.taken.push(key.name);
        } else if differs {
            changes.waiting.push(key.name);
        }
    }
    changes
}

/// The old configuration with what a reload takes of the new one.
#[must_use]
pub fn merged(old: &Config, new: &Config) -> Config {
    let mut merged = old.clone();
    let (server, from) = (&mut merged.server, &new.server);
    server.cors_origins.clone_from(&from.cors_origins);
    server.max_url_bytes = from.max_url_bytes;
    server.max_bulk = from.max_bulk;
    server.request_timeout_ms = from.request_timeout_ms;
    merged.pacing = new.pacing.clone();
    merged.events = new.events.clone();
    merged.webhooks = super::Webhooks {
        max_in_flight: old.webhooks.max_in_flight,
        ..new.webhooks.clone()
    };
    merged.log.level.clone_from(&new.log.level);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Kind, Layers, load};

    /// A valid value that differs from the default.
    fn other(key: &Key) -> Option<String> {
        Some(match (key.kind, key.name) {
            (Kind::Switch, _) => (key.default_value().as_bool() != Some(true)).to_string(),
            (Kind::Number { min, max }, _) => {
                let usual = key.default_value().as_integer()?;
                if usual == min { max } else { min }.to_string()
            }
            (Kind::Choice(words), _) => {
                let usual = key.default_value();
                (*words.iter().find(|word| usual.as_str() != Some(word))?).to_owned()
            }
            (_, "server.cors_origins") => "https://app.example".to_owned(),
            (_, "pacing.quiet_hours") => "22:00-07:00".to_owned(),
            (_, "pacing.utc_offset") => "+05:30".to_owned(),
            (_, "webhooks.retry_delays") => "1s,2s".to_owned(),
            (_, "log.level") => "debug".to_owned(),
            (Kind::Text(_) | Kind::List(_), _) => return None,
        })
    }

    #[test]
    fn what_is_called_live_is_taken_and_nothing_else() {
        let old = Config::defaults().unwrap();
        let mut tried = 0;
        for key in KEYS {
            let Some(text) = other(key) else { continue };
            let flags = vec![("--test", key.name, text)];
            let loaded = load(&Layers {
                flags,
                ..Layers::default()
            });
            // A key that needs another beside it says so, and is not for this test.
            let Ok(loaded) = loaded else { continue };
            let changes = changes(&old, &loaded.config);
            let all = [changes.taken.clone(), changes.waiting.clone()].concat();
            assert_eq!(all, [key.name]);
            let taken = merged(&old, &loaded.config) == loaded.config;
            assert_eq!(taken, key.is_live(), "{}", key.name);
            assert_eq!(taken, !changes.taken.is_empty(), "{}", key.name);
            tried += 1;
        }
        assert!(tried > 60, "{tried}");
        let mut secret = old.clone();
        secret.telemetry.otlp_headers = vec!["x-key=4711".to_owned()];
        let shown = serde_json::to_string(&secret).unwrap();
        assert!(shown.contains("x-key=...") && !shown.contains("4711"));
        let mut renewed = secret.clone();
        renewed.telemetry.otlp_headers = vec!["x-key=4712".to_owned()];
        assert_eq!(
            changes(&secret, &renewed).waiting,
            ["telemetry.otlp_headers"]
        );
        let live: Vec<_> = KEYS.iter().filter(|key| key.is_live()).collect();
        assert!(live.iter().all(|key| other(key).is_some()));
    }
}
