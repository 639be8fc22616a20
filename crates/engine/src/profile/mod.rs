//! One session's profile folder: its lock, its generations, its login marker.
//!
//! ```text
//! DIR/lock                 held while this session is open
//! DIR/current              the generation in use: gen-0002
//! DIR/gen-0002/chromium/   the browser's own folder
//! DIR/gen-0002/login.json  whether a phone has linked it, and how far the inbox is confirmed
//! DIR/gen-0002/good/       a copy of chromium/ that is known to work, where one was taken
//! DIR/gen-0002/broken/     browser's folders that the copy has replaced
//! DIR/refused-0001/        a generation that WhatsApp has refused; never offered again
//! ```

mod backup;
mod copy;
mod files;
mod login;
mod portable;

pub use backup::{ProfileBackup, backup_profile};
pub(crate) use login::LoginFile;
pub use portable::{PortableError, pack_profile, unpack_profile};

use crate::Error;
use files::{make_private, problem, remove_tree, write_whole};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing::warn;

/// Refused generations that are kept for a person to look at.
const REFUSED_KEPT: usize = 2;

/// An open profile. The lock goes with it.
#[derive(Debug)]
pub(crate) struct Profile {
    root: PathBuf,
    generation: u32,
    login: Arc<LoginFile>,
    _lock: File,
}

impl Profile {
    /// Opens the profile folder, and makes it where it is missing.
    ///
    /// # Errors
    /// [`Error::ProfileLocked`] where another process (or another connector) has it open.
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        make_private(root)?;
        let lock = take_lock(root)?;
        let generation = match read_current(root)? {
            Some(generation) => generation,
            None => newest_generation(root)?.unwrap_or(1),
        };
        let login = use_generation(root, generation)?;
        Ok(Self {
            root: root.to_owned(),
            generation,
            login,
            _lock: lock,
        })
    }

    /// The browser's own folder in the current generation.
    pub(crate) fn browser_dir(&self) -> PathBuf {
        copy::browser(&generation_dir(&self.root, self.generation))
    }

    pub(crate) fn login(&self) -> Arc<LoginFile> {
        Arc::clone(&self.login)
    }

    /// Sets the current generation aside as refused and begins an empty one.
    /// The browser must be gone.
    pub(crate) fn begin_fresh(&mut self) -> Result<(), Error> {
        let old = generation_dir(&self.root, self.generation);
        let refused = self.root.join(format!("refused-{:04}", self.generation));
        remove_tree(&refused)?;
        fs::rename(&old, &refused).map_err(|e| problem(&old, &e))?;
        self.generation = self.generation.saturating_add(1);
        self.login = use_generation(&self.root, self.generation)?;
        self.forget_old_refused()
    }

    /// Takes a copy of the browser's folder as the last good one of this login.
    /// The browser must be gone, and must have closed it cleanly.
    pub(crate) fn keep_copy(&self) -> Result<(), Error> {
        copy::take(&generation_dir(&self.root, self.generation))?;
        self.login.set_copied()
    }

    /// Puts the last good copy of this login in the place of the browser's
    /// folder, which is set aside; `false` where there is none. The browser
    /// must be gone.
    pub(crate) fn restore(&self) -> Result<bool, Error> {
        if !self.login.has_copy() {
            return Ok(false);
        }
        copy::bring_back(&generation_dir(&self.root, self.generation))?;
        Ok(true)
    }

    /// Removes every generation. The browser must be gone.
    pub(crate) fn erase(self) -> Result<(), Error> {
        for entry in fs::read_dir(&self.root).map_err(|e| problem(&self.root, &e))? {
            let path = entry.map_err(|e| problem(&self.root, &e))?.path();
            // The lock file stays: whoever opens the folder next locks the same file.
            if path.file_name().is_some_and(|name| name != "lock") {
                remove_tree(&path)?;
            }
        }
        Ok(())
    }

    fn forget_old_refused(&self) -> Result<(), Error> {
        let mut refused: Vec<PathBuf> = fs::read_dir(&self.root)
            .map_err(|e| problem(&self.root, &e))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| numbered(path, "refused-").is_some())
            .collect();
        refused.sort();
        let surplus = refused.len().saturating_sub(REFUSED_KEPT);
        for path in refused.into_iter().take(surplus) {
            remove_tree(&path)?;
        }
        Ok(())
    }
}

fn take_lock(root: &Path) -> Result<File, Error> {
    let path = root.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| problem(&path, &e))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::ProfileLocked {
            path: root.to_owned(),
        }),
        Err(errno) => Err(problem(&path, &errno.into())),
    }
}

/// Makes the generation's folder where it is missing, and marks it as current.
fn use_generation(root: &Path, generation: u32) -> Result<Arc<LoginFile>, Error> {
    let dir = generation_dir(root, generation);
    make_private(&dir)?;
    copy::settle(&dir)?;
    write_whole(
        &root.join("current"),
        format!("{}\n", name(generation)).as_bytes(),
    )?;
    Ok(Arc::new(LoginFile::read(dir.join("login.json"))?))
}

/// The generation that the marker names; none where it is lost or damaged.
fn read_current(root: &Path) -> Result<Option<u32>, Error> {
    let path = root.join("current");
    match fs::read(&path) {
        Ok(text) => {
            let text = String::from_utf8_lossy(&text);
            let generation = numbered(Path::new(text.trim()), "gen-");
            if generation.is_none() {
                warn!(path = %path.display(), "the marker of the profile in use names none; the newest is taken");
            }
            Ok(generation)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(problem(&path, &error)),
    }
}

/// The newest generation in a folder whose marker is lost; after refused ones, the next number.
fn newest_generation(root: &Path) -> Result<Option<u32>, Error> {
    let mut newest = None;
    for entry in fs::read_dir(root).map_err(|e| problem(root, &e))? {
        let path = entry.map_err(|e| problem(root, &e))?.path();
        let generation = numbered(&path, "gen-")
            .or_else(|| numbered(&path, "refused-").map(|refused| refused.saturating_add(1)));
        newest = newest.max(generation);
    }
    Ok(newest)
}

fn numbered(path: &Path, prefix: &str) -> Option<u32> {
    path.file_name()?
        .to_str()?
        .strip_prefix(prefix)?
        .parse()
        .ok()
}

fn name(generation: u32) -> String {
    format!("gen-{generation:04}")
}

fn generation_dir(root: &Path, generation: u32) -> PathBuf {
    root.join(name(generation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_profile_is_private_and_has_one_holder() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("p");
        let profile = Profile::open(&root).unwrap();
        assert_eq!(
            fs::metadata(&root).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert!(matches!(
            Profile::open(&root),
            Err(Error::ProfileLocked { .. })
        ));
        drop(profile);
        assert!(Profile::open(&root).is_ok());
    }

    #[test]
    fn a_refused_generation_is_set_aside_and_never_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut profile = Profile::open(dir.path()).unwrap();
        let first = profile.browser_dir();
        fs::create_dir_all(&first).unwrap();
        fs::write(first.join("Local State"), "{}").unwrap();
        profile.login().set_linked(77);
        profile.login().write().unwrap();
        profile.begin_fresh().unwrap();
        assert_ne!(profile.browser_dir(), first);
        assert!(!profile.login().is_linked());
        assert!(
            dir.path()
                .join("refused-0001/chromium/Local State")
                .exists()
        );
        drop(profile);
        let again = Profile::open(dir.path()).unwrap();
        assert!(again.browser_dir().ends_with("gen-0002/chromium"));
    }

    #[test]
    fn only_the_newest_refused_ones_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut profile = Profile::open(dir.path()).unwrap();
        for _ in 0..4 {
            profile.begin_fresh().unwrap();
        }
        let kept = [1, 2, 3, 4].map(|n| dir.path().join(format!("refused-{n:04}")).exists());
        assert_eq!(kept, [false, false, true, true]);
    }

    #[test]
    fn a_lost_marker_loses_no_login() {
        let dir = tempfile::tempdir().unwrap();
        let mut profile = Profile::open(dir.path()).unwrap();
        profile.begin_fresh().unwrap();
        profile.login().set_linked(5);
        profile.login().write().unwrap();
        drop(profile);
        fs::remove_file(dir.path().join("current")).unwrap();
        for damaged in ["", "gen-", "../../etc", "\u{fffd}\0"] {
            let profile = Profile::open(dir.path()).unwrap();
            assert!(profile.login().is_linked());
            assert!(profile.browser_dir().ends_with("gen-0002/chromium"));
            drop(profile);
            fs::write(dir.path().join("current"), damaged).unwrap();
        }
    }

    #[test]
    fn only_a_copy_of_this_login_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let profile = Profile::open(dir.path()).unwrap();
        let preferences = profile.browser_dir().join("Preferences");
        fs::create_dir_all(profile.browser_dir()).unwrap();
        fs::write(&preferences, "good").unwrap();
        assert!(!profile.restore().unwrap(), "there is none");
        profile.login().set_linked(5);
        profile.login().write().unwrap();
        profile.keep_copy().unwrap();
        fs::write(&preferences, "bad").unwrap();
        assert!(profile.restore().unwrap());
        assert_eq!(fs::read_to_string(&preferences).unwrap(), "good");
        let aside = dir.path().join("gen-0001/broken/0001/Preferences");
        assert_eq!(fs::read_to_string(aside).unwrap(), "bad");

        profile.login().set_unlinked();
        profile.login().write().unwrap();
        assert!(!profile.restore().unwrap(), "that login is over");
        profile.login().set_linked(9);
        profile.login().write().unwrap();
        assert!(!profile.restore().unwrap(), "it is of the login before");
        profile.keep_copy().unwrap();
        assert!(profile.restore().unwrap());
    }

    #[test]
    fn a_refused_login_takes_its_copy_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut profile = Profile::open(dir.path()).unwrap();
        fs::create_dir_all(profile.browser_dir()).unwrap();
        profile.login().set_linked(5);
        profile.login().write().unwrap();
        profile.keep_copy().unwrap();
        profile.begin_fresh().unwrap();
        assert!(!profile.restore().unwrap());
        assert!(dir.path().join("refused-0001/good").is_dir());
    }

    #[test]
    fn erased_means_empty() {
        let dir = tempfile::tempdir().unwrap();
        let profile = Profile::open(dir.path()).unwrap();
        fs::create_dir_all(profile.browser_dir()).unwrap();
        profile.erase().unwrap();
        let left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["lock"]);
    }
}
