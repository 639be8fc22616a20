//! Finding the browser, and knowing its version without slowing a start.

use crate::LaunchError;
use std::path::{Path, PathBuf};

/// How a browser is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavor {
    /// The full browser without a window (`--headless=new`).
    NewHeadless,
    /// `chromium-headless-shell` / `chrome-headless-shell`: half the memory
    /// and start time, but no lock on the profile.
    HeadlessShell,
    /// With a window.
    Headed,
}

/// A browser on this machine.
#[derive(Debug, Clone)]
pub struct Binary {
    path: PathBuf,
}

impl Binary {
    /// The browser at `path`. A wrapper script of Debian's is resolved to the binary itself.
    pub fn at(path: &Path) -> Result<Self, LaunchError> {
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// The first of Chromium, Google Chrome and their kind on `PATH` and in
    /// the usual places; for [`Flavor::HeadlessShell`] the first headless shell.
    pub fn find(_flavor: Flavor) -> Result<Self, LaunchError> {
        todo!()
    }

    /// The file that is run.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version, for example `156.0.8078.79`. Asked of the binary once and
    /// kept until the file changes; clones share what is known.
    pub async fn version(&self) -> Result<String, LaunchError> {
        todo!()
    }
}
