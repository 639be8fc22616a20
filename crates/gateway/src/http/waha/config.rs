//! What a session is made with: the part of WAHA's session configuration that
//! means something here. It is kept beside the session and shown again.

use super::super::HttpState;
use super::super::problem::Problem;
use super::nullable;
use super::webhooks::{self, WahaWebhook};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use steadfast_core::ids::SessionId;
use steadfast_core::port::{Scope, Store, StoreError};
use steadfast_core::proxy::{Proxy, ProxyError};
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
    /// Through which it reaches WhatsApp.
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<WahaProxy>,
    /// Where its events go.
    #[serde(deserialize_with = "nullable")]
    pub(super) webhooks: Vec<WahaWebhook>,
}

/// A proxy, as WAHA names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct WahaProxy {
    /// HOST:PORT, or with http://, https://, socks4:// or socks5:// before it.
    server: String,
    // Known only to say why they are refused.
    #[serde(default, skip_serializing)]
    username: Option<String>,
    #[serde(default, skip_serializing)]
    password: Option<String>,
}

impl WahaProxy {
    fn read(&self) -> Result<Proxy, Problem> {
        let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        if given(&self.username) || given(&self.password) {
            return Err(Problem::field("config.proxy", ProxyError::Credentials));
        }
        let server = self.server.trim();
        let whole = if server.contains("://") {
            server.to_owned()
        } else {
            format!("http://{server}")
        };
        Proxy::parse(&whole).map_err(|error| Problem::field("config.proxy.server", error))
    }
}

impl WahaConfig {
    /// What is wrong with it, where something is; else its proxy.
    pub(super) fn check(&self) -> Result<Option<Proxy>, Problem> {
        webhooks::check(&self.webhooks)?;
        let bytes = json!(self).to_string().len();
        if bytes > MAX_BYTES {
            let what = format!("it has {bytes} bytes as JSON; {MAX_BYTES} are kept");
            return Err(Problem::field("config", what));
        }
        self.proxy.as_ref().map(WahaProxy::read).transpose()
    }

    /// As it is shown to a token of this scope.
    pub(super) fn shown(&self, to: Scope) -> Value {
        let mut shown = self.hidden();
        if to < Scope::Admin {
            let webhooks = shown.webhooks.into_iter();
            shown.webhooks = webhooks.map(WahaWebhook::for_reader).collect();
        }
        json!(shown)
    }

    /// Without what is secret: that is kept with the endpoints.
    fn hidden(&self) -> Self {
        let mut hidden = self.clone();
        let webhooks = hidden.webhooks.into_iter();
        hidden.webhooks = webhooks.map(WahaWebhook::hidden).collect();
        hidden
    }
}

/// What is kept of a session; `None` where it was never made or changed here.
pub(super) async fn kept(
    state: &HttpState,
    session: &SessionId,
) -> Result<Option<WahaConfig>, Problem> {
    Ok(note(state.app.store.as_ref(), session).await?)
}

/// The same for those who have only the store.
pub(super) async fn note(
    store: &dyn Store,
    session: &SessionId,
) -> Result<Option<WahaConfig>, StoreError> {
    let Some(text) = store.note(session, NOTE).await? else {
        return Ok(None);
    };
    let read = serde_json::from_str(&text);
    read.map(Some)
        .map_err(|error| StoreError::Failed(format!("the note {NOTE:?}: {error}")))
}

/// Keeps it: the endpoints first, which may refuse it.
pub(super) async fn keep(
    state: &HttpState,
    session: &SessionId,
    config: &WahaConfig,
) -> Result<(), Problem> {
    webhooks::keep(state, session, &config.webhooks).await?;
    let text = json!(config.hidden()).to_string();
    Ok(state.app.store.set_note(session, NOTE, Some(text)).await?)
}
