//! A page's main thread hangs.

use crate::support::{LONG, scene, wait_for_event};
use serde_json::json;
use std::time::Duration;
use steadfast_cdp::{Error, Page, PageEvent, PageState};
use tokio::task::JoinSet;

/// Long enough to be sure of a hang on a busy machine.
const PROBE: Duration = Duration::from_secs(2);

/// Hangs the page; gives the call that did it, and a probe that could not be answered.
async fn hung(page: &Page) -> JoinSet<Result<serde_json::Value, Error>> {
    page.add_binding("hanging", LONG).await.unwrap();
    let mut events = page.events();
    let mut calls = JoinSet::new();
    let hanging = page.clone();
    calls.spawn(async move { hanging.evaluate("hanging(''); for (;;) {}", LONG).await });
    crate::support::wait_for(&mut events, |event| {
        matches!(event, PageEvent::BindingCalled { .. }).then_some(())
    })
    .await;
    assert_eq!(
        page.evaluate("1", PROBE).await,
        Err(Error::Timeout {
            method: "Runtime.evaluate",
            after: PROBE,
            in_flight: true
        })
    );
    calls
}

#[tokio::test]
async fn terminating_the_script_frees_it_and_keeps_the_document() {
    let scene = scene().await;
    let page = &scene.page;
    page.evaluate("window.kept = 7", LONG).await.unwrap();
    let mut calls = hung(page).await;
    page.terminate_script(LONG).await.unwrap();
    assert_eq!(
        calls.join_next().await.unwrap().unwrap(),
        Err(Error::Terminated {
            method: "Runtime.evaluate"
        })
    );
    assert_eq!(page.evaluate("window.kept", LONG).await, Ok(json!(7)));
    // Where nothing runs, nothing happens.
    page.terminate_script(LONG).await.unwrap();
    assert_eq!(page.evaluate("window.kept", LONG).await, Ok(json!(7)));
    scene.close().await;
}

#[tokio::test]
async fn a_crash_and_a_reload_bring_it_back() {
    let scene = scene().await;
    let page = &scene.page;
    let mut events = page.events();
    let mut calls = hung(page).await;
    page.crash(LONG).await.unwrap();
    wait_for_event(&mut events, &PageEvent::Crashed).await;
    assert_eq!(
        calls.join_next().await.unwrap().unwrap(),
        Err(Error::PageCrashed {
            method: "Runtime.evaluate",
            in_flight: true
        })
    );
    page.revive(LONG).await.unwrap();
    assert_eq!(page.state(), PageState::Alive);
    assert_eq!(page.evaluate("6 * 7", LONG).await, Ok(json!(42)));
    scene.close().await;
}

#[tokio::test]
async fn a_hung_page_can_be_closed() {
    let scene = scene().await;
    let page = scene.browser.new_page("about:blank", LONG).await.unwrap();
    let calls = hung(&page).await;
    page.close(LONG).await.unwrap();
    for outcome in calls.join_all().await {
        assert!(outcome.is_err_and(|error| error.may_have_run()));
    }
    assert_eq!(scene.page.evaluate("6 * 7", LONG).await, Ok(json!(42)));
    scene.close().await;
}
