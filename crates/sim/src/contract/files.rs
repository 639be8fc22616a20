//! Small files of every kind, good enough for a browser to take.

use sha2::{Digest as _, Sha256};
use steadfast_core::ids::MediaId;
use steadfast_core::outbox::{Media, MediaFile, MediaKind};

/// A file with what is known of it.
#[derive(Debug, Clone)]
pub struct SampleFile {
    /// How it is shown.
    pub kind: MediaKind,
    /// Its type.
    pub mime: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// A picture of two by two pixels.
const PNG: &[u8] = &[
    0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0x00, 0x00, 0x00, 0x0D, 0x49, 0x48, 0x44, 0x52,
    0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x02, 0x08, 0x02, 0x00, 0x00, 0x00, 0xFD, 0xD4, 0x9A,
    0x73, 0x00, 0x00, 0x00, 0x13, 0x49, 0x44, 0x41, 0x54, 0x78, 0xDA, 0x63, 0x50, 0x68, 0xF8, 0x0F,
    0x44, 0x0C, 0xFF, 0x1B, 0x14, 0x80, 0x08, 0x00, 0x2D, 0x72, 0x06, 0x7D, 0xDC, 0x76, 0x40, 0xCB,
    0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
];

/// A picture of one pixel as WebP, without loss.
const WEBP: &[u8] = &[
    b'R', b'I', b'F', b'F', 0x1A, 0, 0, 0, b'W', b'E', b'B', b'P', b'V', b'P', b'8', b'L', 0x0D, 0,
    0, 0, 0x2F, 0, 0, 0, 0x10, 7, 0x10, 0x11, 0x11, 0x88, 0x88, 0xFE, 7, 0,
];

/// The boxes of a film that a player looks at before the first picture.
fn mp4() -> Vec<u8> {
    let mut moov = b"moov".to_vec();
    moov.extend(b"mvhd");
    moov.extend([1; 100]);
    moov.extend(b"trakstblavc1");
    moov.extend([0; 24]);
    moov.extend(64_u16.to_be_bytes());
    moov.extend(48_u16.to_be_bytes());
    let mut file = vec![0, 0, 0, 24];
    file.extend(b"ftypisom\0\0\x02\0isommp42");
    file.extend((moov.len() as u32 + 4).to_be_bytes());
    file.extend(moov);
    file
}

/// A sound file that begins as Ogg does.
fn ogg() -> Vec<u8> {
    let mut file = b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead".to_vec();
    file.extend([0; 300]);
    file
}

impl SampleFile {
    /// One of this kind.
    pub fn of(kind: MediaKind) -> Self {
        let (mime, bytes) = match kind {
            MediaKind::Image => ("image/png", PNG.to_vec()),
            MediaKind::Video => ("video/mp4", mp4()),
            MediaKind::Audio => ("audio/mpeg", [b"ID3\x04\0".as_slice(), &[0; 300]].concat()),
            MediaKind::Voice => ("audio/ogg; codecs=opus", ogg()),
            MediaKind::Document => (
                "application/pdf",
                [b"%PDF-1.7\n".as_slice(), &b"steadfast ".repeat(100_000)].concat(),
            ),
            MediaKind::Sticker => ("image/webp", WEBP.to_vec()),
        };
        Self { kind, mime, bytes }
    }

    /// The digest of its content.
    pub fn id(&self) -> MediaId {
        MediaId::of(&Sha256::digest(&self.bytes).into())
    }

    /// As a message's file.
    pub fn media(&self, caption: &str, name: Option<&str>) -> Media {
        Media {
            shown_as: self.kind,
            file: MediaFile {
                id: self.id(),
                mime: self.mime.to_owned(),
                size: self.bytes.len() as u64,
                name: name.map(str::to_owned),
            },
            caption: caption.to_owned(),
            mentions: Vec::new(),
            reply_to: None,
        }
    }
}
