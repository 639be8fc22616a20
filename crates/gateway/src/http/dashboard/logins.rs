//! Logins of the dashboard: a random secret in a cookie, kept here by its hash
//! beside the hash of the token that it was given for. What the login may do
//! is asked of that token with every request, so that revoking, rotating or
//! narrowing the token holds for its logins at once.
//!
//! They are written to a file of the data folder, by hash, so that a restart
//! of the gateway logs nobody out.

use crate::clock::{Random, RandomError, random_bytes};
use crate::events;
use axum::http::header::{COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, Method};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use steadfast_core::time::UnixMs;
use subtle::ConstantTimeEq as _;

/// How long a login lasts.
pub(super) const LIFETIME_S: u64 = 24 * 3_600;
/// Logins that are kept. One more ends the one that would end first.
const MAX_LOGINS: usize = 1_000;
/// What the names of our cookies begin with. The port follows: a browser
/// gives every port of a host the same cookies, and each gateway needs its own.
const COOKIE_NAME: &str = "steadfast_login_";
/// Must be in every request that changes something and is let in by a cookie.
/// No other origin's page can set it without a leave that is never given.
pub(super) const MARK: &str = "x-steadfast-page";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Login {
    /// SHA-256 of the secret.
    secret: [u8; 32],
    /// SHA-256 of the token.
    token: [u8; 32],
    until: UnixMs,
}

/// What a request's cookies say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum LoggedIn {
    /// There is none of ours.
    Nobody,
    /// There is one, and its login has ended.
    Ended,
    /// There is one that stands for the token of this hash.
    Holder([u8; 32]),
}

/// All logins.
#[derive(Debug, Default)]
pub(in crate::http) struct Logins {
    known: Mutex<Vec<Login>>,
    file: Option<Arc<Mutex<PathBuf>>>,
}

impl Logins {
    /// Those that the file holds; nowhere but in memory without one. A file
    /// that cannot be read logs everybody out, and does no other harm.
    pub(in crate::http) fn open(file: Option<PathBuf>) -> Self {
        let read = |path: &PathBuf| {
            let bytes = std::fs::read(path).ok()?;
            serde_json::from_slice::<Vec<Login>>(&bytes).ok()
        };
        let mut known = file.as_ref().and_then(read).unwrap_or_default();
        known.truncate(MAX_LOGINS);
        Self {
            known: Mutex::new(known),
            file: file.map(|path| Arc::new(Mutex::new(path))),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Login>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A login for the holder of this token; its secret, which is kept nowhere.
    pub(super) async fn begin(
        &self,
        token: [u8; 32],
        now: UnixMs,
        random: &dyn Random,
    ) -> Result<String, RandomError> {
        let bytes: [u8; 32] = random_bytes(random)?;
        let secret = URL_SAFE_NO_PAD.encode(bytes);
        let login = Login {
            secret: hash(&secret),
            token,
            until: now.plus(LIFETIME_S * 1_000),
        };
        {
            let mut known = self.lock();
            known.retain(|login| login.until > now);
            if known.len() >= MAX_LOGINS {
                // They all live equally long: the first is the one that ends first.
                known.remove(0);
            }
            known.push(login);
        }
        self.save().await;
        Ok(secret)
    }

    /// Who is logged in by a request's cookies.
    pub(in crate::http) fn token_of(&self, headers: &HeaderMap, now: UnixMs) -> LoggedIn {
        let mut presented = secrets(headers).peekable();
        if presented.peek().is_none() {
            return LoggedIn::Nobody;
        }
        let known = self.lock();
        let mut found = LoggedIn::Ended;
        for secret in presented {
            let hash = hash(secret);
            // All of them, so that the time taken tells nothing.
            for login in known.iter() {
                if bool::from(login.secret.ct_eq(&hash)) && login.until > now {
                    found = LoggedIn::Holder(login.token);
                }
            }
        }
        found
    }

    /// Ends the logins of a request's cookies.
    pub(super) async fn end(&self, headers: &HeaderMap) {
        let ended: Vec<_> = secrets(headers).map(hash).collect();
        self.lock().retain(|login| !ended.contains(&login.secret));
        self.save().await;
    }

    /// Writes them down. Where that fails, they hold until the gateway stops.
    async fn save(&self) {
        let Some(file) = self.file.clone() else {
            return;
        };
        let written = tokio::task::spawn_blocking({
            let known = self.lock().clone();
            move || {
                let path = file.lock().unwrap_or_else(PoisonError::into_inner);
                write(&path, &known)
            }
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(event = events::LOGINS_NOT_STORED, %error, "logins end with the gateway");
            }
            Err(error) => {
                tracing::warn!(event = events::LOGINS_NOT_STORED, %error, "logins end with the gateway");
            }
        }
    }
}

fn write(path: &Path, logins: &[Login]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // Made for its owner alone.
    let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
    fresh.write_all(&serde_json::to_vec(logins)?)?;
    fresh.persist(path)?;
    Ok(())
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// The secrets of our cookies in a request.
fn secrets(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| name.starts_with(COOKIE_NAME))
        .map(|(_, secret)| secret)
}

/// The cookie that carries a login, or that ends it.
pub(super) fn cookie(headers: &HeaderMap, secret: Option<&str>) -> String {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let port = text(HOST)
        .and_then(|host| host.rsplit_once(':'))
        .map(|(_, port)| port)
        .filter(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
        .unwrap_or("0");
    // The page says itself how it was reached; a proxy may speak TLS before us.
    let secure = text(ORIGIN).is_some_and(|origin| origin.starts_with("https://"));
    let secure = if secure { "; Secure" } else { "" };
    let (value, age) = secret.map_or(("", 0), |secret| (secret, LIFETIME_S));
    format!("{COOKIE_NAME}{port}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
}

/// Whether a request comes from the dashboard's own page. Browsers say so
/// themselves (Fetch Metadata); where one does not, its `Origin` must be our
/// host. What changes something must carry our mark besides.
pub(in crate::http) fn from_our_page(method: &Method, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let here = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some() && host == text("host")
        }
        (None, None) => true,
    };
    here && (method.is_safe() || headers.contains_key(MARK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRandom;
    use axum::http::HeaderValue;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            let name = axum::http::HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[tokio::test]
    async fn a_login_ends_by_time_by_word_and_by_number() {
        let logins = Logins::default();
        let now = UnixMs(1_000);
        let mut secrets = Vec::new();
        for n in 0..=MAX_LOGINS {
            let token = [u8::from(n == 1); 32];
            secrets.push(logins.begin(token, now, &SystemRandom).await.unwrap());
        }
        let with = |secret: &str| {
            let cookies = format!("other=1; steadfast_login_8080={secret}");
            headers(&[("cookie", &cookies)])
        };
        assert_eq!(logins.token_of(&headers(&[]), now), LoggedIn::Nobody);
        assert_eq!(logins.token_of(&with(&secrets[0]), now), LoggedIn::Ended);
        assert_eq!(
            logins.token_of(&with(&secrets[1]), now),
            LoggedIn::Holder([1; 32])
        );
        let then = now.plus(LIFETIME_S * 1_000);
        assert_eq!(logins.token_of(&with(&secrets[1]), then), LoggedIn::Ended);
        logins.end(&with(&secrets[1])).await;
        assert_eq!(logins.token_of(&with(&secrets[1]), now), LoggedIn::Ended);
        assert_ne!(logins.token_of(&with(&secrets[2]), now), LoggedIn::Ended);
    }

    #[tokio::test]
    async fn logins_outlive_the_gateway_and_their_secrets_are_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logins.json");
        let logins = Logins::open(Some(path.clone()));
        let now = UnixMs(1_000);
        let secret = logins.begin([7; 32], now, &SystemRandom).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&secret));
        let again = Logins::open(Some(path.clone()));
        let cookies = format!("steadfast_login_0={secret}");
        let found = again.token_of(&headers(&[("cookie", &cookies)]), now);
        assert_eq!(found, LoggedIn::Holder([7; 32]));
        std::fs::write(&path, "{").unwrap();
        assert!(Logins::open(Some(path)).lock().is_empty());
    }

    #[test]
    fn only_our_own_page_may_change_something() {
        let ours = |method: Method, pairs: &[(&'static str, &str)]| {
            from_our_page(&method, &headers(pairs))
        };
        let mark = (MARK, "1");
        let host = ("host", "127.0.0.1:8080");
        assert!(ours(Method::GET, &[]));
        assert!(ours(Method::GET, &[("sec-fetch-site", "none")]));
        assert!(!ours(Method::GET, &[("sec-fetch-site", "same-site")]));
        assert!(!ours(Method::POST, &[("sec-fetch-site", "same-origin")]));
        assert!(ours(
            Method::POST,
            &[("sec-fetch-site", "same-origin"), mark]
        ));
        assert!(!ours(
            Method::POST,
            &[("sec-fetch-site", "cross-site"), mark]
        ));
        let origin = ("origin", "http://127.0.0.1:8080");
        assert!(ours(Method::POST, &[origin, host, mark]));
        let other = ("origin", "http://127.0.0.1:8081");
        assert!(!ours(Method::POST, &[other, host, mark]));
        assert!(!ours(Method::POST, &[("origin", "null"), host, mark]));
    }

    #[test]
    fn a_cookie_belongs_to_one_gateway_and_to_its_page_alone() {
        let plain = cookie(&headers(&[("host", "[::1]:8080")]), Some("x"));
        assert_eq!(
            plain,
            "steadfast_login_8080=x; Path=/; Max-Age=86400; HttpOnly; SameSite=Strict"
        );
        let tls = headers(&[("host", "a.example"), ("origin", "https://a.example")]);
        assert_eq!(
            cookie(&tls, None),
            "steadfast_login_0=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure"
        );
    }
}
