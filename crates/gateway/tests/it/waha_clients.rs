//! The Python clients `waha-py` and `waha`, as they are published: every
//! address that they know, and with a real browser a whole journey each.

use crate::binary::{Serving, steadfast_on};
use crate::python::python;
use crate::surface::Surface;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use steadfast_sim::world::NewAccount;
use steadfast_sim::{SimConfig, Simulator};

const PHONES: [&str; 2] = ["4915112345678", "4915112345679"];
/// A browser starts and a phone links, then some twenty messages, each waited for.
const JOURNEY: Duration = Duration::from_mins(5);

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/waha")
        .join(name)
}

/// Runs a script to its end, which must come in time and be good.
fn succeeds(command: &mut Command, within: Duration) -> String {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (done, ended) = mpsc::channel();
    let pid = child.id();
    let waiter = std::thread::spawn(move || done.send(child.wait_with_output().unwrap()));
    let output = ended.recv_timeout(within).unwrap_or_else(|_| {
        crate::binary::signal(pid, "KILL");
        panic!("the script did not end by itself");
    });
    waiter.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    said
}

async fn every_address_is_known(client: &'static str) {
    let surface = Surface::start().await;
    let mut command = python(client);
    command
        .arg(script("addresses.py"))
        .arg(client)
        .arg(format!("http://{}", surface.address))
        .arg(&surface.admin);
    let run = move || succeeds(&mut command, Duration::from_mins(1));
    let said = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(said.contains("methods"), "{said}");
    surface.stop().await;
}

#[tokio::test]
async fn every_address_of_waha_py_is_known() {
    every_address_is_known("waha-py").await;
}

#[tokio::test]
async fn every_address_of_waha_is_known() {
    every_address_is_known("waha").await;
}

#[test]
fn the_clients_work_unmodified() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let simulator = runtime
        .block_on(Simulator::start(SimConfig::default()))
        .unwrap();
    for phone in PHONES {
        let account = NewAccount {
            phone: phone.to_owned(),
            push_name: Some("Shop".to_owned()),
            addressing: None,
            passkey: false,
        };
        simulator.control().create_account(account).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let mut command = steadfast_on(&simulator, dir.path());
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--json"])
        // The receiver of the webhooks is on this machine.
        .env("STEADFAST_OUTGOING__ALLOW", "127.0.0.1");
    let serving = Serving::start_as(&mut command);
    for (client, program, phone) in [
        ("waha-py", "with_waha_py.py", PHONES[0]),
        ("waha", "with_waha.py", PHONES[1]),
    ] {
        let mut journey = python(client);
        journey
            .arg(script(program))
            .arg(format!("http://{}", serving.address()))
            .arg(serving.token())
            .arg(simulator.control_url())
            .arg(phone);
        let said = succeeds(&mut journey, JOURNEY);
        assert!(said.contains("all is well"), "{said}");
    }
    assert_eq!(serving.end("TERM").0, Some(0));
    runtime.block_on(simulator.shutdown());
}
