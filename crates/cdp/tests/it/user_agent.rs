//! How the browser names itself.

use crate::support::{LONG, options, scene};
use steadfast_cdp::{Binary, Browser, Flavor, UserAgent};

#[tokio::test]
async fn it_names_itself_as_a_browser_with_a_window_does() {
    let scene = scene().await;
    let version = Binary::find(Flavor::NewHeadless)
        .unwrap()
        .version()
        .await
        .unwrap();
    assert_eq!(
        scene.browser.version().product,
        format!("Chrome/{version}"),
        "the binary and the browser agree"
    );
    let major = version.split('.').next().unwrap();
    let told: String = scene
        .page
        .evaluate_as("navigator.userAgent", LONG)
        .await
        .unwrap();
    assert!(told.contains(&format!(" Chrome/{major}.0.0.0 ")), "{told}");
    assert!(!told.contains("Headless"), "{told}");
    let driven: bool = scene
        .page
        .evaluate_as("navigator.webdriver", LONG)
        .await
        .unwrap();
    assert!(!driven, "a page can tell that it is driven");
    scene.close().await;
}

#[tokio::test]
async fn unchanged_it_differs_in_that_word_alone() {
    let profile = tempfile::tempdir().unwrap();
    let mut options = options(profile.path());
    let ours = {
        let browser = Browser::launch(&options).await.unwrap();
        let ours = browser.version().user_agent.clone();
        browser.close(LONG).await;
        ours
    };
    options.user_agent = UserAgent::Unchanged;
    let browser = Browser::launch(&options).await.unwrap();
    let its_own = browser.version().user_agent.clone();
    browser.close(LONG).await;
    assert_eq!(its_own.replace("HeadlessChrome", "Chrome"), ours);
}
