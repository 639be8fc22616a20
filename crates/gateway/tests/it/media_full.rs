//! The disk of the media folder really is full: a small file system under the
//! real binary, in a mount namespace of its own.

use crate::binary::{Serving, steadfast};
use crate::client::{Reply, call};
use hyper::Method;
use serde_json::json;
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use steadfast_client::{Client, Error, MediaKind, Message};
use steadfast_core::outbox::MediaKind as CoreKind;
use steadfast_gateway::harness::disks;
use steadfast_sim::contract::SampleFile;

const TO: &str = "4915123456789";
/// Longer than what is under way in sockets: it is refused while it comes.
const LARGE: usize = 24 << 20;

/// The command, in a namespace where a small file system lies on the media folder.
fn on_a_small_disk(command: &Command, media: &Path) -> Command {
    let mut outer = Command::new("unshare");
    outer.args(["--mount", "--propagation", "private"]);
    if !rustix::process::geteuid().is_root() {
        outer.args(["--user", "--map-root-user"]);
    }
    let script = "mount -t tmpfs -o size=1m,mode=0700 tmpfs \"$1\" && shift && exec \"$@\"";
    outer.args(["sh", "-c", script, "sh"]).arg(media);
    outer.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// Takes all the room that there is.
fn fill(ballast: &Path) {
    let mut file = std::fs::File::create(ballast).unwrap();
    let error = loop {
        if let Err(error) = file.write_all(&[1; 4_096]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[track_caller]
fn is_full(refused: &Error) {
    let problem = refused.problem().unwrap_or_else(|| panic!("{refused}"));
    assert_eq!(
        (problem.status, problem.code.as_str()),
        (507, "storage_full")
    );
    assert!(problem.detail.contains("nothing was stored"), "{problem}");
    assert_eq!(problem.retry_after(), Some(Duration::from_secs(30)));
    assert!(refused.is_retryable() && !refused.may_be_accepted());
}

async fn post(address: SocketAddr, token: &str, path: &str, kind: &str, body: String) -> Reply {
    let headers = [("x-api-key", token), ("content-type", kind)];
    call(address, Method::POST, path, &headers, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stderr, reason = "a test says why it did not run")]
async fn an_upload_to_a_full_disk_is_refused_leaves_nothing_and_is_taken_when_there_is_room() {
    if let Some(why) = disks::unavailable().await {
        eprintln!("not tested: {why}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let made = Serving::start(dir.path());
    let token = made.token().to_owned();
    assert_eq!(made.end("TERM").0, Some(0));
    let media = dir.path().join("media");
    let mut command = steadfast(dir.path());
    command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    let gateway = Serving::start_as(&mut on_a_small_disk(&command, &media));
    // As the gateway sees it.
    let seen = PathBuf::from(format!("/proc/{}/root{}", gateway.pid(), media.display()));
    let address = gateway.address();
    let client = Client::builder(format!("http://{address}"), &token);
    let client = client.patience(Duration::from_secs(20)).build().unwrap();

    let ballast = seen.join("ballast");
    fill(&ballast);
    let sample = SampleFile::of(CoreKind::Image);
    let large = dir.path().join("large");
    std::fs::write(&large, vec![7; LARGE]).unwrap();
    is_full(&client.upload(sample.bytes.clone()).await.unwrap_err());
    is_full(&client.upload_file(&large).await.unwrap_err());
    // The other ways to bring a file.
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n{}\r\n--b--\r\n",
        "x".repeat(100_000)
    );
    let kind = "multipart/form-data; boundary=b";
    let refused = post(address, &token, "/v1/media", kind, form).await;
    refused.problem(507, "storage_full");
    let inline = json!({"to": TO, "type": "document", "media": {"base64": "eHh4".repeat(5_000)}});
    let messages = "/v1/sessions/default/messages";
    let refused = post(
        address,
        &token,
        messages,
        "application/json",
        inline.to_string(),
    )
    .await;
    refused.problem(507, "storage_full");
    assert_eq!(names(&seen), ["ballast"]);

    // The database's disk has room: a text is taken, and the gateway is ready.
    let text = Message::text(TO, "no file in here");
    client.send("default", &text).await.unwrap();
    assert!(client.readiness().await.unwrap().ready);

    // Room again: the same upload is taken, without a restart.
    std::fs::remove_file(&ballast).unwrap();
    let kept = client.upload(sample.bytes.clone()).await.unwrap();
    assert_eq!(names(&seen), [kept.id.as_str()]);
    let photo = Message::media(TO, MediaKind::Image, &kept).caption("here it is");
    client.send("default", &photo).await.unwrap();
    // As much of a file as fits, and no more, is none either.
    is_full(&client.upload_file(&large).await.unwrap_err());
    assert_eq!(names(&seen), [kept.id.as_str()]);
    assert_eq!(gateway.end("TERM").0, Some(0));
}
