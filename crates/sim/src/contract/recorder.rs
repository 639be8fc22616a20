//! A sink that remembers, and can be waited on.

use super::Broken;
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use steadfast_core::ids::Epoch;
use steadfast_core::inbound::{Happening, InboundMessage};
use steadfast_core::port::{EngineEvent, EventSink, InboundRefused, Phase};
use tokio::sync::watch;
use tokio::time::Instant;

/// What an engine has told so far.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    epoch: Epoch,
    events: Vec<(Epoch, EngineEvent)>,
    late: Vec<(Epoch, EngineEvent)>,
    inbound: Vec<InboundMessage>,
    offered: u64,
    happened: Vec<Happening>,
    happenings_offered: u64,
}

impl Seen {
    /// Events of the epoch that is expected, in order.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &EngineEvent> {
        self.events
            .iter()
            .filter(|(epoch, _)| *epoch == self.epoch)
            .map(|(_, event)| event)
    }

    /// The newest phase of the epoch that is expected.
    pub fn phase(&self) -> Option<Phase> {
        self.events().rev().find_map(|event| match event {
            EngineEvent::Phase(phase) => Some(*phase),
            _ => None,
        })
    }

    /// Events that came with an epoch that was over.
    pub fn late(&self) -> &[(Epoch, EngineEvent)] {
        &self.late
    }

    /// What others wrote and was stored, in order.
    pub fn inbound(&self) -> &[InboundMessage] {
        &self.inbound
    }

    /// How often a message of others was offered, stored or not.
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// What became of messages and groups and was stored, in order.
    pub fn happened(&self) -> &[Happening] {
        &self.happened
    }

    /// How often such a thing was offered, stored or not.
    pub fn happenings_offered(&self) -> u64 {
        self.happenings_offered
    }
}

/// Remembers what an engine tells. Stores inbound messages unless told not to.
#[derive(Debug)]
pub struct Recorder {
    seen: Mutex<Seen>,
    refuse: Mutex<bool>,
    changed: watch::Sender<u64>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            seen: Mutex::new(Seen::default()),
            refuse: Mutex::new(false),
            changed: watch::Sender::new(0),
        }
    }
}

impl Recorder {
    /// Which epoch is the present one; all others are late from here on.
    pub fn expect(&self, epoch: Epoch) {
        self.lock().epoch = epoch;
    }

    /// Whether messages, and what becomes of them, are refused, as by a full disk.
    pub fn refuse_inbound(&self, refuse: bool) {
        *self.refuse.lock().unwrap_or_else(PoisonError::into_inner) = refuse;
    }

    /// Everything so far.
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    /// Waits until `look` finds something in what was told.
    ///
    /// # Errors
    ///
    /// [`Broken::TooLate`] after `within`.
    pub async fn wait<T>(
        &self,
        what: &str,
        within: Duration,
        look: impl Fn(&Seen) -> Option<T>,
    ) -> Result<T, Broken> {
        let mut changed = self.changed.subscribe();
        let deadline = Instant::now() + within;
        loop {
            changed.mark_unchanged();
            if let Some(found) = look(&self.lock()) {
                return Ok(found);
            }
            if !matches!(
                tokio::time::timeout_at(deadline, changed.changed()).await,
                Ok(Ok(()))
            ) {
                let events: Vec<EngineEvent> = self.lock().events().cloned().collect();
                return Err(Broken::TooLate {
                    what: what.to_owned(),
                    events: format!("{events:?}"),
                });
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }
}

#[async_trait]
impl EventSink for Recorder {
    fn event(&self, epoch: Epoch, event: EngineEvent) {
        {
            let mut seen = self.lock();
            if epoch == seen.epoch {
                seen.events.push((epoch, event));
            } else {
                seen.late.push((epoch, event));
            }
        }
        self.tell();
    }

    async fn happened(&self, epoch: Epoch, happening: Happening) -> Result<(), InboundRefused> {
        let answer = {
            let mut seen = self.lock();
            seen.happenings_offered += 1;
            if epoch != seen.epoch {
                Err(InboundRefused::StaleEpoch)
            } else if *self.refuse.lock().unwrap_or_else(PoisonError::into_inner) {
                Err(InboundRefused::NotStored("told to refuse".to_owned()))
            } else {
                // As a store would: once by its key, Ok either way.
                let key = happening.key();
                if !seen.happened.iter().any(|known| known.key() == key) {
                    seen.happened.push(happening);
                }
                Ok(())
            }
        };
        self.tell();
        answer
    }

    async fn inbound(&self, epoch: Epoch, message: InboundMessage) -> Result<(), InboundRefused> {
        let answer = {
            let mut seen = self.lock();
            seen.offered += 1;
            if epoch != seen.epoch {
                Err(InboundRefused::StaleEpoch)
            } else if *self.refuse.lock().unwrap_or_else(PoisonError::into_inner) {
                Err(InboundRefused::NotStored("told to refuse".to_owned()))
            } else {
                // As a store would: kept once by chat and id, Ok either way.
                let known: BTreeSet<_> = seen
                    .inbound
                    .iter()
                    .map(|m| (&m.chat, &m.wa_message_id))
                    .collect();
                if !known.contains(&(&message.chat, &message.wa_message_id)) {
                    seen.inbound.push(message);
                }
                Ok(())
            }
        };
        self.tell();
        answer
    }
}
