//! The past day in figures, for the dashboard's plots: what was there every
//! few seconds of the last hour, and every few minutes of the last day. It is
//! in memory, bounded, and begins anew with the gateway; who wants to keep
//! more lets Prometheus read `/metrics`.

use super::super::auth::{Caller, ToRead};
use super::super::extract::{Query, SessionName};
use super::super::problem::Problem;
use super::super::{HttpState, JsonAnswer};
use crate::metrics::Spread;
use crate::sessions::SessionView;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use steadfast_core::ids::SessionId;
use steadfast_core::time::UnixMs;

/// Between two looks.
const STEP: Duration = Duration::from_secs(10);
/// Points of each scale: an hour of steps, and a day of steps of four minutes.
const POINTS: usize = 360;
/// Steps that make one point of the coarse scale.
const COARSE: u32 = 24;
/// Sessions that are watched; more are not allowed by the configuration either.
const MAX_SESSIONS: usize = 1_000;

/// What happened in one step, and how it stood at the step's end.
#[derive(Debug, Clone, Copy, Default)]
struct Point {
    at: i64,
    /// Accepted, and not with WhatsApp yet; the most in this step.
    depth: u32,
    /// The browser's memory in bytes; the most in this step.
    memory: Option<f32>,
    /// For how long it was wanted, and ready, in milliseconds.
    wanted: u32,
    ready: u32,
    recoveries: u32,
    /// Messages that the server acked.
    sent: u32,
    /// From accepted to the server's ack, in seconds.
    p50: Option<f32>,
    p95: Option<f32>,
}

/// Counters as they stood at the last look.
#[derive(Debug, Clone, Default)]
struct Before {
    wanted_ms: u64,
    ready_ms: u64,
    recoveries: u64,
    acks: Spread,
}

#[derive(Debug, Default)]
struct Series {
    fine: VecDeque<Point>,
    coarse: VecDeque<Point>,
    /// The coarse point that is not full yet, and of how many steps it is.
    partial: (Point, u32),
    /// Acks since the coarse point began.
    partial_acks: Spread,
    before: Option<Before>,
}

/// Every session's series.
#[derive(Debug, Default)]
pub(in crate::http) struct History {
    sessions: Mutex<BTreeMap<SessionId, Series>>,
}

fn push(points: &mut VecDeque<Point>, point: Point) {
    if points.len() >= POINTS {
        points.pop_front();
    }
    points.push_back(point);
}

/// Grown since; nothing where a counter began anew.
fn grown(now: u64, before: u64) -> u32 {
    u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX)
}

impl Series {
    fn take(&mut self, view: &SessionView, recoveries: u64, acks: Spread, at: UnixMs) {
        let now = Before {
            wanted_ms: view.wanted_ms,
            ready_ms: view.ready_ms,
            recoveries,
            acks,
        };
        // The first look knows how it stands, and not what happened.
        let before = self.before.take().unwrap_or_else(|| now.clone());
        let new = now.acks.since(&before.acks);
        let depth = view.outbox.accepted + view.outbox.sending;
        let point = Point {
            at: at.0,
            depth: u32::try_from(depth).unwrap_or(u32::MAX),
            memory: view.browser_memory_bytes.map(|bytes| bytes as f32),
            wanted: grown(now.wanted_ms, before.wanted_ms),
            ready: grown(now.ready_ms, before.ready_ms),
            recoveries: grown(now.recoveries, before.recoveries),
            sent: u32::try_from(new.count()).unwrap_or(u32::MAX),
            p50: new.quantile(0.5).map(|seconds| seconds as f32),
            p95: new.quantile(0.95).map(|seconds| seconds as f32),
        };
        push(&mut self.fine, point);
        self.partial_acks.add(&new);
        let (sum, steps) = &mut self.partial;
        *sum = Point {
            at: point.at,
            depth: sum.depth.max(point.depth),
            memory: sum.memory.into_iter().chain(point.memory).reduce(f32::max),
            wanted: sum.wanted.saturating_add(point.wanted),
            ready: sum.ready.saturating_add(point.ready),
            recoveries: sum.recoveries.saturating_add(point.recoveries),
            sent: sum.sent.saturating_add(point.sent),
            p50: None,
            p95: None,
        };
        *steps += 1;
        if *steps == COARSE {
            let acks = std::mem::take(&mut self.partial_acks);
            let (mut full, _) = std::mem::take(&mut self.partial);
            full.p50 = acks.quantile(0.5).map(|seconds| seconds as f32);
            full.p95 = acks.quantile(0.95).map(|seconds| seconds as f32);
            push(&mut self.coarse, full);
        }
        self.before = Some(now);
    }
}

impl History {
    fn look(&self, state: &HttpState, views: &[SessionView]) {
        let at = state.app.clock.unix();
        let metrics = &state.app.metrics;
        let mut recoveries = BTreeMap::<String, u64>::new();
        for ([session, _, _], count) in metrics.recoveries.each() {
            *recoveries.entry(session).or_default() += count;
        }
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|name, _| views.iter().any(|view| view.name == *name));
        for view in views.iter().take(MAX_SESSIONS) {
            let name = view.name.as_str();
            let healed = recoveries.get(name).copied().unwrap_or(0);
            let acks = metrics.ack_seconds.spread([name]);
            let series = sessions.entry(view.name.clone()).or_default();
            series.take(view, healed, acks, at);
        }
    }

    fn points(&self, session: &SessionId, day: bool) -> Vec<Point> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let series = sessions.get(session);
        let points = series.map(|series| if day { &series.coarse } else { &series.fine });
        points.into_iter().flatten().copied().collect()
    }
}

/// Looks at every session until the gateway stops.
pub(in crate::http) async fn keep(state: Arc<HttpState>) {
    loop {
        // A store that hangs leaves a hole, and never a queue of looks.
        let listed = tokio::time::timeout(STEP, state.app.sessions.list());
        tokio::select! {
            () = state.stopping.cancelled() => return,
            listed = listed => {
                if let Ok(Ok(views)) = listed {
                    state.history.look(&state, &views);
                }
            }
        }
        tokio::select! {
            () = state.stopping.cancelled() => return,
            () = tokio::time::sleep(STEP) => {}
        }
    }
}

/// How far back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryQuery {
    #[serde(default)]
    span: Span,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Span {
    #[default]
    Hour,
    Day,
}

/// One list a figure, all of the same length.
#[derive(Debug, Default, Serialize)]
pub(super) struct HistoryJson {
    step_ms: u64,
    /// Unix milliseconds.
    at: Vec<i64>,
    depth: Vec<u32>,
    memory_bytes: Vec<Option<f32>>,
    /// Of the time that it was wanted, the part that it was ready, 0 to 1.
    available: Vec<Option<f32>>,
    recoveries: Vec<u32>,
    sent: Vec<u32>,
    p50_seconds: Vec<Option<f32>>,
    p95_seconds: Vec<Option<f32>>,
}

pub(super) async fn of_session(
    _: Caller<ToRead>,
    State(state): State<Arc<HttpState>>,
    SessionName(session): SessionName,
    Query(query): Query<HistoryQuery>,
) -> Result<JsonAnswer<HistoryJson>, Problem> {
    state.app.sessions.get(&session).await?;
    let day = query.span == Span::Day;
    let steps = if day { COARSE } else { 1 };
    let mut json = HistoryJson {
        step_ms: u64::from(steps) * STEP.as_secs() * 1_000,
        ..HistoryJson::default()
    };
    for point in state.history.points(&session, day) {
        let share = f64::from(point.ready) / f64::from(point.wanted);
        json.at.push(point.at);
        json.depth.push(point.depth);
        json.memory_bytes.push(point.memory);
        json.available
            .push((point.wanted > 0).then_some(share.min(1.0) as f32));
        json.recoveries.push(point.recoveries);
        json.sent.push(point.sent);
        json.p50_seconds.push(point.p50);
        json.p95_seconds.push(point.p95);
    }
    Ok(JsonAnswer(json))
}
