//! How an event becomes a request. Ours is that of Standard Webhooks; another
//! surface may bring its own under a name of its own ([`super::Webhooks::with_envelope`]).

use super::signature::Secret;
use crate::http::EventJson;
use async_trait::async_trait;
use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use steadfast_core::event::Event;
use steadfast_core::port::WebhookRecord;
use steadfast_core::time::UnixMs;

/// The name of our own envelope.
pub const STANDARD: &str = "standard";

/// A request as an endpoint gets it, without the headers that its owner added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Content type, signature and the like.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Packs events for endpoints that asked for it by name.
///
/// It is called anew for each attempt, so that a signature can hold the time.
/// The same event must come out with the same id every time. It may read the
/// store; what it waits for is bounded by the time that one request may take.
#[async_trait]
pub trait Envelope: Send + Sync {
    /// The request; `None` where this envelope has no word for such an event,
    /// which then counts as taken.
    ///
    /// # Errors
    /// One sentence why it cannot be packed: the attempt has failed, and is made again.
    async fn pack(
        &self,
        event: &Event,
        endpoint: &WebhookRecord,
        at: UnixMs,
    ) -> Result<Option<Packed>, String>;
}

/// Standard Webhooks 1.0: the id, the time in seconds, and a signature over
/// both and the body; two of them while a secret is being replaced.
pub struct StandardEnvelope;

#[async_trait]
impl Envelope for StandardEnvelope {
    async fn pack(
        &self,
        event: &Event,
        endpoint: &WebhookRecord,
        at: UnixMs,
    ) -> Result<Option<Packed>, String> {
        let body = serde_json::to_vec(&EventJson::from(event)).map_err(|e| e.to_string())?;
        let seconds = at.0.div_euclid(1_000);
        let old = endpoint.old_secret.as_ref().filter(|old| at < old.until);
        let secrets = endpoint.secret.iter().chain(old.map(|old| &old.secret));
        let mut signatures = Vec::new();
        for secret in secrets {
            let secret = Secret::parse(&secret.0).map_err(|e| e.to_string())?;
            signatures.push(secret.sign(event.id.as_str(), seconds, &body));
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in [
            ("webhook-id", event.id.to_string()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", signatures.join(" ")),
        ] {
            let value = HeaderValue::try_from(value).map_err(|e| e.to_string())?;
            headers.insert(name, value);
        }
        Ok(Some(Packed {
            headers,
            body: body.into(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRandom;
    use steadfast_core::event::{EventData, EventKind};
    use steadfast_core::ids::{EventId, WebhookId};
    use steadfast_core::port::{OldSecret, SecretText, WebhookState};

    #[tokio::test]
    async fn both_secrets_sign_until_the_old_one_ends() {
        let [new, old] = [(); 2].map(|()| Secret::mint(&SystemRandom).unwrap());
        let endpoint = WebhookRecord {
            id: WebhookId::mint(UnixMs(1), [1; 10]),
            owner: "v1".to_owned(),
            url: "https://example.org/hook".to_owned(),
            events: Vec::new(),
            sessions: Vec::new(),
            headers: Vec::new(),
            ordered: false,
            state: WebhookState::Active,
            secret: Some(SecretText(new.reveal())),
            old_secret: Some(OldSecret {
                secret: SecretText(old.reveal()),
                until: UnixMs(20_000),
            }),
            envelope: STANDARD.to_owned(),
            retry: None,
            created_at: UnixMs(1),
        };
        let event = Event {
            seq: 7,
            id: EventId::mint(UnixMs(5), [5; 10]),
            kind: EventKind::SessionCreated,
            session: None,
            at: UnixMs(5),
            data: EventData::Nothing,
        };
        let pack = async |at| {
            let packed = StandardEnvelope.pack(&event, &endpoint, UnixMs(at)).await;
            packed.unwrap().unwrap()
        };
        let text = |packed: &Packed, name: &str| packed.headers[name].to_str().unwrap().to_owned();
        let both = pack(19_999).await;
        assert_eq!(text(&both, "webhook-id"), event.id.as_str());
        assert_eq!(text(&both, "webhook-timestamp"), "19");
        let sign = |secret: &Secret, at| secret.sign(event.id.as_str(), at, &both.body);
        assert_eq!(
            text(&both, "webhook-signature"),
            format!("{} {}", sign(&new, 19), sign(&old, 19))
        );
        let one = pack(20_000).await;
        assert_eq!(text(&one, "webhook-signature"), sign(&new, 20));
        assert_eq!(one.body, both.body, "a body is the same at every attempt");
        let json: serde_json::Value = serde_json::from_slice(&one.body).unwrap();
        assert_eq!(json["type"], "session.created");
        assert_eq!(json["timestamp"], "1970-01-01T00:00:00.005Z");
        assert_eq!(json["data"], serde_json::json!({}));
    }
}
