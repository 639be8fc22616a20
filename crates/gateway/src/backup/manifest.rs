//! What belongs to a backup: every file with its length and digest.

use super::{BackupError, io_error};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};

/// Its name.
pub(super) const NAME: &str = "manifest.json";
/// The format that this program writes.
pub(super) const FORMAT: u32 = 1;

/// A backup's table of contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The backup's own format.
    pub format: u32,
    /// The program that made it.
    pub version: String,
    /// When it was begun.
    pub made_at: String,
    /// What it has of each session's login.
    pub logins: Vec<Login>,
    /// Whether the files of messages are in it.
    pub media: bool,
    /// Every file, by its path from the backup's folder.
    pub files: Vec<Entry>,
}

/// What a backup has of one session's login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The session.
    pub session: String,
    /// `whole`, `last_good`, `not_linked`, `in_use`.
    pub kept: String,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it is, from the backup's folder.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// Reads and checks it.
    ///
    /// # Errors
    /// `NotABackup` where there is none, or it cannot be understood.
    pub(super) fn read(backup: &Path) -> Result<Self, BackupError> {
        let wrong = |what: String| BackupError::NotABackup {
            path: backup.to_owned(),
            what,
        };
        let text = fs::read_to_string(backup.join(NAME))
            .map_err(|e| wrong(format!("its {NAME} cannot be read: {e}")))?;
        let manifest: Self =
            serde_json::from_str(&text).map_err(|e| wrong(format!("its {NAME}: {e}")))?;
        if manifest.format > FORMAT {
            return Err(wrong(format!(
                "it has format {}, and this program knows {FORMAT}",
                manifest.format
            )));
        }
        // A manifest must not lead out of the folder that is to be filled.
        let plain = |entry: &Entry| {
            let mut parts = Path::new(&entry.path).components();
            !entry.path.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
        };
        match manifest.files.iter().find(|entry| !plain(entry)) {
            Some(entry) => Err(wrong(format!("it names {:?}", entry.path))),
            None => Ok(manifest),
        }
    }

    /// All bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|entry| entry.bytes).sum()
    }
}

/// Every file below a folder, with its digest, in order.
pub(super) fn entries(root: &Path) -> Result<Vec<Entry>, BackupError> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let whole = root.join(&folder);
        for entry in fs::read_dir(&whole).map_err(io_error(&whole))? {
            let entry = entry.map_err(io_error(&whole))?;
            let path = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(io_error(&path))?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let Some(text) = path.to_str() else {
                    return Err(BackupError::Damaged {
                        what: "its name is no text".to_owned(),
                        path,
                    });
                };
                let whole = root.join(&path);
                let file = File::open(&whole).map_err(io_error(&whole))?;
                let (bytes, sha256) = pass(file, std::io::sink()).map_err(io_error(&whole))?;
                found.push(Entry {
                    path: text.to_owned(),
                    bytes,
                    sha256,
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Passes everything on; its length and digest.
pub(super) fn pass(mut from: impl Read, mut to: impl Write) -> std::io::Result<(u64, String)> {
    let mut digest = Sha256::new();
    let mut piece = vec![0; 64 * 1_024];
    let mut bytes = 0;
    loop {
        let count = from.read(&mut piece)?;
        let Some(read) = piece.get(..count).filter(|read| !read.is_empty()) else {
            break;
        };
        digest.update(read);
        to.write_all(read)?;
        bytes += read.len() as u64;
    }
    let text = digest
        .finalize()
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
    Ok((bytes, text))
}
