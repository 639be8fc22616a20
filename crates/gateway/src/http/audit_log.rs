//! `/v1/audit`: who changed what.

use super::auth::{Caller, ToAdmin};
use super::extract::Query;
use super::problem::Problem;
use super::view::Page;
use super::{HttpState, JsonAnswer, page_limit};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use steadfast_core::port::AuditEntry;
use utoipa::{IntoParams, ToSchema};

/// One act.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditJson {
    /// Its position; only grows.
    seq: i64,
    at: String,
    /// The token's name; `local` is this machine's command line.
    actor: String,
    /// A stable name, or the method and address of the request.
    act: String,
    /// The session, token, message or webhook.
    target: Option<String>,
    /// Whether it was done. What failed may have been begun.
    done: bool,
    detail: Option<String>,
}

impl From<AuditEntry> for AuditJson {
    fn from(AuditEntry { seq, entry }: AuditEntry) -> Self {
        Self {
            seq,
            at: entry.at.rfc3339(),
            actor: entry.actor,
            act: entry.act,
            target: entry.target,
            done: entry.done,
            detail: entry.detail,
        }
    }
}

/// Which acts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Only before this position: the `next` of the page before.
    before: Option<i64>,
    /// At most so many, 1 to 200; 50 where not said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// What administrators changed, newest first. The newest 10,000 acts are kept.
#[utoipa::path(get, path = "/v1/audit", tag = "gateway",
    params(AuditQuery), responses((status = 200, body = Page<AuditJson>)))]
pub(super) async fn list(
    _: Caller<ToAdmin>,
    State(state): State<Arc<HttpState>>,
    Query(query): Query<AuditQuery>,
) -> Result<JsonAnswer<Page<AuditJson>>, Problem> {
    let limit = page_limit(query.limit)?;
    let found = state.app.store.audit(query.before, limit).await?;
    let full = found.len() == limit as usize;
    let next = found
        .last()
        .filter(|_| full)
        .map(|last| last.seq.to_string());
    Ok(JsonAnswer(Page {
        items: found.into_iter().map(Into::into).collect(),
        next,
    }))
}
