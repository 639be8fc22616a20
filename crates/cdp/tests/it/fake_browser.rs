//! Programs that speak the pipe, but say what no browser would.

use crate::launch_failures::script;
use crate::support::{LONG, options};
use serde_json::json;
use std::time::Duration;
use steadfast_cdp::{Browser, Error};
use tempfile::TempDir;

/// Greets as a browser does, then does as it is told.
async fn fake(body: &str) -> (Browser, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let greeting = r#"[ "$1" = --version ] && { echo Chromium 1.2.3.4; exit; }
        printf '{"id":1,"result":{}}\0' >&4
        printf '{"id":2,"result":{"product":"Fake/1","userAgent":"U"}}\0' >&4
        say() { printf "$1"'\0' >&4; }
        hear() { read -r -d '' -u 3 heard; }
        hear; hear"#;
    let mut options = options(&folder.path().join("profile"));
    options.binary = script(folder.path(), &format!("{greeting}\n{body}"));
    let browser = Browser::launch(&options).await.unwrap();
    (browser, folder)
}

#[tokio::test]
async fn garbage_and_unknown_messages_break_nothing() {
    let body = r#"
        hear
        say 'no json at all'; say '\xff\xfe'; say '[]'; say '{}'; say '{"id":3'
        say '{"method":"New.event","params":{"x":1}}'
        say '{"method":"Target.attachedToTarget","params":{"wrong":1}}'
        say '{"method":"Page.loadEventFired","sessionId":"unknown"}'
        say '{"id":999,"result":{}}'
        say '{"id":3,"result":{"good":true}}'
        hear; say '{"id":4}'
        hear; say '{"id":5,"error":{"code":-32000,"message":"Strange"}}'
        hear; say '{"id":6,"result":{"good":1}}{"id":6}'; say '{"id":6,"result":7,"extra":[]}'
        hear"#;
    let (browser, _folder) = fake(body).await;
    let call = async || -> Result<serde_json::Value, Error> {
        browser.call("Any.method", json!({}), LONG).await
    };
    assert_eq!(call().await, Ok(json!({"good": true})));
    assert!(matches!(call().await, Err(Error::Malformed { .. })));
    assert_eq!(
        call().await,
        Err(Error::Protocol {
            method: "Any.method",
            code: -32000,
            message: "Strange".to_owned()
        })
    );
    assert_eq!(call().await, Ok(json!(7)));
    // The last is heard and never answered: the program ends.
    assert_eq!(
        call().await,
        Err(Error::BrowserGone {
            method: "Any.method",
            in_flight: true
        })
    );
    let exit = tokio::time::timeout(LONG, browser.exited()).await.unwrap();
    assert_eq!(exit.code, Some(0));
}

#[tokio::test]
async fn an_absurd_message_ends_the_connection() {
    let body = "hear; head -c 300000000 /dev/zero | tr '\\0' x >&4; exec sleep 1000";
    let (browser, _folder) = fake(body).await;
    let call: Result<serde_json::Value, _> = browser.call("Any.method", json!({}), LONG).await;
    assert!(
        matches!(
            call,
            Err(Error::BrowserGone {
                in_flight: true,
                ..
            })
        ),
        "{call:?}"
    );
    assert!(browser.is_gone());
    // It does not end by itself and is killed after its grace.
    let exit = tokio::time::timeout(LONG, browser.exited()).await.unwrap();
    assert_eq!(exit.signal, Some(9));
}

#[tokio::test]
async fn answers_written_just_before_the_end_still_count() {
    let (browser, _folder) = fake(r#"hear; say '{"id":3,"result":{"last":1}}'; exit 3"#).await;
    let call: Result<serde_json::Value, _> = browser.call("Any.method", json!({}), LONG).await;
    assert_eq!(call, Ok(json!({"last": 1})));
    let exit = tokio::time::timeout(LONG, browser.exited()).await.unwrap();
    assert_eq!(exit.code, Some(3));
}

#[tokio::test]
async fn a_process_that_keeps_the_pipe_open_after_the_browser_died_changes_nothing() {
    // A grandchild in another group holds our pipe: its end never comes. It tells
    // its number once it has left ours.
    let body = r#"read -r helper < <(exec setsid bash -c 'echo $$; exec sleep 1000 >/dev/null 2>&1')
        echo "helper $helper" >&2; hear; exit 5"#;
    let (browser, _folder) = fake(body).await;
    let call: Result<serde_json::Value, _> = browser.call("Any.method", json!({}), LONG).await;
    assert!(matches!(call, Err(Error::BrowserGone { .. })), "{call:?}");
    let exit = tokio::time::timeout(LONG, browser.exited()).await.unwrap();
    assert_eq!(exit.code, Some(5));
    let helper = exit.stderr_tail.strip_prefix("helper ").unwrap();
    crate::support::signal(helper.parse().unwrap(), rustix::process::Signal::KILL);
}

#[tokio::test]
async fn only_the_last_of_a_long_stderr_is_kept() {
    let body = "for i in {1..20000}; do echo \"line $i of stderr\" >&2; done; hear; exit 1";
    let (browser, _folder) = fake(body).await;
    let call: Result<serde_json::Value, _> = browser.call("Any.method", json!({}), LONG).await;
    assert!(call.is_err());
    let exit = tokio::time::timeout(LONG, browser.exited()).await.unwrap();
    assert!(exit.stderr_tail.ends_with("line 20000 of stderr"));
    assert!(exit.stderr_tail.len() <= 16 << 10);
}

#[tokio::test]
async fn a_line_of_stderr_is_waited_for_however_it_comes() {
    let body = r"printf 'the first line\nhalf of ' >&2; hear; printf 'another\n' >&2; hear; exit 0";
    let (browser, _folder) = fake(body).await;
    let heard =
        |wanted: &'static str| tokio::time::timeout(LONG, browser.said(move |line| line == wanted));
    // One that was said before it was asked for, and one that came in two pieces.
    heard("the first line").await.unwrap();
    let call = browser.call::<serde_json::Value>("Any.method", json!({}), LONG);
    tokio::select! {
        said = heard("half of another") => said.unwrap(),
        answer = call => panic!("it answers nothing: {answer:?}"),
    }
    browser.kill();
}

#[tokio::test]
async fn a_browser_that_closes_its_pipe_and_stays_is_killed_by_the_deadline() {
    let (browser, _folder) = fake("exec 3<&- 4>&-; exec sleep 1000").await;
    let exit = browser.close(Duration::from_millis(300)).await;
    assert_eq!((exit.code, exit.signal), (None, Some(9)));
}
