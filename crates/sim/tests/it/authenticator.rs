//! An authenticator made of nothing but its key: signs whatever it is told to.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use steadfast_sim::world::Passkey;

/// SubjectPublicKeyInfo of a P-256 key, up to the point itself.
const SPKI: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";

pub(crate) struct Authenticator {
    id: String,
    key: EcdsaKeyPair,
}

/// What is to be signed.
pub(crate) struct Signing {
    pub(crate) kind: String,
    pub(crate) challenge: String,
    pub(crate) origin: String,
    pub(crate) rp_id: String,
    pub(crate) flags: u8,
    /// Named in place of its own.
    pub(crate) id: Option<String>,
    /// By another key.
    pub(crate) by_a_stranger: bool,
}

impl Signing {
    /// The right answer to a `passkey_request`.
    pub(crate) fn of(asked: &Value) -> Self {
        Self {
            kind: "webauthn.get".to_owned(),
            challenge: asked["challenge"].as_str().unwrap().to_owned(),
            origin: "https://web.whatsapp.com".to_owned(),
            rp_id: asked["rp_id"].as_str().unwrap().to_owned(),
            flags: 5,
            id: None,
            by_a_stranger: false,
        }
    }
}

impl Authenticator {
    pub(crate) fn new(n: u8) -> Self {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, made.as_ref(), &random);
        Self {
            id: URL_SAFE_NO_PAD.encode([n; 16]),
            key: key.unwrap(),
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn passkey(&self) -> Passkey {
        let prefix = (0..SPKI.len()).step_by(2);
        let mut spki: Vec<u8> = prefix
            .map(|i| u8::from_str_radix(&SPKI[i..i + 2], 16).unwrap())
            .collect();
        spki.extend(self.key.public_key().as_ref());
        Passkey {
            id: self.id.clone(),
            public_key: URL_SAFE_NO_PAD.encode(spki),
        }
    }

    /// The frame that answers, for the credential of this id.
    pub(crate) fn sign(&self, what: &Signing, id: &str) -> Value {
        let client = json!({"type": what.kind, "origin": what.origin,
            "challenge": what.challenge, "crossOrigin": false})
        .to_string();
        let mut data = Sha256::digest(&what.rp_id).to_vec();
        data.extend([what.flags, 0, 0, 0, 1]);
        let mut signed = data.clone();
        signed.extend(Sha256::digest(&client));
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        json!({"op": "passkey_assertion", "id": what.id.as_deref().unwrap_or(id),
            "client_data_json": URL_SAFE_NO_PAD.encode(client),
            "authenticator_data": URL_SAFE_NO_PAD.encode(data),
            "signature": URL_SAFE_NO_PAD.encode(signature)})
    }
}
