//! What can be asked of the account beside sending.

use crate::contract::{Broken, Kept, Rig, Session, ensure, id, somebody, text};
use crate::journal::Event;
use steadfast_core::action::{
    Action, Activity, Answer, Group, GroupSetting, ParticipantChange, Refusal,
};
use steadfast_core::ids::ChatId;

/// Somebody else.
fn another() -> Result<ChatId, Broken> {
    chat("4915155500002@c.us")
}

/// Somebody without WhatsApp, once the phone says so.
async fn nobody(session: &Session) -> Result<ChatId, Broken> {
    let nobody = chat("4915155500009@c.us")?;
    session.rig.phone.set_exists(&nobody, false).await?;
    Ok(nobody)
}

fn chat(text: &str) -> Result<ChatId, Broken> {
    ChatId::parse(text).map_err(|e| Broken::Otherwise(e.to_string()))
}

async fn asked(session: &Session, action: Action) -> Result<Answer, Broken> {
    let what = action.name();
    let answer = session.engine.perform(&action).await;
    answer.map_err(|failure| Broken::failed(what, failure))
}

/// Does what is answered with no more than that it is done.
async fn does(session: &Session, action: Action) -> Kept {
    let what = action.name();
    let answer = asked(session, action).await?;
    ensure(answer == Answer::Done, || format!("{what}: {answer:?}"))
}

async fn refused(session: &Session, action: Action, why: Refusal) -> Kept {
    let what = action.name();
    let answer = asked(session, action).await?;
    ensure(answer == Answer::Refused(why), || {
        format!("{what} is answered with {answer:?} instead of {why:?}")
    })
}

fn other(answer: &Answer) -> Broken {
    Broken::Otherwise(format!("an answer to something else: {answer:?}"))
}

async fn group(session: &Session, id: &ChatId) -> Result<Group, Broken> {
    match asked(session, Action::Group(id.clone())).await? {
        Answer::Group(group) => Ok(group),
        answer => Err(other(&answer)),
    }
}

/// Makes a group with two others in it.
async fn group_of_three(session: &Session) -> Result<ChatId, Broken> {
    let action = Action::CreateGroup {
        subject: "Three".to_owned(),
        participants: vec![somebody()?, another()?],
    };
    match asked(session, action).await? {
        Answer::Created { group, .. } => Ok(group.id),
        answer => Err(other(&answer)),
    }
}

/// The chat of somebody who has written.
async fn written_to(session: &Session, text: &str) -> Result<ChatId, Broken> {
    let from = somebody()?;
    session.rig.phone.send_text(&from, text).await?;
    session
        .recorder
        .wait("the message", session.rig.patience, |seen| {
            seen.inbound().iter().any(|m| m.text == text).then_some(())
        })
        .await?;
    Ok(from)
}

pub(in crate::contract) async fn typing_reading_and_being_online_are_seen(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let from = written_to(&session, "are you there?").await?;
    for (activity, state) in [
        (Activity::Composing, "composing"),
        (Activity::Recording, "recording"),
        (Activity::Paused, "paused"),
    ] {
        let chat = from.clone();
        does(&session, Action::Typing { chat, activity }).await?;
        session
            .rig
            .phone
            .wait_for(Event::Chatstate, session.rig.patience, &|e| {
                e.kind.as_deref() == Some(state)
            })
            .await?;
    }
    does(&session, Action::MarkRead { chat: from }).await?;
    session
        .rig
        .phone
        .wait_for(Event::Read, session.rig.patience, &|_| true)
        .await?;
    does(&session, Action::Online(true)).await?;
    session
        .rig
        .phone
        .wait_for(Event::Presence, session.rig.patience, &|_| true)
        .await?;
    does(&session, Action::Online(false)).await?;
    let chat = another()?;
    refused(&session, Action::MarkRead { chat }, Refusal::UnknownChat).await?;
    let chat = nobody(&session).await?;
    let activity = Activity::Composing;
    refused(
        &session,
        Action::Typing { chat, activity },
        Refusal::NotOnWhatsApp,
    )
    .await?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn numbers_are_checked_in_one_go(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let numbers = vec![somebody()?, nobody(&session).await?, another()?];
    let answer = asked(&session, Action::CheckNumbers(numbers.clone())).await?;
    let Answer::Numbers(found) = answer else {
        return Err(other(&answer));
    };
    let told: Vec<(ChatId, bool)> = found
        .iter()
        .map(|(n, id)| (n.clone(), id.is_some()))
        .collect();
    let expected: Vec<(ChatId, bool)> = numbers.into_iter().zip([true, false, true]).collect();
    ensure(told == expected, || format!("{found:?}"))?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn people_are_known_by_their_names(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let from = written_to(&session, "it is me").await?;
    let answer = asked(&session, Action::Contacts).await?;
    let Answer::Contacts(contacts) = answer else {
        return Err(other(&answer));
    };
    ensure(contacts.iter().any(|c| c.id == from), || {
        format!("who wrote is not among {contacts:?}")
    })?;
    let answer = asked(&session, Action::Contact(from.clone())).await?;
    ensure(
        matches!(&answer, Answer::Contact(Some(c)) if c.id == from && !c.is_saved && c.push_name.is_some()),
        || format!("{answer:?}"),
    )?;
    let answer = asked(&session, Action::Contact(another()?)).await?;
    ensure(answer == Answer::Contact(None), || format!("{answer:?}"))?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn a_chat_is_read_back_piece_by_piece(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let from = somebody()?;
    for n in 1..=5 {
        session.rig.phone.send_text(&from, &n.to_string()).await?;
    }
    session
        .recorder
        .wait("five messages", session.rig.patience, |seen| {
            (seen.inbound().len() == 5).then_some(())
        })
        .await?;
    session.engine.send(&id(1), &from, &text("six")).await;
    let mut before = None;
    let mut pieces = Vec::new();
    for _ in 0..2 {
        let action = Action::History {
            chat: from.clone(),
            limit: 3,
            before,
        };
        let answer = asked(&session, action).await?;
        let Answer::History(messages) = answer else {
            return Err(other(&answer));
        };
        before = messages.first().map(|m| m.message.key());
        let texts: Vec<String> = messages.iter().map(|m| m.message.text.clone()).collect();
        ensure(
            messages
                .iter()
                .all(|m| m.ack.is_some() == m.message.from_me),
            || format!("acks of messages that are not ours, or none of ours: {messages:?}"),
        )?;
        pieces.push(texts);
    }
    ensure(pieces == [["4", "5", "six"], ["1", "2", "3"]], || {
        format!("{pieces:?}")
    })?;
    let limit = 3;
    let before = Some(
        format!("false_{from}_3EB0000000000000000000")
            .parse()
            .map_err(|e: steadfast_core::ids::IdError| Broken::Otherwise(e.to_string()))?,
    );
    let chat = from;
    let unknown = Action::History {
        chat,
        limit,
        before,
    };
    refused(&session, unknown, Refusal::UnknownMessage).await?;
    let (chat, before) = (another()?, None);
    let unknown = Action::History {
        chat,
        limit,
        before,
    };
    refused(&session, unknown, Refusal::UnknownChat).await?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn a_group_is_made_and_its_people_change(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let (ann, bob, none) = (somebody()?, another()?, nobody(&session).await?);
    let made = asked(
        &session,
        Action::CreateGroup {
            subject: "Gardeners".to_owned(),
            participants: vec![ann.clone(), none.clone()],
        },
    )
    .await?;
    let Answer::Created {
        group: made,
        participants,
    } = made
    else {
        return Err(other(&made));
    };
    let code = |who: &ChatId| participants.iter().find(|p| p.id == *who).map(|p| p.code);
    ensure(
        made.subject == "Gardeners"
            && made.size == 2
            && code(&ann) == Some(200)
            && code(&none) == Some(404),
        || format!("{made:?} {participants:?}"),
    )?;
    for (change, who, codes) in [
        (ParticipantChange::Add, &bob, [200, 409]),
        (ParticipantChange::Promote, &bob, [200, 200]),
        (ParticipantChange::Demote, &bob, [200, 200]),
        (ParticipantChange::Remove, &bob, [200, 404]),
        (ParticipantChange::Add, &none, [404, 404]),
    ] {
        for expected in codes {
            let action = Action::Participants {
                group: made.id.clone(),
                change,
                participants: vec![who.clone()],
            };
            let answer = asked(&session, action).await?;
            ensure(
                matches!(&answer, Answer::Participants(p) if p.len() == 1 && p[0].id == *who && p[0].code == expected),
                || format!("{change:?} of {who}: {answer:?} instead of {expected}"),
            )?;
        }
        if change == ParticipantChange::Promote {
            let now = group(&session, &made.id).await?;
            let admin = now.participants.iter().any(|p| p.id == bob && p.is_admin);
            ensure(admin, || format!("no admin after all: {now:?}"))?;
        }
    }
    let now = group(&session, &made.id).await?;
    let me = session.rig.phone.id();
    ensure(
        now.participants.len() == 2
            && now.participants.iter().any(|p| p.id == ann && !p.is_admin)
            && now.participants.iter().any(|p| p.id == me && p.is_owner),
        || format!("{now:?}"),
    )?;
    refused(
        &session,
        Action::CreateGroup {
            subject: "Alone".to_owned(),
            participants: vec![none],
        },
        Refusal::NotOnWhatsApp,
    )
    .await?;
    let missing = chat("120363999999999999@g.us")?;
    refused(&session, Action::Group(missing), Refusal::UnknownGroup).await?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn a_group_is_set_invited_to_and_left(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let me = session.rig.phone.id();
    let id = group_of_three(&session).await?;
    for setting in [
        GroupSetting::Subject("Four".to_owned()),
        GroupSetting::Description("no more, no less".to_owned()),
        GroupSetting::OnlyAdminsSend(true),
        GroupSetting::OnlyAdminsEdit(true),
    ] {
        let group = id.clone();
        does(&session, Action::SetGroup { group, setting }).await?;
    }
    let now = group(&session, &id).await?;
    ensure(
        now.subject == "Four"
            && now.description.as_deref() == Some("no more, no less")
            && now.only_admins_send
            && now.only_admins_edit,
        || format!("{now:?}"),
    )?;
    let listed = asked(&session, Action::Groups).await?;
    ensure(
        matches!(&listed, Answer::Groups(g) if g.len() == 1 && g[0].id == id && g[0].subject == "Four"),
        || format!("{listed:?}"),
    )?;
    let first = asked(&session, Action::InviteCode(id.clone())).await?;
    let again = asked(&session, Action::InviteCode(id.clone())).await?;
    let fresh = asked(&session, Action::RevokeInviteCode(id.clone())).await?;
    ensure(
        matches!(&first, Answer::InviteCode(code) if !code.is_empty())
            && first == again
            && fresh != first,
        || format!("{first:?}, {again:?}, after revoking {fresh:?}"),
    )?;
    let code = "nowhere-at-all".to_owned();
    refused(&session, Action::JoinGroup(code), Refusal::InviteInvalid).await?;
    does(&session, Action::LeaveGroup(id.clone())).await?;
    let again = Action::LeaveGroup(id.clone());
    refused(&session, again, Refusal::NotMember).await?;
    let Answer::InviteCode(code) = fresh else {
        return Err(other(&fresh));
    };
    let back = asked(&session, Action::JoinGroup(code)).await?;
    ensure(
        back == Answer::Joined {
            group: id.clone(),
            pending: false,
        },
        || format!("{back:?}"),
    )?;
    let now = group(&session, &id).await?;
    ensure(now.participants.iter().any(|p| p.id == me), || {
        format!("not in it after all: {now:?}")
    })?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn who_is_no_admin_is_told_so(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let (ann, me) = (somebody()?, session.rig.phone.id());
    let theirs = session
        .rig
        .phone
        .create_group("Theirs", &ann, &[me])
        .await?;
    session
        .recorder
        .wait("the group", session.rig.patience, |seen| {
            (!seen.happened().is_empty()).then_some(())
        })
        .await?;
    let group = theirs.clone();
    for action in [
        Action::Participants {
            group: group.clone(),
            change: ParticipantChange::Add,
            participants: vec![another()?],
        },
        Action::SetGroup {
            group: group.clone(),
            setting: GroupSetting::OnlyAdminsSend(true),
        },
        Action::InviteCode(group),
    ] {
        refused(&session, action, Refusal::NotAdmin).await?;
    }
    does(
        &session,
        Action::SetGroup {
            group: theirs,
            setting: GroupSetting::Subject("Ours".to_owned()),
        },
    )
    .await?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn we_say_who_we_are(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    does(&session, Action::SetProfileName("Ada L.".to_owned())).await?;
    does(&session, Action::SetAbout("counting".to_owned())).await?;
    let answer = asked(&session, Action::Profile).await?;
    let me = session.rig.phone.id();
    ensure(
        matches!(&answer, Answer::Profile(p) if p.id == me
            && p.name.as_deref() == Some("Ada L.") && p.about.as_deref() == Some("counting")),
        || format!("{answer:?}"),
    )?;
    let picture = asked(&session, Action::Picture(somebody()?)).await?;
    ensure(picture == Answer::Picture(None), || format!("{picture:?}"))?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn whom_we_block_is_listed(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let contact = somebody()?;
    for (blocked, listed) in [(true, vec![contact.clone()]), (false, vec![])] {
        // Twice: a repeated one does no harm.
        for _ in 0..2 {
            let contact = contact.clone();
            does(&session, Action::Block { contact, blocked }).await?;
        }
        let answer = asked(&session, Action::Blocklist).await?;
        ensure(answer == Answer::Blocklist(listed), || {
            format!("{answer:?}")
        })?;
    }
    let (contact, blocked) = (nobody(&session).await?, true);
    refused(
        &session,
        Action::Block { contact, blocked },
        Refusal::NotOnWhatsApp,
    )
    .await?;
    session.close().await;
    Ok(())
}
