//! One page: a session on a target.

use crate::Error;
use crate::connection::{Connection, OnCrashed, TERMINATE};
use crate::deadline::Deadline;
use crate::event::{Context, PageEvents};
use crate::session::Session;
use crate::wire;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How a page is, by level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageState {
    /// It takes calls.
    Alive,
    /// Its renderer is dead; calls are refused until [`Page::revive`].
    Crashed,
    /// It was closed, or our session on it ended. Final.
    Detached,
    /// The browser is gone. Final.
    BrowserGone,
}

impl PageState {
    /// Whether it can never change again.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Detached | Self::BrowserGone)
    }
}

/// A page and our session on it. Clones are handles to the same one;
/// dropping them does not close the page.
///
/// Each call ends at its deadline at the latest, and at once when the page,
/// its document or the browser dies; see [`Error`] for what each end means.
#[derive(Debug, Clone)]
pub struct Page {
    connection: Arc<Connection>,
    session: Arc<Session>,
}

impl Page {
    /// Makes the handle and turns on the events that the client lives by.
    pub(crate) async fn open(
        connection: Arc<Connection>,
        session: Arc<Session>,
        deadline: Deadline,
    ) -> Result<Self, Error> {
        let page = Self {
            connection,
            session,
        };
        let left = deadline.left();
        let enable = async |method| page.call::<IgnoredAny>(method, json!({}), left).await;
        // Written together: one trip to the renderer, not three.
        tokio::try_join!(
            enable("Inspector.enable"),
            enable("Page.enable"),
            enable("Runtime.enable"),
        )?;
        Ok(page)
    }

    /// The browser's name of the page.
    pub fn target_id(&self) -> &str {
        &self.session.target_id
    }

    /// How the page is now.
    pub fn state(&self) -> PageState {
        *self.session.state.borrow()
    }

    /// Waits until the page is not alive and tells what it is then.
    pub async fn gone(&self) -> PageState {
        self.wait_for_state(|state| state != PageState::Alive).await
    }

    async fn wait_for_state(&self, mut wanted: impl FnMut(PageState) -> bool) -> PageState {
        let mut states = self.session.state.subscribe();
        // The sender lives in the session, so the wait cannot fail.
        states
            .wait_for(|state| wanted(*state))
            .await
            .map_or(PageState::BrowserGone, |state| *state)
    }

    /// The main frame's own context, where a document is there to run scripts in.
    pub fn context(&self) -> Option<Context> {
        self.session.context.borrow().clone()
    }

    /// A new receiver of events, from now on. Holds at most 1,024 events and
    /// 8 MiB of text; what does not fit is dropped and told as
    /// [`crate::PageEvent::Lagged`]. The connection never waits for a receiver.
    pub fn events(&self) -> PageEvents {
        self.session.subscribe()
    }

    async fn call_raw(
        &self,
        method: &'static str,
        params: impl Serialize,
        deadline: Duration,
    ) -> Result<Box<RawValue>, Error> {
        self.connection
            .call(
                Some(&self.session),
                method,
                params,
                deadline,
                OnCrashed::Refuse,
            )
            .await
    }

    /// Calls a protocol method on the page. Give `json!({})` where it takes no parameters.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: impl Serialize,
        deadline: Duration,
    ) -> Result<T, Error> {
        let answer = self.call_raw(method, params, deadline).await?;
        wire::read(method, &answer)
    }

    /// Evaluates an expression in the page's own world; a promise is awaited.
    /// `undefined` reads as null.
    pub async fn evaluate(&self, expression: &str, deadline: Duration) -> Result<Value, Error> {
        self.evaluate_as(expression, deadline).await
    }

    /// As [`Page::evaluate`], read into a type.
    pub async fn evaluate_as<T: DeserializeOwned>(
        &self,
        expression: &str,
        deadline: Duration,
    ) -> Result<T, Error> {
        const METHOD: &str = "Runtime.evaluate";
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Evaluate<'a> {
            expression: &'a str,
            await_promise: bool,
            return_by_value: bool,
        }
        let params = Evaluate {
            expression,
            await_promise: true,
            return_by_value: true,
        };
        let answer = self.call_raw(METHOD, params, deadline).await?;
        wire::read_evaluated(METHOD, &answer)
    }

    /// Calls a function (its source text, for example `(a, b) => a + b`) with
    /// JSON arguments in the main frame's current document; a promise is
    /// awaited. Refused with [`Error::ContextLost`], not in flight, while
    /// there is no document.
    pub async fn call_function<T: DeserializeOwned>(
        &self,
        function: &str,
        args: &[Value],
        deadline: Duration,
    ) -> Result<T, Error> {
        let context = self.context();
        match (context, self.state()) {
            (Some(context), _) => {
                self.call_function_in(&context, function, args, deadline)
                    .await
            }
            (None, state) => Err(no_document(state)),
        }
    }

    /// As [`Page::call_function`], in the document of `context` and no other:
    /// what was meant for one document never runs in its successor.
    pub async fn call_function_in<T: DeserializeOwned>(
        &self,
        context: &Context,
        function: &str,
        args: &[Value],
        deadline: Duration,
    ) -> Result<T, Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Call<'a> {
            function_declaration: &'a str,
            arguments: Vec<Argument<'a>>,
            unique_context_id: &'a str,
            await_promise: bool,
            return_by_value: bool,
        }
        #[derive(Serialize)]
        struct Argument<'a> {
            value: &'a Value,
        }
        let params = Call {
            function_declaration: function,
            arguments: args.iter().map(|value| Argument { value }).collect(),
            unique_context_id: &context.unique_id,
            await_promise: true,
            return_by_value: true,
        };
        let answer = self.call_raw(CALL_FUNCTION, params, deadline).await?;
        wire::read_evaluated(CALL_FUNCTION, &answer)
    }

    /// Runs a script in each new document before the document's own. Gives
    /// the identifier for `Page.removeScriptToEvaluateOnNewDocument`.
    pub async fn add_script_on_new_document(
        &self,
        source: &str,
        deadline: Duration,
    ) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Added {
            identifier: String,
        }
        let added: Added = self
            .call(
                "Page.addScriptToEvaluateOnNewDocument",
                json!({ "source": source }),
                deadline,
            )
            .await?;
        Ok(added.identifier)
    }

    /// Gives the page, in all its documents from now on, a function
    /// `window[name](text)` whose calls arrive as [`crate::PageEvent::BindingCalled`].
    pub async fn add_binding(&self, name: &str, deadline: Duration) -> Result<(), Error> {
        let _: IgnoredAny = self
            .call("Runtime.addBinding", json!({ "name": name }), deadline)
            .await?;
        Ok(())
    }

    /// Shows another address. Ends when the new document has been committed;
    /// [`crate::PageEvent::Loaded`] comes later.
    pub async fn navigate(&self, url: &str, deadline: Duration) -> Result<(), Error> {
        const METHOD: &str = "Page.navigate";
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Navigated {
            error_text: Option<String>,
        }
        let navigated: Navigated = self.call(METHOD, json!({ "url": url }), deadline).await?;
        match navigated.error_text {
            None => Ok(()),
            Some(text) => Err(Error::Navigation {
                method: METHOD,
                url: wire::clip(url).into_owned(),
                text,
            }),
        }
    }

    /// Loads the page again. Ends when the browser has begun; the events tell
    /// the rest. On a crashed page this is [`Page::revive`].
    pub async fn reload(&self, deadline: Duration) -> Result<(), Error> {
        if self.state() == PageState::Crashed {
            return self.revive(deadline).await;
        }
        let _: IgnoredAny = self.call(RELOAD, json!({}), deadline).await?;
        Ok(())
    }

    /// Loads a crashed page again on the same session and waits until it
    /// takes calls. Bindings and scripts for new documents are kept.
    pub async fn revive(&self, deadline: Duration) -> Result<(), Error> {
        let alive = self.wait_for_state(|state| state != PageState::Crashed);
        let reload = self.connection.call(
            Some(&self.session),
            RELOAD,
            json!({}),
            deadline,
            OnCrashed::Send,
        );
        let until = Deadline::after(deadline);
        let state = tokio::select! {
            biased;
            state = alive => state,
            answer = reload => {
                answer?;
                self.wait_for(RELOAD, until, |state| state != PageState::Crashed).await?
            }
        };
        match state {
            PageState::Alive => Ok(()),
            state => Err(gone_error(RELOAD, state, true)),
        }
    }

    async fn wait_for(
        &self,
        method: &'static str,
        until: Deadline,
        wanted: impl FnMut(PageState) -> bool,
    ) -> Result<PageState, Error> {
        tokio::time::timeout(until.left(), self.wait_for_state(wanted))
            .await
            .map_err(|_| Error::Timeout {
                method,
                after: until.given(),
                in_flight: true,
            })
    }

    /// Ends the script that runs, or hangs, now: the evaluation that waits
    /// for it fails with [`Error::Terminated`]. Nothing happens where none runs.
    pub async fn terminate_script(&self, deadline: Duration) -> Result<(), Error> {
        let _: IgnoredAny = self.call(TERMINATE, json!({}), deadline).await?;
        Ok(())
    }

    /// Crashes the renderer, hung or not. Ends when the crash has been seen.
    pub async fn crash(&self, deadline: Duration) -> Result<(), Error> {
        // The call itself is never answered: its failure is the success.
        match self
            .call::<IgnoredAny>("Page.crash", json!({}), deadline)
            .await
        {
            Ok(_) | Err(Error::PageCrashed { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Closes the page, hung or crashed or not, and waits until it is gone.
    pub async fn close(&self, deadline: Duration) -> Result<(), Error> {
        const METHOD: &str = "Target.closeTarget";
        if self.state().is_final() {
            return Ok(());
        }
        let until = Deadline::after(deadline);
        let params = json!({ "targetId": self.target_id() });
        self.connection
            .call(None, METHOD, params, deadline, OnCrashed::Refuse)
            .await?;
        self.wait_for(METHOD, until, PageState::is_final).await?;
        Ok(())
    }
}

const CALL_FUNCTION: &str = "Runtime.callFunctionOn";
const RELOAD: &str = "Page.reload";

fn no_document(state: PageState) -> Error {
    match state {
        PageState::Alive => Error::ContextLost {
            method: CALL_FUNCTION,
            in_flight: false,
        },
        state => gone_error(CALL_FUNCTION, state, false),
    }
}

fn gone_error(method: &'static str, state: PageState, in_flight: bool) -> Error {
    match state {
        PageState::Alive | PageState::Crashed => Error::PageCrashed { method, in_flight },
        PageState::Detached => Error::PageGone { method, in_flight },
        PageState::BrowserGone => Error::BrowserGone { method, in_flight },
    }
}
