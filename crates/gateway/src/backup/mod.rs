//! A data folder copied while the gateway runs, and made a data folder again.
//!
//! ```text
//! BACKUP/manifest.json          what belongs to it, each file with its digest; written last
//! BACKUP/steadfast.json         the data folder's own marker
//! BACKUP/steadfast.toml         the configuration, where the data folder holds it
//! BACKUP/steadfast.db           the store, as of one moment
//! BACKUP/media/DIGEST           the files of messages
//! BACKUP/profiles/SESSION/      the logins
//! ```
//!
//! The order is part of it. Logins come first: each says how far its inbox is
//! confirmed, and what was confirmed before is in the database that comes
//! after it. Files come last: each is on disk before the database knows it,
//! so that every file that the copied database names was there to be copied.

mod make;
mod manifest;
mod restore;

pub use make::{Made, Wanted, make};
pub use manifest::{Entry, Login, Manifest};
pub use restore::{Restored, check, restore};

use crate::data_dir::DataDirError;
use std::io;
use std::path::{Path, PathBuf};
use steadfast_core::port::StoreError;

/// Why a backup was not made, or not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The data folder cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database cannot be copied.
    #[error("cannot copy the database: {0}")]
    Store(#[from] StoreError),
    /// A profile cannot be copied.
    #[error("cannot copy a profile: {0}")]
    Profile(#[from] steadfast_engine::Error),
    /// The place for it is taken.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// The folder to be filled holds something.
    #[error("{} is not empty (it holds {found:?})", .path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// One thing that is in it.
        found: String,
    },
    /// There is no backup, or none that was finished.
    #[error("{} is no backup: {what}", .path.display())]
    NotABackup {
        /// Where it was looked for.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A file is missing, or not as it was written.
    #[error("the backup is damaged: {}: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The operating system refused something.
    #[error("{}: {error}", .path.display())]
    Io {
        /// On what.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> BackupError + '_ {
    move |error| BackupError::Io {
        path: path.to_owned(),
        error,
    }
}
