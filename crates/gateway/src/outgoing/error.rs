//! What can go wrong on the way out.

use std::net::IpAddr;

/// Why a request did not bring an answer. No text holds a URL's path or
/// query: they may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The URL cannot be used.
    #[error("the URL cannot be used: {0}")]
    Url(String),
    /// The address is not one that strangers' URLs may lead to.
    #[error(
        "{host} is at {address}, {why}: refused; outgoing.allow can allow it by name or network"
    )]
    Refused {
        /// The host that was named.
        host: String,
        /// Where it is.
        address: IpAddr,
        /// What kind of address that is.
        why: &'static str,
    },
    /// The name has no address.
    #[error("no address for {host}: {detail}")]
    NoAddress {
        /// The name.
        host: String,
        /// What the resolver said.
        detail: String,
    },
    /// Nobody answers at the address.
    #[error("cannot connect to {host}: {detail}")]
    Connect {
        /// The host.
        host: String,
        /// What the system said.
        detail: String,
    },
    /// The other side's certificate, or its TLS, is not good.
    #[error("no TLS with {host}: {detail}")]
    Tls {
        /// The host.
        host: String,
        /// What is wrong.
        detail: String,
    },
    /// It took too long.
    #[error("no answer within {0} ms")]
    Timeout(u64),
    /// The other side broke off, or speaks no HTTP.
    #[error("the answer broke off: {0}")]
    Broken(String),
    /// The answer is another than the one asked for.
    #[error("the answer has status {0}")]
    Status(u16),
    /// It was sent on too often.
    #[error("redirected more than {0} times")]
    TooManyRedirects(u32),
    /// More bytes than were wanted.
    #[error("longer than {0} bytes")]
    TooLarge(u64),
    /// Who takes the bytes does not want them.
    #[error("{0}")]
    Sink(String),
}

impl Error {
    /// The stable name, as it stands in lists of attempts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Url(_) => "url",
            Self::Refused { .. } => "refused",
            Self::NoAddress { .. } => "no_address",
            Self::Connect { .. } => "connect",
            Self::Tls { .. } => "tls",
            Self::Timeout(_) => "timeout",
            Self::Broken(_) => "broken",
            Self::Status(_) => "status",
            Self::TooManyRedirects(_) => "redirects",
            Self::TooLarge(_) => "too_large",
            Self::Sink(_) => "sink",
        }
    }
}
