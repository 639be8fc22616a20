//! Where an engine's events arrive.
//!
//! Acks and inbound messages go to the [`crate::inbox`]; everything else goes
//! to the session's actor. Events of an older epoch are dropped here already.

use super::actor::Input;
use super::upkeep::Activity;
use crate::clock::Clock;
use crate::inbox::Inbox;
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use steadfast_core::ids::{Epoch, SessionId};
use steadfast_core::inbound::{Happening, InboundMessage};
use steadfast_core::port::{EngineEvent, EventSink, InboundRefused};
use tokio::sync::{mpsc, oneshot};

/// The newest epoch of a session, shared by all that must recognise an old one.
#[derive(Debug, Clone, Default)]
pub(super) struct CurrentEpoch(Arc<AtomicU64>);

impl CurrentEpoch {
    pub(super) fn set(&self, epoch: Epoch) {
        self.0.store(epoch.0, Ordering::Release);
    }

    pub(super) fn is(&self, epoch: Epoch) -> bool {
        self.0.load(Ordering::Acquire) == epoch.0
    }
}

/// One session's sink.
pub(super) struct SessionSink {
    pub(super) session: SessionId,
    pub(super) epoch: CurrentEpoch,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) activity: Activity,
    pub(super) clock: Arc<dyn Clock>,
    /// Whether the last word that a phone has linked it found room.
    pub(super) linked_taken: AtomicBool,
}

#[async_trait]
impl EventSink for SessionSink {
    fn event(&self, epoch: Epoch, event: EngineEvent) {
        if !self.epoch.is(epoch) {
            tracing::debug!(event = "late_event_dropped", session = %self.session, ?epoch);
            return;
        }
        match event {
            EngineEvent::Ack { wa_message_id, ack } => {
                self.activity.touch(self.clock.mono());
                self.inbox.ack(&self.session, wa_message_id, ack);
            }
            EngineEvent::AckError {
                wa_message_id,
                level,
            } => {
                // The send that waits for this ack reads the level itself; a
                // later one finds it when the message is looked up.
                tracing::warn!(event = "ack_error", session = %self.session, wa_id = %wa_message_id, level);
            }
            EngineEvent::Phase(_)
            | EngineEvent::Qr { .. }
            | EngineEvent::PasskeyWanted { .. }
            | EngineEvent::PasskeyOver(_)
            | EngineEvent::Linked
            | EngineEvent::Me { .. }
            | EngineEvent::Failed(_) => {
                let linked = matches!(event, EngineEvent::Linked);
                let taken = self.inputs.try_send(Input::Engine(epoch, event)).is_ok();
                if linked {
                    self.linked_taken.store(taken, Ordering::Release);
                }
                if !taken {
                    // Bounded on purpose. Phases are read by level, so that
                    // the next heartbeat or deadline finds what was dropped.
                    tracing::error!(event = "engine_event_dropped", session = %self.session);
                }
            }
        }
    }

    async fn happened(&self, epoch: Epoch, happening: Happening) -> Result<(), InboundRefused> {
        if !self.epoch.is(epoch) {
            return Err(InboundRefused::StaleEpoch);
        }
        self.activity.touch(self.clock.mono());
        self.inbox.happened(&self.session, happening).await
    }

    async fn login_kept(&self, epoch: Epoch) -> bool {
        let (reply, kept) = oneshot::channel();
        if !self.epoch.is(epoch) || !self.linked_taken.load(Ordering::Acquire) {
            return false;
        }
        // Behind the word that it is linked, which went the same way.
        if self
            .inputs
            .send(Input::LoginKept(epoch, reply))
            .await
            .is_err()
        {
            return false;
        }
        kept.await.is_ok()
    }

    async fn inbound(&self, epoch: Epoch, message: InboundMessage) -> Result<(), InboundRefused> {
        if !self.epoch.is(epoch) {
            return Err(InboundRefused::StaleEpoch);
        }
        self.activity.touch(self.clock.mono());
        self.inbox.keep(&self.session, message).await
    }
}
