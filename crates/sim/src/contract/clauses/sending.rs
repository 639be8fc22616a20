//! One message, once, in order.

use super::{acked, with_server};
use crate::contract::{Broken, Kept, Rig, Session, ensure, id, somebody, text};
use crate::world::Fault;
use steadfast_core::failure::{Kind, Resend};
use steadfast_core::ids::ChatId;
use steadfast_core::outbox::Ack;
use steadfast_core::port::{LookupOutcome, OpenStep, Phase, SendOutcome};

pub(in crate::contract) async fn a_text_reaches_the_recipient_once_and_is_acked(rig: Rig) -> Kept {
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

pub(in crate::contract) async fn the_same_id_twice_is_one_message(rig: Rig) -> Kept {
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

pub(in crate::contract) async fn an_id_that_was_never_sent_is_not_found(rig: Rig) -> Kept {
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

pub(in crate::contract) async fn a_sent_id_is_found_after_a_restart(rig: Rig) -> Kept {
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
        session
            .found_acked(&id(1), &to, &format!("after {step:?}"))
            .await?;
    }
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn a_lost_ack_leaves_one_message_however_often_it_is_tried(
    rig: Rig,
) -> Kept {
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

pub(in crate::contract) async fn a_text_handed_over_while_offline_arrives_when_the_network_is_back(
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
            // Where its evidence leaves doubt the id is looked up first, as delivery would.
            if failure.resend != Resend::Yes {
                let found = session.engine.lookup(&id(1), &to).await;
                ensure(found == LookupOutcome::NotFound, || {
                    format!("said not to be sent, and found: {found:?}")
                })?;
            }
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

pub(in crate::contract) async fn texts_to_one_chat_keep_their_order(rig: Rig) -> Kept {
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

pub(in crate::contract) async fn a_number_without_whatsapp_is_rejected(rig: Rig) -> Kept {
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

pub(in crate::contract) async fn numbers_are_checked(rig: Rig) -> Kept {
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
