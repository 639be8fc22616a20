//! A page is closed under its calls.

use crate::support::{FOREVER, LONG, pending_calls, scene, wait_for_event};
use serde_json::json;
use steadfast_cdp::{Error, PageEvent, PageState};

#[tokio::test]
async fn pending_calls_fail_at_once_and_other_pages_live_on() {
    let scene = scene().await;
    let other = scene.browser.new_page("about:blank", LONG).await.unwrap();
    let page = &scene.page;
    let mut events = page.events();
    let calls = pending_calls(page, FOREVER, 20).await;

    // Closed from outside, as the browser would by itself.
    let _: serde_json::Value = scene
        .browser
        .call(
            "Target.closeTarget",
            json!({ "targetId": page.target_id() }),
            LONG,
        )
        .await
        .unwrap();
    let gone = tokio::time::timeout(LONG, page.gone()).await;
    assert_eq!(gone, Ok(PageState::Detached));
    for outcome in calls.join_all().await {
        let error = outcome.unwrap_err();
        assert!(error.may_have_run(), "{error}");
        assert!(
            matches!(error, Error::PageGone { .. } | Error::ContextLost { .. }),
            "{error:?}"
        );
    }
    wait_for_event(&mut events, &PageEvent::Detached).await;
    assert_eq!(events.recv().await, None);
    // One who comes late hears it too.
    assert_eq!(page.events().recv().await, Some(PageEvent::Detached));

    assert_eq!(
        page.evaluate("1", LONG).await,
        Err(Error::PageGone {
            method: "Runtime.evaluate",
            in_flight: false
        })
    );
    assert_eq!(page.close(LONG).await, Ok(()));
    assert_eq!(other.evaluate("6 * 7", LONG).await, Ok(json!(42)));
    scene.close().await;
}

#[tokio::test]
async fn closing_waits_until_the_page_is_gone() {
    let scene = scene().await;
    let page = scene.browser.new_page("about:blank", LONG).await.unwrap();
    assert_eq!(scene.browser.pages(LONG).await.unwrap().len(), 2);
    page.close(LONG).await.unwrap();
    assert_eq!(page.state(), PageState::Detached);
    assert_eq!(scene.browser.pages(LONG).await.unwrap().len(), 1);
    let attached = scene.browser.attach(page.target_id(), LONG).await;
    assert!(
        matches!(attached, Err(Error::Protocol { .. })),
        "{attached:?}"
    );
    scene.close().await;
}
