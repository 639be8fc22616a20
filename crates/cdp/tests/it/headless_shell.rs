//! The smaller browser, where it is installed.

use crate::support::{LONG, all_gone, options, processes_of, signal};
use rustix::process::Signal;
use serde_json::json;
use steadfast_cdp::{Binary, Browser, Flavor, PageState};

#[tokio::test]
async fn it_starts_crashes_revives_and_closes_as_the_full_one_does() {
    let Ok(binary) = Binary::find(Flavor::HeadlessShell) else {
        println!("no headless shell is installed: nothing was tried");
        return;
    };
    let profile = tempfile::tempdir().unwrap();
    let mut options = options(profile.path());
    options.binary = binary;
    options.flavor = Flavor::HeadlessShell;
    let browser = Browser::launch(&options).await.unwrap();
    let page = browser.first_page(LONG).await.unwrap();
    let told: String = page.evaluate_as("navigator.userAgent", LONG).await.unwrap();
    assert!(!told.contains("Headless"), "{told}");
    page.crash(LONG).await.unwrap();
    page.revive(LONG).await.unwrap();
    assert_eq!(page.evaluate("6 * 7", LONG).await, Ok(json!(42)));
    let family = processes_of(profile.path());
    signal(browser.pid(), Signal::KILL);
    assert_eq!(page.gone().await, PageState::BrowserGone);
    all_gone(family).await;
    assert_eq!(browser.exited().await.signal, Some(9));

    let browser = Browser::launch(&options).await.unwrap();
    assert_eq!(browser.close(LONG).await.code, Some(0));
}
