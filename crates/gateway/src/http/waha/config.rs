//! What a session is made with: the part of WAHA's session configuration that
//! means something here. It is kept beside the session and shown again.

use super::super::HttpState;
use super::super::problem::{Code, Problem};
use super::{not_supported, nullable};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use steadfast_core::ids::SessionId;
use utoipa::ToSchema;

/// The name of its note in the store.
const NOTE: &str = "waha";
/// How long it may be as JSON: metadata goes out with every webhook.
const MAX_BYTES: usize = 16 * 1024;

/// What a session is made with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct WahaConfig {
    /// Told again with every webhook.
    #[serde(deserialize_with = "nullable")]
    #[schema(value_type = Object)]
    pub(super) metadata: Map<String, Value>,
    /// Whether more is logged. Taken and kept; the log level is the gateway's.
    #[serde(deserialize_with = "nullable")]
    debug: bool,
    /// Not supported here yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    proxy: Option<Value>,
    /// Not supported here yet.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    webhooks: Vec<Value>,
}

impl WahaConfig {
    /// What is wrong with it, where something is.
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.proxy.is_some() {
            return Err(not_supported("a proxy of the session's own (config.proxy)"));
        }
        if !self.webhooks.is_empty() {
            return Err(not_supported("webhooks of the session (config.webhooks)"));
        }
        let bytes = json!(self).to_string().len();
        if bytes > MAX_BYTES {
            let what = format!("it has {bytes} bytes as JSON; {MAX_BYTES} are kept");
            return Err(Problem::field("config", what));
        }
        Ok(())
    }

    /// As it is shown.
    pub(super) fn shown(&self) -> Value {
        json!(self)
    }
}

/// What is kept of a session; `None` where it was never made or changed here.
pub(super) async fn kept(
    state: &HttpState,
    session: &SessionId,
) -> Result<Option<WahaConfig>, Problem> {
    let Some(text) = state.app.store.note(session, NOTE).await? else {
        return Ok(None);
    };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| Problem::new(Code::StorageFailed, error.to_string()))
}

/// Keeps it.
pub(super) async fn keep(
    state: &HttpState,
    session: &SessionId,
    config: &WahaConfig,
) -> Result<(), Problem> {
    let text = json!(config).to_string();
    Ok(state.app.store.set_note(session, NOTE, Some(text)).await?)
}
