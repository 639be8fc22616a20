//! A copy of a profile for a backup, also while a browser works in it.
//!
//! What a browser is writing cannot be copied whole. Of a profile in use the
//! last good copy is taken instead, which was made while no browser ran.

use super::files::{copy_tree, make_private, problem, remove_tree, write_whole};
use super::{LoginFile, Profile, copy, generation_dir, name, read_current};
use crate::Error;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// How often a copy is begun anew where it was replaced under our hands.
const TRIES: usize = 5;

/// What a backup has of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileBackup {
    /// The profile as it is: nobody used it.
    Whole,
    /// It is in use: its last good copy.
    LastGood,
    /// It holds no login, so there is nothing to keep.
    NotLinked,
    /// It is in use, and has no good copy yet: nothing.
    InUse,
}

impl ProfileBackup {
    /// Its name: `whole`, `last_good`, `not_linked`, `in_use`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::LastGood => "last_good",
            Self::NotLinked => "not_linked",
            Self::InUse => "in_use",
        }
    }
}

/// Copies the profile in `root` into the folder `to`, which must not exist:
/// a profile again, of one generation and without caches. Where nothing is
/// copied there is no such folder afterwards.
///
/// # Errors
/// Where something cannot be read or written; nothing is left then.
pub fn backup_profile(root: &Path, to: &Path) -> Result<ProfileBackup, Error> {
    let copied = copy_profile(root, to);
    if !matches!(copied, Ok(ProfileBackup::Whole | ProfileBackup::LastGood)) {
        remove_tree(to)?;
    }
    copied
}

fn copy_profile(root: &Path, to: &Path) -> Result<ProfileBackup, Error> {
    match Profile::open(root) {
        Ok(profile) => {
            if !profile.login.is_linked() {
                return Ok(ProfileBackup::NotLinked);
            }
            let generation = generation_dir(root, profile.generation);
            let browser = copy::browser(&generation);
            fill(&generation, profile.generation, to, |into| {
                copy_tree(&browser, into)
            })?;
            Ok(ProfileBackup::Whole)
        }
        Err(Error::ProfileLocked { .. }) => last_good(root, to),
        Err(error) => Err(error),
    }
}

fn last_good(root: &Path, to: &Path) -> Result<ProfileBackup, Error> {
    let Some(number) = read_current(root)? else {
        return Ok(ProfileBackup::InUse);
    };
    let generation = generation_dir(root, number);
    let login = LoginFile::read(generation.join("login.json"))?;
    if !login.is_linked() {
        return Ok(ProfileBackup::NotLinked);
    }
    let good = copy::good(&generation);
    for _ in 0..TRIES {
        if !login.has_copy() {
            return Ok(ProfileBackup::InUse);
        }
        let before = inode(&good);
        remove_tree(to)?;
        let filled = fill(&generation, number, to, |into| copy_tree(&good, into));
        // A newer copy takes the place of the older by renaming.
        if before.is_some() && before == inode(&good) {
            return filled.map(|()| ProfileBackup::LastGood);
        }
    }
    Ok(ProfileBackup::InUse)
}

fn inode(folder: &Path) -> Option<u64> {
    fs::metadata(folder).ok().map(|found| found.ino())
}

fn fill(
    generation: &Path,
    number: u32,
    to: &Path,
    browser: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<(), Error> {
    make_private(to)?;
    let place = generation_dir(to, number);
    make_private(&place)?;
    // First of all: it says how far the inbox is confirmed, and what the
    // backup has of that comes later.
    let login = generation.join("login.json");
    fs::copy(&login, place.join("login.json")).map_err(|e| problem(&login, &e))?;
    browser(&copy::browser(&place))?;
    let marker = format!("{}\n", name(number));
    write_whole(&to.join("current"), marker.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(root: &Path) -> Profile {
        let profile = Profile::open(root).unwrap();
        fs::create_dir_all(profile.browser_dir().join("Default/Cache")).unwrap();
        fs::write(profile.browser_dir().join("Default/Preferences"), "first").unwrap();
        fs::write(profile.browser_dir().join("Default/Cache/x"), "much").unwrap();
        profile
    }

    fn preferences(root: &Path) -> String {
        let profile = Profile::open(root).unwrap();
        assert!(profile.login().is_linked());
        assert!(!profile.browser_dir().join("Default/Cache").exists());
        fs::read_to_string(profile.browser_dir().join("Default/Preferences")).unwrap()
    }

    #[test]
    fn a_profile_that_nobody_uses_is_copied_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (root, to) = (dir.path().join("p"), dir.path().join("to"));
        let profile = filled(&root);
        drop(profile);
        assert_eq!(
            backup_profile(&root, &to).unwrap(),
            ProfileBackup::NotLinked
        );
        assert!(!to.exists());
        let profile = Profile::open(&root).unwrap();
        profile.login().set_linked(5);
        profile.login().write().unwrap();
        drop(profile);
        assert_eq!(backup_profile(&root, &to).unwrap(), ProfileBackup::Whole);
        assert_eq!(preferences(&to), "first");
    }

    #[test]
    fn of_a_profile_in_use_the_last_good_copy_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let (root, to) = (dir.path().join("p"), dir.path().join("to"));
        let profile = filled(&root);
        profile.login().set_linked(5);
        profile.login().write().unwrap();
        assert_eq!(backup_profile(&root, &to).unwrap(), ProfileBackup::InUse);
        assert!(!to.exists());
        profile.keep_copy().unwrap();
        let now = profile.browser_dir().join("Default/Preferences");
        fs::write(&now, "half written").unwrap();
        assert_eq!(backup_profile(&root, &to).unwrap(), ProfileBackup::LastGood);
        assert_eq!(preferences(&to), "first");
    }
}
