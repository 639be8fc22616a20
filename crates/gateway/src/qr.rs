//! QR codes as pictures: on a terminal, as SVG, as PNG.

use qrcode::{EcLevel, QrCode};

/// Light modules around a code; the standard asks for four (ISO/IEC 18004, 6.3.8).
const QUIET: usize = 4;
/// Pixels of one module in a PNG.
const PNG_SCALE: usize = 8;

/// The text is too long for a QR code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the code is too long for a QR picture")]
pub struct TooLong;

/// A square of modules, with its quiet zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    side: usize,
    dark: Vec<bool>,
}

impl Picture {
    /// Draws a text, with the error correction that WhatsApp Web uses (low:
    /// fewer, larger modules).
    ///
    /// # Errors
    /// Where it is too long.
    pub fn of(text: &str) -> Result<Self, TooLong> {
        let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(|_| TooLong)?;
        let width = code.width();
        let colors = code.to_colors();
        let side = width + 2 * QUIET;
        let mut dark = vec![false; side * side];
        for (i, color) in colors.iter().enumerate() {
            let (x, y) = (i % width, i / width);
            dark[(y + QUIET) * side + x + QUIET] = *color == qrcode::Color::Dark;
        }
        Ok(Self { side, dark })
    }

    fn dark(&self, x: usize, y: usize) -> bool {
        self.dark.get(y * self.side + x).copied().unwrap_or(false)
    }

    /// Two rows of modules a line, in half blocks, the light ones drawn: right
    /// on a dark terminal.
    pub fn half_blocks(&self) -> String {
        let mut text = String::new();
        for y in (0..self.side).step_by(2) {
            for x in 0..self.side {
                let below_light = y + 1 < self.side && !self.dark(x, y + 1);
                text.push(match (!self.dark(x, y), below_light) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            text.push('\n');
        }
        text
    }

    /// The same with black and white set explicitly, right on any terminal.
    pub fn half_blocks_ansi(&self) -> String {
        let mut text = String::new();
        for line in self.half_blocks().lines() {
            // 97;40: bright white on black (ECMA-48 SGR with the common extension).
            text.push_str("\u{1b}[97;40m");
            text.push_str(line);
            text.push_str("\u{1b}[0m\n");
        }
        text
    }

    /// As SVG.
    pub fn svg(&self) -> String {
        use std::fmt::Write as _;
        let side = self.side;
        let mut path = String::new();
        for y in 0..side {
            for x in 0..side {
                if self.dark(x, y) {
                    let _ = write!(path, "M{x} {y}h1v1h-1z");
                }
            }
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\"><rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>"
        )
    }

    /// As PNG: one bit a pixel, stored without compression, which is small
    /// enough here and needs no library.
    pub fn png(&self) -> Vec<u8> {
        let pixels = self.side * PNG_SCALE;
        let row_bytes = pixels.div_ceil(8);
        let mut raw = Vec::with_capacity((row_bytes + 1) * pixels);
        for y in 0..pixels {
            raw.push(0); // no filter
            let mut row = vec![0_u8; row_bytes];
            for x in 0..pixels {
                if !self.dark(x / PNG_SCALE, y / PNG_SCALE) {
                    row[x / 8] |= 0x80 >> (x % 8);
                }
            }
            raw.extend(row);
        }
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut header = Vec::with_capacity(13);
        header.extend((pixels as u32).to_be_bytes());
        header.extend((pixels as u32).to_be_bytes());
        header.extend([1, 0, 0, 0, 0]); // 1 bit, greyscale, no interlace
        chunk(&mut png, *b"IHDR", &header);
        chunk(&mut png, *b"IDAT", &zlib_stored(&raw));
        chunk(&mut png, *b"IEND", &[]);
        png
    }
}

/// RFC 1950 around stored blocks of RFC 1951.
fn zlib_stored(raw: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = raw.chunks(65_535).peekable();
    while let Some(block) = blocks.next() {
        let len = block.len() as u16;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(len.to_le_bytes());
        out.extend((!len).to_le_bytes());
        out.extend(block);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in raw {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    out.extend(((b << 16) | a).to_be_bytes());
    out
}

fn chunk(png: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    png.extend((data.len() as u32).to_be_bytes());
    let start = png.len();
    png.extend(kind);
    png.extend(data);
    let sum = crc32(&png[start..]);
    png.extend(sum.to_be_bytes());
}

/// The checksum of PNG (ISO 3309), bit by bit: a picture has a few kilobytes.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1));
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_match_published_values() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        let wikipedia = zlib_stored(b"Wikipedia");
        assert_eq!(wikipedia[wikipedia.len() - 4..], [0x11, 0xE6, 0x03, 0x98]);
    }

    #[test]
    fn pictures_have_a_quiet_zone_and_the_finder() {
        let picture = Picture::of("2@abc,def").unwrap();
        let text = picture.half_blocks();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), picture.side.div_ceil(2));
        assert!(lines[0].chars().all(|c| c == '█') && lines[1].chars().all(|c| c == '█'));
        // The finder pattern's top edge: seven dark modules after the quiet zone.
        assert!((QUIET..QUIET + 7).all(|x| picture.dark(x, QUIET)));
        assert!(!picture.dark(QUIET + 7, QUIET));
        assert!(picture.svg().starts_with("<svg"));
        assert!(picture.png().starts_with(b"\x89PNG"));
        assert_eq!(Picture::of(&"x".repeat(5_000)), Err(TooLong));
    }
}
