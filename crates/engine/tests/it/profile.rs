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
    // Nothing but a close in order puts the login on disk at once.
    let deadline_ms = 30_000;
    connector.close(Close::Graceful { deadline_ms }).await;
    connector
        .open(OpenStep::Launch, Epoch(2), sink.clone())
        .await
        .unwrap();
    sink.phase(Epoch(2), Phase::Ready).await;
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

/// A Chromium that somebody else has started on the profile; killed when dropped.
struct Stranger(std::process::Child);

impl Stranger {
    /// Returns once it holds the profile.
    async fn on(dir: &std::path::Path) -> Self {
        let browser =
            steadfast_engine::Binary::find(steadfast_engine::Flavor::NewHeadless).unwrap();
        let mut command = Command::new(browser.path());
        command
            .args(["--headless=new", "--no-first-run", "--disable-gpu"])
            .arg(format!("--user-data-dir={}", dir.display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if rustix::process::geteuid().is_root() {
            command.arg("--no-sandbox");
        }
        let stranger = Self(command.spawn().unwrap());
        let pid = stranger.0.id();
        crate::harness::eventually("the stranger to hold the profile", || async {
            std::fs::read_link(dir.join("SingletonLock"))
                .is_ok_and(|lock| lock.to_string_lossy().ends_with(&format!("-{pid}")))
        })
        .await;
        stranger
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn linked_and_closed() -> (Scene, std::path::PathBuf) {
    let (scene, _) = Scene::linked().await;
    scene
        .connector
        .close(Close::Graceful {
            deadline_ms: 10_000,
        })
        .await;
    let dir = scene.dir.path().join("profile/gen-0001/chromium");
    (scene, dir)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_browser_is_left_alone_and_its_end_heals() {
    let (scene, dir) = linked_and_closed().await;
    let mut stranger = Stranger::on(&dir).await;
    for step in [OpenStep::Launch, OpenStep::RestartBrowser] {
        let begun = std::time::Instant::now();
        let refused = scene.try_open(step).await.err().unwrap();
        assert_eq!(refused.kind, Kind::ProfileLocked, "{refused:?}");
        assert!(
            refused.evidence.contains(&stranger.pid().to_string()),
            "it does not say who: {refused:?}"
        );
        println!("in use by a stranger, said after {:?}", begun.elapsed());
    }
    assert!(stranger.0.try_wait().unwrap().is_none(), "we ended it");
    drop(stranger);
    let (_, took) = scene.ready_by(OpenStep::RestartBrowser).await;
    println!("the stranger's end -> ready: {took:?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_nobody_holds_is_in_nobodys_way() {
    let (scene, dir) = linked_and_closed().await;
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let mut ended = Command::new("true").spawn().unwrap();
    let dead = ended.id();
    ended.wait().unwrap();
    // A process that has ended; one that lives and is no browser, as when its
    // number was given to another; this very process; nonsense.
    for target in [
        format!("{host}-{dead}"),
        format!("{host}-1"),
        format!("{host}-{}", std::process::id()),
        "nonsense".to_owned(),
    ] {
        let lock = dir.join("SingletonLock");
        let _ = std::fs::remove_file(&lock);
        symlink(&target, &lock).unwrap();
        scene.ready_by(OpenStep::Launch).await;
        scene
            .connector
            .close(Close::Graceful {
                deadline_ms: 10_000,
            })
            .await;
    }
    scene.end().await;
}

const LOCK: &str = "STEADFAST_TEST_LEVELDB_LOCK";

/// Another process, which holds a database's lock as LevelDB does, until its
/// input ends; does nothing when run by itself.
#[test]
fn database_holder() {
    let Some(lock) = std::env::var_os(LOCK) else {
        return;
    };
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(lock)
        .unwrap();
    rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    std::io::Write::write_all(&mut std::io::stderr(), b"held").unwrap();
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_database_is_a_locked_profile_not_a_lost_login() {
    let (scene, dir) = linked_and_closed().await;
    let lock = dir.join("Default/Local Storage/leveldb/LOCK");
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "profile::database_holder", "--nocapture"])
        .env(LOCK, &lock)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 4];
    std::io::Read::read_exact(holder.stderr.as_mut().unwrap(), &mut said).unwrap();
    let refused = scene.try_open(OpenStep::Launch).await.err().unwrap();
    assert_eq!(refused.kind, Kind::ProfileLocked, "{refused:?}");
    assert!(holder.try_wait().unwrap().is_none(), "we ended it");
    // Its end is waited for, not slept for: the step that is under way goes on.
    let begun = std::time::Instant::now();
    let (opened, ()) = tokio::join!(scene.ready_by(OpenStep::Launch), async {
        drop(holder.stdin.take());
    });
    println!("the holder's end -> ready: {:?}", begun.elapsed());
    drop(opened);
    holder.wait().unwrap();
    scene.end().await;
}
