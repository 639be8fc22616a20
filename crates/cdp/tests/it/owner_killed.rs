//! The process that owns the browser is killed.

use crate::support::{all_gone, options, processes_of};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use steadfast_cdp::{Binary, Browser, UserAgent};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const PROFILE: &str = "STEADFAST_CDP_TEST_PROFILE";
const BINARY: &str = "STEADFAST_CDP_TEST_BINARY";

/// What the other process does: it starts a browser, tells its pid and waits
/// to be killed.
#[tokio::test]
#[ignore = "runs as a process of its own, started by the tests below"]
async fn owner() {
    let profile = PathBuf::from(std::env::var_os(PROFILE).unwrap());
    let mut options = options(&profile);
    if let Some(binary) = std::env::var_os(BINARY) {
        options.binary = Binary::at(Path::new(&binary)).unwrap();
        options.user_agent = UserAgent::Unchanged;
    }
    let browser = Browser::launch(&options).await.unwrap();
    println!("\nowns {}", browser.pid());
    std::future::pending::<()>().await;
}

/// Starts [`owner`]; gives it and its browser's pid.
pub(crate) async fn start_owner(profile: &Path, binary: Option<&Path>) -> (Child, u32) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "owner_killed::owner", "--nocapture"])
        .env(PROFILE, profile)
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    if let Some(binary) = binary {
        command.env(BINARY, binary);
    }
    let mut owner = command.spawn().unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some(pid) = line.strip_prefix("owns ") {
            return (owner, pid.parse().unwrap());
        }
    }
    panic!("the owner ended");
}

#[tokio::test]
async fn the_browser_ends_with_it_and_leaves_no_lock() {
    let profile = tempfile::tempdir().unwrap();
    let (mut owner, pid) = start_owner(profile.path(), None).await;
    let family = processes_of(profile.path());
    assert!(family.contains(&pid) && family.len() > 2, "{family:?}");
    owner.kill().await.unwrap();
    all_gone(family).await;
    all_gone(processes_of(profile.path())).await;
    let lock = std::fs::symlink_metadata(profile.path().join("SingletonLock"));
    assert!(lock.is_err());
    // The next owner has the profile at once.
    let browser = Browser::launch(&options(profile.path())).await.unwrap();
    assert_eq!(browser.close(crate::support::LONG).await.code, Some(0));
}
