//! The front door: TLS, and who may knock how often.

use crate::client::{DEADLINE, Reply, call, call_over};
use crate::surface::{LOCAL, Surface};
use base64::Engine as _;
use hyper::Method;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// Writes a fresh certificate with its key, and gives the certificate.
fn certificate(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = |label: &str, der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    let key = made.signing_key.serialize_der();
    std::fs::write(folder.join("cert.pem"), pem("CERTIFICATE", made.cert.der())).unwrap();
    std::fs::write(folder.join("key.pem"), pem("PRIVATE KEY", &key)).unwrap();
    made.cert.der().clone()
}

async fn over_tls(address: SocketAddr, trusted: CertificateDer<'static>) -> std::io::Result<Reply> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let talk = async {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?;
        Ok(call_over(stream, address, Method::GET, "/ping", &[], "").await)
    };
    tokio::time::timeout(DEADLINE, talk)
        .await
        .expect("no answer in time")
}

#[tokio::test]
async fn tls_is_spoken_and_this_machine_may_go_on_without() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = certificate(folder.path());
    let surface = Surface::with(|config| {
        config.server.tls_cert = Some(folder.path().join("cert.pem"));
        config.server.tls_key = Some(folder.path().join("key.pem"));
    })
    .await;
    assert_eq!(
        over_tls(surface.address, trusted).await.unwrap().status,
        200
    );
    assert_eq!(surface.get("/ping").await.status, 200);
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = certificate(elsewhere.path());
    assert!(over_tls(surface.address, stranger).await.is_err());
    surface.stop().await;
}

#[tokio::test]
async fn a_handshake_that_never_comes_holds_nothing_for_long() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let surface = Surface::with(|config| {
        config.server.tls_cert = Some(folder.path().join("cert.pem"));
        config.server.tls_key = Some(folder.path().join("key.pem"));
        config.server.header_timeout_ms = 200;
    })
    .await;
    for begun in [&[][..], &[22, 3, 1]] {
        let mut stream = TcpStream::connect(surface.address).await.unwrap();
        stream.write_all(begun).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the connection was kept");
    }
    surface.stop().await;
}

#[tokio::test]
async fn a_token_that_asks_too_often_is_told_to_wait() {
    let surface = Surface::with(|config| {
        config.server.token_requests_per_minute = 6;
        config.server.token_burst = 2;
    })
    .await;
    for _ in 0..2 {
        assert_eq!(surface.get("/v1/sessions").await.status, 200);
    }
    let refused = surface.get("/v1/sessions").await;
    let problem = refused.problem(429, "too_many_requests");
    assert_eq!(problem["retryable"], true);
    assert_eq!(refused.header("retry-after"), "10");
    let other = [("x-api-key", surface.read.as_str())];
    let answer = call(surface.address, Method::GET, "/v1/sessions", &other, "").await;
    assert_eq!(answer.status, 200, "one token's limit is not another's");
    let local = [("x-api-key", LOCAL)];
    for _ in 0..4 {
        let answer = call(surface.address, Method::GET, "/v1/sessions", &local, "").await;
        assert_eq!(
            answer.status, 200,
            "the machine's own command line has no limit"
        );
    }
    surface.stop().await;
}

#[tokio::test]
async fn guessing_is_slowed_and_the_owner_passes() {
    let surface = Surface::with(|config| config.server.auth_failures_per_minute = 3).await;
    let guess = [("x-api-key", "sf_a_guess")];
    let mut answers = Vec::new();
    for _ in 0..20 {
        let answer = call(surface.address, Method::GET, "/v1/sessions", &guess, "").await;
        answers.push(answer);
    }
    let (told, slowed) = answers.split_at(3);
    for answer in told {
        answer.problem(401, "token_unknown");
    }
    // Under load a place may have come free again in between.
    let last = slowed.iter().filter(|answer| answer.status == 429).count();
    assert!(
        last >= slowed.len() - 2,
        "{last} of {} were slowed",
        slowed.len()
    );
    slowed[0].problem(429, "too_many_failures");
    assert_eq!(surface.get("/v1/sessions").await.status, 200);
    surface.stop().await;
}
