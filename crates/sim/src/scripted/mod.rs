//! An engine without a browser: the ports of core on a world in memory.
//!
//! A [`ScriptedConnector`] opens epochs; each is a small page written in Rust
//! that speaks the same protocol to the same [`crate::world::World`] as the
//! real page does, with an outbox and a store that survive it (its profile).
//! So what a supervisor or a delivery loop sees is what WhatsApp would do,
//! in microseconds and under a paused clock. A [`Script`] makes single calls
//! fail, kills epochs and takes profiles away.
//!
//! Read in this order: `profile` (what survives), `page` and
//! `messages`, `happenings` (one epoch's page), `engine`, `actions` (the calls), `script` (what a test may do).

mod actions;
mod content;
mod engine;
mod happenings;
mod messages;
mod page;
mod profile;
mod script;

pub use script::{LookupScript, Script, SendScript};

use crate::address::Number;
use crate::control::Control;
use crate::error::Error;
use crate::hub::Hub;
use crate::knobs::Knobs;
use crate::phone::WorldPhone;
use crate::world::{NewAccount, World};
use async_trait::async_trait;
use engine::ScriptedEngine;
use page::Page;
use profile::Profile;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use steadfast_core::failure::{CdpFault, Evidence, Failure, Observed, Operation, classify};
use steadfast_core::ids::Epoch;
use steadfast_core::port::{Close, Connector, Engine, EventSink, OpenStep};
use steadfast_core::time::UnixMs;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Opens scripted epochs on one profile.
pub struct ScriptedConnector {
    hub: Arc<Hub>,
    script: Arc<Script>,
    tasks: TaskTracker,
    media_dir: Option<PathBuf>,
    state: Mutex<State>,
}

struct State {
    profile: Arc<Mutex<Profile>>,
    snapshot: Option<Profile>,
    page: Option<Arc<Page>>,
    seed: u64,
}

impl ScriptedConnector {
    /// A connector with an empty profile on this world. `seed` makes its keys.
    pub fn new(hub: Arc<Hub>, seed: u64) -> (Self, Arc<Script>) {
        let script = Arc::new(Script::default());
        let connector = Self {
            hub,
            script: Arc::clone(&script),
            tasks: TaskTracker::new(),
            media_dir: None,
            state: Mutex::new(State {
                profile: Arc::new(Mutex::new(Profile::empty(seed))),
                snapshot: None,
                page: None,
                seed,
            }),
        };
        (connector, script)
    }

    /// Files of messages are in this folder, each under its id.
    #[must_use]
    pub fn with_media(mut self, folder: PathBuf) -> Self {
        self.media_dir = Some(folder);
        self
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the page of the epoch before, whatever it was doing.
    fn end_page(&self, state: &mut State) {
        if let Some(page) = state.page.take() {
            page.die(&gone(Operation::Listen));
        }
        self.script.set_page(None);
    }
}

/// What a call on an ended epoch is told.
pub(crate) fn gone(operation: Operation) -> Failure {
    classify(&Observed {
        operation,
        evidence: Evidence::Cdp(CdpFault::PageGone { in_flight: true }),
    })
}

#[async_trait]
impl Connector for ScriptedConnector {
    async fn open(
        &self,
        step: OpenStep,
        epoch: Epoch,
        sink: Arc<dyn EventSink>,
    ) -> Result<Arc<dyn Engine>, Failure> {
        let mut state = self.state();
        self.end_page(&mut state);
        self.script.opened(step);
        if let Some(failure) = self.script.take_open_failure() {
            return Err(failure);
        }
        if self.script.take_profile_loss() {
            state.profile = Arc::new(Mutex::new(Profile::empty(state.seed)));
        }
        match step {
            OpenStep::Launch
            | OpenStep::TerminateScript
            | OpenStep::TakeOver
            | OpenStep::Reload
            | OpenStep::NewPage
            | OpenStep::Secure
            | OpenStep::RestartBrowser => {}
            OpenStep::RestoreProfile => {
                if let Some(snapshot) = state.snapshot.clone() {
                    state.profile = Arc::new(Mutex::new(snapshot));
                }
            }
            OpenStep::FreshProfile => {
                state.seed = state.seed.wrapping_add(1);
                state.profile = Arc::new(Mutex::new(Profile::empty(state.seed)));
            }
        }
        let profile = Arc::clone(&state.profile);
        // The profile as it was when it was last seen to work.
        let good = profile
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if good.worked {
            state.snapshot = Some(good);
        }
        let page = Page::new(Arc::clone(&self.hub), profile, epoch, sink);
        self.tasks.spawn(Arc::clone(&page).run());
        self.script.set_page(Some(Arc::clone(&page)));
        state.page = Some(Arc::clone(&page));
        Ok(Arc::new(ScriptedEngine::new(
            page,
            Arc::clone(&self.script),
            self.media_dir.clone(),
        )))
    }

    async fn close(&self, _how: Close) {
        let mut state = self.state();
        self.end_page(&mut state);
    }

    async fn erase(&self) -> Result<(), Failure> {
        let mut state = self.state();
        self.end_page(&mut state);
        state.seed = state.seed.wrapping_add(1);
        state.profile = Arc::new(Mutex::new(Profile::empty(state.seed)));
        state.snapshot = None;
        Ok(())
    }

    async fn network_reachable(&self) -> bool {
        self.hub.with(|world| world.network()) == crate::world::Network::Up
    }
}

impl Drop for ScriptedConnector {
    fn drop(&mut self) {
        let mut state = self.state();
        self.end_page(&mut state);
    }
}

/// A world with one account and its phone, running on the current runtime.
/// The world stops when this is dropped.
pub struct ScriptedWorld {
    /// The account's phone and everything else that can be done.
    pub phone: WorldPhone,
    hub: Arc<Hub>,
    _running: DropGuard,
    _tasks: TaskTracker,
}

impl ScriptedWorld {
    /// Starts a world from this seed with one account.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where `number` is none.
    pub fn start(seed: u64, knobs: Knobs, number: &str) -> Result<Self, Error> {
        if Number::parse(number).is_none() {
            return Err(Error::Invalid(format!("{number:?} is no number")));
        }
        // Some moment in 2026: stamps are part of what a seed decides.
        let hub = Hub::new(World::new(seed, UnixMs(1_780_000_000_000), knobs));
        let control = Control::new(Arc::clone(&hub));
        control.create_account(NewAccount {
            phone: number.to_owned(),
            ..NewAccount::default()
        })?;
        let cancel = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(Arc::clone(&hub).run(cancel.clone()));
        Ok(Self {
            phone: WorldPhone::new(control, number)?,
            hub,
            _running: cancel.drop_guard(),
            _tasks: tasks,
        })
    }

    /// A connector with an empty profile on this world.
    pub fn connector(&self, seed: u64) -> (ScriptedConnector, Arc<Script>) {
        ScriptedConnector::new(Arc::clone(&self.hub), seed)
    }
}

#[cfg(test)]
mod tests;
