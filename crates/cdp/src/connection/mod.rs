//! The connection to one browser: the table of pending calls and sessions,
//! and the two loops that move bytes.
//!
//! One lock guards the table. Whoever marks a page or the browser as dead
//! fails the pending calls under that same lock, and every call registers
//! under it: so no call can slip in between and wait for an answer that will
//! never come.

#[cfg(test)]
mod fuzz;
mod io;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use io::{read_loop, write_loop};

use crate::Error;
use crate::page::PageState;
use crate::session::{Reaction, Session};
use crate::wire::{self, Incoming};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use table::{Command, Pending, Table};
use tokio::sync::{Notify, oneshot, watch};

/// Calls that may wait for their answer.
const MAX_PENDING: usize = 8192;

/// Pages, workers and frames that are kept at the same time. WhatsApp Web has
/// a few; a page that opens windows without end is not followed.
const MAX_SESSIONS: usize = 1024;

type Answer = Result<Box<RawValue>, Error>;

/// How the connection stands. Moves only forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Open,
    /// We hang up: nothing more is written, answers are still read.
    Closing,
    Gone,
}

#[derive(Debug)]
pub(crate) struct Connection {
    table: Mutex<Table>,
    next_id: AtomicU64,
    /// A command was queued.
    queued: Notify,
    phase: watch::Sender<Phase>,
}

/// Ends the script that runs in a page.
pub(crate) const TERMINATE: &str = "Runtime.terminateExecution";

/// Whether a call is let through to a crashed page, as only its reload may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnCrashed {
    Refuse,
    Send,
}

impl Connection {
    pub(crate) fn new() -> Self {
        Self {
            table: Mutex::default(),
            next_id: AtomicU64::new(1),
            queued: Notify::new(),
            phase: watch::Sender::new(Phase::Open),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Waits until the connection has come to `phase`, or further.
    pub(crate) async fn reached(&self, phase: Phase) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    pub(crate) fn session(&self, id: &str) -> Option<Arc<Session>> {
        self.table().sessions.get(id).cloned()
    }

    /// Calls a method and waits for its answer, at most `deadline`.
    pub(crate) async fn call(
        &self,
        session: Option<&Session>,
        method: &'static str,
        params: impl Serialize,
        deadline: Duration,
        on_crashed: OnCrashed,
    ) -> Answer {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let bytes = wire::encode(id, method, session.map(|s| &*s.id), params)?;
        let (answer, mut answered) = oneshot::channel();
        self.admit(id, session, method, bytes, answer, on_crashed)?;
        let withdraw = Withdraw {
            connection: self,
            id,
        };
        let outcome = tokio::time::timeout(deadline, &mut answered).await;
        let pending = withdraw.now();
        match (outcome, pending) {
            (Ok(Ok(answer)), _) => answer,
            (Err(_), Some(pending)) => Err(Error::Timeout {
                method,
                after: deadline,
                in_flight: pending.in_flight,
            }),
            // It was answered in the moment in which the time was up.
            (Err(_), None) => answered.try_recv().unwrap_or(Err(Error::BrowserGone {
                method,
                in_flight: true,
            })),
            // The table never drops a sender unanswered; if it did, the worst is assumed.
            (Ok(Err(_)), _) => Err(Error::BrowserGone {
                method,
                in_flight: true,
            }),
        }
    }

    /// Registers a call and queues its command, or refuses it with nothing written.
    fn admit(
        &self,
        id: u64,
        session: Option<&Session>,
        method: &'static str,
        bytes: Vec<u8>,
        answer: oneshot::Sender<Answer>,
        on_crashed: OnCrashed,
    ) -> Result<(), Error> {
        let mut table = self.table();
        if self.phase() != Phase::Open {
            return Err(Error::BrowserGone {
                method,
                in_flight: false,
            });
        }
        if let Some(session) = session {
            match *session.state.borrow() {
                PageState::Alive => {}
                PageState::Crashed if on_crashed == OnCrashed::Send => {}
                // Chromium never answers a call on a crashed page.
                PageState::Crashed => {
                    return Err(Error::PageCrashed {
                        method,
                        in_flight: false,
                    });
                }
                PageState::Detached | PageState::BrowserGone => {
                    return Err(Error::PageGone {
                        method,
                        in_flight: false,
                    });
                }
            }
        }
        if table.pending.len() >= MAX_PENDING {
            return Err(Error::Overloaded { method });
        }
        table.enqueue(Command { id, bytes }, method)?;
        if method == TERMINATE {
            table.terminate_calls_of(session);
        }
        table.pending.insert(
            id,
            Pending {
                session: session.map(|s| Arc::clone(&s.id)),
                method,
                in_flight: false,
                terminated: false,
                answer,
            },
        );
        drop(table);
        self.queued.notify_one();
        Ok(())
    }

    /// Sends a command whose answer nobody waits for.
    fn post(&self, session: &Session, method: &'static str, params: impl Serialize) {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let sent = wire::encode(id, method, Some(&session.id), params)
            .and_then(|bytes| self.table().enqueue(Command { id, bytes }, method));
        match sent {
            Ok(()) => self.queued.notify_one(),
            Err(error) => tracing::warn!(%error, "a command was not sent"),
        }
    }

    /// Waits for commands and gives as many as are worth one write; from
    /// then on they count as in flight.
    async fn next_commands(&self, bytes: &mut Vec<u8>) {
        loop {
            if self.table().dequeue(bytes) {
                return;
            }
            self.queued.notified().await;
        }
    }

    /// We hang up: the writing end of the pipe is closed and calls are refused.
    pub(crate) fn hang_up(&self) {
        let _table = self.table();
        self.phase.send_if_modified(|now| {
            let moves = *now < Phase::Closing;
            *now = (*now).max(Phase::Closing);
            moves
        });
    }

    /// The browser is gone: every pending call fails now, every page is told.
    pub(crate) fn die(&self) {
        let (pending, sessions) = {
            let mut table = self.table();
            let first = self.phase.send_if_modified(|now| {
                let moves = *now < Phase::Gone;
                *now = Phase::Gone;
                moves
            });
            if !first {
                return;
            }
            let sessions = std::mem::take(&mut table.sessions);
            for session in sessions.values() {
                session.enter(PageState::BrowserGone);
            }
            table.queue.clear();
            (std::mem::take(&mut table.pending), sessions)
        };
        drop(sessions);
        for call in pending.into_values() {
            let _ = call.answer.send(Err(Error::BrowserGone {
                method: call.method,
                in_flight: call.in_flight,
            }));
        }
    }

    /// Takes one message from the browser. Whatever it holds, the connection lives on.
    fn take(&self, frame: &[u8]) {
        let incoming: Incoming<'_> = match serde_json::from_slice(frame) {
            Ok(incoming) => incoming,
            Err(error) => {
                tracing::warn!(%error, bytes = frame.len(), "the browser sent what is no message");
                return;
            }
        };
        if let Some(id) = incoming.id {
            self.take_answer(id, incoming);
        } else if let Some(method) = incoming.method {
            match incoming.session_id {
                Some(session_id) => self.take_page_event(&session_id.0, &method.0, incoming.params),
                None => self.take_browser_event(&method.0, incoming.params),
            }
        }
    }

    fn take_answer(&self, id: u64, incoming: Incoming<'_>) {
        let Some(call) = self.table().answered(id) else {
            return; // Withdrawn, or nobody asked.
        };
        let answer = match (incoming.error, incoming.result) {
            // V8 calls it an internal error.
            (Some(error), _) if call.terminated && error.is_internal() => Err(Error::Terminated {
                method: call.method,
            }),
            (Some(error), _) => Err(error.into_error(call.method)),
            (None, Some(result)) => Ok(result.to_owned()),
            (None, None) => Err(Error::Malformed {
                method: call.method,
                detail: "neither result nor error".to_owned(),
            }),
        };
        let _ = call.answer.send(answer);
    }

    fn take_page_event(&self, session_id: &str, method: &str, params: Option<&RawValue>) {
        let Some(session) = self.session(session_id) else {
            return;
        };
        match session.take(method, params) {
            Reaction::None => {}
            Reaction::Crashed => self.crashed(&session),
            Reaction::Revived => {
                let _table = self.table();
                session.enter(PageState::Alive);
            }
            Reaction::Dialog { accept } => self.post(
                &session,
                "Page.handleJavaScriptDialog",
                serde_json::json!({ "accept": accept }),
            ),
        }
    }

    fn take_browser_event(&self, method: &str, params: Option<&RawValue>) {
        let text = params.map_or("{}", RawValue::get);
        let read = match method {
            "Target.attachedToTarget" => {
                wire::read_text::<Attached>(text).map(|attached| self.attached(&attached))
            }
            "Target.detachedFromTarget" => wire::read_text::<Detached>(text)
                .map(|detached| self.detached(|session| *session.id == *detached.session_id)),
            "Target.targetDestroyed" => wire::read_text::<TargetEvent>(text)
                .map(|target| self.detached(|session| *session.target_id == *target.id)),
            "Target.targetCrashed" => wire::read_text::<TargetEvent>(text).map(|target| {
                let sessions: Vec<_> = self
                    .table()
                    .sessions
                    .values()
                    .filter(|session| *session.target_id == *target.id)
                    .cloned()
                    .collect();
                for session in sessions {
                    self.crashed(&session);
                }
            }),
            _ => Ok(()),
        };
        if let Err(error) = read {
            tracing::warn!(method, %error, "an event could not be read");
        }
    }

    fn attached(&self, attached: &Attached) {
        let session = Session::new(&attached.session_id, &attached.target.id);
        let mut table = self.table();
        if table.sessions.len() >= MAX_SESSIONS && !table.sessions.contains_key(&session.id) {
            tracing::warn!("a page is not followed: there are too many already");
            return;
        }
        table
            .sessions
            .insert(Arc::clone(&session.id), Arc::new(session));
    }

    fn crashed(&self, session: &Session) {
        let mut table = self.table();
        if session.enter(PageState::Crashed) {
            table.fail_calls_of(&session.id, |method, in_flight| Error::PageCrashed {
                method,
                in_flight,
            });
        }
    }

    fn detached(&self, which: impl Fn(&Session) -> bool) {
        let mut table = self.table();
        let gone: Vec<_> = table
            .sessions
            .extract_if(|_, session| which(session))
            .collect();
        for (id, session) in gone {
            session.enter(PageState::Detached);
            table.fail_calls_of(&id, |method, in_flight| Error::PageGone {
                method,
                in_flight,
            });
        }
    }
}

/// Takes a call out of the table when its caller stops waiting, for whatever
/// reason: a command that is not yet written then never will be.
struct Withdraw<'a> {
    connection: &'a Connection,
    id: u64,
}

impl Withdraw<'_> {
    fn now(self) -> Option<Pending> {
        self.connection.table().withdraw(self.id)
    }
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        self.connection.table().withdraw(self.id);
    }
}

#[derive(Deserialize)]
struct Attached {
    #[serde(rename = "sessionId")]
    session_id: String,
    #[serde(rename = "targetInfo")]
    target: TargetEvent,
}

#[derive(Deserialize)]
struct Detached {
    #[serde(rename = "sessionId")]
    session_id: String,
}

#[derive(Deserialize)]
struct TargetEvent {
    #[serde(rename = "targetId")]
    id: String,
}
