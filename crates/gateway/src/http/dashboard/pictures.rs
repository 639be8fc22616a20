//! The pages of the sessions as pictures, for the diagnostics. The engine makes
//! all that is somebody's unreadable before it takes one; where it cannot, there
//! is none, and why stands in its place.

use super::diagnostics::redacted;
use crate::sessions::{SessionView, Sessions};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};
use std::time::Duration;
use steadfast_core::ids::SessionId;
use tokio::time::Instant;

/// Pages that are in it. What a person is to look at comes first: those that are not ready.
const MAX_PICTURES: usize = 20;
/// How many are taken at a time: each costs a browser the painting of its page.
const AT_ONCE: usize = 4;
/// How long all of them may take.
const LIMIT: Duration = Duration::from_secs(20);

/// One object a session: its name, and `png` (Base64) or, where there is no
/// picture, `why`. Takes no longer than `patience`.
pub(super) async fn of(
    sessions: &dyn Sessions,
    views: &[SessionView],
    patience: Duration,
) -> Value {
    let until = Instant::now() + LIMIT.min(patience);
    let mut views: Vec<&SessionView> = views.iter().collect();
    views.sort_by_key(|view| view.ready());
    views.truncate(MAX_PICTURES);
    let names: Vec<SessionId> = views.into_iter().map(|view| view.name.clone()).collect();
    let pages = names.into_iter().map(|name| one(sessions, name, until));
    let pages: Vec<Value> = stream::iter(pages).buffered(AT_ONCE).collect().await;
    Value::from(pages)
}

async fn one(sessions: &dyn Sessions, name: SessionId, until: Instant) -> Value {
    let no_time = "there was no time left for it".to_owned();
    // Not even begun: a page that is given up on stays hidden for a while.
    let taken = if Instant::now() >= until {
        Err(no_time)
    } else {
        match tokio::time::timeout_at(until, sessions.picture(&name)).await {
            Ok(taken) => taken.map_err(|error| error.to_string()),
            Err(_) => Err(no_time),
        }
    };
    match taken {
        Ok(picture) => json!({ "session": name, "png": STANDARD.encode(picture.png) }),
        Err(why) => json!({ "session": name, "why": redacted(&why) }),
    }
}
