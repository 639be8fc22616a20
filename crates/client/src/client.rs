//! The client itself: one method for each thing that can be asked.

use super::Secret;
use super::answer::{
    Accepted, Alive, BatchAnswer, MessageView, Number, Page, Readiness, SessionView, Uploaded,
    Webhook, WebhookWithSecret,
};
use super::error::Error;
use super::events::{Events, Start};
use super::message::{Batch, Message};
use super::retry;
use super::wire::{Answer, Ask, Load, Wire, segment};
use hyper::Method;
use hyper::body::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

/// A gateway that is spoken to. A clone shares the connections.
#[derive(Clone)]
pub struct Client {
    wire: Arc<Wire>,
    url: Arc<str>,
    patience: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// How a client is made.
#[derive(Debug, Clone)]
pub struct Builder {
    url: String,
    token: Secret,
    deadline: Duration,
    patience: Duration,
    max_answer_bytes: usize,
    roots: Vec<u8>,
}

impl Builder {
    /// How long one try of a request may take, 60 s where not said; what the
    /// gateway is asked to wait comes on top.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long an accept, an upload or a read of events may take with all its
    /// tries, 2 min where not said.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The most bytes of an answer that are read, 16 MiB where not said.
    pub fn max_answer_bytes(mut self, bytes: usize) -> Self {
        self.max_answer_bytes = bytes;
        self
    }

    /// Certificates in PEM that are trusted beside the public roots: for a
    /// gateway whose certificate is from an authority of your own, or signed by
    /// itself. The certificate must be for the host that the URL names. Without TLS
    /// they count for nothing.
    ///
    /// ```no_run
    /// use steadfast_client::Client;
    ///
    /// # fn example(token: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let gateway = Client::builder("https://gateway.example:8443", token)
    ///     .root_certificates(std::fs::read("authority.pem")?)
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = pem.into();
        self
    }

    /// Makes the client. Nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] where URL, token or certificates cannot be used.
    pub fn build(self) -> Result<Client, Error> {
        let roots = CertificateDer::pem_slice_iter(&self.roots)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Error::Invalid(format!("the root certificates: {error}")))?;
        if roots.is_empty() && !self.roots.is_empty() {
            let what = "the root certificates: there is none in the PEM";
            return Err(Error::Invalid(what.to_owned()));
        }
        let wire = Wire::new(
            &self.url,
            &self.token,
            roots,
            self.deadline,
            self.max_answer_bytes,
        )?;
        Ok(Client {
            wire: Arc::new(wire),
            url: self.url.into(),
            patience: self.patience,
        })
    }
}

/// Which messages are listed, and from where on.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    query: Vec<(&'static str, String)>,
}

impl Listing {
    /// Only those of a status, by its name in docs/API.md.
    pub fn status(self, name: impl Into<String>) -> Self {
        self.with("status", name.into())
    }

    /// Only those behind a page's `next`, in order of acceptance.
    pub fn after(self, next: impl Into<String>) -> Self {
        self.with("after", next.into())
    }

    /// Newest first, and only those before a page's `next`; `end` for the newest.
    pub fn before(self, next: impl Into<String>) -> Self {
        self.with("before", next.into())
    }

    /// At most so many, 1 to 200; 50 where not said.
    pub fn limit(self, limit: u32) -> Self {
        self.with("limit", limit.to_string())
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.query.push((name, value));
        self
    }
}

/// An endpoint to be made. What is left out is as docs/WEBHOOKS.md says.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewWebhook {
    /// Where events are posted.
    pub url: String,
    /// Types of events that it wants (`message.*`); all, where none is named.
    pub events: Vec<String>,
    /// Sessions whose events it wants; all, where none is named.
    pub sessions: Vec<String>,
    /// Headers that go with every request.
    pub headers: BTreeMap<String, Secret>,
    /// What to sign with; made by the gateway where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// Whether each event waits for the one before it.
    pub ordered: bool,
}

impl Client {
    /// A client with every bound as it is by default. The URL is the gateway's
    /// (`http://127.0.0.1:8080`), perhaps with a path that a proxy puts it
    /// below. The token travels with every request: beyond this machine, https,
    /// with the public roots trusted and whatever [`Builder::root_certificates`] adds.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new(url: impl Into<String>, token: impl Into<String>) -> Result<Self, Error> {
        Self::builder(url, token).build()
    }

    /// A client whose bounds are set.
    pub fn builder(url: impl Into<String>, token: impl Into<String>) -> Builder {
        Builder {
            url: url.into(),
            token: Secret::new(token),
            deadline: Duration::from_mins(1),
            patience: Duration::from_mins(2),
            max_answer_bytes: 16 << 20,
            roots: Vec::new(),
        }
    }

    // ---------------------------------------------------------- sending

    /// Sends a message: `Ok` means that it is on the gateway's disk, in every
    /// state of the session. Tried again while that is worth it; the message's
    /// key makes it one message however often.
    ///
    /// # Errors
    /// What the gateway refuses, and where it stays away or full until the
    /// patience is over. [`Error::may_be_accepted`] says what is known then.
    pub async fn send(&self, session: &str, message: &Message) -> Result<Accepted, Error> {
        let path = format!("/v1/sessions/{}/messages", segment(session));
        let mut ask = Ask::json(Method::POST, path, &message.json());
        ask.key = Some(message.idempotency_key()?.to_owned());
        ask.waits = message.waits();
        let answer = self.until_done(&ask).await?;
        let mut accepted: Accepted = answer.json()?;
        accepted.replayed = answer.headers.contains_key("idempotency-replayed");
        accepted.reached = answer.status == 200;
        Ok(accepted)
    }

    /// Sends many messages in one transaction. What does not fit is refused by
    /// itself; all others are on disk. Tried again like [`send`](Self::send).
    ///
    /// # Errors
    /// As for [`send`](Self::send); where none of them fits, the problem's
    /// member `results` says why of each.
    pub async fn send_batch(&self, session: &str, batch: &Batch) -> Result<BatchAnswer, Error> {
        let path = format!("/v1/sessions/{}/messages/batch", segment(session));
        let mut ask = Ask::json(Method::POST, path, &batch.json());
        ask.key = Some(batch.idempotency_key()?.to_owned());
        self.until_done(&ask).await?.json()
    }

    /// Uploads a file out of memory. The gateway keeps one content once, so
    /// that it is tried again like [`send`](Self::send).
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub async fn upload(&self, bytes: impl Into<Vec<u8>>) -> Result<Uploaded, Error> {
        self.upload_of(Load::Bytes(Bytes::from(bytes.into()))).await
    }

    /// Uploads a file of this machine, piece by piece.
    ///
    /// # Errors
    /// As for [`send`](Self::send), and where the file cannot be read.
    pub async fn upload_file(&self, path: impl Into<PathBuf>) -> Result<Uploaded, Error> {
        self.upload_of(Load::File(path.into())).await
    }

    async fn upload_of(&self, load: Load) -> Result<Uploaded, Error> {
        let mut ask = Ask::new(Method::POST, "/v1/media".to_owned());
        ask.load = load;
        self.until_done(&ask).await?.json()
    }

    // ---------------------------------------------------------- looking

    /// One message, with its attempts.
    ///
    /// # Errors
    /// `message_unknown`, and every other problem.
    pub async fn message(&self, id: &str) -> Result<MessageView, Error> {
        self.get(format!("/v1/messages/{}", segment(id))).await
    }

    /// A page of a session's messages, settled ones too.
    ///
    /// # Errors
    /// `session_unknown`, and every other problem.
    pub async fn messages(
        &self,
        session: &str,
        which: &Listing,
    ) -> Result<Page<MessageView>, Error> {
        let query = which.query.iter();
        let query: Vec<_> = query
            .map(|(name, value)| format!("{name}={}", segment(value)))
            .collect();
        let session = segment(session);
        self.get(format!(
            "/v1/sessions/{session}/messages?{}",
            query.join("&")
        ))
        .await
    }

    /// Every session that the token is for.
    ///
    /// # Errors
    /// Every problem.
    pub async fn sessions(&self) -> Result<Vec<SessionView>, Error> {
        self.get::<Page<_>>("/v1/sessions".to_owned())
            .await
            .map(|page| page.items)
    }

    /// One session, and where it stands.
    ///
    /// # Errors
    /// `session_unknown`, and every other problem.
    pub async fn session(&self, name: &str) -> Result<SessionView, Error> {
        self.get(format!("/v1/sessions/{}", segment(name))).await
    }

    /// Whether the gateway's process lives.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn alive(&self) -> Result<Alive, Error> {
        self.get("/healthz".to_owned()).await
    }

    /// Whether the gateway accepts messages, and why not.
    ///
    /// # Errors
    /// Where nobody answers; that it is not ready is no error.
    pub async fn readiness(&self) -> Result<Readiness, Error> {
        let ask = Ask::new(Method::GET, "/readyz".to_owned());
        let answer = self.ask(&ask).await?;
        match answer.status {
            // The one status that comes with the same shape.
            503 => answer.read(),
            _ => answer.json(),
        }
    }

    /// Which of up to 50 numbers have WhatsApp. Needs a session that is ready.
    ///
    /// # Errors
    /// `not_ready`, `wrong_state`, and every other problem.
    pub async fn check_numbers(
        &self,
        session: &str,
        numbers: &[impl AsRef<str>],
    ) -> Result<Vec<Number>, Error> {
        let path = format!("/v1/sessions/{}/numbers/check", segment(session));
        let numbers: Vec<_> = numbers.iter().map(AsRef::as_ref).collect();
        let ask = Ask::json(Method::POST, path, &json!({"numbers": numbers}));
        let page: Page<Number> = self.ask(&ask).await?.json()?;
        Ok(page.items)
    }

    /// Reads what happens, from a position on. Asks nothing yet.
    pub fn events(&self, from: Start) -> Events {
        Events::new(self.clone(), from)
    }

    // --------------------------------------------------------- webhooks

    /// Makes an endpoint that events are pushed to. Not tried again: look at
    /// [`webhooks`](Self::webhooks) where no answer came. Needs `admin`.
    ///
    /// # Errors
    /// `webhook_limit`, `invalid_field`, and every other problem.
    pub async fn add_webhook(&self, new: &NewWebhook) -> Result<WebhookWithSecret, Error> {
        let body = serde_json::to_value(new).map_err(|error| Error::Invalid(error.to_string()))?;
        let ask = Ask::json(Method::POST, "/v1/webhooks".to_owned(), &body);
        self.ask(&ask).await?.json()
    }

    /// Every endpoint. Needs `admin`.
    ///
    /// # Errors
    /// Every problem.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>, Error> {
        self.get::<Page<_>>("/v1/webhooks".to_owned())
            .await
            .map(|page| page.items)
    }

    // ------------------------------------------------------------------

    async fn get<T: DeserializeOwned>(&self, path: String) -> Result<T, Error> {
        self.ask(&Ask::new(Method::GET, path)).await?.json()
    }

    /// Asks until there is a success, or no use in asking.
    async fn until_done(&self, ask: &Ask) -> Result<Answer, Error> {
        let patience = self.patience + ask.waits;
        retry::until_done(patience, || async {
            let answer = self.ask(ask).await?;
            answer.success()?;
            Ok(answer)
        })
        .await
    }

    pub(crate) async fn ask(&self, ask: &Ask) -> Result<Answer, Error> {
        self.wire.ask(ask).await
    }

    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }
}
