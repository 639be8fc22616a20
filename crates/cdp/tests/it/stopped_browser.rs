//! The browser's process is stopped: its pipe stays open and nothing answers.

use crate::support::{LONG, all_gone, processes_of, scene, signal, stop};
use rustix::process::Signal;
use std::time::{Duration, Instant};
use steadfast_cdp::{Error, PageState};

#[tokio::test]
async fn calls_end_at_their_deadline_and_closing_kills_it() {
    let scene = scene().await;
    let family = processes_of(scene.profile.path());
    stop(&scene.browser);
    let after = Duration::from_millis(300);
    assert_eq!(
        scene.page.evaluate("1", after).await,
        Err(Error::Timeout {
            method: "Runtime.evaluate",
            after,
            in_flight: true
        })
    );
    assert!(!scene.browser.is_gone());
    let begun = Instant::now();
    let exit = scene.browser.close(Duration::from_millis(500)).await;
    assert!(begun.elapsed() >= Duration::from_millis(500));
    assert_eq!((exit.code, exit.signal), (None, Some(9)));
    assert_eq!(scene.page.state(), PageState::BrowserGone);
    all_gone(family).await;
}

#[tokio::test]
async fn more_than_can_wait_is_refused_and_what_was_not_written_never_runs() {
    let scene = scene().await;
    stop(&scene.browser);
    let large = "x".repeat(40 << 20);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let (page, large) = (scene.page.clone(), large.clone());
        calls.spawn(async move {
            let outcome = page
                .evaluate(&format!("'{large}'.length"), Duration::from_secs(1))
                .await;
            outcome.unwrap_err()
        });
    }
    let errors = calls.join_all().await;
    let count = |wanted: fn(&Error) -> bool| errors.iter().filter(|e| wanted(e)).count();
    // One is in the pipe, as many wait as may, the rest are refused.
    assert_eq!(
        count(|e| matches!(
            e,
            Error::Timeout {
                in_flight: true,
                ..
            }
        )),
        1
    );
    assert!(
        count(|e| matches!(
            e,
            Error::Timeout {
                in_flight: false,
                ..
            }
        )) >= 2
    );
    assert!(count(|e| matches!(e, Error::Overloaded { .. })) >= 1);

    // Small ones, by number.
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..3000 {
        let page = scene.page.clone();
        calls.spawn(async move {
            page.evaluate("window.ran = 1", Duration::from_secs(1))
                .await
        });
    }
    let outcomes = calls.join_all().await;
    assert!(outcomes.iter().all(Result::is_err));
    assert!(outcomes.contains(&Err(Error::Overloaded {
        method: "Runtime.evaluate"
    })));

    // The browser goes on: it reads the one command and none of those that were given up.
    signal(scene.browser.pid(), Signal::CONT);
    let ran = scene
        .page
        .evaluate("typeof window.ran", LONG)
        .await
        .unwrap();
    assert_eq!(ran, "undefined");
    scene.close().await;
}
