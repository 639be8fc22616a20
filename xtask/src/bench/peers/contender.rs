//! The contenders: Steadfast as its binary, the rivals as Node programs. Each
//! is driven from outside, and started again by whoever watches processes
//! (systemd, Docker) where its process ends.

use super::node::{Burst, Node};
use crate::bench::child::{command_line, descendants, signal};
use crate::bench::gateway::Gateway;
use crate::bench::proc::pss_mib;
use crate::bench::simulator::Simulator;
use crate::error::Error;
use crate::peers;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a contender may take until it is ready.
pub(super) const START_BOUND: Duration = Duration::from_mins(1);

/// Lets a page close itself, as a fault: otherwise a page that has been
/// anywhere before may not.
const CLOSABLE: &str = "--blink-settings=allowScriptsToCloseWindows=true";

/// Who takes part.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Who {
    /// The release binary, over its HTTP API.
    Steadfast,
    /// whatsapp-web.js and nothing around it.
    Plain,
    /// The approach that the project began from, as published.
    Original,
    /// The same, as far as its design can be improved.
    Improved,
    /// wppconnect and nothing around it.
    Wppconnect,
}

impl Who {
    pub(crate) const ALL: [Self; 5] = [
        Self::Steadfast,
        Self::Improved,
        Self::Original,
        Self::Plain,
        Self::Wppconnect,
    ];

    /// What it is called in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Steadfast => "Steadfast",
            Self::Plain => "whatsapp-web.js",
            Self::Original => "original",
            Self::Improved => "improved",
            Self::Wppconnect => "wppconnect",
        }
    }

    /// What peers/rivals/main.mjs calls it.
    fn rival(self) -> Option<&'static str> {
        match self {
            Self::Steadfast => None,
            Self::Plain => Some("plain"),
            Self::Original => Some("original"),
            Self::Improved => Some("improved"),
            Self::Wppconnect => Some("wppconnect"),
        }
    }

    /// Its account; each has one of its own on the same simulator.
    pub(super) fn phone(self) -> String {
        format!("491510000000{}", 1 + self as u8)
    }
}

/// What a contender said to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Sent, or accepted to be sent.
    Taken,
    /// An error: whoever offered it knows.
    Refused(String),
}

/// What the contenders said, by the message's number.
pub(super) type Answers = Arc<Mutex<HashMap<u64, Answer>>>;

/// What all of them share.
pub(super) struct Ground {
    pub(super) binary: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) simulator: Arc<Simulator>,
    /// The flags of the gateway's browser, for all.
    pub(super) flags: Vec<String>,
}

enum Running {
    Gateway(Box<Gateway>),
    Node(Node),
}

/// One contender, running or not.
pub(super) struct Contender {
    pub(super) who: Who,
    ground: Arc<Ground>,
    running: Option<Running>,
    pub(super) answers: Answers,
}

impl Contender {
    pub(super) fn new(who: Who, ground: &Arc<Ground>) -> Self {
        Self {
            who,
            ground: Arc::clone(ground),
            running: None,
            answers: Answers::default(),
        }
    }

    /// Its own folder; its name stands in the command line of all its processes.
    pub(super) fn folder(&self) -> PathBuf {
        self.ground
            .folder
            .join(format!("contender-{}", self.who.name()))
    }

    /// Starts its process, and does not wait until it is ready.
    ///
    /// # Errors
    ///
    /// Where it cannot be started.
    pub(super) fn start(&mut self) -> Result<(), Error> {
        let folder = self.folder();
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let ground = &self.ground;
        self.running = Some(match self.who.rival() {
            None => {
                let settings = [
                    // By default a conflict waits for a person; the rivals take the link back too.
                    ("STEADFAST_SESSION__CONFLICT", "takeover"),
                    ("STEADFAST_BROWSER__EXTRA_ARGS", CLOSABLE),
                ];
                let data = folder.join("data");
                Running::Gateway(Box::new(Gateway::start_with(
                    &ground.binary,
                    &data,
                    &ground.simulator,
                    &settings,
                )?))
            }
            Some(rival) => {
                let mut command = peers::program("rivals/main.mjs", &ground.simulator)?;
                command
                    .arg(rival)
                    .arg(folder.join("profile"))
                    .env("STEADFAST_PEERS_FLAGS", json!(ground.flags).to_string());
                Running::Node(Node::start(
                    &mut command,
                    &folder.join("rival.log"),
                    Arc::clone(&ground.simulator),
                    self.who.phone(),
                    Arc::clone(&self.answers),
                )?)
            }
        });
        Ok(())
    }

    /// Waits until it says that it is ready; a new link is scanned by the phone.
    ///
    /// # Errors
    ///
    /// Where it is not within a minute.
    pub(super) fn ready(&self) -> Result<(), Error> {
        let late = || Error::Bench(format!("{} was not ready in time", self.who.name()));
        match &self.running {
            Some(Running::Gateway(gateway)) => {
                gateway.ready_or_linked(&self.ground.simulator, &self.who.phone(), START_BOUND)
            }
            Some(Running::Node(node)) if node.ready(START_BOUND) => Ok(()),
            _ => Err(late()),
        }
    }

    /// Its own process.
    pub(super) fn pid(&self) -> Option<i32> {
        match self.running.as_ref()? {
            Running::Gateway(gateway) => Some(gateway.process.pid()),
            Running::Node(node) => Some(node.pid()),
        }
    }

    /// Whether its process is there.
    pub(super) fn alive(&self) -> bool {
        // A killed child that nobody has waited for is there, but has no command line.
        let words = |pid| command_line(pid).into_iter().any(|word| !word.is_empty());
        self.pid().is_some_and(words)
    }

    /// Its browser's own process.
    pub(super) fn browser(&self) -> Option<i32> {
        self.processes(|line| line.contains("--user-data-dir=") && !line.contains("--type="))
            .into_iter()
            .next()
    }

    /// The processes that run pages.
    pub(super) fn renderers(&self) -> Vec<i32> {
        self.processes(|line| {
            line.contains("--type=renderer") && !line.contains("--extension-process")
        })
    }

    fn processes(&self, wanted: impl Fn(&str) -> bool) -> Vec<i32> {
        self.pid()
            .map(|pid| descendants(pid, wanted))
            .unwrap_or_default()
    }

    /// Proportional memory in MiB: of its own process, and of it with all below.
    pub(super) fn memory(&self) -> Option<(f64, f64)> {
        let pid = self.pid()?;
        let own = pss_mib(pid)?;
        let below = descendants(pid, |_| true);
        Some((
            own,
            own + below.into_iter().filter_map(pss_mib).sum::<f64>(),
        ))
    }

    /// Hands it a message and does not wait; the answer comes into `answers`.
    pub(super) fn offer(&mut self, n: u64, to: &str, text: &str) {
        let answers = Arc::clone(&self.answers);
        let answered = move |answer| {
            let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.insert(n, answer);
        };
        match &mut self.running {
            Some(Running::Gateway(gateway)) => {
                let client = gateway.client().clone();
                let body = json!({ "to": to, "text": text });
                // Ends with the answer, at the latest after the client's 30 s.
                std::thread::spawn(move || {
                    let path = "/v1/sessions/default/messages";
                    answered(match client.call("POST", path, &body) {
                        Ok((202, _)) => Answer::Taken,
                        Ok((status, answer)) => Answer::Refused(format!("{status} {answer}")),
                        Err(error) => Answer::Refused(error.to_string()),
                    });
                });
            }
            Some(Running::Node(node)) => {
                let chat = format!("{to}@c.us");
                let asked = json!({ "op": "send", "n": n, "to": chat, "text": text });
                if !node.ask(&asked) {
                    answered(Answer::Refused("its process is gone".to_owned()));
                }
            }
            None => answered(Answer::Refused("it does not run".to_owned())),
        }
    }

    /// So many messages with so many in flight, each until the server's ack.
    ///
    /// # Errors
    ///
    /// Where it does not bring them in time, or fails one.
    pub(super) fn burst(
        &mut self,
        tag: &str,
        count: usize,
        chats: &[String],
    ) -> Result<Burst, Error> {
        match &mut self.running {
            Some(Running::Gateway(gateway)) => over_http(gateway, tag, count, chats),
            Some(Running::Node(node)) => {
                let to: Vec<String> = chats.iter().map(|chat| format!("{chat}@c.us")).collect();
                let asked = json!({
                    "op": "burst", "count": count, "in_flight": chats.len(), "chats": to, "tag": tag,
                });
                node.ask(&asked);
                node.burst(tag, START_BOUND)
                    .ok_or_else(|| Error::Bench(format!("{} did not end {tag}", self.who.name())))
            }
            None => Err(Error::Bench("it does not run".to_owned())),
        }
    }

    /// Ends it as its owner would, where it goes; then whatever is left of it.
    pub(super) fn stop(&mut self) {
        match self.running.take() {
            Some(Running::Gateway(gateway)) => drop(gateway.process.stop()),
            Some(Running::Node(node)) => node.stop(),
            None => {}
        }
        peers::reap(&self.folder());
    }

    /// Ends it with all that belongs to it, as a service manager does.
    pub(super) fn kill(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = signal(pid, Signal::KILL);
        }
        self.running = None;
        peers::reap(&self.folder());
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        self.kill();
    }
}

/// As the rivals' bursts, over the gateway's HTTP API: one kept-alive
/// connection for each in flight.
fn over_http(gateway: &Gateway, tag: &str, count: usize, chats: &[String]) -> Result<Burst, Error> {
    let client = gateway.client();
    let started = Instant::now();
    let done: Vec<Result<Vec<f64>, Error>> = std::thread::scope(|scope| {
        let workers: Vec<_> = chats
            .iter()
            .enumerate()
            .map(|(worker, chat)| {
                scope.spawn(move || {
                    let mut line = client.open()?;
                    let mut latencies = Vec::new();
                    for n in (worker..count).step_by(chats.len()) {
                        let body = json!({ "number": chat, "message": format!("{tag} {n}") });
                        let start = Instant::now();
                        // 200 once the server has acked; 202 would mean that it has not.
                        line.expect(200, "POST", "/api/whatsapp/send-message", &body.to_string())?;
                        latencies.push(start.elapsed().as_secs_f64() * 1_000.0);
                    }
                    Ok(latencies)
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| Err(Error::Bench("a sender died".to_owned())))
            })
            .collect()
    });
    let seconds = started.elapsed().as_secs_f64();
    let latencies_ms = done.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    Ok(Burst {
        seconds,
        latencies_ms,
        errors: Vec::new(),
    })
}

/// The flags of the gateway's browser that any browser can be given: not those
/// that say where its profile and its pipe are.
pub(super) fn flags_of(browser: i32) -> Vec<String> {
    let own = ["--remote-debugging-pipe", "--user-data-dir="];
    command_line(browser)
        .into_iter()
        .skip(1)
        .filter(|arg| arg.starts_with("--") && !own.iter().any(|o| arg.starts_with(o)))
        .collect()
}
