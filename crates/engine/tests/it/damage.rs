//! A linked profile that is damaged comes back from its good copy, with no
//! phone; what was damaged is set aside; what WhatsApp refused never comes back.

use crate::harness::{FRIEND, PHONE, Scene, chat, options, send_ok};
use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::mem;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use steadfast_cdp::{Binary, Flavor};
use steadfast_core::failure::{Failure, Kind, Rung};
use steadfast_core::port::{Close, Connector, Engine, EngineEvent, OpenStep, Phase};
use steadfast_engine::{BrowserConnector, EngineOptions};

const GRACEFUL: Close = Close::Graceful {
    deadline_ms: 10_000,
};

/// Linked, with its good copy taken, and closed.
async fn secured() -> Scene {
    let (scene, _) = Scene::linked().await;
    scene.ready_by(OpenStep::Secure).await;
    scene.connector.close(GRACEFUL).await;
    assert!(generation(&scene).join("good").is_dir());
    scene
}

fn generation(scene: &Scene) -> PathBuf {
    scene.dir.path().join("profile/gen-0001")
}

fn default(scene: &Scene) -> PathBuf {
    generation(scene).join("chromium/Default")
}

/// Every file below this folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Those of the page's databases whose name begins so: `CURRENT`, `MANIFEST-`, or ends so: `.log`.
fn of_indexed_db(scene: &Scene, name: &str) -> Vec<PathBuf> {
    let found: Vec<_> = files(&default(scene).join("IndexedDB"))
        .into_iter()
        .filter(|path| {
            let this = path.file_name().unwrap().to_str().unwrap();
            this.starts_with(name) || this.ends_with(name)
        })
        .collect();
    assert!(!found.is_empty(), "no {name} among the page's databases");
    found
}

/// As a sector that was never written: nothing but zeros, from here to the end.
fn zero(path: &Path, from: u64) {
    let length = fs::metadata(path).unwrap().len();
    let mut file = File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(from.min(length))).unwrap();
    let zeros = vec![0; usize::try_from(length.saturating_sub(from)).unwrap()];
    file.write_all(&zeros).unwrap();
}

fn truncate(path: &Path, share: u64) {
    let length = fs::metadata(path).unwrap().len();
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(length / share).unwrap();
}

/// What an epoch came to: ready, or failed, whichever is told first.
async fn ready_or_failed(scene: &Scene, engine: &Arc<dyn Engine>) -> Result<(), Failure> {
    scene
        .sink
        .event(engine.epoch(), "ready or a failure", |event| match event {
            EngineEvent::Phase(Phase::Ready) => Some(Ok(())),
            EngineEvent::Failed(failure) => Some(Err(failure.clone())),
            _ => None,
        })
        .await
        .0
}

/// Launches on the damaged profile, and demands that it says so.
async fn says_so(scene: &Scene) {
    let engine = scene.open(OpenStep::Launch).await;
    let failure = ready_or_failed(scene, &engine).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.rung),
        (Kind::ProfileCorrupt, Rung::RestoreProfile),
        "{failure:?}"
    );
}

/// Takes the step that brings the copy back, and demands the same login, without a phone.
async fn comes_back(scene: &Scene) {
    let told = scene.sink.heard().len();
    let (engine, took) = scene.ready_by(OpenStep::RestoreProfile).await;
    println!("good copy back -> ready: {took:?}");
    send_ok(scene, &engine, &chat(FRIEND), "from the good copy").await;
    let asked: Vec<_> = scene.sink.heard()[told..]
        .iter()
        .filter(|h| matches!(h.event, EngineEvent::Qr { .. } | EngineEvent::Linked))
        .cloned()
        .collect();
    assert!(asked.is_empty(), "a phone was needed: {asked:?}");
    let devices = scene.sim.control().account(PHONE).unwrap().devices;
    assert_eq!(devices.len(), 1, "it is another device");
}

/// What was damaged is where a person can look at it.
fn is_kept(scene: &Scene) {
    let aside = generation(scene).join("broken/0001/Default");
    assert!(aside.is_dir(), "{} is gone", aside.display());
}

async fn damaged_and_back(damage: impl FnOnce(&Scene)) {
    let scene = secured().await;
    damage(&scene);
    says_so(&scene).await;
    comes_back(&scene).await;
    is_kept(&scene);
    // And for good: the next start needs nothing.
    scene.connector.close(GRACEFUL).await;
    scene.ready_by(OpenStep::Launch).await;
    scene.end().await;
}

/// Damage that Chromium itself may be able to mend. It must not cost the
/// login, whichever way it goes.
async fn damaged_and_mended(damage: impl FnOnce(&Scene)) {
    let scene = secured().await;
    damage(&scene);
    let engine = scene.open(OpenStep::Launch).await;
    match ready_or_failed(&scene, &engine).await {
        Ok(()) => {
            println!("the browser has mended it");
            send_ok(&scene, &engine, &chat(FRIEND), "mended").await;
        }
        Err(failure) => {
            println!("the browser has not mended it: {failure:?}");
            assert_eq!(failure.kind, Kind::ProfileCorrupt, "{failure:?}");
            comes_back(&scene).await;
            is_kept(&scene);
        }
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn indexed_db_gone() {
    damaged_and_back(|scene| fs::remove_dir_all(default(scene).join("IndexedDB")).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn indexed_db_emptied() {
    damaged_and_back(|scene| {
        for path in files(&default(scene).join("IndexedDB")) {
            fs::remove_file(path).unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn indexed_db_without_current() {
    damaged_and_back(|scene| {
        for path in of_indexed_db(scene, "CURRENT") {
            truncate(&path, u64::MAX);
        }
    })
    .await;
}

/// A browser that says so on its standard error once it is told to, by the file beside it.
fn browser_that_says(scene: &Scene, said: &[&str]) -> (PathBuf, PathBuf) {
    let real = Binary::find(Flavor::NewHeadless).unwrap();
    let path = scene.dir.path().join("says-so");
    let now = scene.dir.path().join("now");
    // Beside the browser, without its pipes, and no longer than it lives.
    let script = format!(
        "#!/bin/sh\n(exec 3<&- 4>&-; while kill -0 $$ && [ ! -e '{now}' ]; do sleep 0.02; done; \
         printf '%s\\n' '{said}' >&2) &\nexec '{real}' \"$@\"\n",
        now = now.display(),
        said = said.join("' '"),
        real = real.path().display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    (path, now)
}

/// What comes of a linked session whose browser says so, while its page says nothing.
async fn failed_by_its_word(said: &[&str]) -> (Scene, Failure) {
    let mut scene = secured().await;
    let (path, now) = browser_that_says(&scene, said);
    let options = EngineOptions {
        browser_path: Some(path),
        ..options(&scene.sim, &scene.dir)
    };
    let sound = mem::replace(
        &mut scene.connector,
        BrowserConnector::new(options).unwrap(),
    );
    let (engine, _) = scene.ready_by(OpenStep::Launch).await;
    fs::write(now, "").unwrap();
    let failed = scene
        .sink
        .event(engine.epoch(), "a failure", |event| match event {
            EngineEvent::Failed(failure) => Some(failure.clone()),
            _ => None,
        });
    let failure = failed.await.0;
    scene.connector.close(GRACEFUL).await;
    scene.connector = sound;
    (scene, failure)
}

const READ_ERROR: &str = "[9:9:0101/000000.000000:ERROR:backing_store.cc:3043] IndexedDB Read \
    Error: GET_PRIMARY_KEY_VIA_INDEX";
const CORRUPTION: &str = "[9:9:0101/000000.000000:ERROR:backing_store.cc:1642] Got corruption for \
    { origin: https://web.whatsapp.com, ancestor chain bit: Same-Site }, partial record";

/// The page may wait for ever for what was deleted: it is not waited for. Where a read
/// met the damage, that is told first.
#[tokio::test(flavor = "multi_thread")]
async fn the_browser_s_own_word_of_the_damage_is_enough() {
    for said in [&[CORRUPTION][..], &[READ_ERROR, CORRUPTION]] {
        let (scene, failure) = failed_by_its_word(said).await;
        assert_eq!(
            (failure.kind, failure.rung),
            (Kind::ProfileCorrupt, Rung::RestoreProfile),
            "{failure:?}"
        );
        comes_back(&scene).await;
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_used_is_opened_by_another_browser() {
    let (scene, failure) = failed_by_its_word(&[READ_ERROR]).await;
    assert_eq!(
        (failure.kind, failure.rung),
        (Kind::ResourcesExhausted, Rung::RestartBrowser),
        "{failure:?}"
    );
    let (engine, _) = scene.ready_by(OpenStep::RestartBrowser).await;
    send_ok(&scene, &engine, &chat(FRIEND), "there is room again").await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn indexed_db_with_a_zeroed_manifest() {
    damaged_and_back(|scene| {
        for path in of_indexed_db(scene, "MANIFEST-") {
            zero(&path, 0);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn indexed_db_with_a_torn_log() {
    damaged_and_mended(|scene| {
        for path in of_indexed_db(scene, ".log") {
            truncate(&path, 2);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn local_storage_gone() {
    damaged_and_back(|scene| fs::remove_dir_all(default(scene).join("Local Storage")).unwrap())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn local_storage_zeroed() {
    damaged_and_back(|scene| {
        for path in files(&default(scene).join("Local Storage")) {
            zero(&path, 0);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn preferences_truncated() {
    damaged_and_mended(|scene| {
        truncate(&default(scene).join("Preferences"), 2);
        truncate(&generation(scene).join("chromium/Local State"), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_folder_partly_written() {
    damaged_and_back(|scene| {
        // As after power was lost while much was being written: lengths are there, contents are not.
        for (n, path) in files(&default(scene)).iter().enumerate() {
            match n % 3 {
                0 => zero(path, 0),
                1 => truncate(path, 2),
                _ => zero(path, 512),
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_browsers_folder_gone() {
    let scene = secured().await;
    fs::remove_dir_all(generation(&scene).join("chromium")).unwrap();
    says_so(&scene).await;
    comes_back(&scene).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_under_a_killed_browser() {
    let scene = secured().await;
    scene.ready_by(OpenStep::Launch).await;
    scene
        .connector
        .inject(steadfast_engine::Injected::KillBrowser)
        .await
        .unwrap();
    scene.connector.close(Close::Kill).await;
    fs::remove_dir_all(default(&scene).join("IndexedDB")).unwrap();
    says_so(&scene).await;
    comes_back(&scene).await;
    is_kept(&scene);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_copy_a_phone_is_asked() {
    let (scene, _) = Scene::linked().await;
    scene.connector.close(GRACEFUL).await;
    fs::remove_dir_all(default(&scene).join("IndexedDB")).unwrap();
    let engine = scene.open(OpenStep::Launch).await;
    let code = scene.sink.qr(engine.epoch()).await;
    scene.sim.control().scan(PHONE, &code).unwrap();
    scene.sink.phase(engine.epoch(), Phase::Ready).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_is_never_offered_again() {
    let scene = secured().await;
    scene.sim.control().unlink(PHONE, None, 0).unwrap();
    let engine = scene.open(OpenStep::Launch).await;
    let failure = ready_or_failed(&scene, &engine).await.unwrap_err();
    // Its copy is refused with it: bringing that back would offer the same login again.
    assert_eq!(failure.kind, Kind::AuthRequired, "{failure:?}");
    let engine = scene.open(OpenStep::FreshProfile).await;
    scene.sink.qr(engine.epoch()).await;
    let refused = scene.dir.path().join("profile/refused-0001");
    assert!(refused.join("chromium").is_dir() && refused.join("good").is_dir());
    // Whatever is tried now works on the new generation, which has no copy.
    for step in [OpenStep::RestoreProfile, OpenStep::RestartBrowser] {
        let engine = scene.open(step).await;
        let code = scene.sink.qr(engine.epoch()).await;
        assert!(!code.is_empty());
    }
    assert!(!generation(&scene).exists());
    let engine = scene.open(OpenStep::Reload).await;
    let code = scene.sink.qr(engine.epoch()).await;
    scene.sim.control().scan(PHONE, &code).unwrap();
    scene.sink.phase(engine.epoch(), Phase::Ready).await;
    scene.ready_by(OpenStep::Secure).await;
    assert!(scene.dir.path().join("profile/gen-0002/good").is_dir());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_copy_is_refused_with_its_login_while_we_run() {
    let scene = secured().await;
    let (engine, _) = scene.ready_by(OpenStep::Launch).await;
    scene.sim.control().unlink(PHONE, None, 0).unwrap();
    let (failure, _) = scene.sink.failed(engine.epoch()).await;
    assert_eq!(failure.kind, Kind::AuthRequired, "{failure:?}");
    // A restart instead of the fresh profile: the page asks for a phone, and
    // does not count as a login that was lost.
    let engine = scene.open(OpenStep::RestartBrowser).await;
    scene.sink.qr(engine.epoch()).await;
    let corrupt = scene.sink.heard().into_iter().any(|h| {
        matches!(&h.event, EngineEvent::Failed(failure) if failure.kind == Kind::ProfileCorrupt)
    });
    assert!(
        !corrupt,
        "the copy of a refused login was to be brought back"
    );
    scene.end().await;
}

/// A file system of its own, of this many MiB; `None` where we may not mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, mib: u32) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(at)
            .output()
            .is_ok_and(|done| done.status.success());
        mounted.then(|| Self(at.to_owned()))
    }

    /// Takes all the room that is left.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).unwrap();
        let block = vec![1; 64 << 10];
        while file.write_all(&block).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_no_login() {
    let small = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&small.path().join("disk"), 400) else {
        println!("skipped: no file system may be mounted here");
        return;
    };
    let at = disk.0.join("profile");
    let (scene, _) = Scene::linked_with(steadfast_sim::knobs::Knobs::default(), |options| {
        options.profile_dir = at;
    })
    .await;
    scene.ready_by(OpenStep::Secure).await;
    let filler = disk.fill();
    // It may go on, or die; it may not lose the login, and says what is wrong where it stops.
    let restarted = scene.try_open(OpenStep::RestartBrowser).await;
    let outcome = match restarted {
        Ok(engine) => {
            tokio::time::timeout(Duration::from_secs(20), ready_or_failed(&scene, &engine)).await
        }
        Err(failure) => Ok(Err(failure)),
    };
    println!("on a full disk: {outcome:?}");
    if let Ok(Err(failure)) = &outcome {
        assert!(
            matches!(
                failure.kind,
                Kind::ResourcesExhausted | Kind::ProfileCorrupt | Kind::BrowserGone
            ),
            "{failure:?}"
        );
    }
    // Bringing the copy back needs room that is not there: nothing is changed.
    let restored = scene.try_open(OpenStep::RestoreProfile).await;
    println!("copy on a full disk: {:?}", restored.as_ref().map(|_| ()));
    if let Err(failure) = restored {
        assert_eq!(failure.kind, Kind::ResourcesExhausted, "{failure:?}");
    }
    assert!(disk.0.join("profile/gen-0001/good").is_dir());
    fs::remove_file(filler).unwrap();
    let engine = scene.open(OpenStep::RestartBrowser).await;
    if ready_or_failed(&scene, &engine).await.is_err() {
        comes_back(&scene).await;
    }
    scene.end().await;
}
