//! Inbound messages, sessions, tokens, acts, incidents.

use crate::support::{Desk, NONE, chat, id, key, message, record_of, session, wa};
use steadfast_core::ids::{ChatId, LoginGeneration, MediaId};
use steadfast_core::inbound::{Extras, InboundMessage, RemoteFile};
use steadfast_core::outbox::Ack;
use steadfast_core::port::{
    Accepted, Incident, IncidentStep, MessageQuery, NewAudit, OutboxDepth, PreviousSecret,
    Rotation, Scope, SessionRecord, Store, StoreError, TokenRecord,
};
use steadfast_core::proxy::Proxy;
use steadfast_core::time::UnixMs;
use steadfast_store::{MAX_AUDIT_KEPT, MAX_INCIDENT_STEPS, MAX_INCIDENTS_KEPT};

fn inbound(n: u64, from: u64) -> InboundMessage {
    InboundMessage {
        wa_message_id: wa(n),
        chat: chat(from),
        chat_also: None,
        sender: chat(from + 100),
        from_me: n.is_multiple_of(2),
        kind: "chat".to_owned(),
        text: format!("inbound {n}"),
        sent_at: UnixMs(500).plus(n),
        recovered: n.is_multiple_of(3),
        extras: Extras::default(),
    }
}

pub(super) async fn inbound_is_kept_once(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let other = Desk::named(store, "other").await;
    let keep = async |desk: &Desk<'_>, message| {
        store
            .keep_inbound(&desk.session, message, UnixMs(2_000))
            .await
            .unwrap()
    };
    assert!(keep(&desk, inbound(1, 1)).await);
    assert!(!keep(&desk, inbound(1, 1)).await);
    let mut changed = inbound(1, 1);
    changed.text.push_str(", edited");
    assert!(!keep(&desk, changed).await);
    // The same id in another chat, or for another account, is another message.
    assert!(keep(&desk, inbound(1, 2)).await);
    assert!(keep(&other, inbound(1, 1)).await);
    let kept = store.inbound(&desk.session, 0, 10).await.unwrap();
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[0].message, inbound(1, 1));
    assert_eq!(kept[0].stored_at, UnixMs(2_000));
    let nobody = session("nobody");
    let refused = store.keep_inbound(&nobody, inbound(1, 1), UnixMs(1)).await;
    assert_eq!(refused, Err(StoreError::NoSession(nobody.clone())));
    assert_eq!(store.inbound(&nobody, 0, 10).await, Ok(vec![]));
}

pub(super) async fn notes_stay_until_their_session_goes(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let other = Desk::named(store, "other").await;
    let keep = async |desk: &Desk<'_>, text: Option<&str>| {
        let text = text.map(str::to_owned);
        store.set_note(&desk.session, "waha", text).await
    };
    let kept = async |desk: &Desk<'_>| store.note(&desk.session, "waha").await.unwrap();
    assert_eq!(kept(&desk).await, None);
    keep(&desk, Some("one")).await.unwrap();
    keep(&desk, Some("two")).await.unwrap();
    assert_eq!(kept(&desk).await.as_deref(), Some("two"));
    assert_eq!(store.note(&desk.session, "else").await, Ok(None));
    assert_eq!(kept(&other).await, None);
    keep(&other, Some("three")).await.unwrap();
    keep(&other, None).await.unwrap();
    assert_eq!(kept(&other).await, None);
    let nobody = session("nobody");
    let refused = store.set_note(&nobody, "waha", Some("x".to_owned())).await;
    assert_eq!(refused, Err(StoreError::NoSession(nobody.clone())));
    store
        .remove_session(&desk.session, UnixMs(9_000))
        .await
        .unwrap();
    assert_eq!(kept(&desk).await, None);
    // Another one of the same name begins without.
    let again = Desk::named(store, desk.session.as_str()).await;
    assert_eq!(kept(&again).await, None);
}

/// A page that was loaded anew tells our own messages back to us.
pub(super) async fn what_we_sent_is_not_inbound(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let other = Desk::named(store, "other").await;
    desk.accept(7, 1).await;
    assert_eq!(desk.claim().await, [7]);
    let keep = async |desk: &Desk<'_>, from_me| {
        let told = InboundMessage {
            wa_message_id: wa(7),
            from_me,
            ..inbound(8, 1)
        };
        store
            .keep_inbound(&desk.session, told, UnixMs(2_000))
            .await
            .unwrap()
    };
    assert!(!keep(&desk, true).await);
    // Of another account, or by somebody else, it is another message.
    assert!(keep(&other, true).await);
    assert!(keep(&desk, false).await);
}

pub(super) async fn messages_are_known_by_their_whatsapp_ids(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let key_of = async |of, to| {
        store
            .message_key(&desk.session, &chat(to), &wa(of))
            .await
            .unwrap()
            .map(|key| key.to_string())
    };
    desk.accept(7, 1).await;
    assert_eq!(key_of(7, 1).await, None, "nobody can have it yet");
    assert_eq!(desk.claim().await, [7]);
    let sent = format!("true_{}_{}", chat(1), wa(7));
    assert_eq!(key_of(7, 1).await, Some(sent.clone()));
    assert_eq!(key_of(7, 2).await, Some(sent), "wherever it is looked for");
    store
        .keep_inbound(&desk.session, inbound(9, 1), UnixMs(2_000))
        .await
        .unwrap();
    let came = format!("false_{}_{}", chat(1), wa(9));
    assert_eq!(key_of(9, 1).await, Some(came));
    assert_eq!(key_of(9, 2).await, None, "of another chat");
    let group = ChatId::parse("120363@g.us").unwrap();
    // The same one, after the account has moved to hidden ids, is known.
    let moved = InboundMessage {
        chat: ChatId::parse("123456789012345@lid").unwrap(),
        chat_also: Some(chat(1)),
        ..inbound(11, 1)
    };
    store
        .keep_inbound(&desk.session, inbound(11, 1), UnixMs(2_000))
        .await
        .unwrap();
    let kept = store.keep_inbound(&desk.session, moved.clone(), UnixMs(2_000));
    assert_eq!(kept.await, Ok(false));
    let elsewhere = InboundMessage {
        chat_also: Some(chat(2)),
        ..moved
    };
    let kept = store.keep_inbound(&desk.session, elsewhere, UnixMs(2_000));
    assert_eq!(kept.await, Ok(true));
    let in_group = InboundMessage {
        chat: group.clone(),
        ..inbound(11, 1)
    };
    store
        .keep_inbound(&desk.session, in_group, UnixMs(2_000))
        .await
        .unwrap();
    let found = store.message_key(&desk.session, &group, &wa(11)).await;
    assert_eq!(found.unwrap().unwrap().participant, Some(chat(101)));
    let nobody = session("nobody");
    let found = store.message_key(&nobody, &chat(1), &wa(7)).await;
    assert_eq!(found, Ok(None));
}

pub(super) async fn what_a_message_carries_is_kept_with_it(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let carrying = InboundMessage {
        extras: Extras {
            push_name: Some("Bob".to_owned()),
            reply_to: Some(wa(3)),
            mentions: vec![chat(7)],
            media: Some(RemoteFile {
                mime: "image/png".to_owned(),
                size: Some(5),
                name: Some("a.png".to_owned()),
            }),
            content: Some("{}".to_owned()),
        },
        ..inbound(1, 1)
    };
    store
        .keep_inbound(&desk.session, carrying.clone(), UnixMs(2_000))
        .await
        .unwrap();
    let one = async || {
        store
            .inbound_message(&desk.session, &chat(1), &wa(1))
            .await
            .unwrap()
    };
    let kept = one().await.unwrap();
    assert_eq!((kept.message, kept.file), (carrying, None));
    let file = MediaId::of(&[7; 32]);
    store
        .inbound_fetched(&desk.session, &chat(1), &wa(1), &file)
        .await
        .unwrap();
    let kept = one().await.unwrap();
    assert_eq!(kept.file, Some(file.clone()));
    let page = store.inbound(&desk.session, 0, 10).await.unwrap();
    assert_eq!(page, [kept]);
    // Nothing that is not there, and nothing noted of it.
    let missing = store.inbound_message(&desk.session, &chat(2), &wa(1)).await;
    assert_eq!(missing, Ok(None));
    let noted = store
        .inbound_fetched(&desk.session, &chat(2), &wa(1), &file)
        .await;
    assert_eq!(noted, Ok(()));
}

pub(super) async fn inbound_comes_in_pages(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for n in 1..=7 {
        store
            .keep_inbound(&desk.session, inbound(n, 1), UnixMs(2_000))
            .await
            .unwrap();
    }
    let mut after = 0;
    let mut seen = Vec::new();
    loop {
        let page = store.inbound(&desk.session, after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 3);
        after = last.seq;
        seen.extend(page.into_iter().map(|inbound| inbound.message));
    }
    assert_eq!(seen, (1..=7).map(|n| inbound(n, 1)).collect::<Vec<_>>());
}

pub(super) async fn sessions_are_kept(store: &dyn Store) {
    assert_eq!(store.sessions().await, Ok(vec![]));
    let (b, a) = (record_of(&session("b")), record_of(&session("a")));
    store.add_session(b.clone()).await.unwrap();
    store.add_session(a.clone()).await.unwrap();
    assert_eq!(store.add_session(a.clone()).await, Err(StoreError::Exists));
    assert_eq!(store.sessions().await, Ok(vec![a.clone(), b.clone()]));
    let changed = SessionRecord {
        enabled: false,
        login: LoginGeneration(3),
        parked: Some("logged out".to_owned()),
        ..a
    };
    store.update_session(changed.clone()).await.unwrap();
    assert_eq!(store.sessions().await, Ok(vec![changed, b]));
    let nobody = record_of(&session("nobody"));
    let refused = store.update_session(nobody.clone()).await;
    assert_eq!(refused, Err(StoreError::NoSession(nobody.id)));
}

pub(super) async fn a_removed_session_leaves_nothing(store: &dyn Store) {
    let desk = Desk::named(store, "gone").await;
    let stays = Desk::named(store, "stays").await;
    stays.accept(100, 1).await;
    // More than is cleared away in one go.
    let many =
        (1..=1_200).map(|n| message(&desk.session, if n < 100 { n } else { n + 100 }, n % 7));
    store.accept_many(many.collect()).await.unwrap();
    store
        .accept(message(&desk.session, 2_000, 1), Some(key("k", 1, 99_000)))
        .await
        .unwrap();
    desk.claim().await;
    store
        .keep_inbound(&desk.session, inbound(1, 1), UnixMs(2_000))
        .await
        .unwrap();
    store.put_incident(incident(&desk, 1)).await.unwrap();
    assert_eq!(
        store.remove_session(&desk.session, UnixMs(9_000)).await,
        Ok(())
    );
    // A second time is no error.
    assert_eq!(
        store.remove_session(&desk.session, UnixMs(9_000)).await,
        Ok(())
    );

    let gone = &desk.session;
    let everything = MessageQuery {
        limit: 10,
        ..MessageQuery::default()
    };
    assert_eq!(store.messages(gone, everything).await, Ok(vec![]));
    assert_eq!(store.message(&id(1)).await, Ok(None));
    assert_eq!(store.attempts(&id(1)).await, Ok(vec![]));
    assert_eq!(store.cancel(&id(2), UnixMs(1)).await, Ok(None));
    assert_eq!(
        store.ack(gone, &wa(1), Ack::Server, UnixMs(1)).await,
        Ok(None)
    );
    assert_eq!(store.depth(gone).await, Ok(OutboxDepth::default()));
    assert_eq!(store.next_due(gone).await, Ok(None));
    assert_eq!(store.inbound(gone, 0, 10).await, Ok(vec![]));
    assert_eq!(store.incidents(gone, None, 10).await, Ok(vec![]));
    assert_eq!(
        desk.try_record(1, steadfast_core::port::Outcome::Expired, 1)
            .await,
        Err(StoreError::NoSession(gone.clone()))
    );
    assert_eq!(
        store.put_incident(incident(&desk, 2)).await,
        Err(StoreError::NoSession(gone.clone()))
    );
    // Its key is free again, and others are untouched.
    let again = store
        .accept(message(&stays.session, 3_000, 1), Some(key("k", 2, 99_000)))
        .await;
    assert_eq!(again, Ok(Accepted::Stored));
    assert_eq!(stays.depth().await, (2, 0, 0));
    assert_eq!(stays.claim().await, [100]);
}

pub(super) async fn a_removed_session_can_come_again(store: &dyn Store) {
    let desk = Desk::new(store).await;
    desk.accept(1, 1).await;
    desk.claim().await;
    store
        .remove_session(&desk.session, UnixMs(9_000))
        .await
        .unwrap();
    let again = Desk::new(store).await;
    assert_eq!(again.depth().await, (0, 0, 0));
    assert_eq!(again.claim().await, NONE);
    again.accept(2, 1).await;
    // The old owner knows nothing about it.
    let stale = desk
        .try_record(2, steadfast_core::port::Outcome::Expired, 1)
        .await;
    assert!(
        matches!(stale, Err(StoreError::StaleFence { .. })),
        "{stale:?}"
    );
    assert_eq!(again.claim().await, [2]);
}

fn token(name: &str, hash: u8, scope: Scope) -> TokenRecord {
    TokenRecord::new(name, [hash; 32], scope, UnixMs(i64::from(hash)))
}

pub(super) async fn a_rotated_token_has_two_secrets(store: &dyn Store) {
    store.add_token(token("a", 1, Scope::Send)).await.unwrap();
    store.add_token(token("b", 5, Scope::Read)).await.unwrap();
    let rotation = |name: &str, hash: u8, until| Rotation {
        name: name.to_owned(),
        hash: [hash; 32],
        previous_until: UnixMs(until),
        expires_at: Some(UnixMs(9_000)),
    };
    let after = TokenRecord {
        hash: [2; 32],
        expires_at: Some(UnixMs(9_000)),
        previous: Some(PreviousSecret {
            hash: [1; 32],
            until: UnixMs(500),
        }),
        ..token("a", 1, Scope::Send)
    };
    let rotated = store.rotate_token(rotation("a", 2, 500)).await;
    assert_eq!(rotated, Ok(Some(after.clone())));
    for hash in [1, 2] {
        let found = store.token_by_hash(&[hash; 32]).await;
        assert_eq!(found, Ok(Some(after.clone())), "{hash}");
    }
    // No secret is ever that of two.
    for taken in [1, 2, 5] {
        let refused = store.rotate_token(rotation("a", taken, 500)).await;
        assert_eq!(refused, Err(StoreError::Exists), "{taken}");
        let refused = store.add_token(token("z", taken, Scope::Read)).await;
        assert_eq!(refused, Err(StoreError::Exists), "{taken}");
    }
    store.rotate_token(rotation("a", 3, 600)).await.unwrap();
    assert_eq!(store.token_by_hash(&[1; 32]).await, Ok(None));
    assert_eq!(store.rotate_token(rotation("nobody", 9, 1)).await, Ok(None));
    store.remove_token("a").await.unwrap();
    assert_eq!(store.token_by_hash(&[2; 32]).await, Ok(None));
    assert_eq!(store.token_by_hash(&[3; 32]).await, Ok(None));
}

pub(super) async fn the_use_of_a_token_only_moves_forward(store: &dyn Store) {
    store.add_token(token("a", 1, Scope::Send)).await.unwrap();
    for (at, known) in [(700, 700), (600, 700), (800, 800)] {
        let uses = vec![
            ("a".to_owned(), UnixMs(at)),
            ("gone".to_owned(), UnixMs(at)),
        ];
        assert_eq!(store.note_token_use(uses).await, Ok(()));
        let kept = store.tokens().await.unwrap();
        assert_eq!(kept[0].last_used_at, Some(UnixMs(known)));
    }
}

fn act(n: u32) -> NewAudit {
    NewAudit {
        at: UnixMs(i64::from(n)),
        actor: "ops".to_owned(),
        act: "token_created".to_owned(),
        target: n.is_multiple_of(2).then(|| format!("t{n}")),
        done: !n.is_multiple_of(3),
        detail: None,
    }
}

pub(super) async fn acts_are_kept_newest_first_and_bounded(store: &dyn Store) {
    assert_eq!(store.audit(None, 10).await, Ok(vec![]));
    // Three at a time: each write alone would be a sync of its own.
    assert!((MAX_AUDIT_KEPT + 2).is_multiple_of(3));
    for n in (1..=MAX_AUDIT_KEPT).step_by(3) {
        let one = |n| store.add_audit(act(n));
        let three = tokio::join!(one(n), one(n + 1), one(n + 2));
        for added in <[_; 3]>::from(three) {
            added.unwrap();
        }
    }
    let page = store.audit(None, 2).await.unwrap();
    let acts: Vec<_> = page.iter().map(|kept| kept.entry.clone()).collect();
    assert_eq!(acts, [act(MAX_AUDIT_KEPT + 2), act(MAX_AUDIT_KEPT + 1)]);
    let older = store.audit(Some(page[1].seq), 1).await.unwrap();
    assert_eq!(older[0].entry, act(MAX_AUDIT_KEPT));
    let all = store.audit(None, u32::MAX).await.unwrap();
    assert_eq!(all.len(), MAX_AUDIT_KEPT as usize);
    assert_eq!(all.last().map(|kept| kept.entry.clone()), Some(act(3)));
    let long = NewAudit {
        detail: Some("x".repeat(100_000)),
        ..act(1)
    };
    store.add_audit(long).await.unwrap();
    let kept = store.audit(None, 1).await.unwrap();
    assert!(kept[0].entry.detail.as_ref().unwrap().len() < 1_000);
}

pub(super) async fn a_session_keeps_its_proxy(store: &dyn Store) {
    let (a, b) = (session("a"), session("b"));
    for id in [&a, &b] {
        store.add_session(record_of(id)).await.unwrap();
    }
    let proxy = Proxy::parse("http://127.0.0.1:3128").ok();
    store.set_session_proxy(&a, proxy.clone()).await.unwrap();
    // A change of the rest leaves it alone.
    store.update_session(record_of(&a)).await.unwrap();
    assert_eq!(store.session_proxy(&a).await, Ok(proxy.clone()));
    assert_eq!(store.session_proxy(&b).await, Ok(None));
    let nobody = session("nobody");
    assert_eq!(store.session_proxy(&nobody).await, Ok(None));
    assert_eq!(
        store.set_session_proxy(&nobody, proxy.clone()).await,
        Err(StoreError::NoSession(nobody))
    );
    store.remove_session(&a, UnixMs(9_000)).await.unwrap();
    store.add_session(record_of(&a)).await.unwrap();
    assert_eq!(store.session_proxy(&a).await, Ok(None));
    store.set_session_proxy(&b, proxy).await.unwrap();
    store.set_session_proxy(&b, None).await.unwrap();
    assert_eq!(store.session_proxy(&b).await, Ok(None));
}

pub(super) async fn tokens_are_kept(store: &dyn Store) {
    let tokens = [
        token("a", 1, Scope::Admin),
        TokenRecord {
            sessions: Some(vec![session("x"), session("y")]),
            expires_at: Some(UnixMs(9_000)),
            ..token("b", 2, Scope::Send)
        },
        TokenRecord {
            sessions: Some(Vec::new()),
            ..token("c", 3, Scope::Read)
        },
    ];
    for token in tokens.iter().rev() {
        store.add_token(token.clone()).await.unwrap();
    }
    assert_eq!(store.tokens().await, Ok(tokens.to_vec()));
    assert_eq!(
        store.add_token(token("a", 9, Scope::Read)).await,
        Err(StoreError::Exists)
    );
    assert_eq!(
        store.add_token(token("z", 1, Scope::Read)).await,
        Err(StoreError::Exists)
    );
    assert_eq!(
        store.token_by_hash(&[2; 32]).await,
        Ok(Some(tokens[1].clone()))
    );
    assert_eq!(store.token_by_hash(&[9; 32]).await, Ok(None));
    assert_eq!(store.remove_token("b").await, Ok(true));
    assert_eq!(store.remove_token("b").await, Ok(false));
    assert_eq!(store.token_by_hash(&[2; 32]).await, Ok(None));
    assert_eq!(store.tokens().await.map(|tokens| tokens.len()), Ok(2));
}

fn incident(desk: &Desk<'_>, n: u32) -> Incident {
    Incident {
        id: format!("inc_{n:026}"),
        session: desk.session.clone(),
        kind: "page_gone".to_owned(),
        evidence: "the target was \"destroyed\"".to_owned(),
        opened_at: UnixMs(1_000 + i64::from(n)),
        closed_at: None,
        outcome: None,
        healed_by: None,
        recovery_ms: None,
        messages_waited: 0,
        steps: vec![IncidentStep {
            at: UnixMs(1_000),
            step: "detected".to_owned(),
            detail: "seen".to_owned(),
        }],
    }
}

pub(super) async fn incidents_are_kept_newest_first(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let other = Desk::named(store, "other").await;
    for n in [2, 1, 3, 4] {
        store.put_incident(incident(&desk, n)).await.unwrap();
    }
    store.put_incident(incident(&other, 9)).await.unwrap();
    let closed = Incident {
        closed_at: Some(UnixMs(5_000)),
        outcome: Some("recovered".to_owned()),
        healed_by: Some("reload".to_owned()),
        recovery_ms: Some(1_234),
        messages_waited: 7,
        ..incident(&desk, 3)
    };
    store.put_incident(closed.clone()).await.unwrap();
    let list = async |before: Option<u32>, limit| {
        let before = before.map(|n| incident(&desk, n).id);
        store.incidents(&desk.session, before, limit).await.unwrap()
    };
    let all = [
        incident(&desk, 4),
        closed,
        incident(&desk, 2),
        incident(&desk, 1),
    ];
    assert_eq!(list(None, 10).await, all);
    assert_eq!(list(None, 2).await, all[..2]);
    assert_eq!(list(Some(3), 10).await, all[2..]);
    assert_eq!(list(Some(1), 10).await, []);
}

pub(super) async fn incidents_are_bounded(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let bound = MAX_INCIDENTS_KEPT;
    for n in 1..=bound + 3 {
        store.put_incident(incident(&desk, n)).await.unwrap();
    }
    let kept = store
        .incidents(&desk.session, None, u32::MAX)
        .await
        .unwrap();
    assert_eq!(kept.len(), bound as usize);
    assert_eq!(
        kept.first().map(|incident| incident.opened_at),
        Some(UnixMs(2_003))
    );
    assert_eq!(kept.last(), Some(&incident(&desk, 4)));
    let mut long = incident(&desk, 5_000);
    let step = long.steps[0].clone();
    long.steps = vec![step; MAX_INCIDENT_STEPS + 20];
    long.steps[19].detail.push_str(", too old");
    long.steps[20].detail.push_str(", just kept");
    store.put_incident(long).await.unwrap();
    let kept = store.incidents(&desk.session, None, 1).await.unwrap();
    assert_eq!(kept[0].steps.len(), MAX_INCIDENT_STEPS);
    assert_eq!(kept[0].steps[0].detail, "seen, just kept");
}

pub(super) async fn a_check_writes(store: &dyn Store) {
    assert_eq!(store.check().await, Ok(()));
}

pub(super) async fn after_closing_nothing_is_answered(store: &dyn Store) {
    let desk = Desk::new(store).await;
    store.close().await;
    store.close().await;
    let accept = store.accept(message(&desk.session, 1, 1), None).await;
    assert_eq!(accept, Err(StoreError::Closed));
    assert_eq!(store.message(&id(1)).await, Err(StoreError::Closed));
    assert_eq!(store.sessions().await, Err(StoreError::Closed));
    assert_eq!(store.check().await, Err(StoreError::Closed));
}
