//! A data folder copied under a gateway that accepts messages, and brought
//! back: every message that was accepted before is there, byte for byte.

use crate::binary::{Ended, Serving, run, steadfast};
use crate::client::{DEADLINE, Reply, call};
use hyper::Method;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use steadfast_core::outbox::MediaKind;
use steadfast_sim::contract::SampleFile;

const MESSAGES: &str = "/v1/sessions/default/messages";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn ask(serving: &Serving, token: &str, path: &str, body: Option<&Value>) -> Reply {
    let headers = [("x-api-key", token), ("content-type", "application/json")];
    let (method, body) = match body {
        Some(body) => (Method::POST, body.to_string()),
        None => (Method::GET, String::new()),
    };
    call(serving.address(), method, path, &headers, body).await
}

/// Accepts a message; its id.
async fn accept(serving: &Serving, token: &str, text: &str) -> String {
    let body = json!({"to": "4915123456789", "text": text});
    let reply = ask(serving, token, MESSAGES, Some(&body)).await;
    assert_eq!(reply.status, 202);
    reply.json()["id"].as_str().unwrap().to_owned()
}

fn backup(data_dir: &Path, to: &Path) -> Ended {
    run(steadfast(data_dir).arg("backup").arg(to).arg("--json"))
}

fn restore(from: &Path, data_dir: &Path, more: &[&str]) -> Ended {
    run(steadfast(data_dir).arg("restore").arg(from).args(more))
}

/// A login as a phone would have left it, with a browser's folder.
fn link(data_dir: &Path) {
    let generation = data_dir.join("profiles/default/gen-0001");
    fs::create_dir_all(generation.join("chromium/Default")).unwrap();
    fs::write(generation.join("chromium/Default/Preferences"), "{}").unwrap();
    fs::write(
        generation.join("login.json"),
        r#"{"linked":true,"linked_at_s":5,"confirmed_s":null,"copy_of_s":null}"#,
    )
    .unwrap();
    fs::write(data_dir.join("profiles/default/current"), "gen-0001\n").unwrap();
}

#[test]
fn a_backup_under_load_holds_everything_that_was_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there, kept) = (
        dir.path().join("here"),
        dir.path().join("there"),
        dir.path().join("kept"),
    );
    let serving = Serving::start(&here);
    let token = serving.token().to_owned();
    let sample = SampleFile::of(MediaKind::Image);
    let (done, mut before, mut file) = (AtomicBool::new(false), Vec::new(), String::new());
    runtime().block_on(async {
        for number in 0..50 {
            before.push((
                accept(&serving, &token, &format!("before {number}")).await,
                number,
            ));
        }
        let headers = [("x-api-key", token.as_str())];
        let bytes = sample.bytes.clone();
        let uploaded = call(
            serving.address(),
            Method::POST,
            "/v1/media",
            &headers,
            bytes,
        )
        .await;
        assert_eq!(uploaded.status, 201);
        uploaded.json()["id"]
            .as_str()
            .unwrap()
            .clone_into(&mut file);
    });
    let ended = std::thread::scope(|scope| {
        let (flows, flowing) = mpsc::channel();
        let (serving, token, done) = (&serving, &token, &done);
        let load = scope.spawn(move || {
            runtime().block_on(async {
                while !done.load(Ordering::Relaxed) {
                    accept(serving, token, "meanwhile").await;
                    let _ = flows.send(());
                }
            });
        });
        let first = flowing.recv_timeout(DEADLINE);
        let ended = first.map(|()| backup(&here, &kept));
        done.store(true, Ordering::Relaxed);
        load.join().unwrap();
        ended.expect("there was no load")
    });
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let made = &ended.values()[0];
    assert_eq!(made["gateway_ran"], true);
    assert!(made["files"].as_u64().unwrap() >= 3, "{made}");
    let rights = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(rights(&kept), 0o700);
    assert_eq!(rights(&kept.join("steadfast.db")), 0o600);
    backup(&here, &kept).refused_json(1, "is there already");
    // It is not put over what is there, least of all under a gateway.
    restore(&kept, &here, &[]).refused(5, &["kill"]);
    restore(&kept, &here, &["--replace"]).refused(5, &["kill"]);
    let _ = serving.end("KILL");
    restore(&kept, &here, &[]).refused(4, &["is not empty", "--replace"]);

    let restored = restore(&kept, &there, &["--json"]);
    assert_eq!(
        restored.code,
        Some(0),
        "{}{}",
        restored.stdout,
        restored.stderr
    );
    assert_eq!(rights(&there), 0o700);
    let serving = Serving::start(&there);
    assert_eq!(serving.said.get("token"), None, "the tokens came with it");
    runtime().block_on(async {
        for (id, number) in &before {
            let path = format!("/v1/messages/{id}");
            let message = ask(&serving, &token, &path, None).await.json();
            assert_eq!(message["status"], "accepted", "{message}");
            assert_eq!(message["text"], format!("before {number}"), "{message}");
        }
        // Writing goes on too.
        accept(&serving, &token, "afterwards").await;
    });
    let bytes = fs::read(there.join("media").join(&file)).unwrap();
    assert_eq!(bytes, sample.bytes);
    assert_eq!(serving.end("TERM").0, Some(0));
}

#[test]
fn a_damaged_backup_changes_nothing_and_nothing_is_ever_removed() {
    let dir = tempfile::tempdir().unwrap();
    let (here, kept) = (dir.path().join("here"), dir.path().join("kept"));
    let ended = run(steadfast(&here).args(["token", "new", "--name", "old", "--scope", "read"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    link(&here);
    let made = backup(&here, &kept);
    assert_eq!(made.code, Some(0), "{}{}", made.stdout, made.stderr);
    assert_eq!(made.values()[0]["gateway_ran"], false);
    assert_eq!(
        made.values()[0]["logins"],
        json!([{"session": "default", "kept": "whole"}])
    );
    assert_eq!(restore(&kept, &here, &["--check"]).code, Some(0));

    run(steadfast(&here).args(["token", "new", "--name", "newer", "--scope", "read"]));
    let replaced = restore(&kept, &here, &["--replace", "--json"]);
    assert_eq!(
        replaced.code,
        Some(0),
        "{}{}",
        replaced.stdout,
        replaced.stderr
    );
    let names = |data_dir: &Path| -> Vec<String> {
        let listed = run(steadfast(data_dir).args(["token", "list", "--json"])).values();
        let name = |token: &Value| token["name"].as_str().unwrap().to_owned();
        listed.iter().map(name).collect()
    };
    assert_eq!(names(&here), ["old"]);
    let aside = replaced.values()[0]["aside"].as_str().unwrap().to_owned();
    assert_eq!(names(Path::new(&aside)), ["newer", "old"]);
    let login = here.join("profiles/default/gen-0001/chromium/Default/Preferences");
    assert_eq!(fs::read_to_string(login).unwrap(), "{}");

    // One byte of it differs.
    let database = kept.join("steadfast.db");
    let mut bytes = fs::read(&database).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&database, bytes).unwrap();
    let new = dir.path().join("new");
    restore(&kept, &new, &[]).refused(1, &["steadfast.db", "its digest differs"]);
    restore(&kept, &new, &["--check"]).refused(1, &["its digest differs"]);
    assert_eq!(
        fs::read_dir(&new).unwrap().count(),
        0,
        "it was filled in part"
    );

    // A manifest that leads elsewhere, one of a newer program, and none.
    let manifest = kept.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(
        &manifest,
        text.replace("\"steadfast.db\"", "\"../../etc/x\""),
    )
    .unwrap();
    restore(&kept, &new, &[]).refused(1, &["it names"]);
    fs::write(&manifest, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    restore(&kept, &new, &[]).refused(1, &["has format 2"]);
    fs::remove_file(&manifest).unwrap();
    restore(&kept, &new, &[]).refused(1, &["is no backup"]);
}

impl Ended {
    /// Ended with this code and this in the error that it printed as JSON.
    #[track_caller]
    fn refused_json(&self, code: i32, said: &str) {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        let message = self.values()[0]["error"]["message"].to_string();
        assert!(message.contains(said), "{message}");
    }
}
