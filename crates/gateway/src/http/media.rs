//! Files over HTTP: uploads, and the files of messages.

use super::HttpState;
use super::auth::{Caller, Sorting, ToRead, ToSend};
use super::content::Named;
use super::extract::{
    ChatName, MessageInChat, SessionName, declared_length, parse, read_json, too_slow,
};
use super::fetches;
use super::files::MediaRequest;
use super::messages::SendRequest;
use super::multipart::{Event, Form, FormError};
use super::problem::{Code, Problem};
use crate::config::Server;
use crate::media::{Incoming, Kept, MediaError, MediaStore, name, rules, sniff};
use axum::Json as JsonAnswer;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::StreamExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::SeekFrom;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::ids::{ChatId, MessageKey, SessionId};
use steadfast_core::inbound::RemoteFile;
use steadfast_core::port::StoredInbound;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

type AppState = State<Arc<HttpState>>;

/// How long a large request waits for its turn.
const TURN: Duration = Duration::from_secs(5);
/// How long what still comes of a refused file is read and thrown away. A
/// connection that is closed on a caller who still writes is reset, and the
/// reset overtakes the answer.
const DISCARD_FOR: Duration = Duration::from_secs(5);
/// Parts of a form; there are two that count.
const MAX_PARTS: usize = 16;

/// An uploaded file.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UploadedJson {
    /// Give it as `media.id`.
    id: String,
    /// Its type, as its bytes show it.
    mime: String,
    /// Its length in bytes.
    size: u64,
    /// The SHA-256 of its content, in hex.
    sha256: String,
}

/// The form of an upload.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes a form for readers")]
pub(super) struct UploadForm {
    /// The file.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// A message and its file in one form.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes a form for readers")]
pub(super) struct SendForm {
    /// The message as JSON, without `media`.
    message: SendRequest,
    /// The file.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Takes a file, as the body itself or as the part `file` of a form, and
/// keeps it for `media.keep_ms` after its last use. The same file twice is kept once.
#[utoipa::path(post, path = "/v1/media", tag = "messages",
    request_body(content((Vec<u8> = "application/octet-stream"), (UploadForm = "multipart/form-data"))),
    responses((status = 201, body = UploadedJson)))]
pub(super) async fn upload(
    // A file is nobody's until a message of some session names it.
    _: Caller<Sorting<ToSend>>,
    State(state): AppState,
    request: Request,
) -> Result<(StatusCode, JsonAnswer<UploadedJson>), Problem> {
    let media = &state.app.media;
    let limit = rules::largest(&media.config);
    let bounds = &state.app.config.server;
    let declared = declared_length(request.headers());
    // A form is a little longer than its file.
    if declared.is_some_and(|bytes| bytes > limit.saturating_add(64 * 1024)) {
        return Err(MediaError::TooLarge(limit).into());
    }
    let kept = if let Some(form) = form_of(request.headers())? {
        let mut parts = Parts::new(media, limit, 0);
        parts.read(form, request.into_body(), bounds).await?;
        let file = parts.file.ok_or_else(no_file)?;
        file.kept
    } else {
        let mut pieces = Pieces::of(request.into_body(), bounds);
        let taken = take(&mut pieces, media, limit).await;
        pieces.heard_out(taken).await?
    };
    if kept.size == 0 {
        return Err(rules::Unfit::Empty.into());
    }
    let uploaded = UploadedJson {
        sha256: kept.id.to_string(),
        id: kept.id.into(),
        mime: sniff::sniff(&kept.head)
            .unwrap_or("application/octet-stream")
            .to_owned(),
        size: kept.size,
    };
    Ok((StatusCode::CREATED, JsonAnswer(uploaded)))
}

/// A body that is a file.
async fn take(pieces: &mut Pieces<'_>, media: &MediaStore, limit: u64) -> Result<Kept, Problem> {
    let mut incoming = media.begin(limit).await?;
    while let Some(piece) = pieces.next().await? {
        incoming.write(&piece).await?;
    }
    Ok(media.keep(incoming).await?)
}

fn no_file() -> Problem {
    Problem::field("file", "the form has no part of this name")
}

/// The form that a request declares its body to be.
fn form_of(headers: &HeaderMap) -> Result<Option<Form>, Problem> {
    let declared = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    match declared {
        Some(text) if text.to_ascii_lowercase().starts_with("multipart/form-data") => {
            Ok(Some(Form::new(text)?))
        }
        Some(_) | None => Ok(None),
    }
}

impl From<FormError> for Problem {
    fn from(error: FormError) -> Self {
        Self::new(Code::InvalidRequest, error.to_string())
    }
}

/// A body, piece by piece. A single piece may not be waited for too long; a
/// large file may take as long as the request may.
struct Pieces<'a> {
    stream: BodyDataStream,
    bounds: &'a Server,
}

impl<'a> Pieces<'a> {
    fn of(body: Body, bounds: &'a Server) -> Self {
        Self {
            stream: body.into_data_stream(),
            bounds,
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let wait = Duration::from_millis(self.bounds.body_timeout_ms);
        match tokio::time::timeout(wait, self.stream.next()).await {
            Ok(Some(Ok(piece))) => Ok(Some(piece)),
            Ok(Some(Err(error))) => {
                let detail = format!("the body broke off: {error}");
                Err(Problem::new(Code::InvalidRequest, detail))
            }
            Ok(None) => Ok(None),
            Err(_) => Err(too_slow(self.bounds)),
        }
    }

    /// Lets a caller who is refused write to the end, within bounds, so that
    /// the answer is read.
    async fn heard_out<T>(&mut self, ended: Result<T, Problem>) -> Result<T, Problem> {
        if let Err(problem) = &ended
            && problem.code() != Code::BodyTimeout
        {
            let rest = async { while let Some(Ok(_)) = self.stream.next().await {} };
            // Who takes longer is answered all the same.
            let _ = tokio::time::timeout(DISCARD_FOR, rest).await;
        }
        ended
    }
}

/// A file that came as a part of a form.
struct FilePart {
    kept: Kept,
    mime: Option<String>,
    name: Option<String>,
}

/// What a form brings: one file, and one message where that is wanted.
struct Parts<'a> {
    media: &'a MediaStore,
    limit: u64,
    max_message: usize,
    file: Option<FilePart>,
    message: Vec<u8>,
}

enum Open {
    File(Box<Incoming>, Option<String>, Option<String>),
    Message,
    Nothing,
}

impl<'a> Parts<'a> {
    fn new(media: &'a MediaStore, limit: u64, max_message: usize) -> Self {
        Self {
            media,
            limit,
            max_message,
            file: None,
            message: Vec::new(),
        }
    }

    async fn read(&mut self, form: Form, body: Body, bounds: &Server) -> Result<(), Problem> {
        let mut pieces = Pieces::of(body, bounds);
        let taken = self.take(form, &mut pieces).await;
        pieces.heard_out(taken).await
    }

    async fn take(&mut self, mut form: Form, pieces: &mut Pieces<'_>) -> Result<(), Problem> {
        let mut open = Open::Nothing;
        let mut count = 0;
        while let Some(piece) = pieces.next().await? {
            for event in form.push(&piece)? {
                match event {
                    Event::Begin {
                        name,
                        filename,
                        mime,
                    } => {
                        count += 1;
                        if count > MAX_PARTS {
                            let what = format!("a form may have {MAX_PARTS} parts");
                            return Err(Problem::new(Code::InvalidRequest, what));
                        }
                        open = self.begin(&name, filename, mime).await?;
                    }
                    Event::Data(bytes) => self.data(&mut open, &bytes).await?,
                    Event::End => {
                        let ended = std::mem::replace(&mut open, Open::Nothing);
                        if let Open::File(incoming, mime, name) = ended {
                            let kept = self.media.keep(*incoming).await?;
                            self.file = Some(FilePart { kept, mime, name });
                        }
                    }
                }
            }
        }
        Ok(form.finish()?)
    }

    async fn begin(
        &mut self,
        name: &str,
        filename: Option<String>,
        mime: Option<String>,
    ) -> Result<Open, Problem> {
        match name {
            "file" if self.file.is_none() => {
                let incoming = self.media.begin(self.limit).await?;
                Ok(Open::File(Box::new(incoming), mime, filename))
            }
            "message" if self.max_message > 0 && self.message.is_empty() => Ok(Open::Message),
            "file" | "message" => Err(Problem::field(name, "it may be there once")),
            _ if self.max_message > 0 => {
                let name: String = name.chars().take(64).collect();
                let what = "there is no such part; a form has the parts message (JSON) and file";
                Err(Problem::field(&name, what))
            }
            // Browsers send other fields of the form along.
            _ => Ok(Open::Nothing),
        }
    }

    async fn data(&mut self, open: &mut Open, bytes: &[u8]) -> Result<(), Problem> {
        match open {
            Open::File(incoming, _, _) => Ok(incoming.write(bytes).await?),
            Open::Message => {
                if self.message.len() + bytes.len() > self.max_message {
                    let what = format!("the message may have {} bytes", self.max_message);
                    return Err(Problem::new(Code::BodyTooLarge, what));
                }
                self.message.extend_from_slice(bytes);
                Ok(())
            }
            Open::Nothing => Ok(()),
        }
    }
}

/// A message that is to be accepted, with its file where that comes along.
pub(super) struct Sending {
    pub(super) request: SendRequest,
    /// Held until a large request is on disk.
    pub(super) turn: Option<OwnedSemaphorePermit>,
}

impl FromRequest<Arc<HttpState>> for Sending {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Arc<HttpState>) -> Result<Self, Problem> {
        let bounds = &state.app.config.server;
        let media = &state.app.media;
        if let Some(form) = form_of(request.headers())? {
            let limit = rules::largest(&media.config);
            let mut parts = Parts::new(media, limit, bounds.max_body_bytes);
            parts.read(form, request.into_body(), bounds).await?;
            let file = parts.file.ok_or_else(no_file)?;
            let sent: SendRequest = parse(&parts.message, bounds.max_json_depth)?;
            let mime = file.mime.filter(|mime| rules::is_mime(mime));
            let file = MediaRequest::kept(&file.kept.id, mime, file.name);
            return Ok(Self {
                request: sent.with_file(file)?,
                turn: None,
            });
        }
        let declared = declared_length(request.headers()).unwrap_or(0);
        let large = WithFile::<SendRequest>::from_request(request, state).await?;
        let WithFile { value, turn } = large;
        // Only a file makes a message longer; an eighth of it may be escapes.
        let inline = value.inline_bytes();
        let most = bounds.max_body_bytes + inline + inline / 8;
        if declared > most as u64 {
            let most = bounds.max_body_bytes;
            let what = format!("a message may have {most} bytes beside its file");
            return Err(Problem::new(Code::BodyTooLarge, what).with("max_bytes", most));
        }
        Ok(Self {
            request: value,
            turn,
        })
    }
}

/// JSON that may have a file inside, and be that much longer.
pub(super) struct WithFile<T> {
    pub(super) value: T,
    /// Held until a large request is on disk.
    pub(super) turn: Option<OwnedSemaphorePermit>,
}

impl<T: DeserializeOwned> FromRequest<Arc<HttpState>> for WithFile<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Arc<HttpState>) -> Result<Self, Problem> {
        let bounds = &state.app.config.server;
        let declared = declared_length(request.headers()).unwrap_or(0);
        if declared <= bounds.max_body_bytes as u64 {
            return Ok(Self {
                value: read_json(request, bounds, bounds.max_body_bytes).await?,
                turn: None,
            });
        }
        // With a file inside, four letters for three bytes and line ends among them.
        let inline = state.app.media.config.max_inline_bytes;
        let inline = usize::try_from(inline).unwrap_or(usize::MAX / 4);
        let most = bounds.max_body_bytes + inline / 2 * 3;
        if declared > most as u64 {
            let what = format!(
                "a message with its file inside may have {most} bytes; upload a larger file to /v1/media"
            );
            return Err(Problem::new(Code::BodyTooLarge, what).with("max_bytes", most));
        }
        let turn = tokio::time::timeout(TURN, state.inline.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            let what =
                "other large requests are being read; upload the file to /v1/media, or ask again";
            return Err(Problem::new(Code::StorageOverloaded, what).retry_after(5));
        };
        Ok(Self {
            value: read_json(request, bounds, most).await?,
            turn: Some(turn),
        })
    }
}

// ------------------------------------------------------- files of messages

/// The file of a message that this account got or sent. It is fetched from
/// WhatsApp where it is not here yet, and kept for `media.keep_ms`. Where that
/// takes longer than a request may it goes on; ask again.
#[utoipa::path(get, path = "/v1/sessions/{session}/chats/{chat}/messages/{wa_id}/media", tag = "messages",
    params(("session" = String, Path), ("chat" = String, Path),
        ("wa_id" = String, Path, description = "The message's WhatsApp id, or its whole key (false_CHAT_ID).")),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The part that a Range header asks for")))]
pub(super) async fn of_message(
    _: Caller<ToRead>,
    State(state): AppState,
    SessionName(session): SessionName,
    ChatName(chat): ChatName,
    MessageInChat(named): MessageInChat,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    super::sessions::exists(&state, &session).await?;
    let (key, stored) = find(&state, &session, &chat, named).await?;
    let said = stored.as_ref().and_then(|s| s.message.extras.media.clone());
    if stored.is_some() && said.is_none() {
        let what = "the message came without a file";
        return Err(Problem::new(Code::NoFile, what));
    }
    let file = stored.and_then(|stored| stored.file);
    let kept = match file {
        Some(id) => state.app.media.find(&id).await?,
        None => None,
    };
    let kept = match kept {
        Some(kept) => {
            state.app.media.used(&kept).await?;
            kept
        }
        None => fetches::fetch(&state, &session, &key).await?,
    };
    serve(&state.app.media, &kept, said.as_ref(), &headers).await
}

/// The whole key, and the message where it came in here.
async fn find(
    state: &HttpState,
    session: &SessionId,
    chat: &ChatId,
    named: Named,
) -> Result<(MessageKey, Option<StoredInbound>), Problem> {
    let store = &state.app.store;
    let key = match named {
        Named::Key(key) => key,
        Named::Id(id) => {
            let key = store.message_key(session, chat, &id).await?;
            key.ok_or_else(|| {
                let what = format!(
                    "no message {id} of this chat is known here; give its whole key (false_{chat}_{id})"
                );
                Problem::new(Code::MessageUnknown, what)
            })?
        }
    };
    let stored = store.inbound_message(session, &key.chat, &key.id).await?;
    Ok((key, stored))
}

/// One range of bytes that a request asks for, where it can be had.
fn range_of(headers: &HeaderMap, size: u64) -> Option<(u64, u64)> {
    let text = headers.get(RANGE)?.to_str().ok()?.strip_prefix("bytes=")?;
    let (from, to) = text.split_once('-')?;
    let last = size.checked_sub(1)?;
    let (from, to) = match (from.trim(), to.trim()) {
        ("", suffix) => (size.saturating_sub(suffix.parse().ok()?), last),
        (from, "") => (from.parse().ok()?, last),
        (from, to) => (from.parse().ok()?, to.parse::<u64>().ok()?.min(last)),
    };
    (from <= to).then_some((from, to))
}

/// Sends a file, as something to be saved and never as something to be shown:
/// a stranger made it.
async fn serve(
    media: &MediaStore,
    kept: &Kept,
    said: Option<&RemoteFile>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let mut file = tokio::fs::File::open(media.path(&kept.id))
        .await
        .map_err(MediaError::from)?;
    let range = range_of(headers, kept.size);
    let (from, to) = range.unwrap_or((0, kept.size.saturating_sub(1)));
    file.seek(SeekFrom::Start(from))
        .await
        .map_err(MediaError::from)?;
    let length = if kept.size == 0 { 0 } else { to - from + 1 };
    let pieces = futures_util::stream::unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let mut piece = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(64 * 1024)];
        match file.read(&mut piece).await {
            // A file is never changed; one that ends early is cut, and so is the answer.
            Ok(0) => None,
            Ok(read) => {
                piece.truncate(read);
                Some((Ok(Bytes::from(piece)), (file, left - read as u64)))
            }
            Err(error) => Some((Err(error), (file, 0))),
        }
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let sniffed = sniff::sniff(&kept.head);
    let mime = said
        .map(|said| said.mime.as_str())
        .filter(|mime| rules::is_mime(mime))
        .or(sniffed)
        .unwrap_or("application/octet-stream");
    let file_name = said
        .and_then(|said| said.name.as_deref())
        .and_then(name::harmless)
        .unwrap_or_else(|| format!("file.{}", rules::ending(mime)));
    let answer = response.headers_mut();
    let mut set = |header: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            answer.insert(header, value);
        }
    };
    set(CONTENT_TYPE, mime.to_owned());
    set(CONTENT_LENGTH, length.to_string());
    set(ACCEPT_RANGES, "bytes".to_owned());
    set(
        CONTENT_DISPOSITION,
        format!(
            "attachment; filename*=UTF-8''{}",
            percent_encoded(&file_name)
        ),
    );
    set(
        CONTENT_SECURITY_POLICY,
        "sandbox; default-src 'none'".to_owned(),
    );
    if range.is_some() {
        set(CONTENT_RANGE, format!("bytes {from}-{to}/{}", kept.size));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// As RFC 8187 wants a name in a header.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            use std::fmt::Write as _;
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_or_passed_over() {
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, HeaderValue::from_str(text).unwrap());
            range_of(&headers, 100)
        };
        assert_eq!(asked("bytes=0-9"), Some((0, 9)));
        assert_eq!(asked("bytes=90-"), Some((90, 99)));
        assert_eq!(asked("bytes=-10"), Some((90, 99)));
        assert_eq!(asked("bytes=50-500"), Some((50, 99)));
        for other in [
            "bytes=100-",
            "bytes=9-0",
            "bytes=0-1,5-6",
            "lines=1-2",
            "bytes=a-",
        ] {
            assert_eq!(asked(other), None, "{other}");
        }
        assert_eq!(range_of(&HeaderMap::new(), 100), None);
    }

    #[test]
    fn names_are_encoded_for_a_header() {
        assert_eq!(percent_encoded("größe 1.png"), "gr%C3%B6%C3%9Fe%201.png");
    }
}
