use crate::client::{BOB, End, PATIENCE, Page, fast, link, login, start};
use serde_json::json;
use std::time::Duration;
use steadfast_sim::Simulator;
use steadfast_sim::frames::PageFault;
use steadfast_sim::journal::Event;
use steadfast_sim::world::Fault;

async fn refused(sim: &Simulator) -> bool {
    matches!(
        tokio::net::TcpStream::connect(sim.addr()).await,
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused
    )
}

/// Until the listener has followed the world: bounded, each look a connection attempt.
async fn eventually(mut check: impl AsyncFnMut() -> bool) {
    tokio::time::timeout(PATIENCE, async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("in time");
}

#[tokio::test]
async fn an_outage_cuts_refuses_and_ends() {
    let sim = start(fast()).await;
    let device = link(&sim).await;
    let mut page = login(&sim, &device).await;
    sim.control().fault(Fault::NetworkAway { ms: 0 }).unwrap();
    assert_eq!(page.end().await, End::Cut);
    eventually(async || refused(&sim).await).await;
    sim.control().fault(Fault::NetworkBack).unwrap();
    eventually(async || Page::try_open(&sim).await.is_ok()).await;
    let mut page = login(&sim, &device).await;
    page.text("3EB0AA", &format!("{BOB}@c.us"), "back").await;
    assert_eq!(page.until("ack").await["id"], "3EB0AA");
    sim.shutdown().await;
}

#[tokio::test]
async fn an_outage_of_a_given_length_ends_by_itself() {
    let sim = start(fast()).await;
    sim.control().fault(Fault::NetworkAway { ms: 50 }).unwrap();
    eventually(async || Page::try_open(&sim).await.is_ok()).await;
    sim.shutdown().await;
}

#[tokio::test]
async fn a_black_hole_swallows_and_then_cuts() {
    let sim = start(fast()).await;
    let device = link(&sim).await;
    let mut page = login(&sim, &device).await;
    sim.control().fault(Fault::BlackHole { ms: 0 }).unwrap();
    page.text("3EB0AA", &format!("{BOB}@c.us"), "swallowed")
        .await;
    let silent = tokio::time::timeout(Duration::from_millis(200), page.next()).await;
    assert!(silent.is_err(), "{silent:?}");
    sim.control().fault(Fault::NetworkBack).unwrap();
    assert_eq!(page.end().await, End::Cut);
    assert!(
        sim.control()
            .journal(0, 10_000, &[Event::Taken])
            .entries
            .is_empty()
    );
    sim.shutdown().await;
}

#[tokio::test]
async fn faults_reach_the_pages_they_are_meant_for() {
    let sim = start(fast()).await;
    let mut page = login(&sim, &link(&sim).await).await;
    sim.control()
        .fault(Fault::Page {
            account: Some(crate::client::PHONE.to_owned()),
            fault: PageFault::Hang { ms: 5 },
        })
        .unwrap();
    assert_eq!(
        page.next().await.unwrap(),
        json!({"op": "fault", "kind": "hang", "ms": 5})
    );
    sim.control()
        .fault(Fault::Conflict { account: None })
        .unwrap();
    assert_eq!(page.until("stream_error").await["conflict"], "replaced");
    let nobody = Fault::DropSockets {
        account: Some("4999999999".to_owned()),
    };
    assert!(sim.control().fault(nobody).is_err());
    sim.shutdown().await;
}
