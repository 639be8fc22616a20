//! The audit log: who changed what, in the store and as a log event.

use crate::app::App;
use crate::events;
use std::time::Duration;
use steadfast_core::port::NewAudit;

/// How long writing one act down may take. What was done stays done.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// Writes an act down. Where it cannot be, that is in the log: the act was
/// done all the same, and its caller is told so.
pub async fn record(app: &App, entry: NewAudit) {
    let (actor, act, target) = (
        entry.actor.clone(),
        entry.act.clone(),
        entry.target.clone().unwrap_or_default(),
    );
    tracing::info!(
        event = events::ADMIN_ACT,
        actor,
        act,
        target,
        done = entry.done,
        "admin act"
    );
    match tokio::time::timeout(WRITE_LIMIT, app.store.add_audit(entry)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::error!(event = events::AUDIT_NOT_STORED, actor, act, target, %error, "an act was not written down");
        }
        Err(_) => {
            tracing::error!(
                event = events::AUDIT_NOT_STORED,
                actor,
                act,
                target,
                "an act was not written down in time"
            );
        }
    }
}
