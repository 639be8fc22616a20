//! Finding the browser, and knowing its version without slowing a start.
//!
//! Headless browsers call themselves `HeadlessChrome`. The user agent that
//! hides it must be given at the start (`--user-agent`): set later, over the
//! protocol, it would reach pages but not their service workers. So the
//! version must be known before the browser runs. `--version` tells it in
//! about 50 ms; it is asked once and kept for as long as the file stays the
//! same, so that a restart after a crash never waits for it.

use crate::LaunchError;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{env, fs};

/// How a browser is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavor {
    /// The full browser without a window (`--headless=new`).
    NewHeadless,
    /// `chromium-headless-shell` or `chrome-headless-shell`: a third less
    /// memory (docs/PERFORMANCE.md), but no lock on the profile.
    HeadlessShell,
    /// With a window.
    Headed,
}

/// Names to look for on `PATH`, best first.
const FULL: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "chrome",
];
const SHELL: [&str; 2] = ["chromium-headless-shell", "chrome-headless-shell"];

/// Where a service's `PATH` may not reach.
const USUAL_FOLDERS: [&str; 5] = [
    "/usr/bin",
    "/usr/local/bin",
    "/usr/lib/chromium",
    "/opt/google/chrome",
    "/snap/bin",
];

/// Where packages keep the binary that their script in `/usr/bin` starts.
const PACKAGE_FOLDERS: [&str; 3] = [
    "/usr/lib/chromium",
    "/usr/lib64/chromium-browser",
    "/usr/lib/chromium-browser",
];

/// What a Chromium from the snap store is started by.
const SNAP_COMMAND: &str = "/snap/bin/chromium";

/// The longest that `--version` may take.
const VERSION_DEADLINE: Duration = Duration::from_secs(10);

/// A browser on this machine. Clones share what is known of it.
#[derive(Debug, Clone)]
pub struct Binary {
    path: PathBuf,
    known: Arc<Mutex<Option<Known>>>,
}

#[derive(Debug, Clone)]
struct Known {
    stamp: Stamp,
    version: String,
}

/// What changes when a package update replaces the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Binary {
    /// The browser at `path`. A distribution's wrapper script is resolved to
    /// the binary behind it; a script of the operator's own is kept.
    pub fn at(path: &Path) -> Result<Self, LaunchError> {
        let not_found = || LaunchError::NotFound {
            path: path.to_owned(),
        };
        let real = fs::canonicalize(path).map_err(|_| not_found())?;
        if !is_executable_file(&real) {
            return Err(not_found());
        }
        // A link is kept: what a snap's link leads to acts by the link's name.
        let given = std::path::absolute(path).map_err(|_| not_found())?;
        Ok(Self::unchecked(behind_wrapper(&real).unwrap_or(given)))
    }

    /// The first of Chromium, Google Chrome and their kind on `PATH` and in
    /// the usual places; for [`Flavor::HeadlessShell`] the first headless
    /// shell. A browser from a snap is taken only where there is no other.
    ///
    /// # Errors
    /// [`LaunchError::Placeholder`] where nothing was found but Ubuntu's
    /// script that asks for the snap, else [`LaunchError::NotFound`], which
    /// names the first that was looked for.
    pub fn find(flavor: Flavor) -> Result<Self, LaunchError> {
        let names: &[&str] = match flavor {
            Flavor::NewHeadless | Flavor::Headed => &FULL,
            Flavor::HeadlessShell => &SHELL,
        };
        let path = env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = env::split_paths(&path)
            .filter(|folder| folder.is_absolute())
            .chain(USUAL_FOLDERS.iter().map(PathBuf::from))
            .collect();
        let snap = Path::new(SNAP_COMMAND);
        first_of(names, &folders, snap).and_then(|path| Self::at(&path))
    }

    pub(crate) fn unchecked(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            known: Arc::default(),
        }
    }

    /// The file that is run.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version, for example `156.0.8078.79`. Asked of the binary once and
    /// kept until the file changes; clones share what is known.
    ///
    /// # Errors
    /// As a start would fail: no such file, it cannot be run, it ends with an
    /// error, it does not answer within 10 s or with no version.
    pub async fn version(&self) -> Result<String, LaunchError> {
        let stamp = Stamp::of(&self.path).map_err(|error| self.spawn_error(&error))?;
        if let Some(known) = &*self.known()
            && known.stamp == stamp
        {
            return Ok(known.version.clone());
        }
        let version = self.ask_version().await?;
        *self.known() = Some(Known {
            stamp,
            version: version.clone(),
        });
        Ok(version)
    }

    /// The user agent of the same browser with a window. Chromium tells only
    /// its major version and always this platform (user agent reduction).
    pub(crate) async fn headed_user_agent(&self) -> Result<String, LaunchError> {
        let version = self.version().await?;
        let major = version.split('.').next().unwrap_or_default();
        Ok(format!(
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/{major}.0.0.0 Safari/537.36"
        ))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_version(&self) -> Result<String, LaunchError> {
        let asked = tokio::process::Command::new(&self.path)
            .arg("--version")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(VERSION_DEADLINE, asked)
            .await
            .map_err(|_| LaunchError::NoAnswer {
                after: VERSION_DEADLINE,
                stderr: String::new(),
            })?
            .map_err(|error| self.spawn_error(&error))?;
        let said = String::from_utf8_lossy(&output.stdout);
        match parse_version(&said) {
            Some(version) if output.status.success() => Ok(version.to_owned()),
            _ => Err(LaunchError::Exited {
                code: output.status.code(),
                signal: std::os::unix::process::ExitStatusExt::signal(&output.status),
                stderr: crate::wire::clip(&String::from_utf8_lossy(&output.stderr)).into_owned(),
            }),
        }
    }

    pub(crate) fn spawn_error(&self, error: &io::Error) -> LaunchError {
        let path = self.path.clone();
        if error.kind() == io::ErrorKind::NotFound {
            LaunchError::NotFound { path }
        } else {
            LaunchError::Spawn {
                path,
                kind: error.kind(),
                text: error.to_string(),
            }
        }
    }
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let file = fs::metadata(path)?;
        Ok(Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
        })
    }
}

/// The first word that is numbers and dots: `Chromium 156.0.8078.79 built on Debian`.
fn parse_version(said: &str) -> Option<&str> {
    said.split_ascii_whitespace().find(|word| {
        word.contains('.')
            && word
                .split('.')
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    })
}

fn is_executable_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// The best of what lies in these folders under these names, names before folders.
fn first_of(
    names: &[&str],
    folders: &[PathBuf],
    snap_command: &Path,
) -> Result<PathBuf, LaunchError> {
    let mut placeholder = None;
    let mut snap = None;
    for path in names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .filter(|path| is_executable_file(path))
    {
        match Origin::of(&path, snap_command) {
            Origin::Own => return Ok(path),
            Origin::Snap => {
                snap.get_or_insert(path);
            }
            Origin::Placeholder => {
                placeholder.get_or_insert(path);
            }
        }
    }
    match (snap, placeholder) {
        (Some(path), _) => Ok(path),
        (None, Some(path)) => Err(LaunchError::Placeholder { path }),
        (None, None) => Err(LaunchError::NotFound {
            path: PathBuf::from(names.first().copied().unwrap_or_default()),
        }),
    }
}

/// Where a browser comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A package or a build: it can use any folder that we can.
    Own,
    /// A snap, confined to folders of its own.
    Snap,
    /// No browser: Ubuntu's `chromium-browser` is a script that starts the
    /// snap or, where there is none, says how to install it and ends.
    Placeholder,
}

impl Origin {
    /// Judged without running it. Ubuntu's script is short and names the snap's command.
    fn of(path: &Path, snap_command: &Path) -> Self {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if path.starts_with("/snap")
            || real.starts_with("/snap")
            || real == Path::new("/usr/bin/snap")
        {
            return Self::Snap;
        }
        if !is_script(&real) {
            return Self::Own;
        }
        let mut start = Vec::new();
        let opened =
            fs::File::open(&real).and_then(|file| file.take(8 << 10).read_to_end(&mut start));
        let asks_for_snap = opened.is_ok()
            && (memchr::memmem::find(&start, b"/snap/bin/chromium").is_some()
                || memchr::memmem::find(&start, b"snap install chromium").is_some());
        match (asks_for_snap, is_executable_file(snap_command)) {
            (false, _) => Self::Own,
            (true, true) => Self::Snap,
            (true, false) => Self::Placeholder,
        }
    }
}

fn is_script(path: &Path) -> bool {
    let mut first = [0; 2];
    fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut first))
        .is_ok_and(|()| &first == b"#!")
}

/// The binary behind a distribution's script. The script would add flags of
/// the distribution's own (extensions, GPU) and, on some, a process between
/// us and the browser.
fn behind_wrapper(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    if !is_script(path) || !(folder == Path::new("/usr/bin") || folder.starts_with("/opt/google")) {
        return None;
    }
    let name = path.file_name()?;
    PACKAGE_FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .chain([folder.join("chrome")])
        .find(|path| is_executable_file(path) && !is_script(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_browsers_say() {
        for (said, version) in [
            ("Chromium 156.0.8078.79 \n", Some("156.0.8078.79")),
            (
                "Chromium 156.0.8078.79 built on Debian GNU/Linux 12 (bookworm)",
                Some("156.0.8078.79"),
            ),
            ("Google Chrome 140.0.1.2", Some("140.0.1.2")),
            ("Firefox", None),
            ("v1.2 .. 3.", None),
            ("", None),
        ] {
            assert_eq!(parse_version(said), version, "{said:?}");
        }
    }

    fn put(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// As Ubuntu's package chromium-browser has it, in short.
    const UBUNTU: &str = "#!/bin/sh\nif ! [ -x /snap/bin/chromium ]; then\n  echo 'snap install chromium' >&2\n  \
                          exit 1\nfi\nexec /snap/bin/chromium \"$@\"\n";

    #[test]
    fn ubuntus_placeholder_is_no_browser() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [folder.path().to_owned()];
        let snap = folder.path().join("snap-chromium");
        let find = || {
            let names = ["chromium", "chromium-browser", "google-chrome"];
            first_of(&names, &folders, &snap)
        };
        assert!(matches!(find(), Err(LaunchError::NotFound { .. })));
        let script = put(folder.path(), "chromium-browser", UBUNTU);
        let error = find().unwrap_err();
        let path = script.clone();
        assert_eq!(error, LaunchError::Placeholder { path });
        assert!(error.to_string().contains("Google Chrome"));
        put(folder.path(), "snap-chromium", "\x7fELF");
        assert_eq!(find(), Ok(script), "with the snap, it starts it");
        let chrome = put(folder.path(), "google-chrome", "\x7fELF");
        assert_eq!(find(), Ok(chrome), "a browser that is no snap is better");
        // A script that starts a browser of its own is one.
        let own = put(
            folder.path(),
            "chromium",
            "#!/bin/sh\nexec /opt/chromium/chrome \"$@\"\n",
        );
        assert_eq!(find(), Ok(own));
    }

    #[test]
    fn an_operators_own_script_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("chromium");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        assert!(matches!(
            Binary::at(&script),
            Err(LaunchError::NotFound { .. })
        ));
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let binary = Binary::at(&script).unwrap();
        assert_eq!(binary.path(), script);
        let link = folder.path().join("linked");
        std::os::unix::fs::symlink(&script, &link).unwrap();
        assert_eq!(Binary::at(&link).unwrap().path(), link);
    }
}
