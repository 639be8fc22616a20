//! A page's process is killed from outside.

use crate::support::{FOREVER, LONG, pending_calls, renderers_of, scene, signal};
use rustix::process::Signal;
use serde_json::json;
use steadfast_cdp::{Error, PageState};

#[tokio::test]
async fn its_page_crashes_and_is_revived_and_the_other_lives_on() {
    let scene = scene().await;
    let page = &scene.page;
    let before = renderers_of(scene.profile.path());
    let calls = pending_calls(page, FOREVER, 20).await;
    let other = scene.browser.new_page("about:blank", LONG).await.unwrap();
    assert!(
        renderers_of(scene.profile.path()).len() > before.len(),
        "the second page has a process of its own"
    );
    for pid in before {
        signal(pid, Signal::KILL);
    }
    let gone = tokio::time::timeout(LONG, page.gone()).await;
    assert_eq!(gone, Ok(PageState::Crashed));
    for outcome in calls.join_all().await {
        assert_eq!(
            outcome,
            Err(Error::PageCrashed {
                method: "Runtime.evaluate",
                in_flight: true
            })
        );
    }
    assert_eq!(other.evaluate("6 * 7", LONG).await, Ok(json!(42)));
    assert_eq!(other.state(), PageState::Alive);
    page.revive(LONG).await.unwrap();
    assert_eq!(page.evaluate("6 * 7", LONG).await, Ok(json!(42)));
    scene.close().await;
}
