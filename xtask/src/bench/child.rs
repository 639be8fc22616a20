//! A process that we started: its lines, its memory, its end.

use crate::error::Error;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long a process may take for a line, or for its end.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running process. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Starts it. Its standard output is read here, line by line; its standard
    /// error goes to `log`.
    ///
    /// # Errors
    ///
    /// Where it cannot be started or the log not be made.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self, Error> {
        let name = command.get_program().to_string_lossy().into_owned();
        let log = std::fs::File::create(log).map_err(Error::file(log))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|source| Error::Start {
                program: name.clone(),
                source,
            })?;
        let (to, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            // Ends with the pipe, that is with the process.
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if to.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self { name, child, lines })
    }

    /// Waits for the first line that `pick` makes something of.
    ///
    /// # Errors
    ///
    /// Where the process ends, or a minute passes, before there is one.
    pub(crate) fn line<T>(&self, pick: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).map_err(|e| {
                Error::Bench(format!("{} did not say what it must: {e}", self.name))
            })?;
            if let Some(found) = pick(&line) {
                return Ok(found);
            }
        }
    }

    /// The next line; nothing once the process has ended or the time is over.
    pub(crate) fn next_line(&self, deadline: Instant) -> Option<String> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.lines.recv_timeout(left).ok()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Its resident memory, in MiB; its children's is not in it.
    ///
    /// # Errors
    ///
    /// Where it has ended.
    pub(crate) fn resident_mib(&self) -> Result<f64, Error> {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
        resident_kib(&status)
            .map(|kib| kib as f64 / 1024.0)
            .ok_or_else(|| Error::Bench(format!("{path} has no VmRSS")))
    }

    /// Asks it to end, and waits for that.
    ///
    /// # Errors
    ///
    /// Where it does not end within a minute.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        signal(self.pid(), Signal::TERM)?;
        // The pipe ends with the process: no polling.
        let deadline = Instant::now() + PATIENCE;
        while self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            .is_ok()
        {}
        match self.child.try_wait() {
            Ok(Some(_)) => Ok(()),
            _ if Instant::now() < deadline => self
                .child
                .wait()
                .map(|_| ())
                .map_err(|e| Error::Bench(format!("{} cannot be waited for: {e}", self.name))),
            _ => Err(Error::Bench(format!(
                "{} did not end when asked",
                self.name
            ))),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to one process.
///
/// # Errors
///
/// Where there is no such process.
pub(crate) fn signal(pid: i32, signal: Signal) -> Result<(), Error> {
    let found = Pid::from_raw(pid).ok_or_else(|| Error::Bench(format!("{pid} is no process")))?;
    kill_process(found, signal).map_err(|e| Error::Bench(format!("cannot signal {pid}: {e}")))
}

/// The processes below `ancestor` whose command line `wanted` takes.
pub(crate) fn descendants(ancestor: i32, wanted: impl Fn(&str) -> bool) -> Vec<i32> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|n| n.parse::<i32>().ok())
        else {
            continue;
        };
        // "pid (name) state parent ...": the name may hold anything, brackets too.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent: Option<i32> = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split(' ').nth(2)?.parse().ok());
        if let Some(parent) = parent {
            parents.push((pid, parent));
        }
    }
    let mut family = vec![ancestor];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(
            parents
                .iter()
                .filter(|(_, p)| *p == parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    family.retain(|pid| *pid != ancestor && wanted(&command_line(*pid).join(" ")));
    family
}

/// The arguments that a process was started with; none where it has ended.
pub(crate) fn command_line(pid: i32) -> Vec<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect()
}

fn resident_kib(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        assert_eq!(
            resident_kib("VmPeak:\t 9 kB\nVmRSS:\t   20480 kB\n"),
            Some(20_480)
        );
        assert_eq!(resident_kib("Name:\tzombie\n"), None);
    }

    #[test]
    fn a_process_speaks_has_children_and_ends_when_asked() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("sh");
        // KILL, since a child that has not become `cat` yet still has the shell's
        // handler: it would take TERM down and forget it.
        command.args([
            "-c",
            "trap 'kill -9 $child; wait; exit 0' TERM; cat /dev/zero >/dev/null & child=$!; echo up; wait",
        ]);
        let process = Process::start(&mut command, &dir.path().join("log")).expect("sh starts");
        process
            .line(|line| (line == "up").then_some(()))
            .expect("its word");
        assert!(process.resident_mib().expect("memory") > 0.0);
        // Whatever it calls itself: the child may not have become `cat` yet.
        let children = descendants(process.pid(), |_| true);
        assert_eq!(children.len(), 1);
        process.stop().expect("it ends");
    }
}
