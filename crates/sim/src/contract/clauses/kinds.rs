//! Every kind of message, as it arrives.

use super::with_server;
use crate::contract::{Broken, Kept, Rig, SampleFile, Session, ensure, id, somebody, text};
use crate::phone::Reached;
use crate::world::{Fault, OutsideFile, OutsideMessage};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use steadfast_core::failure::Kind;
use steadfast_core::ids::{ChatId, MessageKey, WaMessageId};
use steadfast_core::outbox::{
    Ack, AckError, Body, ContactCard, Contacts, Degrees, Edit, Forward, Location, MediaKind, Poll,
    Reaction, Revoke, Text, ack_error,
};
use steadfast_core::port::{FileSink, LookupOutcome, SendOutcome};

fn key(of: &WaMessageId, chat: &ChatId) -> MessageKey {
    MessageKey {
        chat: chat.clone(),
        id: of.clone(),
        from_me: true,
        participant: None,
    }
}

fn degrees(number: f64) -> Result<Degrees, Broken> {
    Degrees::within(number, 180.0).ok_or_else(|| Broken::Otherwise("degrees".to_owned()))
}

/// Sends it, waits for it at the other phone, and gives what arrived there.
async fn arrives(
    session: &Session,
    of: &WaMessageId,
    to: &ChatId,
    body: &Body,
) -> Result<Reached, Broken> {
    with_server(&session.engine.send(of, to, body).await)
        .map_err(|broken| Broken::Otherwise(format!("{}: {broken}", body.kind())))?;
    session.reached(of).await?;
    let reached = session.rig.phone.reached().await?;
    let mut found = reached
        .into_iter()
        .filter(|reached| reached.wa_id == of.as_str());
    let one = found.next();
    ensure(one.is_some() && found.next().is_none(), || {
        format!("a {} did not arrive exactly once", body.kind())
    })?;
    one.ok_or_else(|| Broken::Otherwise("nothing arrived".to_owned()))
}

/// The newest message that arrived and is of this kind.
async fn newest(session: &Session, kind: &str) -> Result<Reached, Broken> {
    let wanted = kind.to_owned();
    session
        .rig
        .phone
        .wait_for(
            crate::journal::Event::Delivered,
            session.rig.patience,
            &|e| e.kind.as_deref() == Some(&wanted),
        )
        .await?;
    let reached = session.rig.phone.reached().await?;
    reached
        .into_iter()
        .rfind(|reached| reached.kind == kind)
        .ok_or_else(|| Broken::Otherwise(format!("no {kind} arrived")))
}

fn says(reached: &Reached, path: &str, wanted: &Value) -> Kept {
    let content = Value::Object(reached.content.clone());
    ensure(content.pointer(path) == Some(wanted), || {
        format!("{path} of a {} is not {wanted}: {content}", reached.kind)
    })
}

pub(in crate::contract) async fn every_kind_of_message_arrives_as_it_was_meant(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let to = somebody()?;
    with_server(&session.engine.send(&id(1), &to, &text("first")).await)?;
    let reply_to = Some(key(&id(1), &to));

    let body = Body::Text(Text {
        text: format!("hello @{}", to.user()),
        mentions: vec![to.clone()],
        link_preview: false,
        reply_to: reply_to.clone(),
    });
    let got = arrives(&session, &id(2), &to, &body).await?;
    says(&got, "/mentions", &json!([to]))?;
    says(&got, "/quoted/id", &json!(id(1)))?;

    let body = Body::Location(Location {
        latitude: degrees(52.5)?,
        longitude: degrees(-13.25)?,
        name: Some("Berlin".to_owned()),
        address: Some("Mitte".to_owned()),
        reply_to: reply_to.clone(),
    });
    let got = arrives(&session, &id(3), &to, &body).await?;
    ensure(got.kind == "location", || got.kind.clone())?;
    says(&got, "/lat", &json!(52.5))?;
    says(&got, "/lng", &json!(-13.25))?;
    says(&got, "/loc", &json!("Berlin\nMitte"))?;
    says(&got, "/quoted/id", &json!(id(1)))?;

    let card = |name: &str| ContactCard {
        name: name.to_owned(),
        vcard: format!("BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nEND:VCARD"),
    };
    let body = |cards| {
        Body::Contacts(Contacts {
            cards,
            reply_to: None,
        })
    };
    let got = arrives(&session, &id(4), &to, &body(vec![card("Bob")])).await?;
    ensure(got.kind == "vcard" && got.text == card("Bob").vcard, || {
        format!("{got:?}")
    })?;
    let both = body(vec![card("Bob"), card("Eve")]);
    let got = arrives(&session, &id(5), &to, &both).await?;
    ensure(got.kind == "multi_vcard", || got.kind.clone())?;
    says(&got, "/vcardList/1/vcard", &json!(card("Eve").vcard))?;

    let body = Body::Poll(Poll {
        question: "Lunch?".to_owned(),
        options: vec!["now".to_owned(), "later".to_owned()],
        selectable: 1,
        reply_to: None,
    });
    let got = arrives(&session, &id(6), &to, &body).await?;
    ensure(got.kind == "poll_creation", || got.kind.clone())?;
    says(&got, "/poll/name", &json!("Lunch?"))?;
    says(&got, "/poll/options", &json!(["now", "later"]))?;
    says(&got, "/poll/selectable", &json!(1))?;

    let body = Body::Forward(Forward {
        message: key(&id(1), &to),
    });
    let got = arrives(&session, &id(7), &to, &body).await?;
    ensure(got.text == "first", || format!("{got:?}"))?;
    says(&got, "/isForwarded", &json!(true))?;

    // Each is found under the id that it was given.
    for n in 2..=7 {
        let found = session.engine.lookup(&id(n), &to).await;
        ensure(
            matches!(found, LookupOutcome::Found(ack) if ack >= Ack::Server),
            || format!("message {n}: {found:?}"),
        )?;
    }
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn what_speaks_of_a_message_reaches_it(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let to = somebody()?;
    with_server(&session.engine.send(&id(1), &to, &text("draft")).await)?;
    session.reached(&id(1)).await?;
    let message = key(&id(1), &to);
    let react = |emoji: &str| {
        Body::Reaction(Reaction {
            message: message.clone(),
            emoji: emoji.to_owned(),
        })
    };

    with_server(&session.engine.send(&id(2), &to, &react("👍")).await)?;
    let got = newest(&session, "reaction").await?;
    says(&got, "/target/id", &json!(id(1)))?;
    says(&got, "/reaction", &json!("👍"))?;

    let edit = Body::Edit(Edit {
        message: message.clone(),
        text: "final".to_owned(),
    });
    with_server(&session.engine.send(&id(3), &to, &edit).await)?;
    let got = newest(&session, "edit").await?;
    ensure(got.text == "final", || format!("{got:?}"))?;
    says(&got, "/target/id", &json!(id(1)))?;

    let revoke = Body::Revoke(Revoke {
        message: message.clone(),
    });
    with_server(&session.engine.send(&id(4), &to, &revoke).await)?;
    let got = newest(&session, "revoke").await?;
    says(&got, "/target/id", &json!(id(1)))?;
    // Done twice it is done once, and nothing to complain of.
    with_server(&session.engine.send(&id(4), &to, &revoke).await)?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn what_speaks_of_no_message_is_rejected(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let to = somebody()?;
    with_server(&session.engine.send(&id(1), &to, &text("a chat")).await)?;
    let message = key(&id(99), &to);
    let bodies = [
        Body::Text(Text {
            text: "an answer to nothing".to_owned(),
            mentions: Vec::new(),
            link_preview: false,
            reply_to: Some(message.clone()),
        }),
        Body::Forward(Forward {
            message: message.clone(),
        }),
        Body::Reaction(Reaction {
            message: message.clone(),
            emoji: "👍".to_owned(),
        }),
        Body::Revoke(Revoke { message }),
    ];
    for (n, body) in (2..).zip(&bodies) {
        let outcome = session.engine.send(&id(n), &to, body).await;
        ensure(
            matches!(&outcome, SendOutcome::Rejected(f) if f.kind == Kind::PermanentRequestError),
            || format!("{}: {outcome:?}", body.kind()),
        )?;
    }
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn files_arrive_byte_for_byte(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let to = somebody()?;
    for (n, kind) in (1..).zip(MediaKind::ALL) {
        let sample = SampleFile::of(kind);
        session.rig.keep(&sample)?;
        let caption = match kind {
            MediaKind::Image | MediaKind::Video | MediaKind::Document => "look",
            MediaKind::Audio | MediaKind::Voice | MediaKind::Sticker => "",
        };
        let name = (kind == MediaKind::Document).then_some("report.pdf");
        let body = Body::Media(sample.media(caption, name));
        let got = arrives(&session, &id(n), &to, &body).await?;
        let whats = match kind {
            MediaKind::Image => "image",
            MediaKind::Video => "video",
            MediaKind::Audio => "audio",
            MediaKind::Voice => "ptt",
            MediaKind::Document => "document",
            MediaKind::Sticker => "sticker",
        };
        ensure(got.kind == whats && got.text == caption, || {
            format!("a {} arrived as {got:?}", kind.as_str())
        })?;
        says(&got, "/media/mimetype", &json!(sample.mime))?;
        if let Some(name) = name {
            says(&got, "/media/filename", &json!(name))?;
        }
        let file = got.file.unwrap_or_default();
        ensure(
            file.sha256 == sample.id().as_str() && file.bytes == sample.bytes.len() as u64,
            || format!("the bytes of a {} arrived as {file:?}", kind.as_str()),
        )?;
        let found = session.engine.lookup(&id(n), &to).await;
        ensure(matches!(found, LookupOutcome::Found(_)), || {
            format!("a {}: {found:?}", kind.as_str())
        })?;
    }
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn a_file_that_is_refused_or_gone_blames_the_message(
    rig: Rig,
) -> Kept {
    let session = Session::linked(rig).await?;
    let to = somebody()?;
    let sample = SampleFile::of(MediaKind::Document);
    let body = Body::Media(sample.media("", Some("x.pdf")));
    let gone = session.engine.send(&id(1), &to, &body).await;
    ensure(
        matches!(&gone, SendOutcome::Rejected(f) if f.kind == Kind::MediaInvalid),
        || format!("a file that is not there: {gone:?}"),
    )?;
    session.rig.keep(&sample)?;
    let refuse = Fault::RefuseUploads {
        count: 1,
        status: 415,
    };
    session.rig.phone.fault(refuse).await?;
    let refused = session.engine.send(&id(2), &to, &body).await;
    let blamed = match refused {
        SendOutcome::Rejected(ref failure) => failure.kind == Kind::MediaInvalid,
        SendOutcome::Unknown(_) => {
            let found = session.engine.lookup(&id(2), &to).await;
            matches!(found, LookupOutcome::FoundFailed(level) if ack_error(level) == AckError::Content)
        }
        SendOutcome::HandedOff(_) | SendOutcome::NotSent(_) => false,
    };
    ensure(blamed, || format!("a refused upload: {refused:?}"))?;
    session.close().await;
    Ok(())
}

/// Keeps what it is given.
#[derive(Default)]
struct Kettle(Vec<u8>);

#[async_trait]
impl FileSink for Kettle {
    async fn write(&mut self, piece: &[u8]) -> Result<(), String> {
        self.0.extend_from_slice(piece);
        Ok(())
    }
}

pub(in crate::contract) async fn a_file_that_came_in_is_fetched_byte_for_byte(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let from = somebody()?;
    let sample = SampleFile::of(MediaKind::Document);
    let message = OutsideMessage {
        from: from.as_str().to_owned(),
        kind: Some("document".to_owned()),
        text: "for you".to_owned(),
        file: Some(OutsideFile {
            data: STANDARD.encode(&sample.bytes),
            mimetype: sample.mime.to_owned(),
            filename: Some("theirs.pdf".to_owned()),
        }),
        ..OutsideMessage::default()
    };
    session.rig.phone.send(&message).await?;
    let got = session
        .recorder
        .wait("the message", session.rig.patience, |seen| {
            seen.inbound().first().cloned()
        })
        .await?;
    let told = got.extras.media.clone();
    ensure(
        told.as_ref().is_some_and(|file| {
            file.mime == sample.mime
                && file.size == Some(sample.bytes.len() as u64)
                && file.name.as_deref() == Some("theirs.pdf")
        }) && got.text == "for you",
        || format!("it was told as {got:?}"),
    )?;
    let mut into = Kettle::default();
    let length = session
        .engine
        .download(&got.key(), 16 << 20, &mut into)
        .await
        .map_err(|failure| Broken::failed("the download", failure))?;
    ensure(
        into.0 == sample.bytes && length == sample.bytes.len() as u64,
        || format!("{length} bytes came, {} were written", into.0.len()),
    )?;
    let too_small = session
        .engine
        .download(&got.key(), 10, &mut Kettle::default())
        .await;
    ensure(
        matches!(&too_small, Err(failure) if failure.kind == Kind::MediaInvalid),
        || format!("beyond the limit: {too_small:?}"),
    )?;
    let mut nothing = got.key();
    nothing.id = id(99);
    let missing = session
        .engine
        .download(&nothing, 16 << 20, &mut Kettle::default())
        .await;
    ensure(missing.is_err(), || format!("of no message: {missing:?}"))?;
    session.close().await;
    Ok(())
}

pub(in crate::contract) async fn what_comes_in_is_told_with_all_that_it_carries(rig: Rig) -> Kept {
    let session = Session::linked(rig).await?;
    let from = somebody()?;
    let write = |kind: &str, text: &str, content: Value| OutsideMessage {
        from: from.as_str().to_owned(),
        kind: Some(kind.to_owned()),
        text: text.to_owned(),
        content: content.as_object().cloned().unwrap_or_default(),
        ..OutsideMessage::default()
    };
    let me = session.rig.phone.id();
    with_server(&session.engine.send(&id(1), &from, &text("hi")).await)?;
    let quoted = json!({ "id": id(1), "author": me, "body": "hi" });
    for message in [
        write("chat", "yes", json!({ "quoted": quoted, "mentions": [me] })),
        write(
            "location",
            "",
            json!({ "lat": 52.5, "lng": 13.25, "loc": "Berlin" }),
        ),
        write(
            "vcard",
            "BEGIN:VCARD",
            json!({ "vcardFormattedName": "Bob" }),
        ),
        write(
            "poll_creation",
            "",
            json!({ "poll": { "name": "Tea?", "options": ["yes", "no"], "selectable": 1 } }),
        ),
    ] {
        session.rig.phone.send(&message).await?;
    }
    let got = session
        .recorder
        .wait("four messages", session.rig.patience, |seen| {
            (seen.inbound().len() == 4).then(|| seen.inbound().to_vec())
        })
        .await?;
    ensure(
        got[0].extras.reply_to == Some(id(1))
            && got[0].extras.mentions == [me]
            && got[0].extras.push_name.is_some(),
        || format!("{:?}", got[0].extras),
    )?;
    for (message, wanted) in [
        (
            &got[1],
            json!({ "latitude": 52.5, "longitude": 13.25, "description": "Berlin" }),
        ),
        (
            &got[2],
            json!({ "cards": [{ "name": "Bob", "vcard": "BEGIN:VCARD" }] }),
        ),
        (
            &got[3],
            json!({ "question": "Tea?", "options": ["yes", "no"], "selectable": 1 }),
        ),
    ] {
        let content = message.extras.content.as_deref().unwrap_or_default();
        let told: Option<Value> = serde_json::from_str(content).ok();
        ensure(told.as_ref() == Some(&wanted), || {
            format!("a {} was told as {content:?}", message.kind)
        })?;
    }
    session.close().await;
    Ok(())
}
