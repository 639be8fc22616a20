//! A server that does as it is told, one step for each request.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a request is met with.
pub(crate) enum Step {
    /// This answer; the connection stays.
    Answer(String),
    /// This answer, and the end of the connection.
    Last(String),
    /// It is read, and the connection closed.
    HangUp,
    /// It is read, and nothing follows.
    Silence,
}

/// An answer with a JSON body.
pub(crate) fn answer(status: &str, more: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A problem as the gateway writes it.
pub(crate) fn problem(
    status: &str,
    code: &str,
    retryable: bool,
    retry_after: Option<u32>,
) -> String {
    let after = retry_after.map_or("null".to_owned(), |seconds| seconds.to_string());
    let number = &status[..3];
    let body = format!(
        r#"{{"type":"/docs","title":"t","status":{number},"detail":"d","code":"{code}","retryable":{retryable},"retry_after":{after},"field":"to"}}"#
    );
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[derive(Default)]
struct Seen {
    steps: VecDeque<Step>,
    requests: Vec<String>,
    connections: usize,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    /// Ends with the server.
    _tasks: JoinSet<()>,
}

impl Server {
    /// Does these steps, and takes no connection after the last.
    pub(crate) async fn start(steps: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen {
            steps: steps.into_iter().collect(),
            ..Seen::default()
        }));
        let mut served = JoinSet::new();
        let ours = Arc::clone(&seen);
        served.spawn(async move {
            let mut talks = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let done = {
                    let mut seen = ours.lock().unwrap();
                    seen.connections += 1;
                    seen.steps.is_empty()
                };
                if !done {
                    talks.spawn(talk(stream, Arc::clone(&ours)));
                }
            }
        });
        Self {
            address,
            seen,
            _tasks: served,
        }
    }

    /// Every request so far, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }
}

async fn talk(mut stream: TcpStream, seen: Arc<Mutex<Seen>>) {
    while let Some(request) = read(&mut stream).await {
        let step = {
            let mut seen = seen.lock().unwrap();
            seen.requests.push(request);
            seen.steps.pop_front()
        };
        match step {
            Some(Step::Answer(text)) => stream.write_all(text.as_bytes()).await.unwrap(),
            Some(Step::Last(text)) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                return;
            }
            Some(Step::HangUp) | None => return,
            Some(Step::Silence) => std::future::pending().await,
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    loop {
        let mut piece = [0; 4_096];
        let count = stream.read(&mut piece).await.ok()?;
        if count == 0 {
            return None;
        }
        text += std::str::from_utf8(&piece[..count]).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut lines = head.lines();
            let length = lines.find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text);
            }
        }
    }
}
