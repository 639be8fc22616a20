//! What an actor tells about itself, whenever it changes.

use super::availability::Availability;
use super::canary::CanaryReport;
use crate::sessions::{IncidentSummary, Me, PasskeyChallenge, QrCode};
use steadfast_core::failure::Failure;
use steadfast_core::ids::LoginGeneration;
use steadfast_core::port::{EngineHealth, SessionRecord};
use steadfast_core::session::State;
use steadfast_core::time::{MonoMs, UnixMs};

/// How far a passkey that WhatsApp asks for has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PasskeyStep {
    /// It is waited for.
    Wanted(PasskeyChallenge),
    /// It was given; WhatsApp's word is awaited.
    Answered,
    /// It was given, and WhatsApp asks for a phone again.
    Refused,
    /// It was not given in time, or not to the page that asked.
    Missed,
}

impl PasskeyStep {
    /// The stable name, as a reason.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Wanted(_) => "passkey_wanted",
            Self::Answered => "passkey_answered",
            Self::Refused => "passkey_refused",
            Self::Missed => "passkey_missed",
        }
    }

    /// The question, while it can be answered.
    pub(super) fn challenge(&self, now: UnixMs) -> Option<&PasskeyChallenge> {
        match self {
            Self::Wanted(challenge) if now < challenge.expires_at => Some(challenge),
            Self::Wanted(_) | Self::Answered | Self::Refused | Self::Missed => None,
        }
    }

    /// What is known once WhatsApp shows a code again.
    pub(super) fn and_a_code_again(self) -> Self {
        match self {
            Self::Answered | Self::Refused => Self::Refused,
            Self::Wanted(_) | Self::Missed => Self::Missed,
        }
    }
}

/// One session as its actor knows it.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    /// The machine's state.
    pub(super) state: State,
    /// Whether it is about to be started, and others start before it.
    pub(super) awaits_turn: bool,
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
    /// How far the account's passkey has come, where it is asked for.
    pub(super) passkey: Option<PasskeyStep>,
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
            awaits_turn: record.enabled && state == State::Stopped,
            state,
            since: now,
            since_mono: mono,
            created_at: record.created_at,
            connection_attempts: 0,
            last_seen: None,
            me: None,
            qr: None,
            passkey: None,
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
