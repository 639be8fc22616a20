//! Dialog boxes would hold the page up for ever; they are answered.

use crate::support::{LONG, scene, site, wait_for, wait_for_event};
use serde_json::json;
use steadfast_cdp::PageEvent;

#[tokio::test]
async fn dialogs_are_answered_and_told() {
    let scene = scene().await;
    let site = site("<title>ask</title>").await;
    let page = &scene.page;
    let mut events = page.events();
    page.navigate(&site.url, LONG).await.unwrap();
    wait_for_event(&mut events, &PageEvent::Loaded).await;
    let answers = page
        .evaluate("[alert('a'), confirm('b'), prompt('c')]", LONG)
        .await
        .unwrap();
    assert_eq!(answers, json!([null, false, null]));
    for (kind, message) in [("alert", "a"), ("confirm", "b"), ("prompt", "c")] {
        let told = wait_for(&mut events, |event| match event {
            PageEvent::Dialog { kind, message } => Some((kind.to_string(), message.to_string())),
            _ => None,
        })
        .await;
        assert_eq!((&*told.0, &*told.1), (kind, message));
    }

    // A page that does not want to be left is left.
    let params = json!({
        "expression": "window.onbeforeunload = (e) => { e.preventDefault(); return 'stay' }; 0",
        // Chromium asks only where a person has touched the page.
        "userGesture": true,
    });
    let _: serde_json::Value = page.call("Runtime.evaluate", params, LONG).await.unwrap();
    page.reload(LONG).await.unwrap();
    wait_for(&mut events, |event| {
        matches!(event, PageEvent::Dialog { kind, .. } if &**kind == "beforeunload").then_some(())
    })
    .await;
    wait_for_event(&mut events, &PageEvent::Loaded).await;
    let told = page.evaluate("typeof window.onbeforeunload", LONG).await;
    assert_eq!(told, Ok(json!("object")), "the document is a new one");
    scene.close().await;
}
