//! One request, one answer: connections, deadlines, bounds.
//!
//! Connections are kept for a short while after an answer, a few of them. No
//! task watches a kept one: whether it still lives shows when it is used
//! again, and what is safe to repeat then goes over a fresh one.

use super::Secret;
use super::error::{Error, Problem, Transport};
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Body as _, Bytes, Frame};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue,
    RETRY_AFTER, USER_AGENT,
};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

/// How long a connection may take to stand.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Connections that are kept, and for how long: shorter than the gateway does
/// (`server.header_timeout_ms`).
const KEPT: usize = 8;
const KEPT_FOR: Duration = Duration::from_secs(8);
/// Bytes of a file that are read at a time.
const PIECE: usize = 64 * 1024;
/// Characters of a foreign answer that an error quotes.
const EXCERPT: usize = 200;

const AGENT: &str = concat!("steadfast-client/", env!("CARGO_PKG_VERSION"));

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A connection with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Talking = Connection<TokioIo<Box<dyn Stream>>, Body>;

struct Line {
    sender: SendRequest<Body>,
    connection: Box<Talking>,
    free_since: Instant,
}

/// What is sent along.
#[derive(Debug, Clone)]
pub(crate) enum Load {
    Nothing,
    Json(Bytes),
    Bytes(Bytes),
    File(PathBuf),
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    method: Method,
    path: String,
    pub(crate) load: Load,
    pub(crate) key: Option<String>,
    /// How long the gateway may hold the answer back, beyond the deadline.
    pub(crate) waits: Duration,
}

impl Ask {
    pub(crate) fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            load: Load::Nothing,
            key: None,
            waits: Duration::ZERO,
        }
    }

    pub(crate) fn json(method: Method, path: String, body: &Value) -> Self {
        Self {
            load: Load::Json(body.to_string().into()),
            ..Self::new(method, path)
        }
    }

    /// Whether it may go out again where a kept connection turns out to be dead.
    fn is_repeatable(&self) -> bool {
        let light = matches!(self.load, Load::Nothing | Load::Json(_));
        light && (self.method == Method::GET || self.key.is_some())
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    bytes: Bytes,
}

impl Answer {
    /// That it is a success.
    pub(crate) fn success(&self) -> Result<(), Error> {
        if (200..300).contains(&self.status) {
            Ok(())
        } else {
            Err(self.error())
        }
    }

    /// What a success says.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.success()?;
        self.read()
    }

    /// The body, whatever the status.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes).map_err(|_| self.foreign())
    }

    fn error(&self) -> Error {
        let kind = self.headers.get(CONTENT_TYPE);
        if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"))
            && let Ok(problem) = serde_json::from_slice::<Problem>(&self.bytes)
        {
            return Error::Problem(Box::new(problem));
        }
        self.foreign()
    }

    fn foreign(&self) -> Error {
        let seconds = self.headers.get(RETRY_AFTER);
        let seconds = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
        let text = String::from_utf8_lossy(&self.bytes);
        Error::Foreign {
            status: self.status,
            retry_after: seconds.map(Duration::from_secs),
            excerpt: text
                .chars()
                .take(EXCERPT)
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect(),
        }
    }
}

/// Where the gateway is, and how it is spoken to.
pub(crate) struct Wire {
    host: String,
    port: u16,
    authority: HeaderValue,
    /// What stands before every path: a proxy may put the gateway below one.
    prefix: String,
    bearer: HeaderValue,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    deadline: Duration,
    max_answer_bytes: usize,
    kept: Mutex<Vec<Line>>,
}

impl Wire {
    pub(crate) fn new(
        url: &str,
        token: &Secret,
        roots: Vec<CertificateDer<'static>>,
        deadline: Duration,
        max_answer_bytes: usize,
    ) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Invalid(format!("the gateway's URL: {what}"));
        let uri: Uri = url
            .parse()
            .map_err(|_| wrong("write it as http://127.0.0.1:8080"))?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("it begins with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err(wrong("it holds a host, a port and a path, no more"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let tls = if https {
            let name = ServerName::try_from(host.clone())
                .map_err(|_| wrong("its host is no name that a certificate could have"))?;
            Some((connector(roots)?, name))
        } else {
            None
        };
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| Error::Invalid("the token has characters that no token has".to_owned()))?;
        bearer.set_sensitive(true);
        Ok(Self {
            port: authority.port_u16().unwrap_or(if https { 443 } else { 80 }),
            authority: HeaderValue::try_from(authority.as_str())
                .map_err(|_| wrong("its host cannot be sent"))?,
            prefix: uri.path().trim_end_matches('/').to_owned(),
            host,
            bearer,
            tls,
            deadline,
            max_answer_bytes,
            kept: Mutex::default(),
        })
    }

    /// Asks once; within the deadline, and what the gateway may wait beyond it.
    pub(crate) async fn ask(&self, ask: &Ask) -> Result<Answer, Error> {
        let deadline = self.deadline + ask.waits;
        match timeout(deadline, self.exchange(ask)).await {
            Ok(answer) => answer,
            Err(_) => Err(Transport::Timeout(deadline).into()),
        }
    }

    async fn exchange(&self, ask: &Ask) -> Result<Answer, Error> {
        if ask.is_repeatable()
            && let Some(line) = self.take()
        {
            match self.over(line, self.request(ask).await?).await {
                // It was closed while nobody looked.
                Err(Transport::Broken(_)) => {}
                answer => return Ok(answer?),
            }
        }
        let request = self.request(ask).await?;
        let line = timeout(CONNECT_WITHIN, self.connect())
            .await
            .unwrap_or_else(|_| {
                let late = format!("no answer within {} s", CONNECT_WITHIN.as_secs());
                Err(Transport::Connect(late))
            })?;
        Ok(self.over(line, request).await?)
    }

    async fn request(&self, ask: &Ask) -> Result<Request<Body>, Error> {
        let unwritable = |what: hyper::http::Error| Error::Invalid(what.to_string());
        let mut head = Request::builder()
            .method(&ask.method)
            .uri(format!("{}{}", self.prefix, ask.path))
            .header(HOST, &self.authority)
            .header(AUTHORIZATION, &self.bearer)
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "application/json");
        if let Some(key) = &ask.key {
            head = head.header("idempotency-key", key);
        }
        let whole = |bytes: &Bytes| Full::new(bytes.clone()).map_err(|never| match never {});
        let (kind, body) = match &ask.load {
            Load::Nothing => {
                return head
                    .body(whole(&Bytes::new()).boxed_unsync())
                    .map_err(unwritable);
            }
            Load::Json(bytes) => ("application/json", whole(bytes).boxed_unsync()),
            Load::Bytes(bytes) => ("application/octet-stream", whole(bytes).boxed_unsync()),
            Load::File(path) => {
                let file = File::open(path).await.map_err(Error::File)?;
                let length = file.metadata().await.map_err(Error::File)?.len();
                head = head.header(CONTENT_LENGTH, length);
                ("application/octet-stream", pieces(file, length))
            }
        };
        head.header(CONTENT_TYPE, kind)
            .body(body)
            .map_err(unwritable)
    }

    async fn connect(&self) -> Result<Line, Transport> {
        let no_connection = |error: io::Error| Transport::Connect(error.to_string());
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(no_connection)?;
        stream.set_nodelay(true).map_err(no_connection)?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some((tls, name)) => {
                let secured = tls.connect(name.clone(), stream).await;
                Box::new(secured.map_err(|error| not_secured(&error))?)
            }
        };
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        Ok(Line {
            sender,
            connection: Box::new(connection),
            free_since: Instant::now(),
        })
    }

    /// One request over one connection, which is kept where it can be.
    async fn over(&self, line: Line, request: Request<Body>) -> Result<Answer, Transport> {
        let small = request.body().size_hint().exact().is_some();
        let Line {
            mut sender,
            connection,
            ..
        } = line;
        let (answer, connection) = self.talk(&mut sender, connection, request).await?;
        let closing = answer.headers.get(CONNECTION);
        let closing = closing.is_some_and(|said| said.as_bytes().eq_ignore_ascii_case(b"close"));
        // A file may have been answered before all of it was taken.
        if let Some(connection) = connection
            && small
            && !closing
        {
            self.keep(Line {
                sender,
                connection,
                free_since: Instant::now(),
            });
        }
        Ok(answer)
    }

    /// The answer, and the connection where it outlived it.
    async fn talk(
        &self,
        sender: &mut SendRequest<Body>,
        mut connection: Box<Talking>,
        request: Request<Body>,
    ) -> Result<(Answer, Option<Box<Talking>>), Transport> {
        let mut talk = pin!(async {
            // One that was used before ends its last request first.
            sender.ready().await.map_err(broken)?;
            let response = sender.send_request(request).await.map_err(broken)?;
            let (head, body) = response.into_parts();
            let bytes = match Limited::new(body, self.max_answer_bytes).collect().await {
                Ok(whole) => whole.to_bytes(),
                Err(error) if error.is::<LengthLimitError>() => {
                    return Err(Transport::TooLarge(self.max_answer_bytes));
                }
                Err(error) => return Err(Transport::Broken(error.to_string())),
            };
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                bytes,
            })
        });
        let answered = tokio::select! {
            biased;
            answer = talk.as_mut() => Some(answer),
            _ = connection.as_mut() => None,
        };
        if let Some(answer) = answered {
            return Ok((answer?, Some(connection)));
        }
        // The talk learns of an end only once the connection is gone; what was
        // read before is still to be taken.
        drop(connection);
        Ok((talk.await?, None))
    }

    fn keep(&self, line: Line) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(line);
        }
    }

    fn take(&self) -> Option<Line> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|line| line.free_since.elapsed() < KEPT_FOR);
        kept.pop()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn broken(error: hyper::Error) -> Transport {
    let mut text = error.to_string();
    let mut under = std::error::Error::source(&error);
    while let Some(cause) = under {
        text = format!("{text}: {cause}");
        under = cause.source();
    }
    Transport::Broken(text)
}

/// Why a handshake failed: a connection that breaks under it may be better the
/// next time, a certificate that is not believed will not.
fn not_secured(error: &io::Error) -> Transport {
    let inner = error.get_ref();
    let Some(said) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return Transport::Connect(format!("in the TLS handshake: {error}"));
    };
    let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    Transport::Tls(if *said == unknown {
        format!(
            "{said} (an authority of your own is trusted where Builder::root_certificates has it)"
        )
    } else {
        said.to_string()
    })
}

/// A file, piece by piece, and no more of it than was there at first.
fn pieces(file: File, length: u64) -> Body {
    let pieces = stream::try_unfold(file.take(length), |mut file| async move {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        let frame = (read > 0).then(|| Frame::data(Bytes::from(piece)));
        Ok(frame.map(|frame| (frame, file)))
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// TLS that trusts the public roots, and those given.
fn connector(more: Vec<CertificateDer<'static>>) -> Result<TlsConnector, Error> {
    let wrong = |error: rustls::Error| Error::Invalid(format!("TLS: {error}"));
    let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    for certificate in more {
        roots.add(certificate).map_err(wrong)?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(wrong)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A text as one piece of a path or query.
pub(crate) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}
