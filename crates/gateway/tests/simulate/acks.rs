//! Acks while the disk is full.

use crate::full::Full;
use crate::world::World;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use steadfast_core::ids::{ChatId, LoginGeneration, MessageId, SessionId, WaMessageId};
use steadfast_core::outbox::{Ack, Body, NewMessage, Priority, Status};
use steadfast_core::port::{SessionRecord, Store};
use steadfast_core::time::UnixMs;
use steadfast_gateway::clock::SystemClock;
use steadfast_gateway::inbox::Inbox;
use steadfast_gateway::updates::Updates;
use steadfast_store::MemoryStore;

const NOW: UnixMs = UnixMs(1_705_314_600_000);

/// The page tells an ack again only when it is loaded anew.
#[tokio::test(start_paused = true)]
async fn an_ack_waits_until_there_is_room_for_it() {
    let store = Arc::new(Full {
        inner: MemoryStore::new(),
        no_room: AtomicBool::new(false),
        world: World::new(1, None, false),
    });
    let session = SessionId::parse("default").expect("a name");
    let record = SessionRecord {
        id: session.clone(),
        created_at: NOW,
        enabled: true,
        login: LoginGeneration(1),
        parked: None,
    };
    store.add_session(record).await.expect("a session");
    let (id, ours) = (MessageId::mint(NOW, [7; 10]), WaMessageId::mint([7; 9]));
    let message = NewMessage {
        id: id.clone(),
        wa_message_id: ours.clone(),
        session: session.clone(),
        to: ChatId::parse("4915123456789").expect("a chat"),
        body: Body::text("hi"),
        priority: Priority::Normal,
        accepted_at: NOW,
        due_at: NOW,
        expires_at: None,
    };
    store.accept(message, None).await.expect("room");
    let fence = store.take_fence(&session).await.expect("a fence");
    let claimed = store.claim(&session, fence, LoginGeneration(1), NOW, 1);
    assert_eq!(claimed.await.expect("a claim").len(), 1);
    let (keeper, clock): (Arc<dyn Store>, _) = (store.clone(), Arc::new(SystemClock));
    let (inbox, acks) = Inbox::new(keeper, clock, Arc::default(), Updates::default());
    let told = async {
        store.no_room.store(true, Ordering::Relaxed);
        inbox.ack(&session, ours, Ack::Device);
        tokio::time::sleep(Duration::from_hours(2)).await;
        store.no_room.store(false, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(10)).await;
        let kept = store.message(&id).await.expect("a store");
        kept.expect("the message").status
    };
    let status = tokio::select! {
        status = told => status,
        () = acks => panic!("the inbox ended"),
    };
    assert_eq!(status, Status::Delivered);
}
