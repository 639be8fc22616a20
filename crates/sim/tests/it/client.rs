//! A page made of nothing but its socket.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use steadfast_sim::knobs::Knobs;
use steadfast_sim::world::NewAccount;
use steadfast_sim::{SimConfig, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Nothing here takes long; other work on the machine may.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const PHONE: &str = "4915100000001";
pub(crate) const BOB: &str = "4915100000002";

/// Trusts exactly the key whose hash the simulator names, as the browser does.
#[derive(Debug)]
struct Pinned(String);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let hash = STANDARD.encode(Sha256::digest(parsed.subject_public_key_info()));
        if hash == self.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("another key".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &rustls::crypto::ring::default_provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

pub(crate) async fn tls(addr: SocketAddr, spki: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .dangerous()
    .with_custom_certificate_verifier(Arc::new(Pinned(spki.to_owned())))
    .with_no_client_auth();
    let name = ServerName::try_from("web.whatsapp.com").unwrap();
    let tcp = TcpStream::connect(addr).await?;
    TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
}

/// One request on a connection of its own; the status and the whole answer.
pub(crate) async fn http(sim: &Simulator, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = tls(sim.addr(), sim.spki()).await.unwrap();
    let request = format!(
        "{head} HTTP/1.1\r\nHost: web.whatsapp.com\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    // The end may come without a TLS goodbye.
    let _ = stream.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok());
    (status.unwrap_or(0), text)
}

pub(crate) struct Page {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    pub(crate) keys: Value,
}

/// How a socket ended.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    Code(u16),
    Cut,
}

impl Page {
    pub(crate) async fn open(sim: &Simulator) -> Self {
        Self::try_open(sim).await.unwrap()
    }

    pub(crate) async fn try_open(sim: &Simulator) -> Result<Self, String> {
        let stream = tls(sim.addr(), sim.spki())
            .await
            .map_err(|e| e.to_string())?;
        let (socket, _) = tokio_tungstenite::client_async("wss://web.whatsapp.com/ws/web", stream)
            .await
            .map_err(|e| e.to_string())?;
        let key = |n: u8| STANDARD.encode([n; 32]);
        Ok(Self {
            socket,
            keys: json!({"static": key(1), "identity": key(2), "adv": key(3)}),
        })
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        let text = frame.to_string();
        self.socket.send(Message::Text(text.into())).await.unwrap();
    }

    pub(crate) async fn send_raw(&mut self, text: &str) {
        self.socket
            .send(Message::Text(text.to_owned().into()))
            .await
            .unwrap();
    }

    /// The next frame, or how the socket ended.
    pub(crate) async fn next(&mut self) -> Result<Value, End> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next())
                .await
                .expect("a frame in time");
            match message {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(close)))) => return Err(End::Code(close.code.into())),
                Some(Ok(Message::Close(None)) | Err(_)) | None => return Err(End::Cut),
                Some(Ok(_)) => {}
            }
        }
    }

    /// The next frame with this op; others are passed over.
    pub(crate) async fn until(&mut self, op: &str) -> Value {
        loop {
            let frame = self.next().await.unwrap_or_else(|e| panic!("{op}: {e:?}"));
            if frame["op"] == op {
                return frame;
            }
        }
    }

    /// Reads until the socket ends.
    pub(crate) async fn end(&mut self) -> End {
        loop {
            if let Err(end) = self.next().await {
                return end;
            }
        }
    }

    pub(crate) async fn hello(&mut self, device: &Value, have_history: bool) {
        let keys = self.keys.clone();
        self.send(json!({"op": "hello", "device": device, "keys": keys,
            "have_history": have_history, "version": "2.3000.1", "ua": "test", "tab": "t"}))
            .await;
        assert_eq!(self.next().await.unwrap()["op"], "config");
    }

    /// The code that this page shows for its nth ref.
    pub(crate) fn code(&self, qr: &Value, n: usize) -> String {
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        format!(
            "{},{},{},{},1",
            text(&qr["refs"][n]),
            text(&self.keys["static"]),
            text(&self.keys["identity"]),
            text(&self.keys["adv"])
        )
    }

    /// Catches up after hello: everything between success and the end of the sync.
    pub(crate) async fn caught_up(&mut self) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            let frame = self.next().await.unwrap();
            if frame["op"] == "sync" {
                self.send(json!({"op": "sync_ok", "chunk": frame["chunk"]}))
                    .await;
            }
            let done = frame["op"] == "offline_done";
            seen.push(frame);
            if done {
                return seen;
            }
        }
    }

    pub(crate) async fn text(&mut self, id: &str, to: &str, body: &str) {
        self.send(
            json!({"op": "send", "id": id, "chat": to, "kind": "chat", "body": body,
            "t": 1, "content": {}}),
        )
        .await;
    }

    pub(crate) async fn ask(&mut self, mut question: Value) -> Value {
        question["op"] = json!("query");
        question["rid"] = json!(99);
        self.send(question).await;
        let answer = self.until("result").await;
        assert_eq!(answer["rid"], 99);
        answer
    }
}

pub(crate) fn fast() -> Knobs {
    Knobs {
        sync_delay_ms: 0,
        ack_delay_ms: 0,
        delivery_delay_ms: 0,
        read_delay_ms: 0,
        played_delay_ms: 0,
        ..Knobs::default()
    }
}

pub(crate) async fn start(knobs: Knobs) -> Simulator {
    let sim = Simulator::start(SimConfig {
        knobs,
        ..SimConfig::default()
    })
    .await
    .unwrap();
    sim.control()
        .create_account(NewAccount {
            phone: PHONE.to_owned(),
            push_name: Some("Ada".to_owned()),
            ..NewAccount::default()
        })
        .unwrap();
    sim
}

/// A page linked by QR: its login.
pub(crate) async fn link(sim: &Simulator) -> Value {
    let mut page = Page::open(sim).await;
    page.hello(&Value::Null, false).await;
    let qr = page.until("qr").await;
    sim.control().scan(PHONE, &page.code(&qr, 0)).unwrap();
    let paired = page.until("paired").await;
    page.send(json!({"op": "paired_ok"})).await;
    assert_eq!(page.until("stream_error").await["code"], 515);
    assert_eq!(page.end().await, End::Code(1000));
    paired["device"].clone()
}

/// A page that is logged in with this login and has caught up.
pub(crate) async fn login(sim: &Simulator, device: &Value) -> Page {
    let mut page = Page::open(sim).await;
    page.hello(device, false).await;
    page.caught_up().await;
    page
}
