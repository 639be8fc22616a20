//! The kinds of fault, and how each is let loose.
//!
//! One module a family: [`page`] and [`process`] break what the gateway
//! drives, [`outside`] breaks WhatsApp and the way to it, [`login`] the link,
//! [`profile`] and [`disk`] what is on disk, [`clock`] the time.

mod clock;
mod disk;
mod kind;
mod login;
mod outside;
mod page;
mod process;
mod profile;

pub use kind::FaultKind;

use super::HarnessError;
use super::gateway::LogEvent;
use super::stage::{READY_WITHIN, Stage, next};
use super::traffic::Traffic;
use kind::Shows;
use std::time::{Duration, Instant};
use tokio::sync::broadcast;

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
/// How long a fault that may pass unnoticed is watched.
const WATCHED_FOR: Duration = Duration::from_secs(2);

/// What a fault is let loose on.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// Simulator, gateway and phone.
    pub stage: &'a Stage,
    /// The messages that flow meanwhile.
    pub traffic: &'a Traffic,
    /// How often this kind has struck before: a kind of several forms takes turns.
    pub turn: u32,
}

impl FaultKind {
    /// Lets it loose on a session that is ready, and waits until it is ready again.
    ///
    /// # Errors
    /// Where it could not be let loose, or was not healed as it must be.
    pub async fn strike(self, target: Target<'_>) -> Result<Healed, HarnessError> {
        let scans = target.stage.scans();
        let healed = self.strike_and_wait(target).await?;
        if !self.destroys_the_login() && target.stage.scans() != scans {
            return Err(HarnessError::Unmet(
                "the login was lost: only a phone brought the session back".to_owned(),
            ));
        }
        Ok(healed)
    }

    async fn strike_and_wait(self, target: Target<'_>) -> Result<Healed, HarnessError> {
        match self.shows() {
            Shows::ByItself => match self {
                Self::DiskFullStore => disk::full_store(target).await,
                Self::DiskFullProfile => disk::full_profile(target).await,
                _ => clock::jump(target).await,
            },
            Shows::AsRestart => {
                let mut events = target.stage.events();
                let struck = Instant::now();
                self.loose(target).await?;
                let ready = target.stage.ready_again(&mut events, READY_WITHIN).await?;
                Ok(Healed {
                    detection: None,
                    recovery: ready.saturating_duration_since(struck),
                })
            }
            Shows::AsIncident => {
                let mut events = target.stage.events();
                let struck = Instant::now();
                self.loose(target).await?;
                let noticed = incident(&mut events, NOTICED_WITHIN)
                    .await?
                    .ok_or_else(|| HarnessError::TooLate {
                        what: format!("{} being noticed", self.as_str()),
                        seconds: NOTICED_WITHIN.as_secs(),
                    })?;
                let ready = target.stage.ready_again(&mut events, READY_WITHIN).await?;
                Ok(Healed {
                    detection: Some(noticed.saturating_duration_since(struck)),
                    recovery: ready.saturating_duration_since(struck),
                })
            }
            Shows::Perhaps => {
                let mut events = target.stage.events();
                let struck = Instant::now();
                self.loose(target).await?;
                // A fault that lasts is watched while it does.
                let left = WATCHED_FOR.saturating_sub(struck.elapsed());
                let noticed = incident(&mut events, left).await?;
                let ready = match noticed {
                    Some(_) => target.stage.ready_again(&mut events, READY_WITHIN).await?,
                    None => target.stage.ready(&mut events, READY_WITHIN).await?,
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

    async fn loose(self, target: Target<'_>) -> Result<(), HarnessError> {
        let stage = target.stage;
        match self {
            Self::PageClose
            | Self::PageReload
            | Self::NavigateAway
            | Self::RendererCrash
            | Self::RendererOom
            | Self::MainThreadHang
            | Self::BindingsRemoved => page::loose(self, stage).await,
            Self::BrowserKill
            | Self::BrowserStop
            | Self::PipeCut
            | Self::GatewayKill
            | Self::GatewayTerminate => process::loose(self, stage).await,
            Self::SocketDrop
            | Self::NetworkAway
            | Self::SlowAcks
            | Self::DroppedAcks
            | Self::RefusedSends
            | Self::Conflict => outside::loose(self, stage).await,
            Self::Unlink => login::unlink(stage),
            Self::ExpiredQr => login::unlink_and_hesitate(stage),
            Self::ProfileLocked => profile::lock(stage, target.turn).await,
            Self::CorruptProfile => profile::corrupt(stage, target.turn).await,
            // These let themselves loose.
            Self::DiskFullStore | Self::DiskFullProfile | Self::ClockJump => Ok(()),
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
