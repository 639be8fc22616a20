//! What the scenarios share.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open, waitid,
};
use std::path::Path;
use std::time::Duration;
use steadfast_cdp::{Binary, Browser, Flavor, LaunchOptions, Page, PageEvent, PageEvents};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

/// Long enough for a machine that is busy with other things. No test waits
/// for it unless it fails.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// A promise that is never kept: a call that waits for ever.
pub(crate) const FOREVER: &str = "new Promise(() => {})";

pub(crate) fn options(profile: &Path) -> LaunchOptions {
    let binary = Binary::find(Flavor::NewHeadless).unwrap();
    let mut options = LaunchOptions::new(binary, profile);
    // Root has no sandbox; everybody else tests with it.
    options.no_sandbox = rustix::process::geteuid().is_root();
    options.start_deadline = LONG;
    options
}

/// A browser on a profile of its own. Both end with it.
pub(crate) struct Scene {
    pub(crate) browser: Browser,
    pub(crate) page: Page,
    pub(crate) profile: TempDir,
}

pub(crate) async fn scene() -> Scene {
    let profile = tempfile::tempdir().unwrap();
    let browser = Browser::launch(&options(profile.path())).await.unwrap();
    let page = browser.first_page(LONG).await.unwrap();
    Scene {
        browser,
        page,
        profile,
    }
}

impl Scene {
    pub(crate) async fn close(self) {
        let exit = self.browser.close(LONG).await;
        assert_eq!(exit.code, Some(0), "{exit:?}");
        all_gone(processes_of(self.profile.path())).await;
    }
}

/// The next event for which `wanted` gives something; others are passed over.
pub(crate) async fn wait_for<T>(
    events: &mut PageEvents,
    mut wanted: impl FnMut(&PageEvent) -> Option<T>,
) -> T {
    let found = async {
        loop {
            let event = events.recv().await.expect("the events ended");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    };
    tokio::time::timeout(LONG, found)
        .await
        .expect("the event did not come")
}

pub(crate) async fn wait_for_event(events: &mut PageEvents, wanted: &PageEvent) {
    wait_for(events, |event| (event == wanted).then_some(())).await;
}

/// Calls that wait in the page when something happens to it. Gives them
/// once the page has surely begun the last of them.
pub(crate) async fn pending_calls(
    page: &Page,
    expression: &'static str,
    count: usize,
) -> JoinSet<Result<serde_json::Value, steadfast_cdp::Error>> {
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let page = page.clone();
        calls.spawn(async move { page.evaluate(expression, LONG).await });
    }
    // Spawned tasks run in order; a call of ours is answered after theirs have begun.
    tokio::task::yield_now().await;
    page.evaluate("1", LONG).await.unwrap();
    calls
}

/// The live processes that were started on a profile.
pub(crate) fn processes_of(profile: &Path) -> Vec<u32> {
    let wanted = format!("--user-data-dir={}", profile.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        if line.split(['\0', ' ']).any(|arg| arg == wanted) {
            found.push(pid);
        }
    }
    found
}

/// The processes of a profile without the crash reporter, which is a session
/// of its own, holds nothing, and ends a moment later.
pub(crate) fn helpers_of(profile: &Path) -> Vec<u32> {
    processes_of(profile)
        .into_iter()
        .filter(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| !name.starts_with("chrome_crashpad"))
        })
        .collect()
}

/// The processes of a profile that are renderers of pages.
pub(crate) fn renderers_of(profile: &Path) -> Vec<u32> {
    processes_of(profile)
        .into_iter()
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains("--type=renderer"))
        })
        .collect()
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Stops a browser of ours, and returns once all its threads stand still.
pub(crate) fn stop(browser: &Browser) {
    signal(browser.pid(), Signal::STOP);
    let pid = Pid::from_raw(browser.pid().try_into().unwrap()).unwrap();
    let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(pid), stopped).unwrap();
}

/// Waits, by the system's own event, until none of the processes is left.
pub(crate) async fn all_gone(pids: Vec<u32>) {
    let wait = move || {
        for pid in pids {
            let raw = Pid::from_raw(pid.try_into().unwrap()).unwrap();
            let Ok(handle) = pidfd_open(raw, PidfdFlags::empty()) else {
                continue;
            };
            let mut polled = [PollFd::new(&handle, PollFlags::IN)];
            let timeout = Timespec {
                tv_sec: 60,
                tv_nsec: 0,
            };
            assert_eq!(poll(&mut polled, Some(&timeout)).unwrap(), 1, "{pid} lives");
        }
    };
    tokio::task::spawn_blocking(wait).await.unwrap();
}

/// A web server on the loopback that answers every request with `html`.
pub(crate) struct Site {
    pub(crate) url: String,
    _task: JoinSet<()>,
}

pub(crate) async fn site(html: &'static str) -> Site {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut open = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            open.spawn(async move {
                let mut request = [0; 4096];
                if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
                         Connection: close\r\n\r\n{html}",
                        html.len()
                    );
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    Site { url, _task: task }
}
