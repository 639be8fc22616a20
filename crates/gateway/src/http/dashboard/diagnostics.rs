//! What somebody who is to help needs to know, in one file: versions, the
//! configuration, how every session stands and how it came there, what failed
//! lately, and what its page looks like. Numbers, names, tokens and the ends of
//! URLs are taken out; texts of messages are in nothing of it.

use super::super::auth::{Caller, ToAdmin};
use super::super::event_json::EventJson;
use super::super::patience::Patience;
use super::super::problem::Problem;
use super::super::view::{IncidentJson, SessionJson};
use super::super::{HttpState, JsonAnswer};
use super::pictures;
use crate::metrics;
use crate::sessions::SessionView;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use steadfast_core::event::EventKinds;
use steadfast_core::port::EventQuery;

/// Sessions whose incidents are in it.
const MAX_SESSIONS: usize = 100;
/// Incidents of each, the newest.
const INCIDENTS: u32 = 30;
/// Changes of state and the like, the newest.
const TRANSITIONS: usize = 500;
/// Pages of the log that are searched for them.
const MAX_PAGES: u32 = 50;
/// Digits in a row that may be somebody's number.
const DIGITS: usize = 7;

pub(super) async fn bundle(
    caller: Caller<ToAdmin>,
    patience: Patience,
    State(state): State<Arc<HttpState>>,
) -> Result<Response, Problem> {
    let app = &state.app;
    let now = app.clock.unix();
    caller.act("diagnostics_taken", "gateway");
    let views = app.sessions.list().await?;
    let newest = app.store.event_span().await?.newest;
    let mut incidents = Vec::new();
    for view in views.iter().take(MAX_SESSIONS) {
        let found = app.store.incidents(&view.name, None, INCIDENTS).await?;
        let each = found.into_iter().map(IncidentJson::from);
        incidents.extend(each.map(|one| serde_json::to_value(one).unwrap_or_default()));
    }
    let webhooks: Vec<Value> = app
        .webhooks
        .running_statuses()
        .into_iter()
        .map(|(id, status)| {
            json!({
                "id": id,
                "down": status.down,
                "waiting": status.waiting,
                "behind": (newest - status.cursor).max(0),
                "failed_at": status.failed.as_ref().map(|(at, _)| at.rfc3339()),
                "failure": status.failed.map(|(_, why)| why),
            })
        })
        .collect();
    let mut bundle = json!({
        "made_at": now.rfc3339(),
        "versions": {
            "steadfast": env!("CARGO_PKG_VERSION"),
            "wa_js": steadfast_engine::WA_JS_VERSION,
            "system": std::env::consts::OS,
            "machine": std::env::consts::ARCH,
            "kernel": kernel(),
        },
        "uptime_seconds": app.clock.mono().since(app.started) as f64 / 1_000.0,
        "configuration": serde_json::to_value(app.config.as_ref()).unwrap_or_default(),
        "sessions": views.iter().map(session).collect::<Vec<_>>(),
        "transitions": transitions(&state, newest).await?,
        "incidents": incidents,
        "webhooks": webhooks,
        "log": app.metrics.troubles.newest(),
        "metrics": metrics::render(app, Some(&views), Some(newest))
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect::<Vec<_>>(),
    });
    redact(&mut bundle);
    // A picture is no text: what looks like a number in it is none.
    bundle["pages"] = pictures::of(app.sessions.as_ref(), &views, patience.left() / 2).await;
    let day = now.rfc3339().replace(':', "-");
    let name = format!("attachment; filename=\"steadfast-diagnostics-{day}.json\"");
    let mut response = JsonAnswer(bundle).into_response();
    if let Ok(name) = HeaderValue::from_str(&name) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

fn kernel() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(text.trim().to_owned())
}

/// A session without its owner.
fn session(view: &SessionView) -> Value {
    let mut value = serde_json::to_value(SessionJson::from(view)).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("me".to_owned(), json!(view.me.is_some()));
        fields.insert("proxy".to_owned(), json!(view.proxy.is_some()));
    }
    value
}

/// How sessions and webhooks changed lately, oldest first.
async fn transitions(state: &HttpState, newest: i64) -> Result<Vec<Value>, Problem> {
    let patterns = ["session.*", "incident.*", "webhook.*"];
    let kinds = EventKinds::of(patterns).unwrap_or(EventKinds::NONE);
    let mut found = VecDeque::new();
    let mut after = (newest - 20_000).max(0);
    for _ in 0..MAX_PAGES {
        let query = EventQuery {
            after,
            kinds,
            sessions: None,
            limit: 200,
        };
        let page = state.app.store.events(query).await?;
        after = page.next;
        for event in &page.events {
            if found.len() == TRANSITIONS {
                found.pop_front();
            }
            found.push_back(serde_json::to_value(EventJson::from(event)).unwrap_or_default());
        }
        if !page.more {
            break;
        }
    }
    Ok(found.into())
}

/// Takes out of every text what may be somebody's.
fn redact(value: &mut Value) {
    match value {
        Value::String(text) => *text = redacted(text),
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Object(members) => members.values_mut().for_each(redact),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

pub(super) fn redacted(text: &str) -> String {
    let words = text.split_inclusive(|c: char| c.is_whitespace() || "\"',;()<>".contains(c));
    words.map(word).collect()
}

fn word(word: &str) -> String {
    if ["sf_r_", "sf_s_", "sf_a_", "whsec_"]
        .iter()
        .any(|secret| word.contains(secret))
    {
        return "[secret] ".to_owned();
    }
    if let Some((scheme, rest)) = word.split_once("://") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let more = if host.len() < rest.trim_end().len() {
            "/[path] "
        } else {
            " "
        };
        return format!("{}://{}{more}", numbers(scheme), numbers(host.trim_end()));
    }
    numbers(word)
}

/// Without long rows of digits that are no part of a longer name, such as an id.
fn numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut row = String::new();
    let mut before = None;
    let flush = |row: &mut String, before: Option<char>, after: Option<char>, out: &mut String| {
        let named = |c: Option<char>| c.is_some_and(char::is_alphabetic);
        if row.len() >= DIGITS && !named(before) && !named(after) {
            out.push_str("[number]");
        } else {
            out.push_str(row);
        }
        row.clear();
    };
    for c in text.chars() {
        if c.is_ascii_digit() {
            row.push(c);
            continue;
        }
        flush(&mut row, before, Some(c), &mut out);
        before = Some(c);
        out.push(c);
    }
    flush(&mut row, before, None, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_somebodys_is_taken_out() {
        for (text, left) in [
            ("to 4915112345678@c.us now", "to [number]@c.us now"),
            ("+4915112345678", "+[number]"),
            ("inc_01HM61234567Z", "inc_01HM61234567Z"),
            ("2026-01-15T10:30:00.000Z", "2026-01-15T10:30:00.000Z"),
            ("token sf_a_abc is", "token [secret] is"),
            (
                "https://u:p@a.example/hook?k=1",
                "https://a.example/[path] ",
            ),
            ("https://a.example", "https://a.example "),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
        ] {
            assert_eq!(redacted(text), left, "{text}");
        }
        let mut value = json!({"a": ["4915112345678", 4_915_112_345_678_i64], "b": null});
        redact(&mut value);
        assert_eq!(
            value,
            json!({"a": ["[number]", 4_915_112_345_678_i64], "b": null})
        );
    }
}
