//! What can go wrong before a browser is even asked for, and beneath the engine.

use std::path::PathBuf;
use steadfast_cdp as cdp;

/// Why something of the engine's own did not work. What the port hands out is
/// a `Failure`, concluded from this.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option cannot be used.
    #[error("{option}: {detail}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What is wrong with it, and what would be right.
        detail: String,
    },
    /// The file given in place of the built-in wa-js cannot be used.
    #[error("the in-page library {} cannot be used: {detail}", path.display())]
    Library {
        /// The file.
        path: PathBuf,
        /// Why not.
        detail: String,
    },
    /// Another process of ours holds this profile.
    #[error("the profile {} is in use by another gateway", path.display())]
    ProfileLocked {
        /// The profile folder.
        path: PathBuf,
    },
    /// A live process that is not ours holds this profile, or a database in it.
    #[error("the profile {} is in use by the process {pid}, which is not ours", path.display())]
    ProfileHeld {
        /// The profile folder.
        path: PathBuf,
        /// Its process id.
        pid: u32,
    },
    /// The profile folder cannot be read or written.
    #[error("the profile {} cannot be used: {detail}", path.display())]
    Profile {
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        detail: String,
    },
    /// A browser that runs out of room in the middle of writing damages its profile:
    /// where this little is left, none is started.
    #[error(
        "only {free_kib} KiB are free on the disk of the profile {}: make room, at least {} KiB",
        path.display(),
        need_kib
    )]
    NoRoom {
        /// The profile folder.
        path: PathBuf,
        /// What is free.
        free_kib: u64,
        /// What a browser needs to start.
        need_kib: u64,
    },
    /// WhatsApp Web asks for a phone although one has linked this profile: the
    /// browser has lost its stored login.
    #[error("the profile lost the login that a phone had given it")]
    LoginGone,
    /// The browser has found what it stored for WhatsApp Web damaged, and has
    /// begun anew without it: the login was in it.
    #[error("the browser found its data of WhatsApp Web damaged and deleted them")]
    StorageLost,
    /// The browser could not read or write what it stores for WhatsApp Web, and has closed
    /// the database to the page: nearly always for want of room.
    #[error("the browser cannot use its data of WhatsApp Web: the disk is full, or fails")]
    StorageUnusable,
    /// The browser's process runs and answers nothing; it was killed.
    #[error("the browser answered nothing within {after_ms} ms")]
    BrowserSilent {
        /// How long it had.
        after_ms: u64,
    },
    /// The browser could not be driven.
    #[error(transparent)]
    Cdp(#[from] cdp::Error),
    /// Script of ours in the page failed.
    #[error("{name}: {message}")]
    Page {
        /// The JavaScript error's name.
        name: String,
        /// Its message.
        message: String,
        /// Its stack, where it has one.
        stack: String,
    },
    /// The page's answer is not what our script gives.
    #[error("the page gave an unexpected answer: {detail}")]
    Answer {
        /// What did not fit.
        detail: String,
    },
    /// The connection epoch that was asked is over.
    #[error("this connection is over")]
    Over {
        /// Whether the page had been asked already when it ended.
        in_flight: bool,
    },
    /// The page shows no document of this epoch (yet).
    #[error("the page is still being loaded")]
    NotLoaded,
}

impl Error {
    /// Whether the page surely did not do what was asked.
    pub(crate) fn surely_not_run(&self) -> bool {
        match self {
            Self::Cdp(error) => !error.may_have_run(),
            Self::Over { in_flight } => !in_flight,
            Self::Page { .. } | Self::Answer { .. } => false,
            Self::NotLoaded
            | Self::Option { .. }
            | Self::Library { .. }
            | Self::ProfileLocked { .. }
            | Self::ProfileHeld { .. }
            | Self::BrowserSilent { .. }
            | Self::LoginGone
            | Self::StorageLost
            | Self::StorageUnusable
            | Self::NoRoom { .. }
            | Self::Profile { .. } => true,
        }
    }
}
