//! The calls that wait for an answer, the commands that wait to be written,
//! and the sessions that they go to.

use super::Answer;
use crate::Error;
use crate::session::Session;
use crate::wire;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Commands that may wait to be written. Chromium reads its pipe on a thread
/// of its own, so they wait only where the browser itself stands still.
const MAX_QUEUED: usize = 1024;

/// Bytes of commands that may wait to be written: one of the largest, and as much again.
const MAX_QUEUED_BYTES: usize = 2 * wire::MAX_COMMAND;

/// Small commands are written together up to this size: one pipe's worth.
const WRITE_TOGETHER: usize = 64 << 10;

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) pending: HashMap<u64, Pending>,
    pub(super) sessions: HashMap<Arc<str>, Arc<Session>>,
    /// Commands that wait to be written. One whose caller stops waiting is
    /// taken out again: a browser that stands still holds up to the bound of
    /// calls that somebody waits for, not of those given up.
    pub(super) queue: VecDeque<Command>,
    pub(super) queued_bytes: usize,
}

/// A call that waits for its answer.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) session: Option<Arc<str>>,
    pub(super) method: &'static str,
    /// Whether it was given to the pipe.
    pub(super) in_flight: bool,
    /// Whether the page's scripts were terminated while it ran.
    pub(super) terminated: bool,
    pub(super) answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
pub(super) struct Command {
    pub(super) id: u64,
    pub(super) bytes: Vec<u8>,
}

impl Table {
    pub(super) fn enqueue(&mut self, command: Command, method: &'static str) -> Result<(), Error> {
        let bytes = self.queued_bytes + command.bytes.len();
        if self.queue.len() >= MAX_QUEUED || bytes > MAX_QUEUED_BYTES {
            return Err(Error::Overloaded { method });
        }
        self.queued_bytes = bytes;
        self.queue.push_back(command);
        Ok(())
    }

    /// Takes from the queue what is worth one write. Gives whether there was anything.
    pub(super) fn dequeue(&mut self, bytes: &mut Vec<u8>) -> bool {
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

    /// Takes out a call that has its answer. What was not yet written cannot
    /// have one: whatever bears its number is none.
    pub(super) fn answered(&mut self, id: u64) -> Option<Pending> {
        self.pending.get(&id).filter(|call| call.in_flight)?;
        self.pending.remove(&id)
    }

    /// Takes a call out; its command too, where it was not yet written.
    pub(super) fn withdraw(&mut self, id: u64) -> Option<Pending> {
        let call = self.pending.remove(&id)?;
        if !call.in_flight
            && let Some(at) = self.queue.iter().position(|command| command.id == id)
            && let Some(command) = self.queue.remove(at)
        {
            self.queued_bytes -= command.bytes.len();
        }
        Some(call)
    }

    pub(super) fn terminate_calls_of(&mut self, session: Option<&Session>) {
        for call in self.pending.values_mut() {
            if call.session.as_ref() == session.map(|session| &session.id) {
                call.terminated = true;
            }
        }
    }

    pub(super) fn fail_calls_of(
        &mut self,
        session: &Arc<str>,
        error: impl Fn(&'static str, bool) -> Error,
    ) {
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
