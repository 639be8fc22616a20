//! The simulator in a process of its own, so that its memory and its start are
//! not the gateway's.

use super::child::Process;
use super::http::Client;
use crate::error::Error;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// The account that the gateway is linked to.
const PHONE: &str = "4915100000001";

/// A running simulator.
pub(crate) struct Simulator {
    _process: Process,
    control: Client,
    /// Where it listens as web.whatsapp.com.
    pub(crate) address: String,
    /// Its key.
    pub(crate) spki: String,
}

impl Simulator {
    /// Starts one with one account.
    ///
    /// # Errors
    ///
    /// Where it does not start.
    pub(crate) fn start(binary: &Path, folder: &Path) -> Result<Self, Error> {
        let mut command = Command::new(binary);
        command.args(["simulator", "--json"]);
        let process = Process::start(&mut command, &folder.join("simulator.log"))?;
        let about: Value = process.line(|line| serde_json::from_str(line).ok())?;
        let text = |name: &str| {
            about[name].as_str().map(str::to_owned).ok_or_else(|| {
                Error::Bench(format!("the simulator did not name its {name}: {about}"))
            })
        };
        let control = Client::new(&text("control")?, "X-Steadfast-Sim: bench".to_owned())?;
        let this = Self {
            _process: process,
            address: text("addr")?,
            spki: text("spki")?,
            control,
        };
        match this
            .control
            .call("POST", "/accounts", &json!({ "phone": PHONE }))?
        {
            // It may have come with that account.
            (200 | 409, _) => Ok(this),
            (status, answer) => Err(Error::Bench(format!("no account: {status} {answer}"))),
        }
    }

    /// The account's phone scans a code.
    ///
    /// # Errors
    ///
    /// Where the phone refuses.
    pub(crate) fn scan(&self, code: &str) -> Result<(), Error> {
        let path = format!("/accounts/{PHONE}/scan");
        self.control
            .expect(200, "POST", &path, &json!({ "code": code }))?;
        Ok(())
    }

    /// The account's phone unlinks all its devices: it may have four, and
    /// every round links one.
    ///
    /// # Errors
    ///
    /// Where the simulator does not know the account.
    pub(crate) fn unlink(&self) -> Result<(), Error> {
        let path = format!("/accounts/{PHONE}/unlink");
        self.control.expect(200, "POST", &path, &json!({}))?;
        Ok(())
    }

    /// Does something to the account's page (PROTOCOL.md, section 10).
    ///
    /// # Errors
    ///
    /// Where the simulator does not know it.
    pub(crate) fn page_fault(&self, fault: &Value) -> Result<(), Error> {
        let body = json!({ "kind": "page", "account": PHONE, "fault": fault });
        self.control.expect(200, "POST", "/faults", &body)?;
        Ok(())
    }
}
