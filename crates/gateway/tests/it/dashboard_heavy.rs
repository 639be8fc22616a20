//! The dashboard with much in it: 50 sessions and 100,000 messages.

use crate::fake::id;
use crate::person::Person;
use crate::surface::Surface;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use steadfast_core::ids::{ChatId, MessageId, WaMessageId};
use steadfast_core::outbox::{Body, NewMessage, Priority};
use steadfast_core::port::Store as _;
use steadfast_core::time::UnixMs;
use steadfast_gateway::clock::{Clock as _, SystemClock};
use steadfast_store::{Options, SqliteStore};

const MESSAGES: u32 = 100_000;
const SESSIONS: u32 = 50;
/// First paint, and a list: a second each, on two cores that do other things too.
const QUICK: Duration = Duration::from_secs(1);

fn message(n: u32, at: UnixMs) -> NewMessage {
    let mut bytes = [0; 10];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    NewMessage {
        id: MessageId::mint(at, bytes),
        wa_message_id: WaMessageId::mint(bytes[..9].try_into().unwrap()),
        session: id("default"),
        to: ChatId::parse(&format!("49151{n:08}")).unwrap(),
        body: Body::text(format!("message {n}")),
        priority: Priority::Normal,
        accepted_at: at,
        due_at: at,
        expires_at: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stays_quick_with_much_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steadfast.db");
    let store = Arc::new(SqliteStore::open(path, Options::default()).unwrap());
    let surface = Surface::over(store.clone(), |_| {}).await;
    for n in 1..SESSIONS {
        surface.sessions.add(&format!("shop-{n:02}"));
    }
    let at = SystemClock.unix();
    for from in (0..MESSAGES).step_by(2_000) {
        let batch = (from..from + 2_000).map(|n| message(n, at)).collect();
        store.accept_many(batch).await.unwrap();
    }
    let person = Person::start().await;
    person.open(&format!("http://{}/", surface.address)).await;
    person.types("Token", &surface.admin).await;
    let mut times = Vec::new();
    let mut began = Instant::now();
    person.presses("Enter").await;
    for (what, shown, next) in [
        (
            "the sessions",
            "document.querySelectorAll('tbody tr').length === 25",
            "Outbox",
        ),
        (
            "the outbox",
            "document.querySelectorAll('tbody tr').length === 50 && document.body.innerText.includes('message 99999')",
            "Older",
        ),
        (
            "older messages",
            "document.body.innerText.includes('message 99900')",
            "Older",
        ),
    ] {
        person.until(what, shown).await;
        times.push((what, began.elapsed()));
        began = Instant::now();
        person.clicks(next).await;
    }
    for (what, took) in times {
        assert!(took < QUICK, "{what} took {took:?}");
    }
    person.reloads().await;
    let paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime";
    let painted = person.until("the first paint", paint).await;
    assert!(
        painted.as_f64().unwrap() < 1_000.0,
        "first paint after {painted} ms"
    );
    let bytes = "performance.getEntriesByType('resource').filter((e) => e.name.includes('/assets/')).reduce((sum, e) => sum + e.decodedBodySize, 0)";
    let bytes: Value = person.reads(bytes).await;
    assert!(bytes.as_f64().unwrap() < 200_000.0, "{bytes} bytes");
    person.met_no_trouble().await;
    person.end().await;
    surface.stop().await;
    store.close().await;
}
