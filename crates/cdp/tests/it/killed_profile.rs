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

/// Opens a database with two stores; `then` goes on with it.
macro_rules! with_two_stores {
    ($then:literal) => {
        concat!(
            "new Promise((done, failed) => {
                const opening = indexedDB.open('two', 1);
                opening.onupgradeneeded = () => ['a', 'b'].forEach((name) => opening.result.createObjectStore(name));
                opening.onerror = () => failed(opening.error);
                opening.onsuccess = () => {
                    const database = opening.result;
                    (", $then, ")(database, done, failed);
                };
            })"
        )
    };
}

const STORE: &str = with_two_stores!(
    "(database, done, failed) => {
        const change = database.transaction(['a', 'b'], 'readwrite', { durability: 'strict' });
        for (const name of ['a', 'b']) change.objectStore(name).put('stored', 'row');
        change.oncomplete = () => done(null);
        change.onerror = () => failed(change.error);
    }"
);

/// Leaves two write transactions under way, with so much written that it is on disk.
const LEAVE_UNFINISHED: &str = with_two_stores!(
    "(database, done) => {
        let begun = 0;
        for (const name of ['a', 'b']) {
            const store = database.transaction(name, 'readwrite').objectStore(name);
            store.put('x'.repeat(1 << 20), 'row').onsuccess = () => {
                begun += 1;
                if (begun === 2) done(null);
                // A transaction is under way for as long as it is asked something.
                const ask = () => { store.get('row').onsuccess = ask; };
                ask();
            };
        }
    }"
);

const READ: &str = with_two_stores!(
    "(database, done, failed) => {
        const look = database.transaction(['a', 'b']);
        const rows = [];
        for (const name of ['a', 'b']) {
            look.objectStore(name).get('row').onsuccess = (event) => rows.push(event.target.result);
        }
        look.oncomplete = () => done(rows);
        look.onerror = () => failed(look.error);
    }"
);

/// Chromium alone throws such a database away.
#[tokio::test]
async fn what_was_stored_outlives_two_writes_that_were_cut_off() {
    let site = site("<title>two</title>").await;
    let profile = tempfile::tempdir().unwrap();
    let browser = Browser::launch(&options(profile.path())).await.unwrap();
    let page = browser.first_page(LONG).await.unwrap();
    page.navigate(&site.url, LONG).await.unwrap();
    page.evaluate(STORE, LONG).await.unwrap();
    page.evaluate(LEAVE_UNFINISHED, LONG).await.unwrap();
    signal(browser.pid(), Signal::KILL);
    browser.exited().await;
    assert_eq!(storage::mend(profile.path()).unwrap(), 1);
    let browser = Browser::launch(&options(profile.path())).await.unwrap();
    let page = browser.first_page(LONG).await.unwrap();
    page.navigate(&site.url, LONG).await.unwrap();
    let rows = page.evaluate(READ, LONG).await;
    assert_eq!(rows, Ok(json!(["stored", "stored"])));
    browser.close(LONG).await;
}
