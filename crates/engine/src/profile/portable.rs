//! A linked profile as one stream, so that a number can be linked on one
//! machine and used on another. The stream holds the login itself: whoever has
//! it can write as its owner, so it must not lie anywhere unencrypted.
//!
//! ```text
//! login.json    as in the generation's folder
//! chromium/     the browser's folder, without its caches, sockets and locks
//! end           empty: nothing is missing before it
//! ```

use super::files::{is_cache, make_private, problem, remove_tree, sync};
use super::{Profile, copy, generation_dir, name, write_whole};
use crate::Error;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use tar::{Archive, Builder, EntryType, Header};

/// The last entry.
const END: &str = "end";
/// Most bytes that a profile may have. Ours have some tens of millions.
const MAX_BYTES: u64 = 4 << 30;
/// Most files and folders that a profile may have.
const MAX_ENTRIES: usize = 200_000;

/// Why a profile was not carried over. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PortableError {
    /// No phone has linked this profile.
    #[error("{} holds no login", .0.display())]
    NotLinked(PathBuf),
    /// The folder to be filled holds a login.
    #[error("{} holds a login already", .0.display())]
    AlreadyLinked(PathBuf),
    /// It is no profile of ours, or it is damaged.
    #[error("that is no exported profile, or it is damaged: {0}")]
    Damaged(String),
    /// It could not be written out.
    #[error("the profile could not be written out: {0}")]
    Write(io::Error),
    /// The profile's folder cannot be used.
    #[error(transparent)]
    Profile(#[from] Error),
}

/// Writes the profile in `root` out. It must not be in use, and is locked meanwhile.
///
/// # Errors
/// As [`PortableError`] says; what was written until then is worthless.
pub fn pack_profile(root: &Path, into: impl Write) -> Result<(), PortableError> {
    let profile = Profile::open(root)?;
    if !profile.login.is_linked() {
        return Err(PortableError::NotLinked(root.to_owned()));
    }
    let generation = generation_dir(root, profile.generation);
    let mut archive = Builder::new(into);
    pack(
        &mut archive,
        &generation.join("login.json"),
        Path::new("login.json"),
    )?;
    pack(
        &mut archive,
        &copy::browser(&generation),
        Path::new("chromium"),
    )?;
    let mut end = Header::new_gnu();
    end.set_entry_type(EntryType::Regular);
    end.set_size(0);
    archive
        .append_data(&mut end, END, io::empty())
        .map_err(PortableError::Write)?;
    let mut into = archive.into_inner().map_err(PortableError::Write)?;
    into.flush().map_err(PortableError::Write)
}

fn pack(
    archive: &mut Builder<impl Write>,
    from: &Path,
    as_path: &Path,
) -> Result<(), PortableError> {
    let failed = |e: io::Error| PortableError::Profile(problem(from, &e));
    let found = fs::symlink_metadata(from).map_err(failed)?;
    let mut header = Header::new_gnu();
    if found.is_file() {
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_size(found.len());
        let file = fs::File::open(from).map_err(failed)?;
        // A file that is cut short meanwhile must not shift what follows.
        return archive
            .append_data(&mut header, as_path, file.take(found.len()))
            .map_err(PortableError::Write);
    }
    if !found.is_dir() {
        return Ok(());
    }
    header.set_entry_type(EntryType::Directory);
    header.set_mode(0o700);
    header.set_size(0);
    archive
        .append_data(&mut header, as_path, io::empty())
        .map_err(PortableError::Write)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if !is_cache(&name) {
            pack(archive, &from.join(&name), &as_path.join(&name))?;
        }
    }
    Ok(())
}

/// Fills the profile in `root` from what [`pack_profile`] wrote. It must not be
/// in use and must hold no login; it is as it was until all has been read.
///
/// # Errors
/// As [`PortableError`] says.
pub fn unpack_profile(root: &Path, from: impl Read) -> Result<(), PortableError> {
    let profile = Profile::open(root)?;
    if profile.login.is_linked() {
        return Err(PortableError::AlreadyLinked(root.to_owned()));
    }
    let part = root.join("import-part");
    remove_tree(&part)?;
    let unpacked = unpack(from, &part).and_then(|()| Ok(sync(&part)?));
    if let Err(error) = unpacked {
        // The first error says more than that of clearing up after it.
        let _ = remove_tree(&part);
        return Err(error);
    }
    let next = profile.generation.saturating_add(1);
    let place = generation_dir(root, next);
    fs::rename(&part, &place).map_err(|e| problem(&place, &e))?;
    write_whole(
        &root.join("current"),
        format!("{}\n", name(next)).as_bytes(),
    )?;
    Ok(())
}

fn unpack(from: impl Read, into: &Path) -> Result<(), PortableError> {
    let damaged = |e: io::Error| PortableError::Damaged(e.to_string());
    let wrong = |what: &str| PortableError::Damaged(what.to_owned());
    make_private(into)?;
    let mut archive = Archive::new(from);
    let (mut bytes, mut entries, mut complete) = (0_u64, 0_usize, false);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        entries += 1;
        bytes = bytes.saturating_add(entry.size());
        if bytes > MAX_BYTES || entries > MAX_ENTRIES {
            return Err(wrong("it is far larger than a profile"));
        }
        let path = entry.path().map_err(damaged)?.into_owned();
        if path == Path::new(END) {
            complete = true;
            break;
        }
        let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
        let ours = path == Path::new("login.json") || path.starts_with("chromium");
        if !(plain && ours) {
            return Err(wrong("it holds a file that no profile has"));
        }
        let target = into.join(&path);
        match entry.header().entry_type() {
            EntryType::Directory => make_private(&target)?,
            EntryType::Regular => {
                let mut file = private_file(&target).map_err(|e| problem(&target, &e))?;
                io::copy(&mut entry, &mut file).map_err(damaged)?;
            }
            _ => return Err(wrong("it holds something that is neither file nor folder")),
        }
    }
    let login = super::LoginFile::read(into.join("login.json"))?;
    if !(complete && login.is_linked() && copy::browser(into).is_dir()) {
        return Err(wrong("it ends too early, or holds no login"));
    }
    login.set_untold();
    login.write()?;
    Ok(())
}

fn private_file(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let profile = Profile::open(dir.path()).unwrap();
        let browser = profile.browser_dir();
        fs::create_dir_all(browser.join("Default/IndexedDB")).unwrap();
        fs::create_dir_all(browser.join("Default/Code Cache")).unwrap();
        fs::write(browser.join("Default/IndexedDB/CURRENT"), "MANIFEST").unwrap();
        fs::write(browser.join("Default/Code Cache/x"), "much").unwrap();
        std::os::unix::fs::symlink("host-1", browser.join("SingletonLock")).unwrap();
        profile.login.set_linked(7);
        profile.login.write().unwrap();
        dir
    }

    fn packed() -> Vec<u8> {
        let mut bytes = Vec::new();
        pack_profile(linked().path(), &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_login_is_carried_over_without_what_belongs_to_the_machine() {
        let to = tempfile::tempdir().unwrap();
        drop(Profile::open(to.path()).unwrap());
        unpack_profile(to.path(), packed().as_slice()).unwrap();
        let profile = Profile::open(to.path()).unwrap();
        assert!(profile.login.is_linked());
        let browser = profile.browser_dir();
        let current = fs::read_to_string(browser.join("Default/IndexedDB/CURRENT")).unwrap();
        assert_eq!(current, "MANIFEST");
        assert!(!browser.join("Default/Code Cache").exists());
        assert!(fs::symlink_metadata(browser.join("SingletonLock")).is_err());
    }

    #[test]
    fn a_login_is_never_written_over_and_an_empty_profile_never_written_out() {
        let to = linked();
        assert!(matches!(
            unpack_profile(to.path(), packed().as_slice()),
            Err(PortableError::AlreadyLinked(_))
        ));
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(
            pack_profile(empty.path(), io::sink()),
            Err(PortableError::NotLinked(_))
        ));
    }

    #[test]
    fn what_is_damaged_or_strange_changes_nothing() {
        let whole = packed();
        let mut outside = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_size(2);
        header.set_entry_type(EntryType::Regular);
        outside
            .append_data(&mut header, "elsewhere/login.json", &b"{}"[..])
            .unwrap();
        let outside = outside.into_inner().unwrap();
        for wrong in [&b""[..], b"hello", &whole[..whole.len() / 3], &outside] {
            let to = tempfile::tempdir().unwrap();
            let refused = unpack_profile(to.path(), wrong);
            assert!(
                matches!(refused, Err(PortableError::Damaged(_))),
                "{refused:?}"
            );
            assert!(!to.path().join("import-part").exists());
            assert!(!Profile::open(to.path()).unwrap().login.is_linked());
        }
    }
}
