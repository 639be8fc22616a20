//! Making a data folder of a backup.
//!
//! Everything is copied below the target and compared with its digest before
//! anything takes its place, and the marker comes last: a folder that was
//! filled in part is nobody's data folder, and says so.

use super::make::{create, make_folder, sync};
use super::manifest::{self, Manifest};
use super::{BackupError, io_error};
use crate::clock::{Clock as _, SystemClock};
use crate::data_dir::{DataDir, DataDirError, MARKER};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where everything is until it is whole.
const STAGE: &str = ".restoring";
/// What may be in a folder that counts as empty: what `mkfs` leaves.
const NOTHING: &[&str] = &["lost+found", STAGE];

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// The backup's table of contents.
    pub manifest: Manifest,
    /// Where the data folder's former contents are now.
    pub aside: Option<PathBuf>,
}

/// Compares every file of a backup with its digest.
///
/// # Errors
/// `NotABackup`, `Damaged`.
pub fn check(backup: &Path) -> Result<Manifest, BackupError> {
    let manifest = Manifest::read(backup)?;
    for entry in &manifest.files {
        pass_whole(backup, entry, io::sink())?;
    }
    Ok(manifest)
}

/// Fills `target` from a backup. What is in it is moved aside, below it, where
/// `replace` says so; nothing is ever removed.
///
/// # Errors
/// `NotEmpty` without `replace`; `DataDir` where a gateway runs on it, or it is
/// somebody else's; `NotABackup` and `Damaged`, with nothing changed.
pub fn restore(backup: &Path, target: &Path, replace: bool) -> Result<Restored, BackupError> {
    let manifest = Manifest::read(backup)?;
    let former = contents(target)?;
    // Held until the end, so that no gateway starts on what is moved aside.
    let _lock = match former.first() {
        None => None,
        Some(_) if replace => Some(DataDir::open(target)?.lock()?),
        Some(found) => {
            // A gateway that runs is the better reason.
            let held = DataDir::open(target).and_then(|dir| dir.lock());
            if let Err(error @ DataDirError::InUse { .. }) = held {
                return Err(error.into());
            }
            return Err(BackupError::NotEmpty {
                path: target.to_owned(),
                found: found.clone(),
            });
        }
    };
    make_folder(target)?;
    let stage = target.join(STAGE);
    remove_stage(&stage)?;
    make_folder(&stage)?;
    if let Err(error) = fill(backup, &manifest, &stage) {
        // The first error says more than that of clearing up after it.
        let _ = remove_stage(&stage);
        return Err(error);
    }
    let aside = match former.as_slice() {
        [] => None,
        former => Some(set_aside(target, former)?),
    };
    take_place(&stage, target)?;
    Ok(Restored { manifest, aside })
}

/// The names in a folder, without those that count for nothing.
fn contents(target: &Path) -> Result<Vec<String>, BackupError> {
    let listed = match fs::read_dir(target) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error(target)(error)),
    };
    let mut names = Vec::new();
    for entry in listed {
        let name = entry.map_err(io_error(target))?.file_name();
        let name = name.to_string_lossy().into_owned();
        if !NOTHING.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn fill(backup: &Path, manifest: &Manifest, stage: &Path) -> Result<(), BackupError> {
    for entry in &manifest.files {
        let to = stage.join(&entry.path);
        if let Some(parent) = to.parent() {
            make_folder(parent)?;
        }
        pass_whole(backup, entry, create(&to)?)?;
    }
    if !stage.join(MARKER).is_file() {
        return Err(BackupError::NotABackup {
            path: backup.to_owned(),
            what: format!("there is no {MARKER} in it"),
        });
    }
    sync(stage)
}

/// Passes a file on, which must be as it was written.
fn pass_whole(backup: &Path, entry: &manifest::Entry, to: impl Write) -> Result<(), BackupError> {
    let path = backup.join(&entry.path);
    let damaged = |what: String| BackupError::Damaged {
        path: path.clone(),
        what,
    };
    let file = File::open(&path).map_err(|e| damaged(e.to_string()))?;
    let (bytes, sha256) = manifest::pass(file, to).map_err(io_error(&path))?;
    if bytes != entry.bytes {
        return Err(damaged(format!("{bytes} bytes, not {}", entry.bytes)));
    }
    if sha256 != entry.sha256 {
        return Err(damaged("its digest differs".to_owned()));
    }
    Ok(())
}

fn set_aside(target: &Path, former: &[String]) -> Result<PathBuf, BackupError> {
    let aside = target.join(format!("before-restore-{}", SystemClock.unix().0));
    make_folder(&aside)?;
    // The marker first: from here on the folder is no data folder until it is one again.
    let marker_first = |name: &&String| name.as_str() != MARKER;
    let mut names: Vec<&String> = former.iter().collect();
    names.sort_by_key(marker_first);
    for name in names {
        // Earlier ones stay beside this one, and the lock is in use.
        if name.starts_with("before-restore-") || name == "LOCK" {
            continue;
        }
        let from = target.join(name);
        fs::rename(&from, aside.join(name)).map_err(io_error(&from))?;
    }
    Ok(aside)
}

fn take_place(stage: &Path, target: &Path) -> Result<(), BackupError> {
    let mut names = contents(stage)?;
    names.sort_by_key(|name| name == MARKER);
    for name in names {
        let to = target.join(&name);
        if name == MARKER {
            sync(target)?;
        }
        fs::rename(stage.join(&name), &to).map_err(io_error(&to))?;
    }
    remove_stage(stage)?;
    sync(target)
}

fn remove_stage(stage: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(stage) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(stage)(error)),
        _ => Ok(()),
    }
}
