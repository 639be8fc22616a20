//! The server's own key and certificate, made at every start.

use crate::error::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A key, its certificate, and the hash by which a browser is told to trust it.
pub(crate) struct Identity {
    config: Arc<ServerConfig>,
    spki: String,
}

impl Identity {
    /// Makes a new key (ECDSA P-256) and a certificate for web.whatsapp.com.
    pub(crate) fn make() -> Result<Self, Error> {
        let tls = |e: &dyn std::fmt::Display| Error::Tls(e.to_string());
        let key = KeyPair::generate().map_err(|e| tls(&e))?;
        let names = ["web.whatsapp.com", "localhost", "127.0.0.1"].map(str::to_owned);
        let certificate = CertificateParams::new(names)
            .and_then(|p| p.self_signed(&key))
            .map_err(|e| tls(&e))?;
        let spki = STANDARD.encode(Sha256::digest(key.subject_public_key_info()));
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| tls(&e))?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .map_err(|e| tls(&e))?;
        // A WebSocket needs HTTP/1.1 here; offering nothing else saves a round.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            spki,
        })
    }

    /// Base64 of the SHA-256 of the public key info, as Chromium's
    /// `--ignore-certificate-errors-spki-list` takes it.
    pub(crate) fn spki(&self) -> &str {
        &self.spki
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}
