//! Where a request goes: an `http` or `https` URL taken apart, and what a
//! redirect makes of it. Only what is needed; no URL is ever repaired.

use super::Error;
use hyper::http::Uri;
use hyper::http::uri::PathAndQuery;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Longest URL that is taken, in bytes.
const MAX_URL_BYTES: usize = 2_048;
/// Longest host name (RFC 1035, 3.1, as text).
const MAX_HOST_BYTES: usize = 253;

/// One place that a request can go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    https: bool,
    /// Lower case; an IPv6 address without its brackets.
    host: String,
    port: u16,
    path: PathAndQuery,
}

impl Target {
    /// Reads a URL: `http` or `https`, at most 2,048 bytes, no user name or
    /// password, and a host of ASCII letters (punycode for others). A fragment
    /// is dropped: it never travels.
    ///
    /// # Errors
    /// [`Error::Url`], with what would be right.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Url(what.to_owned());
        if text.len() > MAX_URL_BYTES {
            return Err(wrong("it is longer than 2048 bytes"));
        }
        let uri: Uri = text
            .parse()
            .map_err(|_| wrong("it is no URL; write https://host/path, in ASCII"))?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("only http and https are spoken")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong(
                "it holds a user name or password; send a header instead",
            ));
        }
        let host = host_of(authority.host()).ok_or_else(|| {
            wrong("its host is neither a name in ASCII (xn-- for others) nor an address")
        })?;
        let port = match &authority.as_str()[authority.host().len()..] {
            "" if https => 443,
            "" => 80,
            written => written
                .strip_prefix(':')
                .and_then(|digits| digits.parse().ok())
                .filter(|port| *port != 0)
                .ok_or_else(|| wrong("its port is no number from 1 to 65535"))?,
        };
        let path = uri
            .path_and_query()
            .filter(|path| !path.as_str().is_empty());
        let path =
            match path {
                // An absolute URL may go straight from the host to its query.
                Some(path) if path.as_str().starts_with('?') => format!("/{}", path.as_str())
                    .parse()
                    .map_err(|_| wrong("its query is none"))?,
                Some(path) => path.clone(),
                None => PathAndQuery::from_static("/"),
            };
        Ok(Self {
            https,
            host,
            port,
            path,
        })
    }

    /// Where a `Location` header leads from here (RFC 3986, 5.2).
    ///
    /// # Errors
    /// [`Error::Url`] where that is no place to go.
    pub fn join(&self, location: &str) -> Result<Self, Error> {
        let location = location.split('#').next().unwrap_or_default();
        let scheme = if self.https { "https" } else { "http" };
        let path = self.path.path();
        let (reference, query) = match location.split_once('?') {
            Some((reference, query)) => (reference, format!("?{query}")),
            None => (location, String::new()),
        };
        let joined = if has_scheme(location) {
            return Self::parse(location);
        } else if location.starts_with("//") {
            return Self::parse(&format!("{scheme}:{location}"));
        } else if reference.is_empty() {
            path.to_owned()
        } else if reference.starts_with('/') {
            without_dots(reference)
        } else {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            without_dots(&format!("{folder}/{reference}"))
        };
        Self::parse(&format!("{scheme}://{}{joined}{query}", self.authority()))
    }

    /// Whether it is spoken over TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The host: a name in lower case, or an address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host as an address, where it is one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// What the request line says.
    pub fn path(&self) -> &PathAndQuery {
        &self.path
    }

    /// What the `Host` header says: without the port where it is the usual one.
    pub fn authority(&self) -> String {
        let host = match self.host.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => self.host.clone(),
        };
        match (self.https, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// Scheme, host and port: who is spoken to, without what may be secret in
    /// path and query.
    pub fn origin(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)
    }
}

fn host_of(host: &str) -> Option<String> {
    if let Some(inner) = host.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some(address.to_string());
    }
    let ok = (1..=MAX_HOST_BYTES).contains(&host.len())
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        && !host.starts_with('.')
        && !host.contains("..");
    ok.then(|| host.to_ascii_lowercase())
}

/// Whether it begins with `word:` (RFC 3986, 3.1).
fn has_scheme(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else {
        return false;
    };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// A path without `.` and `..` (RFC 3986, 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text).unwrap()
    }

    #[test]
    fn urls_are_read() {
        for (given, read) in [
            ("https://Example.org", "https://example.org/"),
            (
                "https://example.org:443/a?b=c#d",
                "https://example.org/a?b=c",
            ),
            ("http://example.org:8080/", "http://example.org:8080/"),
            ("http://[::1]:8080/x", "http://[::1]:8080/x"),
            ("https://example.org?b", "https://example.org/?b"),
            (
                "https://xn--bcher-kva.example/",
                "https://xn--bcher-kva.example/",
            ),
        ] {
            assert_eq!(target(given).to_string(), read, "{given}");
        }
    }

    #[test]
    fn what_is_no_place_to_go_is_refused() {
        for wrong in [
            "",
            "/path",
            "example.org",
            "ftp://example.org/",
            "file:///etc/passwd",
            "https://user@example.org/",
            "https://a:b@example.org/",
            "https://",
            "https://.example.org/",
            "https://a..b/",
            "https://exa mple.org/",
            "https://b\u{fc}cher.example/",
            "https://example.org:0/",
            "https://example.org:65536/",
            "https://example.org:x/",
            "https://[fe80::1%25eth0]/",
            &format!("https://example.org/{}", "x".repeat(2_048)),
        ] {
            assert!(Target::parse(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn redirects_lead_where_the_rfc_says() {
        let from = target("https://a.example:8443/b/c/d?q");
        for (location, to) in [
            ("https://other.example/x", "https://other.example/x"),
            ("http://a.example/", "http://a.example/"),
            ("//other.example/x", "https://other.example/x"),
            ("/x?y", "https://a.example:8443/x?y"),
            ("x", "https://a.example:8443/b/c/x"),
            ("../x", "https://a.example:8443/b/x"),
            ("../../../x/./y/..", "https://a.example:8443/x/"),
            ("?z", "https://a.example:8443/b/c/d?z"),
            ("#f", "https://a.example:8443/b/c/d"),
            ("x?u=http://y", "https://a.example:8443/b/c/x?u=http://y"),
        ] {
            assert_eq!(from.join(location).unwrap().to_string(), to, "{location}");
        }
        for wrong in ["javascript:alert(1)", "file:///etc/passwd", "//", "data:,x"] {
            assert!(from.join(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
