//! A webhook receiver that can fail, stall, die and come back.

use crate::port::Held;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use steadfast_gateway::webhooks::signature::Secret;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Takes,
    Answers(u16),
    Stalls,
}

/// A request that it saw, whatever it did with it.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) mood: Mood,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Signed as Standard Webhooks says, with this secret among others.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let secret = Secret::parse(secret).unwrap();
        let at: i64 = self.header("webhook-timestamp").parse().unwrap();
        let expected = secret.sign(self.header("webhook-id"), at, &self.body);
        let mut signatures = self.header("webhook-signature").split(' ');
        signatures.any(|signature| signature == expected)
    }
}

#[derive(Default)]
struct Seen {
    mood: Option<Mood>,
    got: Vec<Got>,
}

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    server: Mutex<JoinSet<()>>,
    /// It dies, and comes back to where it was.
    _port: Held,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let port = Held::some();
        let listener = TcpListener::bind(port.address).await.unwrap();
        let receiver = Self {
            address: port.address,
            seen: Arc::default(),
            server: Mutex::default(),
            _port: port,
        };
        receiver.serve(listener);
        receiver
    }

    fn serve(&self, listener: TcpListener) {
        let seen = Arc::clone(&self.seen);
        self.server.lock().unwrap().spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                connections.spawn(async move {
                    let answer = service_fn(move |request| answer(Arc::clone(&seen), request));
                    let connection = http1::Builder::new();
                    let _ = connection
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
        });
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn mood(&self, mood: Mood) {
        self.seen.lock().unwrap().mood = Some(mood);
    }

    /// Every connection breaks, and nobody listens any more.
    pub(crate) async fn die(&self) {
        let mut server = std::mem::take(&mut *self.server.lock().unwrap());
        server.shutdown().await;
    }

    pub(crate) async fn come_back(&self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.seen.lock().unwrap().got.clone()
    }

    /// What it has taken.
    pub(crate) fn taken(&self) -> Vec<Got> {
        let mut got = self.got();
        got.retain(|got| got.mood == Mood::Takes);
        got
    }

    /// Waits until what it has taken satisfies a test.
    pub(crate) async fn until(&self, what: &str, satisfied: impl Fn(&[Got]) -> bool) -> Vec<Got> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(45);
        loop {
            let taken = self.taken();
            if satisfied(&taken) {
                return taken;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{what}: {} requests, {} taken",
                self.got().len(),
                taken.len()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn answer(
    seen: Arc<Mutex<Seen>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Ok(Response::new(Full::default()));
    };
    let mood = {
        let mut seen = seen.lock().unwrap();
        let mood = seen.mood.unwrap_or(Mood::Takes);
        seen.got.push(Got {
            mood,
            headers: head.headers,
            body: body.to_bytes(),
        });
        mood
    };
    let status = match mood {
        Mood::Takes => 204,
        Mood::Answers(status) => status,
        Mood::Stalls => std::future::pending().await,
    };
    Ok(Response::builder()
        .status(status)
        .body(Full::default())
        .unwrap())
}
