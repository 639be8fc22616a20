//! The data folder: whose it is, who holds it, where things are in it.
//!
//! ```text
//! steadfast.json   the marker: this folder is ours, and of which format
//! steadfast.toml   the configuration, where none is named elsewhere
//! steadfast.db     the store, with its -wal and -shm
//! profiles/        one folder for each session's browser
//! LOCK             held (flock) by the gateway that runs on this folder
//! gateway.json     address and credential of that gateway, for the command line
//! ```
//!
//! Folders are 0700, files with secrets 0600. A folder that holds anything
//! else, and no marker, belongs to somebody else and is left alone.

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use steadfast_core::ids::SessionId;

pub(crate) const MARKER: &str = "steadfast.json";
const LOCK: &str = "LOCK";
const RUNNING: &str = "gateway.json";

/// The format that this program writes. It grows when an older program could
/// no longer read the folder's layout; the database has a version of its own.
const FORMAT: u32 = 1;

/// Names that may stand in a folder before it is ours: a configuration put
/// there beforehand, what `mkfs` leaves at the root of a volume, and what a
/// browser leaves in the home of a service's user, which the folder may be.
const NOT_FOREIGN: &[&str] = &[
    crate::config::FILE_NAME,
    "lost+found",
    ".cache",
    ".config",
    ".local",
    ".pki",
];

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// There is no home folder to find the default in.
    #[error("no data folder is named, and there is no home folder to put it in")]
    Nowhere,
    /// Somebody else's things are in it.
    #[error("{} is not a Steadfast data folder and is not empty (it holds {found:?})", .path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// One thing that is in it.
        found: String,
    },
    /// There is no such folder, and it was not to be made.
    #[error("there is no data folder at {}", .0.display())]
    Missing(PathBuf),
    /// A newer program made it.
    #[error("{} has format {found}, and this program knows {FORMAT}", .path.display())]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The marker cannot be understood.
    #[error("{} is damaged: {detail}", .path.display())]
    Damaged {
        /// The marker file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Another gateway runs on it.
    #[error("{} is in use by another gateway{}", .path.display(), .pid.map_or_else(String::new, |pid| format!(", process {pid}")))]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process that holds it, where it said so.
        pid: Option<u32>,
    },
    /// The operating system refused something.
    #[error("cannot {doing} {}: {error}", .path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

impl DataDirError {
    /// What a person should do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Nowhere => "name one with --data-dir DIR or STEADFAST_DATA_DIR".to_owned(),
            Self::Foreign { .. } => {
                "name an empty or a new folder with --data-dir DIR; this one is left as it is"
                    .to_owned()
            }
            Self::Missing(_) => {
                "start the gateway with `steadfast serve`, which makes it, or name another with --data-dir DIR".to_owned()
            }
            Self::Newer { .. } => {
                "install the newer Steadfast that made it; nothing was changed".to_owned()
            }
            Self::Damaged { .. } => {
                format!("put the file back from a backup, or, if the folder is surely ours, write {{\"format\":{FORMAT}}} into it")
            }
            Self::InUse { pid: Some(pid), .. } => {
                format!("use that gateway, stop it first (kill {pid}), or name another folder with --data-dir DIR")
            }
            Self::InUse { pid: None, .. } => {
                "use that gateway, stop it first, or name another folder with --data-dir DIR"
                    .to_owned()
            }
            Self::Io { error, .. } => match error.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "make it writable for the user that runs this program, or name another folder with --data-dir DIR".to_owned()
                }
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "make room on that disk".to_owned()
                }
                io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                    "name a folder, not a file, with --data-dir DIR".to_owned()
                }
                _ => "mend that, or name another folder with --data-dir DIR".to_owned(),
            },
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    format: u32,
}

/// How the command line reaches the gateway that runs on a data folder.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningGateway {
    /// Its process.
    pub pid: u32,
    /// Where it listens: `http://127.0.0.1:8080`.
    pub url: String,
    /// A token with all rights, made anew at each start and known to that
    /// process alone.
    pub token: String,
}

impl std::fmt::Debug for RunningGateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The token must not reach a log by way of `{:?}`.
        f.debug_struct("RunningGateway")
            .field("pid", &self.pid)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// A data folder that is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir {
    path: PathBuf,
}

/// The folder is ours alone while this lives.
#[derive(Debug)]
pub struct Lock {
    // Dropping the file frees the lock, and so does the end of the process.
    _file: File,
}

impl DataDir {
    /// `steadfast` in the XDG data folder.
    ///
    /// # Errors
    /// Where there is no home.
    pub fn default_path(env: impl Fn(&str) -> Option<String>) -> Result<PathBuf, DataDirError> {
        // The XDG rule: a relative path in the variable is to be ignored.
        let xdg = env("XDG_DATA_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        let base = match xdg {
            Some(path) => path,
            None => env("HOME")
                .filter(|home| !home.is_empty())
                .map(|home| Path::new(&home).join(".local/share"))
                .ok_or(DataDirError::Nowhere)?,
        };
        Ok(base.join("steadfast"))
    }

    /// Opens a folder that is ours already.
    ///
    /// # Errors
    /// Where it is missing, somebody else's, newer or damaged.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        match state_of(path)? {
            Found::Ours => Ok(Self {
                path: absolute(path)?,
            }),
            Found::Missing | Found::Empty => Err(DataDirError::Missing(path.to_owned())),
        }
    }

    /// Opens a folder, and makes a missing or empty one ours.
    ///
    /// # Errors
    /// Where it is somebody else's, newer, damaged or cannot be written.
    pub fn open_or_adopt(path: &Path) -> Result<Self, DataDirError> {
        if let Found::Missing | Found::Empty = state_of(path)? {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(io_error("make the folder", path))?;
            let marker = path.join(MARKER);
            let text = serde_json::json!({ "format": FORMAT }).to_string() + "\n";
            write_private(&marker, text.as_bytes())?;
        }
        let dir = Self {
            path: absolute(path)?,
        };
        let profiles = dir.profiles();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&profiles)
            .map_err(io_error("make the folder", &profiles))?;
        Ok(dir)
    }

    /// Where it is; an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The store's database.
    pub fn database(&self) -> PathBuf {
        self.path.join("steadfast.db")
    }

    /// The files of messages.
    pub fn media(&self) -> PathBuf {
        self.path.join("media")
    }

    /// Who is logged in at the dashboard, by hash.
    pub fn logins(&self) -> PathBuf {
        self.path.join("logins.json")
    }

    /// The folder of all profiles.
    pub fn profiles(&self) -> PathBuf {
        self.path.join("profiles")
    }

    /// Where one session's browser profile lives.
    pub fn profile(&self, session: &SessionId) -> PathBuf {
        self.profiles().join(session.as_str())
    }

    /// Holds the folder for this process.
    ///
    /// # Errors
    /// `InUse` where another process does.
    pub fn lock(&self) -> Result<Lock, DataDirError> {
        let path = self.path.join(LOCK);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("open", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                // Whoever holds it wrote its number in; without, we know less, that is all.
                let _ = file.read_to_string(&mut text);
                return Err(DataDirError::InUse {
                    path: self.path.clone(),
                    pid: text.trim().parse().ok(),
                });
            }
            Err(error) => return Err(io_error("lock", &path)(error.into())),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(io_error("write", &path))?;
        Ok(Lock { _file: file })
    }

    /// Tells the command line how to reach this process.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn announce(&self, running: &RunningGateway) -> Result<(), DataDirError> {
        let path = self.path.join(RUNNING);
        let text = serde_json::to_string(running).map_err(|e| DataDirError::Damaged {
            path: path.clone(),
            detail: e.to_string(),
        })?;
        let fresh = self.path.join(format!("{RUNNING}.{}", std::process::id()));
        // A file of this name can only be left over from a process of ours that died.
        let _ = fs::remove_file(&fresh);
        write_private(&fresh, text.as_bytes())?;
        fs::rename(&fresh, &path).map_err(io_error("write", &path))
    }

    /// Takes the announcement back.
    pub fn retract(&self) {
        // Where it stays, its credential is worth nothing once this process is gone.
        let _ = fs::remove_file(self.path.join(RUNNING));
    }

    /// What the last gateway on this folder announced. It may be gone since.
    pub fn announced(&self) -> Option<RunningGateway> {
        let text = fs::read_to_string(self.path.join(RUNNING)).ok()?;
        serde_json::from_str(&text).ok()
    }
}

enum Found {
    Missing,
    Empty,
    Ours,
}

fn state_of(path: &Path) -> Result<Found, DataDirError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Missing),
        Err(error) => return Err(io_error("read the folder", path)(error)),
    };
    let marker = path.join(MARKER);
    match fs::read_to_string(&marker) {
        Ok(text) => {
            let parsed: Marker =
                serde_json::from_str(&text).map_err(|e| DataDirError::Damaged {
                    path: marker,
                    detail: e.to_string(),
                })?;
            if parsed.format > FORMAT {
                return Err(DataDirError::Newer {
                    path: path.to_owned(),
                    found: parsed.format,
                });
            }
            Ok(Found::Ours)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            for entry in entries {
                let entry = entry.map_err(io_error("read the folder", path))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if !NOT_FOREIGN.contains(&name.as_str()) {
                    return Err(DataDirError::Foreign {
                        path: path.to_owned(),
                        found: name,
                    });
                }
            }
            Ok(Found::Empty)
        }
        Err(error) => Err(io_error("read", &marker)(error)),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, DataDirError> {
    std::path::absolute(path).map_err(io_error("find", path))
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), DataDirError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(io_error("write", path))
}

fn io_error<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> DataDirError + 'a {
    move |error| DataDirError::Io {
        doing,
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn an_empty_or_missing_folder_becomes_ours_and_stays_private() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        assert!(matches!(
            DataDir::open(&path),
            Err(DataDirError::Missing(_))
        ));
        let dir = DataDir::open_or_adopt(&path).unwrap();
        assert_eq!(DataDir::open(&path).unwrap(), dir);
        assert_eq!(DataDir::open_or_adopt(&path).unwrap(), dir);
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(MARKER)), 0o600);
        assert_eq!(mode(&dir.profiles()), 0o700);
    }

    #[test]
    fn a_folder_with_only_a_configuration_is_not_foreign() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("steadfast.toml"), "").unwrap();
        // Left by the browser that `check` started for a service's user.
        fs::create_dir(root.path().join(".cache")).unwrap();
        assert!(DataDir::open_or_adopt(root.path()).is_ok());
    }

    #[test]
    fn foreign_newer_and_damaged_folders_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("thesis.txt"), "x").unwrap();
        let error = DataDir::open_or_adopt(root.path()).unwrap_err();
        assert!(error.to_string().contains("thesis.txt"), "{error}");
        assert!(!root.path().join(MARKER).exists());

        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(MARKER), "{\"format\":99}").unwrap();
        let error = DataDir::open_or_adopt(root.path()).unwrap_err();
        assert!(matches!(error, DataDirError::Newer { found: 99, .. }));

        fs::write(root.path().join(MARKER), "{").unwrap();
        let error = DataDir::open_or_adopt(root.path()).unwrap_err();
        assert!(matches!(error, DataDirError::Damaged { .. }));

        let error = DataDir::open_or_adopt(&root.path().join(MARKER)).unwrap_err();
        assert!(error.remedy().contains("not a file"), "{error}");
    }

    #[test]
    fn one_process_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::open_or_adopt(root.path()).unwrap();
        let held = dir.lock().unwrap();
        match dir.lock().unwrap_err() {
            DataDirError::InUse { pid, .. } => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other}"),
        }
        drop(held);
        assert!(dir.lock().is_ok());
    }

    #[test]
    fn what_is_announced_is_private_and_found() {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::open_or_adopt(root.path()).unwrap();
        assert_eq!(dir.announced(), None);
        let running = RunningGateway {
            pid: 7,
            url: "http://127.0.0.1:1".to_owned(),
            token: "sf_a_x".to_owned(),
        };
        dir.announce(&running).unwrap();
        dir.announce(&running).unwrap();
        assert!(!format!("{running:?}").contains("sf_a_x"));
        let mode = fs::metadata(root.path().join(RUNNING))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        assert_eq!(dir.announced(), Some(running));
        dir.retract();
        assert_eq!(dir.announced(), None);
    }

    #[test]
    fn the_default_follows_xdg() {
        let find = |pairs: &'static [(&'static str, &'static str)]| {
            DataDir::default_path(|name| {
                let pair = pairs.iter().find(|(key, _)| *key == name);
                pair.map(|(_, value)| (*value).to_owned())
            })
            .ok()
        };
        let xdg: &[_] = &[("XDG_DATA_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(find(xdg), Some(PathBuf::from("/x/steadfast")));
        let relative: &[_] = &[("XDG_DATA_HOME", "x"), ("HOME", "/h")];
        assert_eq!(
            find(relative),
            Some(PathBuf::from("/h/.local/share/steadfast"))
        );
        assert_eq!(find(&[]), None);
    }
}
