//! One running browser.

use crate::{Error, LaunchOptions, Page};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// How the browser's process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The last of what it wrote to stderr (at most 16 KiB).
    pub stderr_tail: Arc<str>,
}

/// What the browser says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// For example `Chrome/156.0.8078.79`.
    pub product: String,
    /// The user agent that pages send.
    pub user_agent: String,
}

/// A page as the browser lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The name to attach by.
    pub id: String,
    /// The address that it shows.
    pub url: String,
}

/// A running browser. Clones are handles to the same one; when the last is
/// dropped without [`Browser::close`], the browser is killed.
#[derive(Debug, Clone)]
pub struct Browser {}

impl Browser {
    /// Starts a browser and waits until it answers.
    pub async fn launch(_options: &LaunchOptions) -> Result<Self, Error> {
        todo!()
    }
    /// The browser's process id.
    pub fn pid(&self) -> u32 {
        todo!()
    }
    /// What the browser says it is.
    pub fn version(&self) -> &Version {
        todo!()
    }
    /// Calls a method of the browser itself.
    pub async fn call<T: DeserializeOwned>(
        &self,
        _method: &'static str,
        _params: impl Serialize,
        _deadline: Duration,
    ) -> Result<T, Error> {
        todo!()
    }
    /// Opens a page and shows `url` in it.
    pub async fn new_page(&self, _url: &str, _deadline: Duration) -> Result<Page, Error> {
        todo!()
    }
    /// Attaches to the page that the browser opened at its start (or to the first there is; opens one where there is none).
    pub async fn first_page(&self, _deadline: Duration) -> Result<Page, Error> {
        todo!()
    }
    /// The pages that are open.
    pub async fn pages(&self, _deadline: Duration) -> Result<Vec<Target>, Error> {
        todo!()
    }
    /// Attaches to an open page.
    pub async fn attach(&self, _target_id: &str, _deadline: Duration) -> Result<Page, Error> {
        todo!()
    }
    /// Whether the browser is gone (its pipe or its process ended).
    pub fn is_gone(&self) -> bool {
        todo!()
    }
    /// Waits until the browser is gone. Its exit may be known a little later.
    pub async fn gone(&self) {
        todo!()
    }
    /// Waits until the process has ended and been reaped.
    pub async fn exited(&self) -> Exit {
        todo!()
    }
    /// Ends the browser so that the profile is complete: `Browser.close`,
    /// then the pipe is closed, then SIGKILL at the deadline. Always reaped.
    pub async fn close(&self, _deadline: Duration) -> Exit {
        todo!()
    }
    /// Kills the browser and all its processes now. [`Browser::exited`] tells when it is reaped.
    pub fn kill(&self) {
        todo!()
    }
    /// The last of what it wrote to stderr so far (at most 16 KiB).
    pub fn stderr_tail(&self) -> String {
        todo!()
    }
}
