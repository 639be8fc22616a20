//! From a target to a connection that speaks HTTP/1.1.
//!
//! A name is resolved once, its addresses are checked, and the connection goes
//! to one that was checked: there is no second look-up that could say
//! something else.

use super::guard::Allowed;
use super::resolve::Resolve;
use super::{Error, Target};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// How connections are made.
pub(super) struct Connector {
    pub(super) allowed: Allowed,
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) tls: TlsConnector,
    /// How long one address may take.
    pub(super) connect_timeout: Duration,
}

impl Connector {
    /// The addresses of a target that may be connected to, never none.
    pub(super) async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, Error> {
        let host = target.host();
        let no_address = |detail: String| Error::NoAddress {
            host: host.to_owned(),
            detail,
        };
        let found = match target.address() {
            Some(address) => vec![SocketAddr::new(address, target.port())],
            None => self
                .resolver
                .resolve(host, target.port())
                .await
                .map_err(|error| no_address(error.to_string()))?,
        };
        let mut refused = None;
        let mut open = Vec::with_capacity(found.len());
        for address in found {
            match self.allowed.refusal(host, address.ip()) {
                None => open.push(address),
                Some(why) => refused = Some((address.ip().to_canonical(), why)),
            }
        }
        match refused {
            Some((address, why)) if open.is_empty() => Err(Error::Refused {
                host: host.to_owned(),
                address,
                why,
            }),
            None if open.is_empty() => Err(no_address("it has none".to_owned())),
            _ => Ok(open),
        }
    }

    /// Connects to the first checked address that answers.
    pub(super) async fn connect(&self, target: &Target) -> Result<Connection, Error> {
        let host = target.host();
        let mut last = "it has no address".to_owned();
        for address in self.addresses(target).await? {
            match tokio::time::timeout(self.connect_timeout, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // A request is one write; it must not wait for Nagle's timer.
                    let _ = stream.set_nodelay(true);
                    return self.welcome(target, stream).await;
                }
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => {
                    last = format!("no answer within {} ms", self.connect_timeout.as_millis());
                }
            }
        }
        Err(Error::Connect {
            host: host.to_owned(),
            detail: last,
        })
    }

    async fn welcome(&self, target: &Target, stream: TcpStream) -> Result<Connection, Error> {
        if !target.is_https() {
            return Ok(Connection::Plain(stream));
        }
        let no_tls = |detail: String| Error::Tls {
            host: target.host().to_owned(),
            detail,
        };
        let name = ServerName::try_from(target.host().to_owned())
            .map_err(|error| no_tls(error.to_string()))?;
        let stream = self
            .tls
            .connect(name, stream)
            .await
            .map_err(|error| no_tls(error.to_string()))?;
        Ok(Connection::Tls(Box::new(stream)))
    }
}

/// Why TLS cannot be set up.
#[derive(Debug, Clone, thiserror::Error)]
#[error("outgoing.ca_file: {0}")]
pub struct SetupError(String);

/// TLS that trusts the public roots, and those of a PEM file where one is given.
pub(super) fn tls(ca_file: Option<&Path>) -> Result<TlsConnector, SetupError> {
    let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    if let Some(path) = ca_file {
        let wrong = |what: String| SetupError(format!("{}: {what}", path.display()));
        let found: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|error| wrong(error.to_string()))?;
        if found.is_empty() {
            return Err(wrong("holds no certificate".to_owned()));
        }
        for certificate in found {
            roots
                .add(certificate)
                .map_err(|error| wrong(error.to_string()))?;
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| SetupError(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A connection with or without TLS.
pub(super) enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
