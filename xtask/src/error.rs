//! What can go wrong here.

use crate::ci;
use std::path::PathBuf;

/// Why a task did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("{program} cannot be started: {source}")]
    Start {
        /// Which.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program did not do what it was asked.
    #[error("{program}: {said}")]
    Program {
        /// Which.
        program: String,
        /// What it said.
        said: String,
    },
    /// `cargo metadata` failed or said something that we do not understand.
    #[error("cargo metadata: {0}")]
    Metadata(String),
    /// A step of `ci` failed; its own words stand above.
    #[error("step {0} failed; once it is mended, run it alone with: ./test --only {0}")]
    Step(ci::Step),
    /// THIRD-PARTY.md does not say what the dependencies say.
    #[error("THIRD-PARTY.md is out of date; write it anew with: cargo xtask licenses")]
    NoticesStale,
    /// What was to be measured did not do what it must.
    #[error("{0}")]
    Bench(String),
    /// Packages whose licence we may not or cannot reproduce.
    #[error("no licence text is known for: {0}")]
    NoLicence(String),
}

impl Error {
    /// Adds the path to an I/O error.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
