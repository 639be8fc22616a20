//! Who asks, and whether they may.
//!
//! A token is looked up by its SHA-256, and the stored hash is compared again
//! in constant time. Nothing is locked after failed attempts: with 256 random
//! bits guessing is hopeless, and a lock would only shut out the owner. An
//! address that fails too often is only told to wait before it fails again.
//!
//! A request without a token may come from the dashboard with the cookie of a
//! login ([`dashboard::logins`]), which stands for the token it was given for.
//!
//! A token may be for some sessions only. An address that names another one
//! looks to it as if there were no such session; an address that names none is
//! closed to it, unless its handler sorts by session itself ([`Sorting`]).

use super::HttpState;
use super::dashboard;
use super::dashboard::logins::LoggedIn;
use super::patience::Patience;
use super::peer::{Peer, client_address, network};
use super::problem::{Code, Problem, session_unknown};
use super::rate::Rate;
use crate::app::DEFAULT_SESSION;
use crate::config::Server;
use crate::events;
use crate::token;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use ipnet::IpNet;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use steadfast_core::ids::SessionId;
use steadfast_core::port::{Scope, TokenEnd, TokenRecord};
use subtle::ConstantTimeEq as _;

/// What a handler demands.
pub(super) trait Demand: Send + Sync + 'static {
    /// The least scope that will do.
    const SCOPE: Scope;
    /// Whether the handler itself keeps to the sessions that a token is for.
    const SORTS: bool = false;
}

/// Looking is enough.
pub(super) struct ToRead;
/// Sending is needed.
pub(super) struct ToSend;
/// Everything is needed.
pub(super) struct ToAdmin;
/// The same, of a handler that asks [`Caller::sees`] about each session.
pub(super) struct Sorting<D>(PhantomData<D>);

impl Demand for ToRead {
    const SCOPE: Scope = Scope::Read;
}
impl Demand for ToSend {
    const SCOPE: Scope = Scope::Send;
}
impl Demand for ToAdmin {
    const SCOPE: Scope = Scope::Admin;
}
impl<D: Demand> Demand for Sorting<D> {
    const SCOPE: Scope = D::SCOPE;
    const SORTS: bool = true;
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

/// What a request turned out to be, left behind for the audit log.
#[derive(Clone, Default)]
pub(super) struct Known(Arc<Told>);

#[derive(Default)]
struct Told {
    caller: OnceLock<(String, Scope)>,
    act: OnceLock<Act>,
}

/// What a handler says that it did.
pub(super) struct Act {
    /// A stable name: `session_deleted`.
    pub(super) name: &'static str,
    /// On what.
    pub(super) target: String,
}

impl Known {
    /// Who asked, and what scope that needed.
    pub(super) fn caller(&self) -> Option<&(String, Scope)> {
        self.0.caller.get()
    }

    /// Notes who did what, for a handler that finds that out by itself.
    pub(super) fn note(&self, caller: &str, scope: Scope, act: &'static str, target: &str) {
        let target = target.to_owned();
        // The first words stand, as everywhere.
        let _ = self.0.caller.set((caller.to_owned(), scope));
        let _ = self.0.act.set(Act { name: act, target });
    }

    /// What was done, where the handler said so.
    pub(super) fn act(&self) -> Option<&Act> {
        self.0.act.get()
    }
}

/// A caller whose token covers the demand. As a handler's argument it is the
/// check itself.
pub(super) struct Caller<D> {
    /// The token's name.
    pub(super) name: String,
    /// What the token may do.
    pub(super) scope: Scope,
    /// How long the caller waits.
    pub(super) patience: Patience,
    /// The hash of the secret that was shown.
    hash: [u8; 32],
    /// The sessions that the token is for; `None`: all.
    sessions: Option<Vec<SessionId>>,
    known: Known,
    demand: PhantomData<D>,
}

impl<D> Caller<D> {
    /// Whether the token is for this session.
    pub(super) fn sees(&self, session: &SessionId) -> bool {
        let named = self.sessions.as_ref();
        named.is_none_or(|sessions| sessions.contains(session))
    }

    /// Names what the handler is about to do. It is written into the audit log
    /// once the answer is known; what an administrator changes is written there
    /// also without a name.
    pub(super) fn act(&self, name: &'static str, target: impl Into<String>) {
        let target = target.into();
        // The first word stands; a request does one thing.
        let _ = self.known.0.act.set(Act { name, target });
    }

    /// What shows later whether the token is still taken.
    pub(super) fn ticket(&self) -> Ticket {
        Ticket { hash: self.hash }
    }

    /// Of the sessions that it asks about (`None`: all), those that it may
    /// see. `None` in the answer: all, and what belongs to none.
    pub(super) fn may_see(&self, asked: Option<Vec<SessionId>>) -> Option<Vec<SessionId>> {
        match (asked, &self.sessions) {
            (asked, None) => asked,
            (None, Some(own)) => Some(own.clone()),
            (Some(asked), Some(_)) => {
                let seen = asked.into_iter().filter(|session| self.sees(session));
                Some(seen.collect())
            }
        }
    }
}

impl<D: Demand> FromRequestParts<Arc<HttpState>> for Caller<D> {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &Arc<HttpState>,
    ) -> Result<Self, Problem> {
        let token = match token_of(&parts.headers) {
            Some(given) => {
                let peer = parts.extensions.get::<Peer>();
                holder(state, given, peer, &parts.headers).await?
            }
            None => logged_in(state, parts).await?,
        };
        let known = parts.extensions.get::<Known>().cloned().unwrap_or_default();
        // The first word stands; a request has one caller.
        let _ = known.0.caller.set((token.name.clone(), D::SCOPE));
        if token.scope < D::SCOPE {
            let problem = Problem::new(
                Code::ScopeMissing,
                format!(
                    "this needs a token of scope {}, and {:?} has {}",
                    token::scope_name(D::SCOPE),
                    token.name,
                    token::scope_name(token.scope)
                ),
            );
            return Err(refused(state, "scope", problem));
        }
        if token.sessions.is_some() {
            within_sessions::<D>(&token, parts)
                .await
                .map_err(|problem| refused(state, "session", problem))?;
        }
        if let Some(rate) = &state.limits.requests
            && token.name != token::LOCAL_NAME
            && let Err(wait_ms) = rate.take(&token.name, state.app.clock.mono())
        {
            let problem = Problem::new(
                Code::TooManyRequests,
                format!(
                    "the token {:?} has made as many requests as it may",
                    token.name
                ),
            );
            return Err(problem.retry_after(seconds(wait_ms)));
        }
        if token.name != token::LOCAL_NAME {
            state.usage.note(&token, state.app.clock.unix());
        }
        let Ok(patience) = Patience::from_request_parts(parts, state).await;
        Ok(Self {
            name: token.name,
            scope: token.scope,
            patience,
            hash: token_of(&parts.headers)
                .and_then(token::hash)
                .unwrap_or(token.hash),
            sessions: token.sessions,
            known,
            demand: PhantomData,
        })
    }
}

/// Whose token this is, where it is taken.
pub(super) async fn holder(
    state: &HttpState,
    given: &str,
    peer: Option<&Peer>,
    headers: &HeaderMap,
) -> Result<TokenRecord, Problem> {
    match identify(state, given).await? {
        Identified::Token(token) => Ok(token),
        Identified::Ended(end) => Err(refused(state, "ended", ended(end))),
        Identified::Nobody => {
            let problem = unknown(state, peer, headers);
            Err(refused(state, "unknown", problem))
        }
    }
}

/// Whose token a request without one stands for: a login of the dashboard is
/// what its token is, as the token is now.
async fn logged_in(state: &HttpState, parts: &Parts) -> Result<TokenRecord, Problem> {
    let over = |detail| {
        let problem = Problem::new(Code::TokenMissing, detail);
        refused(state, "login_over", problem)
    };
    let now = state.app.clock.unix();
    let hash = match state.logins.token_of(&parts.headers, now) {
        LoggedIn::Holder(hash) => hash,
        LoggedIn::Ended => return Err(over("this login has ended: log in again")),
        LoggedIn::Nobody => {
            let detail = "send Authorization: Bearer TOKEN or X-Api-Key: TOKEN";
            let problem = Problem::new(Code::TokenMissing, detail);
            return Err(refused(state, "missing", problem));
        }
    };
    if !dashboard::logins::from_our_page(&parts.method, &parts.headers) {
        return Err(refused(state, "foreign_page", dashboard::foreign()));
    }
    match by_hash(state, hash).await? {
        Identified::Token(token) => Ok(token),
        Identified::Ended(end) => Err(refused(state, "ended", ended(end))),
        Identified::Nobody => Err(over("the token of this login was revoked")),
    }
}

/// Keeps a token that is for some sessions to them.
async fn within_sessions<D: Demand>(token: &TokenRecord, parts: &mut Parts) -> Result<(), Problem> {
    let params = RawPathParams::from_request_parts(parts, &()).await.ok();
    let in_path = params.as_ref().and_then(|params| {
        let named = params.iter().find(|(key, _)| *key == "session");
        named.map(|(_, value)| value.to_owned())
    });
    // `/api/whatsapp` speaks for one session, without naming it.
    let named = in_path.or_else(|| {
        let original = parts.uri.path().starts_with("/api/whatsapp/");
        original.then(|| DEFAULT_SESSION.to_owned())
    });
    match named {
        Some(text) => match SessionId::parse(&text) {
            Ok(session) if token.is_for(&session) => Ok(()),
            // Whether there is one is not its business.
            Ok(_) | Err(_) => Err(session_unknown(&text)),
        },
        None if D::SORTS => Ok(()),
        None => Err(Problem::new(
            Code::SessionsOnly,
            format!(
                "the token {:?} is for some sessions only, and this is about the whole gateway",
                token.name
            ),
        )),
    }
}

/// What somebody got in with who stays longer than a request.
pub(super) struct Ticket {
    hash: [u8; 32],
}

impl Ticket {
    /// For how long its token is taken from now on, where it is: `at_most`, or
    /// less where its end is known. A store that does not answer admits nobody.
    pub(super) async fn admits(&self, state: &HttpState, at_most: Duration) -> Option<Duration> {
        match by_hash(state, self.hash).await {
            Ok(Identified::Token(token)) => {
                let before = token.previous.filter(|before| before.hash == self.hash);
                let ends = before.map(|before| before.until);
                let ends = ends.into_iter().chain(token.expires_at).min();
                let now = state.app.clock.unix();
                let left = ends.map(|at| Duration::from_millis(at.since(now)));
                Some(left.map_or(at_most, |left| left.min(at_most)))
            }
            Ok(Identified::Ended(_) | Identified::Nobody) | Err(_) => None,
        }
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
fn unknown(state: &HttpState, peer: Option<&Peer>, headers: &HeaderMap) -> Problem {
    let problem = Problem::new(Code::TokenUnknown, "this token is not known here");
    let (Some(rate), Some(peer)) = (&state.limits.failures, peer) else {
        return problem;
    };
    let address = client_address(*peer, headers, &state.limits.trusted);
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

/// Whose secret came with a request.
enum Identified {
    Token(TokenRecord),
    /// It was one of ours, and is not any more.
    Ended(TokenEnd),
    Nobody,
}

fn ended(end: TokenEnd) -> Problem {
    let detail = match end {
        TokenEnd::Expired => "the time of this token is up",
        TokenEnd::Rotated => "this token was rotated, and only the new secret is taken now",
    };
    Problem::new(Code::TokenExpired, detail)
}

async fn identify(state: &HttpState, given: &str) -> Result<Identified, Problem> {
    match token::hash(given) {
        Some(hash) => by_hash(state, hash).await,
        None => Ok(Identified::Nobody),
    }
}

async fn by_hash(state: &HttpState, hash: [u8; 32]) -> Result<Identified, Problem> {
    let now = state.app.clock.unix();
    if let Some(local) = &state.local_token
        && bool::from(local.ct_eq(&hash))
    {
        let local = TokenRecord::new(token::LOCAL_NAME, hash, Scope::Admin, now);
        return Ok(Identified::Token(local));
    }
    let is_its = |record: &TokenRecord| {
        let newest = record.hash.ct_eq(&hash);
        let before = record.previous.as_ref().map(|p| p.hash.ct_eq(&hash));
        bool::from(before.map_or(newest, |before| newest | before))
    };
    let record = state.app.store.token_by_hash(&hash).await?;
    Ok(match record.filter(is_its) {
        None => Identified::Nobody,
        Some(record) => match record.admits(&hash, now) {
            Ok(()) => Identified::Token(record),
            Err(end) => Identified::Ended(end),
        },
    })
}
