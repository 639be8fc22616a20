//! A passkey made of nothing but its key: what an account's owner has in the
//! phone or a password manager, for worlds without a browser.

use crate::error::Error;
use crate::world::{Passkey, SPKI_PREFIX};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// The origin that it signs for.
const ORIGIN: &str = "https://web.whatsapp.com";
/// Somebody was there, and was recognised (WebAuthn Level 3, section 6.1).
const PRESENT_AND_VERIFIED: u8 = 0b101;

/// One passkey with its private key (ES256).
pub struct Authenticator {
    id: String,
    key: EcdsaKeyPair,
}

/// What of `PublicKeyCredentialRequestOptionsJSON` is looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    challenge: String,
    rp_id: String,
}

impl Authenticator {
    /// A new one.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the system gives no random bytes.
    pub fn new() -> Result<Self, Error> {
        let random = SystemRandom::new();
        let mut id = [0; 16];
        random.fill(&mut id).map_err(|_| failed())?;
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| failed())?;
        let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random);
        Ok(Self {
            id: URL_SAFE_NO_PAD.encode(id),
            key: key.map_err(|_| failed())?,
        })
    }

    /// Its credential's id, base64url.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// As an account registers it.
    pub fn passkey(&self) -> Passkey {
        let point: &[u8] = self.key.public_key().as_ref();
        let spki = [&SPKI_PREFIX[..], point].concat();
        Passkey {
            id: self.id.clone(),
            public_key: URL_SAFE_NO_PAD.encode(spki),
        }
    }

    /// Signs as an authenticator does: over its own data and the hash of the browser's.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the system gives no random bytes.
    pub fn sign(&self, authenticator_data: &[u8], client_data: &str) -> Result<Vec<u8>, Error> {
        let mut signed = authenticator_data.to_vec();
        signed.extend(Sha256::digest(client_data));
        let signature = self.key.sign(&SystemRandom::new(), &signed);
        Ok(signature.map_err(|_| failed())?.as_ref().to_vec())
    }

    /// The answer of a browser to these options, on WhatsApp Web's origin:
    /// `AuthenticationResponseJSON` for `PublicKeyCredentialRequestOptionsJSON`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where they are no such options.
    pub fn answer(&self, options: &str) -> Result<String, Error> {
        let options: Options =
            serde_json::from_str(options).map_err(|e| Error::Invalid(format!("options: {e}")))?;
        let client = json!({"type": "webauthn.get", "challenge": options.challenge,
            "origin": ORIGIN, "crossOrigin": false})
        .to_string();
        let mut data = Sha256::digest(&options.rp_id).to_vec();
        data.extend([PRESENT_AND_VERIFIED, 0, 0, 0, 1]);
        let signature = self.sign(&data, &client)?;
        Ok(
            json!({"id": self.id, "rawId": self.id, "type": "public-key",
                "clientExtensionResults": {}, "response": {
                    "clientDataJSON": URL_SAFE_NO_PAD.encode(client),
                    "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                    "signature": URL_SAFE_NO_PAD.encode(signature)}})
            .to_string(),
        )
    }
}

fn failed() -> Error {
    Error::Invalid("no key could be made or used".to_owned())
}
