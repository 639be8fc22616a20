//! The way out over real sockets on loopback.

use super::*;
use async_trait::async_trait;
use base64::Engine as _;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Says one address the first time and loopback ever after.
struct Rebinding {
    asked: AtomicUsize,
    first: &'static str,
}

#[async_trait]
impl Resolve for Rebinding {
    async fn resolve(&self, _: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let before = self.asked.fetch_add(1, Ordering::SeqCst);
        let ip = if before == 0 { self.first } else { "127.0.0.1" };
        Ok(vec![SocketAddr::new(ip.parse().unwrap(), port)])
    }
}

#[derive(Default)]
struct Kept(Vec<u8>);

#[async_trait]
impl FileSink for Kept {
    async fn write(&mut self, piece: &[u8]) -> Result<(), String> {
        self.0.extend_from_slice(piece);
        Ok(())
    }
}

fn config(allow: &[&str]) -> config::Outgoing {
    let mut config = config::Config::defaults().unwrap().outgoing;
    config.allow = allow.iter().map(|&text| text.to_owned()).collect();
    config.connect_timeout_ms = 5_000;
    config.fetch_timeout_ms = 20_000;
    config
}

fn outgoing(allow: &[&str]) -> Outgoing {
    Outgoing::new(&config(allow)).unwrap()
}

/// Answers every connection with what `answer` makes of the request head, and
/// counts the connections.
struct Server {
    address: SocketAddr,
    seen: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Server {
    async fn new(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let mut head = Vec::new();
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    let mut buffer = [0; 1024];
                    match stream.read(&mut buffer).await {
                        Ok(0) | Err(_) => break,
                        Ok(n) => head.extend_from_slice(&buffer[..n]),
                    }
                }
                let text = answer(&String::from_utf8_lossy(&head));
                let _ = stream.write_all(text.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self {
            address,
            seen,
            _task: task,
        }
    }

    fn connections(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

const DEADLINE: Duration = Duration::from_secs(20);

async fn post(out: &Outgoing, url: &str) -> Result<Reply, Error> {
    let body = Bytes::from_static(b"{}");
    out.post(url, HeaderMap::new(), body, DEADLINE).await
}

#[tokio::test]
async fn loopback_is_refused_by_address_and_by_name() {
    let server = Server::new(|_| ok("secret")).await;
    let out = outgoing(&[]);
    let port = server.address.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "0.0.0.0",
        "127.1",
        "2130706433",
        "0x7f000001",
    ] {
        let url = format!("http://{host}:{port}/");
        let posted = post(&out, &url).await;
        assert!(
            matches!(posted, Err(Error::Refused { .. })),
            "{url}: {posted:?}"
        );
        let fetched = out.get_to(&url, 100, &mut Kept::default()).await;
        assert!(
            matches!(fetched, Err(Error::Refused { .. })),
            "{url}: {fetched:?}"
        );
        let vetted = out.vet(&url).await;
        assert!(
            matches!(vetted, Err(Error::Refused { .. })),
            "{url}: {vetted:?}"
        );
    }
    assert_eq!(server.connections(), 0, "nobody was even connected to");
}

#[tokio::test]
async fn what_the_operator_allows_is_reached() {
    let server = Server::new(|head| {
        assert!(head.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{head}");
        assert!(
            head.to_ascii_lowercase().contains("\r\nhost: localhost:"),
            "{head}"
        );
        ok("thanks\u{7}")
    })
    .await;
    for allow in ["localhost", "127.0.0.0/8"] {
        let url = format!("http://localhost:{}/hook?x=1", server.address.port());
        let reply = post(&outgoing(&[allow, "::1"]), &url).await.unwrap();
        assert_eq!((reply.status, reply.excerpt.as_str()), (200, "thanks"));
    }
}

#[tokio::test]
async fn a_name_that_changes_its_address_gains_nothing() {
    let server = Server::new(|_| ok("secret")).await;
    let resolver = Arc::new(Rebinding {
        asked: AtomicUsize::new(0),
        // Reserved for documentation: nobody is there, and here it is allowed.
        first: "192.0.2.1",
    });
    let mut config = config(&["192.0.2.0/24"]);
    config.connect_timeout_ms = 300;
    let out = Outgoing::with_resolver(&config, resolver.clone()).unwrap();
    let url = format!("http://rebind.example:{}/", server.address.port());
    let posted = post(&out, &url).await;
    assert!(matches!(posted, Err(Error::Connect { .. })), "{posted:?}");
    assert_eq!(resolver.asked.load(Ordering::SeqCst), 1);
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_refused() {
    let inner = Server::new(|_| ok("secret")).await;
    let to = format!("http://127.0.0.2:{}/secret", inner.address.port());
    let outer = Server::new(move |_| redirect(&to)).await;
    let out = outgoing(&["127.0.0.1"]);
    let url = format!("http://{}/", outer.address);
    let mut kept = Kept::default();
    let fetched = out.get_to(&url, 100, &mut kept).await;
    assert!(matches!(fetched, Err(Error::Refused { .. })), "{fetched:?}");
    let reply = post(&out, &url).await.unwrap();
    assert_eq!(reply.status, 302, "a webhook follows nothing");
    assert_eq!(inner.connections(), 0);
    assert!(kept.0.is_empty());
}

#[tokio::test]
async fn redirects_are_followed_so_far_and_no_further() {
    let server = Server::new(|head| {
        let path = head.split(' ').nth(1).unwrap();
        match path.trim_start_matches('/').parse::<u32>().unwrap() {
            0 => ok("here"),
            left => redirect(&format!("/{}", left - 1)),
        }
    })
    .await;
    let out = outgoing(&["127.0.0.1"]);
    let mut kept = Kept::default();
    let url = |n: u32| format!("http://{}/{n}", server.address);
    let fetched = out.get_to(&url(3), 100, &mut kept).await.unwrap();
    assert_eq!((fetched.bytes, kept.0.as_slice()), (4, &b"here"[..]));
    assert_eq!(fetched.content_type.as_deref(), Some("text/plain"));
    assert_eq!(fetched.target.to_string(), url(0));
    let fetched = out.get_to(&url(4), 100, &mut kept).await;
    assert_eq!(fetched, Err(Error::TooManyRedirects(3)));
}

#[tokio::test]
async fn what_is_too_long_too_slow_or_too_wordy_ends() {
    let long = Server::new(|_| ok(&"x".repeat(101))).await;
    let undeclared =
        Server::new(|_| format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(100_000))).await;
    let wordy = Server::new(|_| {
        let words = format!("X-Word: {}\r\n", "y".repeat(4_000)).repeat(90);
        format!("HTTP/1.1 200 OK\r\n{words}\r\n")
    })
    .await;
    let out = outgoing(&["127.0.0.1"]);
    for server in [&long, &undeclared] {
        let mut kept = Kept::default();
        let url = format!("http://{}/", server.address);
        let fetched = out.get_to(&url, 100, &mut kept).await;
        assert_eq!(fetched, Err(Error::TooLarge(100)));
        assert!(kept.0.len() <= 100);
    }
    let url = format!("http://{}/", wordy.address);
    let fetched = out.get_to(&url, 100, &mut Kept::default()).await;
    assert!(matches!(fetched, Err(Error::Broken(_))), "{fetched:?}");

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let short = Duration::from_millis(100);
    let posted = out.post(&url, HeaderMap::new(), Bytes::new(), short).await;
    assert_eq!(posted, Err(Error::Timeout(100)));
}

#[tokio::test]
async fn tls_is_checked_against_the_authorities_that_are_trusted() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&cert, pem("CERTIFICATE", made.cert.der())).unwrap();
    std::fs::write(&key, pem("PRIVATE KEY", &made.signing_key.serialize_der())).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(&cert).unwrap()],
            PrivateKeyDer::from_pem_file(&key).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(ok("over TLS").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    let mut config = config(&["127.0.0.0/8", "::1"]);
    let strict = Outgoing::new(&config).unwrap();
    config.ca_file = Some(cert.clone());
    let trusting = Outgoing::new(&config).unwrap();
    let by_name = format!("https://localhost:{}/", address.port());
    let by_address = format!("https://{address}/");
    let posted = post(&strict, &by_name).await;
    assert!(matches!(posted, Err(Error::Tls { .. })), "{posted:?}");
    let posted = post(&trusting, &by_address).await;
    assert!(matches!(posted, Err(Error::Tls { .. })), "{posted:?}");
    let reply = post(&trusting, &by_name).await.unwrap();
    assert_eq!((reply.status, reply.excerpt.as_str()), (200, "over TLS"));
    config.https_only = true;
    let only = Outgoing::new(&config).unwrap();
    let posted = post(&only, "http://localhost/").await;
    assert!(matches!(posted, Err(Error::Url(_))), "{posted:?}");
    config.ca_file = Some(key);
    assert!(Outgoing::new(&config).is_err(), "a key is no certificate");
}
