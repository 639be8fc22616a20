//! Ending a browser that an earlier process of ours left behind on a profile.

use std::io;
use std::path::Path;
use std::time::Duration;

/// What was found on a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reaped {
    /// No browser of ours was left.
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

/// Kills the browser recorded in `user_data_dir`, if it still runs. Call with the profile's own lock held.
pub async fn reap_orphan(_user_data_dir: &Path, _deadline: Duration) -> io::Result<Reaped> {
    todo!()
}

/// Removes a stale `SingletonLock` (another host's, or a dead process's).
/// Call with the profile's own lock held, after [`reap_orphan`].
pub fn clear_stale_lock(_user_data_dir: &Path) -> io::Result<ProfileLock> {
    todo!()
}
