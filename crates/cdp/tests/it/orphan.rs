//! A stopped browser outlives its owner, and the next one ends it.

use crate::launch_failures::script;
use crate::owner_killed::start_owner;
use crate::support::{LONG, all_gone, options, processes_of, signal, stop};
use rustix::process::{Pid, Signal, kill_process};
use steadfast_cdp::Browser;
use steadfast_cdp::reap::{Reaped, reap_orphan};

#[tokio::test]
async fn a_stopped_browser_does_not_outlive_the_next_owner() {
    let profile = tempfile::tempdir().unwrap();
    let (mut owner, pid) = start_owner(profile.path(), None).await;
    let family = processes_of(profile.path());
    signal(pid, Signal::STOP);
    owner.kill().await.unwrap();
    // Whether Linux has woken it by now is a race; either way it must be gone.
    reap_orphan(profile.path(), LONG).await.unwrap();
    all_gone(family).await;
    let browser = Browser::launch(&options(profile.path())).await.unwrap();
    assert_eq!(browser.close(LONG).await.code, Some(0));
}

#[tokio::test]
async fn a_stopped_browser_is_killed_whole_and_the_profile_is_free() {
    let profile = tempfile::tempdir().unwrap();
    let left_behind = Browser::launch(&options(profile.path())).await.unwrap();
    stop(&left_behind);
    let family = processes_of(profile.path());
    for pid in family.iter().filter(|pid| **pid != left_behind.pid()) {
        // One that has ended by itself since is as good.
        let _ = kill_process(
            Pid::from_raw((*pid).try_into().unwrap()).unwrap(),
            Signal::STOP,
        );
    }
    match reap_orphan(profile.path(), LONG).await.unwrap() {
        Reaped::Killed { pid, processes } => {
            assert_eq!(pid, left_behind.pid());
            assert!(processes > 2, "{processes}");
        }
        Reaped::Nothing => panic!("the orphan was not found"),
    }
    assert_eq!(left_behind.exited().await.signal, Some(9));
    all_gone(family).await;
    assert_eq!(
        reap_orphan(profile.path(), LONG).await.unwrap(),
        Reaped::Nothing
    );
    let browser = Browser::launch(&options(profile.path())).await.unwrap();
    assert_eq!(browser.close(LONG).await.code, Some(0));
}

#[tokio::test]
async fn an_orphan_that_ignores_every_hint_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("profile");
    // Neither the end of its pipe nor SIGHUP ends it. It waits without a
    // child: one just forked would look like the browser itself.
    let body = r#"trap '' HUP TERM PIPE
        mkfifo "$0.wait" && exec 9<>"$0.wait"
        printf '{"id":1,"result":{}}\0' >&4
        printf '{"id":2,"result":{"product":"Fake/1","userAgent":"U"}}\0' >&4
        while :; do read -r _ <&9; done"#;
    let binary = script(folder.path(), body);
    let (mut owner, pid) = start_owner(&profile, Some(binary.path())).await;
    owner.kill().await.unwrap();
    let family = processes_of(&profile);
    assert_eq!(family, [pid]);
    let reaped = reap_orphan(&profile, LONG).await.unwrap();
    assert_eq!(reaped, Reaped::Killed { pid, processes: 1 });
    all_gone(family).await;
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
