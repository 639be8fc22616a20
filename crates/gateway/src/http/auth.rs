//! Who asks, and whether they may.
//!
//! A token is looked up by its SHA-256, and the stored hash is compared again
//! in constant time. Nothing is locked after failed attempts: with 256 random
//! bits guessing is hopeless, and a lock would only shut out the owner. An
//! address that fails too often is only told to wait before it fails again.

use super::HttpState;
use super::peer::{Peer, client_address, network};
use super::problem::{Code, Problem};
use super::rate::Rate;
use crate::config::Server;
use crate::events;
use crate::token;
use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use ipnet::IpNet;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use steadfast_core::port::Scope;
use subtle::ConstantTimeEq as _;

/// What a handler demands.
pub(super) trait Demand: Send + Sync + 'static {
    /// The least scope that will do.
    const SCOPE: Scope;
}

/// Looking is enough.
pub(super) struct ToRead;
/// Sending is needed.
pub(super) struct ToSend;
/// Everything is needed.
pub(super) struct ToAdmin;

impl Demand for ToRead {
    const SCOPE: Scope = Scope::Read;
}
impl Demand for ToSend {
    const SCOPE: Scope = Scope::Send;
}
impl Demand for ToAdmin {
    const SCOPE: Scope = Scope::Admin;
}

/// How often a token may ask, and an address may fail.
pub(super) struct Limits {
    requests: Option<Rate>,
    failures: Option<Rate>,
    trusted: Vec<IpNet>,
}

impl Limits {
    /// As configured.
    pub(super) fn of(server: &Server) -> Self {
        let per_minute = server.auth_failures_per_minute;
        let proxies = server.trusted_proxies.iter();
        Self {
            requests: Rate::new(server.token_requests_per_minute, server.token_burst),
            failures: Rate::new(per_minute, per_minute),
            trusted: proxies.filter_map(|text| network(text).ok()).collect(),
        }
    }
}

/// Who made a request and what it demanded, left behind for the audit log.
#[derive(Clone, Default)]
pub(super) struct Known(pub(super) Arc<OnceLock<(String, Scope)>>);

/// A caller whose token covers the demand. As a handler's argument it is the
/// check itself.
pub(super) struct Caller<D> {
    /// The token's name.
    pub(super) name: String,
    demand: PhantomData<D>,
}

impl<D: Demand> FromRequestParts<Arc<HttpState>> for Caller<D> {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &Arc<HttpState>,
    ) -> Result<Self, Problem> {
        let Some(given) = token_of(&parts.headers) else {
            let problem = Problem::new(
                Code::TokenMissing,
                "send Authorization: Bearer TOKEN or X-Api-Key: TOKEN",
            );
            return Err(refused(state, "missing", problem));
        };
        let Some((name, scope)) = identify(state, given).await? else {
            return Err(refused(state, "unknown", unknown(state, parts)));
        };
        if let Some(known) = parts.extensions.get::<Known>() {
            // The first word stands; a request has one caller.
            let _ = known.0.set((name.clone(), D::SCOPE));
        }
        if scope < D::SCOPE {
            let problem = Problem::new(
                Code::ScopeMissing,
                format!(
                    "this needs a token of scope {}, and {name:?} has {}",
                    token::scope_name(D::SCOPE),
                    token::scope_name(scope)
                ),
            );
            return Err(refused(state, "scope", problem));
        }
        if let Some(rate) = &state.limits.requests
            && name != token::LOCAL_NAME
            && let Err(wait_ms) = rate.take(&name, state.app.clock.mono())
        {
            let problem = Problem::new(
                Code::TooManyRequests,
                format!("the token {name:?} has made as many requests as it may"),
            );
            return Err(problem.retry_after(seconds(wait_ms)));
        }
        Ok(Self {
            name,
            demand: PhantomData,
        })
    }
}

fn refused(state: &HttpState, reason: &'static str, problem: Problem) -> Problem {
    state.app.metrics.auth_failures.inc([reason]);
    tracing::debug!(
        event = events::AUTH_REFUSED,
        reason,
        "a request was refused"
    );
    problem
}

/// What an unknown token is told, by how often its address has come with one.
fn unknown(state: &HttpState, parts: &Parts) -> Problem {
    let problem = Problem::new(Code::TokenUnknown, "this token is not known here");
    let (Some(rate), Some(peer)) = (&state.limits.failures, parts.extensions.get::<Peer>()) else {
        return problem;
    };
    let address = client_address(*peer, &parts.headers, &state.limits.trusted);
    match rate.take(&address.to_string(), state.app.clock.mono()) {
        Ok(()) => problem,
        Err(wait_ms) => Problem::new(
            Code::TooManyFailures,
            "too many logins with unknown tokens came from your address",
        )
        .retry_after(seconds(wait_ms)),
    }
}

fn seconds(ms: u64) -> u32 {
    u32::try_from(ms.div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
}

fn token_of(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
    bearer.or_else(|| {
        headers
            .get("x-api-key")
            .and_then(|value| value.to_str().ok())
            .map(str::trim)
    })
}

async fn identify(state: &HttpState, given: &str) -> Result<Option<(String, Scope)>, Problem> {
    let Some(hash) = token::hash(given) else {
        return Ok(None);
    };
    if let Some(local) = &state.local_token
        && bool::from(local.ct_eq(&hash))
    {
        return Ok(Some((token::LOCAL_NAME.to_owned(), Scope::Admin)));
    }
    let record = state.app.store.token_by_hash(&hash).await?;
    Ok(record
        .filter(|record| bool::from(record.hash.ct_eq(&hash)))
        .map(|record| (record.name, record.scope)))
}
