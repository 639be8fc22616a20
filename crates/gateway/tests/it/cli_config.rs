//! `steadfast config`, and everything that is not on the command line.

use crate::binary::{run, steadfast};
use serde_json::json;

#[test]
fn values_come_with_their_origin() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("steadfast.toml"),
        "[server]\nlisten = '127.0.0.1:9001'\n[log]\nlevel = 'warn'\n",
    )
    .unwrap();
    let mut command = steadfast(dir.path());
    command.env("STEADFAST_LOG__LEVEL", "debug");
    let ended = run(command.args(["config", "--json"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let values = ended.values();
    let find = |key: &str| values.iter().find(|v| v["key"] == key).unwrap().clone();
    let file = dir.path().join("steadfast.toml");
    assert_eq!(
        find("server.listen"),
        json!({"key": "server.listen", "value": "127.0.0.1:9001", "source": "file", "from": file})
    );
    assert_eq!(
        find("log.level"),
        json!({"key": "log.level", "value": "debug", "source": "env", "from": "STEADFAST_LOG__LEVEL"})
    );
    assert_eq!(find("server.max_bulk")["source"], "default");

    // For people: plain lines in a pipe, no colour.
    let mut command = steadfast(dir.path());
    let ended = run(command.args(["config", "--changed"]));
    assert!(!ended.stdout.contains('\u{1b}'));
    assert!(
        ended
            .stdout
            .contains("server.listen\t\"127.0.0.1:9001\"\tfile ")
    );
    assert!(!ended.stdout.contains("server.max_bulk"));

    // The data folder holds a configuration and nothing else: still ours to take.
    let ended = run(steadfast(dir.path()).args(["token", "new", "--name", "x", "--scope", "read"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn what_is_wrong_is_named_all_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("my.toml");
    std::fs::write(
        &file,
        "[server]\nlitsen = 'x'\nmax_bulk = 'many'\n[servre]\n",
    )
    .unwrap();
    let mut command = steadfast(dir.path());
    command.env("STEADFAST_SESSION__CONFLICT", "fight");
    let ended = run(command.arg("--config").arg(&file).arg("config"));
    ended.refused(
        3,
        &[
            "did you mean server.listen?",
            "server.max_bulk: string \"many\" is not a whole number from 1 to 10000",
            "[servre]: is no section",
            "STEADFAST_SESSION__CONFLICT: \"fight\" is not one of \"yield\", \"takeover\"",
        ],
    );
    let mut command = steadfast(dir.path());
    let ended = run(command
        .arg("--config")
        .arg(&file)
        .args(["config", "--json"]));
    let error = &ended.values()[0]["error"];
    assert_eq!(
        (error["exit"].as_i64(), ended.stderr.as_str()),
        (Some(3), "")
    );

    std::fs::write(&file, "[server\n").unwrap();
    let mut command = steadfast(dir.path());
    run(command.arg("--config").arg(&file).arg("config")).refused(3, &["is not TOML", "line 1"]);
    let mut command = steadfast(dir.path());
    run(command.args(["config", "--config", "/nonexistent.toml"]))
        .refused(3, &["/nonexistent.toml: cannot be read"]);
    let mut command = steadfast(dir.path());
    command.env("STEADFAST_CONFIG", "/nonexistent.toml");
    run(command.arg("config")).refused(3, &["/nonexistent.toml"]);
}

#[test]
fn completions_know_every_command() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let ended = run(steadfast(dir.path()).args(["completions", shell]));
        assert_eq!(ended.code, Some(0));
        for command in [
            "serve", "init", "send", "status", "check", "clean", "explain", "token",
        ] {
            assert!(ended.stdout.contains(command), "{shell}: {command}");
        }
    }
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
}
