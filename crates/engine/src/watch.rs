//! The tasks that serve one epoch: hearing the page, loading it, bringing a fresh
//! document up to what we know, and hearing what the browser says of its storage.

use crate::Error;
use crate::conclude::{conclude, of};
use crate::inbox::mark;
use crate::link::Link;
use crate::wire::{News, Nothing, Resumed, Told, Waiting};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use steadfast_cdp::{PageEvent, PageEvents};
use steadfast_core::failure::{CdpFault, Evidence, Failure, Kind, Operation, Rung, redact};
use tracing::{debug, info, warn};

/// Acks of messages that this process never sent are told for so many of the newest.
const RECENT_ACKS: u32 = 200;

/// Whether a load that we asked for is still under way.
#[derive(Debug, Default)]
pub(crate) struct Loading(AtomicBool);

impl Loading {
    pub(crate) fn new(under_way: bool) -> Self {
        Self(AtomicBool::new(under_way))
    }
}

/// Hears the page until the epoch ends or is dead.
pub(crate) async fn hear(link: Arc<Link>, mut events: PageEvents, loading: Arc<Loading>) {
    loop {
        let event = tokio::select! {
            biased;
            () = link.ended() => return,
            event = events.recv() => event,
        };
        match event {
            Some(PageEvent::BindingCalled { name, payload, .. })
                if *name == *crate::script::BINDING =>
            {
                told(&link, &payload);
            }
            Some(PageEvent::ContextsCleared) => link.document_lost(),
            Some(PageEvent::Navigated { url }) => {
                if let Some(failure) = strayed(&link, &url, &loading) {
                    return link.fail(failure);
                }
            }
            Some(PageEvent::Crashed) => {
                return dead(&link, CdpFault::PageCrashed { in_flight: true });
            }
            Some(PageEvent::Detached) => {
                return dead(&link, CdpFault::PageGone { in_flight: true });
            }
            Some(PageEvent::BrowserGone) | None => {
                dead(&link, CdpFault::BrowserGone);
                return say_exit(&link).await;
            }
            Some(PageEvent::Lagged { missed }) => {
                warn!(
                    epoch = link.epoch.0,
                    missed, "events of the page were missed; reading its state anew"
                );
                catch_up(&link).await;
            }
            Some(PageEvent::Exception { text }) => {
                debug!(epoch = link.epoch.0, %text, "the page threw");
            }
            Some(PageEvent::Dialog { kind, .. }) => {
                debug!(epoch = link.epoch.0, %kind, "the page opened a dialog");
            }
            Some(
                PageEvent::BindingCalled { .. }
                | PageEvent::Revived
                | PageEvent::ContextCreated(_)
                | PageEvent::ContextDestroyed { .. }
                | PageEvent::Loaded,
            ) => {}
        }
    }
}

fn told(link: &Link, payload: &str) {
    let told: Told = match steadfast_cdp::read_text(payload) {
        Ok(told) => told,
        Err(error) => {
            debug!(epoch = link.epoch.0, %error, "the page told something unreadable");
            return;
        }
    };
    // A document of an earlier epoch that is still on its way out.
    if told.epoch != link.epoch {
        return;
    }
    match told.news {
        News::Levels { seq, levels } => {
            link.observe(&told.doc, seq, *levels);
        }
        News::Inbox { waiting } => {
            if waiting > 0 {
                link.inbox.notify_one();
            }
        }
        News::Earlier {
            chats,
            unread,
            whole,
        } => {
            debug!(epoch = link.epoch.0, chats, "chats were read back");
            if unread > 0 || !whole {
                warn!(
                    epoch = link.epoch.0,
                    unread,
                    whole,
                    "not all that came before was read back: messages may be missing"
                );
            }
        }
        News::Happenings { waiting } => {
            if waiting > 0 {
                link.happenings.notify_one();
            }
        }
        News::Library => link.equip.notify_one(),
        News::Acks { acks } => link.tell_acks(&acks, false),
    }
}

fn dead(link: &Link, fault: CdpFault) {
    link.fail(of(Operation::Listen, Evidence::Cdp(fault)));
}

/// What Chromium writes to stderr before it deletes a damaged database of the origin that it
/// names, and when it could not read or write one (content/browser/indexed_db,
/// `BackingStore`). It closes the database to its page both times, which may be told nothing
/// of it, and wait for ever for what it has asked of the database.
const STORAGE_LOST: &str = "Got corruption for";
const STORAGE_FAILED: [&str; 2] = ["IndexedDB Write Error", "IndexedDB Read Error"];
/// A read that meets damage is told of so long before the damage itself, at most.
const DAMAGE_FOLLOWS: Duration = Duration::from_millis(500);

/// Tells when the browser has lost what it stores for WhatsApp Web, or cannot use it.
pub(crate) async fn mind_storage(link: Arc<Link>) {
    let (browser, host) = (&link.browser, link.session.site.host.as_str());
    let lost = || browser.said(|line| line.contains(STORAGE_LOST) && line.contains(host));
    let failed = || browser.said(|line| STORAGE_FAILED.iter().any(|mark| line.contains(mark)));
    let told = async {
        let damaged = tokio::select! {
            biased;
            () = lost() => true,
            () = failed() => tokio::time::timeout(DAMAGE_FOLLOWS, lost()).await.is_ok(),
        };
        if damaged && link.storage_lost() {
            return;
        }
        failed().await;
        link.fail(conclude(Operation::Listen, &Error::StorageUnusable));
    };
    tokio::select! {
        () = link.ended() => {}
        () = told => {}
    }
}

/// How the browser ended, for the log: known a little later than that it did.
async fn say_exit(link: &Link) {
    let exit = tokio::time::timeout(Duration::from_secs(2), link.browser.exited()).await;
    if let Ok(exit) = exit {
        let last = redact(exit.stderr_tail.lines().last().unwrap_or_default());
        info!(
            epoch = link.epoch.0,
            code = exit.code,
            signal = exit.signal,
            %last,
            "the browser ended"
        );
    }
}

/// The main frame shows another document: what is wrong with that, if something is.
fn strayed(link: &Link, url: &str, loading: &Loading) -> Option<Failure> {
    if link.session.site.owns(url) {
        loading.0.store(false, Ordering::Relaxed);
        return None;
    }
    // Our own load has not got there yet; it reports its failure itself.
    if loading.0.load(Ordering::Relaxed) {
        return None;
    }
    if url.starts_with("chrome-error:") {
        return Some(of(
            Operation::Navigate,
            Evidence::text("net::ERR_FAILED: WhatsApp Web could not be loaded again"),
        ));
    }
    // The page itself lives; loading WhatsApp Web in it is all that it needs.
    let origin = origin(url);
    let gone = of(
        Operation::Listen,
        Evidence::Cdp(CdpFault::PageGone { in_flight: true }),
    );
    Some(Failure {
        kind: Kind::PageGone,
        rung: Rung::Reload,
        evidence: format!("the page went away from WhatsApp Web, to {origin}"),
        ..gone
    })
}

/// Where an address leads, without what its path may tell of people.
fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once(':').unwrap_or_default();
    let host = rest.strip_prefix("//").and_then(|rest| {
        let authority = rest.split(['/', '\\', '?', '#']).next()?;
        authority.rsplit('@').next()
    });
    let origin = host.map_or_else(|| format!("{scheme}:"), |host| format!("{scheme}://{host}"));
    redact(&origin).chars().take(100).collect()
}

/// Loads WhatsApp Web and reports where that fails.
pub(crate) async fn load(link: Arc<Link>, loading: Arc<Loading>) {
    let site = &link.session.site;
    let loaded = link
        .page
        .navigate(&site.url, link.session.deadlines.navigate)
        .await;
    let Err(error) = loaded else { return };
    // A later load, or the death of the page, which is told by its own event.
    let silent = matches!(
        error,
        steadfast_cdp::Error::BrowserGone { .. }
            | steadfast_cdp::Error::PageGone { .. }
            | steadfast_cdp::Error::PageCrashed { .. }
    );
    if !silent && loading.0.load(Ordering::Relaxed) {
        link.fail(conclude(Operation::Navigate, &Error::Cdp(error)));
    }
}

/// Tells a document that has become ready what we know, and hears from it what
/// we may have missed. Once for each document.
pub(crate) async fn bring_up(link: Arc<Link>) {
    loop {
        tokio::select! {
            () = link.ended() => return,
            () = link.resume.notified() => {}
        }
        if let Err(error) = resume(&link).await {
            // The document went away, or its next one starts this again.
            debug!(epoch = link.epoch.0, %error, "the document could not be brought up to date");
        }
    }
}

/// Puts wa-js into a document that can take it. A second time changes nothing.
pub(crate) async fn equip(link: Arc<Link>) {
    loop {
        tokio::select! {
            () = link.ended() => return,
            () = link.equip.notified() => {}
        }
        let library = link.session.library.source();
        let deadline = link.session.deadlines.library;
        let run = link.page.evaluate(library, deadline);
        if let Err(error) = run.await {
            // The document's successor asks again; without wa-js the ways by name are left.
            debug!(epoch = link.epoch.0, %error, "wa-js could not be put into the page");
        }
    }
}

/// Writes down what the page has shown of the login.
pub(crate) async fn keep_marks(link: Arc<Link>) {
    loop {
        let told = link.told_login();
        let kept = async {
            match told {
                Some(login) => link.login_kept().await.then_some(login),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // Whatever ends the epoch writes it once more.
            () = link.ended() => return,
            () = link.marks.notified() => {}
            kept = kept => match kept {
                Some(login) => link.login.set_told(login),
                None => continue,
            }
        }
        let link = Arc::clone(&link);
        let written = tokio::task::spawn_blocking(move || mark(&link)).await;
        if let Err(error) = written {
            debug!(%error, "the marks were not written");
        }
    }
}

async fn resume(link: &Link) -> Result<(), Error> {
    let memory = &link.session.memory;
    let deadline = link.session.deadlines.call;
    let ids = memory.under_way();
    let acks: Resumed = link
        .call(
            "resume",
            json!({ "ids": ids, "limit": RECENT_ACKS }),
            deadline,
        )
        .await?;
    link.tell_acks(&acks.acks, true);
    let order = memory.sweep_order(link.session.unix_seconds());
    let sweep = json!({ "from": order.from, "login": order.login, "known": order.known });
    let waiting: Waiting = link.call("inbox_sweep", sweep, deadline).await?;
    if waiting.waiting > 0 {
        link.inbox.notify_one();
    }
    Ok(())
}

/// Reads by level what events did not tell.
async fn catch_up(link: &Link) {
    let args = json!({ "epoch": link.epoch.0 });
    let asked: Result<Nothing, Error> = link.call("adopt", args, link.session.deadlines.call).await;
    if asked.is_ok() {
        link.inbox.notify_one();
        link.happenings.notify_one();
        link.resume.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_page_went_is_told_without_a_number() {
        assert_eq!(
            origin("https://wa.me/4915112345678?text=hi"),
            "https://wa.me"
        );
        assert_eq!(
            origin("https://ann:secret@example.org/x"),
            "https://example.org"
        );
        assert_eq!(origin("about:blank"), "about:");
        assert_eq!(origin("data:text/html,4915112345678"), "data:");
        assert_eq!(origin("nonsense"), ":");
    }
}
