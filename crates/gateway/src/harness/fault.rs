//! The kinds of fault, and how each is let loose.

use super::HarnessError;
use super::gateway::LogEvent;
use super::relay::{self, Fault};
use super::stage::{PHONE, READY_WITHIN, Stage, next};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::{Duration, Instant};
use steadfast_sim::world;
use tokio::sync::broadcast;

/// What can be done to a running gateway from outside.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum FaultKind {
    /// The page is closed.
    PageClose,
    /// The page is loaded anew behind the gateway's back.
    PageReload,
    /// The page goes somewhere else.
    NavigateAway,
    /// The renderer crashes.
    RendererCrash,
    /// The page's main thread hangs for ever.
    MainThreadHang,
    /// The browser is killed.
    BrowserKill,
    /// The browser is stopped, and answers nothing.
    BrowserStop,
    /// The pipe to the browser is cut while the browser lives.
    PipeCut,
    /// WhatsApp's socket is dropped.
    SocketDrop,
    /// WhatsApp cannot be reached for three seconds.
    NetworkAway,
    /// The server takes its time to ack.
    SlowAcks,
    /// Some acks get lost.
    DroppedAcks,
    /// The server refuses some sends.
    RefusedSends,
    /// The link is opened elsewhere.
    Conflict,
    /// The phone removes the link, and scans again.
    Unlink,
    /// A WhatsApp update lacks bindings for three seconds.
    BindingsRemoved,
    /// The gateway is killed and started again.
    GatewayKill,
    /// The gateway is asked to end in mid-send, and started again.
    GatewayTerminate,
}

/// How a fault shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    /// The gateway must notice it, and say so.
    AsIncident,
    /// It may pass without an incident, as long as the session is ready afterwards.
    Perhaps,
    /// The gateway itself begins anew.
    AsRestart,
}

/// A fault that was healed.
#[derive(Debug, Clone, Copy)]
pub struct Healed {
    /// From the fault to the gateway's first word about it; absent where it is not such a fault.
    pub detection: Option<Duration>,
    /// From the fault to ready again.
    pub recovery: Duration,
}

/// How long a fault may take to be noticed.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);
/// How long a passing fault of the outside world lasts.
const PASSES_AFTER: Duration = Duration::from_secs(3);

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 18] = [
        Self::PageClose,
        Self::PageReload,
        Self::NavigateAway,
        Self::RendererCrash,
        Self::MainThreadHang,
        Self::BrowserKill,
        Self::BrowserStop,
        Self::PipeCut,
        Self::SocketDrop,
        Self::NetworkAway,
        Self::SlowAcks,
        Self::DroppedAcks,
        Self::RefusedSends,
        Self::Conflict,
        Self::Unlink,
        Self::BindingsRemoved,
        Self::GatewayKill,
        Self::GatewayTerminate,
    ];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PageClose => "page_close",
            Self::PageReload => "page_reload",
            Self::NavigateAway => "navigate_away",
            Self::RendererCrash => "renderer_crash",
            Self::MainThreadHang => "main_thread_hang",
            Self::BrowserKill => "browser_kill",
            Self::BrowserStop => "browser_stop",
            Self::PipeCut => "pipe_cut",
            Self::SocketDrop => "socket_drop",
            Self::NetworkAway => "network_away",
            Self::SlowAcks => "slow_acks",
            Self::DroppedAcks => "dropped_acks",
            Self::RefusedSends => "refused_sends",
            Self::Conflict => "conflict",
            Self::Unlink => "unlink",
            Self::BindingsRemoved => "bindings_removed",
            Self::GatewayKill => "gateway_kill",
            Self::GatewayTerminate => "gateway_terminate",
        }
    }

    fn shows(self) -> Shows {
        match self {
            Self::PageClose
            | Self::NavigateAway
            | Self::RendererCrash
            | Self::MainThreadHang
            | Self::BrowserKill
            | Self::BrowserStop
            | Self::PipeCut
            | Self::NetworkAway
            | Self::Conflict
            | Self::Unlink
            | Self::BindingsRemoved => Shows::AsIncident,
            Self::PageReload
            | Self::SocketDrop
            | Self::SlowAcks
            | Self::DroppedAcks
            | Self::RefusedSends => Shows::Perhaps,
            Self::GatewayKill | Self::GatewayTerminate => Shows::AsRestart,
        }
    }

    /// Lets it loose on a session that is ready, and waits until it is ready again.
    pub async fn strike(self, stage: &Stage) -> Result<Healed, HarnessError> {
        let mut events = stage.events();
        let struck = Instant::now();
        self.loose(stage).await?;
        match self.shows() {
            Shows::AsRestart => {
                let ready = stage.ready_again(&mut events, READY_WITHIN).await?;
                Ok(Healed {
                    detection: None,
                    recovery: ready.saturating_duration_since(struck),
                })
            }
            Shows::AsIncident => {
                let noticed = incident(&mut events, NOTICED_WITHIN)
                    .await?
                    .ok_or_else(|| HarnessError::TooLate {
                        what: format!("{} being noticed", self.as_str()),
                        seconds: NOTICED_WITHIN.as_secs(),
                    })?;
                let ready = stage.ready_again(&mut events, READY_WITHIN).await?;
                Ok(Healed {
                    detection: Some(noticed.saturating_duration_since(struck)),
                    recovery: ready.saturating_duration_since(struck),
                })
            }
            Shows::Perhaps => {
                let noticed = incident(&mut events, Duration::from_secs(2)).await?;
                let ready = match noticed {
                    Some(_) => stage.ready_again(&mut events, READY_WITHIN).await?,
                    None => stage.ready(&mut events, READY_WITHIN).await?,
                };
                Ok(Healed {
                    detection: noticed.map(|at| at.saturating_duration_since(struck)),
                    // What nobody noticed took no time to heal.
                    recovery: noticed
                        .map_or(Duration::ZERO, |_| ready.saturating_duration_since(struck)),
                })
            }
        }
    }

    async fn loose(self, stage: &Stage) -> Result<(), HarnessError> {
        let inject = async |fault: Fault| {
            relay::inject(stage.relay(), &fault)
                .await
                .map_err(HarnessError::io("injecting a fault through the relay"))
        };
        match self {
            Self::PageClose => inject(Fault::ClosePage).await.map(drop),
            Self::PageReload => inject(Fault::ReloadPage).await.map(drop),
            Self::NavigateAway => inject(Fault::NavigateAway).await.map(drop),
            Self::RendererCrash => inject(Fault::CrashPage).await.map(drop),
            Self::MainThreadHang => inject(Fault::HangPage).await.map(drop),
            Self::PipeCut => inject(Fault::CutPipe).await.map(drop),
            Self::BrowserKill => signal(inject(Fault::Pid).await?, Signal::KILL),
            Self::BrowserStop => signal(inject(Fault::Pid).await?, Signal::STOP),
            Self::SocketDrop => simulate(stage, world::Fault::DropSockets { account: None }),
            Self::NetworkAway => {
                let ms = u64::try_from(PASSES_AFTER.as_millis()).unwrap_or(u64::MAX);
                simulate(stage, world::Fault::NetworkAway { ms })
            }
            Self::SlowAcks => {
                stage.turn("ack_delay_ms", json!(1_500))?;
                tokio::time::sleep(PASSES_AFTER).await;
                stage.turn("ack_delay_ms", json!(5))
            }
            Self::DroppedAcks => simulate(stage, world::Fault::DropAcks { count: 2 }),
            Self::RefusedSends => simulate(
                stage,
                world::Fault::RefuseSends {
                    count: 2,
                    code: 500,
                    level: -1,
                    result: "ERROR_UNKNOWN".to_owned(),
                },
            ),
            Self::Conflict => simulate(stage, world::Fault::Conflict { account: None }),
            Self::Unlink => {
                stage.control().unlink(PHONE, None, 0)?;
                Ok(())
            }
            Self::BindingsRemoved => {
                stage.turn("modules_removed", json!(["WAWebSendMsgChatAction"]))?;
                inject(Fault::ReloadPage).await?;
                tokio::time::sleep(PASSES_AFTER).await;
                stage.turn("modules_removed", json!([]))
            }
            Self::GatewayKill => stage.kill_gateway().await,
            Self::GatewayTerminate => stage.restart_gateway().await,
        }
    }
}

/// When the gateway first said that something failed.
async fn incident(
    events: &mut broadcast::Receiver<LogEvent>,
    within: Duration,
) -> Result<Option<Instant>, HarnessError> {
    let noticed = next(events, |e| e.name == crate::events::SESSION_CLOSED);
    match tokio::time::timeout(within, noticed).await {
        Ok(Ok(event)) => Ok(Some(event.at)),
        // Events were missed: the log runs faster than we read.
        Ok(Err(_)) => Ok(Some(Instant::now())),
        Err(_) => Ok(None),
    }
}

fn signal(pid: u32, signal: Signal) -> Result<(), HarnessError> {
    let pid = Pid::from_raw(pid.cast_signed())
        .ok_or_else(|| HarnessError::Browser("the browser has no process id".to_owned()))?;
    kill_process(pid, signal)
        .map_err(|error| HarnessError::io("signalling the browser")(error.into()))
}

fn simulate(stage: &Stage, fault: world::Fault) -> Result<(), HarnessError> {
    Ok(stage.control().fault(fault)?)
}
