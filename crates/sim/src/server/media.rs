//! Uploads and downloads.

use super::App;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

/// No upload is larger, whatever the knob says.
pub(super) const MAX_UPLOAD: usize = 64 * 1024 * 1024;

#[derive(Deserialize)]
pub(super) struct Auth {
    #[serde(default)]
    auth: String,
}

pub(super) async fn upload(
    State(app): State<App>,
    Path(kind): Path<String>,
    Query(auth): Query<Auth>,
    body: Bytes,
) -> Response {
    match app
        .hub
        .with(|world| world.upload(&kind, &auth.auth, body.to_vec()))
    {
        Ok(uploaded) => Json(uploaded).into_response(),
        Err(refusal) => status(refusal.0).into_response(),
    }
}

pub(super) async fn download(State(app): State<App>, Path(handle): Path<String>) -> Response {
    match app.hub.with(|world| world.download(&handle)) {
        Ok(stored) => (
            [
                (CONTENT_TYPE, "application/octet-stream"),
                (CACHE_CONTROL, "private, max-age=31536000, immutable"),
            ],
            stored.bytes.clone(),
        )
            .into_response(),
        Err(refusal) => status(refusal.0).into_response(),
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
