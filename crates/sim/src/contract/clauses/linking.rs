//! Linking and losing the link.

use super::{failed, with_server};
use crate::authenticator::Authenticator;
use crate::contract::{Broken, Kept, Rig, Seen, Session, ensure, id, somebody, text};
use crate::journal::Event;
use crate::world::Fault;
use steadfast_core::failure::{Failure, Kind};
use steadfast_core::port::{EngineEvent, OpenStep, PasskeyEnd, Phase};

pub(in crate::contract) async fn an_empty_profile_shows_a_code_and_links(rig: Rig) -> Kept {
    let session = Session::open(rig).await?;
    session.phase(Phase::Linking).await?;
    session.link_by_code().await?;
    session.ready().await?;
    session
        .wait_event("Linked", |e| matches!(e, EngineEvent::Linked).then_some(()))
        .await?;
    let me = session
        .wait_event("Me", |e| match e {
            EngineEvent::Me { id, .. } => Some(id.clone()),
            _ => None,
        })
        .await?;
    ensure(me == session.rig.phone.id(), || {
        format!("we are said to be {me}")
    })?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn a_pairing_code_links(rig: Rig) -> Kept {
    let session = Session::open(rig).await?;
    session
        .wait_event("a QR code", |e| {
            matches!(e, EngineEvent::Qr { .. }).then_some(())
        })
        .await?;
    let number = session.rig.phone.id();
    let code = session
        .engine
        .request_pair_code(number.user())
        .await
        .map_err(|f| Broken::failed("asking for a pairing code", f))?;
    session.rig.phone.enter_pairing_code(&code).await?;
    session.ready().await?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn a_passkey_that_is_asked_for_is_told_and_answered(
    rig: Rig,
) -> Kept {
    let passkey = Authenticator::new()?;
    rig.phone.demand_passkey(&passkey.passkey()).await?;
    let session = Session::open(rig).await?;
    session.phase(Phase::Linking).await?;
    let other = passkey.answer(r#"{"challenge":"b3RoZXI","rpId":"whatsapp.com"}"#)?;
    let early = session.engine.answer_passkey(&other).await;
    ensure(is_refused(&early), || {
        format!("an answer that nobody asked for was taken: {early:?}")
    })?;
    session.link_by_code().await?;
    let (options, expires_in_ms) = session
        .wait_event("a passkey wanted", |e| match e {
            EngineEvent::PasskeyWanted {
                options,
                expires_in_ms,
            } => Some((options.clone(), *expires_in_ms)),
            _ => None,
        })
        .await?;
    ensure(expires_in_ms > 0, || {
        "there is no time to answer".to_owned()
    })?;
    let wrong = session.engine.answer_passkey(&other).await;
    ensure(is_refused(&wrong), || {
        format!("an answer to another question was taken: {wrong:?}")
    })?;
    let answer = passkey.answer(&options)?;
    session
        .engine
        .answer_passkey(&answer)
        .await
        .map_err(|f| Broken::failed("answering the passkey", f))?;
    session.ready().await?;
    session
        .wait_event("the end of the question", |e| {
            (*e == EngineEvent::PasskeyOver(PasskeyEnd::Answered)).then_some(())
        })
        .await?;
    session.close().await;
    Ok(())
}

fn is_refused(answered: &Result<(), Failure>) -> bool {
    matches!(answered, Err(failure) if failure.kind == Kind::PermanentRequestError)
}

pub(in crate::contract) async fn codes_are_renewed_until_one_is_scanned(rig: Rig) -> Kept {
    let session = Session::open(rig).await?;
    let codes = |seen: &Seen| {
        let mut codes: Vec<(String, u64)> = seen
            .events()
            .filter_map(|e| match e {
                EngineEvent::Qr {
                    code,
                    expires_in_ms,
                } => Some((code.clone(), *expires_in_ms)),
                _ => None,
            })
            .collect();
        codes.dedup();
        codes
    };
    let shown = session
        .recorder
        .wait("two codes", session.rig.patience, |seen| {
            Some(codes(seen)).filter(|c| c.len() >= 2)
        })
        .await?;
    ensure(shown[0].0 != shown[1].0, || {
        "the code did not change".to_owned()
    })?;
    ensure(shown.iter().all(|(_, ms)| *ms > 0), || {
        format!("codes without a time: {shown:?}")
    })?;
    session.link_by_code().await?;
    session.ready().await?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn a_login_survives_every_step_that_keeps_the_profile(
    rig: Rig,
) -> Kept {
    let mut session = Session::linked(rig).await?;
    for step in [
        OpenStep::Launch,
        OpenStep::TerminateScript,
        OpenStep::Reload,
        OpenStep::NewPage,
        OpenStep::RestartBrowser,
    ] {
        session.reopen(step).await?;
        session.ready().await?;
        let linked_again = session
            .recorder
            .seen()
            .events()
            .any(|e| matches!(e, EngineEvent::Linked));
        ensure(!linked_again, || {
            format!("{step:?} was reported as a new login")
        })?;
    }
    session.close().await;
    session.reopen(OpenStep::Launch).await?;
    session.ready().await?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn a_fresh_profile_is_not_linked(rig: Rig) -> Kept {
    let mut session = Session::linked(rig).await?;
    session.reopen(OpenStep::FreshProfile).await?;
    session.phase(Phase::Linking).await?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn an_unlink_fails_the_epoch_and_asks_for_a_phone(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    session.rig.phone.unlink().await?;
    let failure = session.wait_event("the unlink", failed).await?;
    ensure(
        matches!(failure.kind, Kind::AuthRequired | Kind::AuthFailed),
        || format!("an unlink is taken for {failure:?}"),
    )?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn a_relinked_account_sends_again(rig: Rig) -> Kept {
    let mut session = Session::linked(rig).await?;
    session.rig.phone.unlink().await?;
    session.wait_event("the unlink", failed).await?;
    session.reopen(OpenStep::FreshProfile).await?;
    session.link_by_code().await?;
    session.ready().await?;
    with_server(
        &session
            .engine
            .send(&id(1), &somebody()?, &text("again"))
            .await,
    )?;
    session.reached(&id(1)).await?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn a_replaced_page_says_conflict(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    session
        .rig
        .phone
        .fault(Fault::Conflict { account: None })
        .await?;
    let failure = session.wait_event("the conflict", failed).await?;
    ensure(failure.kind == Kind::Conflict, || {
        format!("a conflict is taken for {failure:?}")
    })?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn a_logout_unlinks(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    session
        .engine
        .logout()
        .await
        .map_err(|f| Broken::failed("the logout", f))?;
    session
        .rig
        .phone
        .wait_for(Event::Unlinked, session.rig.patience, &|_| true)
        .await?;
    session.close().await;
    Ok(())
}
