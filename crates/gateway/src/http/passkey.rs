//! `/v1/sessions/{session}/passkey`: what WhatsApp asks for before it links
//! some accounts, and the answer that a person made elsewhere.

use super::auth::{Caller, ToAdmin};
use super::extract::{Json, SessionName};
use super::problem::{Code, Problem};
use super::view::SessionJson;
use super::{HttpState, JsonAnswer};
use crate::passkey::{Assertion, AssertionJson, ORIGIN};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// The passkey that is asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PasskeyJson {
    /// `PublicKeyCredentialRequestOptionsJSON` of WebAuthn, as WhatsApp Web asks.
    #[schema(value_type = Object)]
    pub(super) options: Value,
    /// The origin on which it must be answered.
    origin: &'static str,
    /// Until when it can be answered.
    expires_at: String,
}

/// The passkey that WhatsApp asks for now, before it links.
#[utoipa::path(get, path = "/v1/sessions/{session}/passkey", tag = "linking",
    params(("session" = String, Path)), responses((status = 200, body = PasskeyJson)))]
pub(super) async fn challenge(
    _: Caller<ToAdmin>,
    State(state): State<Arc<HttpState>>,
    SessionName(session): SessionName,
) -> Result<JsonAnswer<PasskeyJson>, Problem> {
    let Some(challenge) = state.app.sessions.passkey(&session).await? else {
        let view = state.app.sessions.get(&session).await?;
        let detail = format!("the session is {}", view.state.as_str());
        return Err(Problem::new(Code::NoPasskey, detail).with("state", view.state.as_str()));
    };
    let options = serde_json::from_str(&challenge.options).map_err(|error| {
        let detail = format!("WhatsApp Web asks in a form that cannot be read: {error}");
        Problem::new(Code::WhatsAppFailed, detail)
    })?;
    Ok(JsonAnswer(PasskeyJson {
        options,
        origin: ORIGIN,
        expires_at: challenge.expires_at.rfc3339(),
    }))
}

/// The answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasskeyAnswer {
    /// What a browser answered to the options, on the origin that they name.
    pub(super) assertion: AssertionJson,
}

/// Hands the answer to WhatsApp Web. Whether WhatsApp takes it shows in the
/// session: `syncing` and then `ready`, or `linking` with the reason `passkey_refused`.
#[utoipa::path(post, path = "/v1/sessions/{session}/passkey", tag = "linking",
    params(("session" = String, Path)), request_body = PasskeyAnswer,
    responses((status = 200, body = SessionJson)))]
pub(super) async fn answer(
    caller: Caller<ToAdmin>,
    State(state): State<Arc<HttpState>>,
    SessionName(session): SessionName,
    Json(body): Json<PasskeyAnswer>,
) -> Result<JsonAnswer<SessionJson>, Problem> {
    // A session that does not exist is not blamed on the answer.
    super::sessions::exists(&state, &session).await?;
    let assertion = Assertion::parse(&body.assertion)
        .map_err(|wrong| Problem::field(&format!("assertion.{}", wrong.field), wrong.what))?;
    caller.act("passkey_answered", session.as_str());
    let view = state
        .app
        .sessions
        .answer_passkey(&session, &assertion)
        .await?;
    Ok(JsonAnswer(SessionJson::from(&view)))
}
