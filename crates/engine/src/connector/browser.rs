//! The browser of a session: the way cleared, the profile made ready, the process started.

use super::page::OpenPage;
use super::way::ProfileStep;
use super::{BrowserConnector, Fault, State, blocking, launching, navigating, no_page};
use crate::Error;
use crate::options::proxy_args;
use crate::profile::Profile;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant};
use steadfast_cdp::reap::{ProfileLock, Reaped, clear_stale_lock, reap_orphan};
use steadfast_cdp::storage::{self, Databases};
use steadfast_cdp::{Binary, Browser, LaunchOptions, Page, Version};
use steadfast_core::failure::Operation;
use steadfast_core::ids::Epoch;
use tracing::{debug, info, warn};

/// An orphan that does not die in this time is not killable.
const REAP: Duration = Duration::from_secs(5);
/// How long a browser may take to name its version: it answers within 1 ms
/// on an idle machine, whatever its pages do.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// How long it takes at most, as a rule, to end a script: 0.5 to 5 ms (measured).
const SCRIPT_ENDS: Duration = Duration::from_millis(20);
/// With less than this, in bytes, a disk is as good as full.
const ROOM_TO_START: u64 = 8 * 1024 * 1024;
/// A timer of ours that is later than this says that the machine is too busy
/// to judge anybody by it.
const LATE: Duration = Duration::from_millis(100);
/// How often a sign of life is asked for again where our own timer was late.
/// After that the step itself, with its longer deadline, is the judge.
const SIGN_TRIES: u32 = 3;

/// Ends a browser that gives no sign of life.
async fn kill_silent(state: &mut State) -> Fault {
    state.page = None;
    if let Some(browser) = state.browser.take() {
        browser.kill();
        // Reaped before another starts on its profile; the kill bounds it.
        let _ = tokio::time::timeout(REAP, browser.exited()).await;
    }
    let after_ms = u64::try_from(SIGN_OF_LIFE.as_millis()).unwrap_or(u64::MAX);
    (Operation::Probe, Error::BrowserSilent { after_ms })
}

impl BrowserConnector {
    pub(super) async fn start(
        &self,
        state: &mut State,
        profile_step: ProfileStep,
    ) -> Result<(), Fault> {
        state.page = None;
        let mut clean = false;
        if let Some(browser) = state.browser.take() {
            let deadline = match profile_step {
                // What is not on disk when it ends is lost, and this step is there to keep it.
                ProfileStep::KeepCopy => self.session.deadlines.server,
                ProfileStep::Keep | ProfileStep::Restore | ProfileStep::Fresh => {
                    self.session.deadlines.replace
                }
            };
            clean = browser.close(deadline).await.code == Some(0);
        }
        let profile_step = match profile_step {
            ProfileStep::KeepCopy if !clean => ProfileStep::Keep,
            step => step,
        };
        let root = self.options.profile_dir.clone();
        let open = state.profile.take();
        let profile = blocking(move || open.map_or_else(|| Profile::open(&root), Ok))
            .await
            .map_err(launching)?;
        let dir = {
            let root = self.options.profile_dir.clone();
            let (profile, prepared) = blocking(move || {
                let mut profile = profile;
                let prepared =
                    has_room(&root).and_then(|()| prepare_profile(&mut profile, profile_step));
                Ok((profile, prepared))
            })
            .await
            .map_err(launching)?;
            let dir = profile.browser_dir();
            let (linked_at, confirmed) = profile.login().inbox_marks();
            self.session.memory.resume(linked_at, confirmed);
            // Kept before anything can fail: the lock goes with it.
            state.profile = Some(profile);
            prepared.map_err(launching)?;
            dir
        };
        clear_the_way(&dir).await.map_err(launching)?;
        let browser = self.launch(state, dir).await.map_err(launching)?;
        let page = browser
            .first_page(self.session.deadlines.start)
            .await
            .map_err(|error| launching(Error::Cdp(error)))?;
        state.browser = Some(browser);
        state.page = Some(OpenPage::new(page));
        Ok(())
    }

    /// Asks the browser itself for a sign of life before its page is worked
    /// on. One that was stopped, or hangs, answers nothing, and no step within
    /// it can help: it is killed.
    pub(super) async fn prove_alive(&self, state: &mut State) -> Result<(), Fault> {
        match &state.browser {
            Some(browser) if is_silent(browser).await => Err(kill_silent(state).await),
            Some(_) | None => Ok(()),
        }
    }

    /// Ends whatever script runs in the page. Where that takes long, the browser is
    /// asked for a sign of life. The page is furnished for `epoch` in the same
    /// breath, which needs no script to run in it.
    pub(super) async fn free_page(&self, state: &mut State, epoch: Epoch) -> Result<(), Fault> {
        let browser = state.browser.clone().ok_or_else(no_page)?;
        let open = state.page.as_mut().ok_or_else(no_page)?;
        let page = open.page.clone();
        let furnish = async {
            match self.furnish(open, epoch).await {
                Err(steadfast_cdp::Error::Timeout { .. }) if is_silent(&browser).await => {
                    Err(NotFreed::Silent)
                }
                furnished => furnished.map_err(|error| NotFreed::Failed(navigating(error))),
            }
        };
        let free = end_script(&browser, &page, self.session.deadlines.call);
        match tokio::try_join!(free, furnish) {
            Ok(((), ())) => Ok(()),
            Err(NotFreed::Failed(fault)) => Err(fault),
            Err(NotFreed::Silent) => Err(kill_silent(state).await),
        }
    }

    async fn launch(&self, state: &mut State, dir: PathBuf) -> Result<Browser, Error> {
        let binary = if let Some(binary) = &state.binary {
            binary.clone()
        } else {
            let found = match &self.options.browser_path {
                Some(path) => Binary::at(path),
                None => Binary::find(self.options.flavor),
            };
            let binary = found.map_err(steadfast_cdp::Error::Launch)?;
            info!(browser = %binary.path().display(), "the browser for this session");
            state.binary.insert(binary).clone()
        };
        let root = rustix::process::geteuid().is_root();
        let no_sandbox = self.options.no_sandbox.unwrap_or(root);
        if no_sandbox && self.options.no_sandbox.is_none() {
            warn!("running as root: Chromium's sandbox is off; run as another user to have it");
        }
        let mut extra_args = self.browser_args.clone();
        if let Some(proxy) = self.options.proxy.get() {
            proxy_args(&proxy, &mut extra_args);
        }
        let options = LaunchOptions {
            flavor: self.options.flavor,
            extra_args,
            user_agent: self.options.user_agent.clone(),
            no_sandbox,
            start_deadline: self.session.deadlines.start,
            ..LaunchOptions::new(binary, dir)
        };
        let launched = Browser::launch(&options).await;
        if launched.is_err() {
            // The file may have been replaced or removed meanwhile: look again next time.
            state.binary = None;
        }
        Ok(launched?)
    }
}

/// Why a page is not free to be worked on.
enum NotFreed {
    /// The browser gives no sign of life.
    Silent,
    Failed(Fault),
}

/// Ends whatever script runs in the page, unless the browser is silent.
async fn end_script(browser: &Browser, page: &Page, deadline: Duration) -> Result<(), NotFreed> {
    let failed = |error| NotFreed::Failed(navigating(error));
    let mut ended = pin!(page.terminate_script(deadline));
    // Its own answer is a sign of life, and comes before one that is asked for.
    if let Ok(ended) = tokio::time::timeout(SCRIPT_ENDS, &mut ended).await {
        return ended.map_err(failed);
    }
    let mut silent = pin!(is_silent(browser));
    let ended = tokio::select! {
        silent = &mut silent => {
            if silent {
                return Err(NotFreed::Silent);
            }
            return ended.await.map_err(failed);
        }
        ended = &mut ended => ended,
    };
    match ended {
        Err(_) if silent.await => Err(NotFreed::Silent),
        ended => ended.map_err(failed),
    }
}

/// Whether a browser answers nothing at all, by timers of ours that were in time.
async fn is_silent(browser: &Browser) -> bool {
    for _ in 0..SIGN_TRIES {
        let asked_at = Instant::now();
        let asked: Result<Version, _> = browser
            .call("Browser.getVersion", json!({}), SIGN_OF_LIFE)
            .await;
        match asked {
            Err(steadfast_cdp::Error::Timeout { .. }) => {}
            // Whatever else is wrong shows in the step itself.
            Ok(_) | Err(_) => return false,
        }
        let took = asked_at.elapsed();
        if took <= SIGN_OF_LIFE + LATE {
            return true;
        }
        debug!(?took, "a sign of life was asked for by a late timer; void");
    }
    false
}

/// Whether a browser can be started on this disk. One that runs out of room while it
/// writes damages its databases, and a page without storage waits for ever.
pub(super) fn has_room(profile: &Path) -> Result<(), Error> {
    // Some file systems do not count (`f_blocks` is 0 there): what is wrong with such a
    // disk shows in the steps that follow.
    let told = rustix::fs::statvfs(profile).ok();
    let counted = told.filter(|disk| disk.f_blocks > 0);
    let free = counted.map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    if free >= ROOM_TO_START {
        return Ok(());
    }
    Err(Error::NoRoom {
        path: profile.to_owned(),
        free_kib: free / 1024,
        need_kib: ROOM_TO_START / 1024,
    })
}

fn prepare_profile(profile: &mut Profile, step: ProfileStep) -> Result<(), Error> {
    match step {
        ProfileStep::Keep => Ok(()),
        ProfileStep::KeepCopy => {
            // The session itself needs none; the one before, if any, is as it was.
            if let Err(error) = profile.keep_copy() {
                warn!(%error, "no good copy of the profile could be kept");
            }
            Ok(())
        }
        ProfileStep::Restore => {
            if !profile.restore()? {
                info!("there is no good copy of the profile; going on with the one in use");
            }
            Ok(())
        }
        ProfileStep::Fresh => profile.begin_fresh(),
    }
}

/// Ends what an earlier process of ours left on the profile. Under the profile's lock.
async fn clear_the_way(dir: &Path) -> Result<(), Error> {
    let unusable = |error: std::io::Error| Error::Profile {
        path: dir.to_owned(),
        detail: error.to_string(),
    };
    match reap_orphan(dir, REAP).await.map_err(unusable)? {
        Reaped::Nothing => {}
        Reaped::Killed { pid, processes } => {
            warn!(
                pid,
                processes, "ended a browser that an earlier run had left on this profile"
            );
        }
    }
    let held = |pid| Error::ProfileHeld {
        path: dir.to_owned(),
        pid,
    };
    // Before the databases: those of a live browser are not waited for.
    match clear_stale_lock(dir).map_err(unusable)? {
        ProfileLock::Free => {}
        ProfileLock::Cleared { host, pid } => info!(
            host,
            pid, "removed the lock that a dead browser had left on this profile"
        ),
        ProfileLock::Held { pid } => return Err(held(pid)),
    }
    match storage::released(dir, REAP).await.map_err(unusable)? {
        Databases::Free { waited: 0 } => {}
        Databases::Free { waited } => debug!(
            waited,
            "waited for processes of a dead browser that held its databases"
        ),
        Databases::Held { pid } => return Err(held(pid)),
    }
    let profile = dir.to_owned();
    match blocking(move || Ok(storage::mend(&profile))).await? {
        Ok(0) => {}
        Ok(transactions) => info!(
            transactions,
            "mended a database that a dead browser had left in the middle of writing"
        ),
        // Then Chromium finds what it finds, and the good copy is there.
        Err(error) => warn!(%error, "the databases could not be looked through"),
    }
    Ok(())
}
