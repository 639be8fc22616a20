//! `/v1/tokens`: who may knock. For tokens that are for the whole gateway only.

use super::auth::{Caller, ToAdmin};
use super::extract::{Json, Query, path_text};
use super::problem::{Code, Problem};
use super::view::Page;
use super::{HttpState, JsonAnswer};
use crate::token::{self, MAX_LIFETIME_S, MAX_TOKENS};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use steadfast_core::ids::SessionId;
use steadfast_core::port::{Rotation, Scope, StoreError, TokenRecord};
use steadfast_core::time::UnixMs;
use utoipa::{IntoParams, ToSchema};

type AppState = State<Arc<HttpState>>;
type Answer<T> = Result<JsonAnswer<T>, Problem>;

/// A token without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenJson {
    name: String,
    /// read, send, admin.
    scope: &'static str,
    /// The sessions that it is for; null: every session, and the gateway itself.
    sessions: Option<Vec<String>>,
    created_at: String,
    /// From when on it is refused; null: never.
    expires_at: Option<String>,
    /// When it was last used, to the minute or so.
    last_used_at: Option<String>,
    /// After a rotation: until when the secret before is still taken.
    previous_until: Option<String>,
}

impl TokenJson {
    fn of(record: &TokenRecord, now: UnixMs) -> Self {
        let previous = record.previous.as_ref().map(|previous| previous.until);
        Self {
            name: record.name.clone(),
            scope: token::scope_name(record.scope),
            sessions: record
                .sessions
                .as_ref()
                .map(|named| named.iter().map(ToString::to_string).collect()),
            created_at: record.created_at.rfc3339(),
            expires_at: record.expires_at.map(UnixMs::rfc3339),
            last_used_at: record.last_used_at.map(UnixMs::rfc3339),
            previous_until: previous.filter(|until| *until > now).map(UnixMs::rfc3339),
        }
    }
}

/// A token with its secret, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FreshTokenJson {
    /// The secret. Only its hash is kept.
    token: String,
    #[serde(flatten)]
    about: TokenJson,
}

/// All tokens, by name, without their secrets.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens",
    responses((status = 200, body = Page<TokenJson>)))]
pub(super) async fn list(_: Caller<ToAdmin>, State(state): AppState) -> Answer<Page<TokenJson>> {
    let now = state.app.clock.unix();
    let tokens = state.app.store.tokens().await?;
    Ok(JsonAnswer(Page {
        items: tokens.iter().map(|t| TokenJson::of(t, now)).collect(),
        next: None,
    }))
}

/// A token that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// 1 to 64 letters, digits, '-', '_' and '.'.
    #[schema(pattern = "^[A-Za-z0-9_.-]{1,64}$")]
    name: String,
    scope: ScopeName,
    /// Only for these sessions, whether they exist already or not.
    #[schema(min_items = 1, max_items = 100)]
    sessions: Option<Vec<String>>,
    /// Ends after so many seconds; never, where it is not given.
    #[schema(minimum = 1, maximum = 315_360_000)]
    expires_in: Option<u64>,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ScopeName {
    /// Look.
    Read,
    /// Look and send.
    Send,
    /// Everything.
    Admin,
}

/// Makes a token. Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", request_body = NewToken,
    responses((status = 201, body = FreshTokenJson)))]
pub(super) async fn create(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    Json(body): Json<NewToken>,
) -> Result<Response, Problem> {
    if let Some(problem) = token::name_problem(&body.name) {
        return Err(Problem::field("name", problem));
    }
    let sessions = body
        .sessions
        .map(|names| session_names(&names))
        .transpose()?;
    let lifetime = body
        .expires_in
        .map(|seconds| checked_lifetime(seconds).map_err(|what| Problem::field("expires_in", what)))
        .transpose()?;
    if state.app.store.tokens().await?.len() >= MAX_TOKENS {
        let detail = format!("there are {MAX_TOKENS} tokens, and no more are kept");
        return Err(Problem::new(Code::TokenLimit, detail));
    }
    let scope = match body.scope {
        ScopeName::Read => Scope::Read,
        ScopeName::Send => Scope::Send,
        ScopeName::Admin => Scope::Admin,
    };
    let (secret, hash) = fresh(&state, scope)?;
    let now = state.app.clock.unix();
    let record = TokenRecord {
        sessions,
        expires_at: lifetime.map(|seconds| now.plus(seconds * 1_000)),
        ..TokenRecord::new(body.name, hash, scope, now)
    };
    caller.act("token_created", record.name.clone());
    match state.app.store.add_token(record.clone()).await {
        Ok(()) => {}
        Err(StoreError::Exists) => {
            let detail = format!("there is a token {:?} already", record.name);
            return Err(Problem::new(Code::TokenExists, detail));
        }
        Err(error) => return Err(error.into()),
    }
    let location = format!("/v1/tokens/{}", record.name);
    let body = FreshTokenJson {
        token: secret,
        about: TokenJson::of(&record, now),
    };
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        JsonAnswer(body),
    )
        .into_response())
}

/// Forgets a token: it is refused from now on.
#[utoipa::path(delete, path = "/v1/tokens/{name}", tag = "tokens",
    params(("name" = String, Path)), responses((status = 204)))]
pub(super) async fn revoke(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    TokenName(name): TokenName,
) -> Result<StatusCode, Problem> {
    caller.act("token_revoked", name.clone());
    if state.app.store.remove_token(&name).await? {
        state.tokens_changed.send_modify(|n| *n = n.wrapping_add(1));
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(unknown(&name))
    }
}

/// How a token is given a new secret.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RotateQuery {
    /// For how many seconds the old secret is still taken; a day, where it is not given.
    #[param(minimum = 0, maximum = 2_592_000)]
    grace: Option<u64>,
    /// The token ends so many seconds from now; where it is not given, its end stays.
    #[param(minimum = 1, maximum = 315_360_000)]
    expires_in: Option<u64>,
}

/// Gives a token a new secret, and takes the old one for a while still.
#[utoipa::path(post, path = "/v1/tokens/{name}/rotate", tag = "tokens",
    params(("name" = String, Path), RotateQuery),
    responses((status = 200, body = FreshTokenJson)))]
pub(super) async fn rotate(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    TokenName(name): TokenName,
    Query(query): Query<RotateQuery>,
) -> Answer<FreshTokenJson> {
    let grace = query.grace.unwrap_or(token::DEFAULT_GRACE_S);
    if grace > token::MAX_GRACE_S {
        let detail = format!("grace is 0 to {} seconds", token::MAX_GRACE_S);
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    let wrong = |what| Problem::new(Code::InvalidRequest, format!("expires_in: {what}"));
    let lifetime = query
        .expires_in
        .map(|seconds| checked_lifetime(seconds).map_err(wrong))
        .transpose()?;
    let tokens = state.app.store.tokens().await?;
    let before = tokens.into_iter().find(|token| token.name == name);
    let before = before.ok_or_else(|| unknown(&name))?;
    let now = state.app.clock.unix();
    let expires_at = match lifetime {
        Some(seconds) => Some(now.plus(seconds * 1_000)),
        None => before.expires_at,
    };
    if expires_at.is_some_and(|end| end <= now) {
        let detail = "its time is up: say with expires_in for how long the new secret is taken";
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    caller.act("token_rotated", name.clone());
    let (secret, hash) = fresh(&state, before.scope)?;
    let rotation = Rotation {
        name: name.clone(),
        hash,
        previous_until: now.plus(grace * 1_000),
        expires_at,
    };
    let after = state.app.store.rotate_token(rotation).await?;
    let after = after.ok_or_else(|| unknown(&name))?;
    state.tokens_changed.send_modify(|n| *n = n.wrapping_add(1));
    Ok(JsonAnswer(FreshTokenJson {
        token: secret,
        about: TokenJson::of(&after, now),
    }))
}

fn fresh(state: &HttpState, scope: Scope) -> Result<(String, [u8; 32]), Problem> {
    let secret = token::mint(scope, state.app.random.as_ref())?;
    let hash = token::hash(&secret)
        .ok_or_else(|| Problem::new(Code::Internal, "a token was minted that is none"))?;
    Ok((secret, hash))
}

/// Where it does not fit, what would.
fn checked_lifetime(seconds: u64) -> Result<u64, String> {
    match seconds {
        1..=MAX_LIFETIME_S => Ok(seconds),
        _ => Err(format!(
            "it is {seconds}; it may be 1 to {MAX_LIFETIME_S} seconds"
        )),
    }
}

fn session_names(names: &[String]) -> Result<Vec<SessionId>, Problem> {
    if names.is_empty() || names.len() > token::MAX_SESSIONS {
        let what = format!(
            "name 1 to {} sessions, or leave the field away for all",
            token::MAX_SESSIONS
        );
        return Err(Problem::field("sessions", what));
    }
    let parse =
        |name: &String| SessionId::parse(name).map_err(|error| Problem::field("sessions", error));
    names.iter().map(parse).collect()
}

fn unknown(name: &str) -> Problem {
    let name: String = name.chars().take(64).collect();
    Problem::new(Code::NoSuchToken, format!("there is no token {name:?}"))
}

/// `{name}` in the path. What cannot be a name is simply not known.
pub(super) struct TokenName(String);

impl<S: Sync> FromRequestParts<S> for TokenName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = path_text(parts, "name").await?;
        match token::name_problem(&text) {
            None => Ok(Self(text)),
            Some(_) => Err(unknown(&text)),
        }
    }
}
