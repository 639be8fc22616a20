//! The gateway as a stranger starts it: the release binary, a data folder, a port.

use super::child::{Process, descendants};
use super::http::Client;
use super::incidents::Incidents;
use super::simulator::Simulator;
use crate::error::Error;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a session may take to come to what is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// Between two looks at a session. It adds up to as much to what is measured.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The same where seconds are measured: asking takes time of the cores that
/// the start needs.
const LOOK_SELDOM: Duration = Duration::from_millis(20);

/// A gateway that listens.
pub(crate) struct Gateway {
    /// Its process.
    pub(crate) process: Process,
    client: Client,
}

impl Gateway {
    /// Starts one on this data folder, pointed at this simulator. Returns when
    /// it has said where it listens.
    ///
    /// # Errors
    ///
    /// Where it does not start.
    pub(crate) fn start(binary: &Path, data: &Path, simulator: &Simulator) -> Result<Self, Error> {
        Self::start_with(binary, data, simulator, &[])
    }

    /// As [`Self::start`], with settings of its own.
    ///
    /// # Errors
    ///
    /// Where it does not start.
    pub(crate) fn start_with(
        binary: &Path,
        data: &Path,
        simulator: &Simulator,
        settings: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let mut command = Command::new(binary);
        command
            .env("STEADFAST_BROWSER__WEB_RESOLVE", &simulator.address)
            .env("STEADFAST_BROWSER__WEB_SPKI", &simulator.spki)
            .envs(settings.iter().copied());
        Self::run(command, data)
    }

    /// Starts one that has nobody to talk to.
    ///
    /// # Errors
    ///
    /// Where it does not start.
    pub(crate) fn start_alone(binary: &Path, data: &Path) -> Result<Self, Error> {
        let mut command = Command::new(binary);
        // Nothing listens there: what is to be measured needs no WhatsApp.
        command.env("STEADFAST_BROWSER__WEB_RESOLVE", "127.0.0.1:9");
        Self::run(command, data)
    }

    /// What speaks to it.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Wants its session not to run, now and after a restart.
    ///
    /// # Errors
    ///
    /// Where it does not stop.
    pub(crate) fn stop_session(&self) -> Result<(), Error> {
        let path = "/v1/sessions/default/stop";
        self.client.expect(200, "POST", path, &Value::Null)?;
        Ok(())
    }

    fn run(mut command: Command, data: &Path) -> Result<Self, Error> {
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data);
        let process = Process::start(&mut command, &data.with_extension("log"))?;
        let url = process.line(|line| {
            let (_, rest) = line.split_once("http://")?;
            let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c)));
            Some(rest[..end.unwrap_or(rest.len())].to_owned())
        })?;
        let path = data.join("gateway.json");
        let text = std::fs::read(&path).map_err(Error::file(&path))?;
        let running: Value = serde_json::from_slice(&text).unwrap_or_default();
        let token = running["token"].as_str().unwrap_or_default();
        let client = Client::new(&url, format!("Authorization: Bearer {token}"))?;
        Ok(Self { process, client })
    }

    /// Hands it one message, and gives its id: it is on disk now.
    ///
    /// # Errors
    ///
    /// Where it does not accept it.
    pub(crate) fn accept(&self, number: u32) -> Result<String, Error> {
        let to = format!("49151{:08}", 10_000_000 + number % 10);
        let body = json!({ "to": to, "text": format!("message {number}") });
        let answer = self
            .client
            .expect(202, "POST", "/v1/sessions/default/messages", &body)?;
        Ok(answer["id"].as_str().unwrap_or_default().to_owned())
    }

    /// Links the session by QR, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// Where it does not become ready in time.
    pub(crate) fn link(&self, simulator: &Simulator) -> Result<(), Error> {
        let code = self.until("a QR code", || {
            let path = "/v1/sessions/default/qr?format=raw";
            let (status, answer) = self.client.call("GET", path, &Value::Null)?;
            // A problem has a code too, of another kind.
            Ok(answer["code"]
                .as_str()
                .filter(|_| status == 200)
                .map(str::to_owned))
        })?;
        simulator.scan(&code)?;
        self.ready()
    }

    /// Waits until the session is ready.
    ///
    /// # Errors
    ///
    /// Where it does not become so in time.
    pub(crate) fn ready(&self) -> Result<(), Error> {
        self.until("ready", || {
            Ok(self.session()?["ready"].as_bool().filter(|ready| *ready))
        })?;
        Ok(())
    }

    /// Waits until the session is ready; a QR code that it shows meanwhile is scanned.
    ///
    /// # Errors
    ///
    /// Where it does not become ready in time.
    pub(crate) fn ready_or_linked(
        &self,
        simulator: &Simulator,
        phone: &str,
        within: Duration,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let mut scanned = String::new();
        self.until_every(LOOK_SELDOM, "ready", || {
            let session = self.session()?;
            if session["ready"] == json!(true) {
                return Ok(Some(()));
            }
            if started.elapsed() > within {
                return Err(Error::Bench(format!("not ready in time: {session}")));
            }
            if session["state"] == json!("linking") {
                let path = "/v1/sessions/default/qr?format=raw";
                let (status, answer) = self.client.call("GET", path, &Value::Null)?;
                let code = answer["code"].as_str().unwrap_or_default();
                if status == 200 && code != scanned {
                    code.clone_into(&mut scanned);
                    // A phone refuses a code that has just expired; the next one comes.
                    let _ = simulator.scan_as(phone, code);
                }
            }
            Ok(None)
        })
    }

    /// Waits until this message is with WhatsApp's server.
    ///
    /// # Errors
    ///
    /// Where it is not in time.
    pub(crate) fn sent(&self, id: &str) -> Result<(), Error> {
        let path = format!("/v1/messages/{id}");
        self.until("sent", || {
            let message = self.client.expect(200, "GET", &path, &Value::Null)?;
            let status = message["status"].as_str().unwrap_or_default();
            Ok(["sent", "delivered", "read", "played"]
                .contains(&status)
                .then_some(()))
        })
    }

    /// The log of incidents, from now on.
    ///
    /// # Errors
    ///
    /// Where the gateway does not answer.
    pub(crate) fn incidents(&self) -> Result<Incidents, Error> {
        Incidents::at_end(&self.events_end()?)
    }

    /// Notes where the log of events ends, right before a fault.
    ///
    /// # Errors
    ///
    /// Where the gateway does not answer.
    pub(crate) fn before_fault(&self, incidents: &mut Incidents) -> Result<(), Error> {
        incidents.fault(&self.events_end()?)
    }

    fn events_end(&self) -> Result<Value, Error> {
        let path = "/v1/events?after=end";
        self.client.expect(200, "GET", path, &Value::Null)
    }

    /// Waits for the word that the incident that this fault began was recovered
    /// from, and gives the incident and the time since `start`. One request
    /// waits for it: asking again and again would take the time of the cores
    /// that the recovery needs.
    ///
    /// # Errors
    ///
    /// Where that does not come in time, or the session is not ready then.
    pub(crate) fn recovered(
        &self,
        fault: &str,
        incidents: &mut Incidents,
        start: Instant,
    ) -> Result<(Value, Duration), Error> {
        while start.elapsed() < PATIENCE {
            let path = format!(
                "/v1/events?after={}&types=incident.opened,incident.closed&wait_ms=20000",
                incidents.after()
            );
            let page = self.client.expect(200, "GET", &path, &Value::Null)?;
            let at = start.elapsed();
            if let Some(incident) = incidents.read(&page)? {
                if self.session()?["ready"] != json!(true) {
                    return Err(Error::Bench(format!("{fault}: healed, and not ready")));
                }
                return Ok((incident, at));
            }
        }
        Err(Error::Bench(format!(
            "not recovered from {fault} within {PATIENCE:?}: {}",
            self.session()?
        )))
    }

    /// Its browser's own process, and that of the page.
    pub(crate) fn browser(&self) -> Option<i32> {
        self.processes(|line| line.contains("--user-data-dir=") && !line.contains("--type="))
    }

    /// The process that runs the page.
    pub(crate) fn renderer(&self) -> Option<i32> {
        self.processes(|line| {
            line.contains("--type=renderer") && !line.contains("--extension-process")
        })
    }

    fn processes(&self, wanted: impl Fn(&str) -> bool) -> Option<i32> {
        descendants(self.process.pid(), wanted).into_iter().next()
    }

    fn session(&self) -> Result<Value, Error> {
        self.client
            .expect(200, "GET", "/v1/sessions/default", &Value::Null)
    }

    fn until<T>(
        &self,
        what: &str,
        look: impl FnMut() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        self.until_every(LOOK_EVERY, what, look)
    }

    fn until_every<T>(
        &self,
        pause: Duration,
        what: &str,
        mut look: impl FnMut() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(found) = look()? {
                return Ok(found);
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "an outside observer of HTTP has no event to wait for; bounded by the deadline"
            )]
            std::thread::sleep(pause);
        }
        Err(Error::Bench(format!(
            "not {what} within {PATIENCE:?}: {}",
            self.session()?
        )))
    }
}
