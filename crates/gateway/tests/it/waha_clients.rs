//! The Python clients `waha-py` and `waha`, as they are published: every
//! address that they know is there.

use crate::python::python;
use crate::surface::Surface;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

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
