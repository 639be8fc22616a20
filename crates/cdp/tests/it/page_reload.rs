//! A page is loaded again under its calls.

use crate::support::{FOREVER, LONG, pending_calls, scene, wait_for, wait_for_event};
use serde_json::json;
use steadfast_cdp::{Error, PageEvent, PageState};

#[tokio::test]
async fn calls_of_the_old_document_fail_and_never_run_in_the_new_one() {
    let scene = scene().await;
    let page = &scene.page;
    let old = page.context().expect("a document is there");
    let mut events = page.events();
    let calls = pending_calls(page, FOREVER, 20).await;

    page.reload(LONG).await.unwrap();
    for outcome in calls.join_all().await {
        assert_eq!(
            outcome,
            Err(Error::ContextLost {
                method: "Runtime.evaluate",
                in_flight: true
            })
        );
    }
    wait_for_event(&mut events, &PageEvent::ContextsCleared).await;
    let new = wait_for(&mut events, |event| match event {
        PageEvent::ContextCreated(context) if context.is_default => Some(context.clone()),
        _ => None,
    })
    .await;
    wait_for_event(&mut events, &PageEvent::Loaded).await;
    assert_ne!(new.unique_id, old.unique_id);
    assert_eq!(page.context(), Some(new.clone()));
    assert_eq!(page.state(), PageState::Alive);

    let stale = page
        .call_function_in::<i32>(&old, "() => 1", &[], LONG)
        .await;
    assert_eq!(
        stale,
        Err(Error::ContextLost {
            method: "Runtime.callFunctionOn",
            in_flight: false
        })
    );
    let sum: i64 = page
        .call_function_in(&new, "(a, b) => a + b", &[json!(2), json!(3)], LONG)
        .await
        .unwrap();
    assert_eq!(sum, 5);
    scene.close().await;
}

#[tokio::test]
async fn what_scripts_give_back_keeps_its_kind() {
    let scene = scene().await;
    let page = &scene.page;
    for (expression, value) in [
        ("undefined", json!(null)),
        ("null", json!(null)),
        ("({a: [1, 'ü']})", json!({"a": [1, "ü"]})),
        ("Promise.resolve(false)", json!(false)),
        ("'a\\ud83d'", json!("a\u{fffd}")),
        ("'\\ud83d\\ude00'", json!("\u{1f600}")),
    ] {
        assert_eq!(page.evaluate(expression, LONG).await, Ok(value));
    }
    for (expression, part) in [
        (
            "throw new TypeError('no such thing')",
            "TypeError: no such thing",
        ),
        ("Promise.reject(new Error('later'))", "Error: later"),
        ("throw 'plain'", "plain"),
        ("Promise.reject({code: 7})", ""),
        ("not js at all", "SyntaxError"),
    ] {
        match page.evaluate(expression, LONG).await {
            Err(Error::Exception { text, .. }) => assert!(text.contains(part), "{text}"),
            other => panic!("{expression}: {other:?}"),
        }
    }
    assert!(matches!(
        page.evaluate("NaN", LONG).await,
        Err(Error::Malformed { .. })
    ));
    assert!(matches!(
        page.evaluate_as::<u8>("'text'", LONG).await,
        Err(Error::Malformed { .. })
    ));
    let unknown: Result<serde_json::Value, _> = page.call("No.such", json!({}), LONG).await;
    assert!(
        matches!(
            &unknown,
            Err(Error::Protocol {
                method: "No.such",
                code: -32601,
                ..
            })
        ),
        "{unknown:?}"
    );
    let mut events = page.events();
    page.evaluate(
        "void setTimeout(() => { throw new Error('uncaught') })",
        LONG,
    )
    .await
    .unwrap();
    let text = wait_for(&mut events, |event| match event {
        PageEvent::Exception { text } => Some(text.clone()),
        _ => None,
    })
    .await;
    assert!(text.contains("uncaught"), "{text}");
    scene.close().await;
}
