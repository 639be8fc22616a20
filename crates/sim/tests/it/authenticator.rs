//! An authenticator that signs whatever it is told to.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use steadfast_sim::Authenticator;

/// What is to be signed.
pub(crate) struct Signing {
    pub(crate) kind: String,
    pub(crate) challenge: String,
    pub(crate) origin: String,
    pub(crate) rp_id: String,
    pub(crate) flags: u8,
    /// Named in place of the account's own.
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

    /// The frame that answers, signed by this key for the credential of this id.
    pub(crate) fn frame(&self, key: &Authenticator, id: &str) -> Value {
        let client = json!({"type": self.kind, "origin": self.origin,
            "challenge": self.challenge, "crossOrigin": false})
        .to_string();
        let mut data = Sha256::digest(&self.rp_id).to_vec();
        data.extend([self.flags, 0, 0, 0, 1]);
        let signature = key.sign(&data, &client).unwrap();
        json!({"op": "passkey_assertion", "id": self.id.as_deref().unwrap_or(id),
            "client_data_json": URL_SAFE_NO_PAD.encode(client),
            "authenticator_data": URL_SAFE_NO_PAD.encode(data),
            "signature": URL_SAFE_NO_PAD.encode(signature)})
    }
}
