//! Which files a kind of message takes, and how large they may be.

use super::sniff;
use crate::config;
use steadfast_core::outbox::MediaKind;

/// Why a file cannot be sent as it is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Too long for its kind.
    #[error("the file has {size} bytes; a message of type {} takes {limit} (media.{key})", .kind.as_str())]
    TooLarge {
        /// How it is to be shown.
        kind: MediaKind,
        /// Its length.
        size: u64,
        /// What is allowed.
        limit: u64,
        /// The setting that allows it.
        key: &'static str,
    },
    /// Not of a type that the kind shows.
    #[error("the file is {found}; a message of type {} shows {takes}. Send it as a document instead", .kind.as_str())]
    WrongType {
        /// How it is to be shown.
        kind: MediaKind,
        /// What it is.
        found: String,
        /// What would do.
        takes: &'static str,
    },
    /// More pixels than a browser should be asked to unfold.
    #[error(
        "the picture has {width} x {height} pixels; {limit} together can be sent (media.max_pixels)"
    )]
    TooManyPixels {
        /// Across.
        width: u32,
        /// Down.
        height: u32,
        /// What is allowed.
        limit: u64,
    },
    /// How many pixels it has cannot be found.
    #[error("the picture does not say how large it is. Send it as a document instead")]
    NoDimensions,
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
}

/// How large a file of this kind may be, and the setting that says so.
pub fn limit(config: &config::Media, kind: MediaKind) -> (u64, &'static str) {
    match kind {
        MediaKind::Image => (config.max_image_bytes, "max_image_bytes"),
        MediaKind::Video => (config.max_video_bytes, "max_video_bytes"),
        MediaKind::Audio | MediaKind::Voice => (config.max_audio_bytes, "max_audio_bytes"),
        MediaKind::Document => (config.max_document_bytes, "max_document_bytes"),
        MediaKind::Sticker => (config.max_sticker_bytes, "max_sticker_bytes"),
    }
}

/// The largest file of any kind.
pub fn largest(config: &config::Media) -> u64 {
    let limits = MediaKind::ALL.map(|kind| limit(config, kind).0);
    limits.into_iter().max().unwrap_or(0)
}

/// A file, as far as its first bytes and its owner tell.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Its length.
    pub size: u64,
    /// Its first bytes.
    pub head: &'a [u8],
    /// Its type, by its owner's word.
    pub declared: Option<&'a str>,
    /// Its width and height, where it is a picture that says so.
    pub dimensions: Option<(u32, u32)>,
}

/// Whether a file can be sent as this kind, and under which type.
pub fn judge(config: &config::Media, kind: MediaKind, seen: Seen<'_>) -> Result<String, Unfit> {
    if seen.size == 0 {
        return Err(Unfit::Empty);
    }
    let (limit, key) = limit(config, kind);
    if seen.size > limit {
        return Err(Unfit::TooLarge {
            kind,
            size: seen.size,
            limit,
            key,
        });
    }
    let mime = type_of(kind, seen.head, seen.declared);
    let takes = takes(kind);
    let fits = match kind {
        MediaKind::Image => matches!(
            mime.as_str(),
            "image/jpeg" | "image/png" | "image/webp" | "image/gif"
        ),
        MediaKind::Sticker => matches!(
            mime.as_str(),
            "image/webp" | "image/png" | "image/jpeg" | "image/gif"
        ),
        MediaKind::Video => mime.starts_with("video/"),
        MediaKind::Audio | MediaKind::Voice => mime.starts_with("audio/"),
        MediaKind::Document => true,
    };
    if !fits {
        return Err(Unfit::WrongType {
            kind,
            found: mime,
            takes,
        });
    }
    // What cannot be bounded is not given to a browser to unfold.
    if matches!(kind, MediaKind::Image | MediaKind::Sticker) && seen.dimensions.is_none() {
        return Err(Unfit::NoDimensions);
    }
    // A document is not opened by anybody on the way.
    if kind != MediaKind::Document
        && let Some((width, height)) = seen.dimensions
        && u64::from(width) * u64::from(height) > config.max_pixels
    {
        return Err(Unfit::TooManyPixels {
            width,
            height,
            limit: config.max_pixels,
        });
    }
    Ok(mime)
}

fn takes(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "JPEG, PNG, WebP and GIF pictures",
        MediaKind::Sticker => "WebP pictures (others are made into one)",
        MediaKind::Video => "films, best MP4 with H.264",
        MediaKind::Audio | MediaKind::Voice => "sound files, best Ogg with Opus",
        MediaKind::Document => "any file",
    }
}

/// The type that a file is sent under: what its bytes show, or else its
/// owner's word.
fn type_of(kind: MediaKind, head: &[u8], declared: Option<&str>) -> String {
    let declared = declared
        .filter(|mime| is_mime(mime))
        .map(str::to_ascii_lowercase);
    match (sniff::sniff(head), declared) {
        // These hold many things; their owner knows which.
        (
            Some("application/zip" | "application/x-ole-storage" | "application/gzip"),
            Some(word),
        ) => word,
        // One container for both, told apart by what it is meant for.
        (Some("video/webm"), _) if matches!(kind, MediaKind::Audio | MediaKind::Voice) => {
            "audio/webm".to_owned()
        }
        (Some("video/mp4"), _) if matches!(kind, MediaKind::Audio | MediaKind::Voice) => {
            "audio/mp4".to_owned()
        }
        (Some("audio/ogg"), Some(word)) if word.starts_with("video/ogg") => word,
        // What phones look for in a voice note.
        (Some("audio/ogg"), _) if kind == MediaKind::Voice => "audio/ogg; codecs=opus".to_owned(),
        // The same, and more exactly.
        (Some(found), Some(word)) if word.split(';').next() == Some(found) => word,
        (Some(found), _) => found.to_owned(),
        // A picture that shows no sign of one is none, whatever is said of it.
        (None, Some(word)) if kind == MediaKind::Document || !word.starts_with("image/") => word,
        (None, _) => "application/octet-stream".to_owned(),
    }
}

/// The ending that files of a type have.
pub fn ending(mime: &str) -> &str {
    let essence = mime.split(';').next().unwrap_or_default().trim();
    match essence {
        "image/jpeg" => "jpg",
        "text/plain" => "txt",
        "audio/mpeg" => "mp3",
        "audio/mp4" => "m4a",
        "video/quicktime" => "mov",
        "video/3gpp" => "3gp",
        "application/gzip" => "gz",
        other => {
            let kind = other.rsplit('/').next().unwrap_or_default();
            let plain = !kind.is_empty()
                && kind.len() <= 5
                && kind.bytes().all(|b| b.is_ascii_alphanumeric());
            if plain { kind } else { "bin" }
        }
    }
}

/// Whether a text can stand as a type: `a/b`, with parameters or without.
pub fn is_mime(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    text.len() <= 200
        && text.bytes().all(|b| (0x20..0x7F).contains(&b))
        && essence
            .split_once('/')
            .is_some_and(|(one, other)| token(one) && token(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> config::Media {
        config::Config::defaults().unwrap().media
    }

    fn judged(kind: MediaKind, head: &[u8], declared: Option<&str>) -> Result<String, Unfit> {
        let size = head.len() as u64;
        judge(
            &config(),
            kind,
            Seen {
                size,
                head,
                declared,
                dimensions: sniff::dimensions(head),
            },
        )
    }

    #[test]
    fn bytes_count_more_than_words() {
        let png = b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR\0\0\0\x01\0\0\0\x01";
        assert_eq!(
            judged(MediaKind::Image, png, Some("image/jpeg")).as_deref(),
            Ok("image/png")
        );
        assert!(matches!(
            judged(MediaKind::Image, b"<svg>", Some("image/svg+xml")),
            Err(Unfit::WrongType { .. })
        ));
        assert!(matches!(
            judged(MediaKind::Video, png, Some("video/mp4")),
            Err(Unfit::WrongType { .. })
        ));
        assert_eq!(
            judged(MediaKind::Voice, b"\x1A\x45\xDF\xA3", None).as_deref(),
            Ok("audio/webm")
        );
        let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        assert_eq!(
            judged(MediaKind::Document, b"PK\x03\x04", Some(docx)).as_deref(),
            Ok(docx)
        );
        assert_eq!(
            judged(
                MediaKind::Document,
                b"a,b\n",
                Some("text/csv; charset=utf-8")
            )
            .as_deref(),
            Ok("text/csv; charset=utf-8")
        );
        assert_eq!(
            judged(MediaKind::Document, b"??", Some("not a type")).as_deref(),
            Ok("application/octet-stream")
        );
    }

    #[test]
    fn a_picture_of_unknown_size_is_refused() {
        let jpeg = b"\xFF\xD8\xFF\xDA\0\x02";
        for kind in [MediaKind::Image, MediaKind::Sticker] {
            assert_eq!(judged(kind, jpeg, None), Err(Unfit::NoDimensions));
        }
        assert!(judged(MediaKind::Document, jpeg, None).is_ok());
    }

    #[test]
    fn limits_are_told_with_their_setting() {
        let config = config();
        let seen = Seen {
            size: config.max_image_bytes + 1,
            head: b"\xFF\xD8\xFF",
            declared: None,
            dimensions: None,
        };
        let said = judge(&config, MediaKind::Image, seen).unwrap_err();
        assert!(said.to_string().contains("media.max_image_bytes"), "{said}");
        assert_eq!(judged(MediaKind::Document, b"", None), Err(Unfit::Empty));
        assert!(largest(&config) >= config.max_document_bytes);
    }

    #[test]
    fn a_picture_that_would_fill_the_memory_is_refused() {
        let mut bomb = b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR".to_vec();
        bomb.extend(60_000_u32.to_be_bytes());
        bomb.extend(60_000_u32.to_be_bytes());
        for kind in [MediaKind::Image, MediaKind::Sticker] {
            assert!(matches!(
                judged(kind, &bomb, None),
                Err(Unfit::TooManyPixels { .. })
            ));
        }
        assert!(judged(MediaKind::Document, &bomb, None).is_ok());
    }
}
