//! What a start of the browser needs to know.

use crate::binary::{Binary, Flavor};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// How the browser names itself to web sites.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum UserAgent {
    /// As the same browser with a window does (`Chrome/156.0.0.0`, not `HeadlessChrome/...`).
    #[default]
    AsHeaded,
    /// Leave it as it is.
    Unchanged,
    /// This text.
    Fixed(String),
}

/// How to start a browser.
#[derive(Debug, Clone)]
pub struct LaunchOptions {
    /// Which browser.
    pub binary: Binary,
    /// How it is run.
    pub flavor: Flavor,
    /// The profile folder; made (0700) where missing. The caller holds the lock on it.
    pub user_data_dir: PathBuf,
    /// More arguments. A switch given here replaces ours of the same name,
    /// except `--disable-features` and `--enable-features`, which are joined.
    pub extra_args: Vec<String>,
    /// How it names itself.
    pub user_agent: UserAgent,
    /// Whether to run without Chromium's sandbox. Only for root, who cannot have one.
    pub no_sandbox: bool,
    /// More environment variables.
    pub env: Vec<(OsString, OsString)>,
    /// How long it may take until it answers.
    pub start_deadline: Duration,
}

impl LaunchOptions {
    /// The usual: headless, sandboxed, 30 s to start.
    pub fn new(binary: Binary, user_data_dir: impl Into<PathBuf>) -> Self {
        Self {
            binary,
            flavor: Flavor::NewHeadless,
            user_data_dir: user_data_dir.into(),
            extra_args: Vec::new(),
            user_agent: UserAgent::default(),
            no_sandbox: false,
            env: Vec::new(),
            start_deadline: Duration::from_secs(30),
        }
    }
}
