//! Requests to URLs that others named: webhooks, media to be fetched.
//!
//! Such a URL must not reach what its author cannot (server-side request
//! forgery). So: `http` and `https` only; a name is resolved once, its
//! addresses are checked by [`guard`], and the connection goes to the address
//! that was checked; every redirect is checked anew; time, head and body are
//! bounded; no proxy is taken from the environment. TLS is rustls, with the
//! roots of Mozilla's programme and those of `outgoing.ca_file`.

mod connect;
mod error;
pub mod guard;
mod resolve;
mod url;

#[cfg(test)]
mod tests;

pub use connect::SetupError;
pub use error::Error;
pub use resolve::{Resolve, SystemResolver};
pub use url::Target;

use crate::config;
use connect::Connector;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, DATE,
    HOST, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT,
};
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::port::FileSink;

/// Largest head of an answer; hyper may read up to twice as much before it gives up.
const MAX_HEAD_BYTES: usize = 65_536;
/// Most header lines of an answer.
const MAX_HEADERS: usize = 100;
/// So much of the body of an answer to a `POST` is kept, for people to read.
const EXCERPT_BYTES: usize = 1_024;
/// How long that beginning may take once the status is known.
const EXCERPT_WAIT: Duration = Duration::from_secs(2);
/// How we name ourselves.
const AGENT: &str = concat!("Steadfast/", env!("CARGO_PKG_VERSION"));

/// The way out.
pub struct Outgoing {
    connector: Connector,
    https_only: bool,
    max_redirects: u32,
    fetch_timeout: Duration,
}

/// What came back from a `POST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status, whatever it is; redirects are not followed.
    pub status: u16,
    /// `Retry-After` as it was written.
    pub retry_after: Option<String>,
    /// The first 1,024 bytes of the body as text, control characters as spaces.
    pub excerpt: String,
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// How many bytes went to the sink.
    pub bytes: u64,
    /// `Content-Type`, by the other side's word.
    pub content_type: Option<String>,
    /// `Content-Disposition`, by the other side's word.
    pub content_disposition: Option<String>,
    /// Where it was found in the end.
    pub target: Target,
}

impl Outgoing {
    /// As configured, with the system's resolver.
    ///
    /// # Errors
    /// Where `outgoing.ca_file` cannot be used.
    pub fn new(config: &config::Outgoing) -> Result<Self, SetupError> {
        Self::with_resolver(config, Arc::new(SystemResolver::default()))
    }

    /// The same with a resolver of the caller's.
    ///
    /// # Errors
    /// As [`Outgoing::new`].
    pub fn with_resolver(
        config: &config::Outgoing,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, SetupError> {
        Ok(Self {
            connector: Connector {
                allowed: guard::Allowed::of(&config.allow),
                resolver,
                tls: connect::tls(config.ca_file.as_deref())?,
                connect_timeout: Duration::from_millis(config.connect_timeout_ms),
            },
            https_only: config.https_only,
            max_redirects: config.max_redirects,
            fetch_timeout: Duration::from_millis(config.fetch_timeout_ms),
        })
    }

    /// Reads a URL and says at once what no request could change: that it is
    /// no URL, or leads where it must not. A name that has no address now may
    /// have one later, and passes.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Refused`].
    pub async fn vet(&self, url: &str) -> Result<Target, Error> {
        let target = self.target(url)?;
        let wait = self.connector.connect_timeout;
        match tokio::time::timeout(wait, self.connector.addresses(&target)).await {
            Ok(Err(error @ Error::Refused { .. })) => Err(error),
            Ok(Ok(_) | Err(_)) | Err(_) => Ok(target),
        }
    }

    /// Posts a body and gives the answer, whatever its status. Redirects are
    /// not followed. Everything together takes no longer than `deadline`.
    ///
    /// # Errors
    /// Where no answer came.
    pub async fn post(
        &self,
        url: &str,
        mut headers: HeaderMap,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Reply, Error> {
        let target = self.target(url)?;
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let talk = self.exchange(
            &target,
            Method::POST,
            headers,
            body,
            async |response: Response<Incoming>| {
                Ok(Reply {
                    status: response.status().as_u16(),
                    retry_after: text(response.headers(), &RETRY_AFTER),
                    excerpt: excerpt(response.into_body()).await,
                })
            },
        );
        within(deadline, talk).await
    }

    /// Fetches a file, piece by piece, and follows redirects as often as
    /// `outgoing.max_redirects` says, each checked like the first. Takes no
    /// longer than `outgoing.fetch_timeout_ms`, writes no more than `limit`
    /// bytes, and only of an answer with status 200.
    ///
    /// # Errors
    /// Where it could not be fetched whole; what the sink has by then is to be
    /// thrown away.
    pub async fn get_to(
        &self,
        url: &str,
        limit: u64,
        sink: &mut dyn FileSink,
    ) -> Result<Fetched, Error> {
        let target = self.target(url)?;
        within(self.fetch_timeout, self.fetch(target, limit, sink)).await
    }

    /// Asks for the head of a page and gives its `Date`: whether anybody
    /// answers there, and what time they have.
    ///
    /// # Errors
    /// Where no answer came.
    pub async fn date(&self, url: &str, deadline: Duration) -> Result<Option<String>, Error> {
        let target = self.target(url)?;
        let read = async |response: Response<Incoming>| Ok(text(response.headers(), &DATE));
        let talk = self.exchange(&target, Method::HEAD, HeaderMap::new(), Bytes::new(), read);
        within(deadline, talk).await
    }

    async fn fetch(
        &self,
        mut target: Target,
        limit: u64,
        sink: &mut dyn FileSink,
    ) -> Result<Fetched, Error> {
        for _ in 0..=self.max_redirects {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            let receive = async |response| receive(response, limit, sink).await;
            let step = self
                .exchange(&target, Method::GET, headers, Bytes::new(), receive)
                .await?;
            match step {
                Step::Whole {
                    bytes,
                    content_type,
                    content_disposition,
                } => {
                    return Ok(Fetched {
                        bytes,
                        content_type,
                        content_disposition,
                        target,
                    });
                }
                Step::Elsewhere(location) => {
                    let next = target.join(&location)?;
                    if target.is_https() && !next.is_https() {
                        let what = "it was redirected from https to http";
                        return Err(Error::Url(what.to_owned()));
                    }
                    target = next;
                }
            }
        }
        Err(Error::TooManyRedirects(self.max_redirects))
    }

    fn target(&self, url: &str) -> Result<Target, Error> {
        let target = Target::parse(url)?;
        if self.https_only && !target.is_https() {
            return Err(Error::Url("outgoing.https_only wants https".to_owned()));
        }
        Ok(target)
    }

    /// One request over one connection of its own.
    async fn exchange<T>(
        &self,
        target: &Target,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
        receive: impl AsyncFnOnce(Response<Incoming>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let broken = |error: hyper::Error| Error::Broken(chain(&error));
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target.path().clone().into();
        *request.headers_mut() = headers;
        let ours = request.headers_mut();
        let host = HeaderValue::try_from(target.authority())
            .map_err(|_| Error::Url("its host cannot be sent".to_owned()))?;
        ours.insert(HOST, host);
        ours.insert(CONNECTION, HeaderValue::from_static("close"));
        ours.entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(AGENT));
        let stream = self.connector.connect(target).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let mut talk = pin!(async {
            let response = sender.send_request(request).await.map_err(broken)?;
            receive(response).await
        });
        tokio::select! {
            answer = talk.as_mut() => answer,
            // What was read before the end is still to be taken; an error
            // of the connection reaches the talk as well.
            _ = connection => talk.await,
        }
    }
}

/// What one answer on the way to a file is.
enum Step {
    Whole {
        bytes: u64,
        content_type: Option<String>,
        content_disposition: Option<String>,
    },
    Elsewhere(String),
}

async fn receive(
    response: Response<Incoming>,
    limit: u64,
    sink: &mut dyn FileSink,
) -> Result<Step, Error> {
    let (head, mut body) = response.into_parts();
    match head.status.as_u16() {
        200 => {}
        status @ (301 | 302 | 303 | 307 | 308) => {
            return match text(&head.headers, &LOCATION) {
                Some(location) => Ok(Step::Elsewhere(location)),
                None => Err(Error::Status(status)),
            };
        }
        status => return Err(Error::Status(status)),
    }
    let encoding = text(&head.headers, &CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        let what = "it comes compressed, which was not asked for";
        return Err(Error::Broken(what.to_owned()));
    }
    let declared = hyper::body::Body::size_hint(&body).exact();
    if declared.is_some_and(|bytes| bytes > limit) {
        return Err(Error::TooLarge(limit));
    }
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Error::Broken(chain(&error)))?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        bytes += piece.len() as u64;
        if bytes > limit {
            return Err(Error::TooLarge(limit));
        }
        sink.write(&piece).await.map_err(Error::Sink)?;
    }
    Ok(Step::Whole {
        bytes,
        content_type: text(&head.headers, &CONTENT_TYPE),
        content_disposition: text(&head.headers, &CONTENT_DISPOSITION),
    })
}

async fn excerpt(mut body: Incoming) -> String {
    let mut kept = Vec::new();
    let read = async {
        while kept.len() < EXCERPT_BYTES
            && let Some(Ok(frame)) = body.frame().await
        {
            if let Ok(piece) = frame.into_data() {
                kept.extend_from_slice(&piece);
            }
        }
    };
    // The status is the answer; a body that does not come changes nothing.
    let _ = tokio::time::timeout(EXCERPT_WAIT, read).await;
    kept.truncate(EXCERPT_BYTES);
    let text = String::from_utf8_lossy(&kept);
    text.replace(char::is_control, " ").trim().to_owned()
}

async fn within<T>(
    limit: Duration,
    talk: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, talk).await {
        Ok(ended) => ended,
        Err(_) => Err(Error::Timeout(
            u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        )),
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

/// An error with what lies under it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut under = error.source();
    while let Some(cause) = under {
        text = format!("{text}: {cause}");
        under = cause.source();
    }
    text
}
