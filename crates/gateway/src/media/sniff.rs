//! What a file is, by its first bytes: its type, and the size of a picture.
//! Headers are read, nothing is ever decoded.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

/// So much of a file is kept for looking at. A photograph's own size stands
/// behind its Exif data, which may have 64 KiB, and a colour profile.
pub const HEAD_BYTES: usize = 256 * 1024;

/// A type that begins with these bytes, so far from the start.
const MAGIC: &[(usize, &[u8], &str)] = &[
    (0, b"\xFF\xD8\xFF", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1A\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"\x1A\x45\xDF\xA3", "video/webm"),
    (0, b"\x1F\x8B", "application/gzip"),
    (0, b"Rar!\x1A\x07", "application/vnd.rar"),
    (0, b"7z\xBC\xAF\x27\x1C", "application/x-7z-compressed"),
    (
        0,
        b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1",
        "application/x-ole-storage",
    ),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"BM", "image/bmp"),
];

/// The type that a file's first bytes show; `None` where they show none.
pub fn sniff(head: &[u8]) -> Option<&'static str> {
    if head.starts_with(b"RIFF") {
        return match head.get(8..12)? {
            b"WEBP" => Some("image/webp"),
            b"WAVE" => Some("audio/wav"),
            b"AVI " => Some("video/x-msvideo"),
            _ => None,
        };
    }
    if head.get(4..8) == Some(b"ftyp") {
        return Some(match head.get(8..12)? {
            b"M4A " | b"M4B " => "audio/mp4",
            b"qt  " => "video/quicktime",
            b"heic" | b"heix" | b"mif1" => "image/heic",
            b"avif" => "image/avif",
            [b'3', b'g', ..] => "video/3gpp",
            _ => "video/mp4",
        });
    }
    // MPEG audio frames: eleven set bits, then layer III or II. ADTS has layer 0.
    if let [0xFF, second, ..] = head
        && second & 0xE0 == 0xE0
    {
        return match (second >> 1) & 3 {
            0 if second & 0xF6 == 0xF0 => Some("audio/aac"),
            1 | 2 => Some("audio/mpeg"),
            // Layer I is not met any more; the mark of UTF-16 looks like it.
            _ => None,
        };
    }
    let found = MAGIC
        .iter()
        .find(|(at, magic, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    found.map(|(_, _, mime)| *mime)
}

/// Width and height of a picture, by its header; `None` where there is none
/// that can be read, or where it stands further behind.
pub fn dimensions(head: &[u8]) -> Option<(u32, u32)> {
    match sniff(head)? {
        "image/png" => Some((be32(head, 16)?, be32(head, 20)?)),
        "image/gif" => Some((le16(head, 6)?, le16(head, 8)?)),
        "image/bmp" => Some((
            le32(head, 18)?,
            le32(head, 22)?.cast_signed().unsigned_abs(),
        )),
        "image/webp" => webp(head),
        "image/jpeg" => jpeg(&mut Cursor::new(head)).ok().flatten(),
        _ => None,
    }
}

fn webp(head: &[u8]) -> Option<(u32, u32)> {
    match head.get(12..16)? {
        // A frame of VP8: 14 bits each behind the start code.
        b"VP8 " => Some((le16(head, 26)? & 0x3FFF, le16(head, 28)? & 0x3FFF)),
        b"VP8L" => {
            let bits = le32(head, 21)?;
            Some(((bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1))
        }
        b"VP8X" => Some((le24(head, 24)? + 1, le24(head, 27)? + 1)),
        _ => None,
    }
}

/// Goes from marker to marker until one begins a frame.
///
/// # Errors
/// What reading says; a file that ends too early has no frame.
pub fn jpeg(file: &mut (impl Read + Seek)) -> io::Result<Option<(u32, u32)>> {
    match frame(file) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        found => found,
    }
}

fn frame(file: &mut (impl Read + Seek)) -> io::Result<Option<(u32, u32)>> {
    file.seek(SeekFrom::Start(2))?;
    loop {
        let [mark, mut marker] = bytes(file)?;
        if mark != 0xFF {
            return Ok(None);
        }
        while marker == 0xFF {
            // Fill bytes.
            [marker] = bytes(file)?;
        }
        match marker {
            // Markers without a length.
            0x01 | 0xD0..=0xD8 => {}
            // SOF0 to SOF15, less the three that are no frames.
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                let [_, _, _, down @ .., w0, w1] = bytes::<7>(file)?;
                let across = u16::from_be_bytes([w0, w1]);
                return Ok(Some((across.into(), u16::from_be_bytes(down).into())));
            }
            // The picture itself begins, or everything is over.
            0xD9 | 0xDA => return Ok(None),
            _ => {
                let length = u16::from_be_bytes(bytes(file)?);
                file.seek_relative(i64::from(length.max(2)) - 2)?;
            }
        }
    }
}

fn bytes<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn be32(head: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?))
}

fn le16(head: &[u8], at: usize) -> Option<u32> {
    let bytes = head.get(at..at + 2)?.try_into().ok()?;
    Some(u32::from(u16::from_le_bytes(bytes)))
}

fn le24(head: &[u8], at: usize) -> Option<u32> {
    let [a, b, c] = head.get(at..at + 3)?.try_into().ok()?;
    Some(u32::from_le_bytes([a, b, c, 0]))
}

fn le32(head: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR".to_vec();
        file.extend(width.to_be_bytes());
        file.extend(height.to_be_bytes());
        file
    }

    #[test]
    fn files_are_known_by_their_first_bytes() {
        for (head, mime) in [
            (b"\xFF\xD8\xFF\xE0".as_slice(), "image/jpeg"),
            (b"GIF89a....", "image/gif"),
            (b"RIFF....WEBPVP8 ", "image/webp"),
            (b"RIFF....WAVEfmt ", "audio/wav"),
            (b"\0\0\0\x18ftypisom", "video/mp4"),
            (b"\0\0\0\x18ftypM4A ", "audio/mp4"),
            (b"\0\0\0\x18ftyp3gp5", "video/3gpp"),
            (b"\xFF\xFB\x90\x64", "audio/mpeg"),
            (b"\xFF\xF1\x50\x80", "audio/aac"),
            (b"OggS\0\x02", "audio/ogg"),
            (b"%PDF-1.7", "application/pdf"),
            (b"PK\x03\x04", "application/zip"),
        ] {
            assert_eq!(sniff(head), Some(mime));
        }
        for nothing in [
            b"".as_slice(),
            b"hello",
            b"RIFF",
            b"\xFF\xE1",
            b"\xFF\xFEh\0",
            b"<html>",
        ] {
            assert_eq!(sniff(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_picture_says_how_large_it_is() {
        assert_eq!(dimensions(&png(60_000, 3)), Some((60_000, 3)));
        assert_eq!(dimensions(b"GIF89a\x02\x01\x03\0"), Some((258, 3)));
        let mut jpeg = b"\xFF\xD8\xFF\xE1\0\x06Exif\xFF\xFF\xC2\0\x11\x08".to_vec();
        jpeg.extend([0x01, 0x00, 0x02, 0x00]);
        assert_eq!(dimensions(&jpeg), Some((512, 256)));
        let mut webp = b"RIFF....WEBPVP8X\x0A\0\0\0\0\0\0\0".to_vec();
        webp.extend([0xFF, 0x00, 0x00, 0x0F, 0x01, 0x00]);
        assert_eq!(dimensions(&webp), Some((256, 272)));
        assert_eq!(dimensions(b"\xFF\xD8\xFF\xDA\0\x02"), None);
        assert_eq!(dimensions(b"%PDF-1.7"), None);
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(mut head in prop::collection::vec(any::<u8>(), 0..300), start in 0..5_usize) {
            let starts: [&[u8]; 5] = [b"\xFF\xD8\xFF", b"RIFF....WEBPVP8X", b"GIF89a", b"\x89PNG\r\n\x1A\n", b""];
            let mut file = starts[start].to_vec();
            file.append(&mut head);
            sniff(&file);
            dimensions(&file);
        }
    }
}
