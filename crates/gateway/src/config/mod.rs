//! Configuration: one TOML file, the environment, a few flags.
//!
//! Later layers win: default, file, environment, flag. A key that is not
//! known is an error, and so is a value that does not fit; all of them are
//! reported at once, each with what would be right. The table [`KEYS`] is the
//! only list of keys: parsing, `steadfast config` and docs/CONFIGURATION.md
//! come from it.

mod check;
pub mod doc;
mod key;
mod keys;
mod live;
mod types;

#[cfg(test)]
mod tests;

pub use key::{Key, Kind, Preset};
pub use keys::{KEYS, find, nearest};
pub use live::{Changes, Live, changes, merged};
pub use types::{
    Browser, Config, Conflict, Delivery, Events, Flavor, Log, LogFormat, Media, Messages, Outgoing,
    Pacing, Sandbox, Server, Session, Stream, Telemetry, Webhooks, duration_ms,
};

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::Value;

/// The file looked for in the data folder where none is named.
pub const FILE_NAME: &str = "steadfast.toml";

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The file.
    File(PathBuf),
    /// The environment variable of this name.
    Env(String),
    /// The flag of this name.
    Flag(&'static str),
}

impl Source {
    /// `default`, `file`, `env` or `flag`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File(_) => "file",
            Self::Env(_) => "env",
            Self::Flag(_) => "flag",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "env {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: the file with the key, the variable, the flag.
    pub place: String,
    /// What is wrong and what would be right.
    pub what: String,
}

/// The configuration cannot be used. Every problem is listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// All that is wrong; never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            write!(f, "{newline}{}: {}", problem.place, problem.what)?;
        }
        Ok(())
    }
}

/// What a configuration is made of.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// The file that was named. It must exist.
    pub file: Option<PathBuf>,
    /// A file that is read where it exists and none was named.
    pub fallback_file: Option<PathBuf>,
    /// The environment; only names that start with `STEADFAST_` are looked at.
    pub env: Vec<(String, String)>,
    /// Flags: the flag, the key that it sets, its value as text.
    pub flags: Vec<(&'static str, &'static str, String)>,
}

/// One effective value with its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: &'static str,
    /// What is in force.
    pub value: Value,
    /// Where it came from.
    pub source: Source,
}

/// A configuration with the origin of each value.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What is in force.
    pub config: Config,
    /// Each value with its origin, in the order of [`KEYS`].
    pub entries: Vec<Entry>,
    /// Things that are not wrong, yet probably not meant.
    pub warnings: Vec<String>,
}

/// Reads, merges and checks all layers.
///
/// # Errors
/// All that is wrong, at once.
pub fn load(layers: &Layers) -> Result<Loaded, ConfigError> {
    let mut merge = Merge::default();
    merge.file(layers);
    merge.env(&layers.env);
    for (flag, key, text) in &layers.flags {
        merge.text(key, text, Source::Flag(flag));
    }
    merge.finish()
}

impl Config {
    /// What is in force where nobody sets anything.
    ///
    /// # Errors
    /// Never; a test makes sure of it.
    pub fn defaults() -> Result<Self, ConfigError> {
        load(&Layers::default()).map(|loaded| loaded.config)
    }
}

#[derive(Default)]
struct Merge {
    values: BTreeMap<&'static str, (Value, Source)>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Merge {
    fn problem(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.problems.push(Problem {
            place: place.into(),
            what: what.into(),
        });
    }

    fn file(&mut self, layers: &Layers) {
        let (path, named) = match (&layers.file, &layers.fallback_file) {
            (Some(path), _) => (path, true),
            (None, Some(path)) => (path, false),
            (None, None) => return,
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if !named && is_absent(&e) => return,
            Err(e) => {
                self.problem(path.display().to_string(), format!("cannot be read: {e}"));
                return;
            }
        };
        match text.parse::<toml::Table>() {
            Ok(table) => self.table(path, table),
            Err(e) => self.problem(
                path.display().to_string(),
                format!("is not TOML: {}", e.to_string().trim_end()),
            ),
        }
    }

    fn table(&mut self, path: &Path, table: toml::Table) {
        for (section, content) in table {
            let known_section = KEYS.iter().any(|key| key.section() == section);
            match content {
                Value::Table(keys) if known_section => {
                    for (leaf, value) in keys {
                        let name = format!("{section}.{leaf}");
                        let place = format!("{}: {name}", path.display());
                        match find(&name) {
                            Some(key) => match key.checked(value) {
                                Ok(value) => {
                                    let source = Source::File(path.to_owned());
                                    self.values.insert(key.name, (value, source));
                                }
                                Err(what) => self.problem(place, what),
                            },
                            None => self.problem(place, unknown(&name)),
                        }
                    }
                }
                Value::Table(_) => self.problem(
                    format!("{}: [{section}]", path.display()),
                    format!("is no section; there are {}", sections().join(", ")),
                ),
                _ => self.problem(format!("{}: {section}", path.display()), unknown(&section)),
            }
        }
    }

    fn env(&mut self, env: &[(String, String)]) {
        for (variable, text) in env {
            let Some(rest) = variable.strip_prefix("STEADFAST_") else {
                continue;
            };
            if matches!(rest, "DATA_DIR" | "CONFIG") {
                continue;
            }
            let name = rest.replacen("__", ".", 1).to_ascii_lowercase();
            if !rest.contains("__") {
                // Container systems make up variables such as STEADFAST_PORT for
                // a service of that name, so these cannot be errors.
                let meant = KEYS
                    .iter()
                    .find(|key| key.name.replacen('.', "_", 1) == name);
                if let Some(key) = meant {
                    self.warnings.push(format!(
                        "{variable} has no effect; {} would (two underscores after the section)",
                        key.env_name()
                    ));
                }
                continue;
            }
            if let Some(key) = find(&name) {
                self.text(key.name, text, Source::Env(variable.clone()));
                continue;
            }
            let what = match nearest(&name).and_then(find) {
                Some(near) => format!("sets no known key; did you mean {}?", near.env_name()),
                None => "sets no known key; `steadfast config` lists the known ones".to_owned(),
            };
            self.problem(variable.clone(), what);
        }
    }

    fn text(&mut self, name: &str, text: &str, source: Source) {
        let Some(key) = find(name) else {
            self.problem(source.to_string(), unknown(name));
            return;
        };
        match key.read_text(text) {
            Ok(value) => {
                self.values.insert(key.name, (value, source));
            }
            Err(what) => {
                let place = match &source {
                    Source::Env(variable) => variable.clone(),
                    Source::Flag(flag) => (*flag).to_owned(),
                    Source::Default | Source::File(_) => source.to_string(),
                };
                self.problem(place, what);
            }
        }
    }

    fn finish(mut self) -> Result<Loaded, ConfigError> {
        let mut entries = Vec::with_capacity(KEYS.len());
        let mut whole = toml::Table::new();
        for key in KEYS {
            let (value, source) = self
                .values
                .remove(key.name)
                .unwrap_or_else(|| (key.default_value(), Source::Default));
            if let Value::Table(section) = whole
                .entry(key.section())
                .or_insert_with(|| Value::Table(toml::Table::new()))
            {
                section.insert(key.leaf().to_owned(), value.clone());
            }
            entries.push(Entry {
                key: key.name,
                value,
                source,
            });
        }
        // Every value was checked by its key, so this fails only where the key
        // table and the structs disagree, which a test rules out.
        let config = match Config::deserialize_from(whole) {
            Ok(config) => config,
            Err(what) => {
                self.problem("configuration", what);
                return Err(ConfigError {
                    problems: self.problems,
                });
            }
        };
        let place = |name: &str| {
            let source = entries
                .iter()
                .find(|entry| entry.key == name)
                .map_or_else(String::new, |entry| format!(" ({})", entry.source));
            format!("{name}{source}")
        };
        self.problems.extend(across(&config, place));
        if config.browser.web_spki.is_some() && config.browser.web_resolve.is_none() {
            self.warnings
                .push("browser.web_spki has no effect without browser.web_resolve".to_owned());
        }
        if self.problems.is_empty() {
            Ok(Loaded {
                config,
                entries,
                warnings: self.warnings,
            })
        } else {
            Err(ConfigError {
                problems: self.problems,
            })
        }
    }
}

/// Whether there is no such file. Whether there could be one below something
/// that is no folder is the data folder's to say.
fn is_absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

impl Config {
    fn deserialize_from(table: toml::Table) -> Result<Self, String> {
        Value::Table(table)
            .try_into()
            .map_err(|e: toml::de::Error| e.to_string())
    }
}

/// The shortest time between two canaries: each is a message like any other.
const MIN_CANARY_MS: u64 = 60_000;

/// What one key alone cannot know.
fn across(config: &Config, place: impl Fn(&str) -> String) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |name: &str, what: String| {
        problems.push(Problem {
            place: place(name),
            what,
        });
    };
    let server = &config.server;
    if server.tls_cert.is_some() != server.tls_key.is_some() {
        let (lonely, missing) = if server.tls_cert.is_some() {
            ("server.tls_cert", "server.tls_key")
        } else {
            ("server.tls_key", "server.tls_cert")
        };
        wrong(lonely, format!("needs {missing} beside it, or neither"));
    }
    let is_private = server.listen.ip().is_loopback() || server.tls_cert.is_some();
    if !is_private && !server.allow_remote {
        wrong(
            "server.listen",
            format!(
                "{} can be reached from other machines, and the interface is plain HTTP: listen on 127.0.0.1 behind a TLS proxy, set server.tls_cert and server.tls_key, or set server.allow_remote = true (--allow-remote) if the network is yours alone",
                config.server.listen
            ),
        );
    }
    if (1..MIN_CANARY_MS).contains(&config.session.canary_interval_ms) {
        wrong(
            "session.canary_interval_ms",
            format!(
                "{} is too often: give 0 to turn it off, or {MIN_CANARY_MS} and more",
                config.session.canary_interval_ms
            ),
        );
    }
    for (low, high, low_ms, high_ms) in [
        (
            "session.backoff_min_ms",
            "session.backoff_max_ms",
            config.session.backoff_min_ms,
            config.session.backoff_max_ms,
        ),
        (
            "session.network_probe_min_ms",
            "session.network_probe_max_ms",
            config.session.network_probe_min_ms,
            config.session.network_probe_max_ms,
        ),
        (
            "delivery.retry_min_ms",
            "delivery.retry_max_ms",
            config.delivery.retry_min_ms,
            config.delivery.retry_max_ms,
        ),
        (
            "webhooks.probe_min_ms",
            "webhooks.probe_max_ms",
            config.webhooks.probe_min_ms,
            config.webhooks.probe_max_ms,
        ),
        (
            "delivery.reply_wait_ms",
            "server.request_timeout_ms",
            config.delivery.reply_wait_ms,
            config.server.request_timeout_ms,
        ),
    ] {
        if low_ms > high_ms {
            wrong(low, format!("{low_ms} is more than {high} ({high_ms})"));
        }
    }
    problems
}

fn sections() -> Vec<&'static str> {
    let mut names: Vec<_> = KEYS.iter().map(Key::section).collect();
    names.dedup();
    names
}

fn unknown(name: &str) -> String {
    match nearest(name) {
        Some(near) => format!("is no known key; did you mean {near}?"),
        None => "is no known key; `steadfast config` lists the known ones".to_owned(),
    }
}
