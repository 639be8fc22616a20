//! `steadfast init` with a real browser, against the simulator: by QR code, by
//! pairing code, and what comes after.

use crate::binary::{Serving, run, signal, steadfast_on};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use steadfast_sim::world::NewAccount;
use steadfast_sim::{SimConfig, Simulator};

pub(crate) const PHONE: &str = "4915112345678";
/// A browser starts, a page loads and syncs, on a machine that does other things too.
pub(crate) const DEADLINE: Duration = Duration::from_mins(2);

pub(crate) struct World {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) simulator: Simulator,
}

impl World {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let simulator = runtime
            .block_on(Simulator::start(SimConfig::default()))
            .unwrap();
        let account = NewAccount {
            phone: PHONE.to_owned(),
            push_name: Some("Shop".to_owned()),
            addressing: None,
            passkey: false,
        };
        simulator.control().create_account(account).unwrap();
        Self { runtime, simulator }
    }

    pub(crate) fn command(&self, data_dir: &Path) -> Command {
        steadfast_on(&self.simulator, data_dir)
    }

    /// Runs `init` and does what the person with the phone would.
    pub(crate) fn init(&self, data_dir: &Path, arguments: &[&str]) -> Vec<Value> {
        let mut command = self.command(data_dir);
        command.args(["init", "--json"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let mut said = Vec::new();
        loop {
            let line = match lines.recv_timeout(DEADLINE) {
                Ok(line) => line,
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    signal(child.id(), "TERM");
                    panic!("init said no more after {said:?}");
                }
            };
            let value: Value = serde_json::from_str(&line).unwrap();
            let code = value["code"].as_str().unwrap_or_default();
            let control = self.simulator.control();
            match value["event"].as_str() {
                Some("qr") => control.scan(PHONE, code).unwrap(),
                Some("pairing_code") => control.enter_pairing_code(PHONE, code).unwrap(),
                _ => {}
            }
            said.push(value);
        }
        assert_eq!(child.wait().unwrap().code(), Some(0), "{said:?}");
        said
    }

    pub(crate) fn end(self) {
        self.runtime.block_on(self.simulator.shutdown());
    }
}

fn events(said: &[Value]) -> Vec<&str> {
    said.iter().filter_map(|v| v["event"].as_str()).collect()
}

#[test]
fn a_scan_links_and_the_login_outlives_the_gateway() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let said = world.init(dir.path(), &[]);
    let last = said.last().unwrap();
    assert_eq!(
        (&last["event"], &last["me"]["id"]),
        (&"linked".into(), &format!("{PHONE}@c.us").into())
    );
    assert_eq!(events(&said).first(), Some(&"token"));
    assert!(events(&said).contains(&"qr"));

    // A gateway on the same folder needs no phone; `init` finds it and sees that.
    let mut command = world.command(dir.path());
    command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    let serving = Serving::start_as(&mut command);
    let said = world.init(dir.path(), &[]);
    assert!(!events(&said).contains(&"qr"), "{said:?}");
    assert_eq!(said.last().unwrap()["event"], "linked");
    let sent =
        run(world
            .command(dir.path())
            .args(["send", "4915198765432", "hello", "--wait", "60"]));
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    assert_eq!(serving.end("TERM").0, Some(0));
    world.end();
}

#[test]
fn a_pairing_code_links_too() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let said = world.init(dir.path(), &["--phone", "+49 151 12345678"]);
    assert!(events(&said).contains(&"pairing_code"), "{said:?}");
    assert!(!events(&said).contains(&"qr"), "{said:?}");
    assert_eq!(said.last().unwrap()["event"], "linked");
    world.end();
}

#[test]
fn a_linked_number_is_carried_to_another_folder_sealed() {
    let world = World::new();
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = here.path().join("number.sealed");
    let carry = |dir: &Path, command: &str, word: &str| {
        let mut carrying = world.command(dir);
        carrying.env("STEADFAST_PASSPHRASE", word);
        run(carrying.arg(command).arg(&file))
    };
    carry(here.path(), "export", "a long passphrase").refused(1, &["holds no login"]);
    assert!(!file.exists(), "half an export was left behind");
    world.init(here.path(), &[]);
    carry(here.path(), "export", "short").refused(2, &["at least 10 characters"]);
    let exported = carry(here.path(), "export", "a long passphrase");
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    carry(here.path(), "export", "a long passphrase").refused(1, &["exists"]);

    carry(there.path(), "import", "another passphrase").refused(1, &["passphrase is wrong"]);
    let imported = carry(there.path(), "import", "a long passphrase");
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    assert!(imported.stdout.contains("default is linked here now"));
    let said = world.init(there.path(), &[]);
    assert!(!events(&said).contains(&"qr"), "{said:?}");
    assert_eq!(said.last().unwrap()["event"], "linked");
    carry(there.path(), "import", "a long passphrase").refused(1, &["holds a login already"]);
    world.end();
}

#[test]
fn check_starts_a_real_browser() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let ended = run(world.command(dir.path()).args(["check", "--json"]));
    let values = ended.values();
    let browser = values.iter().find(|v| v["name"] == "browser").unwrap();
    assert_eq!(browser["verdict"], "ok", "{browser}");
    world.end();
}
