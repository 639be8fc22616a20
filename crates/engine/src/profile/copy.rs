//! The good copy of a browser's folder: taken, brought back, and what it
//! replaced set aside.
//!
//! ```text
//! GEN/good/           the copy
//! GEN/good-part/      one that is being taken; GEN/good-old/ the one before, until they have changed places
//! GEN/chromium-part/  a copy that is being brought back; GEN/chromium-new/ the same, whole
//! GEN/broken/0002/    a browser's folder that a copy has replaced; the newest few are kept
//! ```
//!
//! Every change of places is by renaming, so that a crash at any moment leaves
//! the old folder or the new one, whole; [`settle`] ends what a crash has interrupted.

use super::files::{copy_tree, make_private, problem, remove_tree, sync};
use crate::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Replaced folders that are kept for a person to look at, of each generation.
const BROKEN_KEPT: usize = 3;

/// The copy, whether there is one or not.
pub(super) fn good(generation: &Path) -> PathBuf {
    generation.join("good")
}

/// The folder in which the browser works.
pub(super) fn browser(generation: &Path) -> PathBuf {
    generation.join("chromium")
}

/// Ends what a crash has interrupted: whatever is whole is kept, parts go.
pub(super) fn settle(generation: &Path) -> Result<(), Error> {
    for part in ["good-part", "chromium-part"] {
        remove_tree(&generation.join(part))?;
    }
    for (name, stand_in) in [("good", "good-old"), ("chromium", "chromium-new")] {
        let (place, stand_in) = (generation.join(name), generation.join(stand_in));
        if !place.exists() && stand_in.exists() {
            change(&stand_in, &place)?;
        }
        remove_tree(&stand_in)?;
    }
    Ok(())
}

/// Takes a copy of the browser's folder in the place of the one before.
///
/// # Errors
/// Where it cannot be taken; the one before is kept then, and no part is left.
pub(super) fn take(generation: &Path) -> Result<(), Error> {
    let part = generation.join("good-part");
    copy_whole(&browser(generation), &part)?;
    let (good, old) = (good(generation), generation.join("good-old"));
    remove_tree(&old)?;
    if good.exists() {
        change(&good, &old)?;
    }
    change(&part, &good)?;
    sync(generation)?;
    remove_tree(&old)
}

/// Puts the copy in the place of the browser's folder, and that aside.
///
/// # Errors
/// Where it cannot be done; the browser's folder is as it was then, or is the copy.
pub(super) fn bring_back(generation: &Path) -> Result<(), Error> {
    let (part, new) = (
        generation.join("chromium-part"),
        generation.join("chromium-new"),
    );
    // Whole before the damaged one gives up its place: a full disk changes nothing.
    copy_whole(&good(generation), &part)?;
    remove_tree(&new)?;
    change(&part, &new)?;
    let current = browser(generation);
    if current.exists() {
        set_aside(generation, &current)?;
    }
    change(&new, &current)?;
    sync(generation)
}

fn set_aside(generation: &Path, damaged: &Path) -> Result<(), Error> {
    let broken = generation.join("broken");
    make_private(&broken)?;
    let mut kept: Vec<(u32, PathBuf)> = fs::read_dir(&broken)
        .map_err(|e| problem(&broken, &e))?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path))
        })
        .collect();
    kept.sort();
    let next = kept
        .last()
        .map_or(1, |(number, _)| number.saturating_add(1));
    change(damaged, &broken.join(format!("{next:04}")))?;
    let surplus = (kept.len() + 1).saturating_sub(BROKEN_KEPT);
    for (_, path) in kept.into_iter().take(surplus) {
        remove_tree(&path)?;
    }
    Ok(())
}

/// A copy that is on disk when this returns; of one that fails nothing is left.
fn copy_whole(from: &Path, to: &Path) -> Result<(), Error> {
    remove_tree(to)?;
    let copied = copy_tree(from, to).and_then(|()| sync(to));
    if copied.is_err() {
        // The first error says more than that of clearing up after it.
        let _ = remove_tree(to);
    }
    copied
}

fn change(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(|e| problem(from, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fill(&browser(dir.path()), "first");
        dir
    }

    fn fill(folder: &Path, what: &str) {
        fs::create_dir_all(folder.join("Default/Code Cache")).unwrap();
        fs::write(folder.join("Default/Preferences"), what).unwrap();
        fs::write(folder.join("Default/Code Cache/x"), what).unwrap();
    }

    fn preferences(folder: &Path) -> String {
        fs::read_to_string(folder.join("Default/Preferences")).unwrap()
    }

    #[test]
    fn a_copy_comes_back_and_what_it_replaces_is_kept() {
        let dir = generation();
        take(dir.path()).unwrap();
        for n in 1..=5 {
            fill(&browser(dir.path()), &format!("damaged {n}"));
            bring_back(dir.path()).unwrap();
            assert_eq!(preferences(&browser(dir.path())), "first");
            assert_eq!(
                preferences(&dir.path().join(format!("broken/{n:04}"))),
                format!("damaged {n}")
            );
        }
        let kept = [1, 2, 3, 4, 5].map(|n| dir.path().join(format!("broken/{n:04}")).exists());
        assert_eq!(kept, [false, false, true, true, true]);
        // What the browser makes anew by itself is not carried along.
        assert!(!good(dir.path()).join("Default/Code Cache").exists());
    }

    #[test]
    fn a_newer_copy_takes_the_place_of_the_older() {
        let dir = generation();
        take(dir.path()).unwrap();
        fill(&browser(dir.path()), "second");
        take(dir.path()).unwrap();
        assert_eq!(preferences(&good(dir.path())), "second");
        assert!(!dir.path().join("good-old").exists());
    }

    #[test]
    fn a_crash_at_any_moment_leaves_a_whole_folder() {
        // While the copies changed places.
        let dir = generation();
        fill(&dir.path().join("good-old"), "old");
        fill(&dir.path().join("good-part"), "new");
        settle(dir.path()).unwrap();
        assert_eq!(preferences(&good(dir.path())), "old");
        // Between setting the damaged one aside and putting the copy there.
        fs::remove_dir_all(browser(dir.path())).unwrap();
        fill(&dir.path().join("chromium-new"), "copy");
        fill(&dir.path().join("chromium-part"), "pa");
        settle(dir.path()).unwrap();
        assert_eq!(preferences(&browser(dir.path())), "copy");
        // After both.
        fill(&dir.path().join("good-old"), "older");
        settle(dir.path()).unwrap();
        assert_eq!(preferences(&good(dir.path())), "old");
        for left in ["good-old", "good-part", "chromium-new", "chromium-part"] {
            assert!(!dir.path().join(left).exists(), "{left}");
        }
    }

    #[test]
    fn a_copy_that_cannot_be_taken_leaves_the_one_before() {
        let dir = generation();
        take(dir.path()).unwrap();
        fs::remove_dir_all(browser(dir.path())).unwrap();
        assert!(matches!(take(dir.path()), Err(Error::Profile { .. })));
        assert_eq!(preferences(&good(dir.path())), "first");
        assert!(!dir.path().join("good-part").exists());
    }
}
