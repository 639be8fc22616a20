//! The clauses. Each takes a fresh rig and reads as what an engine promises.

mod asking;
mod happening;
mod kinds;
mod life;
mod linking;
mod receiving;
mod sending;

pub(super) use asking::*;
pub(super) use happening::*;
pub(super) use kinds::*;
pub(super) use life::*;
pub(super) use linking::*;
pub(super) use receiving::*;
pub(super) use sending::*;

use super::{Kept, Session, ensure};
use steadfast_core::ids::WaMessageId;
use steadfast_core::outbox::Ack;
use steadfast_core::port::{EngineEvent, SendOutcome};

/// The outcome of a send that the server must have.
pub(super) fn with_server(outcome: &SendOutcome) -> Kept {
    ensure(
        matches!(outcome, SendOutcome::HandedOff(ack) if *ack >= Ack::Server),
        || format!("the send ended as {outcome:?}"),
    )
}

pub(super) fn failed(event: &EngineEvent) -> Option<steadfast_core::failure::Failure> {
    match event {
        EngineEvent::Failed(failure) => Some(failure.clone()),
        _ => None,
    }
}

pub(super) async fn acked(session: &Session, of: &WaMessageId, at_least: Ack) -> Kept {
    session
        .wait_event("the ack", |event| match event {
            EngineEvent::Ack { wa_message_id, ack } if wa_message_id == of && *ack >= at_least => {
                Some(())
            }
            _ => None,
        })
        .await
}
