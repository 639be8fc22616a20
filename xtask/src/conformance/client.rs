//! One client's way through the steps.

use crate::bench::child::Process;
use crate::bench::simulator::Simulator;
use crate::error::Error;
use crate::peers;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a client may take for everything. Each step has a shorter bound of
/// its own (peers/conformance/steps.mjs); this one ends a client that hangs its process.
const BOUND: Duration = Duration::from_secs(80);
const FULL_BOUND: Duration = Duration::from_mins(5);

/// The account that a client links; each has a simulator of its own.
const PHONE: &str = "4915100000001";

/// One client, by its name in peers/package.json.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) name: &'static str,
    /// Whether it may be missing: it needs a newer Node than the oldest that we run on.
    optional: bool,
    /// The pinned one of the same package: run only where the version differs.
    beside: Option<&'static str>,
}

/// Every client, in the order of the table.
pub(super) fn all() -> Vec<Client> {
    let pinned = |name| Client {
        name,
        optional: false,
        beside: None,
    };
    let newest = |name, of| Client {
        name,
        optional: false,
        beside: Some(of),
    };
    vec![
        pinned("whatsapp-web.js"),
        newest("whatsapp-web.js-newest", "whatsapp-web.js"),
        pinned("@wppconnect/wa-js"),
        newest("@wppconnect/wa-js-newest", "@wppconnect/wa-js"),
        Client {
            name: "@wppconnect-team/wppconnect",
            optional: true,
            beside: None,
        },
    ]
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Passed,
    Failed,
    NotReached,
}

/// One step of one client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Step {
    #[serde(rename = "step")]
    pub(super) name: String,
    pub(super) result: Outcome,
    pub(super) reason: Option<String>,
    pub(super) ms: u64,
}

/// What one client did.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ran {
    pub(super) name: String,
    pub(super) version: String,
    /// Why it was not run, where it was not.
    pub(super) skipped: Option<String>,
    pub(super) steps: Vec<Step>,
    /// Why its process did not come to the end.
    pub(super) broken: Option<String>,
}

/// A line of the Node program.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Step(Step),
    Version { version: String },
    Unavailable { unavailable: String },
    Done { done: bool },
}

impl Client {
    /// Runs it; a client that hangs is ended.
    ///
    /// # Errors
    ///
    /// Where the simulator or Node cannot be started.
    pub(super) fn run(&self, binary: &Path, folder: &Path, full: bool) -> Result<Ran, Error> {
        let mut ran = Ran {
            name: self.name.to_owned(),
            version: peers::version(self.name).unwrap_or_default(),
            skipped: None,
            steps: Vec::new(),
            broken: None,
        };
        if let Some(pinned) = self.beside
            && peers::version(pinned).as_deref() == Some(ran.version.as_str())
        {
            ran.skipped = Some(format!("the newest is the pinned one, {}", ran.version));
            return Ok(ran);
        }
        let folder = folder.join(self.name.replace(['/', '@'], "_"));
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let simulator = Simulator::start(binary, &folder)?;
        let mut command = peers::program("conformance/main.mjs", &simulator)?;
        command.args([self.name, PHONE]).arg(folder.join("profile"));
        if full {
            command.arg("--full");
        }
        let process = Process::start(&mut command, &folder.join("client.log"))?;
        let bound = if full { FULL_BOUND } else { BOUND };
        let deadline = Instant::now() + bound;
        ran.broken = Some(format!(
            "its process hung and was ended after {} s, or ended early: see client.log in its folder below target/conformance",
            bound.as_secs()
        ));
        while let Some(line) = process.next_line(deadline) {
            match serde_json::from_str(&line) {
                Ok(Line::Step(step)) => ran.steps.push(step),
                Ok(Line::Version { version }) => ran.version = version,
                Ok(Line::Unavailable { unavailable }) if self.optional => {
                    ran.skipped = Some(format!("it does not load here: {unavailable}"));
                    ran.broken = None;
                }
                Ok(Line::Unavailable { unavailable }) => ran.broken = Some(unavailable),
                Ok(Line::Done { done }) if done => ran.broken = None,
                // Whatever the client itself writes to standard output.
                Ok(Line::Done { .. }) | Err(_) => {}
            }
        }
        drop(process);
        peers::reap(&folder);
        Ok(ran)
    }
}
