//! Many calls at once on one page.

use crate::support::{LONG, scene};
use serde_json::json;
use std::time::Duration;
use steadfast_cdp::Error;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_caller_gets_its_own_answer() {
    let scene = scene().await;
    let mut calls = JoinSet::new();
    for caller in 0..16 {
        let page = scene.page.clone();
        calls.spawn(async move {
            for turn in 0..100 {
                let wanted = caller * 1000 + turn;
                let got = page.evaluate(&wanted.to_string(), LONG).await;
                assert_eq!(got, Ok(json!(wanted)));
            }
        });
    }
    calls.join_all().await;
    scene.close().await;
}

#[tokio::test]
async fn a_late_answer_is_dropped_and_the_next_call_is_not_confused() {
    let scene = scene().await;
    let page = &scene.page;
    for turn in 0..20 {
        // Answered once its caller has given up, and not before.
        let late = page
            .evaluate(
                "new Promise((done) => { window.answer = () => done('late'); })",
                Duration::from_millis(10),
            )
            .await;
        assert!(
            matches!(
                late,
                Err(Error::Timeout {
                    in_flight: true,
                    ..
                })
            ),
            "{late:?}"
        );
        page.evaluate("answer()", LONG).await.unwrap();
        assert_eq!(
            page.evaluate(&turn.to_string(), LONG).await,
            Ok(json!(turn))
        );
    }
    scene.close().await;
}
