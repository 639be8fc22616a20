//! A rival in Node, spoken to line by line (peers/rivals/main.mjs).

use super::contender::{Answer, Answers};
use crate::bench::simulator::Simulator;
use crate::error::Error;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a burst of sends took.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Burst {
    pub(super) seconds: f64,
    pub(super) latencies_ms: Vec<f64>,
    pub(super) errors: Vec<String>,
}

#[derive(Default)]
struct Said {
    ready: bool,
    ended: bool,
    bursts: HashMap<String, Burst>,
}

#[derive(Default)]
struct Shared {
    said: Mutex<Said>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running rival. Dropped, it is killed.
pub(super) struct Node {
    child: Child,
    stdin: Option<ChildStdin>,
    shared: Arc<Shared>,
}

impl Node {
    /// Starts it. A code that it shows is scanned by its phone.
    pub(super) fn start(
        command: &mut Command,
        log: &Path,
        simulator: Arc<Simulator>,
        phone: String,
        answers: Answers,
    ) -> Result<Self, Error> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(Error::file(log))?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|source| Error::Start {
                program: "node".to_owned(),
                source,
            })?;
        let stdin = child.stdin.take();
        let shared = Arc::new(Shared::default());
        if let Some(stdout) = child.stdout.take() {
            let shared = Arc::clone(&shared);
            // Ends with the pipe, that is with the process.
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    hear(&line, &shared, &simulator, &phone, &answers);
                }
                shared.lock().ended = true;
                shared.changed.notify_all();
            });
        }
        Ok(Self {
            child,
            stdin,
            shared,
        })
    }

    pub(super) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Whether it came to be ready in this time.
    pub(super) fn ready(&self, within: Duration) -> bool {
        self.wait(within, |said| said.ready.then_some(())).is_some()
    }

    /// What it said of a burst, where it did in time.
    pub(super) fn burst(&self, tag: &str, within: Duration) -> Option<Burst> {
        self.wait(within, |said| said.bursts.remove(tag))
    }

    fn wait<T>(&self, within: Duration, mut look: impl FnMut(&mut Said) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + within;
        let mut said = self.shared.lock();
        loop {
            if let Some(found) = look(&mut said) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if said.ended || left.is_zero() {
                return None;
            }
            said = match self.shared.changed.wait_timeout(said, left) {
                Ok((said, _)) => said,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Gives it a line; false where nobody reads.
    pub(super) fn ask(&mut self, asked: &Value) -> bool {
        let line = format!("{asked}\n");
        self.stdin
            .as_mut()
            .is_some_and(|stdin| stdin.write_all(line.as_bytes()).is_ok())
    }

    /// Ends its input, on which it ends itself with its browser.
    pub(super) fn stop(mut self) {
        drop(self.stdin.take());
        self.wait(Duration::from_secs(10), |said| said.ended.then_some(()));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hear(line: &str, shared: &Shared, simulator: &Simulator, phone: &str, answers: &Answers) {
    let Ok(value) = serde_json::from_str::<Value>(line) else {
        return;
    };
    if let Some(n) = value["sent"].as_u64() {
        let answer = match value["error"].as_str() {
            Some(error) => Answer::Refused(error.to_owned()),
            None => Answer::Taken,
        };
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(n, answer);
        return;
    }
    if let Some(tag) = value["burst"].as_str() {
        let tag = tag.to_owned();
        let burst = Burst::deserialize(&value).unwrap_or_default();
        shared.lock().bursts.insert(tag, burst);
    }
    match value["event"].as_str() {
        Some("ready") => shared.lock().ready = true,
        // A phone that refuses an old code shows nothing; the next one comes.
        Some("qr") => {
            let _ = simulator.scan_as(phone, value["code"].as_str().unwrap_or_default());
        }
        _ => {}
    }
    shared.changed.notify_all();
}
