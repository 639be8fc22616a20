//! The few file operations that a profile needs, each with a useful error.

use crate::Error;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

pub(super) fn problem(path: &Path, error: &io::Error) -> Error {
    Error::Profile {
        path: path.to_owned(),
        detail: error.to_string(),
    }
}

/// Makes a folder that only its owner can enter, or makes it so.
pub(super) fn make_private(dir: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| problem(dir, &e))?;
    fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(|e| problem(dir, &e))
}

/// Replaces a file as a whole: after a crash it holds the old text or the new one.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> Result<(), Error> {
    let new = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = File::create(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        match path.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(|e| problem(path, &e))
}

/// Waits until all that was written to this folder's file system is on disk.
pub(super) fn sync(dir: &Path) -> Result<(), Error> {
    let open = File::open(dir).map_err(|e| problem(dir, &e))?;
    rustix::fs::syncfs(&open).map_err(|e| problem(dir, &e.into()))
}

/// Removes a folder or file with all in it; nothing there is fine.
pub(super) fn remove_tree(path: &Path) -> Result<(), Error> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(problem(path, &error)),
        _ => Ok(()),
    }
}

/// What a browser fills anew by itself: worth neither the time nor the room of a copy.
const CACHES: [&str; 9] = [
    "BrowserMetrics",
    "Cache",
    "Code Cache",
    "Crashpad",
    "DawnGraphiteCache",
    "DawnWebGPUCache",
    "GPUCache",
    "GrShaderCache",
    "ShaderCache",
];

/// Whether a browser's folder of this name is such a cache.
pub(super) fn is_cache(name: &OsStr) -> bool {
    CACHES.iter().any(|cache| name == *cache)
}

/// Copies a browser's folder: regular files and folders, without its caches.
/// Its sockets and locks are links, and stay behind.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<(), Error> {
    make_private(to)?;
    for entry in fs::read_dir(from).map_err(|e| problem(from, &e))? {
        let entry = entry.map_err(|e| problem(from, &e))?;
        if is_cache(&entry.file_name()) {
            continue;
        }
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(|e| problem(&source, &e))?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_file() {
            fs::copy(&source, &target).map_err(|e| problem(&source, &e))?;
        }
    }
    Ok(())
}
