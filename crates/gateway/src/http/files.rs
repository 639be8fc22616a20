//! The file of a message, as callers give it: by URL, in the request, or
//! uploaded before. It is on disk before the message is accepted.

use super::problem::{Code, Problem};
use crate::media::rules::{self, Seen};
use crate::media::{Filling, Kept, MediaError, MediaStore, name};
use crate::outgoing;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use steadfast_core::ids::{ChatId, MediaId, MessageKey};
use steadfast_core::outbox::{Body, Media, MediaFile, MediaKind};
use utoipa::ToSchema;

/// Base64 with or without the signs that only fill it up.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Bytes that are decoded and written at a time.
const PIECE: usize = 64 * 1024;

/// A file: exactly one of `url`, `base64` and `id`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MediaRequest {
    /// Where it can be fetched. Private addresses are refused unless outgoing.allow names them.
    #[schema(example = "https://example.com/cat.jpg")]
    url: Option<String>,
    /// Its bytes in base64, also as a data: URL; up to media.max_inline_bytes.
    base64: Option<String>,
    /// The id that an upload to /v1/media was answered.
    id: Option<String>,
    /// Its type, where its bytes do not show it.
    mime: Option<String>,
    /// The name that a document is shown under.
    filename: Option<String>,
}

/// Where a file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Url(String),
    Inline(String),
    Kept(MediaId),
}

/// A file that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileOrder {
    kind: MediaKind,
    source: Source,
    mime: Option<String>,
    name: Option<String>,
    pub(super) caption: String,
    pub(super) mentions: Vec<ChatId>,
    pub(super) reply_to: Option<MessageKey>,
}

impl MediaRequest {
    /// How much of it is base64.
    pub(super) fn inline_bytes(&self) -> usize {
        self.base64.as_ref().map_or(0, String::len)
    }

    /// A file that was uploaded in the same request.
    pub(super) fn kept(id: &MediaId, mime: Option<String>, filename: Option<String>) -> Self {
        Self {
            id: Some(id.to_string()),
            mime,
            filename,
            ..Self::default()
        }
    }

    /// Checks what can be checked without the file.
    pub(super) fn read(self, kind: MediaKind) -> Result<FileOrder, Problem> {
        let mut mime = self.mime;
        let source = match (self.url, self.base64, self.id) {
            (Some(url), None, None) => Source::Url(url),
            (None, Some(text), None) => {
                let (declared, text) = data_url(text);
                mime = mime.or(declared);
                Source::Inline(text)
            }
            (None, None, Some(id)) => Source::Kept(
                MediaId::parse(&id).map_err(|error| Problem::field("media.id", error))?,
            ),
            _ => {
                let what = "give exactly one of url, base64 and id";
                return Err(Problem::field("media", what));
            }
        };
        if let Some(mime) = &mime
            && !rules::is_mime(mime)
        {
            let what = "it is no type; write it as image/jpeg";
            return Err(Problem::field("media.mime", what));
        }
        Ok(FileOrder {
            kind,
            source,
            mime,
            name: self.filename.as_deref().and_then(name::harmless),
            caption: String::new(),
            mentions: Vec::new(),
            reply_to: None,
        })
    }
}

/// `data:image/png;base64,AAAA`: the type and the rest.
fn data_url(text: String) -> (Option<String>, String) {
    let parts = text
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(','));
    match parts {
        Some((head, data)) => {
            let mime = head.strip_suffix(";base64").unwrap_or(head);
            let mime = (!mime.is_empty()).then(|| mime.to_owned());
            (mime, data.to_owned())
        }
        None => (None, text),
    }
}

impl FileOrder {
    /// What a request's digest covers: the request, not what the URL leads to.
    pub(super) fn said(&self) -> String {
        let source = match &self.source {
            Source::Url(url) => format!("url {url}"),
            Source::Inline(text) => {
                format!("sha256 {}", MediaId::of(&Sha256::digest(text).into()))
            }
            Source::Kept(id) => format!("id {id}"),
        };
        json!([
            self.kind.as_str(),
            source,
            self.mime,
            self.name,
            self.caption,
            self.mentions,
            self.reply_to
        ])
        .to_string()
    }

    /// Brings the file here, and makes the body that is to be stored.
    pub(super) async fn bring(self, media: &MediaStore) -> Result<Body, Problem> {
        let mut found = Found::default();
        let kept = match self.source {
            Source::Url(url) => by_url(media, self.kind, &url, &mut found).await?,
            Source::Inline(text) => inline(media, self.kind, text).await?,
            Source::Kept(id) => media.find(&id).await?.ok_or_else(|| {
                Problem::new(Code::MediaUnknown, format!("there is no file {id}"))
            })?,
        };
        let declared = self.mime.or(found.mime);
        let seen = Seen {
            size: kept.size,
            head: &kept.head,
            declared: declared.as_deref(),
            dimensions: media.dimensions(&kept).await?,
        };
        let mime = rules::judge(&media.config, self.kind, seen)?;
        let name = self.name.or_else(|| {
            // Only a document shows its name, and it shows one always.
            (self.kind == MediaKind::Document).then(|| {
                found
                    .name
                    .unwrap_or_else(|| format!("file.{}", rules::ending(&mime)))
            })
        });
        Ok(Body::Media(Media {
            shown_as: self.kind,
            file: MediaFile {
                id: kept.id,
                mime,
                size: kept.size,
                name,
            },
            caption: self.caption,
            mentions: self.mentions,
            reply_to: self.reply_to,
        }))
    }
}

/// What the other side of a URL says of its file.
#[derive(Default)]
struct Found {
    mime: Option<String>,
    name: Option<String>,
}

fn too_large(media: &MediaStore, kind: MediaKind) -> Problem {
    let (limit, key) = rules::limit(&media.config, kind);
    let what = format!(
        "the file is longer than a message of type {} takes: {limit} bytes (media.{key})",
        kind.as_str()
    );
    Problem::new(Code::MediaTooLarge, what).with("max_bytes", limit)
}

async fn by_url(
    media: &MediaStore,
    kind: MediaKind,
    url: &str,
    found: &mut Found,
) -> Result<Kept, Problem> {
    let (limit, _) = rules::limit(&media.config, kind);
    let mut incoming = media.begin(limit).await?;
    let mut filling = Filling::new(&mut incoming);
    let fetched = media.outgoing.get_to(url, limit, &mut filling).await;
    let failed = filling.failed.take();
    let fetched = match (fetched, failed) {
        (Ok(fetched), None) => fetched,
        (_, Some(MediaError::TooLarge(_))) | (Err(outgoing::Error::TooLarge(_)), None) => {
            return Err(too_large(media, kind));
        }
        (_, Some(error)) => return Err(error.into()),
        (Err(error), None) => {
            let text = format!("media.url: {error}");
            let problem = Problem::new(Code::MediaUnreachable, text)
                .with("field", "media.url")
                .with("why", error.name());
            return Err(if passes(&error) {
                problem.retry_after(5)
            } else {
                problem
            });
        }
    };
    found.mime = fetched.content_type;
    found.name = fetched
        .content_disposition
        .as_deref()
        .and_then(name::from_disposition)
        .or_else(|| name::from_path(fetched.target.path().as_str()));
    Ok(media.keep(incoming).await?)
}

/// Whether the same URL may work in a moment.
fn passes(error: &outgoing::Error) -> bool {
    match error {
        outgoing::Error::NoAddress { .. }
        | outgoing::Error::Connect { .. }
        | outgoing::Error::Timeout(_)
        | outgoing::Error::Broken(_) => true,
        outgoing::Error::Status(status) => matches!(status, 408 | 429 | 500..),
        outgoing::Error::Url(_)
        | outgoing::Error::Refused { .. }
        | outgoing::Error::Tls { .. }
        | outgoing::Error::TooManyRedirects(_)
        | outgoing::Error::TooLarge(_)
        | outgoing::Error::Sink(_) => false,
    }
}

async fn inline(media: &MediaStore, kind: MediaKind, mut text: String) -> Result<Kept, Problem> {
    text.retain(|c| !c.is_ascii_whitespace());
    let size = (text.len() / 4 * 3) as u64;
    let most = media.config.max_inline_bytes;
    if size > most.saturating_add(2) {
        let what = format!(
            "media.base64: a file in a request may have {most} bytes (media.max_inline_bytes); upload a larger one to /v1/media"
        );
        return Err(Problem::new(Code::MediaTooLarge, what).with("max_bytes", most));
    }
    let (limit, _) = rules::limit(&media.config, kind);
    let mut incoming = media.begin(limit).await?;
    // Four letters are three bytes: a piece of whole fours decodes by itself.
    for piece in text.as_bytes().chunks(PIECE * 4) {
        let bytes = LENIENT.decode(piece).map_err(|_| {
            Problem::field(
                "media.base64",
                "it is no base64; use the standard alphabet (A-Z a-z 0-9 + /)",
            )
        })?;
        match incoming.write(&bytes).await {
            Ok(()) => {}
            Err(MediaError::TooLarge(_)) => return Err(too_large(media, kind)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(media.keep(incoming).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(request: MediaRequest) -> FileOrder {
        request.read(MediaKind::Document).unwrap()
    }

    #[test]
    fn a_data_url_brings_its_type() {
        let order = read(MediaRequest {
            base64: Some("data:text/csv;base64,YSxi".to_owned()),
            filename: Some("../x.csv".to_owned()),
            ..MediaRequest::default()
        });
        assert_eq!(order.mime.as_deref(), Some("text/csv"));
        assert_eq!(order.source, Source::Inline("YSxi".to_owned()));
        assert_eq!(order.name.as_deref(), Some("x.csv"));
    }

    #[test]
    fn what_was_said_tells_requests_apart() {
        let url = |url: &str| {
            read(MediaRequest {
                url: Some(url.to_owned()),
                ..MediaRequest::default()
            })
        };
        assert_eq!(url("https://a/b").said(), url("https://a/b").said());
        assert_ne!(url("https://a/b").said(), url("https://a/c").said());
        let captioned = FileOrder {
            caption: "x".to_owned(),
            ..url("https://a/b")
        };
        assert_ne!(url("https://a/b").said(), captioned.said());
    }

    proptest! {
        /// However it is padded or cut, pieces decode to the same as the whole.
        #[test]
        fn pieces_of_base64_decode_by_themselves(bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1..20_usize) {
            let text = LENIENT.encode(&bytes);
            let mut decoded = Vec::new();
            for part in text.as_bytes().chunks(piece * 4) {
                decoded.extend(LENIENT.decode(part).unwrap());
            }
            prop_assert_eq!(decoded, bytes);
        }

        #[test]
        fn no_text_breaks_it(text in ".{0,200}") {
            let (_, rest) = data_url(text);
            let _ = LENIENT.decode(rest);
        }
    }
}
