//! The passkey that some accounts ask for before a device is linked: a
//! challenge, and an assertion that is verified as a relying party does
//! (WebAuthn Level 3, section 7.2). ES256 only; the signature counter is not looked at.

use super::{ConnId, Stage, Timer, World};
use crate::address::Number;
use crate::error::Error;
use crate::frames::{PageKeys, PasskeyAssertion, Plain};
use crate::journal::{Entry, Event};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Who asks: a registrable suffix of the page's own host, so that one passkey
/// is good for all of WhatsApp. That the real one asks so is not known.
const RP_ID: &str = "whatsapp.com";
/// Where the question must have been asked.
const ORIGIN: &str = "https://web.whatsapp.com";
/// Passkeys that one account may have.
const MOST: usize = 8;
/// A P-256 point, uncompressed: 4, x, y.
const POINT: usize = 65;
/// What stands before that point where a browser gives it (`getPublicKey()`:
/// SubjectPublicKeyInfo of id-ecPublicKey on prime256v1).
pub(crate) const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The flag that somebody was there.
const USER_PRESENT: u8 = 1;

/// A passkey of an account, as it is registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passkey {
    /// The credential's id, base64url.
    pub id: String,
    /// Its public key: SubjectPublicKeyInfo of a P-256 key, base64url.
    pub public_key: String,
}

/// A passkey whose key has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registered {
    id: String,
    point: Vec<u8>,
}

/// A page whose owner must show a passkey.
#[derive(Debug)]
pub(super) struct PasskeyWait {
    account: Number,
    keys: PageKeys,
    challenge: String,
}

impl Registered {
    fn read(passkey: &Passkey) -> Result<Self, Error> {
        let id = passkey.id.trim_end_matches('=').to_owned();
        if id.is_empty() || URL_SAFE_NO_PAD.decode(&id).is_err() {
            return Err(Error::Invalid("credential.id: base64url".to_owned()));
        }
        let key = URL_SAFE_NO_PAD.decode(passkey.public_key.trim_end_matches('='));
        let point = key
            .ok()
            .and_then(|key| key.strip_prefix(&SPKI_PREFIX).map(<[u8]>::to_vec))
            .filter(|point| point.len() == POINT && point[0] == 4);
        let Some(point) = point else {
            return Err(Error::Invalid(
                "credential.public_key: SubjectPublicKeyInfo of a P-256 key, base64url".to_owned(),
            ));
        };
        Ok(Self { id, point })
    }
}

/// Whether an assertion answers this challenge with one of these passkeys.
fn verify(
    passkeys: &[Registered],
    challenge: &str,
    assertion: &PasskeyAssertion,
) -> Result<(), &'static str> {
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
    let id = assertion.id.trim_end_matches('=');
    let passkey = passkeys
        .iter()
        .find(|passkey| passkey.id == id)
        .ok_or("no passkey of this account")?;
    let client_bytes =
        decode(&assertion.client_data_json).map_err(|_| "client data is no base64url")?;
    let client: Value =
        serde_json::from_slice(&client_bytes).map_err(|_| "client data is no JSON")?;
    if client["type"] != "webauthn.get" {
        return Err("no assertion");
    }
    if client["challenge"]
        .as_str()
        .unwrap_or_default()
        .trim_end_matches('=')
        != challenge
    {
        return Err("another challenge");
    }
    if client["origin"] != ORIGIN || client["crossOrigin"] == true {
        return Err("another origin");
    }
    let data =
        decode(&assertion.authenticator_data).map_err(|_| "authenticator data is no base64url")?;
    // The rp id's hash, the flags, the counter.
    if data.len() < 37 || data[..32] != Sha256::digest(RP_ID)[..] {
        return Err("another relying party");
    }
    if data[32] & USER_PRESENT == 0 {
        return Err("nobody was there");
    }
    let signature = decode(&assertion.signature).map_err(|_| "the signature is no base64url")?;
    let mut signed = data;
    signed.extend(Sha256::digest(&client_bytes));
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &passkey.point)
        .verify(&signed, &signature)
        .map_err(|_| "the signature is not this passkey's")
}

impl World {
    /// Whether linking this account asks for a passkey from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub fn set_passkey(&mut self, number: &Number, asked: bool) -> Result<(), Error> {
        self.account(number)?;
        if let Some(account) = self.accounts.get_mut(number) {
            account.passkey = asked;
        }
        Ok(())
    }

    /// The account has this passkey from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`], [`Error::Invalid`], [`Error::Full`].
    pub fn register_passkey(&mut self, number: &Number, passkey: &Passkey) -> Result<(), Error> {
        self.account(number)?;
        let registered = Registered::read(passkey)?;
        let Some(account) = self.accounts.get_mut(number) else {
            return Ok(());
        };
        account.passkeys.retain(|one| one.id != registered.id);
        if account.passkeys.len() >= MOST {
            return Err(Error::Full("passkeys"));
        }
        account.passkeys.push(registered);
        Ok(())
    }

    /// The phone has said yes, which is not enough for this account.
    pub(super) fn ask_for_passkey(&mut self, number: &Number, conn: ConnId, keys: PageKeys) {
        let challenge = self.rng.base64url(32);
        let allow_credentials = self
            .accounts
            .get(number)
            .map(|account| account.passkeys.iter().map(|p| p.id.clone()).collect())
            .unwrap_or_default();
        self.set_stage(
            conn,
            Stage::Passkey(PasskeyWait {
                account: number.clone(),
                keys,
                challenge: challenge.clone(),
            }),
        );
        self.log(Entry::new(Event::PasskeyAsked).account(number).conn(conn));
        let timeout_ms = self.knobs.passkey_timeout_ms;
        self.send(
            conn,
            Plain::PasskeyRequest {
                challenge: challenge.clone(),
                rp_id: RP_ID.to_owned(),
                allow_credentials,
                timeout_ms,
            },
        );
        self.later(timeout_ms, Timer::PasskeyDue(conn, challenge));
    }

    pub(super) fn on_passkey_assertion(&mut self, conn: ConnId, assertion: &PasskeyAssertion) {
        let Some(Stage::Passkey(wait)) = self.stage(conn) else {
            self.malformed(conn, "an assertion that nobody asked for");
            return;
        };
        let (account, keys) = (wait.account.clone(), wait.keys.clone());
        let passkeys = self.accounts.get(&account).map(|a| a.passkeys.as_slice());
        match verify(passkeys.unwrap_or_default(), &wait.challenge, assertion) {
            Ok(()) => {
                self.passkey_entry(&account, conn, "verified", "");
                self.hand_out_login(&account, conn);
            }
            Err(why) => {
                self.passkey_entry(&account, conn, "refused", why);
                self.link_again(conn, keys, "passkey");
            }
        }
    }

    pub(super) fn on_passkey_cancel(&mut self, conn: ConnId, error: &str) {
        let Some(Stage::Passkey(wait)) = self.stage(conn) else {
            self.malformed(conn, "passkey_cancel that nobody asked for");
            return;
        };
        let (account, keys) = (wait.account.clone(), wait.keys.clone());
        let error: String = error.chars().take(100).collect();
        self.passkey_entry(&account, conn, "cancelled", &error);
        self.link_again(conn, keys, "passkey");
    }

    pub(super) fn on_passkey_timeout(&mut self, conn: ConnId, challenge: &str) {
        if let Some(Stage::Passkey(wait)) = self.stage(conn)
            && wait.challenge == challenge
        {
            let (account, keys) = (wait.account.clone(), wait.keys.clone());
            self.passkey_entry(&account, conn, "late", "");
            self.link_again(conn, keys, "passkey");
        }
    }

    fn passkey_entry(&mut self, account: &Number, conn: ConnId, kind: &str, detail: &str) {
        let mut entry = Entry::new(Event::PasskeyEnded)
            .account(account)
            .conn(conn)
            .kind(kind);
        if !detail.is_empty() {
            entry = entry.detail(detail);
        }
        self.log(entry);
    }
}
