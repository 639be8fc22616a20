//! Small file systems under the data folder and its profiles, which can be
//! filled to the last page and emptied again while the gateway runs on them.
//!
//! They are memory file systems (tmpfs) in a mount namespace of this process:
//! nobody else sees them, and the system takes them away when it ends. Full
//! means that the file system is made as small as what is in it: no memory is
//! spent on it, and a write meets the same ENOSPC as on a real disk.

use super::HarnessError;
use crate::data_dir::DataDir;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::process::Command;

/// Room for the store of a long run.
const STORE_KIB: u64 = 1024 * 1024;
/// Room for a profile, its good copy, and the generations that are kept.
const PROFILES_KIB: u64 = 2 * 1024 * 1024;
/// How often making a file system as small as its content is tried, while the content changes.
const FILL_TRIES: u32 = 50;

/// The arguments that give a program a mount namespace of its own.
fn namespace() -> Vec<&'static str> {
    let mut args = vec!["--mount", "--propagation", "private"];
    if !rustix::process::geteuid().is_root() {
        // Whoever is not root is it within a namespace of users: enough to mount.
        args.extend(["--user", "--map-root-user"]);
    }
    args
}

/// Why small file systems cannot be had on this machine; `None` where they can.
pub async fn unavailable() -> Option<String> {
    let tried = Command::new("unshare")
        .args(namespace())
        .args(["sh", "-c", "mount -t tmpfs -o size=64k tmpfs /tmp"])
        .stdin(Stdio::null())
        .output()
        .await;
    match tried {
        Err(error) => Some(format!("unshare(1) cannot be run: {error}")),
        Ok(output) if !output.status.success() => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().next().unwrap_or("no reason given");
            Some(format!("no file system can be mounted here: {said}"))
        }
        Ok(_) => None,
    }
}

/// Runs this program again, in a namespace in which it may mount. Returns
/// only where that fails.
pub fn run_again(marker: &str) -> HarnessError {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return HarnessError::io("finding this program")(error),
    };
    let error = std::process::Command::new("unshare")
        .args(namespace())
        .arg(program)
        .args(std::env::args_os().skip(1))
        .arg(marker)
        .exec();
    HarnessError::io("running this program in a namespace of its own")(error)
}

/// The two file systems of a stage.
#[derive(Debug)]
pub struct Disks {
    /// Holds everything but the profiles.
    pub store: Disk,
    /// Holds the profiles.
    pub profiles: Disk,
}

impl Disks {
    /// Puts them under a data folder that does not exist yet.
    ///
    /// # Errors
    /// Where this process may not mount, and as the data folder says.
    pub async fn under(data_dir: &Path) -> Result<Self, HarnessError> {
        std::fs::create_dir(data_dir).map_err(HarnessError::io("making the data folder"))?;
        let store = Disk::mount(data_dir.to_owned(), STORE_KIB).await?;
        let ours = DataDir::open_or_adopt(data_dir)
            .map_err(|e| HarnessError::Unmet(format!("the data folder: {e}")))?;
        let profiles = Disk::mount(ours.profiles(), PROFILES_KIB).await?;
        Ok(Self { store, profiles })
    }

    /// Takes them away again. Whatever uses them must be gone.
    pub async fn unmount(&self) {
        for disk in [&self.profiles, &self.store] {
            // What stays mounted goes with this process's namespace.
            let _ = run("umount", &[&disk.at.display().to_string()]).await;
        }
    }
}

/// One small file system.
#[derive(Debug)]
pub struct Disk {
    at: PathBuf,
    kib: u64,
    full: AtomicBool,
}

impl Disk {
    async fn mount(at: PathBuf, kib: u64) -> Result<Self, HarnessError> {
        let options = format!("size={kib}k,mode=0700");
        let place = at.display().to_string();
        run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", &place]).await?;
        Ok(Self {
            at,
            kib,
            full: AtomicBool::new(false),
        })
    }

    /// Leaves no room at all.
    ///
    /// # Errors
    /// Where the system refuses; content that grows meanwhile is followed.
    pub async fn fill(&self) -> Result<(), HarnessError> {
        let mut tries = 0;
        self.full.store(true, Ordering::Relaxed);
        loop {
            let stat = rustix::fs::statvfs(&self.at)
                .map_err(|e| HarnessError::io("reading a file system")(e.into()))?;
            let used = stat.f_blocks.saturating_sub(stat.f_bfree) * stat.f_frsize;
            match self.resize(used.div_ceil(1024)).await {
                Ok(()) => return Ok(()),
                // It has grown since it was looked at.
                Err(_) if tries < FILL_TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives it all its room again, where it was filled.
    ///
    /// # Errors
    /// Where the system refuses.
    pub async fn empty(&self) -> Result<(), HarnessError> {
        if self.full.load(Ordering::Relaxed) {
            self.resize(self.kib).await?;
            self.full.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn resize(&self, kib: u64) -> Result<(), HarnessError> {
        let options = format!("remount,size={kib}k");
        run("mount", &["-o", &options, &self.at.display().to_string()]).await
    }
}

async fn run(program: &'static str, args: &[&str]) -> Result<(), HarnessError> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(HarnessError::io("running mount(8)"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(HarnessError::Unmet(format!(
        "{program} {}: {}",
        args.join(" "),
        said.trim()
    )))
}
