//! Owns one session's profile, browser and page, and opens epochs on them.

use crate::Error;
use crate::conclude::conclude;
use crate::engine::{BrowserMemory, PageEngine};
use crate::inbox;
use crate::link::{Link, Session};
use crate::memory::Memory;
use crate::options::{EngineOptions, Site};
use crate::profile::Profile;
use crate::script::{BINDING, Library, own_script};
use crate::watch::{self, Loading};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use steadfast_cdp::reap::{ProfileLock, Reaped, clear_stale_lock, reap_orphan};
use steadfast_cdp::storage;
use steadfast_cdp::{Binary, Browser, LaunchOptions, Page, PageState, Version};
use steadfast_core::failure::{Failure, Operation};
use steadfast_core::ids::Epoch;
use steadfast_core::port::{Close, Connector, Engine, EventSink, OpenStep};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

/// An orphan that does not die in this time is not killable.
const REAP: Duration = Duration::from_secs(5);
/// How long a browser may take to name its version: it answers within 1 ms
/// on an idle machine, whatever its pages do.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// After SIGKILL the kernel needs a moment to take a browser apart.
const KILLED: Duration = Duration::from_secs(5);
/// How long a stranger's network may take to say that it is there.
const NETWORK_PROBE: Duration = Duration::from_secs(3);

/// Drives one session's WhatsApp Web in a browser of its own.
pub struct BrowserConnector {
    options: EngineOptions,
    browser_args: Vec<String>,
    session: Arc<Session>,
    library: Library,
    browser_memory: Arc<BrowserMemory>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    profile: Option<Profile>,
    binary: Option<Binary>,
    browser: Option<Browser>,
    page: Option<OpenPage>,
    epoch: Option<OpenEpoch>,
}

/// A page with what has been installed in it.
struct OpenPage {
    page: Page,
    /// The binding and wa-js stay for the page's life.
    furnished: bool,
    /// Our own script and the epoch that it names.
    script: Option<(Epoch, String)>,
}

struct OpenEpoch {
    link: Arc<Link>,
    /// Aborted when dropped.
    _tasks: JoinSet<()>,
}

/// What was being done when it failed.
type Fault = (Operation, Error);

fn launching(error: impl Into<Error>) -> Fault {
    (Operation::Launch, error.into())
}

fn navigating(error: impl Into<Error>) -> Fault {
    (Operation::Navigate, error.into())
}

impl BrowserConnector {
    /// Checks the options and reads the in-page library. Starts nothing, and touches no profile.
    ///
    /// # Errors
    /// [`Error::Option`] and [`Error::Library`], which name what is wrong.
    pub fn new(options: EngineOptions) -> Result<Self, Error> {
        let site = Site::parse(&options.web_url)?;
        let browser_args = options.browser_args(&site)?;
        let library = Library::load(options.library.as_deref(), &site.origin)?;
        let session = Arc::new(Session {
            site,
            deadlines: options.deadlines.clone(),
            memory: Memory::default(),
        });
        Ok(Self {
            options,
            browser_args,
            session,
            library,
            browser_memory: Arc::new(BrowserMemory::default()),
            state: Mutex::new(State::default()),
        })
    }

    /// The browser's process id, where one runs.
    pub async fn browser_pid(&self) -> Option<u32> {
        let state = self.state.lock().await;
        let browser = state.browser.as_ref()?;
        (!browser.is_gone()).then(|| browser.pid())
    }

    /// What runs now, for those who break it.
    pub(crate) async fn running(&self) -> Option<(Browser, Page)> {
        let state = self.state.lock().await;
        Some((state.browser.clone()?, state.page.as_ref()?.page.clone()))
    }

    async fn open_in(
        &self,
        state: &mut State,
        step: OpenStep,
        epoch: Epoch,
        sink: Arc<dyn EventSink>,
    ) -> Result<Arc<Link>, Fault> {
        let way = Way::choose(step, state.browser_state());
        debug!(epoch = epoch.0, ?step, ?way, "opening");
        if !matches!(way, Way::Start(_)) {
            self.prove_alive(state).await?;
        }
        match way {
            Way::Adopt { terminate } => {
                match self.adopt(state, epoch, &sink, terminate).await {
                    Ok(link) => return Ok(link),
                    // A page that nobody has asked to be freed may simply be loaded anew.
                    Err((_, error)) if step == OpenStep::Launch => {
                        debug!(epoch = epoch.0, %error, "the running page cannot be used as it is");
                    }
                    Err(fault) => return Err(fault),
                }
            }
            Way::Load => {
                let open = state.page.as_ref().ok_or_else(no_page)?;
                // Neither reload nor navigation gets past a script that never ends.
                let deadline = self.session.deadlines.call;
                open.page
                    .terminate_script(deadline)
                    .await
                    .map_err(navigating)?;
            }
            Way::NewPage => self.replace_page(state, epoch).await?,
            Way::Start(profile) => self.start(state, profile).await?,
        }
        self.load(state, epoch, sink).await
    }

    // ------------------------------------------------------------ browser

    async fn start(&self, state: &mut State, profile_step: ProfileStep) -> Result<(), Fault> {
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
            let (profile, prepared) = blocking(move || {
                let mut profile = profile;
                let prepared = prepare_profile(&mut profile, profile_step);
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
    async fn prove_alive(&self, state: &mut State) -> Result<(), Fault> {
        let Some(browser) = state.browser.clone() else {
            return Ok(());
        };
        let asked: Result<Version, _> = browser
            .call("Browser.getVersion", json!({}), SIGN_OF_LIFE)
            .await;
        match asked {
            Err(steadfast_cdp::Error::Timeout { .. }) => {}
            // Whatever else is wrong shows in the step itself.
            Ok(_) | Err(_) => return Ok(()),
        }
        browser.kill();
        state.browser = None;
        state.page = None;
        // Reaped before another starts on its profile; the kill bounds it.
        let _ = tokio::time::timeout(REAP, browser.exited()).await;
        let after_ms = u64::try_from(SIGN_OF_LIFE.as_millis()).unwrap_or(u64::MAX);
        Err((Operation::Probe, Error::BrowserSilent { after_ms }))
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
        let options = LaunchOptions {
            flavor: self.options.flavor,
            extra_args: self.browser_args.clone(),
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

    // ------------------------------------------------------------ page

    /// Takes the page as it is into the next epoch.
    async fn adopt(
        &self,
        state: &mut State,
        epoch: Epoch,
        sink: &Arc<dyn EventSink>,
        terminate: bool,
    ) -> Result<Arc<Link>, Fault> {
        let deadline = self.session.deadlines.call;
        let open = state.page.as_ref().ok_or_else(no_page)?;
        if terminate {
            open.page
                .terminate_script(deadline)
                .await
                .map_err(navigating)?;
        }
        let link = self.link(state, epoch, Arc::clone(sink))?;
        let events = link.page.events();
        let loading = Arc::new(Loading::new(false));
        link.call::<crate::wire::Nothing>("adopt", json!({ "epoch": epoch.0 }), deadline)
            .await
            .map_err(|error| (Operation::Probe, error))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(watch::hear(Arc::clone(&link), events, loading));
        self.serve(state, Arc::clone(&link), tasks);
        Ok(link)
    }

    /// Opens a new page in place of the old one, which is closed first: the
    /// same device in two pages would be a conflict.
    async fn replace_page(&self, state: &mut State, epoch: Epoch) -> Result<(), Fault> {
        let browser = state.browser.clone().ok_or_else(no_page)?;
        let deadline = self.session.deadlines.call;
        let old = state.page.take();
        // The new one first: a browser without pages may end.
        let page = browser
            .new_page("about:blank", deadline)
            .await
            .map_err(navigating)?;
        let open = state.page.insert(OpenPage::new(page.clone()));
        let close_old = async {
            match old {
                Some(old) if old.page.state() != PageState::Detached => {
                    gone_is_closed(old.page.close(deadline).await)
                }
                Some(_) | None => Ok(()),
            }
        };
        tokio::try_join!(
            close_old,
            self.close_strays(&browser, page.target_id()),
            self.furnish(open, epoch),
        )
        .map_err(navigating)?;
        Ok(())
    }

    /// Closes whatever other page shows WhatsApp Web.
    async fn close_strays(
        &self,
        browser: &Browser,
        kept: &str,
    ) -> Result<(), steadfast_cdp::Error> {
        let deadline = self.session.deadlines.call;
        for target in browser.pages(deadline).await? {
            if target.id != kept && self.session.site.owns(&target.url) {
                debug!(url = target.url, "closing another page of WhatsApp Web");
                let closed: Result<Closed, _> = browser
                    .call(
                        "Target.closeTarget",
                        json!({ "targetId": target.id }),
                        deadline,
                    )
                    .await;
                // The old page, which is being closed beside us, may be gone by now.
                if let Err(error @ steadfast_cdp::Error::Timeout { .. }) = closed {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Furnishes the page for this epoch and begins to load WhatsApp Web in it.
    async fn load(
        &self,
        state: &mut State,
        epoch: Epoch,
        sink: Arc<dyn EventSink>,
    ) -> Result<Arc<Link>, Fault> {
        let link = self.link(state, epoch, sink)?;
        let events = link.page.events();
        let open = state.page.as_mut().ok_or_else(no_page)?;
        self.furnish(open, epoch).await.map_err(navigating)?;
        link.begin();
        let loading = Arc::new(Loading::new(true));
        let mut tasks = JoinSet::new();
        tasks.spawn(watch::hear(Arc::clone(&link), events, Arc::clone(&loading)));
        tasks.spawn(watch::load(Arc::clone(&link), loading));
        self.serve(state, Arc::clone(&link), tasks);
        Ok(link)
    }

    async fn furnish(&self, open: &mut OpenPage, epoch: Epoch) -> Result<(), steadfast_cdp::Error> {
        if open.script.as_ref().is_some_and(|(of, _)| *of == epoch) {
            return Ok(());
        }
        let deadline = self.session.deadlines.call;
        let own = own_script(&self.session.site.origin, epoch);
        let page = open.page.clone();
        let old = open.script.take();
        let remove = async {
            match old {
                Some((_, identifier)) => page
                    .call::<Closed>(
                        "Page.removeScriptToEvaluateOnNewDocument",
                        json!({ "identifier": identifier }),
                        deadline,
                    )
                    .await
                    .map(|_| ()),
                None => Ok(()),
            }
        };
        let furniture = async {
            if open.furnished {
                return Ok(());
            }
            tokio::try_join!(
                page.add_binding(BINDING, deadline),
                page.add_script_on_new_document(self.library.source(), deadline),
            )
            .map(|_| ())
        };
        let ((), (), script) = tokio::try_join!(
            remove,
            furniture,
            page.add_script_on_new_document(&own, deadline)
        )?;
        open.furnished = true;
        open.script = Some((epoch, script));
        Ok(())
    }

    // ------------------------------------------------------------ epoch

    fn link(
        &self,
        state: &State,
        epoch: Epoch,
        sink: Arc<dyn EventSink>,
    ) -> Result<Arc<Link>, Fault> {
        let browser = state.browser.clone().ok_or_else(no_page)?;
        let page = state.page.as_ref().ok_or_else(no_page)?.page.clone();
        let login = state.profile.as_ref().ok_or_else(no_page)?.login();
        let session = Arc::clone(&self.session);
        Ok(Arc::new(Link::new(
            epoch, session, browser, page, login, sink,
        )))
    }

    #[expect(clippy::unused_self, reason = "reads as the last of the epoch's steps")]
    fn serve(&self, state: &mut State, link: Arc<Link>, mut tasks: JoinSet<()>) {
        tasks.spawn(watch::bring_up(Arc::clone(&link)));
        tasks.spawn(inbox::serve(Arc::clone(&link)));
        state.epoch = Some(OpenEpoch {
            link,
            _tasks: tasks,
        });
    }
}

impl State {
    fn browser_state(&self) -> BrowserState {
        match (&self.browser, &self.page) {
            (Some(browser), _) if browser.is_gone() => BrowserState::Gone,
            (None, _) => BrowserState::Gone,
            (Some(_), Some(open)) if open.page.state() == PageState::Alive => {
                BrowserState::WithPage
            }
            (Some(_), _) => BrowserState::WithoutPage,
        }
    }

    /// From here on nothing of the epoch before is told, and its calls end.
    fn end_epoch(&mut self) {
        if let Some(epoch) = self.epoch.take() {
            epoch.link.end();
            inbox::mark(&epoch.link);
        }
    }
}

impl OpenPage {
    fn new(page: Page) -> Self {
        Self {
            page,
            furnished: false,
            script: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BrowserState {
    Gone,
    WithoutPage,
    WithPage,
}

/// What is to become of the profile before the browser starts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProfileStep {
    Keep,
    /// Keep it, and a copy of it: the browser has just closed it cleanly.
    KeepCopy,
    Restore,
    Fresh,
}

/// How a step is taken, given what still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Keep the page as it is, freed of its script where that was asked.
    Adopt { terminate: bool },
    /// Load WhatsApp Web anew in the same page.
    Load,
    /// Another page in the same browser. Also for a crashed page: opening a new one takes
    /// 66 ms, reviving the old one 97 (measured).
    NewPage,
    /// Another browser.
    Start(ProfileStep),
}

impl Way {
    fn choose(step: OpenStep, runs: BrowserState) -> Self {
        match (step, runs) {
            (OpenStep::Secure, _) => Self::Start(ProfileStep::KeepCopy),
            (OpenStep::RestoreProfile, _) => Self::Start(ProfileStep::Restore),
            (OpenStep::FreshProfile, _) => Self::Start(ProfileStep::Fresh),
            (OpenStep::RestartBrowser, _)
            | (
                OpenStep::Launch | OpenStep::TerminateScript | OpenStep::Reload | OpenStep::NewPage,
                BrowserState::Gone,
            ) => Self::Start(ProfileStep::Keep),
            (OpenStep::NewPage, BrowserState::WithPage)
            | (
                OpenStep::Launch | OpenStep::TerminateScript | OpenStep::Reload | OpenStep::NewPage,
                BrowserState::WithoutPage,
            ) => Self::NewPage,
            (OpenStep::Launch, BrowserState::WithPage) => Self::Adopt { terminate: false },
            (OpenStep::TerminateScript, BrowserState::WithPage) => Self::Adopt { terminate: true },
            (OpenStep::Reload, BrowserState::WithPage) => Self::Load,
        }
    }
}

/// An answer of the browser that says no more than that it is done.
#[derive(Debug, Deserialize)]
struct Closed {}

/// A page that went by itself meanwhile is as closed as one can be.
fn gone_is_closed(closed: Result<(), steadfast_cdp::Error>) -> Result<(), steadfast_cdp::Error> {
    match closed {
        Err(steadfast_cdp::Error::PageGone { .. } | steadfast_cdp::Error::BrowserGone { .. }) => {
            Ok(())
        }
        other => other,
    }
}

/// Cannot happen while `Way::choose` is asked first; said as an error all the same.
fn no_page() -> Fault {
    (Operation::Launch, Error::Over { in_flight: false })
}

fn prepare_profile(profile: &mut Profile, step: ProfileStep) -> Result<(), Error> {
    match step {
        ProfileStep::Keep => Ok(()),
        ProfileStep::KeepCopy => profile.keep_copy(),
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
async fn clear_the_way(dir: &std::path::Path) -> Result<(), Error> {
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
    let waited = storage::released(dir, REAP).await.map_err(unusable)?;
    if waited > 0 {
        debug!(
            waited,
            "waited for processes of a dead browser that held its databases"
        );
    }
    match clear_stale_lock(dir).map_err(unusable)? {
        ProfileLock::Free => Ok(()),
        ProfileLock::Cleared { host, pid } => {
            info!(
                host,
                pid, "removed the lock that a dead browser had left on this profile"
            );
            Ok(())
        }
        ProfileLock::Held { pid } => Err(Error::ProfileHeld {
            path: dir.to_owned(),
            pid,
        }),
    }
}

/// Runs file work off the runtime's own threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::Answer {
            detail: format!("file work ended early: {error}"),
        }),
    }
}

#[async_trait]
impl Connector for BrowserConnector {
    async fn open(
        &self,
        step: OpenStep,
        epoch: Epoch,
        sink: Arc<dyn EventSink>,
    ) -> Result<Arc<dyn Engine>, Failure> {
        let mut state = self.state.lock().await;
        state.end_epoch();
        match self.open_in(&mut state, step, epoch, sink).await {
            Ok(link) => {
                let memory = Arc::clone(&self.browser_memory);
                Ok(Arc::new(PageEngine::new(link, memory)))
            }
            Err((operation, error)) => {
                warn!(epoch = epoch.0, ?step, %error, "could not open");
                Err(conclude(operation, &error))
            }
        }
    }

    async fn close(&self, how: Close) {
        let mut state = self.state.lock().await;
        state.end_epoch();
        state.page = None;
        if let Some(browser) = state.browser.take() {
            match how {
                Close::Graceful { deadline_ms } => {
                    browser.close(Duration::from_millis(deadline_ms)).await;
                }
                Close::Kill => {
                    browser.kill();
                    if tokio::time::timeout(KILLED, browser.exited())
                        .await
                        .is_err()
                    {
                        warn!(pid = browser.pid(), "the browser does not die");
                    }
                }
            }
        }
        state.profile = None;
    }

    async fn erase(&self) -> Result<(), Failure> {
        let mut state = self.state.lock().await;
        let erased = if state.browser.is_some() {
            Err(Error::Option {
                option: "profile",
                detail: "it is in use: close the session first".to_owned(),
            })
        } else {
            let root = self.options.profile_dir.clone();
            let open = state.profile.take();
            blocking(move || open.map_or_else(|| Profile::open(&root), Ok)?.erase()).await
        };
        erased.map_err(|error| conclude(Operation::Shutdown, &error))
    }

    async fn network_reachable(&self) -> bool {
        let site = &self.session.site;
        let address = match &self.options.web_resolve {
            Some(address) => address.clone(),
            None => format!("{}:{}", site.host, site.port),
        };
        let connect = tokio::net::TcpStream::connect(address);
        matches!(
            tokio::time::timeout(NETWORK_PROBE, connect).await,
            Ok(Ok(_))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_uses_what_still_runs_and_starts_what_does_not() {
        use BrowserState::{Gone, WithPage, WithoutPage};
        let keep = Way::Start(ProfileStep::Keep);
        for (step, gone, without, with) in [
            (
                OpenStep::Launch,
                keep,
                Way::NewPage,
                Way::Adopt { terminate: false },
            ),
            (
                OpenStep::TerminateScript,
                keep,
                Way::NewPage,
                Way::Adopt { terminate: true },
            ),
            (OpenStep::Reload, keep, Way::NewPage, Way::Load),
            (OpenStep::NewPage, keep, Way::NewPage, Way::NewPage),
            (OpenStep::RestartBrowser, keep, keep, keep),
        ] {
            assert_eq!(Way::choose(step, Gone), gone, "{step:?}");
            assert_eq!(Way::choose(step, WithoutPage), without, "{step:?}");
            assert_eq!(Way::choose(step, WithPage), with, "{step:?}");
        }
        assert_eq!(
            Way::choose(OpenStep::FreshProfile, WithPage),
            Way::Start(ProfileStep::Fresh)
        );
    }

    #[test]
    fn wrong_options_are_found_before_anything_starts() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("p");
        let options = EngineOptions {
            extra_args: vec!["--disable-web-security".to_owned()],
            ..EngineOptions::new(&root)
        };
        assert!(matches!(
            BrowserConnector::new(options),
            Err(Error::Option { .. })
        ));
        assert!(!root.exists());
    }

    #[tokio::test]
    async fn a_missing_browser_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let connector = BrowserConnector::new(EngineOptions {
            browser_path: Some("/nowhere/chromium".into()),
            ..EngineOptions::new(dir.path())
        })
        .unwrap();
        let failure = connector
            .open(OpenStep::Launch, Epoch(1), Arc::new(Nobody))
            .await
            .err()
            .unwrap();
        assert_eq!(
            failure.kind,
            steadfast_core::failure::Kind::LaunchFailedMissingBrowser
        );
    }

    struct Nobody;

    #[async_trait]
    impl EventSink for Nobody {
        fn event(&self, _: Epoch, _: steadfast_core::port::EngineEvent) {}
        async fn inbound(
            &self,
            _: Epoch,
            _: steadfast_core::inbound::InboundMessage,
        ) -> Result<(), steadfast_core::port::InboundRefused> {
            Ok(())
        }
    }
}
