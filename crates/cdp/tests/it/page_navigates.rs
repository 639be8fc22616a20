//! A page goes somewhere else under its calls.

use crate::support::{FOREVER, LONG, pending_calls, scene, site, wait_for};
use serde_json::json;
use steadfast_cdp::{Error, PageEvent};

#[tokio::test]
async fn calls_fail_when_the_page_goes_elsewhere() {
    let scene = scene().await;
    let (first, second) = (
        site("<title>one</title>").await,
        site("<title>two</title>").await,
    );
    let page = &scene.page;
    page.navigate(&first.url, LONG).await.unwrap();
    assert_eq!(
        page.evaluate("location.href", LONG).await,
        Ok(json!(first.url))
    );

    // By command, into another site and so perhaps another process.
    let mut events = page.events();
    let calls = pending_calls(page, FOREVER, 8).await;
    let elsewhere = second.url.replace("127.0.0.1", "localhost");
    page.navigate(&elsewhere, LONG).await.unwrap();
    for outcome in calls.join_all().await {
        assert!(
            matches!(
                outcome,
                Err(Error::ContextLost {
                    in_flight: true,
                    ..
                })
            ),
            "{outcome:?}"
        );
    }
    let url = wait_for(&mut events, |event| match event {
        PageEvent::Navigated { url } => Some(url.to_string()),
        _ => None,
    })
    .await;
    assert_eq!(url, elsewhere);

    // By itself, as WhatsApp Web does at a logout.
    let calls = pending_calls(page, FOREVER, 8).await;
    page.evaluate(&format!("void (location.href = '{}')", first.url), LONG)
        .await
        .unwrap();
    for outcome in calls.join_all().await {
        assert!(
            matches!(
                outcome,
                Err(Error::ContextLost {
                    in_flight: true,
                    ..
                })
            ),
            "{outcome:?}"
        );
    }
    scene.close().await;
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_named() {
    let scene = scene().await;
    // A port that is ours, and on which nobody listens.
    let deaf = tokio::net::TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = format!("http://{}/", deaf.local_addr().unwrap());
    let refused = scene.page.navigate(&closed, LONG).await;
    assert!(
        matches!(&refused, Err(Error::Navigation { url, text, .. })
            if *url == closed && text == "net::ERR_CONNECTION_REFUSED"),
        "{refused:?}"
    );
    let lost = scene
        .browser
        .new_page("http://nowhere.invalid/", LONG)
        .await;
    assert!(matches!(lost, Err(Error::Navigation { .. })), "{lost:?}");
    scene.close().await;
}
