//! What Linux tells of processes, and ending them by a handle that cannot
//! come to mean another process.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{fs, io};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The switch by which a browser's processes are known as a profile's.
pub(crate) const PROFILE_SWITCH: &str = "--user-data-dir=";

/// From `/proc/PID/stat` (proc_pid_stat(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) parent: u32,
    pub(crate) group: u32,
    /// When it started, in clock ticks after boot: with the pid, unique within one boot.
    pub(crate) start_ticks: u64,
    /// It has ended and only waits to be reaped.
    pub(crate) is_zombie: bool,
    /// It stands still (SIGSTOP, or a debugger).
    pub(crate) is_stopped: bool,
}

pub(crate) fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name, in brackets, may hold spaces and brackets itself.
    let after_name = &text[text.rfind(')')? + 1..];
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    Some(Stat {
        is_zombie: matches!(*fields.first()?, "Z" | "X"),
        is_stopped: matches!(*fields.first()?, "T" | "t"),
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

/// Names this boot of the machine: pids and start times of another mean nothing.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// Whether the process was started on this profile. Chromium's helper
/// processes carry the switch too, some with all arguments in one string.
pub(crate) fn carries_profile(pid: u32, user_data_dir: &Path) -> bool {
    fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| line_carries_profile(&line, user_data_dir.as_os_str()))
}

/// The browser itself, not one of its helpers, that runs on this profile.
pub(crate) fn browser_on(user_data_dir: &Path) -> io::Result<Option<u32>> {
    let profile = user_data_dir.as_os_str();
    Ok(all_live()?.into_iter().map(|(pid, _)| pid).find(|pid| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line_carries_profile(&line, profile) && !is_helper(&line))
    }))
}

/// Chromium names the kind of each of its helper processes, and of nothing else.
fn is_helper(line: &[u8]) -> bool {
    memchr::memmem::find(line, b"--type=").is_some()
}

fn line_carries_profile(line: &[u8], user_data_dir: &OsStr) -> bool {
    let mut wanted = PROFILE_SWITCH.as_bytes().to_vec();
    wanted.extend_from_slice(user_data_dir.as_bytes());
    memchr::memmem::find_iter(line, &wanted).any(|at| {
        let ends = |byte: Option<&u8>| matches!(byte, None | Some(0 | b' '));
        let before = at.checked_sub(1).map(|before| &line[before]);
        ends(before) && ends(line.get(at + wanted.len()))
    })
}

/// All processes that have not ended.
fn all_live() -> io::Result<Vec<(u32, Stat)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok())
            && let Some(stat) = stat(pid)
            && !stat.is_zombie
        {
            all.push((pid, stat));
        }
    }
    Ok(all)
}

/// The live processes of a group other than its leader. A process that is on
/// its way out counts until it has closed its files.
pub(crate) fn group_of(leader: u32) -> io::Result<Vec<u32>> {
    Ok(all_live()?
        .into_iter()
        .filter(|(pid, stat)| stat.group == leader && *pid != leader)
        .map(|(pid, _)| pid)
        .collect())
}

/// The live processes that belong to a browser: those of its process group
/// and their descendants, as far as they run on its profile.
pub(crate) fn family(leader: u32, user_data_dir: &Path) -> io::Result<Vec<u32>> {
    let all = all_live()?;
    let mut family: HashSet<u32> = all
        .iter()
        .filter(|(pid, stat)| *pid == leader || stat.group == leader)
        .map(|(pid, _)| *pid)
        .collect();
    loop {
        let before = family.len();
        for (pid, stat) in &all {
            if family.contains(&stat.parent) {
                family.insert(*pid);
            }
        }
        if family.len() == before {
            break;
        }
    }
    Ok(family
        .into_iter()
        .filter(|pid| carries_profile(*pid, user_data_dir))
        .collect())
}

/// A handle that means this process and never another with its number.
/// `None` where it is gone already.
pub(crate) fn open(pid: u32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(pid as i32) else {
        return Ok(None);
    };
    match pidfd_open(pid, PidfdFlags::NONBLOCK) {
        Ok(handle) => Ok(Some(handle)),
        Err(rustix::io::Errno::SRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Handles on those of the processes that have not ended.
pub(crate) fn open_all(pids: &[u32]) -> io::Result<Vec<OwnedFd>> {
    pids.iter()
        .filter_map(|pid| open(*pid).transpose())
        .collect()
}

/// Waits until all the processes behind the handles have ended.
pub(crate) async fn all_ended(handles: Vec<OwnedFd>) -> io::Result<()> {
    for handle in handles {
        ended(handle).await?;
    }
    Ok(())
}

/// Waits until the process behind a handle has ended, without reaping it.
#[expect(
    unsafe_code,
    reason = "the only way to wait for a descriptor of a kind that tokio does not know"
)]
pub(crate) async fn ended(handle: OwnedFd) -> io::Result<()> {
    // SAFETY: an `OwnedFd` is open and keeps its number for as long as it
    // lives, and `AsyncFd` owns it until it is dropped.
    let registered = unsafe { AsyncFd::register_with_interest(handle, Interest::READABLE) };
    // A pidfd is readable once its process is a zombie (pidfd_open(2)).
    registered?.readable().await.map(drop)
}

/// Kills the process behind a handle; that it is gone already is no error.
pub(crate) fn kill(handle: &OwnedFd) -> io::Result<()> {
    match pidfd_send_signal(handle, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name_holds() {
        let text = "7 (a) b (c)) S 3 5 6 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 99 1";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.parent, stat.group, stat.start_ticks), (3, 5, 4242));
        assert!(!stat.is_zombie && !stat.is_stopped);
        assert_eq!(parse_stat("nonsense"), None);
        assert_eq!(parse_stat("1 (x) S 1"), None);
    }

    #[test]
    fn we_find_ourselves() {
        let me = stat(std::process::id()).unwrap();
        assert!(me.start_ticks > 0);
        assert!(!boot_id().unwrap().is_empty());
    }

    #[test]
    fn a_browser_is_told_from_its_helpers() {
        assert!(!is_helper(b"chromium\0--user-data-dir=/a/b\0about:blank\0"));
        assert!(is_helper(
            b"chromium --type=utility --user-data-dir=/a/b --shared-files"
        ));
    }

    #[test]
    fn a_profile_is_told_from_one_whose_name_begins_alike() {
        let carries = |line: &[u8]| line_carries_profile(line, OsStr::new("/a/b"));
        assert!(carries(b"x\0--user-data-dir=/a/b\0y\0"));
        assert!(carries(b"x --type=zygote --user-data-dir=/a/b --more"));
        assert!(!carries(b"x\0--user-data-dir=/a/bc\0"));
        assert!(!carries(b"x\0--user-data-dir=/a/b/c\0"));
        assert!(!carries(b"x\0--other--user-data-dir=/a/b\0"));
        assert!(!carries(b""));
    }
}
