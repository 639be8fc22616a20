//! Owns one session's profile, browser and page, and opens epochs on them.

mod browser;
mod page;
mod way;

use crate::Error;
use crate::conclude::conclude;
use crate::engine::PageEngine;
use crate::happenings;
use crate::inbox;
use crate::link::{Link, Session};
use crate::memory::Memory;
use crate::options::{EngineOptions, Site};
use crate::procmem::BrowserMemory;
use crate::profile::Profile;
use crate::script::Library;
use crate::watch;
use async_trait::async_trait;
use page::OpenPage;
use std::sync::Arc;
use std::time::Duration;
use steadfast_cdp::{Binary, Browser, Page, PageEvents, PageState};
use steadfast_core::failure::{Failure, Operation};
use steadfast_core::ids::Epoch;
use steadfast_core::port::{Close, Connector, Engine, EventSink, OpenStep};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tracing::{debug, warn};
use way::{Before, BrowserState, Way};

/// After SIGKILL the kernel needs a moment to take a browser apart.
const KILLED: Duration = Duration::from_secs(5);
/// How long a stranger's network may take to say that it is there.
const NETWORK_PROBE: Duration = Duration::from_secs(3);

/// Drives one session's WhatsApp Web in a browser of its own.
pub struct BrowserConnector {
    options: EngineOptions,
    browser_args: Vec<String>,
    session: Arc<Session>,
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
            wall_clock: options.wall_clock,
            memory: Memory::default(),
            library,
            hold_passkeys: options.hold_passkeys,
            media_dir: options.media_dir.clone(),
        });
        Ok(Self {
            options,
            browser_args,
            session,
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

    /// The page's events as the DevTools client gets them, from now on: what
    /// this engine's own detection is measured against. `None` where no page is open.
    pub async fn page_events(&self) -> Option<PageEvents> {
        let state = self.state.lock().await;
        Some(state.page.as_ref()?.page.events())
    }

    /// The page that is open, for those who look at it, or act in it, from outside of the engine.
    pub async fn page(&self) -> Option<Page> {
        Some(self.running().await?.1)
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
        let step = self.with_room(step).await;
        let way = Way::choose(step, state.browser_state());
        debug!(epoch = epoch.0, ?step, ?way, "opening");
        match way {
            // Neither reload nor navigation gets past a script that never ends.
            Way::Load => self.free_page(state, epoch).await?,
            Way::Adopt(Before::Nothing | Before::TakeOver) | Way::NewPage => {
                self.prove_alive(state).await?;
            }
            Way::Adopt(Before::Terminate) | Way::Start(_) => {}
        }
        match way {
            Way::Adopt(before) => {
                match self.adopt(state, epoch, &sink, before).await {
                    Ok(link) => return Ok(link),
                    // A page that nobody has asked to be freed may simply be loaded anew.
                    Err((_, error)) if step == OpenStep::Launch => {
                        debug!(epoch = epoch.0, %error, "the running page cannot be used as it is");
                    }
                    Err(fault) => return Err(fault),
                }
            }
            Way::Load => {}
            Way::NewPage => self.replace_page(state, epoch).await?,
            Way::Start(profile) => self.start(state, profile).await?,
        }
        self.load(state, epoch, sink).await
    }

    /// A copy of the profile is worth a restart only where another browser can start.
    async fn with_room(&self, step: OpenStep) -> OpenStep {
        if step != OpenStep::Secure {
            return step;
        }
        let root = self.options.profile_dir.clone();
        match blocking(move || browser::has_room(&root)).await {
            Ok(()) => step,
            Err(error) => {
                warn!(%error, "no good copy of the profile is kept now");
                OpenStep::Launch
            }
        }
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
        tasks.spawn(watch::equip(Arc::clone(&link)));
        tasks.spawn(watch::mind_storage(Arc::clone(&link)));
        tasks.spawn(inbox::serve(Arc::clone(&link)));
        tasks.spawn(happenings::serve(Arc::clone(&link)));
        tasks.spawn(watch::keep_marks(Arc::clone(&link)));
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
    async fn end_epoch(&mut self) {
        let Some(epoch) = self.epoch.take() else {
            return;
        };
        epoch.link.end();
        let link = Arc::clone(&epoch.link);
        let marked = blocking(move || {
            inbox::mark(&link);
            Ok(())
        });
        if let Err(error) = marked.await {
            warn!(%error, "the marks of the epoch's end were not written");
        }
    }
}

/// Cannot happen while `Way::choose` is asked first; said as an error all the same.
fn no_page() -> Fault {
    (Operation::Launch, Error::Over { in_flight: false })
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
        state.end_epoch().await;
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
        state.end_epoch().await;
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
        let address = match (self.options.proxy.get(), &self.options.web_resolve) {
            // What lies behind it is the proxy's to reach.
            (Some(proxy), _) => proxy.address().to_owned(),
            (None, Some(address)) => address.clone(),
            (None, None) => format!("{}:{}", site.host, site.port),
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
        async fn happened(
            &self,
            _: Epoch,
            _: steadfast_core::inbound::Happening,
        ) -> Result<(), steadfast_core::port::InboundRefused> {
            Ok(())
        }
        async fn inbound(
            &self,
            _: Epoch,
            _: steadfast_core::inbound::InboundMessage,
        ) -> Result<(), steadfast_core::port::InboundRefused> {
            Ok(())
        }
    }
}
