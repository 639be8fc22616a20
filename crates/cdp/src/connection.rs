//! The connection to one browser: the table of pending calls and sessions,
//! and the two loops that move bytes.
//!
//! One lock guards the table. Whoever marks a page or the browser as dead
//! fails the pending calls under that same lock, and every call registers
//! under it: so no call can slip in between and wait for an answer that will
//! never come.

use crate::Error;
use crate::frame::{FrameDecoder, MAX_FRAME};
use crate::page::PageState;
use crate::session::{Reaction, Session};
use crate::wire::{self, Incoming};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::{Notify, oneshot, watch};

/// Commands that may wait to be written. Chromium reads its pipe on a thread
/// of its own, so they wait only where the browser itself stands still.
const MAX_QUEUED: usize = 1024;

/// Bytes of commands that may wait to be written: one of the largest, and as much again.
const MAX_QUEUED_BYTES: usize = 2 * wire::MAX_COMMAND;

/// Calls that may wait for their answer.
const MAX_PENDING: usize = 8192;

/// Small commands are written together up to this size: one pipe's worth.
const WRITE_TOGETHER: usize = 64 << 10;

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

#[derive(Debug, Default)]
struct Table {
    pending: HashMap<u64, Pending>,
    sessions: HashMap<Arc<str>, Arc<Session>>,
    /// Commands that wait to be written. One whose caller stops waiting is
    /// taken out again: a browser that stands still holds up to the bound of
    /// calls that somebody waits for, not of those given up.
    queue: VecDeque<Command>,
    queued_bytes: usize,
}

/// A call that waits for its answer.
#[derive(Debug)]
struct Pending {
    session: Option<Arc<str>>,
    method: &'static str,
    /// Whether it was given to the pipe.
    in_flight: bool,
    /// Whether the page's scripts were terminated while it ran.
    terminated: bool,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
struct Command {
    id: u64,
    bytes: Vec<u8>,
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
        let Some(call) = self.table().pending.remove(&id) else {
            return; // Withdrawn, or nobody asked.
        };
        let answer = match (incoming.error, incoming.result) {
            // V8 calls it an internal error.
            (Some(_), _) if call.terminated => Err(Error::Terminated {
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
            "Target.attachedToTarget" => wire::read_text::<Attached>(text).map(|attached| {
                let session = Session::new(&attached.session_id, &attached.target.id);
                self.table()
                    .sessions
                    .insert(Arc::clone(&session.id), Arc::new(session));
            }),
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

impl Table {
    fn enqueue(&mut self, command: Command, method: &'static str) -> Result<(), Error> {
        let bytes = self.queued_bytes + command.bytes.len();
        if self.queue.len() >= MAX_QUEUED || bytes > MAX_QUEUED_BYTES {
            return Err(Error::Overloaded { method });
        }
        self.queued_bytes = bytes;
        self.queue.push_back(command);
        Ok(())
    }

    /// Takes from the queue what is worth one write. Gives whether there was anything.
    fn dequeue(&mut self, bytes: &mut Vec<u8>) -> bool {
        while bytes.len() < WRITE_TOGETHER
            && let Some(command) = self.queue.pop_front()
        {
            self.queued_bytes -= command.bytes.len();
            if let Some(call) = self.pending.get_mut(&command.id) {
                call.in_flight = true;
            }
            if bytes.is_empty() {
                *bytes = command.bytes;
            } else {
                bytes.extend_from_slice(&command.bytes);
            }
        }
        !bytes.is_empty()
    }

    /// Takes a call out; its command too, where it was not yet written.
    fn withdraw(&mut self, id: u64) -> Option<Pending> {
        let call = self.pending.remove(&id)?;
        if !call.in_flight
            && let Some(at) = self.queue.iter().position(|command| command.id == id)
            && let Some(command) = self.queue.remove(at)
        {
            self.queued_bytes -= command.bytes.len();
        }
        Some(call)
    }

    fn terminate_calls_of(&mut self, session: Option<&Session>) {
        for call in self.pending.values_mut() {
            if call.session.as_ref() == session.map(|session| &session.id) {
                call.terminated = true;
            }
        }
    }

    fn fail_calls_of(&mut self, session: &Arc<str>, error: impl Fn(&'static str, bool) -> Error) {
        let theirs: Vec<u64> = self
            .pending
            .iter()
            .filter(|(_, call)| call.session.as_ref() == Some(session))
            .map(|(id, _)| *id)
            .collect();
        for call in theirs.into_iter().filter_map(|id| self.withdraw(id)) {
            let _ = call.answer.send(Err(error(call.method, call.in_flight)));
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

/// Reads until the pipe ends; then the browser is gone.
pub(crate) async fn read_loop(connection: Arc<Connection>, mut from: pipe::Receiver) {
    let mut decoder = FrameDecoder::new(MAX_FRAME);
    'reading: loop {
        match from.read_buf(decoder.room()).await {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the browser's pipe cannot be read");
                break;
            }
        }
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => connection.take(frame),
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "the connection is given up");
                    break 'reading;
                }
            }
        }
    }
    connection.die();
}

/// Writes what is queued until the connection closes; then its end of the pipe is closed.
pub(crate) async fn write_loop(connection: Arc<Connection>, mut to: pipe::Sender) {
    let mut closing = std::pin::pin!(connection.reached(Phase::Closing));
    loop {
        let mut bytes = Vec::new();
        let written = tokio::select! {
            biased;
            () = &mut closing => break,
            written = async {
                connection.next_commands(&mut bytes).await;
                to.write_all(&bytes).await
            } => written,
        };
        if let Err(error) = written {
            tracing::debug!(%error, "the browser's pipe cannot be written");
            connection.die();
            break;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::PageEvent;
    use proptest::prelude::*;

    const LONG: Duration = Duration::from_mins(1);

    /// A connection with one page, as after an attach.
    fn attached() -> (Arc<Connection>, Arc<Session>) {
        let connection = Arc::new(Connection::new());
        connection.take(
            br#"{"method":"Target.attachedToTarget","params":{"sessionId":"S","targetInfo":{"targetId":"T","type":"page"}}}"#,
        );
        let session = connection.session("S").unwrap();
        (connection, session)
    }

    /// Starts a call and lets it be registered.
    async fn called(
        connection: &Arc<Connection>,
        session: &Arc<Session>,
    ) -> tokio::task::JoinSet<Answer> {
        let mut call = tokio::task::JoinSet::new();
        let (connection, session) = (Arc::clone(connection), Arc::clone(session));
        call.spawn(async move {
            connection
                .call(Some(&session), "M.m", (), LONG, OnCrashed::Refuse)
                .await
        });
        tokio::task::yield_now().await;
        call
    }

    async fn outcome(mut call: tokio::task::JoinSet<Answer>) -> Error {
        call.join_next().await.unwrap().unwrap().unwrap_err()
    }

    #[tokio::test(start_paused = true)]
    async fn whether_a_call_was_written_is_told_exactly() {
        let method = "M.m";
        for written in [false, true] {
            let in_flight = written;
            for (message, wanted) in [
                (
                    r#"{"method":"Target.targetCrashed","params":{"targetId":"T"}}"#,
                    Error::PageCrashed { method, in_flight },
                ),
                (
                    r#"{"method":"Inspector.targetCrashed","sessionId":"S"}"#,
                    Error::PageCrashed { method, in_flight },
                ),
                (
                    r#"{"method":"Target.detachedFromTarget","params":{"sessionId":"S"}}"#,
                    Error::PageGone { method, in_flight },
                ),
                (
                    r#"{"method":"Target.targetDestroyed","params":{"targetId":"T"}}"#,
                    Error::PageGone { method, in_flight },
                ),
            ] {
                let (connection, session) = attached();
                let call = called(&connection, &session).await;
                let mut bytes = Vec::new();
                if written {
                    connection.next_commands(&mut bytes).await;
                }
                connection.take(message.as_bytes());
                assert_eq!(outcome(call).await, wanted);
                // What was not written never will be.
                assert!(!connection.table().dequeue(&mut Vec::new()));
                assert_eq!(connection.table().queued_bytes, 0);
            }
            let (connection, session) = attached();
            let call = called(&connection, &session).await;
            if written {
                connection.next_commands(&mut Vec::new()).await;
            }
            // The clock is paused: nothing else is to be done, so the deadline comes.
            assert_eq!(
                outcome(call).await,
                Error::Timeout {
                    method,
                    after: LONG,
                    in_flight
                }
            );
            assert!(!connection.table().dequeue(&mut Vec::new()));
        }
    }

    #[tokio::test]
    async fn a_crash_is_told_once_and_ends_with_the_reload() {
        let (connection, session) = attached();
        let mut events = session.subscribe();
        for _ in 0..2 {
            connection.take(br#"{"method":"Inspector.targetCrashed","sessionId":"S"}"#);
            connection.take(br#"{"method":"Target.targetCrashed","params":{"targetId":"T"}}"#);
            assert_eq!(*session.state.borrow(), PageState::Crashed);
            let call = called(&connection, &session).await;
            assert_eq!(
                outcome(call).await,
                Error::PageCrashed {
                    method: "M.m",
                    in_flight: false
                }
            );
            connection.take(br#"{"method":"Inspector.targetReloadedAfterCrash","sessionId":"S"}"#);
            assert_eq!(*session.state.borrow(), PageState::Alive);
            assert_eq!(events.try_recv(), Some(PageEvent::Crashed));
            assert_eq!(events.try_recv(), Some(PageEvent::Revived));
            assert_eq!(events.try_recv(), None);
        }
    }

    #[tokio::test]
    async fn a_dropped_call_leaves_nothing_behind() {
        let (connection, session) = attached();
        let call = called(&connection, &session).await;
        assert_eq!(connection.table().pending.len(), 1);
        drop(call);
        tokio::task::yield_now().await;
        assert_eq!(connection.table().pending.len(), 0);
        assert_eq!(connection.table().queue.len(), 0);
    }

    /// Messages of the right shape with strange contents.
    fn strange() -> impl Strategy<Value = Vec<u8>> {
        let method = prop_oneof![
            Just("Target.attachedToTarget"),
            Just("Target.detachedFromTarget"),
            Just("Target.targetCrashed"),
            Just("Inspector.targetCrashed"),
            Just("Inspector.targetReloadedAfterCrash"),
            Just("Runtime.executionContextCreated"),
            Just("Runtime.executionContextDestroyed"),
            Just("Runtime.executionContextsCleared"),
            Just("Runtime.bindingCalled"),
            Just("Runtime.exceptionThrown"),
            Just("Page.frameNavigated"),
            Just("Page.javascriptDialogOpening"),
            Just("No.such"),
        ];
        let params = prop_oneof![
            Just(String::from("{}")),
            Just(String::from("[]")),
            Just(String::from("null")),
            Just(String::from(r#"{"targetId":"T","sessionId":"S"}"#)),
            Just(String::from(r#"{"frame":{"url":"\ud83d"}}"#)),
            Just(String::from(
                r#"{"context":{"id":1,"uniqueId":"u","auxData":{"isDefault":true,"frameId":"T"}}}"#
            )),
            Just(String::from(r#"{"exceptionDetails":{"text":"\udc00"}}"#)),
            ".{0,20}",
        ];
        (method, params, any::<bool>()).prop_map(|(method, params, on_page)| {
            let session = if on_page { r#","sessionId":"S""# } else { "" };
            format!(r#"{{"method":"{method}","params":{params}{session}}}"#).into_bytes()
        })
    }

    proptest! {
        #[test]
        fn no_message_breaks_the_connection(
            messages in prop::collection::vec(
                prop_oneof![strange(), prop::collection::vec(any::<u8>(), 0..40)], 0..30
            )
        ) {
            let (connection, _session) = attached();
            for message in &messages {
                connection.take(message);
            }
            prop_assert_eq!(connection.phase(), Phase::Open);
            // It still serves a new page.
            connection.take(
                br#"{"method":"Target.attachedToTarget","params":{"sessionId":"S2","targetInfo":{"targetId":"T2"}}}"#,
            );
            prop_assert!(connection.session("S2").is_some());
        }
    }
}
