//! A small seeded generator: every id, token and hidden number of a world
//! comes from its one seed, so that a run can be replayed.

use base64::Engine as _;
use std::fmt::Write as _;

/// SplitMix64 (Steele, Lea, Flood 2014): one word of state, good enough for
/// names and jitter, useless for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// Starts from a seed; equal seeds give equal sequences.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `bound`; 0 where `bound` is 0. The bias of the modulo
    /// is below 2^-32 for the bounds used here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            0
        } else {
            self.next_u64() % bound
        }
    }

    /// `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(count + 8);
        while out.len() < count {
            out.extend_from_slice(&self.next_u64().to_le_bytes());
        }
        out.truncate(count);
        out
    }

    /// `count` bytes as upper-case hex.
    pub(crate) fn hex(&mut self, count: usize) -> String {
        self.bytes(count).iter().fold(String::new(), |mut s, b| {
            let _ = write!(s, "{b:02X}");
            s
        })
    }

    /// `count` bytes as unpadded URL-safe base64.
    pub(crate) fn base64url(&mut self, count: usize) -> String {
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.bytes(count))
    }

    /// `count` bytes as standard base64.
    pub(crate) fn base64(&mut self, count: usize) -> String {
        base64::engine::general_purpose::STANDARD.encode(self.bytes(count))
    }

    /// `count` letters of `alphabet`, which must not be empty.
    pub(crate) fn letters(&mut self, alphabet: &[u8], count: usize) -> String {
        (0..count)
            .filter_map(|_| alphabet.get(self.below(alphabet.len() as u64) as usize))
            .map(|b| char::from(*b))
            .collect()
    }
}

/// Mixes a word so that every input bit reaches every output bit.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_sequences() {
        let (mut a, mut b) = (Rng::new(7), Rng::new(7));
        assert_eq!(a.hex(9), b.hex(9));
        assert_eq!(a.base64url(20), b.base64url(20));
        assert_ne!(a.next_u64(), Rng::new(8).next_u64());
    }

    #[test]
    fn lengths_are_as_asked() {
        let mut rng = Rng::new(1);
        assert_eq!(rng.hex(9).len(), 18);
        assert_eq!(rng.bytes(13).len(), 13);
        assert_eq!(rng.letters(b"AB", 8).len(), 8);
        assert_eq!(rng.below(0), 0);
    }
}
