//! The browser's process: started with the pipe on its descriptors 3 and 4,
//! watched, killed as a group, always reaped.

use crate::LaunchError;
use crate::browser::Exit;
use crate::connection::{Connection, Phase};
use crate::options::LaunchOptions;
use crate::{procfs, reap};
use command_fds::{CommandFdExt, FdMapping};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, process};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStderr};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How much of stderr is kept.
const STDERR_TAIL: usize = 16 << 10;

/// How large the pipe from the browser is made where the system allows it:
/// large answers then need fewer wake-ups on both sides.
const PIPE_BYTES: usize = 1 << 20;

/// How long a browser may live after its pipe has ended unasked. It ends by
/// itself in about 125 ms, writing its profile; then it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// How long the reader may take to read what a dead browser had still written.
const DRAIN: Duration = Duration::from_millis(100);

/// How long the helpers of a browser that ended in order may take to end
/// by themselves: one of them writes the pages' storage.
const HELPERS_GRACE: Duration = Duration::from_secs(1);

/// How long the system may take to end the helpers once they are killed.
const HELPERS_KILLED: Duration = Duration::from_secs(5);

/// Our ends of a started browser.
pub(crate) struct Started {
    pub(crate) process: Arc<Process>,
    pub(crate) child: Child,
    pub(crate) to: pipe::Sender,
    pub(crate) from: pipe::Receiver,
}

/// A browser's process as all handles see it.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    user_data_dir: PathBuf,
    /// Whether the process was reaped: from then on its number may be another's.
    reaped: Mutex<bool>,
    /// When it is killed at the latest.
    kill_at: watch::Sender<Option<Instant>>,
    exit: watch::Sender<Option<Exit>>,
    /// The last of it.
    stderr: watch::Sender<Vec<u8>>,
}

/// Starts the browser. Nothing of it is left where this fails.
pub(crate) fn start(
    options: &LaunchOptions,
    args: &[String],
    user_data_dir: &Path,
) -> Result<Started, LaunchError> {
    let failed = |error: io::Error| options.binary.spawn_error(&error);
    // All four ends are closed on exec; the child gets its two under the
    // numbers 3 and 4. Were one of the child's ends left open anywhere else,
    // the end of the pipe would never be seen.
    let (child_reads, to) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
    let (from, child_writes) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
    if let Err(error) = fcntl_setpipe_size(&from, PIPE_BYTES) {
        tracing::debug!(%error, "the browser's pipe keeps its usual size");
    }
    let child = spawn(options, args, child_reads, child_writes).map_err(failed)?;
    let pid = child.id().unwrap_or_default();
    if let Err(error) = reap::record(user_data_dir, pid) {
        tracing::warn!(%error, pid, "the browser's process is not recorded in its profile");
    }
    Ok(Started {
        process: Arc::new(Process {
            pid,
            user_data_dir: user_data_dir.to_owned(),
            reaped: Mutex::new(false),
            kill_at: watch::Sender::new(None),
            exit: watch::Sender::new(None),
            stderr: watch::Sender::default(),
        }),
        child,
        to: pipe::Sender::from_owned_fd(to).map_err(failed)?,
        from: pipe::Receiver::from_owned_fd(from).map_err(failed)?,
    })
}

fn spawn(
    options: &LaunchOptions,
    args: &[String],
    reads: OwnedFd,
    writes: OwnedFd,
) -> io::Result<Child> {
    let mut command = process::Command::new(options.binary.path());
    command
        .args(args)
        .envs(options.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // Never closed: without it a crash of a page is told 5 s late.
        .stderr(Stdio::piped());
    own_session(&mut command);
    command
        .fd_mappings(vec![
            FdMapping {
                parent_fd: reads,
                child_fd: 3,
            },
            FdMapping {
                parent_fd: writes,
                child_fd: 4,
            },
        ])
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // `command` owns the child's ends; it is dropped here, and they with it.
    tokio::process::Command::from(command)
        .kill_on_drop(true)
        .spawn()
}

/// A session of its own, and with it a process group: what a terminal says
/// (Ctrl-C, its end) reaches us alone, so that the browser is closed in order; the
/// group can be killed whole; and where the system shares the processor out by
/// sessions (Linux's autogroup), the browser has its own share beside us, who must not be
/// starved by its threads, nor it by whatever else was started where we were.
fn own_session(command: &mut process::Command) {
    let begin = || {
        rustix::process::setsid()?;
        Ok(())
    };
    // SAFETY: all that it does between fork and exec is one system call.
    #[expect(unsafe_code, reason = "what runs between fork and exec")]
    unsafe {
        command.pre_exec(begin);
    }
}

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn exit(&self) -> watch::Receiver<Option<Exit>> {
        self.exit.subscribe()
    }

    pub(crate) fn stderr_tail(&self) -> String {
        let tail = self.stderr.borrow();
        String::from_utf8_lossy(&tail).trim_end().to_owned()
    }

    /// Waits for a line of stderr's tail. Where none is wanted, it never ends.
    pub(crate) async fn said(&self, wanted: impl Fn(&str) -> bool) {
        let mut stderr = self.stderr.subscribe();
        let has = |tail: &Vec<u8>| String::from_utf8_lossy(tail).lines().any(&wanted);
        // It fails only where the sender is gone, which is ours.
        let _ = stderr.wait_for(has).await;
    }

    /// Kills the whole group now. Does nothing once the leader was reaped,
    /// since the number may then be another's.
    pub(crate) fn kill(&self) {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*reaped && let Some(pid) = Pid::from_raw(self.pid as i32) {
            // It fails only where the whole group is gone already.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    /// Sees to it that it is killed by then; an earlier time stands.
    pub(crate) fn kill_at(&self, at: Instant) {
        self.kill_at.send_if_modified(|now| {
            let earlier = now.is_none_or(|now| at < now);
            if earlier {
                *now = Some(at);
            }
            earlier
        });
    }

    /// Reads what waits in stderr: keeps the last of it and passes it on to
    /// the log line by line, at most 64 KiB at a time. Gives whether there may be more.
    fn read_stderr(&self, stderr: &pipe::Receiver) -> bool {
        let mut chunk = [0; 4096];
        for _ in 0..16 {
            let read = match stderr.try_read(&mut chunk) {
                Ok(0) => return false,
                Ok(read) => &chunk[..read],
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            };
            for line in String::from_utf8_lossy(read).lines() {
                tracing::debug!(target: "chromium", pid = self.pid, "{line}");
            }
            self.stderr.send_modify(|tail| {
                tail.extend_from_slice(read);
                let excess = tail.len().saturating_sub(STDERR_TAIL);
                tail.drain(..excess);
            });
        }
        true
    }

    /// Waits until the helpers have ended, so that nobody holds the
    /// profile's databases when the next browser opens them: Chromium begins
    /// an empty database where it finds one locked.
    async fn end_helpers(&self, helpers: JoinHandle<Vec<OwnedFd>>) {
        let helpers = helpers.await.unwrap_or_default();
        let mut all_ended = std::pin::pin!(procfs::all_ended(helpers));
        if ended_in_order(self.pid)
            && tokio::time::timeout(HELPERS_GRACE, &mut all_ended)
                .await
                .is_ok()
        {
            return;
        }
        self.kill();
        if tokio::time::timeout(HELPERS_KILLED, all_ended)
            .await
            .is_err()
        {
            tracing::warn!(pid = self.pid, "helpers of the browser do not end");
        }
    }

    /// Reaps the dead leader, after the last of its group was killed.
    fn reap(&self, child: &mut Child) -> io::Result<Option<ExitStatus>> {
        self.kill();
        let mut reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        let status = child.try_wait()?;
        *reaped = status.is_some();
        Ok(status)
    }
}

/// Watches a browser until it is reaped. The end of its pipe and the end of
/// its process are one event: whichever comes first brings the other about.
pub(crate) async fn watch_loop(
    process: Arc<Process>,
    connection: Arc<Connection>,
    mut child: Child,
) {
    let mut stderr = child.stderr.take().and_then(open_stderr);
    let mut ending = std::pin::pin!(end(&process, &connection, &mut child));
    let status = loop {
        let Some(open) = &stderr else {
            break ending.await;
        };
        tokio::select! {
            biased;
            status = &mut ending => break status,
            readable = open.readable() => {
                if readable.is_err() || !process.read_stderr(open) {
                    stderr = None;
                }
            }
        }
    };
    // What the dead had still written is there by now. The end of stderr is not waited
    // for: Chromium's crash reporter holds it open for some 100 ms more.
    if let Some(open) = &stderr {
        process.read_stderr(open);
    }
    if let Err(error) = reap::forget(&process.user_data_dir, process.pid) {
        tracing::debug!(%error, "the record of the browser's process stays in its profile");
    }
    let exit = Exit {
        code: status.and_then(|status| status.code()),
        signal: status.and_then(|status| status.signal()),
        stderr_tail: process.stderr_tail().into(),
    };
    tracing::debug!(pid = process.pid, code = ?exit.code, signal = ?exit.signal, "the browser ended");
    process.exit.send_replace(Some(exit));
}

/// Waits for the end of the process, kills it when its time is up, reaps it.
async fn end(process: &Process, connection: &Connection, child: &mut Child) -> Option<ExitStatus> {
    let mut kill_at = process.kill_at.subscribe();
    let mut gone = std::pin::pin!(connection.reached(Phase::Gone));
    let mut pipe_ended = false;
    let mut helpers = None;
    let exited = exited(process.pid);
    let mut exited = std::pin::pin!(exited);
    loop {
        let due = *kill_at.borrow_and_update();
        let time_is_up = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = &mut exited => break,
            () = &mut gone, if !pipe_ended => {
                pipe_ended = true;
                process.kill_at(Instant::now() + GRACE);
                // While the system takes the browser apart.
                helpers = Some(find_helpers(process.pid));
            }
            () = time_is_up => {
                tracing::warn!(pid = process.pid, "the browser did not end in time and is killed");
                process.kill();
                // Nothing more can be done but wait for the system.
                exited.await;
                break;
            }
            _ = kill_at.changed() => {}
        }
    }
    if !pipe_ended {
        // What it wrote before it died may hold answers; the reader gets to the end first.
        let _ = tokio::time::timeout(DRAIN, gone).await;
        connection.die();
    }
    process
        .end_helpers(helpers.unwrap_or_else(|| find_helpers(process.pid)))
        .await;
    match process.reap(child) {
        Ok(Some(status)) => Some(status),
        // The handle was not to be had, or told too early: ask the plain way.
        Ok(None) => {
            let status = child.wait().await.ok();
            *process
                .reaped
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = true;
            status
        }
        Err(error) => {
            tracing::warn!(%error, pid = process.pid, "the browser's end cannot be read");
            None
        }
    }
}

/// Handles on a browser's helper processes. Only before the leader is reaped:
/// until then the group's number is its own. Reading all of `/proc` takes
/// milliseconds, for which the news of the end must not wait.
fn find_helpers(leader: u32) -> JoinHandle<Vec<OwnedFd>> {
    tokio::task::spawn_blocking(move || {
        procfs::group_of(leader)
            .and_then(|pids| procfs::open_all(&pids))
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "the browser's helpers are not waited for");
                Vec::new()
            })
    })
}

/// How often a process is asked about where no handle tells of its end.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Whether a process that is not yet reaped ended by itself, not by a signal.
fn ended_in_order(pid: u32) -> bool {
    let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    Pid::from_raw(pid as i32)
        .and_then(|pid| waitid(WaitId::Pid(pid), how).ok().flatten())
        .is_some_and(|status| status.exited())
}

/// Waits until the process has ended, without reaping it: until then its
/// number cannot become another's, and its group can be killed by it.
async fn exited(pid: u32) {
    exited_by(procfs::open(pid), pid).await;
}

/// The same by a handle, where one is to be had: there may be no more
/// descriptors, or none for processes at all.
async fn exited_by(handle: io::Result<Option<OwnedFd>>, pid: u32) {
    let ended = match handle {
        Ok(Some(handle)) => procfs::ended(handle).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        tracing::warn!(%error, pid, "no handle on the browser's process; it is asked about");
        while still_runs(pid) {
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
}

/// Whether a process that is not yet reaped has not ended.
fn still_runs(pid: u32) -> bool {
    let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    // An error says that there is no such child (any more).
    Pid::from_raw(pid as i32)
        .is_some_and(|pid| matches!(waitid(WaitId::Pid(pid), how), Ok(None) | Err(Errno::INTR)))
}

fn open_stderr(stderr: ChildStderr) -> Option<pipe::Receiver> {
    let opened = stderr
        .into_owned_fd()
        .and_then(pipe::Receiver::from_owned_fd);
    opened
        .inspect_err(|error| tracing::warn!(%error, "the browser's stderr cannot be read"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_end_is_known_where_there_is_no_handle_to_be_had() {
        let mut child = tokio::process::Command::new("sleep")
            .arg("60")
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let pid = child.id().unwrap();
        let none = || Err(io::Error::from(Errno::MFILE));
        let soon = Duration::from_millis(300);
        assert!(
            tokio::time::timeout(soon, exited_by(none(), pid))
                .await
                .is_err()
        );
        child.start_kill().unwrap();
        let late = Duration::from_secs(30);
        tokio::time::timeout(late, exited_by(none(), pid))
            .await
            .unwrap();
        // It was not reaped by that.
        assert_eq!(child.wait().await.unwrap().signal(), Some(9));
    }
}
