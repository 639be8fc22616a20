//! The page of a session: opened, furnished with our scripts, loaded, or taken as it is.

use super::way::Before;
use super::{BrowserConnector, Fault, State, navigating, no_page};
use crate::Error;
use crate::link::Link;
use crate::script::{BINDING, epoch_script, own_script};
use crate::watch::{self, Loading};
use crate::wire::Nothing;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use steadfast_cdp::{Browser, Page, PageState};
use steadfast_core::failure::Operation;
use steadfast_core::ids::Epoch;
use steadfast_core::port::EventSink;
use tokio::task::JoinSet;
use tracing::debug;

/// How long a page that was told to take its link back may stand still over it.
const TAKE_OVER: Duration = Duration::from_secs(2);

/// A page with what has been installed in it.
pub(super) struct OpenPage {
    pub(super) page: Page,
    /// Whether it has the binding and our own script, which stay for its life.
    equipped: bool,
    /// The script that tells a new document its epoch, by the browser's name for it.
    epoch: Option<(Epoch, String)>,
}

impl OpenPage {
    pub(super) fn new(page: Page) -> Self {
        Self {
            page,
            equipped: false,
            epoch: None,
        }
    }
}

impl BrowserConnector {
    /// Takes the page into the next epoch, with no other change than was asked for.
    pub(super) async fn adopt(
        &self,
        state: &mut State,
        epoch: Epoch,
        sink: &Arc<dyn EventSink>,
        before: Before,
    ) -> Result<Arc<Link>, Fault> {
        let deadline = self.session.deadlines.call;
        let link = self.link(state, epoch, Arc::clone(sink))?;
        let events = link.page.events();
        let loading = Arc::new(Loading::new(false));
        let adoption = json!({
            "epoch": epoch.0,
            "take_over_ms": (before == Before::TakeOver).then(|| TAKE_OVER.as_millis()),
        });
        let made_ready = async {
            if before == Before::Terminate {
                return self.free_page(state, epoch).await;
            }
            let open = state.page.as_mut().ok_or_else(no_page)?;
            self.furnish(open, epoch).await.map_err(navigating)
        };
        let adopt = || link.call::<Nothing>("adopt", &adoption, deadline);
        // Asked for in this order, without waiting between: a document that is loaded from
        // here on, by whomever, speaks for this epoch too.
        let (made_ready, adopted) = tokio::join!(made_ready, adopt());
        made_ready?;
        let adopted = match adopted {
            // A script that was over by itself cannot be ended. This call was, in its place.
            Err(error) if before == Before::Terminate && !is_timeout(&error) => adopt().await,
            adopted => adopted,
        };
        adopted.map_err(|error| (Operation::Probe, error))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(watch::hear(Arc::clone(&link), events, loading));
        self.serve(state, Arc::clone(&link), tasks);
        Ok(link)
    }

    /// Opens a new page in place of the old one, which is closed first: the
    /// same device in two pages would be a conflict.
    pub(super) async fn replace_page(&self, state: &mut State, epoch: Epoch) -> Result<(), Fault> {
        let browser = state.browser.clone().ok_or_else(no_page)?;
        let deadline = self.session.deadlines.call;
        let old = state.page.take();
        // The new one first: a browser without pages may end.
        let page = browser
            .new_page("about:blank", deadline)
            .await
            .map_err(navigating)?;
        let open = state.page.insert(OpenPage::new(page.clone()));
        let close_old = async {
            match old {
                Some(old) if old.page.state() != PageState::Detached => {
                    gone_is_closed(old.page.close(deadline).await)
                }
                Some(_) | None => Ok(()),
            }
        };
        tokio::try_join!(
            close_old,
            self.close_strays(&browser, page.target_id()),
            self.furnish(open, epoch),
        )
        .map_err(navigating)?;
        Ok(())
    }

    /// Closes whatever other page shows WhatsApp Web.
    async fn close_strays(
        &self,
        browser: &Browser,
        kept: &str,
    ) -> Result<(), steadfast_cdp::Error> {
        let deadline = self.session.deadlines.call;
        for target in browser.pages(deadline).await? {
            if target.id != kept && self.session.site.owns(&target.url) {
                debug!(url = target.url, "closing another page of WhatsApp Web");
                let closed: Result<Closed, _> = browser
                    .call(
                        "Target.closeTarget",
                        json!({ "targetId": target.id }),
                        deadline,
                    )
                    .await;
                // The old page, which is being closed beside us, may be gone by now.
                if let Err(error @ steadfast_cdp::Error::Timeout { .. }) = closed {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Furnishes the page for this epoch and begins to load WhatsApp Web in it.
    pub(super) async fn load(
        &self,
        state: &mut State,
        epoch: Epoch,
        sink: Arc<dyn EventSink>,
    ) -> Result<Arc<Link>, Fault> {
        let link = self.link(state, epoch, sink)?;
        let events = link.page.events();
        let open = state.page.as_mut().ok_or_else(no_page)?;
        self.furnish(open, epoch).await.map_err(navigating)?;
        link.begin();
        let loading = Arc::new(Loading::new(true));
        let mut tasks = JoinSet::new();
        tasks.spawn(watch::hear(Arc::clone(&link), events, Arc::clone(&loading)));
        tasks.spawn(watch::load(Arc::clone(&link), loading));
        self.serve(state, Arc::clone(&link), tasks);
        Ok(link)
    }

    /// What a document needs that is loaded in this page from here on.
    pub(super) async fn furnish(
        &self,
        open: &mut OpenPage,
        epoch: Epoch,
    ) -> Result<(), steadfast_cdp::Error> {
        if open.epoch.as_ref().is_some_and(|(of, _)| *of == epoch) {
            return Ok(());
        }
        let deadline = self.session.deadlines.call;
        let origin = &self.session.site.origin;
        let page = open.page.clone();
        let equipped = open.equipped;
        let equip = async {
            if !equipped {
                let own = own_script(origin, self.session.hold_passkeys);
                tokio::try_join!(
                    page.add_binding(BINDING, deadline),
                    page.add_script_on_new_document(&own, deadline),
                )?;
            }
            Ok(())
        };
        let old = open.epoch.take();
        let remove = async {
            match old {
                Some((_, identifier)) => page
                    .call::<Closed>(
                        "Page.removeScriptToEvaluateOnNewDocument",
                        json!({ "identifier": identifier }),
                        deadline,
                    )
                    .await
                    .map(|_| ()),
                None => Ok(()),
            }
        };
        let tell = epoch_script(origin, epoch);
        // Asked for in this order, in which the page runs them too.
        let ((), (), told) = tokio::try_join!(
            equip,
            remove,
            page.add_script_on_new_document(&tell, deadline)
        )?;
        open.equipped = true;
        open.epoch = Some((epoch, told));
        Ok(())
    }
}

fn is_timeout(error: &Error) -> bool {
    matches!(error, Error::Cdp(steadfast_cdp::Error::Timeout { .. }))
}

/// An answer of the browser that says no more than that it is done.
#[derive(Debug, Deserialize)]
struct Closed {}

/// A page that went by itself meanwhile is as closed as one can be.
fn gone_is_closed(closed: Result<(), steadfast_cdp::Error>) -> Result<(), steadfast_cdp::Error> {
    match closed {
        Err(steadfast_cdp::Error::PageGone { .. } | steadfast_cdp::Error::BrowserGone { .. }) => {
            Ok(())
        }
        other => other,
    }
}
