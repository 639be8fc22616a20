//! Encryption of one stream under a passphrase, for what leaves this machine.
//!
//! ```text
//! "steadfast sealed 1\n"   what it is
//! 16 bytes                 salt of Argon2id
//! 7 bytes                  nonce of the stream
//! pieces                   64 KiB each, sealed by ChaCha20-Poly1305 (16 bytes more)
//! ```
//!
//! The pieces are a STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015): they
//! cannot be changed, swapped, or cut off at the end without notice.

use crate::clock::{Random, RandomError, random_bytes};
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::stream::{DecryptorBE32, EncryptorBE32};
use chacha20poly1305::{ChaCha20Poly1305, Key};
use std::io::{self, Read, Write};

const MAGIC: &[u8; 19] = b"steadfast sealed 1\n";
const PIECE: usize = 64 * 1024;
const TAG: usize = 16;
const SALT: usize = 16;
/// Of the cipher's 12 bytes STREAM takes 5 for itself.
const NONCE: usize = 7;
/// Argon2id's second recommended option (RFC 9106, 4): 64 MiB, three passes.
#[cfg(not(test))]
const MEMORY_KIB: u32 = 64 * 1024;
/// Tests are about the stream, and need no key that is hard to find.
#[cfg(test)]
const MEMORY_KIB: u32 = 64;
const PASSES: u32 = 3;
/// Fewest characters of a passphrase.
pub const MIN_PASSPHRASE: usize = 10;

/// Why a stream cannot be opened or sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// It did not come from here.
    #[error("it is no sealed file of Steadfast's")]
    NotOurs,
    /// The passphrase is another, or the file was changed or cut short.
    #[error("the passphrase is wrong, or the file is damaged")]
    Refused,
    /// The passphrase is too easy to guess.
    #[error("a passphrase has at least {MIN_PASSPHRASE} characters")]
    Short,
    /// The key could not be made.
    #[error("the key could not be made: {0}")]
    Key(String),
    /// The system gives no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Seals what is written to it. Nothing is whole before [`Sealer::finish`].
pub struct Sealer<W> {
    into: W,
    stream: EncryptorBE32<ChaCha20Poly1305>,
    piece: Vec<u8>,
}

impl<W: Write> Sealer<W> {
    /// Begins a sealed stream.
    ///
    /// # Errors
    /// As [`SealError`] says.
    pub fn new(mut into: W, passphrase: &str, random: &dyn Random) -> Result<Self, SealError> {
        if passphrase.chars().count() < MIN_PASSPHRASE {
            return Err(SealError::Short);
        }
        let salt: [u8; SALT] = random_bytes(random)?;
        let nonce: [u8; NONCE] = random_bytes(random)?;
        let key = key(passphrase, &salt)?;
        into.write_all(MAGIC)?;
        into.write_all(&salt)?;
        into.write_all(&nonce)?;
        Ok(Self {
            into,
            stream: EncryptorBE32::new(&key, &nonce.into()),
            piece: Vec::with_capacity(PIECE + TAG),
        })
    }

    /// Seals the last piece, and gives back what was written to.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        let mut last = std::mem::take(&mut self.piece);
        self.stream
            .encrypt_last_in_place(b"", &mut last)
            .map_err(|_| io::Error::other("the last piece cannot be sealed"))?;
        self.into.write_all(&last)?;
        self.into.flush()?;
        Ok(self.into)
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full piece is sealed only once more comes: the last one is sealed otherwise.
        if self.piece.len() == PIECE && !bytes.is_empty() {
            self.stream
                .encrypt_next_in_place(b"", &mut self.piece)
                .map_err(|_| io::Error::other("it is too long to be sealed"))?;
            self.into.write_all(&self.piece)?;
            self.piece.clear();
        }
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

/// Reads what [`Sealer`] wrote. Every byte that it gives out is genuine.
pub struct Opener<R> {
    from: R,
    stream: Option<DecryptorBE32<ChaCha20Poly1305>>,
    /// The next sealed piece, read ahead so that the last one is known as such.
    next: Vec<u8>,
    piece: Vec<u8>,
    given: usize,
}

impl<R: Read> Opener<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// As [`SealError`] says; a wrong passphrase shows with the first piece.
    pub fn new(mut from: R, passphrase: &str) -> Result<Self, SealError> {
        let mut head = [0; MAGIC.len() + SALT + NONCE];
        from.read_exact(&mut head).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => SealError::NotOurs,
            _ => SealError::Io(e),
        })?;
        let (magic, rest) = head.split_at(MAGIC.len());
        let (salt, nonce) = rest.split_at(SALT);
        if magic != MAGIC {
            return Err(SealError::NotOurs);
        }
        let key = key(passphrase, salt)?;
        let mut opener = Self {
            stream: Some(DecryptorBE32::new(&key, nonce.into())),
            next: Vec::new(),
            piece: Vec::new(),
            given: 0,
            from,
        };
        opener.next = opener.read_sealed()?;
        opener.open_next().map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData => SealError::Refused,
            _ => SealError::Io(e),
        })?;
        Ok(opener)
    }

    fn read_sealed(&mut self) -> io::Result<Vec<u8>> {
        let mut sealed = Vec::with_capacity(PIECE + TAG);
        let limit = (PIECE + TAG) as u64;
        self.from.by_ref().take(limit).read_to_end(&mut sealed)?;
        Ok(sealed)
    }

    /// Opens the piece that was read ahead; the last one ends the stream.
    fn open_next(&mut self) -> io::Result<()> {
        let sealed = std::mem::take(&mut self.next);
        self.next = self.read_sealed()?;
        let refused = || io::Error::new(io::ErrorKind::InvalidData, SealError::Refused);
        let Some(mut stream) = self.stream.take() else {
            return Ok(());
        };
        self.given = 0;
        self.piece = if self.next.is_empty() {
            stream.decrypt_last(sealed.as_slice())
        } else {
            let opened = stream.decrypt_next(sealed.as_slice());
            self.stream = Some(stream);
            opened
        }
        .map_err(|_| refused())?;
        Ok(())
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.piece.len() && self.stream.is_some() {
            self.open_next()?;
        }
        let left = &self.piece[self.given..];
        let taken = left.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&left[..taken]);
        self.given += taken;
        Ok(taken)
    }
}

fn key(passphrase: &str, salt: &[u8]) -> Result<Key, SealError> {
    let failed = |e: argon2::Error| SealError::Key(e.to_string());
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(failed)?;
    let mut key = Key::default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut key)
        .map_err(failed)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRandom;

    const WORD: &str = "correct horse battery";

    fn sealed(length: usize) -> (Vec<u8>, Vec<u8>) {
        let plain: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        let mut sealer = Sealer::new(Vec::new(), WORD, &SystemRandom).unwrap();
        sealer.write_all(&plain).unwrap();
        (plain, sealer.finish().unwrap())
    }

    fn opened(sealed: &[u8], word: &str) -> Result<Vec<u8>, SealError> {
        let mut plain = Vec::new();
        Opener::new(sealed, word)?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn what_is_sealed_opens_again_and_says_nothing_before() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1] {
            let (plain, sealed) = sealed(length);
            assert_eq!(opened(&sealed, WORD).unwrap(), plain, "{length}");
        }
        let (plain, sealed) = sealed(100);
        assert!(
            !sealed
                .windows(8)
                .any(|part| plain.windows(8).any(|p| p == part))
        );
    }

    #[test]
    fn a_changed_cut_or_foreign_stream_is_refused() {
        let (_, whole) = sealed(PIECE + 100);
        assert!(matches!(
            opened(&whole, "another passphrase"),
            Err(SealError::Refused)
        ));
        assert!(matches!(opened(b"hello", WORD), Err(SealError::NotOurs)));
        let mut changed = whole.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(opened(&changed, WORD).is_err());
        let first_piece = MAGIC.len() + SALT + NONCE + PIECE + TAG;
        assert!(
            opened(&whole[..first_piece], WORD).is_err(),
            "the end is missing"
        );
        assert!(matches!(
            Sealer::new(Vec::new(), "short", &SystemRandom),
            Err(SealError::Short)
        ));
    }
}
