//! Tokens: `sf_`, a letter for the scope, and 32 random bytes. Only their
//! SHA-256 is ever stored: with 256 random bits there is nothing that a slow
//! hash would protect.

use crate::clock::{Random, RandomError, random_bytes};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use steadfast_core::port::Scope;

/// The name of the token that the first start prints.
pub const FIRST_NAME: &str = "first";
/// The name under which the command line of this machine acts.
pub const LOCAL_NAME: &str = "local";
/// Most bytes of a token that is looked at; ours have 48.
const MAX_LEN: usize = 256;

/// Makes a token.
///
/// # Errors
/// Where the system gives no random bytes.
pub fn mint(scope: Scope, random: &dyn Random) -> Result<String, RandomError> {
    let bytes: [u8; 32] = random_bytes(random)?;
    Ok(format!(
        "sf_{}_{}",
        letter(scope),
        URL_SAFE_NO_PAD.encode(bytes)
    ))
}

/// What is stored of it. `None` where it cannot be one of ours; the letter is
/// for people and decides nothing.
pub fn hash(token: &str) -> Option<[u8; 32]> {
    (token.starts_with("sf_") && token.len() <= MAX_LEN)
        .then(|| Sha256::digest(token.as_bytes()).into())
}

/// The scope's stable name.
pub fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "read",
        Scope::Send => "send",
        Scope::Admin => "admin",
    }
}

fn letter(scope: Scope) -> char {
    match scope {
        Scope::Read => 'r',
        Scope::Send => 's',
        Scope::Admin => 'a',
    }
}

/// Why a token's name is not taken.
pub fn name_problem(name: &str) -> Option<String> {
    let ok = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !ok {
        return Some(format!(
            "{name:?} is no token name: use 1 to 64 letters, digits, '-', '_' and '.'"
        ));
    }
    (name == LOCAL_NAME).then(|| {
        format!("{LOCAL_NAME:?} is the name of this machine's own command line; take another")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRandom;

    #[test]
    fn tokens_look_as_promised_and_differ() {
        let token = mint(Scope::Send, &SystemRandom).unwrap();
        assert!(token.starts_with("sf_s_"));
        assert_eq!(token.len(), 48);
        assert_ne!(token, mint(Scope::Send, &SystemRandom).unwrap());
        assert!(hash(&token).is_some());
        assert!(hash("hunter2").is_none());
        assert!(hash(&format!("sf_a_{}", "x".repeat(1_000))).is_none());
    }

    #[test]
    fn names_are_bounded() {
        assert!(name_problem("ci-1.x_Y").is_none());
        for wrong in ["", "a b", "local", &"x".repeat(65)] {
            assert!(name_problem(wrong).is_some(), "{wrong:?} was taken");
        }
    }
}
