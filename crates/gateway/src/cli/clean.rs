//! `steadfast clean`: removes leftovers from the data folder.
//!
//! It holds the folder's lock, so that no gateway runs meanwhile, and the lock
//! of each profile that it looks into. A profile in use is never touched, nor
//! a login that may still be good.

use super::Context;
use super::exit::Exit;
use super::out::CliError;
use crate::data_dir::DataDir;
use clap::Args;
use rustix::fs::{FlockOperation, flock};
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

/// What a browser leaves in its folder to say that it runs.
const BROWSER_MARKS: [&str; 4] = [
    "SingletonLock",
    "SingletonCookie",
    "SingletonSocket",
    "steadfast-browser.pid",
];

#[derive(Debug, Args)]
pub(super) struct CleanArgs {
    /// Also remove logins that WhatsApp has refused, which are kept for a look
    #[arg(long)]
    refused: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Only say what would be removed
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

/// One thing that may go.
#[derive(Debug)]
struct Leftover {
    path: PathBuf,
    what: &'static str,
}

pub(super) fn run(context: &Context, args: &CleanArgs) -> Result<Exit, CliError> {
    let dir = DataDir::open(&context.data_dir()?)?;
    let _lock = dir.lock()?;
    let mut found = announcements(&dir);
    // Held until everything is removed: no browser starts in between.
    let mut locks = Vec::new();
    for profile in folders(&dir.profiles()) {
        match free_profile(&profile) {
            Some(lock) => {
                locks.push(lock);
                in_profile(&profile, args.refused, &mut found);
            }
            None => context
                .out
                .line(format!("in use, left alone: {}", profile.display())),
        }
    }
    let out = context.out;
    if found.is_empty() {
        out.line("nothing to remove");
        out.value(&json!({"removed": [], "found": []}));
        return Ok(Exit::Done);
    }
    for leftover in &found {
        out.line(format!("{}: {}", leftover.what, leftover.path.display()));
    }
    let paths: Vec<_> = found.iter().map(|l| l.path.display().to_string()).collect();
    if args.dry_run || !(args.yes || agreed(context, found.len())?) {
        out.line("nothing was removed");
        out.value(&json!({"removed": [], "found": paths}));
        return Ok(Exit::Done);
    }
    for leftover in &found {
        remove(&leftover.path).map_err(|e| {
            let message = format!("cannot remove {}: {e}", leftover.path.display());
            CliError::new(Exit::Failed, message, "see who owns it: ls -ld")
        })?;
    }
    out.line(format!("removed {}", found.len()));
    out.value(&json!({"removed": paths, "found": paths}));
    Ok(Exit::Done)
}

/// A yes from a person; without a terminal there is nobody to ask.
fn agreed(context: &Context, count: usize) -> Result<bool, CliError> {
    if !(io::stdin().is_terminal() && context.out.is_terminal()) {
        return Err(CliError::new(
            Exit::Usage,
            "there is no terminal to ask on",
            "say --yes to remove what is listed, or --dry-run to only list it",
        ));
    }
    let mut stdout = io::stdout().lock();
    let _ = write!(stdout, "remove these {count}? [y/N] ");
    let _ = stdout.flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// What a gateway that was killed said about itself; ours is the lock, so it is gone.
fn announcements(dir: &DataDir) -> Vec<Leftover> {
    entries(dir.path())
        .into_iter()
        .filter(|path| name_of(path).starts_with("gateway.json"))
        .map(|path| Leftover {
            path,
            what: "address of a gateway that is gone",
        })
        .collect()
}

/// A profile that neither an engine nor a browser has, locked where it has a lock.
struct Free {
    _lock: Option<fs::File>,
}

fn free_profile(profile: &Path) -> Option<Free> {
    let lock = profile.join("lock");
    let held = match OpenOptions::new().read(true).write(true).open(&lock) {
        Ok(file) => {
            flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
            Some(file)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(_) => return None,
    };
    (!browser_runs_on(profile)).then_some(Free { _lock: held })
}

/// Whether any process names this profile on its command line.
fn browser_runs_on(profile: &Path) -> bool {
    let wanted = profile.as_os_str().as_encoded_bytes();
    entries(Path::new("/proc")).into_iter().any(|process| {
        name_of(&process).bytes().all(|b| b.is_ascii_digit())
            && fs::read(process.join("cmdline")).is_ok_and(|line| {
                line.split(|byte| *byte == 0)
                    .filter_map(|argument| argument.strip_prefix(b"--user-data-dir="))
                    .any(|folder| folder.starts_with(wanted))
            })
    })
}

fn in_profile(profile: &Path, refused_too: bool, found: &mut Vec<Leftover>) {
    for folder in folders(profile) {
        let name = name_of(&folder);
        if name.starts_with("refused-") && refused_too {
            found.push(Leftover {
                path: folder,
                what: "login that WhatsApp refused",
            });
        } else if name.starts_with("gen-") {
            let broken = folder.join("broken");
            if broken.is_dir() {
                found.push(Leftover {
                    path: broken,
                    what: "browser folder that was replaced by a good copy",
                });
            }
            let marks = BROWSER_MARKS.map(|mark| folder.join("chromium").join(mark));
            // A dangling link is what such a lock is.
            let there = marks.into_iter().filter(|p| p.symlink_metadata().is_ok());
            found.extend(there.map(|path| Leftover {
                path,
                what: "mark of a browser that is gone",
            }));
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut paths = entries(folder);
    paths.retain(|path| path.symlink_metadata().is_ok_and(|meta| meta.is_dir()));
    paths
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
