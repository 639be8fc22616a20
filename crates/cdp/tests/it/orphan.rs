//! A stopped browser outlives its owner, and the next one ends it.

use crate::owner_killed::start_owner;
use crate::support::{LONG, all_gone, options, processes_of, signal};
use rustix::process::Signal;
use steadfast_cdp::Browser;
use steadfast_cdp::reap::{Reaped, reap_orphan};

#[tokio::test]
async fn a_stopped_orphan_is_killed_whole_and_the_profile_is_free() {
    let profile = tempfile::tempdir().unwrap();
    let (mut owner, pid) = start_owner(profile.path()).await;
    let family = processes_of(profile.path());
    for pid in &family {
        signal(*pid, Signal::STOP);
    }
    owner.kill().await.unwrap();
    assert!(processes_of(profile.path()).contains(&pid));

    let reaped = reap_orphan(profile.path(), LONG).await.unwrap();
    match reaped {
        Reaped::Killed {
            pid: killed,
            processes,
        } => {
            assert_eq!(killed, pid);
            assert!(processes > 2, "{processes}");
        }
        Reaped::Nothing => panic!("the orphan was not found"),
    }
    all_gone(family).await;
    assert_eq!(
        reap_orphan(profile.path(), LONG).await.unwrap(),
        Reaped::Nothing
    );
    let browser = Browser::launch(&options(profile.path())).await.unwrap();
    assert_eq!(browser.close(LONG).await.code, Some(0));
}

#[tokio::test]
async fn a_live_browser_of_another_profile_is_not_touched() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let browser = Browser::launch(&options(theirs.path())).await.unwrap();
    // A record that was copied with the profile, as a backup would.
    let record = "steadfast-browser.pid";
    std::fs::copy(theirs.path().join(record), ours.path().join(record)).unwrap();
    assert_eq!(
        reap_orphan(ours.path(), LONG).await.unwrap(),
        Reaped::Nothing
    );
    let exit = browser.close(LONG).await;
    assert_eq!(exit.code, Some(0));
}
