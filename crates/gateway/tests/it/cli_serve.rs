//! A gateway's life from outside, without a browser: start, tokens, accept,
//! end, and again.

use crate::binary::{Serving, run, steadfast};
use crate::client::{Reply, call};
use hyper::Method;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn get(serving: &Serving, token: &str, path: &str) -> Reply {
    ask(serving, Method::GET, token, path, "")
}

fn ask(serving: &Serving, method: Method, token: &str, path: &str, body: &str) -> Reply {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let headers = [("x-api-key", token), ("content-type", "application/json")];
    runtime.block_on(call(
        serving.address(),
        method,
        path,
        &headers,
        body.to_owned(),
    ))
}

fn new_token(dir: &Path, name: &str, scope: &str) -> String {
    let mut command = steadfast(dir);
    let ended = run(command.args(["token", "new", "--name", name, "--scope", scope, "--json"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.values()[0]["token"].as_str().unwrap().to_owned()
}

#[test]
fn the_first_start_prints_a_token_once() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("new/folder");
    let first = Serving::start(&data_dir);
    let token = first.token().to_owned();
    assert!(token.starts_with("sf_a_"));
    let url = format!("http://{}", first.said["address"].as_str().unwrap());
    assert_eq!(first.said["url"], url);
    assert_eq!(get(&first, &token, "/v1/sessions/default").status, 200);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data_dir), 0o700);
    assert_eq!(mode(&data_dir.join("profiles")), 0o700);
    assert_eq!(mode(&data_dir.join("gateway.json")), 0o600);
    assert_eq!(mode(&data_dir.join("steadfast.db")), 0o600);
    let (code, log) = first.end("TERM");
    assert_eq!(code, Some(0), "{log}");
    assert!(!data_dir.join("gateway.json").exists());

    let second = Serving::start(&data_dir);
    assert_eq!(second.said.get("token"), None);
    assert_eq!(get(&second, &token, "/v1/sessions/default").status, 200);
    assert_eq!(second.end("INT").0, Some(0));
}

#[test]
fn tokens_work_beside_a_running_gateway_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let serving = Serving::start(dir.path());
    let reader = new_token(dir.path(), "reader", "read");
    assert_eq!(get(&serving, &reader, "/v1/sessions").status, 200);
    let body = r#"{"to":"4915123456789","text":"x"}"#;
    let path = "/v1/sessions/default/messages";
    let refused = ask(&serving, Method::POST, &reader, path, body);
    refused.problem(403, "scope_missing");
    let listed = run(steadfast(dir.path()).args(["token", "list", "--json"])).values();
    let names: Vec<_> = listed.iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["first", "reader"]);
    assert!(listed.iter().all(|t| t.get("token").is_none()));
    let again =
        run(steadfast(dir.path()).args(["token", "new", "--name", "reader", "--scope", "read"]));
    again.refused(1, &["\"reader\" already", "revoke"]);
    let revoked = run(steadfast(dir.path()).args(["token", "revoke", "--name", "reader"]));
    assert_eq!(revoked.code, Some(0));
    get(&serving, &reader, "/v1/sessions").problem(401, "token_unknown");
    run(steadfast(dir.path()).args(["token", "revoke", "--name", "reader"]))
        .refused(1, &["no token"]);
    assert_eq!(serving.end("TERM").0, Some(0));
}

#[test]
fn what_was_accepted_outlives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let serving = Serving::start(dir.path());
    let token = serving.token().to_owned();
    let mut ids = Vec::new();
    for i in 0..20 {
        let body = json!({"to": "4915123456789", "text": format!("{i}")}).to_string();
        let path = "/v1/sessions/default/messages";
        let reply = ask(&serving, Method::POST, &token, path, &body);
        assert_eq!(reply.status, 202);
        ids.push(reply.json()["id"].as_str().unwrap().to_owned());
    }
    let _ = serving.end("KILL");
    let serving = Serving::start(dir.path());
    for id in &ids {
        let message = get(&serving, &token, &format!("/v1/messages/{id}")).json();
        assert_eq!(message["status"], "accepted");
    }
    assert_eq!(serving.end("TERM").0, Some(0));
}

#[test]
fn send_and_status_talk_to_it_and_logs_keep_quiet() {
    const NUMBER: &str = "4915199988777";
    const TEXT: &str = "a very private text";
    let dir = tempfile::tempdir().unwrap();
    let serving = Serving::start(dir.path());
    let token = serving.token().to_owned();
    let sent = run(steadfast(dir.path()).args(["send", NUMBER, TEXT, "--json"]));
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    assert_eq!(sent.values()[0]["status"], "accepted");
    let piped = crate::binary::run_with(
        steadfast(dir.path()).args(["send", NUMBER, "-", "--idempotency-key", "1"]),
        "from a pipe\n",
    );
    assert!(
        piped.stdout.starts_with("accepted msg_"),
        "{}",
        piped.stderr
    );
    let waited = run(steadfast(dir.path()).args(["send", NUMBER, TEXT, "--wait", "1"]));
    waited.refused(11, &["it stays in the outbox"]);
    run(steadfast(dir.path()).args(["send", "123", TEXT]))
        .refused(10, &["invalid_recipient", "7 to 15 digits"]);
    run(steadfast(dir.path()).args(["send", NUMBER, TEXT, "--session", "nobody"]))
        .refused(10, &["session_unknown"]);

    let status = run(steadfast(dir.path()).args(["status", "--json"]));
    let values = status.values();
    assert_eq!(values.len(), 1);
    assert_eq!(values[0]["ready"], true);
    let session = &values[0]["sessions"][0];
    assert_eq!(session["name"], "default");
    assert_eq!(session["outbox"]["accepted"], 3);
    assert!(!session["recommendations"].as_array().unwrap().is_empty());
    let people = run(steadfast(dir.path()).arg("status"));
    assert!(people.stdout.contains("default\t"), "{}", people.stdout);

    let (code, log) = serving.end("TERM");
    assert_eq!(code, Some(0));
    for private in [NUMBER, TEXT, token.as_str(), "from a pipe"] {
        assert!(!log.contains(private), "{private:?} is in the log:\n{log}");
    }
    let events: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    for event in [
        "gateway_started",
        "gateway_stopping",
        "gateway_stopped",
        "session_state",
    ] {
        assert!(events.iter().any(|e| e["event"] == event), "{event}: {log}");
    }
}

#[test]
fn check_finds_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let ended = run(steadfast(dir.path()).args(["check", "--json"]));
    let values = ended.values();
    let find = |name: &str| values.iter().find(|v| v["name"] == name).unwrap();
    assert_eq!(ended.code, Some(1));
    assert_eq!(find("data folder")["verdict"], "ok");
    let browser = find("browser");
    assert_eq!(browser["verdict"], "fail");
    assert!(
        browser["detail"]
            .as_str()
            .unwrap()
            .contains("launch_failed_missing_browser"),
        "{browser}"
    );
    assert!(browser["fix"].as_str().unwrap().contains("chromium"));
    // It leaves nothing behind, not even a folder of its own.
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
}
