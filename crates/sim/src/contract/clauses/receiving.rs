//! What others write.

use crate::contract::{Kept, Rig, Session, ensure, somebody};
use steadfast_core::port::OpenStep;

pub(in crate::contract) async fn what_others_write_is_told_once(rig: Rig) -> Kept {
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

pub(in crate::contract) async fn what_could_not_be_stored_is_offered_again(rig: Rig) -> Kept {
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

pub(in crate::contract) async fn what_arrives_while_closed_is_told_at_the_next_epoch(
    rig: Rig,
) -> Kept {
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
