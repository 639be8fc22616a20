//! The clauses. Each takes a fresh rig and reads as what an engine promises.

use super::{Broken, Kept, Rig, Session, ensure, id, somebody, text};
use crate::journal::Event;
use crate::world::Fault;
use steadfast_core::failure::{Kind, Resend};
use steadfast_core::ids::{ChatId, WaMessageId};
use steadfast_core::outbox::Ack;
use steadfast_core::port::{Close, EngineEvent, LookupOutcome, OpenStep, Phase, SendOutcome};

/// The outcome of a send that the server must have.
fn with_server(outcome: &SendOutcome) -> Kept {
    ensure(
        matches!(outcome, SendOutcome::HandedOff(ack) if *ack >= Ack::Server),
        || format!("the send ended as {outcome:?}"),
    )
}

fn failed(event: &EngineEvent) -> Option<steadfast_core::failure::Failure> {
    match event {
        EngineEvent::Failed(failure) => Some(failure.clone()),
        _ => None,
    }
}

async fn acked(session: &Session, of: &WaMessageId, at_least: Ack) -> Kept {
    session
        .wait_event("the ack", |event| match event {
            EngineEvent::Ack { wa_message_id, ack } if wa_message_id == of && *ack >= at_least => {
                Some(())
            }
            _ => None,
        })
        .await
}

// ---------------------------------------------------------------- linking

pub(super) async fn an_empty_profile_shows_a_code_and_links(rig: Rig) -> Kept {
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

pub(super) async fn a_pairing_code_links(rig: Rig) -> Kept {
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

pub(super) async fn codes_are_renewed_until_one_is_scanned(rig: Rig) -> Kept {
    let session = Session::open(rig).await?;
    let codes = |seen: &super::recorder::Seen| {
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

pub(super) async fn a_login_survives_every_step_that_keeps_the_profile(rig: Rig) -> Kept {
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

pub(super) async fn a_fresh_profile_is_not_linked(rig: Rig) -> Kept {
    let mut session = Session::linked(rig).await?;
    session.reopen(OpenStep::FreshProfile).await?;
    session.phase(Phase::Linking).await?;
    session.close().await;
    Ok(())
}

pub(super) async fn an_unlink_fails_the_epoch_and_asks_for_a_phone(rig: Rig) -> Kept {
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

pub(super) async fn a_relinked_account_sends_again(rig: Rig) -> Kept {
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

pub(super) async fn a_replaced_page_says_conflict(rig: Rig) -> Kept {
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

pub(super) async fn a_logout_unlinks(rig: Rig) -> Kept {
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

// ---------------------------------------------------------------- sending

pub(super) async fn a_text_reaches_the_recipient_once_and_is_acked(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let to = somebody()?;
    with_server(
        &session
            .engine
            .send(&id(1), &to, &text("grüß dich 👋"))
            .await,
    )?;
    session.reached(&id(1)).await?;
    acked(&session, &id(1), Ack::Device).await?;
    let reached = session.rig.phone.reached().await?;
    ensure(
        reached.len() == 1 && reached[0].text == "grüß dich 👋" && reached[0].to == to.as_str(),
        || format!("what reached others is {reached:?}"),
    )?;
    session.close().await;
    Ok(())
}

pub(super) async fn the_same_id_twice_is_one_message(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let to = somebody()?;
    with_server(&session.engine.send(&id(1), &to, &text("once")).await)?;
    // Whatever it answers, nobody may get a second copy, and it must not be
    // said that WhatsApp lacks it.
    let again = session.engine.send(&id(1), &to, &text("once")).await;
    ensure(
        matches!(again, SendOutcome::HandedOff(_) | SendOutcome::Unknown(_)),
        || format!("a message that was sent is said to be {again:?}"),
    )?;
    session.engine.send(&id(2), &to, &text("after it")).await;
    session.reached(&id(2)).await?;
    session.one_copy("once").await?;
    session.close().await;
    Ok(())
}

pub(super) async fn an_id_that_was_never_sent_is_not_found(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let to = somebody()?;
    let found = session.engine.lookup(&id(9), &to).await;
    ensure(found == LookupOutcome::NotFound, || {
        format!("before the chat exists: {found:?}")
    })?;
    session
        .engine
        .send(&id(1), &to, &text("a chat is there now"))
        .await;
    let found = session.engine.lookup(&id(9), &to).await;
    ensure(found == LookupOutcome::NotFound, || {
        format!("in a chat that exists: {found:?}")
    })?;
    session.close().await;
    Ok(())
}

pub(super) async fn a_sent_id_is_found_after_a_restart(rig: Rig) -> Kept {
    let mut session = Session::linked(rig).await?;
    let to = somebody()?;
    with_server(&session.engine.send(&id(1), &to, &text("remember me")).await)?;
    for step in [
        OpenStep::Reload,
        OpenStep::NewPage,
        OpenStep::RestartBrowser,
    ] {
        session.reopen(step).await?;
        session.ready().await?;
        let found = session.engine.lookup(&id(1), &to).await;
        ensure(
            matches!(found, LookupOutcome::Found(ack) if ack >= Ack::Server),
            || format!("after {step:?}: {found:?}"),
        )?;
    }
    session.close().await;
    Ok(())
}

pub(super) async fn a_lost_ack_leaves_one_message_however_often_it_is_tried(rig: Rig) -> Kept {
    let mut session = Session::linked(rig).await?;
    let to = somebody()?;
    session
        .rig
        .phone
        .fault(Fault::DropAcks { count: 1 })
        .await?;
    let first = session.engine.send(&id(1), &to, &text("ack lost")).await;
    ensure(
        !matches!(first, SendOutcome::NotSent(_) | SendOutcome::Rejected(_)),
        || format!("a message that the server took is said to be {first:?}"),
    )?;
    session.reopen(OpenStep::Reload).await?;
    session.ready().await?;
    let found = session.engine.lookup(&id(1), &to).await;
    ensure(matches!(found, LookupOutcome::Found(_)), || {
        format!("after a reload: {found:?}")
    })?;
    if found == LookupOutcome::Found(Ack::Pending) {
        session.engine.resend(&id(1), &to).await;
    }
    acked(&session, &id(1), Ack::Server).await?;
    with_server(&session.engine.send(&id(2), &to, &text("after it")).await)?;
    session.reached(&id(2)).await?;
    session.one_copy("ack lost").await?;
    session.close().await;
    Ok(())
}

pub(super) async fn a_text_handed_over_while_offline_arrives_when_the_network_is_back(
    rig: Rig,
) -> Kept {
    let session = Session::linked(rig).await?;
    let to = somebody()?;
    session
        .rig
        .phone
        .fault(Fault::NetworkAway { ms: 0 })
        .await?;
    session.phase(Phase::Offline).await?;
    let outcome = session.engine.send(&id(1), &to, &text("patience")).await;
    session.rig.phone.fault(Fault::NetworkBack).await?;
    session.ready().await?;
    match outcome {
        // In the page's outbox, or perhaps: it must come out of it once.
        SendOutcome::HandedOff(_) | SendOutcome::Unknown(_) => session.reached(&id(1)).await?,
        SendOutcome::NotSent(failure) => {
            ensure(failure.resend == Resend::Yes, || format!("{failure:?}"))?;
            with_server(&session.engine.send(&id(1), &to, &text("patience")).await)?;
            session.reached(&id(1)).await?;
        }
        SendOutcome::Rejected(failure) => {
            return Err(Broken::failed("a send while offline", failure));
        }
    }
    session.one_copy("patience").await?;
    session.close().await;
    Ok(())
}

pub(super) async fn texts_to_one_chat_keep_their_order(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let to = somebody()?;
    for n in 1..=10 {
        with_server(
            &session
                .engine
                .send(&id(n), &to, &text(&n.to_string()))
                .await,
        )?;
    }
    session.reached(&id(10)).await?;
    let texts: Vec<String> = session
        .rig
        .phone
        .reached()
        .await?
        .into_iter()
        .map(|r| r.text)
        .collect();
    let expected: Vec<String> = (1..=10).map(|n| n.to_string()).collect();
    ensure(texts == expected, || format!("they arrived as {texts:?}"))?;
    session.close().await;
    Ok(())
}

pub(super) async fn a_number_without_whatsapp_is_rejected(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let to = somebody()?;
    session.rig.phone.set_exists(&to, false).await?;
    let outcome = session.engine.send(&id(1), &to, &text("nobody")).await;
    ensure(
        matches!(&outcome, SendOutcome::Rejected(f) if f.kind == Kind::RecipientInvalid),
        || format!("{outcome:?}"),
    )?;
    session.close().await;
    Ok(())
}

pub(super) async fn numbers_are_checked(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let missing =
        ChatId::parse("4915155500009@c.us").map_err(|e| Broken::Otherwise(e.to_string()))?;
    session.rig.phone.set_exists(&missing, false).await?;
    for (number, there) in [(somebody()?, true), (missing, false)] {
        let found = session
            .engine
            .check_number(&number)
            .await
            .map_err(|f| Broken::failed("the number check", f))?;
        ensure(found.is_some() == there, || format!("{number}: {found:?}"))?;
    }
    session.close().await;
    Ok(())
}

// ---------------------------------------------------------------- receiving

pub(super) async fn what_others_write_is_told_once(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let from = somebody()?;
    let sent = session.rig.phone.send_text(&from, "hello you").await?;
    let got = session
        .recorder
        .wait("the message", session.rig.patience, |seen| {
            seen.inbound().first().cloned()
        })
        .await?;
    ensure(
        got.wa_message_id == sent
            && got.text == "hello you"
            && got.sender == from
            && got.chat == from
            && got.kind == "chat"
            && !got.from_me,
        || format!("it was told as {got:?}"),
    )?;
    // A second one proves that the first is not told again behind it.
    session.rig.phone.send_text(&from, "second").await?;
    session
        .recorder
        .wait("the second message", session.rig.patience, |seen| {
            (seen.inbound().len() == 2).then_some(())
        })
        .await?;
    session.close().await;
    Ok(())
}

pub(super) async fn what_could_not_be_stored_is_offered_again(rig: Rig) -> Kept {
    let mut session = Session::linked(rig).await?;
    session.recorder.refuse_inbound(true);
    session
        .rig
        .phone
        .send_text(&somebody()?, "the disk is full")
        .await?;
    session
        .recorder
        .wait("an offer", session.rig.patience, |seen| {
            (seen.offered() > 0).then_some(())
        })
        .await?;
    session.recorder.refuse_inbound(false);
    session.reopen(OpenStep::Reload).await?;
    session.ready().await?;
    let got = session
        .recorder
        .wait("the message", session.rig.patience, |seen| {
            seen.inbound().first().cloned()
        })
        .await?;
    ensure(got.text == "the disk is full", || format!("{got:?}"))?;
    session.close().await;
    Ok(())
}

pub(super) async fn what_arrives_while_closed_is_told_at_the_next_epoch(rig: Rig) -> Kept {
    let mut session = Session::linked(rig).await?;
    session.close().await;
    let from = somebody()?;
    for n in 1..=3 {
        session.rig.phone.send_text(&from, &n.to_string()).await?;
    }
    session.reopen(OpenStep::Launch).await?;
    let texts = session
        .recorder
        .wait("three messages", session.rig.patience, |seen| {
            (seen.inbound().len() >= 3)
                .then(|| seen.inbound().iter().map(|m| m.text.clone()).collect())
        })
        .await
        .map(|texts: Vec<String>| texts)?;
    ensure(texts == ["1", "2", "3"], || format!("{texts:?}"))?;
    session.close().await;
    Ok(())
}

// ---------------------------------------------------------------- life

pub(super) async fn an_outage_is_offline_and_ends_by_itself(rig: Rig) -> Kept {
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
    ensure(!session.rig.connector.network_reachable().await, || {
        "the network is said to be there".to_owned()
    })?;
    session.rig.phone.fault(Fault::NetworkBack).await?;
    session.ready().await?;
    session.close().await;
    Ok(())
}

pub(super) async fn a_closed_engine_sends_nothing(rig: Rig) -> Kept {
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

pub(super) async fn closing_twice_is_closing_once(rig: Rig) -> Kept {
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

pub(super) async fn a_newer_epoch_silences_the_older_one(rig: Rig) -> Kept {
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

pub(super) async fn health_tells_the_phase_by_level(rig: Rig) -> Kept {
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

pub(super) async fn chats_are_listed(rig: Rig) -> Kept {
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
