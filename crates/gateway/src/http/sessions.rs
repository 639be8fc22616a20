//! `/v1/sessions`: their lives, how they are, and what hangs on them.

use super::auth::{Caller, Sorting, ToAdmin, ToRead, ToSend};
use super::extract::{Json, Query, SessionName};
use super::problem::{Code, Problem};
use super::view::{ChatJson, HealthJson, InboundJson, IncidentJson, Page, QrJson, SessionJson};
use super::{HttpState, JsonAnswer, page_limit};
use crate::qr::Picture;
use crate::sessions::{SessionError, SessionView};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;
use steadfast_core::ids::{ChatId, SessionId};
use steadfast_core::proxy::{Proxy, ProxyError};
use utoipa::{IntoParams, ToSchema};

type AppState = State<Arc<HttpState>>;
type Answer<T> = Result<JsonAnswer<T>, Problem>;

fn shown(view: &SessionView) -> JsonAnswer<SessionJson> {
    JsonAnswer(SessionJson::from(view))
}

/// All sessions that the token is for, by name.
#[utoipa::path(get, path = "/v1/sessions", tag = "sessions",
    responses((status = 200, body = Page<SessionJson>)))]
pub(super) async fn list(
    caller: Caller<Sorting<ToRead>>,
    State(state): AppState,
) -> Answer<Page<SessionJson>> {
    let views = state.app.sessions.list().await?;
    let seen = views.iter().filter(|view| caller.sees(&view.name));
    Ok(JsonAnswer(Page {
        items: seen.map(SessionJson::from).collect(),
        next: None,
    }))
}

/// A new session.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSession {
    /// 1 to 32 of a-z, 0-9, '-' and '_', starting with a letter or digit.
    #[schema(pattern = "^[a-z0-9][a-z0-9_-]{0,31}$")]
    name: String,
    /// Through which proxy it reaches WhatsApp; directly, where it is not given.
    proxy: Option<ProxyJson>,
}

/// A proxy.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProxyJson {
    /// http://HOST:PORT, https://HOST:PORT, socks4://HOST:PORT or socks5://HOST:PORT.
    #[schema(max_length = 300, example = "http://proxy.example:3128")]
    server: String,
    // Known only to say why they are refused.
    #[schema(ignore)]
    username: Option<String>,
    #[schema(ignore)]
    password: Option<String>,
}

impl ProxyJson {
    fn read(self) -> Result<Proxy, Problem> {
        for (field, given) in [
            ("proxy.username", self.username.is_some()),
            ("proxy.password", self.password.is_some()),
        ] {
            if given {
                return Err(Problem::field(field, ProxyError::Credentials));
            }
        }
        Proxy::parse(&self.server).map_err(|error| Problem::field("proxy.server", error))
    }
}

/// Makes a session and starts it.
#[utoipa::path(post, path = "/v1/sessions", tag = "sessions", request_body = NewSession,
    responses((status = 201, body = SessionJson)))]
pub(super) async fn create(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    Json(body): Json<NewSession>,
) -> Result<Response, Problem> {
    let session = SessionId::parse(&body.name)?;
    let proxy = body.proxy.map(ProxyJson::read).transpose()?;
    caller.act("session_created", session.as_str());
    let view = state.app.sessions.create(&session, proxy).await?;
    let location = format!("/v1/sessions/{session}");
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        shown(&view),
    )
        .into_response())
}

/// One session.
#[utoipa::path(get, path = "/v1/sessions/{session}", tag = "sessions",
    params(("session" = String, Path)), responses((status = 200, body = SessionJson)))]
pub(super) async fn get(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Answer<SessionJson> {
    Ok(shown(&state.app.sessions.get(&session).await?))
}

/// What is to be different.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionChange {
    /// Another proxy; null: none. A browser that runs is restarted.
    #[serde(default)]
    #[schema(value_type = Option<ProxyJson>, required = false)]
    proxy: Change<ProxyJson>,
}

/// A field that is null is told from one that is not there.
#[derive(Debug, Default)]
enum Change<T> {
    #[default]
    Keep,
    To(Option<T>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self::To)
    }
}

/// Changes a session. What is not named stays.
#[utoipa::path(patch, path = "/v1/sessions/{session}", tag = "sessions",
    params(("session" = String, Path)), request_body = SessionChange,
    responses((status = 200, body = SessionJson)))]
pub(super) async fn change(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    SessionName(session): SessionName,
    Json(body): Json<SessionChange>,
) -> Answer<SessionJson> {
    let Change::To(proxy) = body.proxy else {
        let detail = "nothing is to be different: name proxy";
        return Err(Problem::new(Code::InvalidField, detail));
    };
    let proxy = proxy.map(ProxyJson::read).transpose()?;
    caller.act("session_changed", session.as_str());
    let view = state.app.sessions.set_proxy(&session, proxy).await?;
    Ok(shown(&view))
}

/// Logs out, and forgets the session with all its messages.
#[utoipa::path(delete, path = "/v1/sessions/{session}", tag = "sessions",
    params(("session" = String, Path)), responses((status = 204)))]
pub(super) async fn delete(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Result<StatusCode, Problem> {
    caller.act("session_deleted", session.as_str());
    remove(&state, &session).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a session, and the endpoints that were part of its configuration:
/// the next of its name may be somebody else's.
pub(super) async fn remove(state: &HttpState, session: &SessionId) -> Result<(), Problem> {
    state.app.sessions.delete(session).await?;
    super::waha::forget_webhooks(state, session).await
}

/// Wants the session to run. Answers before it is ready.
#[utoipa::path(post, path = "/v1/sessions/{session}/start", tag = "sessions",
    params(("session" = String, Path)), responses((status = 200, body = SessionJson)))]
pub(super) async fn start(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Answer<SessionJson> {
    caller.act("session_started", session.as_str());
    Ok(shown(&state.app.sessions.start(&session).await?))
}

/// Wants the session not to run. Answers once its browser is gone. Messages
/// are accepted all the same, and wait.
#[utoipa::path(post, path = "/v1/sessions/{session}/stop", tag = "sessions",
    params(("session" = String, Path)), responses((status = 200, body = SessionJson)))]
pub(super) async fn stop(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Answer<SessionJson> {
    caller.act("session_stopped", session.as_str());
    Ok(shown(&state.app.sessions.stop(&session).await?))
}

/// Ends the session's browser and starts it anew. Also the way out of `parked` and `conflict`.
#[utoipa::path(post, path = "/v1/sessions/{session}/restart", tag = "sessions",
    params(("session" = String, Path)), responses((status = 200, body = SessionJson)))]
pub(super) async fn restart(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Answer<SessionJson> {
    caller.act("session_restarted", session.as_str());
    Ok(shown(&state.app.sessions.restart(&session).await?))
}

/// Logs the link out at WhatsApp and removes the profile.
#[utoipa::path(post, path = "/v1/sessions/{session}/logout", tag = "sessions",
    params(("session" = String, Path)), responses((status = 200, body = SessionJson)))]
pub(super) async fn logout(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Answer<SessionJson> {
    caller.act("session_logged_out", session.as_str());
    Ok(shown(&state.app.sessions.logout(&session).await?))
}

/// How a QR code is wanted.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum QrFormat {
    /// JSON: the string that a phone scans, and until when.
    #[default]
    Raw,
    /// A picture.
    Svg,
    /// A picture.
    Png,
    /// Half blocks for a dark terminal.
    Text,
}

/// What is asked of a QR code.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct QrQuery {
    /// raw (the default), svg, png or text.
    #[serde(default)]
    #[param(inline)]
    format: QrFormat,
}

/// The QR code to be scanned now.
#[utoipa::path(get, path = "/v1/sessions/{session}/qr", tag = "linking",
    params(("session" = String, Path), QrQuery),
    responses((status = 200, content(
        (QrJson = "application/json"), (String = "image/svg+xml"), (Vec<u8> = "image/png"), (String = "text/plain")))))]
pub(super) async fn qr(
    _: Caller<ToAdmin>,
    State(state): AppState,
    SessionName(session): SessionName,
    Query(query): Query<QrQuery>,
) -> Result<Response, Problem> {
    let Some(qr) = state.app.sessions.qr(&session).await? else {
        let view = state.app.sessions.get(&session).await?;
        let detail = format!(
            "the session is {}, and has no code now",
            view.state.as_str()
        );
        let problem = Problem::new(Code::NoQr, detail).with("state", view.state.as_str());
        return Err(if view.ready() {
            problem
        } else {
            problem.retry_after(1)
        });
    };
    let picture =
        || Picture::of(&qr.code).map_err(|e| Problem::new(Code::WhatsAppFailed, e.to_string()));
    Ok(match query.format {
        QrFormat::Raw => JsonAnswer(QrJson {
            code: qr.code,
            expires_at: qr.expires_at.rfc3339(),
        })
        .into_response(),
        QrFormat::Svg => {
            ([(header::CONTENT_TYPE, "image/svg+xml")], picture()?.svg()).into_response()
        }
        QrFormat::Png => ([(header::CONTENT_TYPE, "image/png")], picture()?.png()).into_response(),
        QrFormat::Text => (
            [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
            picture()?.half_blocks(),
        )
            .into_response(),
    })
}

/// Whose phone is to type the code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PairingRequest {
    /// The account's number: 7 to 15 digits in international form.
    phone: String,
}

/// A code to be typed on the phone.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PairingCode {
    /// Eight letters and digits.
    code: String,
}

/// Asks WhatsApp for a code that is typed on the phone instead of scanned.
#[utoipa::path(post, path = "/v1/sessions/{session}/pairing-code", tag = "linking",
    params(("session" = String, Path)), request_body = PairingRequest,
    responses((status = 200, body = PairingCode)))]
pub(super) async fn pairing_code(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    SessionName(session): SessionName,
    Json(body): Json<PairingRequest>,
) -> Answer<PairingCode> {
    caller.act("pairing_code_requested", session.as_str());
    let phone = phone_digits(&body.phone)
        .ok_or_else(|| Problem::field("phone", "give 7 to 15 digits in international form"))?;
    let code = state
        .app
        .sessions
        .request_pair_code(&session, &phone)
        .await?;
    Ok(JsonAnswer(PairingCode { code }))
}

/// The digits of a phone number, where it is one.
pub(super) fn phone_digits(text: &str) -> Option<String> {
    if text.contains('@') {
        return None;
    }
    let id = ChatId::parse(text).ok()?;
    Some(id.user().to_owned())
}

/// Looks actively how the session is. 200 also where it is badly.
#[utoipa::path(get, path = "/v1/sessions/{session}/health", tag = "sessions",
    params(("session" = String, Path)), responses((status = 200, body = HealthJson)))]
pub(super) async fn health(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Answer<HealthJson> {
    Ok(JsonAnswer(
        state.app.sessions.health(&session).await?.into(),
    ))
}

/// Which incidents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct IncidentsQuery {
    /// Only older than this id.
    before: Option<String>,
    /// At most so many, 1 to 200; 50 where not said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Failures and how each was healed, newest first.
#[utoipa::path(get, path = "/v1/sessions/{session}/incidents", tag = "sessions",
    params(("session" = String, Path), IncidentsQuery),
    responses((status = 200, body = Page<IncidentJson>)))]
pub(super) async fn incidents(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    Query(query): Query<IncidentsQuery>,
) -> Answer<Page<IncidentJson>> {
    let limit = page_limit(query.limit)?;
    exists(&state, &session).await?;
    let found = state
        .app
        .store
        .incidents(&session, query.before, limit)
        .await?;
    let items: Vec<IncidentJson> = found.into_iter().map(Into::into).collect();
    let full = items.len() == limit as usize;
    let next = items.last().filter(|_| full).map(|last| last.id.clone());
    Ok(JsonAnswer(Page { items, next }))
}

/// Which inbound messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct InboundQuery {
    /// Only after this position.
    after: Option<i64>,
    /// At most so many, 1 to 200; 50 where not said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Messages that came in, oldest first.
#[utoipa::path(get, path = "/v1/sessions/{session}/inbound", tag = "messages",
    params(("session" = String, Path), InboundQuery),
    responses((status = 200, body = Page<InboundJson>)))]
pub(super) async fn inbound(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    Query(query): Query<InboundQuery>,
) -> Answer<Page<InboundJson>> {
    let limit = page_limit(query.limit)?;
    exists(&state, &session).await?;
    let found = state
        .app
        .store
        .inbound(&session, query.after.unwrap_or(0), limit)
        .await?;
    let full = found.len() == limit as usize;
    let next = found
        .last()
        .filter(|_| full)
        .map(|last| last.seq.to_string());
    Ok(JsonAnswer(Page {
        items: found
            .into_iter()
            .map(|stored| InboundJson::of(&session, stored))
            .collect(),
        next,
    }))
}

/// The chats of this account.
#[utoipa::path(get, path = "/v1/sessions/{session}/chats", tag = "chats",
    params(("session" = String, Path)), responses((status = 200, body = Page<ChatJson>)))]
pub(super) async fn chats(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
) -> Answer<Page<ChatJson>> {
    let chats = state.app.sessions.chats(&session).await?;
    Ok(JsonAnswer(Page {
        items: chats.into_iter().map(Into::into).collect(),
        next: None,
    }))
}

/// Which number.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NumberCheck {
    /// 7 to 15 digits in international form.
    number: String,
}

/// Whether a number has WhatsApp.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NumberFound {
    exists: bool,
    /// Where it can be written to.
    chat_id: Option<String>,
}

/// Asks WhatsApp whether a number has an account.
#[utoipa::path(post, path = "/v1/sessions/{session}/check-number", tag = "chats",
    params(("session" = String, Path)), request_body = NumberCheck,
    responses((status = 200, body = NumberFound)))]
pub(super) async fn check_number(
    _: Caller<ToSend>,
    State(state): AppState,
    SessionName(session): SessionName,
    Json(body): Json<NumberCheck>,
) -> Answer<NumberFound> {
    let number = ChatId::parse(&body.number)?;
    let found = state.app.sessions.check_number(&session, &number).await?;
    Ok(JsonAnswer(NumberFound {
        exists: found.is_some(),
        chat_id: found.map(Into::into),
    }))
}

/// A list of nothing for a session that does not exist would hide a typing error.
pub(super) async fn exists(state: &HttpState, session: &SessionId) -> Result<(), SessionError> {
    state.app.sessions.get(session).await.map(|_| ())
}
