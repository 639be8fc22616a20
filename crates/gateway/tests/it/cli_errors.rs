//! Bad input, each with its exit code, its name and its remedy; and nothing lost.

use crate::binary::{Ended, Serving, run, steadfast};
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::net::TcpListener;
use std::path::Path;

fn serve(data_dir: &Path, more: &[&str]) -> Ended {
    let mut command = steadfast(data_dir);
    run(command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(more))
}

/// A data folder with a store in it.
fn used_folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let ended = run(steadfast(dir.path()).args(["token", "new", "--name", "x", "--scope", "read"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    dir
}

#[test]
fn a_port_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = steadfast(dir.path());
    run(command.args(["serve", "--listen", &address])).refused(7, &[&address, "--listen"]);
}

#[test]
fn addresses_that_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    for wrong in ["8080", "localhost", "127.0.0.1:99999"] {
        let mut command = steadfast(dir.path());
        run(command.args(["serve", "--listen", wrong])).refused(3, &["--listen", wrong]);
    }
    let mut command = steadfast(dir.path());
    run(command.args(["serve", "--listen", "0.0.0.0:0"]))
        .refused(3, &["can be reached from other machines", "--allow-remote"]);
    // 192.0.2.0/24 is set aside for documentation (RFC 5737): no machine has it.
    let mut command = steadfast(dir.path());
    run(command.args(["serve", "--listen", "192.0.2.1:0", "--allow-remote"]))
        .refused(7, &["192.0.2.1"]);
}

#[test]
fn a_folder_of_somebody_else() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.txt"), "x").unwrap();
    serve(dir.path(), &[]).refused(4, &["thesis.txt", "--data-dir"]);
    let mut token = steadfast(dir.path());
    run(token.args(["token", "list"])).refused(4, &["thesis.txt"]);
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing was put there");
}

#[test]
fn a_folder_that_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    serve(&file, &[]).refused(4, &["file", "--data-dir"]);
    serve(&file.join("below"), &[]).refused(4, &["below"]);
    serve(Path::new("/proc/steadfast"), &[]).refused(4, &["/proc/steadfast"]);
    fs::write(dir.path().join("steadfast.json"), "{\"format\":99}").unwrap();
    serve(dir.path(), &[]).refused(4, &["format 99", "newer Steadfast"]);
    fs::write(dir.path().join("steadfast.json"), "?").unwrap();
    serve(dir.path(), &[]).refused(4, &["steadfast.json", "damaged"]);
}

#[test]
fn a_folder_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let first = Serving::start(dir.path());
    let pid = first.pid().to_string();
    serve(dir.path(), &[]).refused(5, &["in use by another gateway", &pid]);
    let mut clean = steadfast(dir.path());
    run(clean.args(["clean", "--yes"])).refused(5, &[&pid]);
    // The first was not disturbed.
    let status = run(steadfast(dir.path()).arg("status"));
    assert_eq!(status.code, Some(0), "{}", status.stderr);
    assert_eq!(first.end("TERM").0, Some(0));
}

#[test]
fn a_database_from_the_future_or_of_somebody_else() {
    let dir = used_folder();
    let path = dir.path().join("steadfast.db");
    // The user version stands at byte 60 of the header (sqlite.org/fileformat2.html).
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(60)).unwrap();
    file.write_all(&9_999_u32.to_be_bytes()).unwrap();
    drop(file);
    let before = fs::read(&path).unwrap();
    serve(dir.path(), &[]).refused(6, &["9999", "newer Steadfast"]);
    assert_eq!(fs::read(&path).unwrap(), before, "it was left as it is");

    let dir = used_folder();
    let path = dir.path().join("steadfast.db");
    fs::write(
        &path,
        "this is no database, and long enough to be looked at".repeat(100),
    )
    .unwrap();
    serve(dir.path(), &[]).refused(6, &["steadfast.db"]);
}

#[test]
fn no_gateway_to_talk_to() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [&["status"][..], &["send", "4915123456789", "x"]] {
        let ended = run(steadfast(dir.path()).args(arguments));
        ended.refused(9, &["no gateway runs on", "steadfast serve"]);
    }
    // One that was killed leaves its address behind; that is no gateway.
    let killed = Serving::start(dir.path());
    let _ = killed.end("KILL");
    assert!(dir.path().join("gateway.json").exists());
    run(steadfast(dir.path()).arg("status")).refused(9, &["no gateway runs on"]);
    // `clean` removes it, and asks before: without a terminal it wants a word.
    run(steadfast(dir.path()).arg("clean")).refused(2, &["--yes"]);
    let cleaned = run(steadfast(dir.path()).args(["clean", "--yes", "--json"]));
    assert_eq!(cleaned.code, Some(0), "{}", cleaned.stderr);
    assert!(!dir.path().join("gateway.json").exists());
    assert!(dir.path().join("steadfast.db").exists());
}

#[test]
fn words_that_are_no_command() {
    let dir = tempfile::tempdir().unwrap();
    for wrong in [
        &["srve"][..],
        &["serve", "--lissten", "x"],
        &["token", "new", "--name", "x"],
        &[],
    ] {
        let ended = run(steadfast(dir.path()).args(wrong));
        assert_eq!(ended.code, Some(2), "{wrong:?}: {}", ended.stderr);
    }
    let ended =
        run(steadfast(dir.path()).args(["token", "new", "--name", "a b", "--scope", "read"]));
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("no token name"));
}

#[test]
fn a_window_needs_a_desktop() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = steadfast(dir.path());
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    run(command.args(["init", "--headed"])).refused(2, &["DISPLAY", "WAYLAND_DISPLAY", "export"]);
    let mut command = steadfast(dir.path());
    let both = ["init", "--headed", "--passkey-answer", "a.json"];
    let ended = run(command.args(both));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("--headed"), "{}", ended.stderr);
}
