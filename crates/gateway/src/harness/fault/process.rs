//! What happens to the processes: the browser's and the gateway's own.

use super::FaultKind;
use crate::harness::HarnessError;
use crate::harness::relay::Fault;
use crate::harness::stage::Stage;
use rustix::process::{Pid, Signal, kill_process};

pub(super) async fn loose(kind: FaultKind, stage: &Stage) -> Result<(), HarnessError> {
    match kind {
        FaultKind::BrowserStop => signal_browser(stage, Signal::STOP).await,
        FaultKind::PipeCut => stage.inject(&Fault::CutPipe).await.map(drop),
        FaultKind::GatewayKill => stage.kill_gateway().await,
        FaultKind::GatewayTerminate => stage.restart_gateway().await,
        _ => kill_browser(stage).await,
    }
}

pub(super) async fn kill_browser(stage: &Stage) -> Result<(), HarnessError> {
    signal_browser(stage, Signal::KILL).await
}

async fn signal_browser(stage: &Stage, signal: Signal) -> Result<(), HarnessError> {
    let pid = stage.inject(&Fault::Pid).await?;
    let pid = pid
        .and_then(|pid| Pid::from_raw(pid.cast_signed()))
        .ok_or_else(|| HarnessError::Browser("the browser has no process id".to_owned()))?;
    kill_process(pid, signal)
        .map_err(|error| HarnessError::io("signalling the browser")(error.into()))
}
