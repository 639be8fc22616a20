//! A session as HTTP shows it.

use super::advice;
use super::snapshot::{PasskeyStep, Snapshot};
use crate::sessions::{Pace, SessionState, SessionView, Standing};
use steadfast_core::ids::{LoginGeneration, SessionId};
use steadfast_core::port::OutboxDepth;
use steadfast_core::session::State;
use steadfast_core::time::MonoMs;

/// The state's name in the API, without its data.
pub(super) fn state(state: &State) -> SessionState {
    match state {
        State::Stopped => SessionState::Stopped,
        State::Starting { .. } | State::Draining { .. } => SessionState::Starting,
        State::Linking { .. } => SessionState::Linking,
        State::Syncing { .. } => SessionState::Syncing,
        State::Ready { .. } => SessionState::Ready,
        State::Recovering { .. } => SessionState::Recovering,
        State::Conflict { .. } => SessionState::Conflict,
        State::LoggedOut => SessionState::LoggedOut,
        State::Parked { .. } => SessionState::Parked,
    }
}

/// As people see it: one that waits for others to start before it is starting.
fn shown(snapshot: &Snapshot) -> SessionState {
    if snapshot.awaits_turn {
        SessionState::Starting
    } else {
        state(&snapshot.state)
    }
}

/// What one who waits for a session looks at.
pub(super) fn standing(snapshot: &Snapshot) -> Standing {
    Standing {
        state: shown(snapshot),
        qr: snapshot.qr.clone(),
        passkey: match &snapshot.passkey {
            Some(PasskeyStep::Wanted(challenge)) => Some(challenge.clone()),
            Some(PasskeyStep::Answered | PasskeyStep::Refused | PasskeyStep::Missed) | None => None,
        },
    }
}

/// Puts together what people see of a session.
pub(super) fn view(
    name: &SessionId,
    snapshot: &Snapshot,
    outbox: OutboxDepth,
    pace: Pace,
    now: MonoMs,
) -> SessionView {
    let state = shown(snapshot);
    let ready = state == SessionState::Ready;
    let reason = reason(snapshot);
    let (wanted_ms, ready_ms) = snapshot.availability.at(now);
    SessionView {
        name: name.clone(),
        state,
        detail: snapshot
            .last_failure
            .as_ref()
            .filter(|_| !ready)
            .map(|f| f.evidence.clone()),
        is_authenticated: snapshot.login > LoginGeneration::default()
            && !matches!(state, SessionState::Linking | SessionState::LoggedOut),
        has_qr: snapshot.qr.is_some(),
        has_passkey_challenge: matches!(snapshot.passkey, Some(PasskeyStep::Wanted(_))),
        connection_attempts: snapshot.connection_attempts,
        restart_in_progress: matches!(state, SessionState::Starting | SessionState::Recovering),
        last_seen: snapshot.last_seen,
        since: snapshot.since,
        uptime_ms: if ready {
            now.since(snapshot.since_mono)
        } else {
            0
        },
        wanted_ms,
        ready_ms,
        created_at: snapshot.created_at,
        me: snapshot.me.clone(),
        incident: snapshot.incident.clone(),
        pace,
        browser_memory_bytes: snapshot
            .health
            .as_ref()
            .and_then(|h| h.browser_memory_bytes),
        // The registry knows it.
        proxy: None,
        web_version: snapshot.health.as_ref().and_then(|h| h.web_version.clone()),
        missing_bindings: snapshot
            .health
            .as_ref()
            .map(|h| h.missing.clone())
            .unwrap_or_default(),
        recommendations: advice::recommendations(snapshot, &outbox),
        reason,
        outbox,
    }
}

/// A stable name for why the session is not ready.
fn reason(snapshot: &Snapshot) -> Option<String> {
    match &snapshot.state {
        State::Parked { kind } => Some(kind.as_str().to_owned()),
        State::Recovering { climb, .. } => Some(climb.kind.as_str().to_owned()),
        State::Conflict { .. } => Some("conflict".to_owned()),
        State::Linking { climb, .. } => match &snapshot.passkey {
            Some(step) => Some(step.as_str().to_owned()),
            None => climb.as_ref().map(|c| c.kind.as_str().to_owned()),
        },
        State::Syncing { climb, .. } => climb.as_ref().map(|c| c.kind.as_str().to_owned()),
        State::Draining { why, .. } => Some(format!("recycle_{}", why.as_str())),
        State::Stopped | State::Starting { .. } | State::Ready { .. } | State::LoggedOut => None,
    }
}
