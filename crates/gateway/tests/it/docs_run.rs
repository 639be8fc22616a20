//! The requests on the first pages of the book, run as they stand there.

use crate::binary::{Serving, run, steadfast};
use std::path::Path;
use std::process::Command;
use steadfast_core::outbox::MediaKind;
use steadfast_sim::contract::SampleFile;

/// Every shell block of a page that asks something with curl.
fn blocks(page: &str) -> Vec<String> {
    let pieces = page.split("```").skip(1).step_by(2);
    let shell = pieces.filter_map(|block| block.strip_prefix("sh\n"));
    shell
        .filter(|block| block.starts_with("curl "))
        .map(str::to_owned)
        .collect()
}

#[test]
#[expect(clippy::print_stderr, reason = "a test says why it did not run")]
fn what_the_book_asks_is_answered() {
    let here = tempfile::tempdir().unwrap();
    let curl = Command::new("curl").arg("--version").output();
    if !curl.is_ok_and(|output| output.status.success()) {
        eprintln!("not tested: curl is not installed");
        return;
    }
    std::fs::write(
        here.path().join("parcel.jpg"),
        SampleFile::of(MediaKind::Image).bytes,
    )
    .unwrap();
    let data_dir = here.path().join("data");
    let serving = Serving::start(&data_dir);
    let address = serving.address().to_string();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let mut asked = 0;
    for page in ["QUICKSTART.md", "SENDING.md", "RECEIVING.md"] {
        let text = std::fs::read_to_string(docs.join(page)).unwrap();
        for block in blocks(&text) {
            let script = block.replace("127.0.0.1:8080", &address);
            let script =
                format!("set -eu\ncurl() {{ command curl --fail -sS -m 30 \"$@\"; }}\n{script}");
            let output = Command::new("sh")
                .args(["-c", &script])
                .current_dir(here.path())
                .env("TOKEN", serving.token())
                .env_remove("http_proxy")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{page}: {said}\n{block}");
            asked += block.matches("curl ").count();
        }
    }
    assert!(asked >= 9, "{asked}");
    // Two kinds of repeat were among them, and a message for each other.
    let waiting =
        run(steadfast(&data_dir).args(["outbox", "list", "--status", "accepted", "--json"]));
    assert_eq!(waiting.values().len(), 7, "{}", waiting.stdout);
    assert_eq!(serving.end("TERM").0, Some(0));
}
