//! The whole page that Prometheus reads: what was counted, and gauges read now.

use super::family::{header, pair, series};
use super::process::process_stats;
use crate::app::App;
use crate::sessions::{SessionState, SessionView};
use crate::webhooks::Status;

/// The text format's content type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Renders everything.
///
/// `sessions` is `None` where they could not be asked; their gauges are left
/// out then, which an alert on `absent()` sees. The same where `newest_event`,
/// the log's newest position, is not known.
pub fn render(app: &App, sessions: Option<&[SessionView]>, newest_event: Option<i64>) -> String {
    let mut out = String::with_capacity(8_192);
    header(
        &mut out,
        "steadfast_build_info",
        "The program's version.",
        "gauge",
    );
    let version = pair("version", env!("CARGO_PKG_VERSION"));
    series(&mut out, "steadfast_build_info", &version, 1);
    gauge(
        &mut out,
        "steadfast_uptime_seconds",
        "Time since the gateway started.",
        app.clock.mono().since(app.started) as f64 / 1_000.0,
    );
    process(&mut out);
    if let Some(sessions) = sessions {
        by_session(&mut out, app, sessions);
    }
    by_webhook(&mut out, app, newest_event);
    app.metrics.write_counted(&mut out);
    out
}

fn by_webhook(out: &mut String, app: &App, newest_event: Option<i64>) {
    let statuses = app.webhooks.running_statuses();
    let each = |out: &mut String, name: &str, help: &str, read: &dyn Fn(&Status) -> i64| {
        header(out, name, help, "gauge");
        for (id, status) in &statuses {
            series(out, name, &pair("webhook", id.as_str()), read(status));
        }
    };
    each(
        out,
        "steadfast_webhook_down",
        "1 where an endpoint counts as down.",
        &|status| i64::from(status.down),
    );
    each(
        out,
        "steadfast_webhook_waiting",
        "Events that wait for another try.",
        &|status| i64::try_from(status.waiting).unwrap_or(i64::MAX),
    );
    if let Some(newest) = newest_event {
        each(
            out,
            "steadfast_webhook_lag_events",
            "Positions of the log that an endpoint has not been given yet.",
            &|status| (newest - status.cursor).max(0),
        );
    }
}

fn gauge(out: &mut String, name: &str, help: &str, value: impl std::fmt::Display) {
    header(out, name, help, "gauge");
    series(out, name, "", value);
}

fn process(out: &mut String) {
    let stats = process_stats();
    for (name, help, value) in [
        (
            "process_resident_memory_bytes",
            "Resident memory of the gateway, without the browsers.",
            stats.resident_bytes,
        ),
        ("process_open_fds", "Open file descriptors.", stats.open_fds),
        ("process_threads", "Threads.", stats.threads),
    ] {
        if let Some(value) = value {
            gauge(out, name, help, value);
        }
    }
}

fn by_session(out: &mut String, app: &App, sessions: &[SessionView]) {
    header(out, "steadfast_sessions", "Sessions by state.", "gauge");
    for state in SessionState::ALL {
        let count = sessions.iter().filter(|s| s.state == state).count();
        series(
            out,
            "steadfast_sessions",
            &pair("state", state.as_str()),
            count,
        );
    }
    let each =
        |out: &mut String, name: &str, help: &str, read: &dyn Fn(&SessionView) -> Option<f64>| {
            header(out, name, help, "gauge");
            for session in sessions {
                if let Some(value) = read(session) {
                    series(out, name, &pair("session", session.name.as_str()), value);
                }
            }
        };
    each(
        out,
        "steadfast_session_ready",
        "1 where the session sends and receives.",
        &|s| Some(f64::from(u8::from(s.ready()))),
    );
    each(
        out,
        "steadfast_browser_memory_bytes",
        "Resident memory of the session's browser and all its processes.",
        &|s| s.browser_memory_bytes.map(|bytes| bytes as f64),
    );
    each(
        out,
        "steadfast_incidents_open",
        "1 where an incident is open.",
        &|s| Some(f64::from(u8::from(s.incident.is_some()))),
    );
    each(
        out,
        "steadfast_pacing_slowed",
        "How often the session's pace is halved now, since WhatsApp asked to slow down.",
        &|s| Some(f64::from(s.pace.slowed)),
    );
    each(
        out,
        "steadfast_pacing_held",
        "1 where pacing holds new messages back now.",
        &|s| Some(f64::from(u8::from(s.pace.others.is_some()))),
    );
    for (name, help, read) in [
        (
            "steadfast_session_wanted_seconds_total",
            "Time for which the session was wanted: from its first link on, without the time for which its owner had stopped it.",
            (|s| s.wanted_ms) as fn(&SessionView) -> u64,
        ),
        (
            "steadfast_session_ready_seconds_total",
            "Time wanted for which the session was ready; by the time wanted it is the availability.",
            |s| s.ready_ms,
        ),
    ] {
        header(out, name, help, "counter");
        for session in sessions {
            let labels = pair("session", session.name.as_str());
            series(out, name, &labels, read(session) as f64 / 1_000.0);
        }
    }
    let now = app.clock.unix();
    each(
        out,
        "steadfast_outbox_oldest_seconds",
        "Age of the oldest message that is owed; 0 where none is.",
        &|s| {
            let age_ms = s.outbox.oldest_accepted_at.map_or(0, |at| now.since(at));
            Some(age_ms as f64 / 1_000.0)
        },
    );
    let name = "steadfast_outbox_messages";
    header(
        out,
        name,
        "Messages in the outbox: accepted and waiting, sending, parked.",
        "gauge",
    );
    for session in sessions {
        for (status, count) in [
            ("accepted", session.outbox.accepted),
            ("sending", session.outbox.sending),
            ("parked", session.outbox.parked),
        ] {
            let labels = format!(
                "{},{}",
                pair("session", session.name.as_str()),
                pair("status", status)
            );
            series(out, name, &labels, count);
        }
    }
}
