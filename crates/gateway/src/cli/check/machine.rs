//! The machine itself: memory, shared memory, limits, clock.

use super::finding::Finding;
use rustix::fs::statvfs;
use rustix::process::{Resource, getrlimit};
use std::fs;
use std::path::{Path, PathBuf};

const MIB: u64 = 1_024 * 1_024;
/// What one session's browser needs at the least, beside the page's own growth.
const SESSION_BYTES: u64 = 512 * MIB;
/// Below this Chromium crashes on large pages where it uses /dev/shm.
const SHM_BYTES: u64 = 64 * MIB;

pub(super) fn memory() -> Finding {
    const NAME: &str = "memory";
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = info
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kib| kib.parse::<u64>().ok())
        .map(|kib| kib * 1_024);
    let allowed = control_group("memory.max");
    let used = control_group("memory.current").unwrap_or(0);
    let room = allowed.map(|most| most.saturating_sub(used));
    match (available, room) {
        (Some(_), Some(room)) if room < SESSION_BYTES => Finding::warn(
            NAME,
            format!(
                "this control group may have {} MiB more; a session's browser needs {}",
                room / MIB,
                SESSION_BYTES / MIB
            ),
            "give it more: MemoryMax= of the unit, or --memory of the container",
        ),
        (Some(bytes), _) if bytes < SESSION_BYTES => Finding::warn(
            NAME,
            format!(
                "{} MiB available; a session's browser needs {}",
                bytes / MIB,
                SESSION_BYTES / MIB
            ),
            "end what is not needed (ps aux --sort=-rss | head), or set browser.flavor = \"headless_shell\", which needs a third less",
        ),
        (Some(bytes), _) => Finding::ok(NAME, format!("{} MiB available", bytes / MIB)),
        (None, _) => Finding::warn(NAME, "cannot be looked at", "free -m"),
    }
}

pub(super) fn shared_memory() -> Finding {
    const NAME: &str = "/dev/shm";
    let fix = "mount -o remount,size=512m /dev/shm; in a container: --shm-size=512m";
    match statvfs("/dev/shm") {
        Ok(stat) => {
            let total = stat.f_blocks.saturating_mul(stat.f_frsize);
            let detail = format!("{} MiB", total / MIB);
            if total < SHM_BYTES {
                Finding::warn(NAME, format!("{detail}, too little for large pages"), fix)
            } else {
                Finding::ok(NAME, detail)
            }
        }
        Err(_) => Finding::warn(NAME, "is not there", fix),
    }
}

/// Open files and processes. A browser has some hundred threads, and each
/// connection is a file.
pub(super) fn limits() -> Finding {
    const NAME: &str = "limits";
    const FILES: u64 = 4_096;
    const TASKS: u64 = 512;
    let most = |resource| getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let files = most(Resource::Nofile);
    if files < FILES {
        return Finding::warn(
            NAME,
            format!("{files} open files at most; {FILES} are wanted"),
            "LimitNOFILE=65536 in the unit, or: ulimit -Hn 65536",
        );
    }
    let tasks = most(Resource::Nproc).min(control_group("pids.max").unwrap_or(u64::MAX));
    if tasks < TASKS {
        return Finding::warn(
            NAME,
            format!("{tasks} processes and threads at most; a session's browser has some hundred"),
            "TasksMax=4096 in the unit, --pids-limit=4096 of the container, or: ulimit -u 4096",
        );
    }
    let said = |n: u64| match n {
        u64::MAX => "any number of".to_owned(),
        n => n.to_string(),
    };
    Finding::ok(
        NAME,
        format!(
            "{} open files, {} processes and threads",
            said(files),
            said(tasks)
        ),
    )
}

/// What this process's control group is allowed; `None` where it is not limited.
fn control_group(file: &str) -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    let folder: PathBuf = root.join(path);
    let text = fs::read_to_string(folder.join(file)).ok()?;
    text.trim().parse().ok()
}

/// How far off this machine's clock is. TLS refuses what is far off, and
/// WhatsApp Web asks its user to mend the clock.
///
/// `offset` is how many seconds WhatsApp's server is ahead, where it was asked.
pub(super) fn clock(offset: Option<i64>) -> Finding {
    const NAME: &str = "clock";
    /// The header has whole seconds, and the way takes some.
    const SMALL_S: u64 = 5;
    const LARGE_S: u64 = 60;
    const FIX: &str = "timedatectl set-ntp true; without systemd: apt-get install chrony; in a \
         container set the host's clock";
    // systemd-timesyncd touches it whenever it has set the clock.
    let kept = Path::new("/run/systemd/timesync/synchronized").exists();
    match offset {
        Some(seconds) if seconds.unsigned_abs() > SMALL_S => {
            let off = seconds.unsigned_abs();
            let side = if seconds > 0 { "behind" } else { "ahead of" };
            let detail = format!("{off} s {side} WhatsApp's server");
            if off > LARGE_S {
                Finding::fail(NAME, detail, FIX)
            } else {
                Finding::warn(NAME, detail, FIX)
            }
        }
        Some(_) => Finding::ok(NAME, "as WhatsApp's server has it, to a few seconds"),
        None if kept => Finding::ok(NAME, "kept right by systemd-timesyncd"),
        None => Finding::warn(NAME, "compared with nobody", "timedatectl status"),
    }
}

#[cfg(test)]
mod tests {
    use super::clock;
    use crate::cli::check::finding::Verdict;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off() {
        assert_eq!(clock(Some(-2)).verdict, Verdict::Ok);
        assert_eq!(clock(Some(30)).verdict, Verdict::Warn);
        let far = clock(Some(-7_200));
        assert_eq!(far.verdict, Verdict::Fail);
        assert!(far.fix.is_some_and(|fix| fix.contains("set-ntp")));
    }
}
