//! Epochs, outages, health.

use super::with_server;
use crate::contract::{Broken, Kept, Rig, Session, ensure, id, somebody, text};
use crate::world::Fault;
use steadfast_core::failure::Resend;
use steadfast_core::port::{Close, LookupOutcome, OpenStep, Phase, SendOutcome};

pub(in crate::contract) async fn an_outage_is_offline_and_ends_by_itself(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    ensure(session.rig.connector.network_reachable().await, || {
        "the network is said to be away".to_owned()
    })?;
    session
        .rig
        .phone
        .fault(Fault::NetworkAway { ms: 0 })
        .await?;
    session.phase(Phase::Offline).await?;
    session.network_gone().await?;
    session.rig.phone.fault(Fault::NetworkBack).await?;
    session.ready().await?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn a_closed_engine_sends_nothing(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    session.close().await;
    let to = somebody()?;
    let outcome = session.engine.send(&id(1), &to, &text("too late")).await;
    ensure(
        matches!(&outcome, SendOutcome::NotSent(f) if f.resend == Resend::Yes),
        || format!("{outcome:?}"),
    )?;
    ensure(session.engine.health().await.is_err(), || {
        "a closed engine is said to be well".to_owned()
    })?;
    let found = session.engine.lookup(&id(1), &to).await;
    ensure(matches!(found, LookupOutcome::Failed(_)), || {
        format!("a closed engine found {found:?}")
    })
}

pub(in crate::contract) async fn closing_twice_is_closing_once(rig: Rig) -> Kept {
    rig.connector.close(Close::Kill).await;
    let mut session = Session::linked(rig).await?;
    session.close().await;
    session.close().await;
    session.rig.connector.close(Close::Kill).await;
    session.reopen(OpenStep::Launch).await?;
    session.ready().await?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn a_newer_epoch_silences_the_older_one(rig: Rig) -> Kept {
    let mut session = Session::linked(rig).await?;
    let older = session.engine.clone();
    session.reopen(OpenStep::Reload).await?;
    session.ready().await?;
    let outcome = older
        .send(&id(1), &somebody()?, &text("from the past"))
        .await;
    ensure(matches!(outcome, SendOutcome::NotSent(_)), || {
        format!("the older engine answered {outcome:?}")
    })?;
    ensure(older.epoch() != session.engine.epoch(), || {
        "both engines have the same epoch".to_owned()
    })?;
    with_server(
        &session
            .engine
            .send(&id(2), &somebody()?, &text("now"))
            .await,
    )?;
    session.reached(&id(2)).await?;
    let copies = session.copies("from the past").await?;
    ensure(copies == 0, || {
        "the older engine sent it all the same".to_owned()
    })?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn health_tells_the_phase_by_level(rig: Rig) -> Kept {
    let session = Session::open(rig).await?;
    session.phase(Phase::Linking).await?;
    let health = session
        .engine
        .health()
        .await
        .map_err(|f| Broken::failed("health while linking", f))?;
    ensure(health.phase == Phase::Linking, || format!("{health:?}"))?;
    session.link_by_code().await?;
    session.ready().await?;
    let health = session
        .engine
        .health()
        .await
        .map_err(|f| Broken::failed("health when ready", f))?;
    ensure(health.phase == Phase::Ready, || format!("{health:?}"))?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn chats_are_listed(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let from = somebody()?;
    session.rig.phone.send_text(&from, "list me").await?;
    session
        .recorder
        .wait("the message", session.rig.patience, |seen| {
            seen.inbound().first().map(|_| ())
        })
        .await?;
    let chats = session
        .engine
        .chats()
        .await
        .map_err(|f| Broken::failed("listing chats", f))?;
    ensure(chats.iter().any(|c| c.id == from && !c.is_group), || {
        format!("{chats:?}")
    })?;
    session.close().await;
    Ok(())
}
