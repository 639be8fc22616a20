//! What the kernel tells of processes: memory and processor time.

use super::child::descendants;
use crate::error::Error;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What the kernel counts processor time in towards programs, on x86 and ARM alike.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process's resident memory, in MiB (proc(5), `status`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Resident {
    /// What no file backs: the process's own.
    pub(crate) anonymous_mib: f64,
    /// Pages of files, the program itself among them: the kernel can drop them.
    pub(crate) file_mib: f64,
}

/// A process's resident memory.
///
/// # Errors
///
/// Where it has ended.
pub(crate) fn resident(pid: i32) -> Result<Resident, Error> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
    resident_in(&status).ok_or_else(|| Error::Bench(format!("{path} tells no memory")))
}

fn resident_in(status: &str) -> Option<Resident> {
    Some(Resident {
        anonymous_mib: mib(status, "RssAnon:")?,
        file_mib: mib(status, "RssFile:")?,
    })
}

/// A process's share of the memory that it uses, in MiB; nothing where it has ended.
pub(crate) fn pss_mib(pid: i32) -> Option<f64> {
    mib(
        &std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?,
        "Pss:",
    )
}

/// What a start would find free, in MiB (proc(5), `meminfo`).
///
/// # Errors
///
/// Where the kernel does not tell.
pub(crate) fn available_mib() -> Result<f64, Error> {
    let path = PathBuf::from("/proc/meminfo");
    let text = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
    mib(&text, "MemAvailable:")
        .ok_or_else(|| Error::Bench("/proc/meminfo has no MemAvailable".to_owned()))
}

/// A line of the kernel's, in kB.
fn mib(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib as f64 / 1024.0)
}

/// How many files a process has open.
///
/// # Errors
///
/// Where it has ended.
pub(crate) fn open_files(pid: i32) -> Result<u64, Error> {
    let path = format!("/proc/{pid}/fd");
    let files = std::fs::read_dir(&path).map_err(Error::file(&path))?;
    Ok(files.count() as u64)
}

/// Lets a process have no more than so many files open.
///
/// # Errors
///
/// Where it has ended, or is not ours.
pub(crate) fn limit_files(pid: i32, most: u64) -> Result<(), Error> {
    // The hard limit stays: a child of ours was given the one that we have.
    let limit = Rlimit {
        current: Some(most),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    prlimit(Pid::from_raw(pid), Resource::Nofile, limit)
        .map(|_| ())
        .map_err(|e| Error::Bench(format!("the files of {pid} cannot be limited: {e}")))
}

/// A program and its browsers, as seen from outside.
pub(crate) struct Tree {
    program: i32,
    below: Vec<i32>,
}

impl Tree {
    /// The program and all that it has started by now.
    pub(crate) fn of(program: i32) -> Self {
        Self {
            program,
            below: descendants(program, |_| true),
        }
    }

    /// The share of memory of all that it has started, in MiB; its own is not in it.
    pub(crate) fn browsers_pss_mib(&self) -> f64 {
        self.below.iter().copied().filter_map(pss_mib).sum()
    }

    /// Processor seconds so far: of the program, and of all that it has started.
    ///
    /// # Errors
    ///
    /// Where the program has ended.
    fn processor_seconds(&self) -> Result<(f64, f64), Error> {
        let own = processor_seconds(self.program)
            .ok_or_else(|| Error::Bench(format!("process {} has ended", self.program)))?;
        let below = self.below.iter().copied();
        Ok((own, below.filter_map(processor_seconds).sum()))
    }
}

fn processor_seconds(pid: i32) -> Option<f64> {
    ticks(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
        .map(|ticks| ticks as f64 / TICKS_PER_SECOND)
}

/// Fields 14 and 15 of proc(5), `stat`. The second may hold anything, brackets too.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let [user, system] = [fields.next()?, fields.next()?];
    Some(user.parse::<u64>().ok()? + system.parse::<u64>().ok()?)
}

/// What a stretch of time cost, in processor seconds a minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Busy {
    /// The program.
    pub(crate) program: f64,
    /// All that it had started when the time began.
    pub(crate) browsers: f64,
}

/// Reads the processor before and after something. A process that ends, or is
/// started, meanwhile is not counted.
///
/// # Errors
///
/// Where the program has ended, and those of what is done.
pub(crate) fn busy(
    program: i32,
    meanwhile: impl FnOnce() -> Result<(), Error>,
) -> Result<Busy, Error> {
    let tree = Tree::of(program);
    let (begun, before) = (Instant::now(), tree.processor_seconds()?);
    meanwhile()?;
    let (took, after) = (begun.elapsed(), tree.processor_seconds()?);
    Ok(Busy {
        program: a_minute(after.0 - before.0, took),
        browsers: a_minute((after.1 - before.1).max(0.0), took),
    })
}

fn a_minute(seconds: f64, within: Duration) -> f64 {
    seconds * 60.0 / within.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_apart() {
        let status = "VmRSS:\t  30720 kB\nRssAnon:\t   10240 kB\nRssFile:\t   20480 kB\n";
        let wanted = Resident {
            anonymous_mib: 10.0,
            file_mib: 20.0,
        };
        assert_eq!(resident_in(status), Some(wanted));
        assert_eq!(resident_in("Name:\tzombie\n"), None);
        let rollup = "5560-7fff [rollup]\nRss: 4096 kB\nPss:                2048 kB\n";
        assert_eq!(mib(rollup, "Pss:"), Some(2.0));
    }

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 3 0 250 50 9 9 20 0 1 0 1";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("42 (cut"), None);
    }

    #[test]
    fn what_works_costs_and_what_waits_does_not() {
        let mut loops = std::process::Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn()
            .expect("sh starts");
        let pid = loops.id().cast_signed();
        let so_far = || processor_seconds(pid).unwrap_or(f64::MAX);
        let enough = so_far() + 0.1;
        let until = Instant::now() + Duration::from_mins(1);
        let cost = busy(pid, || {
            while so_far() < enough && Instant::now() < until {
                crate::bench::pause(Duration::from_millis(10));
            }
            Ok(())
        });
        loops.kill().expect("it runs");
        loops.wait().expect("it ends");
        let cost = cost.expect("it is there");
        // However little of a core it was given.
        assert!(cost.program > 0.0, "{cost:?}");
        assert!(cost.browsers.abs() < 0.1, "{cost:?}");
        assert!(busy(pid, || Ok(())).is_err(), "it has ended");
    }

    #[test]
    fn files_are_counted_and_limited() {
        let mut sleeper = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep starts");
        let pid = sleeper.id().cast_signed();
        let open = open_files(pid);
        let limited = limit_files(pid, 17);
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits"));
        sleeper.kill().expect("it runs");
        sleeper.wait().expect("it ends");
        assert!(
            open.expect("it runs") >= 3,
            "standard input, output and error"
        );
        limited.expect("it is ours");
        let limits = limits.expect("it runs");
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        let soft = line.and_then(|line| line.split_ascii_whitespace().nth(3));
        assert_eq!(soft, Some("17"), "{limits}");
        assert!(open_files(pid).is_err(), "it has ended");
    }

    #[test]
    fn costs_are_scaled_to_a_minute() {
        assert!((a_minute(0.5, Duration::from_secs(12)) - 2.5).abs() < 1e-9);
    }
}
