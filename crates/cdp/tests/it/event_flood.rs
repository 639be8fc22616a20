//! A page tells more than anybody reads.

use crate::support::{LONG, scene, wait_for};
use serde_json::json;
use steadfast_cdp::PageEvent;

#[tokio::test]
async fn a_slow_receiver_is_told_and_holds_up_nobody() {
    const CALLS: u64 = 50_000;
    let scene = scene().await;
    let page = &scene.page;
    page.add_binding("tell", LONG).await.unwrap();
    let mut slow = page.events();
    let mut quick = page.events();
    page.evaluate("'warm'", LONG).await.unwrap();

    let reading = async {
        let mut seen = 0_u64;
        while seen < CALLS {
            match quick.recv().await.unwrap() {
                PageEvent::BindingCalled { payload, .. } => {
                    seen = payload.parse::<u64>().unwrap() + 1;
                }
                PageEvent::Lagged { missed } => seen += missed,
                other => panic!("{other:?}"),
            }
        }
    };
    let script = format!("for (let i = 0; i < {CALLS}; i++) tell(String(i)); 'done'");
    let (told, ()) = tokio::time::timeout(LONG, async {
        tokio::join!(page.evaluate(&script, LONG), reading)
    })
    .await
    .unwrap();
    assert_eq!(told, Ok(json!("done")));
    assert_eq!(page.evaluate("6 * 7", LONG).await, Ok(json!(42)));

    // What waited for the slow one is in order, and what is missing is counted.
    let mut next = 0;
    loop {
        match slow.recv().await.unwrap() {
            PageEvent::BindingCalled { payload, .. } => {
                assert_eq!(payload.parse::<u64>().unwrap(), next);
                next += 1;
            }
            PageEvent::Lagged { missed } => {
                assert_eq!(next + missed, CALLS);
                assert_eq!(next, 1024);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    page.evaluate("tell('after')", LONG).await.unwrap();
    wait_for(&mut slow, |event| {
        matches!(event, PageEvent::BindingCalled { payload, .. } if &**payload == "after")
            .then_some(())
    })
    .await;
    scene.close().await;
}
