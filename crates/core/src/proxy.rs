//! The proxy through which a session reaches WhatsApp.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A proxy, as its owner names it: `http://proxy.example:3128`, `socks5://10.0.0.7:1080`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Proxy(String);

/// Why something is no proxy that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// It is no address of a proxy.
    #[error(
        "write it as http://HOST:PORT, https://HOST:PORT, socks4://HOST:PORT or socks5://HOST:PORT"
    )]
    Address,
    /// It carries a name and a password.
    #[error(
        "a proxy that asks for a name and a password cannot be used by the browser: let it admit this machine's address, \
         or run a forwarder here that logs in to it"
    )]
    Credentials,
}

const SCHEMES: [&str; 4] = ["http", "https", "socks4", "socks5"];

impl Proxy {
    /// Reads a proxy's address.
    ///
    /// # Errors
    /// As [`ProxyError`] says.
    pub fn parse(text: &str) -> Result<Self, ProxyError> {
        let (scheme, rest) = text.split_once("://").ok_or(ProxyError::Address)?;
        if rest.contains('@') {
            return Err(ProxyError::Credentials);
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = rest.rsplit_once(':').ok_or(ProxyError::Address)?;
        // A host of the browser's list syntax: nothing that could begin another item.
        let inside = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host_ok = match inside {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && host.len() <= 253
                    && host
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
            }
        };
        let scheme = scheme.to_ascii_lowercase();
        match port.parse::<u16>() {
            Ok(port @ 1..) if host_ok && SCHEMES.contains(&scheme.as_str()) => {
                let host = host.to_ascii_lowercase();
                Ok(Self(format!("{scheme}://{host}:{port}")))
            }
            _ => Err(ProxyError::Address),
        }
    }

    /// Its address: `scheme://host:port`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its `host:port`.
    pub fn address(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, rest)| rest)
    }

    /// Its host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        let host = self.address().rsplit_once(':').map_or("", |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }
}

impl TryFrom<String> for Proxy {
    type Error = ProxyError;

    fn try_from(text: String) -> Result<Self, ProxyError> {
        Self::parse(&text)
    }
}

impl From<Proxy> for String {
    fn from(proxy: Proxy) -> Self {
        proxy.0
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The proxy of one session as it is now: whoever starts its browser reads it
/// anew, so that a change holds from the next browser on.
#[derive(Debug, Clone, Default)]
pub struct ProxySetting(Arc<Mutex<Option<Proxy>>>);

impl ProxySetting {
    /// This one, for now.
    pub fn new(proxy: Option<Proxy>) -> Self {
        Self(Arc::new(Mutex::new(proxy)))
    }

    /// What is in force.
    pub fn get(&self) -> Option<Proxy> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes it, for every clone.
    pub fn set(&self, proxy: Option<Proxy>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = proxy;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_in_one_form() {
        for (text, read) in [
            ("http://proxy.example:3128", "http://proxy.example:3128"),
            ("HTTP://Proxy.Example:3128/", "http://proxy.example:3128"),
            ("socks5://10.0.0.7:1080", "socks5://10.0.0.7:1080"),
            ("https://[2001:db8::1]:443", "https://[2001:db8::1]:443"),
        ] {
            assert_eq!(Proxy::parse(text).map(String::from), Ok(read.to_owned()));
        }
        let host = |text| Proxy::parse(text).unwrap().host().to_owned();
        assert_eq!(host("https://[2001:db8::1]:443"), "2001:db8::1");
        assert_eq!(host("http://proxy.example:3128"), "proxy.example");
        let socks = Proxy::parse("socks5://10.0.0.7:1080").unwrap();
        assert_eq!(socks.address(), "10.0.0.7:1080");
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        for text in [
            "",
            "proxy:1",
            "ftp://proxy:1",
            "http://proxy",
            "http://proxy:0",
            "http://proxy:70000",
            "http://:1",
            "http://a,direct://:1",
            "http://a;b:1",
            "http://a b:1",
            "http://proxy:1/path",
            "http://[zz]:1",
            "direct://",
        ] {
            assert_eq!(Proxy::parse(text), Err(ProxyError::Address), "{text}");
        }
        assert_eq!(
            Proxy::parse("http://ann:secret@proxy:1"),
            Err(ProxyError::Credentials)
        );
    }

    #[test]
    fn a_change_is_seen_by_whoever_holds_it() {
        let setting = ProxySetting::default();
        let held = setting.clone();
        setting.set(Proxy::parse("http://a:1").ok());
        assert_eq!(held.get().map(String::from), Some("http://a:1".to_owned()));
    }
}
