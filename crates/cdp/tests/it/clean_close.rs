//! A browser is closed in order, and started again on the same profile.

use crate::support::{LONG, options, scene, site};
use serde_json::json;
use steadfast_cdp::Browser;

#[tokio::test]
async fn what_the_page_stored_at_the_last_moment_is_kept() {
    let site = site("<title>store</title>").await;
    let profile = tempfile::tempdir().unwrap();
    for run in 0..3 {
        let browser = Browser::launch(&options(profile.path())).await.unwrap();
        let page = browser.first_page(LONG).await.unwrap();
        page.navigate(&site.url, LONG).await.unwrap();
        let kept = page
            .evaluate("[localStorage.getItem('run'), document.cookie]", LONG)
            .await
            .unwrap();
        if run > 0 {
            let before = (run - 1).to_string();
            assert_eq!(kept, json!([before, format!("run={before}")]));
        }
        page.evaluate(
            &format!("localStorage.setItem('run', '{run}'); document.cookie = 'run={run};max-age=3600'; 0"),
            LONG,
        )
        .await
        .unwrap();
        let exit = browser.close(LONG).await;
        assert_eq!((exit.code, exit.signal), (Some(0), None), "{exit:?}");
        // The lock and our own record are gone with it.
        let left = |name: &str| std::fs::symlink_metadata(profile.path().join(name)).is_ok();
        assert!(!left("SingletonLock"));
        assert!(!left("steadfast-browser.pid"));
    }
}

#[tokio::test]
async fn closing_is_not_held_up_by_a_hung_page() {
    let scene = scene().await;
    let page = scene.page.clone();
    let mut calls = tokio::task::JoinSet::new();
    calls.spawn(async move { page.evaluate("for (;;) {}", LONG).await });
    tokio::task::yield_now().await;
    scene.close().await;
    assert!(calls.join_next().await.unwrap().unwrap().is_err());
}

/// What a terminal says does not reach it, and the processor is shared out to it
/// as to any other session.
#[tokio::test]
async fn the_browser_has_a_session_of_its_own() {
    let profile = tempfile::tempdir().unwrap();
    let browser = Browser::launch(&options(profile.path())).await.unwrap();
    let pid = rustix::process::Pid::from_raw(browser.pid().cast_signed());
    assert_eq!(rustix::process::getsid(pid).ok(), pid);
    assert_eq!(rustix::process::getpgid(pid).ok(), pid);
    browser.close(LONG).await;
}
