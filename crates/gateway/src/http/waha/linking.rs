//! How a phone links a session, in WAHA's words.

use super::super::JsonAnswer;
use super::super::auth::{Caller, ToAdmin};
use super::super::extract::{Json, Query, SessionName};
use super::super::passkey::{self, PasskeyAnswer};
use super::super::problem::{Code, Problem};
use super::super::sessions::phone_digits;
use super::acts::{DONE, Done, WahaDone};
use super::sessions::wrong_state;
use super::{Answer, AppState, not_supported};
use crate::passkey::AssertionJson;
use crate::qr::Picture;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How a QR code is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum WahaQrFormat {
    /// A PNG, as it is or as JSON with the picture in base64.
    #[default]
    Image,
    /// JSON with the string that a phone scans.
    Raw,
}

/// What is asked of a QR code.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WahaQrQuery {
    /// image (the default) or raw.
    #[serde(default)]
    #[param(inline)]
    format: WahaQrFormat,
}

/// The string that a phone scans, under both names that clients know.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WahaQrValue {
    value: String,
    qr: String,
}

/// A picture in JSON.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WahaQrPicture {
    mimetype: &'static str,
    /// Base64.
    data: String,
}

/// A QR code in JSON.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum WahaQr {
    /// For `format=raw`.
    Value(WahaQrValue),
    /// For `format=image`.
    Picture(WahaQrPicture),
}

/// The QR code to be scanned now. `format=image` is a PNG, or JSON with the PNG in base64 for
/// those who accept JSON.
#[utoipa::path(get, path = "/api/{session}/auth/qr", tag = "waha",
    params(("session" = String, Path), WahaQrQuery),
    responses((status = 200, content((WahaQr = "application/json"), (Vec<u8> = "image/png")))))]
pub(super) async fn qr(
    _: Caller<ToAdmin>,
    State(state): AppState,
    SessionName(session): SessionName,
    Query(query): Query<WahaQrQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(qr) = state.app.sessions.qr(&session).await? else {
        let view = state.app.sessions.get(&session).await?;
        return Err(wrong_state(&view, "and has no code now"));
    };
    if query.format == WahaQrFormat::Raw {
        let value = qr.code.clone();
        let qr = qr.code;
        return Ok(JsonAnswer(WahaQr::Value(WahaQrValue { value, qr })).into_response());
    }
    let png = Picture::of(&qr.code)
        .map_err(|error| Problem::new(Code::WhatsAppFailed, error.to_string()))?
        .png();
    if wants_json(&headers) {
        let picture = WahaQrPicture {
            mimetype: "image/png",
            data: STANDARD.encode(png),
        };
        return Ok(JsonAnswer(WahaQr::Picture(picture)).into_response());
    }
    Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response())
}

/// Whether the picture is wanted as JSON. Both Python clients accept only
/// JSON, but one of them (`waha`) takes the picture's own bytes all the same;
/// it is known by declaring a JSON body that it does not send.
fn wants_json(headers: &HeaderMap) -> bool {
    let says_json = |name| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|text: &str| text.starts_with("application/json"))
    };
    says_json(header::ACCEPT) && !says_json(header::CONTENT_TYPE)
}

/// Whose phone is to type the code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WahaCodeRequest {
    /// 7 to 15 digits in international form.
    phone_number: String,
    /// Only null: a code by text message or call belongs to another engine.
    method: Option<String>,
}

/// A code to be typed on the phone.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WahaCode {
    /// Eight letters and digits, with a dash in the middle.
    code: String,
}

/// Asks WhatsApp for a code that is typed on the phone instead of scanned.
#[utoipa::path(post, path = "/api/{session}/auth/request-code", tag = "waha",
    params(("session" = String, Path)), request_body = WahaCodeRequest,
    responses((status = 200, body = WahaCode)))]
pub(super) async fn request_code(
    caller: Caller<ToAdmin>,
    State(state): AppState,
    SessionName(session): SessionName,
    Json(body): Json<WahaCodeRequest>,
) -> Answer<WahaCode> {
    caller.act("pairing_code_requested", session.as_str());
    if let Some(method) = body.method {
        let method: String = method.chars().take(20).collect();
        return Err(not_supported(&format!("a code by {method:?}")));
    }
    let phone = phone_digits(&body.phone_number).ok_or_else(|| {
        Problem::field("phoneNumber", "give 7 to 15 digits in international form")
    })?;
    let code = state
        .app
        .sessions
        .request_pair_code(&session, &phone)
        .await?;
    let code = match code.split_at_checked(4) {
        Some((first, second)) if second.len() == 4 => format!("{first}-{second}"),
        Some(_) | None => code,
    };
    Ok(JsonAnswer(WahaCode { code }))
}

/// The passkey that WhatsApp asks for before it links, as options for
/// `navigator.credentials.get`.
#[utoipa::path(get, path = "/api/{session}/auth/passkey/challenge", tag = "waha",
    params(("session" = String, Path)),
    responses((status = 200, body = serde_json::Value)))]
pub(super) async fn passkey_challenge(
    caller: Caller<ToAdmin>,
    state: AppState,
    session: SessionName,
) -> Answer<serde_json::Value> {
    let JsonAnswer(challenge) = passkey::challenge(caller, state, session).await?;
    Ok(JsonAnswer(challenge.options))
}

/// Hands the passkey's answer to WhatsApp Web. Whether WhatsApp takes it shows in the session.
#[utoipa::path(post, path = "/api/{session}/auth/passkey", tag = "waha",
    params(("session" = String, Path)), request_body = AssertionJson,
    responses((status = 201, body = WahaDone)))]
pub(super) async fn answer_passkey(
    caller: Caller<ToAdmin>,
    state: AppState,
    session: SessionName,
    Json(assertion): Json<AssertionJson>,
) -> Done {
    let body = Json(PasskeyAnswer { assertion });
    let JsonAnswer(_) = passkey::answer(caller, state, session, body).await?;
    Ok((StatusCode::CREATED, DONE))
}
