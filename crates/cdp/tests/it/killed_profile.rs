//! A browser is killed and started again on the same profile, over and over.

use crate::support::{LONG, helpers_of, options, signal, site};
use rustix::process::Signal;
use serde_json::json;
use steadfast_cdp::Browser;
use steadfast_cdp::storage::{self, Databases};

/// Adds one to a counter in IndexedDB and gives what it was, once it is on disk.
const COUNT: &str = r"new Promise((done, failed) => {
    const opening = indexedDB.open('counter', 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore('counts');
    opening.onerror = () => failed(opening.error);
    opening.onsuccess = () => {
        const database = opening.result;
        const change = database.transaction('counts', 'readwrite', { durability: 'strict' });
        const counts = change.objectStore('counts');
        const reading = counts.get('n');
        let before;
        reading.onsuccess = () => {
            before = reading.result ?? 0;
            counts.put(before + 1, 'n');
        };
        change.oncomplete = () => done(before);
        change.onerror = () => failed(change.error);
    };
})";

#[tokio::test]
async fn what_was_stored_is_there_at_once_each_time() {
    let site = site("<title>count</title>").await;
    let profile = tempfile::tempdir().unwrap();
    for run in 0..6 {
        let browser = Browser::launch(&options(profile.path())).await.unwrap();
        let page = browser.first_page(LONG).await.unwrap();
        page.navigate(&site.url, LONG).await.unwrap();
        assert_eq!(page.evaluate(COUNT, LONG).await, Ok(json!(run)));
        if run % 2 == 0 {
            signal(browser.pid(), Signal::KILL);
            browser.exited().await;
        } else {
            browser.close(LONG).await;
        }
        // Once the end is told, no helper is left that could hold a database.
        assert!(helpers_of(profile.path()).is_empty());
        let databases = storage::released(profile.path(), LONG).await.unwrap();
        assert_eq!(databases, Databases::Free { waited: 0 }, "in run {run}");
    }
}
