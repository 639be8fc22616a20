//! Starts that cannot succeed, each with its own error and nothing left behind.

use crate::support::{LONG, all_gone, options, processes_of, scene};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;
use steadfast_cdp::reap::{ProfileLock, clear_stale_lock};
use steadfast_cdp::{Binary, Browser, EXIT_PROFILE_IN_USE, Error, LaunchError};

/// A program that is no browser.
pub(crate) fn script(folder: &Path, body: &str) -> Binary {
    let path = folder.join("browser");
    std::fs::write(&path, format!("#!/bin/bash\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    Binary::at(&path).unwrap()
}

async fn launch_error(binary: Binary, folder: &Path) -> LaunchError {
    let mut options = options(&folder.join("profile"));
    options.binary = binary;
    match Browser::launch(&options).await {
        Err(Error::Launch(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_missing_browser_is_named() {
    let missing = PathBuf::from("/nowhere/chromium");
    assert_eq!(
        Binary::at(&missing).unwrap_err(),
        LaunchError::NotFound { path: missing }
    );
    // It is removed between being found and being run.
    let folder = tempfile::tempdir().unwrap();
    let binary = script(folder.path(), "exit 0");
    std::fs::remove_file(binary.path()).unwrap();
    let path = binary.path().to_owned();
    let error = launch_error(binary, folder.path()).await;
    assert_eq!(error, LaunchError::NotFound { path });
}

#[tokio::test]
async fn a_browser_that_ends_at_once_leaves_its_code_and_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let binary = script(
        folder.path(),
        "echo 'error while loading shared libraries: libnss3.so' >&2; exit 127",
    );
    match launch_error(binary, folder.path()).await {
        LaunchError::Exited {
            code: Some(127),
            signal: None,
            stderr,
        } => assert!(stderr.contains("libnss3.so"), "{stderr}"),
        other => panic!("{other:?}"),
    }
    let binary = script(folder.path(), "kill -SEGV $$");
    assert!(matches!(
        launch_error(binary, folder.path()).await,
        LaunchError::Exited {
            code: None,
            signal: Some(11),
            ..
        }
    ));
}

#[tokio::test]
async fn a_browser_that_never_answers_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("pid");
    let body = format!(
        "[ \"$1\" = --version ] && exit 1; echo starting >&2; echo $$ > {0}.new; mv {0}.new {0}; \
         read -u 3 -N 99999999 x",
        mark.display()
    );
    let binary = script(folder.path(), &body);
    // Its time is over once it has said all that it says, however long that took.
    let time_passes = async {
        while !mark.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::pause();
        tokio::time::advance(LONG).await;
        tokio::time::resume();
    };
    let (error, ()) = tokio::join!(launch_error(binary, folder.path()), time_passes);
    assert_eq!(
        error,
        LaunchError::NoAnswer {
            after: LONG,
            stderr: "starting".to_owned()
        }
    );
    let pid = std::fs::read_to_string(mark).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists());
}

#[tokio::test]
async fn a_browser_whose_first_words_are_wrong_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let body = r#"[ "$1" = --version ] && exit 1
        printf '{"id":1,"result":{}}\0{"id":2,"error":{"code":-32601,"message":"no"}}\0' >&4
        read -u 3 -N 99999999 x"#;
    let binary = script(folder.path(), body);
    let error = launch_error(binary, folder.path()).await;
    assert!(matches!(error, LaunchError::Handshake { .. }), "{error:?}");
}

#[tokio::test]
async fn a_profile_in_use_is_told_by_exit_code_21_and_its_owner_lives_on() {
    let scene = scene().await;
    let error = Browser::launch(&options(scene.profile.path())).await;
    assert!(
        matches!(
            error,
            Err(Error::Launch(LaunchError::Exited {
                code: Some(EXIT_PROFILE_IN_USE),
                ..
            }))
        ),
        "{error:?}"
    );
    assert_eq!(
        clear_stale_lock(scene.profile.path()).unwrap(),
        ProfileLock::Held {
            pid: scene.browser.pid()
        }
    );
    assert_eq!(scene.page.evaluate("6 * 7", LONG).await, Ok(42.into()));
    scene.close().await;
}

#[tokio::test]
async fn another_hosts_stale_lock_stops_a_start_until_it_is_cleared() {
    let profile = tempfile::tempdir().unwrap();
    symlink(
        "some-other-host-12345",
        profile.path().join("SingletonLock"),
    )
    .unwrap();
    let error = Browser::launch(&options(profile.path())).await;
    assert!(
        matches!(
            error,
            Err(Error::Launch(LaunchError::Exited {
                code: Some(EXIT_PROFILE_IN_USE),
                ..
            }))
        ),
        "{error:?}"
    );
    assert_eq!(
        clear_stale_lock(profile.path()).unwrap(),
        ProfileLock::Cleared {
            host: "some-other-host".to_owned(),
            pid: 12345
        }
    );
    let browser = Browser::launch(&options(profile.path())).await.unwrap();
    assert_eq!(browser.close(LONG).await.code, Some(0));
    all_gone(processes_of(profile.path())).await;
}

#[tokio::test]
async fn arguments_that_would_open_the_account_are_refused() {
    let profile = tempfile::tempdir().unwrap();
    let mut options = options(profile.path());
    options.extra_args = vec!["--remote-debugging-port=9222".to_owned()];
    assert!(matches!(
        Browser::launch(&options).await,
        Err(Error::Launch(LaunchError::Argument { .. }))
    ));
    let file = profile.path().join("file");
    std::fs::write(&file, "").unwrap();
    options.extra_args.clear();
    options.user_data_dir = file.join("below");
    assert!(matches!(
        Browser::launch(&options).await,
        Err(Error::Launch(LaunchError::Spawn { .. }))
    ));
}
