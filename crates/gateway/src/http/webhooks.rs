//! Webhook endpoints under `/v1/webhooks`: made, changed, paused, tested. What each is owed is in `deliveries`.

use super::auth::{Caller, ToAdmin};
use super::extract::{Json, WebhookName};
use super::problem::{Code, Problem};
use super::view::Page;
use super::{HttpState, JsonAnswer};
use crate::webhooks::{Change, NewWebhook, Status, WebhookError, envelope};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use steadfast_core::ids::SessionId;
use steadfast_core::port::{SecretText, StoredWebhook, WebhookRecord, WebhookState};
use steadfast_core::time::UnixMs;
use utoipa::ToSchema;

type AppState = State<Arc<HttpState>>;
type Answer<T> = Result<JsonAnswer<T>, Problem>;

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Self {
        let text = error.to_string();
        match error {
            WebhookError::Unknown(_) => Self::new(Code::WebhookUnknown, text),
            WebhookError::TooMany(_) => Self::new(Code::WebhookLimit, text),
            WebhookError::Field(name, what) => Self::field(name, what),
            WebhookError::Url(_) => Self::field("url", text),
            WebhookError::NotPacked(_) => Self::new(Code::InvalidRequest, text),
            WebhookError::Store(error) => error.into(),
            WebhookError::Random(error) => error.into(),
        }
    }
}

/// An endpoint to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWebhookRequest {
    /// Where events are posted: http or https. Private addresses are refused
    /// unless `outgoing.allow` names them.
    #[schema(example = "https://example.org/hooks/whatsapp", max_length = 2048)]
    url: String,
    /// Types of events that it wants: `message.sent`, `message.*`. All, where none is given.
    #[serde(default)]
    #[schema(example = json!(["message.received", "message.*"]))]
    events: Vec<String>,
    /// Sessions whose events it wants. All, where none is given.
    #[serde(default)]
    sessions: Vec<String>,
    /// Headers that go with every request.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// `whsec_` and the base64 of 24 to 64 bytes; made where it is left out.
    secret: Option<String>,
    /// Whether each event waits until the one before it was taken or given up.
    #[serde(default)]
    ordered: bool,
    /// False makes it without sending it anything yet.
    enabled: Option<bool>,
}

/// What is to be different. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeWebhookRequest {
    url: Option<String>,
    events: Option<Vec<String>>,
    sessions: Option<Vec<String>>,
    /// All of them: what stood there before goes.
    headers: Option<BTreeMap<String, String>>,
    ordered: Option<bool>,
    /// False: nothing that happens from now on is for it. True: it is again,
    /// from now on.
    enabled: Option<bool>,
}

/// How an endpoint does.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookStatusJson {
    /// It was given every event up to this position, or has it among its deliveries.
    cursor: i64,
    /// How many positions of the log are behind that.
    lag: i64,
    /// Whether it counts as down: one event at a time asks whether it is back.
    down: bool,
    /// Events that wait for another try.
    waiting: u64,
    /// Events that were given up: dead letters.
    dead: u64,
    /// Requests under way.
    in_flight: usize,
    /// When it last took an event, since the gateway or the endpoint was started.
    taken_at: Option<String>,
    /// When it last did not.
    failed_at: Option<String>,
    /// Why.
    failure: Option<String>,
}

/// One endpoint. Its secret and the values of its headers are not shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookJson {
    id: String,
    /// The surface that made it: v1, waha.
    owner: String,
    url: String,
    events: Vec<String>,
    sessions: Vec<String>,
    /// Names of the headers that go with every request.
    headers: Vec<String>,
    ordered: bool,
    /// active, paused, disabled.
    state: &'static str,
    /// Why it is disabled.
    reason: Option<String>,
    /// How events are packed: standard, waha.
    envelope: String,
    /// Until when the secret before this one signs too.
    old_secret_until: Option<String>,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<WebhookStatusJson>,
}

impl From<&WebhookRecord> for WebhookJson {
    fn from(record: &WebhookRecord) -> Self {
        let (state, reason) = match &record.state {
            WebhookState::Active => ("active", None),
            WebhookState::Paused => ("paused", None),
            WebhookState::Disabled { why } => ("disabled", Some(why.clone())),
        };
        Self {
            id: record.id.to_string(),
            owner: record.owner.clone(),
            url: record.url.clone(),
            events: record.events.clone(),
            sessions: record.sessions.iter().map(ToString::to_string).collect(),
            headers: record
                .headers
                .iter()
                .map(|(name, _)| name.clone())
                .collect(),
            ordered: record.ordered,
            state,
            reason,
            envelope: record.envelope.clone(),
            old_secret_until: record.old_secret.as_ref().map(|old| old.until.rfc3339()),
            created_at: record.created_at.rfc3339(),
            status: None,
        }
    }
}

fn shown(stored: &StoredWebhook, status: Status, newest: i64) -> WebhookJson {
    let cursor = status.cursor.max(stored.cursor);
    WebhookJson {
        status: Some(WebhookStatusJson {
            cursor,
            lag: (newest - cursor).max(0),
            down: status.down,
            waiting: status.waiting,
            dead: status.dead,
            in_flight: status.in_flight,
            taken_at: status.taken_at.map(UnixMs::rfc3339),
            failed_at: status.failed.as_ref().map(|(at, _)| at.rfc3339()),
            failure: status.failed.map(|(_, why)| why),
        }),
        ..WebhookJson::from(&stored.record)
    }
}

/// An endpoint with its secret, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookWithSecretJson {
    #[serde(flatten)]
    webhook: WebhookJson,
    /// Keep it: it is not shown again.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: Option<String>,
}

fn with_secret(record: &WebhookRecord) -> WebhookWithSecretJson {
    WebhookWithSecretJson {
        webhook: WebhookJson::from(record),
        secret: record.secret.as_ref().map(|secret| secret.0.clone()),
    }
}

fn sessions_of(names: &[String]) -> Result<Vec<SessionId>, Problem> {
    let read = names.iter().map(|name| SessionId::parse(name));
    read.collect::<Result<_, _>>()
        .map_err(|error| Problem::field("sessions", error))
}

fn headers_of(headers: BTreeMap<String, String>) -> Vec<(String, SecretText)> {
    let each = headers.into_iter();
    each.map(|(name, value)| (name, SecretText(value)))
        .collect()
}

fn state_of(enabled: bool) -> WebhookState {
    if enabled {
        WebhookState::Active
    } else {
        WebhookState::Disabled {
            why: "its owner switched it off".to_owned(),
        }
    }
}

/// Makes an endpoint: from now on every event that it wants is posted to it,
/// at least once, signed as Standard Webhooks says. The secret is in this
/// answer and in no other.
#[utoipa::path(post, path = "/v1/webhooks", tag = "webhooks",
    request_body = NewWebhookRequest,
    responses((status = 201, body = WebhookWithSecretJson)))]
pub(super) async fn create(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    Json(body): Json<NewWebhookRequest>,
) -> Result<Response, Problem> {
    let new = NewWebhook {
        owner: "v1".to_owned(),
        url: body.url,
        events: body.events,
        sessions: sessions_of(&body.sessions)?,
        headers: headers_of(body.headers),
        ordered: body.ordered,
        state: state_of(body.enabled.unwrap_or(true)),
        secret: body.secret.map(SecretText),
        envelope: envelope::STANDARD.to_owned(),
        retry: None,
    };
    let record = state.app.webhooks.add(new).await?;
    caller.act("webhook_created", record.id.as_str());
    let location = format!("/v1/webhooks/{}", record.id);
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        JsonAnswer(with_secret(&record)),
    )
        .into_response())
}

/// Every endpoint, and how each does.
#[utoipa::path(get, path = "/v1/webhooks", tag = "webhooks",
    responses((status = 200, body = Page<WebhookJson>)))]
pub(super) async fn list(_: Caller<ToAdmin>, State(state): AppState) -> Answer<Page<WebhookJson>> {
    let newest = state.app.store.event_span().await?.newest;
    let all = state.app.webhooks.list().await?;
    let items = all.into_iter();
    Ok(JsonAnswer(Page {
        items: items
            .map(|(stored, status)| shown(&stored, status, newest))
            .collect(),
        next: None,
    }))
}

/// One endpoint, and how it does.
#[utoipa::path(get, path = "/v1/webhooks/{webhook}", tag = "webhooks",
    params(("webhook" = String, Path)), responses((status = 200, body = WebhookJson)))]
pub(super) async fn get(
    _: Caller<ToAdmin>,
    State(state): AppState,
    WebhookName(id): WebhookName,
) -> Answer<WebhookJson> {
    let (stored, status) = state.app.webhooks.get(&id).await?;
    let newest = state.app.store.event_span().await?.newest;
    Ok(JsonAnswer(shown(&stored, status, newest)))
}

/// Changes an endpoint. What it is owed stays, and is tried at once.
#[utoipa::path(patch, path = "/v1/webhooks/{webhook}", tag = "webhooks",
    params(("webhook" = String, Path)), request_body = ChangeWebhookRequest,
    responses((status = 200, body = WebhookJson)))]
pub(super) async fn change(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    WebhookName(id): WebhookName,
    Json(body): Json<ChangeWebhookRequest>,
) -> Answer<WebhookJson> {
    caller.act("webhook_changed", id.as_str());
    let sessions = body.sessions.as_deref().map(sessions_of).transpose()?;
    let change = Change {
        url: body.url,
        events: body.events,
        sessions,
        headers: body.headers.map(headers_of),
        ordered: body.ordered,
        state: body.enabled.map(state_of),
    };
    state.app.webhooks.change(&id, change).await?;
    get(caller, State(state), WebhookName(id)).await
}

/// Removes an endpoint and all that it was owed.
#[utoipa::path(delete, path = "/v1/webhooks/{webhook}", tag = "webhooks",
    params(("webhook" = String, Path)), responses((status = 204)))]
pub(super) async fn remove(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    WebhookName(id): WebhookName,
) -> Result<StatusCode, Problem> {
    caller.act("webhook_deleted", id.as_str());
    state.app.webhooks.remove(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stops sending to an endpoint. What happens meanwhile waits for it.
#[utoipa::path(post, path = "/v1/webhooks/{webhook}/pause", tag = "webhooks",
    params(("webhook" = String, Path)), responses((status = 200, body = WebhookJson)))]
pub(super) async fn pause(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    WebhookName(id): WebhookName,
) -> Answer<WebhookJson> {
    caller.act("webhook_paused", id.as_str());
    put_state(caller, state, id, WebhookState::Paused).await
}

/// Goes on sending to an endpoint that was paused, from where it stopped; or to
/// one that was disabled, from now on.
#[utoipa::path(post, path = "/v1/webhooks/{webhook}/resume", tag = "webhooks",
    params(("webhook" = String, Path)), responses((status = 200, body = WebhookJson)))]
pub(super) async fn resume(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    WebhookName(id): WebhookName,
) -> Answer<WebhookJson> {
    caller.act("webhook_resumed", id.as_str());
    put_state(caller, state, id, WebhookState::Active).await
}

async fn put_state(
    caller: Caller<ToAdmin>,
    state: Arc<HttpState>,
    id: steadfast_core::ids::WebhookId,
    to: WebhookState,
) -> Answer<WebhookJson> {
    let change = Change {
        state: Some(to),
        ..Change::default()
    };
    state.app.webhooks.change(&id, change).await?;
    get(caller, State(state), WebhookName(id)).await
}

/// A secret to put in the place of the one in force.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateRequest {
    /// `whsec_` and the base64 of 24 to 64 bytes; made where it is left out.
    secret: Option<String>,
}

/// Gives an endpoint another secret. For `webhooks.secret_overlap_ms` the old
/// one signs beside it, so that the receiver can change over in its own time.
#[utoipa::path(post, path = "/v1/webhooks/{webhook}/rotate", tag = "webhooks",
    params(("webhook" = String, Path)), request_body = RotateRequest,
    responses((status = 200, body = WebhookWithSecretJson)))]
pub(super) async fn rotate(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    WebhookName(id): WebhookName,
    Json(body): Json<RotateRequest>,
) -> Answer<WebhookWithSecretJson> {
    caller.act("webhook_secret_rotated", id.as_str());
    let secret = body.secret.map(SecretText);
    let record = state.app.webhooks.rotate(&id, secret).await?;
    Ok(JsonAnswer(with_secret(&record)))
}

/// What came of a test.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TestJson {
    /// The id of the event of type `webhook.test` that was posted.
    event: String,
    /// Whether the endpoint took it.
    delivered: bool,
    /// The status of its answer, where one came.
    status: Option<u16>,
    took_ms: u64,
    /// What was wrong, in one sentence.
    detail: Option<String>,
}

/// Posts an event of type `webhook.test` to an endpoint, once, and waits for
/// what comes of it.
#[utoipa::path(post, path = "/v1/webhooks/{webhook}/test", tag = "webhooks",
    params(("webhook" = String, Path)), responses((status = 200, body = TestJson)))]
pub(super) async fn test(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    WebhookName(id): WebhookName,
) -> Answer<TestJson> {
    caller.act("webhook_tested", id.as_str());
    let (event, answer) = state.app.webhooks.test(&id).await?;
    Ok(JsonAnswer(TestJson {
        event: event.to_string(),
        delivered: answer.is_taken(),
        status: answer.status,
        took_ms: answer.took_ms,
        detail: answer.detail,
    }))
}
