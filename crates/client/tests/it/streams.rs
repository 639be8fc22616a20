//! The log as a stream: it goes on over what breaks, and ends at what stays.

use crate::client;
use crate::server::{Server, Step, answer, problem};
use futures_util::{Stream as _, StreamExt as _, TryStreamExt as _};
use std::time::{Duration, Instant};
use steadfast_client::{Error, Start, Transport};

fn event(seq: i64) -> String {
    format!(
        r#"{{"id":"evt_{seq}","seq":{seq},"type":"message.sent","session":"default","timestamp":"t","data":{{}}}}"#
    )
}

fn page(seqs: &[i64], next: i64, gap: bool) -> Step {
    let items: Vec<_> = seqs.iter().map(|seq| event(*seq)).collect();
    let items = items.join(",");
    let page = format!(r#"{{"items":[{items}],"next":"{next}","more":false,"gap":{gap}}}"#);
    Step::Answer(answer("200 OK", "", &page))
}

/// The positions that the server was asked for.
fn asked(server: &Server) -> Vec<String> {
    let after = |request: &String| {
        let line = request.lines().next().unwrap();
        let (_, after) = line.split_once("&after=").unwrap();
        after.split(['&', ' ']).next().unwrap().to_owned()
    };
    server.requests().iter().map(after).collect()
}

#[tokio::test]
async fn events_come_one_by_one_over_a_lost_connection() {
    let server = Server::start([
        page(&[], 40, false),
        page(&[41, 43], 50, false),
        Step::HangUp,
        page(&[51], 51, false),
    ])
    .await;
    let client = client(&server).build().unwrap();
    let mut events = client.events(Start::Now).into_stream();
    assert_eq!(events.position(), None);
    assert_eq!(server.requests().len(), 0, "nothing is asked unasked");
    let mut met = Vec::new();
    while met.len() < 3 {
        let event = events.try_next().await.unwrap().unwrap();
        assert!(!event.gap);
        met.push((event.seq, events.position().unwrap().to_owned()));
    }
    // Behind the last of a page stands what the filters passed over, too.
    let wanted = [(41, "41"), (43, "50"), (51, "51")];
    assert_eq!(met, wanted.map(|(seq, at)| (seq, at.to_owned())));
    assert_eq!(asked(&server), ["end", "40", "50", "50"]);
}

#[tokio::test]
async fn a_page_is_given_out_before_the_next_is_asked_for() {
    let server = Server::start([page(&[1, 2], 2, false), page(&[3], 3, false)]).await;
    let client = client(&server).build().unwrap();
    let mut events = client.events(Start::After("0".to_owned())).into_stream();
    assert_eq!(events.try_next().await.unwrap().unwrap().seq, 1);
    assert_eq!((events.size_hint().0, server.requests().len()), (1, 1));
    // Whoever goes on from there is given what the page still held.
    assert_eq!(events.position(), Some("1"));
    let rest: Vec<_> = events.take(2).try_collect().await.unwrap();
    assert_eq!((rest[0].seq, rest[1].seq), (2, 3));
}

#[tokio::test]
async fn a_gap_is_told_with_the_event_behind_it() {
    let server = Server::start([
        page(&[], 70, true),
        page(&[71, 72], 72, false),
        page(&[90], 90, true),
    ])
    .await;
    let client = client(&server).build().unwrap();
    let events = client.events(Start::After("5".to_owned())).into_stream();
    let told: Vec<_> = events.take(3).try_collect().await.unwrap();
    let told: Vec<_> = told.iter().map(|event| (event.seq, event.gap)).collect();
    assert_eq!(told, [(71, true), (72, false), (90, true)]);
}

#[tokio::test]
async fn it_goes_on_behind_an_error_that_passes_and_ends_at_one_that_stays() {
    let full = problem("503 Service Unavailable", "storage_failed", true, Some(4));
    let refused = problem("401 Unauthorized", "token_unknown", false, None);
    let server = Server::start([
        Step::Answer(full),
        page(&[], 7, false),
        page(&[8], 8, false),
        Step::Answer(refused),
    ])
    .await;
    // No patience for what is asked of it, but for a slow machine: the stream has it instead.
    let client = client(&server).patience(Duration::from_secs(3));
    let client = client.build().unwrap();
    let mut events = client.events(Start::Now).into_stream();
    let away = events.try_next().await.unwrap_err();
    assert_eq!(away.code(), Some("storage_failed"));
    assert_eq!(events.position(), None);
    let asked_again = Instant::now();
    assert_eq!(events.try_next().await.unwrap().unwrap().seq, 8);
    assert!(
        asked_again.elapsed() >= Duration::from_secs(4),
        "Retry-After was not heeded"
    );
    let ended = events.try_next().await.unwrap_err();
    assert!(matches!(ended, Error::Problem(_)), "{ended:?}");
    assert!(events.next().await.is_none());
    assert_eq!(events.position(), Some("8"));
    assert_eq!(asked(&server), ["end", "end", "7", "8"]);
}

/// What breaks before anybody has said who it is may be better the next time.
#[tokio::test]
async fn a_handshake_that_breaks_is_a_connection_that_fails() {
    let server = Server::start([]).await;
    let url = format!("https://{}", server.address);
    let client = steadfast_client::Client::new(url, crate::TOKEN).unwrap();
    let error = client.alive().await.unwrap_err();
    assert!(
        matches!(error, Error::Transport(Transport::Connect(_))),
        "{error:?}"
    );
    assert!(error.is_retryable() && !error.may_be_accepted());
}
