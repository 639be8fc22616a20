//! What an actor tells about itself, whenever it changes.

use super::availability::Availability;
use super::canary::CanaryReport;
use crate::sessions::{IncidentSummary, Me, QrCode};
use steadfast_core::failure::Failure;
use steadfast_core::ids::LoginGeneration;
use steadfast_core::port::{EngineHealth, SessionRecord};
use steadfast_core::session::State;
use steadfast_core::time::{MonoMs, UnixMs};

/// One session as its actor knows it.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    /// The machine's state.
    pub(super) state: State,
    /// Since when, for people.
    pub(super) since: UnixMs,
    /// Since when, for measuring.
    pub(super) since_mono: MonoMs,
    /// When it was made.
    pub(super) created_at: UnixMs,
    /// Connections opened since it was last ready.
    pub(super) connection_attempts: u32,
    /// When the page last proved to be alive.
    pub(super) last_seen: Option<UnixMs>,
    /// Who it is.
    pub(super) me: Option<Me>,
    /// The code to be scanned.
    pub(super) qr: Option<QrCode>,
    /// The login that its profile holds; 0 where it never had one.
    pub(super) login: LoginGeneration,
    /// The open incident.
    pub(super) incident: Option<IncidentSummary>,
    /// What failed last.
    pub(super) last_failure: Option<Failure>,
    /// What the last heartbeat found.
    pub(super) health: Option<EngineHealth>,
    /// How the last canary fared, where one was sent.
    pub(super) canary: Option<CanaryReport>,
    /// How much of the time it was there when it was wanted.
    pub(super) availability: Availability,
}

impl Snapshot {
    /// What is known of a session before anything has happened to it.
    pub(super) fn new(state: State, record: &SessionRecord, now: UnixMs, mono: MonoMs) -> Self {
        Self {
            state,
            since: now,
            since_mono: mono,
            created_at: record.created_at,
            connection_attempts: 0,
            last_seen: None,
            me: None,
            qr: None,
            login: record.login,
            incident: None,
            last_failure: None,
            health: None,
            canary: None,
            availability: Availability::default(),
        }
    }

    /// One that stands so, for tests.
    #[cfg(test)]
    pub(super) fn of(state: State) -> Self {
        let record = SessionRecord {
            id: steadfast_core::ids::SessionId::parse("default").unwrap(),
            created_at: UnixMs(0),
            enabled: true,
            login: LoginGeneration(1),
            parked: None,
        };
        Self::new(state, &record, UnixMs(0), MonoMs(0))
    }
}
