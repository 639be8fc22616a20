//! The wall clock of the gateway, and of its page, is set.
//!
//! The machine's clock stays as it is. The gateway reads its own through a
//! hook that nobody else sets (see [`crate::clock`]); the page's `Date` is
//! moved as far, so that gateway and page agree with each other and with
//! nobody else, as after a machine's clock was set.

use super::outside::refused_sends;
use super::{Healed, READY_WITHIN, Target};
use crate::harness::HarnessError;
use crate::harness::relay::Fault;
use std::time::{Duration, Instant};

/// How far it jumps. Further than any pause that the gateway makes, and short
/// of the day for which idempotency keys are kept.
const FAR: i64 = 6 * 3_600_000;
/// How long a message may take under a new time.
const SENT_WITHIN: Duration = Duration::from_secs(20);

/// Ahead, far back, and right again. After each jump a message must go out,
/// and so must one that was refused, and waits for its next try, when the
/// clock goes back.
pub(super) async fn jump(target: Target<'_>) -> Result<Healed, HarnessError> {
    let stage = target.stage;
    let mut slowest = Duration::ZERO;
    for offset in [FAR, -FAR, 0] {
        let back = offset < 0;
        if back {
            stage.control().fault(refused_sends(1))?;
        }
        let waiting = if back {
            target.traffic.probe(stage, Duration::ZERO).await?
        } else {
            None
        };
        let jumped = Instant::now();
        stage.set_clock(offset)?;
        // A page that is just being replaced has the right time soon enough.
        let _ = stage.inject(&Fault::SetClock { ms: offset }).await;
        let sent = target.traffic.probe(stage, SENT_WITHIN).await?;
        if let Some(waiting) = waiting {
            target.traffic.sent(stage, &waiting, SENT_WITHIN).await?;
        }
        if sent.is_some() {
            slowest = slowest.max(jumped.elapsed());
        }
    }
    let mut events = stage.events();
    stage.ready(&mut events, READY_WITHIN).await?;
    Ok(Healed {
        detection: None,
        recovery: slowest,
    })
}
