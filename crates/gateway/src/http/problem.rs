//! What HTTP says when something is wrong: RFC 9457 problem+json with a
//! stable `code`, and what a caller can do about it.

use crate::clock::RandomError;
use crate::media::MediaError;
use crate::media::rules::Unfit;
use crate::sessions::{SessionError, SessionState};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use steadfast_core::action::Refusal;
use steadfast_core::failure::{Failure, Kind};
use steadfast_core::ids::IdError;
use steadfast_core::port::StoreError;

macro_rules! codes {
    ($($variant:ident = $text:literal, $status:literal, $title:literal, $remedy:literal;)*) => {
        /// What can be wrong. The names are stable; `/docs` and docs/API.md list them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the table beside each says what it means")]
        pub enum Code { $($variant,)* }

        impl Code {
            /// Every code, by status.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The HTTP status that it comes with.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// What it means, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What a caller does about it.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

codes! {
    InvalidRequest = "invalid_request", 400, "The request cannot be understood", "Correct the query, the header or the path that the detail names.";
    InvalidJson = "invalid_json", 400, "The body is not JSON", "Send one JSON object in UTF-8; the detail says where it breaks.";
    JsonTooDeep = "json_too_deep", 400, "The JSON is nested too deeply", "Send flat JSON; server.max_json_depth is the bound.";
    InvalidIdempotencyKey = "invalid_idempotency_key", 400, "The Idempotency-Key cannot be used", "Use 1 to 255 visible ASCII characters, a UUID for example.";
    TokenMissing = "token_missing", 401, "A token is needed", "Send Authorization: Bearer TOKEN or X-Api-Key: TOKEN; `steadfast token new` makes one.";
    TokenUnknown = "token_unknown", 401, "The token is not known", "It was revoked or mistyped; `steadfast token list` shows the names of those that are known.";
    TokenExpired = "token_expired", 401, "The token is not taken any more", "Its time is up, or it was rotated: use its new secret, or `steadfast token rotate NAME --expires 90d`.";
    ScopeMissing = "scope_missing", 403, "The token may not do this", "Use a token of the scope that the detail names.";
    SessionsOnly = "sessions_only", 403, "The token is for some sessions only", "Ask about a session that it is for, or use a token that is for all.";
    ForeignPage = "foreign_page", 403, "The request came from another page", "A login by cookie serves the dashboard alone; programs send Authorization: Bearer TOKEN.";
    NotFound = "not_found", 404, "There is nothing at this address", "See /docs for every address.";
    SessionUnknown = "session_unknown", 404, "There is no such session", "GET /v1/sessions lists them.";
    MessageUnknown = "message_unknown", 404, "There is no such message", "Check the id: ours begin with msg_; a message of a chat goes by the key that the chat lists.";
    ChatUnknown = "chat_unknown", 404, "There is no such chat", "GET /v1/sessions/{session}/chats lists them.";
    ContactUnknown = "contact_unknown", 404, "Nothing is known of this person", "GET /v1/sessions/{session}/contacts lists them; numbers/check asks WhatsApp about a number.";
    GroupUnknown = "group_unknown", 404, "There is no such group", "GET /v1/sessions/{session}/groups lists those that the account is in.";
    InviteInvalid = "invite_invalid", 404, "The invite code leads to no group", "Ask for a new one; codes are revoked.";
    NoSuchToken = "no_such_token", 404, "There is no such token", "GET /v1/tokens lists their names.";
    WebhookUnknown = "webhook_unknown", 404, "There is no such webhook", "GET /v1/webhooks lists them.";
    NoFile = "no_file", 404, "The message has no file that could be had", "The detail says why: it never had one, or WhatsApp has it no more.";
    NoQr = "no_qr", 404, "There is no QR code now", "A code exists only while a session is linking; ask again, or look at its state.";
    NoPasskey = "no_passkey", 404, "No passkey is asked for now", "WhatsApp asks some accounts after the scan, for a short time; look at the session's state, or link again.";
    MethodNotAllowed = "method_not_allowed", 405, "This method is not for this address", "The Allow header names the methods that are.";
    BodyTimeout = "body_timeout", 408, "The body came too slowly", "Send it again, faster; server.body_timeout_ms is the bound.";
    SessionExists = "session_exists", 409, "There is a session of this name", "Use it, or take another name.";
    SessionLimit = "session_limit", 409, "There are as many sessions as are allowed", "Delete one, or raise session.max_sessions.";
    TokenExists = "token_exists", 409, "There is a token of this name", "Take another name, or rotate that one.";
    TokenLimit = "token_limit", 409, "There are as many tokens as are kept", "Revoke those that nobody uses; last_used_at tells.";
    WebhookLimit = "webhook_limit", 409, "There are as many webhooks as are allowed", "Delete one, or raise webhooks.max_endpoints.";
    WrongState = "wrong_state", 409, "The session's state does not allow this", "The detail says which state it needs.";
    IdempotencyInFlight = "idempotency_in_flight", 409, "The first request with this key still runs", "Ask again after retry_after seconds; the answer will be that of the first.";
    NotCancellable = "not_cancellable", 409, "The message is past the point where it can be taken back", "Look at its status.";
    NotParked = "not_parked", 409, "The message is not parked", "Only parked messages wait for a person's word.";
    GroupForbidden = "group_forbidden", 409, "The account may not do this in the group", "The detail says what it lacks; an admin of the group can give it.";
    GroupFull = "group_full", 409, "The group is full", "Remove somebody, or use another group.";
    BodyTooLarge = "body_too_large", 413, "The body is too large", "Send less at once; server.max_body_bytes is the bound.";
    MediaTooLarge = "media_too_large", 413, "The file is too large", "Send a smaller one; the detail names the limit and its setting.";
    UrlTooLong = "url_too_long", 414, "The URL is too long", "Shorten it; server.max_url_bytes is the bound.";
    WrongMediaType = "wrong_media_type", 415, "The body is not declared as JSON", "Send Content-Type: application/json, in UTF-8.";
    InvalidField = "invalid_field", 422, "A field does not fit", "The detail names the field and what would be right.";
    InvalidRecipient = "invalid_recipient", 422, "That is no recipient", "Give 7 to 15 digits in international form, or a chat id that ends in @c.us, @lid or @g.us.";
    NotOnWhatsApp = "not_on_whatsapp", 422, "The number is not on WhatsApp", "Check the number with its country code.";
    WhatsAppRefused = "whatsapp_refused", 422, "WhatsApp refuses this", "Change the request: the same one will be refused again.";
    PasskeyRefused = "passkey_refused", 422, "This does not answer the passkey's challenge", "Make the answer on web.whatsapp.com from the options of GET .../passkey, unchanged; docs/LINKING.md says how.";
    MediaUnfit = "media_unfit", 422, "The file does not fit what it is to be sent as", "The detail says what would be right; as a document any file can be sent.";
    MediaUnknown = "media_unknown", 422, "There is no file of this id", "Upload it to /v1/media (again): files are kept for media.keep_ms after their last use.";
    MediaUnreachable = "media_unreachable", 422, "The file could not be fetched from its URL", "The detail says why. Nothing was accepted; correct the URL, or upload the file.";
    IdempotencyKeyReused = "idempotency_key_reused", 422, "This key was used for another request", "Use a new key for each new request, and the old key only to repeat one unchanged.";
    HeadTooLarge = "head_too_large", 431, "The request head is too large", "Send fewer or shorter headers; server.max_header_bytes is the bound.";
    TooManyRequests = "too_many_requests", 429, "Too many requests", "Ask again after retry_after seconds, and more slowly; server.token_requests_per_minute is the bound.";
    TooManyFailures = "too_many_failures", 429, "Too many failed logins from this address", "Correct the token, and try again after retry_after seconds; a valid one passes at once.";
    Internal = "internal", 500, "The gateway has a bug", "Report it with the log line of the event panic; nothing accepted is lost.";
    Unsupported = "unsupported", 501, "This is not supported", "The detail says what is.";
    NotReady = "not_ready", 503, "The session is on its way to ready", "Ask again after retry_after seconds; sends are accepted meanwhile.";
    WhatsAppFailed = "whatsapp_failed", 503, "WhatsApp Web did not do it", "kind names the failure; docs/errors explains each.";
    TooManyStreams = "too_many_streams", 503, "There are as many streams of events as are allowed", "Close one, or raise stream.max_streams.";
    Timeout = "timeout", 503, "There was no answer in time", "Ask again; what was asked may have happened.";
    StorageOverloaded = "storage_overloaded", 503, "The store has more to write than it can", "Ask again after retry_after seconds. Nothing was stored.";
    StorageFailed = "storage_failed", 503, "The store failed", "See the log event store_failed. Nothing was stored.";
    StorageUnknown = "storage_unknown", 503, "Whether it was stored is not known", "Repeat it with the same Idempotency-Key: it is stored once, whatever became of the first. Without a key look first; a repeat may be a second one.";
    ShuttingDown = "shutting_down", 503, "The gateway is shutting down", "Ask again once it runs. What was accepted is kept.";
    StorageFull = "storage_full", 507, "The disk is full", "Make room; the gateway accepts again by itself. Nothing was stored.";
}

/// One answer that something is wrong.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    detail: String,
    retry_after_s: Option<u32>,
    retryable: bool,
    extra: Map<String, Value>,
}

/// The content type of every problem (RFC 9457).
pub const CONTENT_TYPE: &str = "application/problem+json";

impl Problem {
    /// A problem with what it is this time, in one sentence.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            retry_after_s: None,
            retryable: matches!(code.status(), 408 | 503 | 507),
            extra: Map::new(),
        }
    }

    /// The same request may succeed after so many seconds.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self.retryable = true;
        self
    }

    /// One more member.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// A field of the body that does not fit.
    pub fn field(name: &str, what: impl std::fmt::Display) -> Self {
        Self::new(Code::InvalidField, format!("{name}: {what}")).with("field", name)
    }

    /// What it is.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What it is this time.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// After how many seconds it is worth trying.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.retry_after_s
    }

    /// With the two members that callers of `/api/whatsapp` look for.
    pub fn for_original(self) -> Self {
        let detail = self.detail.clone();
        self.with("success", false).with("error", detail)
    }

    /// With the members that clients of WAHA look for: those of its framework's
    /// errors.
    pub fn for_waha(self) -> Self {
        let (detail, code) = (self.detail.clone(), self.code);
        self.with("statusCode", code.status())
            .with("message", detail)
            .with("error", code.title())
            .with("details", code.as_str())
    }

    /// As it is written.
    pub(super) fn json(&self) -> Value {
        let doc = format!("/docs#{}", self.code.as_str());
        let mut body = json!({
            "type": doc,
            "title": self.code.title(),
            "status": self.code.status(),
            "detail": self.detail,
            "code": self.code.as_str(),
            "retryable": self.retryable,
            "retry_after": self.retry_after_s,
            "doc": doc,
        });
        if let Value::Object(members) = &mut body {
            members.extend(self.extra.clone());
        }
        body
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (
            status,
            [(header::CONTENT_TYPE, CONTENT_TYPE)],
            self.json().to_string(),
        )
            .into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        match self.code {
            Code::TokenMissing => {
                let ask = HeaderValue::from_static("Bearer realm=\"steadfast\"");
                headers.insert(header::WWW_AUTHENTICATE, ask);
            }
            Code::TokenUnknown | Code::TokenExpired => {
                let ask =
                    HeaderValue::from_static("Bearer realm=\"steadfast\", error=\"invalid_token\"");
                headers.insert(header::WWW_AUTHENTICATE, ask);
            }
            _ => {}
        }
        // So that a layer can add what its surface promises.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => {
                Self::new(Code::StorageFull, "the disk is full; nothing was stored").retry_after(30)
            }
            StoreError::NoMedia(_) => Self::new(Code::MediaUnknown, error.to_string()),
            StoreError::NoSession(session) => session_unknown(session.as_str()),
            StoreError::Overloaded => {
                Self::new(Code::StorageOverloaded, error.to_string()).retry_after(1)
            }
            StoreError::Closed => {
                Self::new(Code::ShuttingDown, "the store is closed").retry_after(5)
            }
            StoreError::Unknown(_) => {
                tracing::error!(event = crate::events::STORE_FAILED, %error, "the store failed");
                let detail = format!(
                    "{error}; it may or may not be kept, and a repeat with the same Idempotency-Key is safe"
                );
                Self::new(Code::StorageUnknown, detail).retry_after(1)
            }
            StoreError::Exists
            | StoreError::StaleFence { .. }
            | StoreError::NewerSchema { .. }
            | StoreError::NotOurs { .. }
            | StoreError::Failed(_) => {
                tracing::error!(event = crate::events::STORE_FAILED, %error, "the store failed");
                Self::new(Code::StorageFailed, error.to_string())
            }
        }
    }
}

impl From<MediaError> for Problem {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::Full => StoreError::Full.into(),
            MediaError::TooLarge(_) => Self::new(Code::MediaTooLarge, error.to_string()),
            MediaError::Io(_) => {
                tracing::error!(event = crate::events::STORE_FAILED, %error, "the media folder failed");
                Self::new(Code::StorageFailed, error.to_string())
            }
            MediaError::Store(error) => error.into(),
        }
    }
}

impl From<Unfit> for Problem {
    fn from(unfit: Unfit) -> Self {
        let text = unfit.to_string();
        match unfit {
            Unfit::TooLarge { limit, .. } => {
                Self::new(Code::MediaTooLarge, text).with("max_bytes", limit)
            }
            Unfit::WrongType { .. }
            | Unfit::NoDimensions
            | Unfit::TooManyPixels { .. }
            | Unfit::Empty => Self::new(Code::MediaUnfit, text),
        }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        let text = error.to_string();
        match error {
            SessionError::NotFound(session) => session_unknown(session.as_str()),
            SessionError::Exists(_) => Self::new(Code::SessionExists, text),
            SessionError::TooMany(_) => Self::new(Code::SessionLimit, text),
            SessionError::WrongState { state, .. } => match state {
                SessionState::Starting | SessionState::Syncing | SessionState::Recovering => {
                    Self::new(Code::NotReady, text).retry_after(2)
                }
                SessionState::Stopped
                | SessionState::Linking
                | SessionState::Ready
                | SessionState::Conflict
                | SessionState::LoggedOut
                | SessionState::Parked => Self::new(Code::WrongState, text),
            }
            .with("state", state.as_str()),
            SessionError::NoPasskey(_) => Self::new(Code::NoPasskey, text),
            SessionError::PasskeyRefused(_) => Self::new(Code::PasskeyRefused, text),
            SessionError::Unsupported(_) => Self::new(Code::Unsupported, text),
            SessionError::Timeout(_) => Self::new(Code::Timeout, text).retry_after(1),
            SessionError::Refused(why) => Self::new(refused(why), text),
            SessionError::Failed(failure) => from_failure(&failure),
            SessionError::Store(error) => error.into(),
            SessionError::ShuttingDown => Self::new(Code::ShuttingDown, text).retry_after(5),
        }
    }
}

impl From<RandomError> for Problem {
    fn from(error: RandomError) -> Self {
        Self::new(Code::StorageFailed, error.to_string())
    }
}

impl From<IdError> for Problem {
    fn from(error: IdError) -> Self {
        let text = error.to_string();
        match error {
            IdError::Session(_) => Self::field("name", text),
            IdError::Webhook(_) => Self::new(Code::WebhookUnknown, text),
            IdError::Message(_) => Self::new(Code::MessageUnknown, text),
            IdError::Chat(_) => Self::new(Code::InvalidRecipient, text),
            IdError::WaMessage(_) | IdError::Media(_) | IdError::Event(_) => {
                Self::new(Code::InvalidField, text)
            }
        }
    }
}

fn refused(why: Refusal) -> Code {
    match why {
        Refusal::UnknownChat => Code::ChatUnknown,
        Refusal::UnknownMessage => Code::MessageUnknown,
        Refusal::UnknownGroup => Code::GroupUnknown,
        Refusal::NotOnWhatsApp => Code::NotOnWhatsApp,
        Refusal::NotMember | Refusal::NotAdmin => Code::GroupForbidden,
        Refusal::InviteInvalid => Code::InviteInvalid,
        Refusal::GroupFull => Code::GroupFull,
        Refusal::Refused => Code::WhatsAppRefused,
    }
}

fn from_failure(failure: &Failure) -> Problem {
    let text = format!("{}: {}", failure.kind, failure.evidence);
    let problem = Problem::new(Code::WhatsAppFailed, text).with("kind", failure.kind.as_str());
    match failure.kind {
        Kind::RecipientInvalid => Problem::new(Code::InvalidRecipient, failure.evidence.clone()),
        Kind::RateLimited => problem.retry_after(60),
        _ => problem.retry_after(2),
    }
}

/// There is no session of this name.
pub fn session_unknown(name: &str) -> Problem {
    let name: String = name.chars().take(64).collect();
    Problem::new(
        Code::SessionUnknown,
        format!("there is no session {name:?}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_their_statuses_real() {
        let mut names: Vec<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(StatusCode::from_u16(code.status()).is_ok());
        }
    }

    /// Who is told that nothing was stored must be able to rely on it.
    #[test]
    fn a_write_in_doubt_is_not_said_to_have_failed() {
        let problem = Problem::from(StoreError::Unknown("the disk gave no answer".to_owned()));
        let json = problem.json();
        assert_eq!(
            (&json["code"], &json["status"]),
            (&json!("storage_unknown"), &json!(503))
        );
        assert_eq!(
            (&json["retryable"], &json["retry_after"]),
            (&json!(true), &json!(1))
        );
        let detail = problem.detail();
        assert!(
            detail.contains("may or may not") && detail.contains("Idempotency-Key"),
            "{detail}"
        );
    }

    #[test]
    fn docs_list_every_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/API.md");
        let page = std::fs::read_to_string(path).unwrap();
        for code in Code::ALL {
            let row = format!(
                "| `{}` | {} | {} | {} |",
                code.as_str(),
                code.status(),
                code.title(),
                code.remedy()
            );
            assert!(page.contains(&row), "docs/API.md lacks: {row}");
        }
    }

    #[test]
    fn a_problem_carries_what_a_caller_needs() {
        let response = Problem::new(Code::NotReady, "x")
            .retry_after(2)
            .into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(response.headers()[header::CONTENT_TYPE], CONTENT_TYPE);
        let problem = response.extensions().get::<Problem>().unwrap().clone();
        let json = problem.for_original().json();
        assert_eq!(json["code"], "not_ready");
        assert_eq!(json["retryable"], true);
        assert_eq!(json["success"], false);
        assert_eq!(json["error"], "x");
    }
}
