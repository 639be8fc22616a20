//! Logs on standard error, and the hook that puts panics there too.
//!
//! Message texts, numbers and tokens never appear above debug. The stable
//! names of events are in [`crate::events`].

use crate::config::{Log, LogFormat};
use crate::events;
use crate::metrics::Metrics;
use crate::troubles::Listener;
use std::io::IsTerminal as _;
use std::sync::{Arc, OnceLock};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry};

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("logging cannot be set up: {0}")]
pub struct LoggingError(String);

/// What changes the level of the log that was set up.
static LEVEL: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Sets logging up for the whole process, and keeps the newest warnings and
/// errors beside what is counted. Call once.
///
/// # Errors
/// Where it was set up before, or the level is no level.
pub fn init(log: &Log, metrics: Arc<Metrics>) -> Result<(), LoggingError> {
    // `Targets` rather than `EnvFilter`: it needs no regular expressions, which
    // cost more memory than all else here.
    let (filter, handle) = reload::Layer::new(targets(&log.level)?);
    let terminal = std::io::stderr().is_terminal();
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => !terminal,
    };
    let layer = if json {
        tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(std::io::stderr)
            .with_filter(filter)
            .boxed()
    } else {
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        tracing_subscriber::fmt::layer()
            .with_ansi(colour)
            .with_writer(std::io::stderr)
            .with_filter(filter)
            .boxed()
    };
    let troubles = Listener(metrics).with_filter(LevelFilter::WARN);
    tracing_subscriber::registry()
        .with(layer)
        .with(troubles)
        .try_init()
        .map_err(|e| LoggingError(e.to_string()))?;
    // One log a process, so that nothing is there yet.
    let _ = LEVEL.set(handle);
    Ok(())
}

/// Changes the level of the log that [`init`] set up; nothing where it did not.
///
/// # Errors
/// Where the level is none.
pub fn set_level(level: &str) -> Result<(), LoggingError> {
    let targets = targets(level)?;
    match LEVEL.get() {
        Some(handle) => handle
            .reload(targets)
            .map_err(|e| LoggingError(e.to_string())),
        None => Ok(()),
    }
}

fn targets(level: &str) -> Result<Targets, LoggingError> {
    level.parse().map_err(|e| LoggingError(format!("{e}")))
}

/// From here on a panic is one log line, and counted. What panicked is
/// supervised elsewhere; the process goes on.
pub fn log_panics(metrics: Arc<Metrics>) {
    std::panic::set_hook(Box::new(move |panic| {
        metrics.panics.inc([]);
        let place = panic
            .location()
            .map(|at| format!("{}:{}", at.file(), at.line()))
            .unwrap_or_default();
        let message = panic
            .payload_as_str()
            .unwrap_or("a payload that is no text");
        tracing::error!(event = events::PANIC, place, message, "panic");
    }));
}
