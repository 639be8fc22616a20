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
    /// Whether the word that a phone linked it has yet to reach the gateway's own disk.
    untold: bool,
}

/// The marker and its file.
#[derive(Debug)]
pub(crate) struct LoginFile {
    path: PathBuf,
    login: Mutex<Login>,
    /// As it was last written, where that is known. Held while it is being
    /// written, so that an older state never follows a newer one to the disk.
    written: Mutex<Option<Login>>,
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
            written: Mutex::new(Some(login.clone())),
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
        self.change(|login| login.copy_of_s = Some(login.linked_at_s));
        self.write()
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

    /// A phone has linked it, which counts as untold until [`Self::set_told`]:
    /// a crash in between then tells it twice instead of never. Not on disk
    /// before [`Self::write`].
    pub(crate) fn set_linked(&self, now_s: i64) {
        self.change(|login| {
            *login = Login {
                linked: true,
                linked_at_s: now_s,
                confirmed_s: None,
                copy_of_s: login.copy_of_s,
                untold: true,
            };
        });
    }

    /// The login whose word is yet to be kept, by its beginning (Unix seconds).
    pub(crate) fn untold(&self) -> Option<i64> {
        let login = self.lock();
        (login.linked && login.untold).then_some(login.linked_at_s)
    }

    /// The word of the login that began then is kept. Not on disk before [`Self::write`].
    pub(crate) fn set_told(&self, linked_at_s: i64) {
        self.change(|login| login.untold &= login.linked_at_s != linked_at_s);
    }

    /// It came from elsewhere: its login is news here. Not on disk before [`Self::write`].
    pub(super) fn set_untold(&self) {
        self.change(|login| login.untold = true);
    }

    /// It waits for a phone: whatever login there was is gone. Not on disk
    /// before [`Self::write`].
    pub(crate) fn set_unlinked(&self) {
        self.change(|login| login.linked = false);
    }

    /// Inbound messages up to this time (Unix seconds) are on our disk. Not on
    /// disk itself before [`Self::write`].
    pub(crate) fn set_confirmed(&self, newest_s: i64) {
        self.change(|login| login.confirmed_s = login.confirmed_s.max(Some(newest_s)));
    }

    fn change(&self, how: impl FnOnce(&mut Login)) {
        how(&mut self.lock());
    }

    /// Brings it to disk as it is now; does nothing where it is there. A disk
    /// may take its time over it: not for the runtime's own threads.
    pub(crate) fn write(&self) -> Result<(), Error> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let login = self.lock().clone();
        if *written == Some(login.clone()) {
            return Ok(());
        }
        // Where this fails, what the file holds is not known.
        *written = None;
        let bytes = serde_json::to_vec(&login).map_err(|e| problem(&self.path, &e.into()))?;
        write_whole(&self.path, &bytes)?;
        *written = Some(login);
        Ok(())
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
        file.set_linked(100);
        file.set_confirmed(150);
        file.set_confirmed(120);
        assert!(file.is_linked());
        assert!(!path.exists(), "no file is touched before it is asked for");
        file.write().unwrap();
        let again = LoginFile::read(path.clone()).unwrap();
        assert!(again.is_linked());
        assert_eq!(again.inbox_marks(), (100, Some(150)));
        // A crash before it is kept that a phone linked it: it is told again.
        assert_eq!(again.untold(), Some(100));
        again.set_told(99);
        assert_eq!(again.untold(), Some(100), "that was an older login");
        again.set_told(100);
        again.write().unwrap();
        let again = LoginFile::read(path.clone()).unwrap();
        assert_eq!(again.untold(), None);
        again.set_unlinked();
        again.write().unwrap();
        assert!(!LoginFile::read(path).unwrap().is_linked());
    }

    #[test]
    fn what_could_not_be_written_is_written_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("away").join("login.json");
        let file = LoginFile::read(path.clone()).unwrap();
        file.set_linked(100);
        assert!(file.write().is_err());
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        file.write().unwrap();
        assert!(LoginFile::read(path).unwrap().is_linked());
    }

    #[test]
    fn a_damaged_marker_is_on_the_safe_side() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("login.json");
        std::fs::write(&path, "{\"linked\": tru").unwrap();
        assert!(!LoginFile::read(path).unwrap().is_linked());
    }
}
