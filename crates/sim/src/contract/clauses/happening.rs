//! What becomes of messages and groups that exist.

use crate::contract::{Broken, Kept, Rig, Session, ensure, somebody};
use crate::world::OutsideMessage;
use serde_json::{Map, json};
use steadfast_core::ids::{ChatId, WaMessageId};
use steadfast_core::inbound::Happening;
use steadfast_core::port::OpenStep;

/// Somebody's message about one of their own messages.
fn about(from: &ChatId, kind: &str, text: &str, target: &WaMessageId) -> OutsideMessage {
    let mut content = Map::new();
    content.insert(
        "target".to_owned(),
        json!({"id": target, "chat": from, "from_me": true, "author": from}),
    );
    if kind == "reaction" {
        content.insert("reaction".to_owned(), json!(text));
    }
    OutsideMessage {
        from: from.to_string(),
        kind: Some(kind.to_owned()),
        text: text.to_owned(),
        content,
        ..OutsideMessage::default()
    }
}

/// Somebody's message that the gateway has.
async fn received(session: &Session, from: &ChatId, text: &str) -> Result<WaMessageId, Broken> {
    let id = session.rig.phone.send_text(from, text).await?;
    session
        .recorder
        .wait("the message", session.rig.patience, |seen| {
            seen.inbound()
                .iter()
                .any(|m| m.wa_message_id == id)
                .then_some(())
        })
        .await?;
    Ok(id)
}

async fn happened(session: &Session, count: usize) -> Result<Vec<Happening>, Broken> {
    session
        .recorder
        .wait("what happened", session.rig.patience, |seen| {
            (seen.happened().len() >= count).then(|| seen.happened().to_vec())
        })
        .await
}

fn is_edit(happening: &Happening, from: &ChatId, id: &WaMessageId, now: &str) -> bool {
    matches!(happening, Happening::Edited { message, text, at }
        if message.chat == *from && message.id == *id && !message.from_me && text == now && at.0 > 0)
}

fn is_revoke(happening: &Happening, from: &ChatId, id: &WaMessageId) -> bool {
    matches!(happening, Happening::Revoked { message, .. }
        if message.chat == *from && message.id == *id && !message.from_me)
}

pub(in crate::contract) async fn edits_reactions_and_deletions_are_told(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let from = somebody()?;
    let id = received(&session, &from, "helo").await?;
    let phone = &session.rig.phone;
    phone.send(&about(&from, "edit", "hello", &id)).await?;
    let told = happened(&session, 1).await?;
    ensure(is_edit(&told[0], &from, &id, "hello"), || {
        format!("{told:?}")
    })?;
    phone.send(&about(&from, "reaction", "👍", &id)).await?;
    let told = happened(&session, 2).await?;
    ensure(
        matches!(&told[1], Happening::Reaction { message, sender, emoji, .. }
            if message.id == id && *sender == from && emoji == "👍"),
        || format!("{told:?}"),
    )?;
    phone.send(&about(&from, "revoke", "", &id)).await?;
    let told = happened(&session, 3).await?;
    ensure(is_revoke(&told[2], &from, &id), || format!("{told:?}"))?;
    // A message behind them proves that none is told twice, or as a message.
    received(&session, &from, "that was all").await?;
    let seen = session.recorder.seen();
    ensure(
        seen.happened().len() == 3 && seen.inbound().len() == 2,
        || format!("{:?} {:?}", seen.happened(), seen.inbound()),
    )?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn what_happened_and_could_not_be_stored_is_offered_again(
    rig: Rig,
) -> Kept {
    let mut session = Session::linked(rig).await?;
    let from = somebody()?;
    let id = received(&session, &from, "full disk").await?;
    session.recorder.refuse_inbound(true);
    session
        .rig
        .phone
        .send(&about(&from, "edit", "a full disk", &id))
        .await?;
    session
        .recorder
        .wait("an offer", session.rig.patience, |seen| {
            (seen.happenings_offered() > 0).then_some(())
        })
        .await?;
    session.recorder.refuse_inbound(false);
    session.reopen(OpenStep::Reload).await?;
    session.ready().await?;
    let told = happened(&session, 1).await?;
    ensure(is_edit(&told[0], &from, &id, "a full disk"), || {
        format!("{told:?}")
    })?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn what_happens_while_closed_is_told_at_the_next_epoch(
    rig: Rig,
) -> Kept {
    let mut session = Session::linked(rig).await?;
    let from = somebody()?;
    let edited = received(&session, &from, "befor").await?;
    let revoked = received(&session, &from, "a mistake").await?;
    session.close().await;
    let phone = &session.rig.phone;
    phone.send(&about(&from, "edit", "before", &edited)).await?;
    phone.send(&about(&from, "revoke", "", &revoked)).await?;
    phone.send(&about(&from, "reaction", "🙏", &edited)).await?;
    session.reopen(OpenStep::Launch).await?;
    let told = happened(&session, 3).await?;
    let reacted = |happening: &Happening| matches!(happening, Happening::Reaction { message, .. } if message.id == edited);
    ensure(
        told.iter().any(|h| is_edit(h, &from, &edited, "before"))
            && told.iter().any(|h| is_revoke(h, &from, &revoked))
            && told.iter().any(reacted),
        || format!("{told:?}"),
    )?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn changes_of_groups_are_told(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let (ann, me) = (somebody()?, session.rig.phone.id());
    let theirs = session
        .rig
        .phone
        .create_group("Theirs", &ann, std::slice::from_ref(&me))
        .await?;
    let told = happened(&session, 1).await?;
    ensure(
        matches!(&told[0], Happening::Group { group, change, by, participants, .. }
            if *group == theirs && change == "create" && by.as_ref() == Some(&ann) && participants.contains(&me)),
        || format!("{told:?}"),
    )?;
    session.close().await;
    Ok(())
}
