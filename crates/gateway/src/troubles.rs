//! The newest warnings and errors of the log, kept for whoever asks what went
//! wrong: they are part of the diagnostics. Bounded, in memory, and no more
//! telling than the log itself: no texts, numbers or tokens.

use crate::clock::{Clock as _, SystemClock};
use crate::metrics::Metrics;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines that are kept.
const KEPT: usize = 200;
/// Longest text of one field.
const MAX_TEXT: usize = 500;

/// One line.
#[derive(Debug, Clone, Serialize)]
pub struct Trouble {
    /// When, as RFC 3339.
    pub at: String,
    /// WARN or ERROR.
    pub level: &'static str,
    /// What it says, by field; `event` is its stable name.
    pub fields: BTreeMap<&'static str, String>,
}

/// The newest lines.
#[derive(Debug, Default)]
pub struct Troubles {
    kept: Mutex<VecDeque<Trouble>>,
}

impl Troubles {
    /// All of them, oldest first.
    pub fn newest(&self) -> Vec<Trouble> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().cloned().collect()
    }

    fn note(&self, trouble: Trouble) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(trouble);
    }
}

/// Listens to the log. What it is given is to be filtered to warnings and errors.
pub struct Listener(pub Arc<Metrics>);

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.troubles.note(Trouble {
            at: SystemClock.unix().rfc3339(),
            level: event.metadata().level().as_str(),
            fields: fields.0,
        });
    }
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        let text = value.chars().take(MAX_TEXT).collect();
        self.0.insert(field.name(), text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[test]
    fn the_newest_are_kept_with_their_fields() {
        let metrics = Arc::new(Metrics::default());
        let listening = tracing_subscriber::registry().with(Listener(metrics.clone()));
        tracing::subscriber::with_default(listening, || {
            for n in 0..=KEPT {
                tracing::warn!(event = "store_failed", n, "it failed");
            }
        });
        let newest = metrics.troubles.newest();
        assert_eq!(newest.len(), KEPT);
        let fields = &newest[0].fields;
        assert_eq!(
            (&*fields["event"], &*fields["n"], &*fields["message"]),
            ("store_failed", "1", "it failed")
        );
    }
}
