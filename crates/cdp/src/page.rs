//! One page: a session on a target.

use crate::Error;
use crate::event::{Context, PageEvents};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
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

/// A page and our session on it. Clones are handles to the same one;
/// dropping them does not close the page.
#[derive(Debug, Clone)]
pub struct Page {}

impl Page {
    /// The browser's name of the page.
    pub fn target_id(&self) -> &str {
        todo!()
    }
    /// How the page is now.
    pub fn state(&self) -> PageState {
        todo!()
    }
    /// Waits until the page is not alive and tells what it is then.
    pub async fn gone(&self) -> PageState {
        todo!()
    }
    /// The main frame's own context, where a document is there to run scripts in.
    pub fn context(&self) -> Option<Context> {
        todo!()
    }
    /// A new receiver of events, from now on. Holds at most 1,024 events and
    /// 8 MiB of payload; what does not fit is dropped and told as [`crate::PageEvent::Lagged`].
    pub fn events(&self) -> PageEvents {
        todo!()
    }
    /// Calls a protocol method on the page.
    pub async fn call<T: DeserializeOwned>(
        &self,
        _method: &'static str,
        _params: impl Serialize,
        _deadline: Duration,
    ) -> Result<T, Error> {
        todo!()
    }
    /// Evaluates an expression in the page; a promise is awaited. `undefined` is null.
    pub async fn evaluate(&self, _expression: &str, _deadline: Duration) -> Result<Value, Error> {
        todo!()
    }
    /// As [`Page::evaluate`], read into a type.
    pub async fn evaluate_as<T: DeserializeOwned>(
        &self,
        _expression: &str,
        _deadline: Duration,
    ) -> Result<T, Error> {
        todo!()
    }
    /// Calls a function (its source text, for example `(a, b) => a + b`) with
    /// JSON arguments in the main frame's current document; a promise is awaited.
    /// Refused with [`Error::ContextLost`] (not in flight) where there is no document just now.
    pub async fn call_function<T: DeserializeOwned>(
        &self,
        _function: &str,
        _args: &[Value],
        _deadline: Duration,
    ) -> Result<T, Error> {
        todo!()
    }
    /// As [`Page::call_function`], in the document of `context` and no other.
    pub async fn call_function_in<T: DeserializeOwned>(
        &self,
        _context: &Context,
        _function: &str,
        _args: &[Value],
        _deadline: Duration,
    ) -> Result<T, Error> {
        todo!()
    }
    /// Runs a script in each new document before the document's own. Gives
    /// the identifier by which it can be removed.
    pub async fn add_script_on_new_document(
        &self,
        _source: &str,
        _deadline: Duration,
    ) -> Result<String, Error> {
        todo!()
    }
    /// Gives the page a function `window[name](text)` that arrives as [`crate::PageEvent::BindingCalled`].
    pub async fn add_binding(&self, _name: &str, _deadline: Duration) -> Result<(), Error> {
        todo!()
    }
    /// Shows another address. Ends when the new document has been committed;
    /// [`crate::PageEvent::Loaded`] comes later.
    pub async fn navigate(&self, _url: &str, _deadline: Duration) -> Result<(), Error> {
        todo!()
    }
    /// Loads the page again. On a crashed page this is [`Page::revive`].
    pub async fn reload(&self, _deadline: Duration) -> Result<(), Error> {
        todo!()
    }
    /// Loads a crashed page again on the same session and waits until it takes calls.
    pub async fn revive(&self, _deadline: Duration) -> Result<(), Error> {
        todo!()
    }
    /// Ends the script that runs (or hangs) now; pending evaluations fail with [`Error::Terminated`].
    pub async fn terminate_script(&self, _deadline: Duration) -> Result<(), Error> {
        todo!()
    }
    /// Crashes the renderer; works on a hung page too. Ends when the crash has been seen.
    pub async fn crash(&self, _deadline: Duration) -> Result<(), Error> {
        todo!()
    }
    /// Closes the page and waits until it is gone.
    pub async fn close(&self, _deadline: Duration) -> Result<(), Error> {
        todo!()
    }
}
