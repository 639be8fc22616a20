//! The simulator in a process of its own, so that its memory and its start are
//! not the gateway's.

use super::child::Process;
use super::http::Client;
use crate::error::Error;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

/// The account that the gateway is linked to.
const PHONE: &str = "4915100000001";

/// A running simulator.
pub(crate) struct Simulator {
    /// Only kept, so that it lives; shared with threads that speak to the control side.
    _process: Mutex<Process>,
    control: Client,
    /// Where its control side listens, as it said it.
    pub(crate) control_address: String,
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
        let control_address = text("control")?;
        let control = Client::new(&control_address, "X-Steadfast-Sim: bench".to_owned())?;
        let this = Self {
            _process: Mutex::new(process),
            address: text("addr")?,
            spki: text("spki")?,
            control,
            control_address,
        };
        // It may have come with that account.
        this.account(PHONE)?;
        Ok(this)
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

    /// Makes an account, where there is none with this number.
    ///
    /// # Errors
    ///
    /// Where the simulator does not take it.
    pub(crate) fn account(&self, phone: &str) -> Result<(), Error> {
        match self
            .control
            .call("POST", "/accounts", &json!({ "phone": phone }))?
        {
            (200 | 409, _) => Ok(()),
            (status, answer) => Err(Error::Bench(format!("no account: {status} {answer}"))),
        }
    }

    /// The phone of this account scans a code.
    ///
    /// # Errors
    ///
    /// Where the phone refuses.
    pub(crate) fn scan_as(&self, phone: &str, code: &str) -> Result<(), Error> {
        let path = format!("/accounts/{phone}/scan");
        self.control
            .expect(200, "POST", &path, &json!({ "code": code }))?;
        Ok(())
    }

    /// Asks the control side anything.
    ///
    /// # Errors
    ///
    /// Where it does not answer with 200.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, Error> {
        self.control.expect(200, method, path, body)
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
