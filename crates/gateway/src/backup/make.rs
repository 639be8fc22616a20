//! Making a backup.

use super::manifest::{self, Login, Manifest};
use super::{BackupError, io_error};
use crate::clock::{Clock as _, SystemClock};
use crate::config::FILE_NAME;
use crate::data_dir::{DataDir, DataDirError, MARKER};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use steadfast_engine::{ProfileBackup, backup_profile};
use steadfast_store::copy_database;

/// What a backup is to hold beside the database.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The files of messages.
    pub media: bool,
    /// The logins.
    pub profiles: bool,
}

/// What was made.
#[derive(Debug)]
pub struct Made {
    /// Its table of contents.
    pub manifest: Manifest,
    /// Whether a gateway ran on the data folder meanwhile.
    pub gateway_ran: bool,
}

/// Copies a data folder into the folder `to`, which must not exist; it is
/// there once all is in it and on disk.
///
/// # Errors
/// As [`BackupError`] says. Nothing is left then.
pub fn make(dir: &DataDir, to: &Path, wanted: Wanted) -> Result<Made, BackupError> {
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    // Where no gateway runs, none may start in between.
    let lock = match dir.lock() {
        Ok(lock) => Some(lock),
        Err(DataDirError::InUse { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let part = beside(to);
    make_folder(&part)?;
    let made = fill(dir, &part, wanted).and_then(|manifest| {
        fs::rename(&part, to).map_err(io_error(to))?;
        Ok(manifest)
    });
    let manifest = made.inspect_err(|_| {
        // The first error says more than that of clearing up after it.
        let _ = fs::remove_dir_all(&part);
    })?;
    sync(to)?;
    Ok(Made {
        manifest,
        gateway_ran: lock.is_none(),
    })
}

/// Where it grows: a name that no other process of ours takes.
fn beside(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(format!(".part-{}", std::process::id()));
    PathBuf::from(name)
}

fn fill(dir: &DataDir, part: &Path, wanted: Wanted) -> Result<Manifest, BackupError> {
    let made_at = SystemClock.unix().rfc3339();
    let mut logins = Vec::new();
    if wanted.profiles {
        for (session, root) in folders(&dir.profiles())? {
            let profiles = part.join("profiles");
            make_folder(&profiles)?;
            let kept = backup_profile(&root, &profiles.join(&session))?;
            if kept != ProfileBackup::NotLinked {
                logins.push(Login {
                    session,
                    kept: kept.as_str().to_owned(),
                });
            }
        }
    }
    copy_database(&dir.database(), &part.join(DATABASE))?;
    if wanted.media {
        copy_media(&dir.media(), &part.join("media"))?;
    }
    for name in [MARKER, FILE_NAME] {
        let from = dir.path().join(name);
        if from.exists() {
            copy(&from, &part.join(name))?;
        }
    }
    let manifest = Manifest {
        format: manifest::FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at,
        logins,
        media: wanted.media,
        files: manifest::entries(part)?,
    };
    // Before the manifest, which says that all the rest is whole.
    sync(part)?;
    let path = part.join(manifest::NAME);
    let file = create(&path)?;
    serde_json::to_writer_pretty(&file, &manifest)
        .map_err(io::Error::from)
        .and_then(|()| file.sync_all())
        .map_err(io_error(&path))?;
    Ok(manifest)
}

/// The database's name, in a data folder and in a backup.
const DATABASE: &str = "steadfast.db";

/// Copies every whole file. One that is swept away meanwhile was needed by nobody.
fn copy_media(from: &Path, to: &Path) -> Result<(), BackupError> {
    make_folder(to)?;
    let listed = match fs::read_dir(from) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error(from)(error)),
    };
    for entry in listed {
        let path = entry.map_err(io_error(from))?.path();
        let Some(name) = path.file_name() else {
            continue;
        };
        // What still comes has an ending; what is whole is named by its digest alone.
        if path.extension().is_some() || !path.is_file() {
            continue;
        }
        match copy(&path, &to.join(name)) {
            Err(BackupError::Io { error, path: at })
                if error.kind() == io::ErrorKind::NotFound && at == path => {}
            copied => copied?,
        }
    }
    Ok(())
}

pub(super) fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let mut source = File::open(from).map_err(io_error(from))?;
    let mut target = create(to)?;
    io::copy(&mut source, &mut target).map_err(io_error(to))?;
    Ok(())
}

pub(super) fn create(path: &Path) -> Result<File, BackupError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(io_error(path))
}

pub(super) fn make_folder(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(io_error(path))
}

/// Waits until all of this folder's file system is on disk.
pub(super) fn sync(path: &Path) -> Result<(), BackupError> {
    let folder = File::open(path).map_err(io_error(path))?;
    rustix::fs::syncfs(&folder).map_err(|errno| io_error(path)(errno.into()))
}

/// The folders in a folder, by name; none where there is no such folder.
fn folders(root: &Path) -> Result<Vec<(String, PathBuf)>, BackupError> {
    let listed = match fs::read_dir(root) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error(root)(error)),
    };
    let mut found = Vec::new();
    for entry in listed {
        let path = entry.map_err(io_error(root))?.path();
        if let (true, Some(name)) = (path.is_dir(), path.file_name()) {
            found.push((name.to_string_lossy().into_owned(), path));
        }
    }
    found.sort();
    Ok(found)
}
