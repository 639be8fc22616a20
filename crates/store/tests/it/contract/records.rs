//! Inbound messages, sessions, tokens, incidents.

use crate::support::{Desk, NONE, chat, id, key, message, record_of, session, wa};
use steadfast_core::ids::LoginGeneration;
use steadfast_core::inbound::{Extras, InboundMessage};
use steadfast_core::outbox::Ack;
use steadfast_core::port::{
    Accepted, Incident, IncidentStep, MessageQuery, OutboxDepth, Scope, SessionRecord, Store,
    StoreError, TokenRecord,
};
use steadfast_core::time::UnixMs;
use steadfast_store::{MAX_INCIDENT_STEPS, MAX_INCIDENTS_KEPT};

fn inbound(n: u64, from: u64) -> InboundMessage {
    InboundMessage {
        wa_message_id: wa(n),
        chat: chat(from),
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
    assert_eq!(store.remove_session(&desk.session).await, Ok(()));
    // A second time is no error.
    assert_eq!(store.remove_session(&desk.session).await, Ok(()));

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
    store.remove_session(&desk.session).await.unwrap();
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

pub(super) async fn tokens_are_kept(store: &dyn Store) {
    let token = |name: &str, hash: u8, scope| TokenRecord {
        name: name.to_owned(),
        hash: [hash; 32],
        scope,
        created_at: UnixMs(i64::from(hash)),
    };
    let tokens = [
        token("a", 1, Scope::Admin),
        token("b", 2, Scope::Send),
        token("c", 3, Scope::Read),
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
