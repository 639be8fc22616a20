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
/// How long the secret before a rotation is still taken, where nobody says: a day.
pub const DEFAULT_GRACE_S: u64 = 24 * 3_600;
/// The longest such time: 30 days.
pub const MAX_GRACE_S: u64 = 30 * 24 * 3_600;
/// The longest life of a token that has an end: ten years.
pub const MAX_LIFETIME_S: u64 = 10 * 365 * 24 * 3_600;
/// Most sessions that one token may be narrowed to.
pub const MAX_SESSIONS: usize = 100;
/// Most tokens that can be made over HTTP.
pub const MAX_TOKENS: usize = 1_000;
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

/// Reads a length of time as a person writes it, `90d`, `12h`, `30m`, `45s`; in seconds.
pub fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 24 * 3_600,
        _ => return None,
    };
    let plain = number.bytes().all(|b| b.is_ascii_digit());
    number
        .parse::<u64>()
        .ok()
        .filter(|_| plain)?
        .checked_mul(factor)
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
    fn lengths_of_time_are_read() {
        for (text, expected) in [
            ("90d", Some(7_776_000)),
            ("12h", Some(43_200)),
            ("0s", Some(0)),
            ("30m", Some(1_800)),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
        for text in [
            "",
            "d",
            "90",
            "+9d",
            "-1d",
            "1.5h",
            "9 d",
            "1w",
            "ä",
            "99999999999999999999d",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_bounded() {
        assert!(name_problem("ci-1.x_Y").is_none());
        for wrong in ["", "a b", "local", &"x".repeat(65)] {
            assert!(name_problem(wrong).is_some(), "{wrong:?} was taken");
        }
    }
}
