//! An active look at one session.

use super::advice;
use super::snapshot::{PasskeyStep, Snapshot};
use crate::sessions::{Check, CheckStatus, HealthView, Overall};
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::ids::LoginGeneration;
use steadfast_core::port::{Engine, OutboxDepth, Phase, StoreError};
use steadfast_core::session::State;
use steadfast_core::time::UnixMs;

/// How long the page may take to answer.
const LIMIT: Duration = Duration::from_secs(3);
/// An outbox whose oldest message has waited this long, in milliseconds, while ready is worth a word.
const OLD_MS: u64 = 60_000;

/// What the owner has set bounds for, or asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Memory that the browser may use, in bytes.
    pub(super) memory_bytes: Option<u64>,
    /// Whether canaries are sent.
    pub(super) canary: bool,
}

/// Asks the page itself, and reads the rest from what is known.
pub(super) async fn examine(
    snapshot: &Snapshot,
    engine: Option<Arc<dyn Engine>>,
    outbox: Result<OutboxDepth, StoreError>,
    limits: &Limits,
    now: UnixMs,
) -> HealthView {
    let mut checks = vec![state_check(&snapshot.state)];
    let connectivity = match (&snapshot.state, engine) {
        (State::Stopped | State::LoggedOut | State::Parked { .. }, _) | (_, None) => {
            checks.push(check(
                "page",
                CheckStatus::SessionClosed,
                "no page is open to be asked",
            ));
            CheckStatus::SessionClosed
        }
        (_, Some(engine)) => probe(engine.as_ref(), &mut checks).await,
    };
    checks.extend(login_check(snapshot));
    checks.extend(memory_check(snapshot, limits));
    checks.extend(canary_check(snapshot, limits));
    checks.push(incident_check(snapshot));
    let depth = outbox_checks(outbox, now, &mut checks);
    let worst_is_fail = checks
        .iter()
        .any(|c| matches!(c.status, CheckStatus::Fail | CheckStatus::SessionClosed));
    let store_failed = checks
        .iter()
        .any(|c| c.name == "store" && c.status == CheckStatus::Fail);
    HealthView {
        overall: if store_failed {
            Overall::Error
        } else if worst_is_fail {
            Overall::Unhealthy
        } else {
            Overall::Healthy
        },
        connectivity,
        checks,
        recommendations: advice::recommendations(snapshot, &depth),
        checked_at: now,
    }
}

/// Whether a phone has linked it, where it is meant to run.
fn login_check(snapshot: &Snapshot) -> Option<Check> {
    let linked = snapshot.login > LoginGeneration::default();
    Some(match &snapshot.state {
        State::Stopped => return None,
        State::LoggedOut => check("login", CheckStatus::Fail, "the session is logged out"),
        State::Linking { .. } => match &snapshot.passkey {
            Some(PasskeyStep::Wanted(_)) => check(
                "login",
                CheckStatus::Warning,
                "waits for the passkey of the account",
            ),
            Some(PasskeyStep::Answered | PasskeyStep::Refused | PasskeyStep::Missed) | None => {
                check("login", CheckStatus::Warning, "waits for a phone")
            }
        },
        State::Starting { .. }
        | State::Syncing { .. }
        | State::Ready { .. }
        | State::Draining { .. }
        | State::Recovering { .. }
        | State::Conflict { .. }
        | State::Parked { .. } => {
            if linked {
                check("login", CheckStatus::Pass, "a phone has linked it")
            } else {
                check("login", CheckStatus::Warning, "not linked yet")
            }
        }
    })
}

fn memory_check(snapshot: &Snapshot, limits: &Limits) -> Option<Check> {
    const MIB: u64 = 1024 * 1024;
    let used = snapshot.health.as_ref()?.browser_memory_bytes?;
    let detail = |limit: &str| format!("the browser uses {} MiB{limit}", used / MIB);
    Some(match limits.memory_bytes {
        Some(limit) if used > limit => check(
            "memory",
            CheckStatus::Warning,
            &detail(&format!(
                ", more than the {} MiB of browser.memory_limit_mib",
                limit / MIB
            )),
        ),
        Some(limit) => check(
            "memory",
            CheckStatus::Pass,
            &detail(&format!(" of {} MiB", limit / MIB)),
        ),
        None => check("memory", CheckStatus::Pass, &detail("; no limit is set")),
    })
}

/// Where canaries are sent: how the last one fared.
fn canary_check(snapshot: &Snapshot, limits: &Limits) -> Option<Check> {
    if !limits.canary {
        return None;
    }
    Some(match &snapshot.canary {
        // The session has been mended since; the next one will tell.
        Some(report) if !report.passed && snapshot.since > report.at => check(
            "canary",
            CheckStatus::Warning,
            &format!(
                "{}, before the last recovery: {}",
                report.at.rfc3339(),
                report.detail
            ),
        ),
        Some(report) => check(
            "canary",
            report.status(),
            &format!("{}: {}", report.at.rfc3339(), report.detail),
        ),
        None => check("canary", CheckStatus::Pass, "none was due yet"),
    })
}

fn incident_check(snapshot: &Snapshot) -> Check {
    match &snapshot.incident {
        Some(incident) => check(
            "incident",
            CheckStatus::Warning,
            &format!(
                "{} since {}: {}, try {}",
                incident.kind,
                incident.opened_at.rfc3339(),
                incident.rung.as_deref().unwrap_or("waiting"),
                incident.attempt
            ),
        ),
        None => check("incident", CheckStatus::Pass, "none is open"),
    }
}

fn state_check(state: &State) -> Check {
    let status = match state {
        State::Ready { .. } => CheckStatus::Pass,
        State::Starting { .. }
        | State::Draining { .. }
        | State::Syncing { .. }
        | State::Linking { .. } => CheckStatus::Warning,
        State::Stopped
        | State::Recovering { .. }
        | State::Conflict { .. }
        | State::LoggedOut
        | State::Parked { .. } => CheckStatus::Fail,
    };
    check(
        "session",
        status,
        &format!("the session is {}", state.name()),
    )
}

async fn probe(engine: &dyn Engine, checks: &mut Vec<Check>) -> CheckStatus {
    match tokio::time::timeout(LIMIT, engine.health()).await {
        Ok(Ok(health)) => {
            checks.push(check("page", CheckStatus::Pass, "the page answers"));
            let (status, what) = match health.phase {
                Phase::Ready => (CheckStatus::Pass, "connected to WhatsApp"),
                Phase::Syncing => (CheckStatus::Warning, "syncing"),
                Phase::Loading => (CheckStatus::Warning, "the page is loading"),
                Phase::Linking => (CheckStatus::Warning, "waiting for a phone"),
                Phase::Offline => (CheckStatus::Fail, "not connected to WhatsApp"),
            };
            checks.push(check("socket", status, what));
            if health.missing.is_empty() {
                checks.push(check("bindings", CheckStatus::Pass, "all are there"));
            } else {
                checks.push(check(
                    "bindings",
                    CheckStatus::Warning,
                    &format!("missing: {}", health.missing.join(", ")),
                ));
            }
            status
        }
        Ok(Err(failure)) => {
            checks.push(check(
                "page",
                CheckStatus::Fail,
                &format!("{}: {}", failure.kind, failure.evidence),
            ));
            CheckStatus::Fail
        }
        Err(_) => {
            checks.push(check(
                "page",
                CheckStatus::Fail,
                "the page did not answer in time",
            ));
            CheckStatus::Fail
        }
    }
}

fn outbox_checks(
    outbox: Result<OutboxDepth, StoreError>,
    now: UnixMs,
    checks: &mut Vec<Check>,
) -> OutboxDepth {
    let depth = match outbox {
        Ok(depth) => depth,
        Err(error) => {
            checks.push(check("store", CheckStatus::Fail, &error.to_string()));
            return OutboxDepth::default();
        }
    };
    checks.push(check("store", CheckStatus::Pass, "the store answers"));
    let oldest_ms = depth
        .oldest_accepted_at
        .map_or(0, |oldest| now.since(oldest));
    let owed = depth.accepted + depth.sending;
    let status = if oldest_ms > OLD_MS || depth.parked > 0 {
        CheckStatus::Warning
    } else {
        CheckStatus::Pass
    };
    checks.push(check(
        "outbox",
        status,
        &format!(
            "{owed} owed, oldest {} s old, {} parked",
            oldest_ms / 1000,
            depth.parked
        ),
    ));
    depth
}

fn check(name: &'static str, status: CheckStatus, detail: &str) -> Check {
    Check {
        name,
        status,
        detail: detail.to_owned(),
    }
}
