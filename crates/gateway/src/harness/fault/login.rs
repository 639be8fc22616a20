//! What happens to the link between phone and gateway.

use crate::harness::HarnessError;
use crate::harness::stage::{PHONE, Stage};
use serde_json::json;

/// How many codes pass before the phone scans one.
const CODES_LEFT_ALONE: u32 = 4;
/// How long a code is shown while the phone hesitates.
const SHORT_CODE_MS: u64 = 600;
/// How many codes the server gives at once then; the page asks for more itself, or must be asked to.
const FEW_CODES: u32 = 2;

/// The phone removes the link; its owner scans the next code that is shown.
pub(super) fn unlink(stage: &Stage) -> Result<(), HarnessError> {
    stage.control().unlink(PHONE, None, 0)?;
    Ok(())
}

/// The same, and the owner looks for the phone first: codes expire, and whole
/// sets of them, before the newest is scanned.
pub(super) fn unlink_and_hesitate(stage: &Stage) -> Result<(), HarnessError> {
    stage.turn("qr_ttl_ms", json!(SHORT_CODE_MS))?;
    stage.turn("qr_refs", json!(FEW_CODES))?;
    stage.hesitate(CODES_LEFT_ALONE);
    unlink(stage)
}
