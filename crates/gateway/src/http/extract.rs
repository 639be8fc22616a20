//! Bodies, paths and queries, bounded, with a clear problem where they do not fit.

use super::HttpState;
use super::content::Named;
use super::problem::{Code, Problem, session_unknown};
use crate::config::Server;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::ids::{ChatId, MessageId, SessionId, WebhookId};

/// A JSON body, read whole within size, time and depth.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<HttpState>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Arc<HttpState>) -> Result<Self, Problem> {
        let bounds = &state.app.config.server;
        read_json(request, bounds, bounds.max_body_bytes)
            .await
            .map(Self)
    }
}

/// The length that a request declares.
pub(super) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads a JSON body of at most so many bytes.
pub(super) async fn read_json<T: DeserializeOwned>(
    request: Request,
    bounds: &Server,
    max_bytes: usize,
) -> Result<T, Problem> {
    media_type(request.headers())?;
    let too_large = || {
        Problem::new(
            Code::BodyTooLarge,
            format!("a body may have {max_bytes} bytes"),
        )
        .with("max_bytes", max_bytes)
    };
    let declared = declared_length(request.headers());
    if declared.is_some_and(|bytes| bytes > max_bytes as u64) {
        return Err(too_large());
    }
    let body = Limited::new(request.into_body(), max_bytes);
    let deadline = Duration::from_millis(bounds.body_timeout_ms);
    let bytes = match tokio::time::timeout(deadline, body.collect()).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large()),
        Ok(Err(error)) => {
            let detail = format!("the body broke off: {error}");
            return Err(Problem::new(Code::InvalidRequest, detail));
        }
        Err(_) => return Err(too_slow(bounds)),
    };
    parse(&bytes, bounds.max_json_depth)
}

/// A body that did not come in time.
pub(super) fn too_slow(bounds: &Server) -> Problem {
    let detail = format!("the body did not come within {} ms", bounds.body_timeout_ms);
    Problem::new(Code::BodyTimeout, detail)
}

fn media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let wrong = |what: &str| {
        Problem::new(
            Code::WrongMediaType,
            format!("{what}; send Content-Type: application/json"),
        )
    };
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Err(wrong("the request declares no Content-Type"));
    };
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let json = essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    if !json {
        return Err(wrong("the body is declared as something else"));
    }
    for parameter in parts {
        if let Some(charset) = parameter.strip_prefix("charset=")
            && !matches!(charset.trim_matches('"'), "utf-8" | "utf8")
        {
            return Err(wrong("JSON is read in UTF-8 only"));
        }
    }
    Ok(())
}

pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8], max_depth: u32) -> Result<T, Problem> {
    if bytes.is_empty() {
        let detail = "the body is empty; one JSON object is expected";
        return Err(Problem::new(Code::InvalidJson, detail));
    }
    if deeper_than(bytes, max_depth) {
        let detail = format!("the body is nested deeper than {max_depth}");
        return Err(Problem::new(Code::JsonTooDeep, detail));
    }
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Problem::new(Code::InvalidField, error.to_string()),
        serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof
        | serde_json::error::Category::Io => Problem::new(Code::InvalidJson, error.to_string()),
    })
}

/// Whether brackets outside of texts are nested deeper than this. Says nothing
/// about whether it is JSON at all.
fn deeper_than(bytes: &[u8], max_depth: u32) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_u32, false, false);
    for byte in bytes {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'{' | b'[') => {
                depth += 1;
                if depth > max_depth {
                    return true;
                }
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// A query, every key of which is known.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        query(&parts.uri).map(Self)
    }
}

fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    axum::extract::Query::try_from_uri(uri)
        .map(|query| query.0)
        .map_err(|error| Problem::new(Code::InvalidRequest, error.body_text()))
}

/// One part of the path, decoded.
pub(super) async fn path_text(parts: &mut Parts, name: &str) -> Result<String, Problem> {
    let wrong = || Problem::new(Code::InvalidRequest, "the path is not valid UTF-8");
    let params = RawPathParams::from_request_parts(parts, &())
        .await
        .map_err(|_| wrong())?;
    let found = params.iter().find(|(key, _)| *key == name);
    found.map(|(_, value)| value.to_owned()).ok_or_else(wrong)
}

/// `{session}` in the path. A name that cannot be one is simply not known.
pub(super) struct SessionName(pub(super) SessionId);

impl<S: Sync> FromRequestParts<S> for SessionName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = path_text(parts, "session").await?;
        SessionId::parse(&text)
            .map(Self)
            .map_err(|_| session_unknown(&text))
    }
}

/// `{message}` in the path.
pub(super) struct MessageName(pub(super) MessageId);

impl<S: Sync> FromRequestParts<S> for MessageName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = path_text(parts, "message").await?;
        Ok(Self(MessageId::parse(&text)?))
    }
}

/// `{chat}` in the path: a number or a chat id.
pub(super) struct ChatName(pub(super) ChatId);

impl<S: Sync> FromRequestParts<S> for ChatName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(ChatId::parse(&path_text(parts, "chat").await?)?))
    }
}

/// `{group}` in the path: the chat id of a group.
pub(super) struct GroupName(pub(super) ChatId);

impl<S: Sync> FromRequestParts<S> for GroupName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let id = ChatId::parse(&path_text(parts, "group").await?)?;
        if id.is_group() {
            return Ok(Self(id));
        }
        let detail = "that is no group: a group's id ends in @g.us";
        Err(Problem::new(Code::InvalidRecipient, detail))
    }
}

/// `{contact}` in the path: a number, or the chat id of a person.
pub(super) struct ContactName(pub(super) ChatId);

impl<S: Sync> FromRequestParts<S> for ContactName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let id = ChatId::parse(&path_text(parts, "contact").await?)?;
        if !id.is_group() {
            return Ok(Self(id));
        }
        let detail = "that is a group: give a number, or an id that ends in @c.us or @lid";
        Err(Problem::new(Code::InvalidRecipient, detail))
    }
}

/// `{webhook}` in the path.
pub(super) struct WebhookName(pub(super) WebhookId);

impl<S: Sync> FromRequestParts<S> for WebhookName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = path_text(parts, "webhook").await?;
        Ok(Self(WebhookId::parse(&text)?))
    }
}

/// `{wa_id}` in the path: a message by its WhatsApp id, or its whole key.
pub(super) struct MessageInChat(pub(super) Named);

impl<S: Sync> FromRequestParts<S> for MessageInChat {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = path_text(parts, "wa_id").await?;
        Named::read("wa_id", &text).map(Self)
    }
}

/// The `Idempotency-Key` header, where there is one.
pub(super) struct IdempotencyHeader(pub(super) Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyHeader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        if values.next().is_some() {
            return Err(wrong_key());
        }
        idempotency_key(value.to_str().unwrap_or_default()).map(|key| Self(Some(key)))
    }
}

/// Checks a key.
pub(super) fn idempotency_key(text: &str) -> Result<String, Problem> {
    let text = text.trim();
    let visible = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if text.is_empty() || text.len() > 255 || !visible {
        return Err(wrong_key());
    }
    Ok(text.to_owned())
}

fn wrong_key() -> Problem {
    Problem::new(
        Code::InvalidIdempotencyKey,
        "Idempotency-Key must be there once, with 1 to 255 visible ASCII characters",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn depth_counts_brackets_outside_of_texts() {
        assert!(!deeper_than(br#"{"a":["[[[[\"[["]}"#, 2));
        assert!(deeper_than(br#"{"a":[[]]}"#, 2));
        assert!(!deeper_than(b"]]]][", 1));
    }

    #[test]
    fn only_json_in_utf8_is_taken() {
        let taken = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(text).unwrap());
            media_type(&headers).is_ok()
        };
        assert!(taken("application/json"));
        assert!(taken("Application/JSON; charset=\"UTF-8\""));
        assert!(taken("application/vnd.x+json"));
        assert!(!taken("text/plain"));
        assert!(!taken("application/json; charset=latin1"));
        assert!(media_type(&HeaderMap::new()).is_err());
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wanted {
            #[expect(dead_code, reason = "only read")]
            a: u8,
        }
        let code = |text: &str| parse::<Wanted>(text.as_bytes(), 8).unwrap_err().code();
        assert_eq!(code(""), Code::InvalidJson);
        assert_eq!(code("{"), Code::InvalidJson);
        assert_eq!(code("{\"a\": x}"), Code::InvalidJson);
        assert_eq!(code("{\"a\": \"1\"}"), Code::InvalidField);
        assert_eq!(code("{}"), Code::InvalidField);
        assert_eq!(code("{\"a\":1,\"b\":2}"), Code::InvalidField);
        assert_eq!(code("[[[[[[[[[1]]]]]]]]]"), Code::JsonTooDeep);
    }
}
