//! Faults let loose on a running session, as fate would: for tests, for the
//! recovery test and for chaos. Each is done *to* the page or browser from
//! outside, and noticed by the engine like any other.

use crate::connector::BrowserConnector;
use crate::{Error, procmem};
use serde_json::Value;
use std::time::Duration;
use steadfast_cdp::Error as CdpError;

/// How long a fault may take to be let loose. The page may die over it.
const DEADLINE: Duration = Duration::from_secs(5);

/// What is to be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Injected {
    /// The page is closed.
    ClosePage,
    /// The page's renderer process crashes.
    CrashPage,
    /// The page's renderer processes are killed by the system.
    KillRenderer,
    /// The browser is killed by the system.
    KillBrowser,
    /// The browser is stopped (SIGSTOP) and answers nothing.
    StopBrowser,
    /// The page goes to another address.
    NavigateAway,
    /// The page loads itself anew.
    ReloadPage,
    /// The page's main thread runs for ever.
    HangPage,
}

impl Injected {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::ClosePage,
        Self::CrashPage,
        Self::KillRenderer,
        Self::KillBrowser,
        Self::StopBrowser,
        Self::NavigateAway,
        Self::ReloadPage,
        Self::HangPage,
    ];
}

impl BrowserConnector {
    /// Breaks something. Returns once it is broken; what follows is told as events.
    ///
    /// # Errors
    /// [`Error::Over`] where no page is open; [`Error::Cdp`] where the fault could not be let loose.
    pub async fn inject(&self, fault: Injected) -> Result<(), Error> {
        let (browser, page) = self
            .running()
            .await
            .ok_or(Error::Over { in_flight: false })?;
        match fault {
            Injected::ClosePage => expected(page.close(DEADLINE).await),
            Injected::CrashPage => expected(page.crash(DEADLINE).await),
            Injected::KillRenderer => {
                let pids = procmem::descendants_with(browser.pid(), "--type=renderer");
                if pids.is_empty() {
                    return Err(Error::Over { in_flight: false });
                }
                for pid in pids {
                    signal(pid, rustix::process::Signal::KILL)?;
                }
                Ok(())
            }
            Injected::KillBrowser => signal(browser.pid(), rustix::process::Signal::KILL),
            Injected::StopBrowser => signal(browser.pid(), rustix::process::Signal::STOP),
            Injected::NavigateAway => expected(page.navigate("about:blank", DEADLINE).await),
            // Not `reload`: the page does this by itself.
            Injected::ReloadPage => run(&page, "setTimeout(() => location.reload(), 0), 0").await,
            Injected::HangPage => run(&page, "setTimeout(() => { for (;;); }, 0), 0").await,
        }
    }
}

async fn run(page: &steadfast_cdp::Page, script: &str) -> Result<(), Error> {
    let answer: Result<Value, CdpError> = page.evaluate(script, DEADLINE).await;
    expected(answer.map(|_| ()))
}

/// That the page dies over it is the purpose.
fn expected(result: Result<(), CdpError>) -> Result<(), Error> {
    match result {
        Ok(())
        | Err(
            CdpError::PageGone { .. }
            | CdpError::PageCrashed { .. }
            | CdpError::BrowserGone { .. }
            | CdpError::ContextLost { .. },
        ) => Ok(()),
        Err(error) => Err(Error::Cdp(error)),
    }
}

fn signal(pid: u32, signal: rustix::process::Signal) -> Result<(), Error> {
    let gone = Error::Over { in_flight: false };
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    // A process that ended by itself meanwhile is broken enough.
    match rustix::process::kill_process(pid.ok_or(gone)?, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(errno) => Err(Error::Option {
            option: "fault",
            detail: format!("cannot signal process: {errno}"),
        }),
    }
}
