//! The gateway under test: the real binary, as a child process.

use super::HarnessError;
use super::client::Client;
use crate::data_dir::DataDir;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

/// How long the gateway may take to start or to end.
const LIMIT: Duration = Duration::from_secs(30);
/// Lines of its log that are kept for a person to read when it fails.
const TAIL: usize = 40;

/// How large a log's copy grows before it is set aside as FILE.1, in the
/// place of the one before.
const LOG_BYTES: u64 = 256 << 20;

/// How to start it.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// The binary.
    pub steadfast: PathBuf,
    /// Its data folder.
    pub data_dir: PathBuf,
    /// Its configuration, as environment variables.
    pub env: Vec<(String, String)>,
    /// Where its log is kept, besides being read.
    pub log: Option<PathBuf>,
}

/// One line of the gateway's log that has an event name.
#[derive(Debug, Clone)]
pub struct LogEvent {
    /// When it was read, on the harness's clock.
    pub at: Instant,
    /// Its name, as in docs/OPERATIONS.md.
    pub name: String,
    /// Its fields.
    pub fields: Value,
}

impl LogEvent {
    /// A field as text; empty where there is none.
    pub fn text(&self, field: &str) -> &str {
        self.fields[field].as_str().unwrap_or_default()
    }
}

/// A gateway that runs.
pub struct Gateway {
    child: Child,
    client: Client,
    tail: Arc<Mutex<VecDeque<String>>>,
    _readers: JoinSet<()>,
}

impl Gateway {
    /// Starts it and waits until it listens. Its log events go to `events`.
    pub async fn start(
        options: &GatewayOptions,
        events: broadcast::Sender<LogEvent>,
    ) -> Result<Self, HarnessError> {
        let mut child = Command::new(&options.steadfast)
            .args(["serve", "--json", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&options.data_dir)
            .env("STEADFAST_LOG__FORMAT", "json")
            .env(
                "STEADFAST_LOG__LEVEL",
                if options.log.is_some() {
                    "debug"
                } else {
                    "info"
                },
            )
            .envs(options.env.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(HarnessError::io("starting the gateway"))?;
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let mut readers = JoinSet::new();
        if let Some(stderr) = child.stderr.take() {
            let copy = match &options.log {
                Some(path) => Some(
                    LogCopy::open(path)
                        .await
                        .map_err(HarnessError::io("opening the log's copy"))?,
                ),
                None => None,
            };
            readers.spawn(read_log(stderr, events, Arc::clone(&tail), copy));
        }
        let stdout = child.stdout.take();
        let listening = async {
            let mut lines = BufReader::new(stdout?).lines();
            let first = lines.next_line().await.ok()??;
            // Whatever else it says there must not block it.
            readers.spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            Some(first)
        };
        let first = tokio::time::timeout(LIMIT, listening).await;
        let data_dir = DataDir::open(&options.data_dir).ok();
        let announced = data_dir.and_then(|dir| dir.announced());
        if let (Ok(Some(_)), Some(running)) = (first, announced) {
            return Ok(Self {
                client: Client::new(&running.url, &running.token),
                child,
                tail,
                _readers: readers,
            });
        }
        let _ = child.start_kill();
        let _ = child.wait().await;
        Err(HarnessError::GatewayEnded(join(&tail)))
    }

    /// Speaks to it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The last lines of its log.
    pub fn tail(&self) -> String {
        join(&self.tail)
    }

    /// Kills it as a power cut would.
    pub async fn kill(mut self) {
        let _ = self.child.start_kill();
        let _ = self.child.wait().await;
    }

    /// Asks it to end, as a service manager does, and waits for it.
    pub async fn terminate(mut self) -> Result<Option<i32>, HarnessError> {
        let pid = self
            .child
            .id()
            .and_then(|pid| Pid::from_raw(pid.cast_signed()));
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
        match tokio::time::timeout(LIMIT, self.child.wait()).await {
            Ok(Ok(status)) => Ok(status.code()),
            Ok(Err(error)) => Err(HarnessError::io("waiting for the gateway")(error)),
            Err(_) => {
                self.kill().await;
                Err(HarnessError::TooLate {
                    what: "the gateway's end after SIGTERM".to_owned(),
                    seconds: LIMIT.as_secs(),
                })
            }
        }
    }
}

/// The log's copy on disk: what came last, in two files of bounded size.
struct LogCopy {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl LogCopy {
    async fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).open(path).await?;
        let bytes = file.metadata().await?.len();
        Ok(Self {
            path: path.to_owned(),
            file,
            bytes,
        })
    }

    async fn write(&mut self, line: &str) -> io::Result<()> {
        if self.bytes > LOG_BYTES {
            let mut older = self.path.clone().into_os_string();
            older.push(".1");
            tokio::fs::rename(&self.path, older).await?;
            *self = Self::open(&self.path).await?;
        }
        let line = format!("{line}\n");
        self.bytes += line.len() as u64;
        self.file.write_all(line.as_bytes()).await
    }
}

async fn read_log(
    stderr: impl AsyncRead + Unpin,
    events: broadcast::Sender<LogEvent>,
    tail: Arc<Mutex<VecDeque<String>>>,
    mut copy: Option<LogCopy>,
) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Ok(entry) = serde_json::from_str::<Value>(&line) {
            // Fields stand at the top or below `fields`, by the log's own choice.
            let fields = entry
                .get("fields")
                .cloned()
                .unwrap_or_else(|| entry.clone());
            if let Some(name) = fields["event"].as_str() {
                let _ = events.send(LogEvent {
                    at: Instant::now(),
                    name: name.to_owned(),
                    fields,
                });
            }
        }
        if let Some(copy) = &mut copy {
            let _ = copy.write(&line).await;
        }
        if tells_little(&line) {
            continue;
        }
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL {
            tail.pop_front();
        }
        tail.push_back(line);
    }
}

/// Lines that would crowd out what a person looks for: each request, and what
/// the browser says to itself.
fn tells_little(line: &str) -> bool {
    line.contains(r#""event":"http_request""#) || line.contains("/dbus/") || line.contains(":dbus/")
}

fn join(tail: &Mutex<VecDeque<String>>) -> String {
    let tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    tail.iter().cloned().collect::<Vec<_>>().join("\n")
}
