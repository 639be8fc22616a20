//! One holder for each profile, whatever was left behind on it.

use crate::harness::{LONG, PHONE, Recorder, Scene, options};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::sync::Arc;
use steadfast_core::failure::Kind;
use steadfast_core::ids::Epoch;
use steadfast_core::port::{Close, Connector, OpenStep, Phase};
use steadfast_engine::{BrowserConnector, EngineOptions};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_holder_is_refused() {
    let scene = Scene::new().await;
    let engine = scene.open(OpenStep::Launch).await;
    let second = BrowserConnector::new(options(&scene.sim, &scene.dir)).unwrap();
    let refused = second
        .open(OpenStep::Launch, Epoch(1), Arc::new(Recorder::default()))
        .await
        .err()
        .unwrap();
    assert_eq!(refused.kind, Kind::ProfileLocked);
    // The first one has not noticed anything.
    scene.sink.qr(engine.epoch()).await;
    scene.connector.close(Close::Kill).await;
    let sink = Arc::new(Recorder::default());
    second
        .open(OpenStep::Launch, Epoch(2), sink.clone())
        .await
        .unwrap();
    sink.qr(Epoch(2)).await;
    second.close(Close::Kill).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_are_private() {
    let scene = Scene::new().await;
    scene.open(OpenStep::Launch).await;
    let root = scene.dir.path().join("profile");
    for dir in [
        root.clone(),
        root.join("gen-0001"),
        root.join("gen-0001/chromium"),
    ] {
        let mode = std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}", dir.display());
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_from_another_host_is_in_nobodys_way() {
    let (scene, _) = Scene::linked().await;
    scene
        .connector
        .close(Close::Graceful {
            deadline_ms: 10_000,
        })
        .await;
    let lock = scene
        .dir
        .path()
        .join("profile/gen-0001/chromium/SingletonLock");
    // As after a container was replaced.
    let _ = std::fs::remove_file(&lock);
    symlink("another-host-4711", &lock).unwrap();
    scene.ready_by(OpenStep::Launch).await;
    scene.end().await;
}

const ROLE: &str = "STEADFAST_TEST_HOLDER";

/// The other process of the test below; does nothing when run by itself.
#[tokio::test(flavor = "multi_thread")]
async fn holder() {
    let Ok(profile) = std::env::var(ROLE) else {
        return;
    };
    let var = |name: &str| std::env::var(name).unwrap();
    let connector = BrowserConnector::new(EngineOptions {
        web_resolve: Some(var("STEADFAST_TEST_ADDR")),
        web_spki: Some(var("STEADFAST_TEST_SPKI")),
        ..EngineOptions::new(profile)
    })
    .unwrap();
    let sink = Arc::new(Recorder::default());
    connector
        .open(OpenStep::Launch, Epoch(1), sink.clone())
        .await
        .unwrap();
    let code = sink.qr(Epoch(1)).await;
    println!("\nQR {code}");
    sink.phase(Epoch(1), Phase::Ready).await;
    // Long enough for localStorage to be on disk.
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    println!("\nREADY {}", connector.browser_pid().await.unwrap());
    // Until it is killed, or the test that started it is gone.
    tokio::time::sleep(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_without_a_word_the_browser_goes_with_us_and_the_login_stays() {
    use std::io::{BufRead, BufReader};
    let scene = Scene::new().await;
    let profile = scene.dir.path().join("profile");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "profile::holder", "--nocapture"])
        .env(ROLE, &profile)
        .env("STEADFAST_TEST_ADDR", scene.sim.addr().to_string())
        .env("STEADFAST_TEST_SPKI", scene.sim.spki())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (lines, mut from_child) = tokio::sync::mpsc::channel(64);
    let stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                break;
            }
        }
    });
    let mut told = async |word: &str| loop {
        let line = tokio::time::timeout(LONG, from_child.recv())
            .await
            .unwrap()
            .unwrap();
        if let Some(rest) = line.strip_prefix(word) {
            return rest.trim().to_owned();
        }
    };
    let code = told("QR ").await;
    scene.sim.control().scan(PHONE, &code).unwrap();
    let browser: u32 = told("READY ").await.parse().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    drop(from_child);
    reader.join().unwrap();
    // The next owner waits for nobody: it reaps what is still there.
    let (_, took) = scene.ready_by(OpenStep::Launch).await;
    println!("gateway killed -> next one ready: {took:?}");
    let line = std::fs::read(format!("/proc/{browser}/cmdline")).unwrap_or_default();
    assert!(
        !String::from_utf8_lossy(&line).contains(profile.to_str().unwrap()),
        "the old browser still runs"
    );
    scene.end().await;
}
