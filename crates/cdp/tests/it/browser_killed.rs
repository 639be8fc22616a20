//! The browser itself is killed.

use crate::support::{FOREVER, LONG, all_gone, pending_calls, processes_of, scene, signal};
use rustix::process::Signal;
use steadfast_cdp::{Error, PageEvent, PageState};

#[tokio::test]
async fn every_call_fails_at_once_and_nothing_is_left() {
    let scene = scene().await;
    let family = processes_of(scene.profile.path());
    assert!(family.len() > 2, "{family:?}");
    let mut events = scene.page.events();
    let calls = pending_calls(&scene.page, FOREVER, 20).await;
    let other = scene.browser.new_page("about:blank", LONG).await.unwrap();
    let more = pending_calls(&other, FOREVER, 20).await;

    signal(scene.browser.pid(), Signal::KILL);
    tokio::time::timeout(LONG, scene.browser.gone())
        .await
        .unwrap();
    assert!(scene.browser.is_gone());
    for outcome in [calls.join_all().await, more.join_all().await].concat() {
        assert_eq!(
            outcome,
            Err(Error::BrowserGone {
                method: "Runtime.evaluate",
                in_flight: true
            })
        );
    }
    assert_eq!(scene.page.state(), PageState::BrowserGone);
    assert_eq!(other.state(), PageState::BrowserGone);
    assert_eq!(events.recv().await, Some(PageEvent::BrowserGone));
    assert_eq!(events.recv().await, None);
    let refused = |method| Error::BrowserGone {
        method,
        in_flight: false,
    };
    assert_eq!(
        other.evaluate("1", LONG).await,
        Err(refused("Runtime.evaluate"))
    );
    assert_eq!(
        scene
            .browser
            .new_page("about:blank", LONG)
            .await
            .unwrap_err(),
        refused("Target.createTarget")
    );
    let exit = tokio::time::timeout(LONG, scene.browser.exited())
        .await
        .unwrap();
    assert_eq!((exit.code, exit.signal), (None, Some(9)));
    // A close of what is gone gives the same end.
    assert_eq!(scene.browser.close(LONG).await, exit);
    all_gone(family).await;
}

#[tokio::test]
async fn dropping_the_last_handle_kills_it() {
    let scene = scene().await;
    let family = processes_of(scene.profile.path());
    let page = scene.page.clone();
    drop(scene.browser.clone());
    assert_eq!(page.state(), PageState::Alive);
    let calls = pending_calls(&page, FOREVER, 3).await;
    // The scene's own page handle keeps nothing alive.
    drop(scene.browser);
    assert_eq!(page.state(), PageState::BrowserGone);
    for outcome in calls.join_all().await {
        assert_eq!(
            outcome,
            Err(Error::BrowserGone {
                method: "Runtime.evaluate",
                in_flight: true
            })
        );
    }
    all_gone(family).await;
}
