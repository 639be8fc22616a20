//! A profile's databases between two browsers: waiting until nobody has them
//! open, and mending what Chromium would throw away.
//!
//! A browser that is killed leaves helper processes behind for a moment, and
//! one of them holds the databases in which a login is stored. Chromium that
//! finds such a database locked does not wait: it throws the database away
//! and begins an empty one, and the login is gone (seen with a browser killed
//! under load: the next start 30 ms later showed a QR code).

mod log;
mod scopes;

pub use scopes::mend;

use crate::procfs;
use rustix::process::{Flock, FlockType, fcntl_getlk};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many processes are waited for at the most; each holds a lock of its own.
const MOST_HOLDERS: usize = 64;

/// Whether a profile's databases can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Databases {
    /// Nobody has one open.
    Free {
        /// Processes of a dead browser that were waited for.
        waited: usize,
    },
    /// A live process that is not ours to end has one open.
    Held {
        /// Its process id.
        pid: u32,
    },
}

/// Waits until no process holds a database of this profile. A helper that a
/// dead browser has left and that still holds one at `deadline` is killed; a
/// browser that lives, and any process that does not name this profile as its
/// own, is left alone. Call it with the profile's own lock held, after
/// [`reap_orphan`](crate::reap::reap_orphan).
///
/// # Errors
/// The profile or `/proc` cannot be read, or a killed helper does not end
/// within another `deadline` ([`io::ErrorKind::TimedOut`]).
pub async fn released(user_data_dir: &Path, deadline: Duration) -> io::Result<Databases> {
    let user_data_dir = &std::path::absolute(user_data_dir)?;
    let mut waited = 0;
    for lock in lock_files(user_data_dir)? {
        while let Some(pid) = holder(&lock)? {
            waited += 1;
            if waited > MOST_HOLDERS {
                return Ok(Databases::Held { pid });
            }
            let Some(process) = procfs::open(pid)? else {
                continue;
            };
            let watched = process.try_clone()?;
            if tokio::time::timeout(deadline, procfs::ended(watched))
                .await
                .is_ok()
            {
                continue;
            }
            if let Some(browser) = procfs::browser_on(user_data_dir)? {
                return Ok(Databases::Held { pid: browser });
            }
            if !procfs::carries_profile(pid, user_data_dir) {
                return Ok(Databases::Held { pid });
            }
            tracing::warn!(pid, "a process that held the profile's databases is killed");
            procfs::kill(&process)?;
            tokio::time::timeout(deadline, procfs::ended(process))
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        }
    }
    Ok(Databases::Free { waited })
}

/// Which process holds this lock, other than ourselves.
fn holder(lock: &Path) -> io::Result<Option<u32>> {
    let file = match File::options().read(true).write(true).open(lock) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let asked = Flock::from(FlockType::WriteLock);
    let held = fcntl_getlk(&file, &asked)?;
    Ok(held
        .and_then(|lock| lock.pid)
        .map(|pid| pid.as_raw_nonzero().get().unsigned_abs()))
}

/// LevelDB's lock files in the profile (`LOCK` beside the data).
fn lock_files(user_data_dir: &Path) -> io::Result<Vec<PathBuf>> {
    let default = user_data_dir.join("Default");
    let mut files = vec![
        default.join("Local Storage/leveldb/LOCK"),
        default.join("Session Storage/LOCK"),
        default.join("Service Worker/Database/LOCK"),
    ];
    let databases = indexed_dbs(&default)?;
    files.extend(databases.iter().map(|database| database.join("LOCK")));
    Ok(files)
}

/// The folders in which IndexedDB keeps its databases (and their blobs).
fn indexed_dbs(default: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(default.join("IndexedDB")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{FlockOperation, fcntl_lock};
    use std::process::{Command, Stdio};

    #[tokio::test]
    async fn a_profile_without_databases_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let waited = released(folder.path(), Duration::from_secs(1)).await;
        assert_eq!(waited.unwrap(), Databases::Free { waited: 0 });
    }

    const LOCK: &str = "STEADFAST_CDP_TEST_LOCK";

    /// What another process does: it takes the lock as LevelDB does, says so,
    /// and ends when its input does.
    #[test]
    #[ignore = "runs as a process of its own, started by the test below"]
    fn holds_a_lock() {
        let lock = std::env::var_os(LOCK).unwrap();
        let file = File::options().read(true).write(true).open(lock).unwrap();
        fcntl_lock(&file, FlockOperation::LockExclusive).unwrap();
        io::Write::write_all(&mut io::stderr(), b"held").unwrap();
        io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
    }

    #[tokio::test]
    async fn a_holder_is_waited_for_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let leveldb = folder.path().join("Default/Local Storage/leveldb");
        fs::create_dir_all(&leveldb).unwrap();
        let lock = leveldb.join("LOCK");
        fs::write(&lock, "").unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture"])
            .arg("storage::tests::holds_a_lock")
            .env(LOCK, &lock)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 4];
        io::Read::read_exact(child.stderr.as_mut().unwrap(), &mut said).unwrap();
        assert_eq!(&said, b"held");
        assert_eq!(holder(&lock).unwrap(), Some(child.id()));
        let stranger = released(folder.path(), Duration::from_millis(50)).await;
        assert_eq!(stranger.unwrap(), Databases::Held { pid: child.id() });

        let (waited, ()) = tokio::join!(released(folder.path(), Duration::from_secs(20)), async {
            drop(child.stdin.take());
        });
        assert_eq!(waited.unwrap(), Databases::Free { waited: 1 });
        child.wait().unwrap();
    }
}
