//! The front door: TLS, and who may knock how often.

use crate::client::{DEADLINE, Reply, call, call_over};
use crate::surface::{LOCAL, Surface};
use base64::Engine as _;
use hyper::Method;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// Writes a fresh certificate for `localhost` with its key (`cert.pem`, `key.pem`), and gives the certificate.
pub(crate) fn certificate(folder: &Path) -> CertificateDer<'static> {
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
    let began = Instant::now();
    for _ in 0..2 {
        assert_eq!(surface.get("/v1/sessions").await.status, 200);
    }
    let refused = surface.get("/v1/sessions").await;
    let problem = refused.problem(429, "too_many_requests");
    assert_eq!(problem["retryable"], true);
    // Six a minute are one in ten seconds, of which some may be over.
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    let over = began.elapsed().as_secs() + 1;
    assert!(wait <= 10 && wait + over > 10, "{wait} s, after {over}");
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

#[tokio::test]
async fn an_address_behind_a_trusted_proxy_is_its_own() {
    let surface = Surface::with(|config| {
        config.server.auth_failures_per_minute = 2;
        config.server.trusted_proxies = vec!["127.0.0.0/8".to_owned()];
    })
    .await;
    let guess = async |forwarded: &str| {
        let headers = [("x-api-key", "sf_a_guess"), ("x-forwarded-for", forwarded)];
        call(surface.address, Method::GET, "/v1/sessions", &headers, "").await
    };
    for _ in 0..2 {
        guess("203.0.113.1").await.problem(401, "token_unknown");
    }
    guess("203.0.113.1").await.problem(429, "too_many_failures");
    guess("203.0.113.2").await.problem(401, "token_unknown");
    // What stands before the last stranger is that stranger's invention.
    guess("198.51.100.9, 203.0.113.1")
        .await
        .problem(429, "too_many_failures");
    surface.stop().await;

    // Nobody is trusted unasked.
    let surface = Surface::with(|config| config.server.auth_failures_per_minute = 2).await;
    for n in 0..3 {
        let forwarded = format!("203.0.113.{n}");
        let headers = [
            ("x-api-key", "sf_a_guess"),
            ("x-forwarded-for", forwarded.as_str()),
        ];
        let reply = call(surface.address, Method::GET, "/v1/sessions", &headers, "").await;
        assert_eq!(reply.status, if n < 2 { 401 } else { 429 });
    }
    surface.stop().await;
}

#[tokio::test]
async fn web_pages_may_read_nothing_until_they_are_named() {
    let preflight = async |surface: &Surface, origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "authorization,content-type",
            ),
        ];
        call(
            surface.address,
            Method::OPTIONS,
            "/v1/sessions/default/messages",
            &headers,
            "",
        )
        .await
    };
    let get = async |surface: &Surface, origin: &str| {
        let headers = [("origin", origin), ("x-api-key", surface.read.as_str())];
        call(surface.address, Method::GET, "/v1/sessions", &headers, "").await
    };
    let page = "https://app.example";
    let closed = Surface::start().await;
    let refused = preflight(&closed, page).await;
    refused.problem(405, "method_not_allowed");
    for reply in [refused, get(&closed, page).await] {
        let named = reply.headers.keys().map(hyper::http::HeaderName::as_str);
        let open: Vec<_> = named.filter(|n| n.starts_with("access-control")).collect();
        assert!(open.is_empty(), "{open:?}");
    }
    closed.stop().await;

    let open = Surface::with(|config| config.server.cors_origins = vec![page.to_owned()]).await;
    let leave = preflight(&open, page).await;
    assert_eq!(leave.status, 204);
    assert_eq!(leave.header("access-control-allow-origin"), page);
    for (header, word) in [
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "Authorization"),
        ("access-control-allow-headers", "Idempotency-Key"),
    ] {
        assert!(leave.header(header).contains(word), "{header}");
    }
    let answer = get(&open, page).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), page);
    assert_eq!(answer.header("vary"), "Origin");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    // A problem can be read too, or a page could not say what was wrong.
    let headers = [("origin", page)];
    let problem = call(open.address, Method::GET, "/v1/sessions", &headers, "").await;
    problem.problem(401, "token_missing");
    assert_eq!(problem.header("access-control-allow-origin"), page);
    for other in ["https://app.example.evil", "http://app.example", "null"] {
        let reply = get(&open, other).await;
        assert_eq!(reply.header("access-control-allow-origin"), "", "{other}");
        let refused = preflight(&open, other).await;
        refused.problem(405, "method_not_allowed");
    }
    open.stop().await;
}
