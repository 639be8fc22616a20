//! What WhatsApp and the way to it do, let loose in the simulator.

use super::{FaultKind, PASSES_AFTER};
use crate::harness::HarnessError;
use crate::harness::stage::Stage;
use serde_json::json;
use steadfast_sim::world::Fault;

/// From taking a message to its ack, while the server takes its time.
const SLOW_ACK_MS: u64 = 1_500;

pub(super) async fn loose(kind: FaultKind, stage: &Stage) -> Result<(), HarnessError> {
    let fault = match kind {
        FaultKind::SocketDrop => Fault::DropSockets { account: None },
        FaultKind::NetworkAway => Fault::NetworkAway {
            ms: u64::try_from(PASSES_AFTER.as_millis()).unwrap_or(u64::MAX),
        },
        FaultKind::SlowAcks => {
            let usual = steadfast_sim::knobs::Knobs::default().ack_delay_ms;
            stage.turn("ack_delay_ms", json!(SLOW_ACK_MS))?;
            tokio::time::sleep(PASSES_AFTER).await;
            return stage.turn("ack_delay_ms", json!(usual));
        }
        FaultKind::DroppedAcks => Fault::DropAcks { count: 2 },
        FaultKind::RefusedSends => refused_sends(2),
        _ => Fault::Conflict { account: None },
    };
    Ok(stage.control().fault(fault)?)
}

/// The server has an error of its own with the next sends.
pub(super) fn refused_sends(count: u32) -> Fault {
    Fault::RefuseSends {
        count,
        code: 500,
        level: -1,
        result: "ERROR_UNKNOWN".to_owned(),
    }
}
