//! What happens to the profile on disk: held by somebody else, or damaged.

use super::process::kill_browser;
use crate::app::DEFAULT_SESSION;
use crate::harness::HarnessError;
use crate::harness::stage::Stage;
use rustix::fs::{FlockOperation, fcntl_lock};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long another process holds the profile.
const HELD_FOR: Duration = Duration::from_secs(3);
/// How long a dying browser may hold on to its databases before another process has them.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// What stands where a database's bookkeeping stood.
const GARBAGE: &[u8] = &[0xa5; 512];

/// The browser's own folder in the generation that is in use.
fn browser_dir(stage: &Stage) -> io::Result<PathBuf> {
    let profile = stage.data_dir().join("profiles").join(DEFAULT_SESSION);
    let generation = fs::read_to_string(profile.join("current"))?;
    Ok(profile.join(generation.trim()).join("chromium"))
}

/// Another process has the profile when the gateway starts its browser again.
/// The forms take turns: a live process of this machine in Chromium's lock, a
/// foreign host in it, a process that holds the login's database.
pub(super) async fn lock(stage: &Stage, turn: u32) -> Result<(), HarnessError> {
    let dir = browser_dir(stage).map_err(HarnessError::io("finding the profile"))?;
    match turn % 3 {
        0 => {
            let mut holder = start_holder(&dir).map_err(HarnessError::io("holding the profile"))?;
            let pid = holder.id().unwrap_or_default();
            let host = rustix::system::uname();
            let host = host.nodename().to_string_lossy().into_owned();
            let locked = put_lock(&dir, &format!("{host}-{pid}"));
            locked.map_err(HarnessError::io("writing the profile's lock"))?;
            let killed = kill_browser(stage).await;
            tokio::time::sleep(HELD_FOR).await;
            // As a browser that is killed: the lock stays, and nobody holds it.
            let _ = holder.kill().await;
            killed
        }
        1 => {
            put_lock(&dir, "another-host-4711")
                .map_err(HarnessError::io("writing the profile's lock"))?;
            kill_browser(stage).await
        }
        _ => {
            let waiting = tokio::task::spawn_blocking(move || hold_database(&dir));
            kill_browser(stage).await?;
            let held = tokio::time::timeout(TAKEN_WITHIN, waiting).await;
            let held = held.map_err(|_| HarnessError::TooLate {
                what: "another process getting the profile's database".to_owned(),
                seconds: TAKEN_WITHIN.as_secs(),
            })?;
            let held = held.map_err(|e| HarnessError::io("holding a database")(e.into()))?;
            let held = held.map_err(HarnessError::io("holding a database"))?;
            tokio::time::sleep(HELD_FOR).await;
            drop(held);
            Ok(())
        }
    }
}

/// A process that names the profile on its command line, as a browser does,
/// and lives until it is killed.
fn start_holder(dir: &Path) -> io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", "read -r _; :", "holder"])
        .arg(format!("--user-data-dir={}", dir.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

/// Puts another lock in the place of the browser's, at once.
fn put_lock(dir: &Path, owner: &str) -> io::Result<()> {
    let new = dir.join("SingletonLock.new");
    let _ = fs::remove_file(&new);
    symlink(owner, &new)?;
    fs::rename(&new, dir.join("SingletonLock"))
}

/// Waits for the lock of the login's database, which the system hands over in
/// the moment in which the browser's processes are gone, and holds it.
fn hold_database(dir: &Path) -> io::Result<File> {
    let lock = databases(dir)?
        .into_iter()
        .map(|database| database.join("LOCK"))
        .find(|lock| lock.exists())
        .ok_or_else(|| io::Error::other("the profile has no database yet"))?;
    let file = File::options().read(true).write(true).open(lock)?;
    fcntl_lock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// The databases of the page's own storage.
fn databases(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir.join("Default/IndexedDB"))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".leveldb") {
            found.push(path);
        }
    }
    Ok(found)
}

/// The browser is killed, and finds damaged databases when it starts again.
/// The forms take turns: the pointer to the newest state, the newest state's
/// list of files, all files of the login's database, and the page's local storage.
pub(super) async fn corrupt(stage: &Stage, turn: u32) -> Result<(), HarnessError> {
    let dir = browser_dir(stage).map_err(HarnessError::io("finding the profile"))?;
    kill_browser(stage).await?;
    // The kill is done when it is asked for; whoever starts a browser on the
    // profile waits for its helpers first, and we do not.
    damage(&dir, turn).map_err(HarnessError::io("damaging the profile"))
}

fn damage(dir: &Path, turn: u32) -> io::Result<()> {
    let local = dir.join("Default/Local Storage/leveldb");
    let (folders, hit): (_, fn(&str) -> bool) = match turn % 4 {
        0 => (databases(dir)?, |name| name == "CURRENT"),
        1 => (databases(dir)?, |name| name.starts_with("MANIFEST-")),
        2 => (databases(dir)?, |name| name != "LOCK"),
        _ => (vec![local], |name| name != "LOCK"),
    };
    let mut damaged = 0;
    for folder in folders {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if hit(&name) && path.is_file() {
                // In place, as a disk damages: same file, other content.
                fs::write(&path, GARBAGE)?;
                damaged += 1;
            }
        }
    }
    if damaged == 0 {
        return Err(io::Error::other("there was nothing to damage"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turn_damages_something_of_its_own() {
        for turn in 0..4 {
            let dir = tempfile::tempdir().unwrap();
            let indexed = dir
                .path()
                .join("Default/IndexedDB/https_x_0.indexeddb.leveldb");
            let local = dir.path().join("Default/Local Storage/leveldb");
            for folder in [&indexed, &local] {
                fs::create_dir_all(folder).unwrap();
                for name in ["CURRENT", "MANIFEST-000001", "000003.log", "LOCK"] {
                    fs::write(folder.join(name), name).unwrap();
                }
            }
            damage(dir.path(), turn).unwrap();
            let hurt = |folder: &Path, name: &str| fs::read(folder.join(name)).unwrap() == GARBAGE;
            assert_eq!(hurt(&indexed, "CURRENT"), turn == 0 || turn == 2);
            assert_eq!(hurt(&indexed, "MANIFEST-000001"), turn == 1 || turn == 2);
            assert_eq!(hurt(&indexed, "000003.log"), turn == 2);
            assert_eq!(hurt(&local, "CURRENT"), turn == 3);
            assert!(!hurt(&indexed, "LOCK") && !hurt(&local, "LOCK"));
        }
    }

    #[test]
    fn a_lock_is_replaced_whether_there_was_one_or_not() {
        let dir = tempfile::tempdir().unwrap();
        for owner in ["here-1", "there-2"] {
            put_lock(dir.path(), owner).unwrap();
            let now = fs::read_link(dir.path().join("SingletonLock")).unwrap();
            assert_eq!(now, Path::new(owner));
        }
    }
}
