//! Files: kept while somebody needs them, and for a while after that.

use crate::support::{Desk, id, key, message};
use steadfast_core::ids::MediaId;
use steadfast_core::outbox::{Ack, Body, Media, MediaFile, MediaKind, ParkReason};
use steadfast_core::port::{Accepted, MediaRecord, Outcome, Store, StoreError};
use steadfast_core::time::UnixMs;

const SENT: Outcome = Outcome::Sent(Ack::Server);
const NO_BOUND: u64 = u64::MAX;
const NOTHING: [MediaId; 0] = [];

fn file(n: u8) -> MediaId {
    MediaId::of(&[n; 32])
}

fn record(n: u8, used_at: i64) -> MediaRecord {
    MediaRecord {
        id: file(n),
        size: 100,
        mime: "image/png".to_owned(),
        used_at: UnixMs(used_at),
    }
}

fn body(n: u8) -> Body {
    Body::Media(Media {
        shown_as: MediaKind::Image,
        file: MediaFile {
            id: file(n),
            mime: "image/png".to_owned(),
            size: 100,
            name: None,
        },
        caption: format!("message {n}"),
        mentions: Vec::new(),
        reply_to: None,
    })
}

async fn accept(desk: &Desk<'_>, n: u64, of: u8) -> Result<Accepted, StoreError> {
    let message = steadfast_core::outbox::NewMessage {
        body: body(of),
        ..message(&desk.session, n, n)
    };
    desk.store.accept(message, None).await
}

async fn forget(store: &dyn Store, before: i64, most: u64) -> Vec<MediaId> {
    store.forget_media(UnixMs(before), most, 10).await.unwrap()
}

pub(super) async fn a_message_needs_its_file(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let refused = accept(&desk, 1, 1).await;
    assert_eq!(refused, Err(StoreError::NoMedia(file(1))));
    assert_eq!(store.message(&id(1)).await, Ok(None));
    store.put_media(record(1, 500)).await.unwrap();
    assert_eq!(accept(&desk, 1, 1).await, Ok(Accepted::Stored));
    let known = store.media(&file(1)).await.unwrap().unwrap();
    assert_eq!(known.used_at, UnixMs(1_001), "used by the message");
    // One that was brought again later, or earlier, by another clock.
    store.put_media(record(1, 900)).await.unwrap();
    assert_eq!(store.media(&file(1)).await, Ok(Some(known)));
    assert_eq!(store.media(&file(2)).await, Ok(None));
    // Of many, none is stored where one lacks its file.
    let many = [1, 2].map(|of| steadfast_core::outbox::NewMessage {
        body: body(of),
        ..message(&desk.session, 10 + u64::from(of), 1)
    });
    let refused = store.accept_many(many.to_vec()).await;
    assert_eq!(refused, Err(StoreError::NoMedia(file(2))));
    assert_eq!(store.message(&id(11)).await, Ok(None));
}

pub(super) async fn a_file_stays_while_a_message_needs_it(store: &dyn Store) {
    let desk = Desk::new(store).await;
    for n in 1..=3 {
        store.put_media(record(n, 0)).await.unwrap();
        accept(&desk, n.into(), n).await.unwrap();
    }
    assert_eq!(forget(store, i64::MAX, 0).await, NOTHING);
    assert_eq!(desk.claim().await, [1, 2, 3]);
    assert_eq!(forget(store, i64::MAX, 0).await, NOTHING);
    desk.record(1, SENT, 2_000).await;
    desk.record(2, Outcome::Parked(ParkReason::LoginLost), 2_000)
        .await;
    assert_eq!(forget(store, i64::MAX, 0).await, [file(1)]);
    assert_eq!(store.media(&file(1)).await, Ok(None));
    store.unpark(&id(2), false, UnixMs(3_000)).await.unwrap();
    assert_eq!(forget(store, i64::MAX, 0).await, [file(2)]);
    store
        .remove_session(&desk.session, UnixMs(4_000))
        .await
        .unwrap();
    assert_eq!(forget(store, i64::MAX, 0).await, [file(3)]);
}

pub(super) async fn old_files_are_forgotten_first(store: &dyn Store) {
    for n in 1..=5 {
        store
            .put_media(record(n, 100 * i64::from(n)))
            .await
            .unwrap();
    }
    assert_eq!(forget(store, 100, NO_BOUND).await, NOTHING);
    assert_eq!(forget(store, 201, NO_BOUND).await, [file(1), file(2)]);
    let one = store.forget_media(UnixMs(1_000), NO_BOUND, 1).await;
    assert_eq!(one, Ok(vec![file(3)]));
}

pub(super) async fn files_are_forgotten_where_they_are_too_much(store: &dyn Store) {
    for n in 1..=5 {
        store
            .put_media(record(n, 100 * i64::from(n)))
            .await
            .unwrap();
    }
    assert_eq!(forget(store, 0, 500).await, NOTHING);
    assert_eq!(forget(store, 0, 301).await, [file(1), file(2)]);
    assert_eq!(forget(store, 0, 0).await, [file(3), file(4), file(5)]);
}

pub(super) async fn a_key_is_known_without_an_accept(store: &dyn Store) {
    let desk = Desk::new(store).await;
    let used = key("k", 1, 5_000);
    assert_eq!(store.seen_before(&used, UnixMs(1_000)).await, Ok(None));
    store
        .accept(message(&desk.session, 1, 1), Some(used.clone()))
        .await
        .unwrap();
    let seen = store.seen_before(&used, UnixMs(2_000)).await;
    assert!(matches!(seen, Ok(Some(Accepted::Replayed { message })) if message.id == id(1)));
    let other = store.seen_before(&key("k", 2, 5_000), UnixMs(2_000)).await;
    assert_eq!(other, Ok(Some(Accepted::KeyReused)));
    assert_eq!(store.seen_before(&used, UnixMs(5_000)).await, Ok(None));
}
