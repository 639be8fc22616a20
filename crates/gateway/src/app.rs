//! What every surface of the gateway shares: the store, the sessions, the
//! clocks, the configuration.

use crate::clock::{Clock, Random};
use crate::config::{Config, Live};
use crate::media::MediaStore;
use crate::metrics::Metrics;
use crate::sessions::Sessions;
use crate::webhooks::Webhooks;
use std::sync::Arc;
use steadfast_core::port::Store;
use steadfast_core::time::MonoMs;

/// The gateway as its surfaces see it. Cheap to clone through its `Arc`.
pub struct App {
    /// What was in force when it started.
    pub config: Arc<Config>,
    /// What is in force now: a reload may have changed some of it.
    pub live: Arc<Live>,
    /// What survives us.
    pub store: Arc<dyn Store>,
    /// What runs.
    pub sessions: Arc<dyn Sessions>,
    /// Files of messages.
    pub media: Arc<MediaStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Unguessable bytes.
    pub random: Arc<dyn Random>,
    /// Where events are pushed to.
    pub webhooks: Arc<Webhooks>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// When the gateway started.
    pub started: MonoMs,
}

/// The session that exists from the start, and that `/api/whatsapp` speaks for.
pub const DEFAULT_SESSION: &str = "default";
