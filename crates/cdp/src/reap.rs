//! Ending a browser that an earlier process of ours left behind on a profile.
//!
//! A browser ends by itself when its owner dies, since its pipe ends. Only
//! one that is stopped (SIGSTOP), or frozen with its container, may live on
//! (where it is a group of its own, Linux wakes it with SIGHUP and SIGCONT,
//! but only if all its threads had come to a stop before the owner died). So
//! each start records the browser's process in the profile folder, and the
//! next owner of the profile ends what the record names, if it still is what
//! was recorded: same boot, same start time, same profile on its command line.
//! (PR_SET_PDEATHSIG is no answer: it fires when the forking *thread* ends.)

use crate::procfs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, path};

/// The record's name in the profile folder.
const RECORD: &str = "steadfast-browser.pid";

/// How long a browser whose owner has just died may take to end by itself;
/// on an idle machine it takes 0.1 to 0.4 s.
const ENDS_BY_ITSELF: Duration = Duration::from_secs(3);

/// What was found on a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reaped {
    /// No browser of ours was left, or it ended by itself while it was waited for.
    Nothing,
    /// One was, and it and its processes were killed.
    Killed {
        /// The browser's process id.
        pid: u32,
        /// How many processes in all.
        processes: usize,
    },
}

/// What stands in a profile's `SingletonLock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileLock {
    /// No lock.
    Free,
    /// A lock that nobody holds any more was there and has been removed.
    Cleared {
        /// The host that made it.
        host: String,
        /// The process that made it.
        pid: u32,
    },
    /// A live browser on this machine holds it. Left alone.
    Held {
        /// Its process id.
        pid: u32,
    },
}

/// The process that a start left on record.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    pid: u32,
    start_ticks: u64,
    boot_id: String,
}

impl Record {
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split_ascii_whitespace();
        Some(Self {
            pid: fields.next()?.parse().ok().filter(|pid| *pid > 1)?,
            start_ticks: fields.next()?.parse().ok()?,
            boot_id: fields.next()?.to_owned(),
        })
    }

    fn text(&self) -> String {
        format!("{} {} {}\n", self.pid, self.start_ticks, self.boot_id)
    }
}

fn record_path(user_data_dir: &Path) -> PathBuf {
    user_data_dir.join(RECORD)
}

fn read_record(user_data_dir: &Path) -> io::Result<Option<Record>> {
    match fs::read_to_string(record_path(user_data_dir)) {
        Ok(text) => Ok(Record::parse(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Records the browser of a profile.
pub(crate) fn record(user_data_dir: &Path, pid: u32) -> io::Result<()> {
    let Some(stat) = procfs::stat(pid) else {
        return Ok(()); // It has ended already.
    };
    let record = Record {
        pid,
        start_ticks: stat.start_ticks,
        boot_id: procfs::boot_id()?,
    };
    fs::write(record_path(user_data_dir), record.text())
}

/// Removes the record of a browser that was reaped, unless another has taken its place.
pub(crate) fn forget(user_data_dir: &Path, pid: u32) -> io::Result<()> {
    if read_record(user_data_dir)?.is_some_and(|record| record.pid == pid) {
        fs::remove_file(record_path(user_data_dir))?;
    }
    Ok(())
}

/// Ends the browser on record in `user_data_dir`, and its processes, if any
/// of them still runs, and waits until they are gone: one that is ending by
/// itself is given 3 s to do so, then all are killed, a stopped one at once.
/// Call it with the profile's own lock held, so that no other owner can be
/// at work.
///
/// # Errors
/// The record or `/proc` cannot be read, a process may not be killed, or one
/// is still there after `deadline` ([`io::ErrorKind::TimedOut`]).
pub async fn reap_orphan(user_data_dir: &Path, deadline: Duration) -> io::Result<Reaped> {
    let user_data_dir = path::absolute(user_data_dir)?;
    let Some(record) = read_record(&user_data_dir)? else {
        return Ok(Reaped::Nothing);
    };
    let processes = if record.boot_id == procfs::boot_id()? {
        kill_family(&record, &user_data_dir, deadline).await?
    } else {
        0
    };
    forget(&user_data_dir, record.pid)?;
    if processes == 0 {
        return Ok(Reaped::Nothing);
    }
    tracing::warn!(
        pid = record.pid,
        processes,
        "a browser that was left behind on the profile was killed"
    );
    Ok(Reaped::Killed {
        pid: record.pid,
        processes,
    })
}

async fn kill_family(
    record: &Record,
    user_data_dir: &Path,
    deadline: Duration,
) -> io::Result<usize> {
    // If the number now is another process's, what is left of the group are
    // at most helpers, and those carry the profile's name.
    let mut handles = Vec::new();
    for pid in procfs::family(record.pid, user_data_dir)? {
        let Some(handle) = procfs::open(pid)? else {
            continue;
        };
        // Asked again with the handle in hand: it cannot change its meaning any more.
        let recorded = procfs::stat(pid).is_some_and(|stat| stat.start_ticks >= record.start_ticks);
        if recorded && procfs::carries_profile(pid, user_data_dir) {
            handles.push(handle);
        }
    }
    let stopped = procfs::stat(record.pid).is_some_and(|stat| stat.is_stopped);
    if !stopped && !handles.is_empty() {
        // Most likely its owner has just died and it is about to end by
        // itself, writing what its pages stored last.
        let watched = handles
            .iter()
            .map(OwnedFd::try_clone)
            .collect::<io::Result<Vec<_>>>()?;
        let grace = ENDS_BY_ITSELF.min(deadline / 2);
        if let Ok(ended) = tokio::time::timeout(grace, procfs::all_ended(watched)).await {
            return ended.map(|()| 0);
        }
    }
    for handle in &handles {
        procfs::kill(handle)?;
    }
    let processes = handles.len();
    tokio::time::timeout(deadline, procfs::all_ended(handles))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(processes)
}

/// Removes a `SingletonLock` that nobody holds: one of another host, as after
/// a container was made anew (Chromium would refuse to start with exit code
/// 21), or of a process that is no browser on this profile. Call it with the
/// profile's own lock held, after [`reap_orphan`]: the lock that Chromium
/// keeps cannot tell a foreign host that is alive from one that is not.
pub fn clear_stale_lock(user_data_dir: &Path) -> io::Result<ProfileLock> {
    let user_data_dir = path::absolute(user_data_dir)?;
    // A symbolic link whose target is the text "HOST-PID" (process_singleton_posix.cc).
    let target = match fs::read_link(user_data_dir.join("SingletonLock")) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ProfileLock::Free),
        Err(error) => return Err(error),
    };
    let target = target.to_string_lossy();
    let (host, pid) = target.rsplit_once('-').unwrap_or((&target, ""));
    let pid = pid.parse().unwrap_or(0);
    let ours = rustix::system::uname().nodename().to_bytes() == host.as_bytes();
    if ours && procfs::carries_profile(pid, &user_data_dir) {
        return Ok(ProfileLock::Held { pid });
    }
    for name in ["SingletonLock", "SingletonSocket", "SingletonCookie"] {
        match fs::remove_file(user_data_dir.join(name)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(ProfileLock::Cleared {
        host: host.to_owned(),
        pid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_record_reads_back_and_a_torn_one_is_none() {
        let record = Record {
            pid: 42,
            start_ticks: 7,
            boot_id: "b".to_owned(),
        };
        assert_eq!(Record::parse(&record.text()), Some(record));
        for torn in ["", "42", "42 7", "x 7 b", "0 7 b", "1 7 b"] {
            assert_eq!(Record::parse(torn), None, "{torn:?}");
        }
    }

    #[test]
    fn a_foreign_hosts_lock_is_removed_and_a_live_ones_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("SingletonLock");
        assert_eq!(clear_stale_lock(folder.path()).unwrap(), ProfileLock::Free);
        symlink("other-host-name-4711", &lock).unwrap();
        symlink("/nowhere", folder.path().join("SingletonSocket")).unwrap();
        assert_eq!(
            clear_stale_lock(folder.path()).unwrap(),
            ProfileLock::Cleared {
                host: "other-host-name".to_owned(),
                pid: 4711
            }
        );
        assert!(fs::symlink_metadata(&lock).is_err());
        assert_eq!(clear_stale_lock(folder.path()).unwrap(), ProfileLock::Free);
    }

    #[tokio::test]
    async fn a_record_that_names_another_process_kills_nobody() {
        let folder = tempfile::tempdir().unwrap();
        // This very process: it does not carry the profile.
        record(folder.path(), std::process::id()).unwrap();
        let reaped = reap_orphan(folder.path(), Duration::from_secs(5)).await;
        assert_eq!(reaped.unwrap(), Reaped::Nothing);
        assert!(!record_path(folder.path()).exists());
    }
}
