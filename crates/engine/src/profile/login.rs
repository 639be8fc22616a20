//! Whether this profile generation holds a login, and how far its inbox is confirmed.
//!
//! The page tells its state by level only: that a phone linked it *anew* can be
//! known only by remembering that it was not linked before, also over a crash
//! between the scan and our noticing it.

use super::files::{problem, write_whole};
use crate::Error;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Login {
    linked: bool,
    /// Unix seconds.
    linked_at_s: i64,
    /// When the sender sent the newest message that is on our disk, Unix seconds.
    confirmed_s: Option<i64>,
    /// `linked_at_s` of the login of which the good copy is.
    copy_of_s: Option<i64>,
}

/// The marker and its file.
#[derive(Debug)]
pub(crate) struct LoginFile {
    path: PathBuf,
    login: Mutex<Login>,
}

impl LoginFile {
    /// Reads the marker. A damaged one counts as "not linked": then the login
    /// that the page shows is taken for a new one, which is the safe side.
    pub(super) fn read(path: PathBuf) -> Result<Self, Error> {
        let login = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Login::default(),
            Err(error) => return Err(problem(&path, &error)),
        };
        Ok(Self {
            path,
            login: Mutex::new(login),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Login> {
        // Plain data, whole after every statement.
        self.login.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a good copy of the profile with this very login stands beside this marker.
    pub(crate) fn has_copy(&self) -> bool {
        let of_this = {
            let login = self.lock();
            login.linked && login.copy_of_s == Some(login.linked_at_s)
        };
        of_this
            && self
                .path
                .parent()
                .is_some_and(|generation| super::copy::good(generation).is_dir())
    }

    /// A good copy of the profile has been taken: it is of this login.
    pub(super) fn set_copied(&self) -> Result<(), Error> {
        self.change(|login| login.copy_of_s = Some(login.linked_at_s))
    }

    /// Whether a phone has linked this profile, as far as is known.
    pub(crate) fn is_linked(&self) -> bool {
        self.lock().linked
    }

    /// When the login began, and the newest confirmed message, in Unix seconds.
    pub(crate) fn inbox_marks(&self) -> (i64, Option<i64>) {
        let login = self.lock();
        (login.linked_at_s, login.confirmed_s)
    }

    /// A phone has linked it. Call after the event has been given out: a crash
    /// in between then tells it twice instead of never.
    pub(crate) fn set_linked(&self, now_s: i64) -> Result<(), Error> {
        self.change(|login| {
            *login = Login {
                linked: true,
                linked_at_s: now_s,
                confirmed_s: None,
                copy_of_s: login.copy_of_s,
            };
        })
    }

    /// It waits for a phone: whatever login there was is gone.
    pub(crate) fn set_unlinked(&self) -> Result<(), Error> {
        self.change(|login| login.linked = false)
    }

    /// Inbound messages up to this time (Unix seconds) are on our disk.
    pub(crate) fn set_confirmed(&self, newest_s: i64) -> Result<(), Error> {
        self.change(|login| login.confirmed_s = login.confirmed_s.max(Some(newest_s)))
    }

    fn change(&self, how: impl FnOnce(&mut Login)) -> Result<(), Error> {
        let mut login = self.lock();
        let before = login.clone();
        how(&mut login);
        if *login == before {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&*login).map_err(|e| problem(&self.path, &e.into()))?;
        write_whole(&self.path, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("login.json");
        let file = LoginFile::read(path.clone()).unwrap();
        assert!(!file.is_linked());
        file.set_linked(100).unwrap();
        file.set_confirmed(150).unwrap();
        file.set_confirmed(120).unwrap();
        let again = LoginFile::read(path.clone()).unwrap();
        assert!(again.is_linked());
        assert_eq!(again.inbox_marks(), (100, Some(150)));
        again.set_unlinked().unwrap();
        assert!(!LoginFile::read(path).unwrap().is_linked());
    }

    #[test]
    fn a_damaged_marker_is_on_the_safe_side() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("login.json");
        std::fs::write(&path, "{\"linked\": tru").unwrap();
        assert!(!LoginFile::read(path).unwrap().is_linked());
    }
}
