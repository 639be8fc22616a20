//! The passkey that WhatsApp asks some accounts for before it links: what a
//! browser's answer looks like, and whether it answers what was asked.
//!
//! Shapes and checks are those of WebAuthn Level 3 (`AuthenticationResponseJSON`,
//! section 5.1.8; verifying an assertion, section 7.2). The signature is not
//! looked at: only WhatsApp knows the account's public key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

/// Where an answer must have been made: a browser signs for the origin of the
/// page that asks, and no other.
pub const ORIGIN: &str = "https://web.whatsapp.com";

/// WebAuthn bounds a credential's id by this.
const MOST_ID: usize = 1_023;
/// A browser writes some two hundred bytes.
const MOST_CLIENT_DATA: usize = 4_096;
/// SHA-256 of the rp id, flags, counter; extensions beyond.
const AUTHENTICATOR_DATA: std::ops::RangeInclusive<usize> = 37..=4_096;
/// An RSA signature of 8,192 bits has as many bytes; ECDSA ones some seventy.
const MOST_SIGNATURE: usize = 1_024;
/// WebAuthn bounds a user handle by this.
const MOST_USER_HANDLE: usize = 64;
/// Serialised, as JSON.
const MOST_EXTENSIONS: usize = 8_192;
/// The flag that somebody was there (section 6.1, "UP").
const USER_PRESENT: u8 = 1;

/// `AuthenticationResponseJSON`: what `JSON.stringify` makes of the credential that
/// `navigator.credentials.get` gives. Members that are not listed are passed over.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssertionJson {
    /// The credential's id, base64url.
    id: String,
    /// The same again.
    raw_id: Option<String>,
    /// `public-key`.
    #[serde(rename = "type")]
    kind: String,
    /// What the authenticator said.
    response: AssertionResponseJson,
    /// `platform` or `cross-platform`.
    authenticator_attachment: Option<String>,
    /// What the extensions gave.
    #[serde(default)]
    #[schema(value_type = Object)]
    client_extension_results: Map<String, Value>,
}

/// `AuthenticatorAssertionResponseJSON`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssertionResponseJson {
    /// What the browser had signed, base64url of JSON.
    #[serde(rename = "clientDataJSON")]
    client_data_json: String,
    /// base64url.
    authenticator_data: String,
    /// base64url.
    signature: String,
    /// base64url.
    user_handle: Option<String>,
}

/// A member that cannot be what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct WrongMember {
    /// Which.
    pub field: &'static str,
    /// What is wrong, and what would be right.
    pub what: String,
}

/// Why a well-formed answer is not one to what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It is no assertion.
    #[error("clientDataJSON says {0:?}, not \"webauthn.get\"")]
    NoAssertion(String),
    /// Of another question.
    #[error("it was made for another challenge; take the options anew, they change with each try")]
    Challenge,
    /// Another site's.
    #[error("it was made on {0:?}, not on {ORIGIN}")]
    Origin(String),
    /// In a frame of another site.
    #[error("it was made in a frame of another site")]
    CrossOrigin,
    /// Another relying party's.
    #[error("it was made for another site than {0:?}, the rpId of the options")]
    RelyingParty(String),
    /// Nobody touched the authenticator.
    #[error("it says that nobody was there to allow it (the user-present flag is not set)")]
    NobodyThere,
    /// Of a credential that is not asked for.
    #[error("its credential is none of those that are allowed; use the passkey of this account")]
    Credential,
    /// The page's own question cannot be read.
    #[error("the options of the page cannot be read: {0}")]
    Options(String),
}

/// What the browser had signed (section 5.8.1).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
}

/// What of the options an answer is held against.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    challenge: String,
    rp_id: String,
    #[serde(default)]
    allow_credentials: Vec<Allowed>,
}

#[derive(Debug, Deserialize)]
struct Allowed {
    id: String,
}

/// An answer in the right shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    json: String,
    id: String,
    client: ClientData,
    authenticator_data: Vec<u8>,
}

/// As it is handed to the page: what was checked, and no more.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Canonical<'a> {
    id: &'a str,
    raw_id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    response: CanonicalResponse<'a>,
    authenticator_attachment: Option<&'a str>,
    client_extension_results: &'a Map<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CanonicalResponse<'a> {
    #[serde(rename = "clientDataJSON")]
    client_data_json: &'a str,
    authenticator_data: &'a str,
    signature: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_handle: Option<&'a str>,
}

impl Assertion {
    /// Checks every member's shape.
    ///
    /// # Errors
    /// The first member that is wrong.
    pub fn parse(given: &AssertionJson) -> Result<Self, WrongMember> {
        let wrong = |field, what: &str| WrongMember {
            field,
            what: what.to_owned(),
        };
        if given.kind != "public-key" {
            return Err(wrong(
                "type",
                "it is \"public-key\" in every passkey's answer",
            ));
        }
        let id = plain(&given.id);
        bytes("id", id, 1..=MOST_ID)?;
        if given.raw_id.as_deref().is_some_and(|raw| plain(raw) != id) {
            return Err(wrong("rawId", "it must be the same as id"));
        }
        let attachment = given.authenticator_attachment.as_deref();
        if !matches!(attachment, None | Some("platform" | "cross-platform")) {
            return Err(wrong(
                "authenticatorAttachment",
                "it is \"platform\", \"cross-platform\" or null",
            ));
        }
        let response = &given.response;
        let client_data_json = plain(&response.client_data_json);
        let client = bytes(
            "response.clientDataJSON",
            client_data_json,
            2..=MOST_CLIENT_DATA,
        )?;
        let client: ClientData = serde_json::from_slice(&client).map_err(|error| WrongMember {
            field: "response.clientDataJSON",
            what: format!("it is not what a browser signs: {error}"),
        })?;
        let authenticator = plain(&response.authenticator_data);
        let authenticator_data = bytes(
            "response.authenticatorData",
            authenticator,
            AUTHENTICATOR_DATA,
        )?;
        let signature = plain(&response.signature);
        bytes("response.signature", signature, 8..=MOST_SIGNATURE)?;
        let user_handle = response
            .user_handle
            .as_deref()
            .map(plain)
            .filter(|handle| !handle.is_empty());
        if let Some(handle) = user_handle {
            bytes("response.userHandle", handle, 1..=MOST_USER_HANDLE)?;
        }
        let json = serde_json::to_string(&Canonical {
            id,
            raw_id: id,
            kind: "public-key",
            response: CanonicalResponse {
                client_data_json,
                authenticator_data: authenticator,
                signature,
                user_handle,
            },
            authenticator_attachment: attachment,
            client_extension_results: &given.client_extension_results,
        })
        .map_err(|error| wrong("assertion", &error.to_string()))?;
        let fixed = id.len() * 2 + client_data_json.len() + authenticator.len() + signature.len();
        if json.len() > fixed + MOST_EXTENSIONS {
            return Err(wrong("clientExtensionResults", "they are too long"));
        }
        Ok(Self {
            json,
            id: id.to_owned(),
            client,
            authenticator_data,
        })
    }

    /// `AuthenticationResponseJSON`, for the page.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Whether it answers these options (`PublicKeyCredentialRequestOptionsJSON`).
    ///
    /// # Errors
    /// The first way in which it does not.
    pub fn suits(&self, options: &str) -> Result<(), Mismatch> {
        let options: Options =
            serde_json::from_str(options).map_err(|e| Mismatch::Options(e.to_string()))?;
        let shown = |text: &str| text.chars().take(100).collect::<String>();
        if self.client.kind != "webauthn.get" {
            return Err(Mismatch::NoAssertion(shown(&self.client.kind)));
        }
        if plain(&self.client.challenge) != plain(&options.challenge) {
            return Err(Mismatch::Challenge);
        }
        if self.client.origin != ORIGIN {
            return Err(Mismatch::Origin(shown(&self.client.origin)));
        }
        if self.client.cross_origin {
            return Err(Mismatch::CrossOrigin);
        }
        if !self
            .authenticator_data
            .starts_with(&Sha256::digest(&options.rp_id))
        {
            return Err(Mismatch::RelyingParty(shown(&options.rp_id)));
        }
        if self.authenticator_data[32] & USER_PRESENT == 0 {
            return Err(Mismatch::NobodyThere);
        }
        let allowed = &options.allow_credentials;
        if !allowed.is_empty() && !allowed.iter().any(|one| plain(&one.id) == self.id) {
            return Err(Mismatch::Credential);
        }
        Ok(())
    }
}

/// Base64url is written without padding here; some libraries add it.
fn plain(text: &str) -> &str {
    text.trim_end_matches('=')
}

fn bytes(
    field: &'static str,
    text: &str,
    sizes: std::ops::RangeInclusive<usize>,
) -> Result<Vec<u8>, WrongMember> {
    let wrong = |what: String| WrongMember { field, what };
    let size = |found: usize| {
        wrong(format!(
            "it stands for {found} bytes; {} to {} are right",
            sizes.start(),
            sizes.end()
        ))
    };
    // Before anything is decoded: four letters stand for three bytes.
    if text.len() / 4 * 3 > *sizes.end() {
        return Err(size(text.len() / 4 * 3));
    }
    let found = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| wrong("it is no base64url (letters, digits, '-' and '_')".to_owned()))?;
    if sizes.contains(&found.len()) {
        Ok(found)
    } else {
        Err(size(found.len()))
    }
}

/// What a person runs in the console of their own browser on [`ORIGIN`]: it
/// asks the passkey, and shows the answer. It reads nothing else of the page, and sends nothing.
pub fn console_snippet(options: &Value) -> String {
    format!(
        "JSON.stringify(await navigator.credentials.get({{publicKey: PublicKeyCredential.parseRequestOptionsFromJSON({options})}}))"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn encode(bytes: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn options() -> String {
        json!({
            "challenge": "Y2hhbGxlbmdl", "timeout": 60_000, "rpId": "whatsapp.com",
            "allowCredentials": [{"type": "public-key", "id": "AAECAw"}], "userVerification": "preferred",
        })
        .to_string()
    }

    fn client() -> Value {
        json!({"type": "webauthn.get", "challenge": "Y2hhbGxlbmdl", "origin": ORIGIN, "crossOrigin": false})
    }

    fn authenticator(rp_id: &str, flags: u8) -> Vec<u8> {
        let mut data = Sha256::digest(rp_id).to_vec();
        data.extend([flags, 0, 0, 0, 1]);
        data
    }

    fn good() -> Value {
        json!({
            "id": "AAECAw", "rawId": "AAECAw", "type": "public-key",
            "authenticatorAttachment": "platform", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(client().to_string()),
                "authenticatorData": encode(authenticator("whatsapp.com", 5)),
                "signature": encode([7; 70]), "userHandle": "dXNlcg",
            },
        })
    }

    fn parse(given: Value) -> Result<Assertion, WrongMember> {
        Assertion::parse(&serde_json::from_value(given).unwrap())
    }

    #[test]
    fn a_browsers_answer_is_taken_as_it_is() {
        let assertion = parse(good()).unwrap();
        assert_eq!(assertion.suits(&options()), Ok(()));
        let json: Value = serde_json::from_str(assertion.json()).unwrap();
        assert_eq!(json, good());
        // A credential that was found without being named.
        let any = options()
            .replace("AAECAw", "AAAA")
            .replace("[{\"id\":\"AAAA\",\"type\":\"public-key\"}]", "[]");
        assert_eq!(assertion.suits(&any), Ok(()));
        // Padded, and with nothing that may be left out.
        let mut short = good();
        short["id"] = json!("AAECAw==");
        short["rawId"] = Value::Null;
        short["response"]["userHandle"] = json!("");
        short
            .as_object_mut()
            .unwrap()
            .remove("clientExtensionResults");
        assert_eq!(parse(short).unwrap().suits(&options()), Ok(()));
    }

    #[test]
    fn a_wrong_shape_names_its_member() {
        for (pointer, value, field) in [
            ("/type", json!("password"), "type"),
            ("/id", json!(""), "id"),
            ("/id", json!("a b"), "id"),
            ("/id", json!("A".repeat(2_000)), "id"),
            ("/rawId", json!("AAECBA"), "rawId"),
            (
                "/authenticatorAttachment",
                json!("phone"),
                "authenticatorAttachment",
            ),
            (
                "/response/clientDataJSON",
                json!("e30"),
                "response.clientDataJSON",
            ),
            (
                "/response/clientDataJSON",
                json!("A".repeat(9_000)),
                "response.clientDataJSON",
            ),
            (
                "/response/authenticatorData",
                json!("AAAA"),
                "response.authenticatorData",
            ),
            ("/response/signature", json!("+/+/"), "response.signature"),
            (
                "/response/signature",
                json!(encode([0; 2_000])),
                "response.signature",
            ),
            (
                "/response/userHandle",
                json!(encode([0; 65])),
                "response.userHandle",
            ),
            (
                "/clientExtensionResults",
                json!({"x": "y".repeat(9_000)}),
                "clientExtensionResults",
            ),
        ] {
            let mut given = good();
            *given.pointer_mut(pointer).unwrap() = value;
            assert_eq!(parse(given).unwrap_err().field, field, "{pointer}");
        }
    }

    #[test]
    fn an_answer_to_something_else_says_to_what() {
        let with_client = |member: &str, value: Value| {
            let mut data = client();
            data[member] = value;
            let mut given = good();
            given["response"]["clientDataJSON"] = json!(encode(data.to_string()));
            parse(given).unwrap().suits(&options()).unwrap_err()
        };
        let with_authenticator = |data: Vec<u8>| {
            let mut given = good();
            given["response"]["authenticatorData"] = json!(encode(data));
            parse(given).unwrap().suits(&options()).unwrap_err()
        };
        assert!(matches!(
            with_client("type", json!("webauthn.create")),
            Mismatch::NoAssertion(_)
        ));
        assert_eq!(with_client("challenge", json!("AAAA")), Mismatch::Challenge);
        assert_eq!(
            with_client("origin", json!("https://web.whatsapp.com.evil.example")),
            Mismatch::Origin("https://web.whatsapp.com.evil.example".to_owned())
        );
        assert_eq!(
            with_client("crossOrigin", json!(true)),
            Mismatch::CrossOrigin
        );
        assert_eq!(
            with_authenticator(authenticator("evil.example", 5)),
            Mismatch::RelyingParty("whatsapp.com".to_owned())
        );
        assert_eq!(
            with_authenticator(authenticator("whatsapp.com", 4)),
            Mismatch::NobodyThere
        );
        let mut given = good();
        (given["id"], given["rawId"]) = (json!("AAAA"), json!("AAAA"));
        assert_eq!(
            parse(given).unwrap().suits(&options()),
            Err(Mismatch::Credential)
        );
        assert!(matches!(
            parse(good()).unwrap().suits("{}"),
            Err(Mismatch::Options(_))
        ));
    }
}
