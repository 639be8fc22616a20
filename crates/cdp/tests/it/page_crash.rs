//! A page's renderer crashes, and the page is revived on the same session.

use crate::support::{FOREVER, LONG, pending_calls, scene, wait_for, wait_for_event};
use serde_json::json;
use steadfast_cdp::{Error, PageEvent, PageState};

#[tokio::test]
async fn calls_fail_and_are_refused_until_the_page_is_revived() {
    let scene = scene().await;
    let page = &scene.page;
    page.add_binding("tell", LONG).await.unwrap();
    page.add_script_on_new_document("window.early = 'here'", LONG)
        .await
        .unwrap();
    let other = scene.browser.new_page("about:blank", LONG).await.unwrap();
    let mut events = page.events();
    let calls = pending_calls(page, FOREVER, 20).await;

    page.crash(LONG).await.unwrap();
    assert_eq!(page.state(), PageState::Crashed);
    assert_eq!(page.context(), None);
    for outcome in calls.join_all().await {
        assert_eq!(
            outcome,
            Err(Error::PageCrashed {
                method: "Runtime.evaluate",
                in_flight: true
            })
        );
    }
    wait_for_event(&mut events, &PageEvent::Crashed).await;
    let refused = Err(Error::PageCrashed {
        method: "Runtime.evaluate",
        in_flight: false,
    });
    assert_eq!(page.evaluate("1", LONG).await, refused);
    assert!(matches!(
        page.call_function::<i32>("() => 1", &[], LONG).await,
        Err(Error::PageCrashed {
            in_flight: false,
            ..
        })
    ));
    assert_eq!(other.evaluate("6 * 7", LONG).await, Ok(json!(42)));

    for _ in 0..3 {
        page.reload(LONG).await.unwrap();
        assert_eq!(page.state(), PageState::Alive);
        wait_for_event(&mut events, &PageEvent::Revived).await;
        // What was set up on the session outlives the renderer.
        wait_for(&mut events, |event| {
            matches!(event, PageEvent::ContextCreated(c) if c.is_default && c.is_main_frame)
                .then_some(())
        })
        .await;
        assert_eq!(page.evaluate("window.early", LONG).await, Ok(json!("here")));
        page.evaluate("tell('again')", LONG).await.unwrap();
        wait_for(&mut events, |event| {
            matches!(event, PageEvent::BindingCalled { payload, .. } if &**payload == "again")
                .then_some(())
        })
        .await;
        page.crash(LONG).await.unwrap();
        wait_for_event(&mut events, &PageEvent::Crashed).await;
    }
    page.close(LONG).await.unwrap();
    assert_eq!(other.evaluate("6 * 7", LONG).await, Ok(json!(42)));
    scene.close().await;
}
