//! Framing on the pipe: each message is JSON text that ends with a NUL byte.
//!
//! JSON never holds a NUL (strings escape it), so a message can be cut out
//! without being understood. The decoder takes bytes in any pieces and gives
//! whole messages.

/// The most that a frame from the browser may have. A larger one is no
/// message that we could want; the connection is given up.
pub(crate) const MAX_FRAME: usize = 256 << 20;

/// How much is made free before a read: Linux pipes hold 64 KiB unless asked for more.
const READ_AHEAD: usize = 64 << 10;

/// After a large message has passed, memory above this is given back.
const KEEP: usize = 1 << 20;

/// A frame grew past the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message of more than {limit} bytes came from the browser")]
pub(crate) struct FrameTooLarge {
    limit: usize,
}

/// Cuts a stream of bytes into frames.
#[derive(Debug)]
pub(crate) struct FrameDecoder {
    buffer: Vec<u8>,
    /// Where the next frame begins.
    start: usize,
    /// Up to where no NUL was found.
    scanned: usize,
    limit: usize,
}

impl FrameDecoder {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            buffer: Vec::with_capacity(READ_AHEAD),
            start: 0,
            scanned: 0,
            limit,
        }
    }

    /// The buffer to append what was read to, with room for at least one read.
    pub(crate) fn room(&mut self) -> &mut Vec<u8> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        if self.buffer.is_empty() && self.buffer.capacity() > KEEP {
            self.buffer.shrink_to(READ_AHEAD);
        }
        self.buffer.reserve(READ_AHEAD);
        &mut self.buffer
    }

    /// The next whole frame, without its NUL. Empty frames are skipped.
    pub(crate) fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameTooLarge> {
        loop {
            let Some(found) = memchr::memchr(0, &self.buffer[self.scanned..]) else {
                self.scanned = self.buffer.len();
                return if self.scanned - self.start > self.limit {
                    Err(FrameTooLarge { limit: self.limit })
                } else {
                    Ok(None)
                };
            };
            let (from, to) = (self.start, self.scanned + found);
            self.start = to + 1;
            self.scanned = self.start;
            if to - from > self.limit {
                return Err(FrameTooLarge { limit: self.limit });
            }
            if from < to {
                return Ok(Some(&self.buffer[from..to]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(decoder: &mut FrameDecoder, bytes: &[u8]) -> Result<Vec<Vec<u8>>, FrameTooLarge> {
        decoder.room().extend_from_slice(bytes);
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next_frame()? {
            frames.push(frame.to_vec());
        }
        Ok(frames)
    }

    #[test]
    fn frames_are_the_same_however_the_stream_is_cut() {
        let stream = b"{\"id\":1}\0{\"id\":22}\0\0{}\0{\"unfinished\"";
        let whole = feed(&mut FrameDecoder::new(64), stream).unwrap();
        assert_eq!(
            whole,
            [&b"{\"id\":1}"[..], b"{\"id\":22}", b"{}"].map(<[u8]>::to_vec)
        );
        for piece in 1..stream.len() {
            let mut decoder = FrameDecoder::new(64);
            let mut frames = Vec::new();
            for bytes in stream.chunks(piece) {
                frames.extend(feed(&mut decoder, bytes).unwrap());
            }
            assert_eq!(frames, whole, "cut into pieces of {piece}");
        }
    }

    #[test]
    fn a_frame_at_the_limit_passes_and_one_above_does_not() {
        let mut decoder = FrameDecoder::new(4);
        assert_eq!(feed(&mut decoder, b"1234\0").unwrap(), [b"1234".to_vec()]);
        assert!(feed(&mut decoder, b"12345\0").is_err());
        // It is refused before its end has come, too: memory stays bounded.
        let mut decoder = FrameDecoder::new(4);
        assert!(feed(&mut decoder, b"1234").unwrap().is_empty());
        assert!(feed(&mut decoder, b"5").is_err());
    }

    #[test]
    fn bytes_that_are_no_text_pass_through_whole() {
        let mut decoder = FrameDecoder::new(16);
        let frames = feed(&mut decoder, b"\xff\xfe\0\x01\0").unwrap();
        assert_eq!(frames, [b"\xff\xfe".to_vec(), b"\x01".to_vec()]);
    }

    #[test]
    fn memory_is_given_back_after_a_large_frame() {
        let mut decoder = FrameDecoder::new(8 << 20);
        let mut large = vec![b' '; 4 << 20];
        large.push(0);
        assert_eq!(feed(&mut decoder, &large).unwrap().len(), 1);
        assert!(decoder.room().capacity() <= KEEP);
    }
}
