//! Tokens as they are stored: who may do what, where, and until when.

use crate::ids::SessionId;
use crate::time::UnixMs;
use serde::{Deserialize, Serialize};

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look, but change nothing.
    Read,
    /// Look and send.
    Send,
    /// Everything.
    Admin,
}

/// A token as stored: never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its name, unique.
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// What it may do.
    pub scope: Scope,
    /// The sessions that it is for; `None`: all, and the gateway itself.
    pub sessions: Option<Vec<SessionId>>,
    /// When it was made.
    pub created_at: UnixMs,
    /// From when on it is refused.
    pub expires_at: Option<UnixMs>,
    /// The secret before the newest one, for as long as it is still taken.
    pub previous: Option<PreviousSecret>,
    /// When it was last used, to the minute or so.
    pub last_used_at: Option<UnixMs>,
}

/// A secret that another has taken the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousSecret {
    /// Its SHA-256.
    pub hash: [u8; 32],
    /// From when on it is refused.
    pub until: UnixMs,
}

/// Why a secret that is known is refused all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenEnd {
    /// The token's time is up.
    Expired,
    /// It was rotated, and the time in which the old secret was taken is up.
    Rotated,
}

impl TokenRecord {
    /// A token for everything within its scope, without an end.
    pub fn new(name: impl Into<String>, hash: [u8; 32], scope: Scope, now: UnixMs) -> Self {
        Self {
            name: name.into(),
            hash,
            scope,
            sessions: None,
            created_at: now,
            expires_at: None,
            previous: None,
            last_used_at: None,
        }
    }

    /// Whether the secret of this hash, the newest or the one before, is taken now.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self, hash: &[u8; 32], now: UnixMs) -> Result<(), TokenEnd> {
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(TokenEnd::Expired);
        }
        match &self.previous {
            Some(previous) if previous.hash == *hash && previous.until <= now => {
                Err(TokenEnd::Rotated)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether it is for this session.
    pub fn is_for(&self, session: &SessionId) -> bool {
        let named = self.sessions.as_ref();
        named.is_none_or(|sessions| sessions.contains(session))
    }
}

/// A new secret for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Of which token.
    pub name: String,
    /// SHA-256 of the new secret.
    pub hash: [u8; 32],
    /// Until when the one in force so far is still taken.
    pub previous_until: UnixMs,
    /// When the token ends from now on.
    pub expires_at: Option<UnixMs>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_an_end_to_the_millisecond() {
        let mut token = TokenRecord::new("a", [1; 32], Scope::Send, UnixMs(0));
        assert_eq!(token.admits(&[1; 32], UnixMs(i64::MAX)), Ok(()));
        token.expires_at = Some(UnixMs(100));
        assert_eq!(token.admits(&[1; 32], UnixMs(99)), Ok(()));
        assert_eq!(token.admits(&[1; 32], UnixMs(100)), Err(TokenEnd::Expired));
    }

    #[test]
    fn the_old_secret_ends_and_the_new_one_stays() {
        let mut token = TokenRecord::new("a", [2; 32], Scope::Send, UnixMs(0));
        token.previous = Some(PreviousSecret {
            hash: [1; 32],
            until: UnixMs(50),
        });
        assert_eq!(token.admits(&[1; 32], UnixMs(49)), Ok(()));
        assert_eq!(token.admits(&[1; 32], UnixMs(50)), Err(TokenEnd::Rotated));
        assert_eq!(token.admits(&[2; 32], UnixMs(50)), Ok(()));
    }

    #[test]
    fn a_token_for_some_sessions_is_for_no_other() {
        let id = |name| SessionId::parse(name).unwrap();
        let mut token = TokenRecord::new("a", [1; 32], Scope::Admin, UnixMs(0));
        assert!(token.is_for(&id("x")));
        token.sessions = Some(vec![id("x"), id("y")]);
        assert!(token.is_for(&id("y")));
        assert!(!token.is_for(&id("z")));
        token.sessions = Some(Vec::new());
        assert!(!token.is_for(&id("x")), "none named is none, not all");
    }
}
