//! What a test may do to a scripted engine.

use super::page::Page;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use steadfast_core::failure::{CdpFault, Evidence, Failure, Observed, Operation, classify};
use steadfast_core::port::{LookupOutcome, OpenStep};

/// What the next send does instead of what it would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendScript {
    /// As it would; lets one pass before the next in the script.
    Pass,
    /// Nothing is handed over, and the engine says so.
    NotSent(Failure),
    /// Nothing is handed over, and the message is blamed.
    Rejected(Failure),
    /// Nothing is handed over, and the engine cannot say.
    UnknownLost(Failure),
    /// The page has it in its outbox and sends it, and the engine cannot say.
    UnknownTaken(Failure),
    /// The page has it and sends it; the epoch dies before the answer.
    Dies(Failure),
}

/// What the next look-up does instead of what it would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupScript {
    /// As it would; lets one pass before the next in the script.
    Pass,
    /// This answer.
    Answer(LookupOutcome),
}

#[derive(Default)]
struct Inner {
    sends: VecDeque<SendScript>,
    lookups: VecDeque<LookupScript>,
    opens: VecDeque<Failure>,
    lose_profile: bool,
    steps: Vec<OpenStep>,
    page: Option<Arc<Page>>,
}

/// The control handle of a [`super::ScriptedConnector`].
#[derive(Default)]
pub struct Script {
    inner: Mutex<Inner>,
}

impl Script {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what a coming send does; they are used up in order.
    pub fn on_send(&self, script: SendScript) {
        self.inner().sends.push_back(script);
    }

    /// Adds what a coming look-up answers; they are used up in order.
    pub fn on_lookup(&self, script: LookupScript) {
        self.inner().lookups.push_back(script);
    }

    /// A coming open fails with this; they are used up in order.
    pub fn on_open(&self, failure: Failure) {
        self.inner().opens.push_back(failure);
    }

    /// The profile is gone at the next open, as after a crash before it was written.
    pub fn lose_profile(&self) {
        self.inner().lose_profile = true;
    }

    /// The present epoch dies: it says so, and every call under way fails.
    pub fn kill(&self, failure: &Failure) {
        let page = self.inner().page.take();
        if let Some(page) = page {
            page.fail(failure);
        }
    }

    /// The present epoch's browser is gone, as after a SIGKILL.
    pub fn kill_browser(&self) {
        self.kill(&classify(&Observed {
            operation: Operation::Listen,
            evidence: Evidence::Cdp(CdpFault::BrowserGone),
        }));
    }

    /// The present page's main thread answers nothing any more, without a
    /// word; only another epoch ends it.
    pub fn hang(&self) {
        if let Some(page) = &self.inner().page {
            page.hang();
        }
    }

    /// How each epoch so far was opened, in order.
    pub fn steps(&self) -> Vec<OpenStep> {
        self.inner().steps.clone()
    }

    pub(super) fn next_send(&self) -> SendScript {
        self.inner().sends.pop_front().unwrap_or(SendScript::Pass)
    }

    pub(super) fn next_lookup(&self) -> LookupScript {
        self.inner()
            .lookups
            .pop_front()
            .unwrap_or(LookupScript::Pass)
    }

    pub(super) fn take_open_failure(&self) -> Option<Failure> {
        self.inner().opens.pop_front()
    }

    pub(super) fn take_profile_loss(&self) -> bool {
        std::mem::take(&mut self.inner().lose_profile)
    }

    pub(super) fn opened(&self, step: OpenStep) {
        self.inner().steps.push(step);
    }

    pub(super) fn set_page(&self, page: Option<Arc<Page>>) {
        self.inner().page = page;
    }
}
