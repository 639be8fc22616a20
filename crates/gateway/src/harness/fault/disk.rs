//! A disk without room: under the store, or under the browser's profile.

use super::process::kill_browser;
use super::{Healed, NOTICED_WITHIN, PASSES_AFTER, READY_WITHIN, Target, incident};
use crate::harness::HarnessError;
use std::time::{Duration, Instant};

/// How long the gateway may take to find that the disk is full.
const REFUSES_WITHIN: Duration = Duration::from_secs(10);
/// How long the disk stays full after that.
const STAYS_FULL: Duration = Duration::from_millis(1_500);
/// How long it may take to accept again once there is room.
const ACCEPTS_WITHIN: Duration = Duration::from_secs(20);

/// How long a message may take to go out once the profile's disk has room
/// again: a send that hangs in a page without storage is given up after 10 s.
const SENT_WITHIN: Duration = Duration::from_secs(45);

/// While the disk is full, accepts are refused with 507 and nothing that was
/// accepted is lost; when there is room, accepts and delivery go on by themselves.
///
/// The gateway is restarted first: a database that has just been opened has
/// no room of its own left in its log, so that the next write meets the disk.
pub(super) async fn full_store(target: Target<'_>) -> Result<Healed, HarnessError> {
    let (stage, traffic) = (target.stage, target.traffic);
    let mut events = stage.events();
    stage.restart_gateway().await?;
    stage.ready_again(&mut events, READY_WITHIN).await?;

    let mut refusals = traffic.refusals_for_want_of_room();
    let before = *refusals.borrow_and_update();
    let struck = Instant::now();
    stage.disks()?.store.fill().await?;
    let refused = async {
        let refused = tokio::time::timeout(REFUSES_WITHIN, refusals.wait_for(|n| *n > before));
        let at = refused.await.is_ok_and(|r| r.is_ok()).then(Instant::now);
        tokio::time::sleep(STAYS_FULL).await;
        // Room is made whatever came of it: the run goes on.
        stage.disks()?.store.empty().await?;
        Ok::<_, HarnessError>(at)
    };
    let offered = traffic.probe(stage, REFUSES_WITHIN + STAYS_FULL + ACCEPTS_WITHIN);
    let (refused, offered) = tokio::join!(refused, offered);
    let (refused, offered) = (refused?, offered?);
    if refused.is_none() && offered.is_some() {
        return Err(HarnessError::Unmet(
            "the disk was full, and no accept was refused for it".to_owned(),
        ));
    }
    stage.ready(&mut events, READY_WITHIN).await?;
    Ok(Healed {
        detection: refused.map(|at| at.saturating_duration_since(struck)),
        recovery: struck.elapsed(),
    })
}

/// The browser dies on a full disk, or is ended for it, and cannot write its profile until there
/// is room. A page that cannot store anything may look ready: the fault is
/// over when a message goes out.
pub(super) async fn full_profile(target: Target<'_>) -> Result<Healed, HarnessError> {
    let (stage, traffic) = (target.stage, target.traffic);
    let mut events = stage.events();
    let struck = Instant::now();
    stage.disks()?.profiles.fill().await?;
    let killed = kill_browser(stage).await;
    tokio::time::sleep(PASSES_AFTER).await;
    stage.disks()?.profiles.empty().await?;
    let Some(noticed) = incident(&mut events, NOTICED_WITHIN).await? else {
        killed?;
        return Err(HarnessError::TooLate {
            what: "the browser's death being noticed".to_owned(),
            seconds: NOTICED_WITHIN.as_secs(),
        });
    };
    // Where the gateway has found by itself that the disk is full, it has ended the browser
    // already, and what was to be killed was gone.
    drop(killed);
    stage.ready(&mut events, READY_WITHIN).await?;
    traffic.probe(stage, SENT_WITHIN).await?;
    stage.ready(&mut events, READY_WITHIN).await?;
    Ok(Healed {
        detection: Some(noticed.saturating_duration_since(struck)),
        recovery: struck.elapsed(),
    })
}
