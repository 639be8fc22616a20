//! Webhooks and events by the command line.

use crate::binary::{Ended, Serving, run, steadfast};
use std::path::Path;

fn ask(dir: &Path, words: &[&str]) -> Ended {
    run(steadfast(dir).args(words).arg("--json"))
}

#[test]
fn endpoints_are_added_listed_tested_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = steadfast(dir.path());
    command.env("STEADFAST_OUTGOING__ALLOW", "127.0.0.1").args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--json",
    ]);
    let gateway = Serving::start_as(&mut command);
    let none = ask(dir.path(), &["webhooks", "list"]);
    assert_eq!((none.code, none.values().len()), (Some(0), 0));
    // Nobody listens there.
    let url = "http://127.0.0.1:9/hook";
    let words = ["webhooks", "add", url, "--events", "session.*,message.sent"];
    let added = ask(dir.path(), &words);
    assert_eq!(added.code, Some(0), "{}", added.stderr);
    let added = &added.values()[0];
    assert!(added["secret"].as_str().unwrap().starts_with("whsec_"));
    let id = added["id"].as_str().unwrap();
    let listed = ask(dir.path(), &["webhooks", "list"]).values();
    assert_eq!((listed.len(), listed[0]["id"].as_str()), (1, Some(id)));
    assert_eq!(
        listed[0]["events"],
        serde_json::json!(["session.*", "message.sent"])
    );
    let tested = ask(dir.path(), &["webhooks", "test", id]);
    assert_eq!(tested.code, Some(1));
    assert_eq!(tested.values()[0]["delivered"], false);
    let replayed = ask(dir.path(), &["webhooks", "replay", id]);
    assert_eq!(replayed.values()[0]["replayed"], 0);
    let unknown = ask(dir.path(), &["webhooks", "test", "whk_0"]);
    assert_eq!(unknown.code, Some(10));
    assert_eq!(ask(dir.path(), &["webhooks", "remove", id]).code, Some(0));
    let gone = ask(dir.path(), &["webhooks", "list"]);
    assert_eq!(gone.values().len(), 0);
    // What has been so far, and an end after so many.
    let words = [
        "tail",
        "--after",
        "0",
        "--events",
        "session.*",
        "--count",
        "1",
    ];
    let told = ask(dir.path(), &words);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    assert_eq!(told.values()[0]["type"], "session.created");
    gateway.end("TERM");
}
