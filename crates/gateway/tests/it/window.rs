//! `steadfast init --headed`: a number linked in a real window, on a screen
//! that nobody looks at.

use crate::binary::{run, steadfast, steadfast_on};
use crate::client::call;
use hyper::Method;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use steadfast_sim::world::NewAccount;
use steadfast_sim::{SimConfig, Simulator};

const PHONE: &str = "4915112345678";
const LONG: Duration = Duration::from_mins(2);

/// An X server without a monitor.
struct Screen {
    server: Child,
    display: String,
}

impl Screen {
    fn start() -> Self {
        let mut server = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                "1280x800x24",
                "-nolisten",
                "tcp",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs Xvfb: ./test installs it, or apt-get install xvfb");
        let mut number = String::new();
        let stdout = server.stdout.take().unwrap();
        // It says its number once it takes connections, or ends.
        BufReader::new(stdout).read_line(&mut number).unwrap();
        let number: u32 = number.trim().parse().expect("Xvfb did not start");
        Self {
            server,
            display: format!(":{number}"),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn init(simulator: &Simulator, data_dir: &Path, display: &str) -> Child {
    let mut command = steadfast_on(simulator, data_dir);
    command
        .env_remove("WAYLAND_DISPLAY")
        .env("DISPLAY", display)
        .args(["init", "--headed", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The code as the window shows it, read through the gateway that the command runs.
async fn code(data_dir: &Path) -> Option<String> {
    let announced = std::fs::read(data_dir.join("gateway.json")).ok()?;
    let announced: Value = serde_json::from_slice(&announced).ok()?;
    let address: SocketAddr = announced["url"]
        .as_str()?
        .strip_prefix("http://")?
        .parse()
        .ok()?;
    let headers = [("x-api-key", announced["token"].as_str()?)];
    let reply = call(
        address,
        Method::GET,
        "/v1/sessions/default/qr",
        &headers,
        "",
    )
    .await;
    let code = (reply.status == 200).then(|| reply.json()["code"].as_str().map(str::to_owned));
    code.flatten()
}

/// The browsers that run on a profile of this folder: their command lines.
fn browsers(data_dir: &Path) -> Vec<String> {
    let folder = data_dir.to_str().unwrap();
    let lines = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let line = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines
        .filter(|line| line.contains("--user-data-dir=") && line.contains(folder))
        .filter(|line| !line.contains("--type="))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_linked_in_a_window_and_the_window_goes() {
    let screen = Screen::start();
    let simulator = Simulator::start(SimConfig::default()).await.unwrap();
    let control = simulator.control();
    control
        .create_account(NewAccount {
            phone: PHONE.to_owned(),
            ..NewAccount::default()
        })
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut child = init(&simulator, dir.path(), &screen.display);
    let deadline = Instant::now() + LONG;
    loop {
        assert!(Instant::now() < deadline, "no code was shown");
        if let Some(code) = code(dir.path()).await
            && control.scan(PHONE, &code).is_ok()
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let shown = browsers(dir.path());
    assert!(!shown.is_empty(), "no browser runs on the profile");
    assert!(
        shown.iter().all(|line| !line.contains("--headless")),
        "{shown:?}"
    );
    let mut said = Vec::new();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let read = tokio::task::spawn_blocking(move || {
        for line in lines.map_while(Result::ok) {
            said.push(serde_json::from_str::<Value>(&line).unwrap());
        }
        said
    });
    let said = tokio::time::timeout(LONG, read).await.unwrap().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said:?}");
    assert_eq!(said.last().unwrap()["event"], "linked", "{said:?}");
    assert_eq!(browsers(dir.path()), Vec::<String>::new());

    // What was linked in a window is carried like any other.
    let file = dir.path().join("number.sealed");
    let mut export = steadfast(dir.path());
    export.env("STEADFAST_PASSPHRASE", "a long passphrase");
    let exported = run(export.arg("export").arg(&file));
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    simulator.shutdown().await;
}
