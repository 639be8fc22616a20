//! What happens to the page, let loose through the relay.

use super::{FaultKind, PASSES_AFTER};
use crate::harness::HarnessError;
use crate::harness::relay::Fault;
use crate::harness::stage::Stage;
use serde_json::json;

pub(super) async fn loose(kind: FaultKind, stage: &Stage) -> Result<(), HarnessError> {
    let fault = match kind {
        FaultKind::PageClose => Fault::ClosePage,
        FaultKind::PageReload => Fault::ReloadPage,
        FaultKind::NavigateAway => Fault::NavigateAway,
        FaultKind::RendererCrash => Fault::CrashPage,
        // The relay has bounded the heap: the renderer dies, not the machine.
        FaultKind::RendererOom => Fault::ExhaustMemory,
        FaultKind::BindingsRemoved => return update_without_bindings(stage).await,
        _ => Fault::HangPage,
    };
    stage.inject(&fault).await.map(drop)
}

/// WhatsApp Web is updated, and what the gateway needs is not in it for a while.
async fn update_without_bindings(stage: &Stage) -> Result<(), HarnessError> {
    stage.turn("modules_removed", json!(["WAWebSendMsgChatAction"]))?;
    let reloaded = stage.inject(&Fault::ReloadPage).await;
    tokio::time::sleep(PASSES_AFTER).await;
    stage.turn("modules_removed", json!([]))?;
    reloaded.map(drop)
}
