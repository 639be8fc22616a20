//! Signatures of what is posted.
//!
//! Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body` with the bytes
//! behind `whsec_`, as `v1,` and base64; while a secret is being replaced
//! there is one signature for each, with a space between them. The other kind
//! is WAHA's: hex HMAC-SHA512 of the body with the key's text.

use crate::clock::{Random, RandomError, random_bytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::{Sha256, Sha512};
use std::fmt;

/// What every secret of Standard Webhooks begins with.
const PREFIX: &str = "whsec_";
/// How many bytes a secret may have, by the specification.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// How many bytes a minted one has.
const MINTED: usize = 32;

/// A secret of Standard Webhooks. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// The text is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret is whsec_ and the base64 of 24 to 64 bytes")]
pub struct NoSecret;

impl Secret {
    /// Makes one.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn mint(random: &dyn Random) -> Result<Self, RandomError> {
        let bytes: [u8; MINTED] = random_bytes(random)?;
        Ok(Self(bytes.to_vec()))
    }

    /// Reads one.
    ///
    /// # Errors
    /// Where the text is none.
    pub fn parse(text: &str) -> Result<Self, NoSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(NoSecret)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| NoSecret)?;
        BYTES
            .contains(&bytes.len())
            .then_some(Self(bytes))
            .ok_or(NoSecret)
    }

    /// The text that its owner is given.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// The signature of one message at a time in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        // Any length is a key to HMAC, so this cannot fail.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return String::new();
        };
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// WAHA's signature: lower hex HMAC-SHA512 of the body.
pub fn sign_waha(key: &str, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha512>::new_from_slice(key.as_bytes()) else {
        return String::new();
    };
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    let mut text = String::with_capacity(128);
    for byte in digest {
        use fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRandom;

    /// The example of the specification's reference libraries.
    #[test]
    fn the_known_signature_comes_out() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(
            secret.sign(
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                br#"{"test": 2432232314}"#
            ),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    /// RFC 4231, test case 2.
    #[test]
    fn the_known_digest_comes_out() {
        assert_eq!(
            sign_waha("Jefe", b"what do ya want for nothing?"),
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
        );
    }

    #[test]
    fn secrets_read_back_and_hide() {
        let secret = Secret::mint(&SystemRandom).unwrap();
        assert_eq!(Secret::parse(&secret.reveal()), Ok(secret.clone()));
        assert_ne!(Secret::mint(&SystemRandom).unwrap(), secret);
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        for wrong in [
            "",
            "whsec_",
            "whsec_AAAA",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_!!KQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            &format!("whsec_{}", STANDARD.encode([0; 65])),
        ] {
            assert_eq!(Secret::parse(wrong), Err(NoSecret), "{wrong:?}");
        }
    }
}
