//! Who asks, and whether they may.
//!
//! A token is looked up by its SHA-256, and the stored hash is compared again
//! in constant time. Nothing is locked after failed attempts: with 256 random
//! bits guessing is hopeless, and a lock would only shut out the owner.

use super::HttpState;
use super::problem::{Code, Problem};
use crate::events;
use crate::token;
use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use std::marker::PhantomData;
use std::sync::Arc;
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
        let refused = |reason: &'static str, problem: Problem| {
            state.app.metrics.auth_failures.inc([reason]);
            tracing::debug!(
                event = events::AUTH_REFUSED,
                reason,
                "a request was refused"
            );
            problem
        };
        let Some(given) = token_of(&parts.headers) else {
            let problem = Problem::new(
                Code::TokenMissing,
                "send Authorization: Bearer TOKEN or X-Api-Key: TOKEN",
            );
            return Err(refused("missing", problem));
        };
        let Some((name, scope)) = identify(state, given).await? else {
            let problem = Problem::new(Code::TokenUnknown, "this token is not known here");
            return Err(refused("unknown", problem));
        };
        if scope < D::SCOPE {
            let problem = Problem::new(
                Code::ScopeMissing,
                format!(
                    "this needs a token of scope {}, and {name:?} has {}",
                    token::scope_name(D::SCOPE),
                    token::scope_name(scope)
                ),
            );
            return Err(refused("scope", problem));
        }
        Ok(Self {
            name,
            demand: PhantomData,
        })
    }
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
