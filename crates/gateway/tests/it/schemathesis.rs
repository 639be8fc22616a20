//! Schemathesis reads `/openapi.json` and sends what it can think of. No
//! answer may be a failure of ours that is not described, and none may be
//! anything that the description does not promise.

use crate::client::call;
use crate::python::python;
use crate::scripted::Scripted;
use hyper::Method;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

/// It is told to end long before.
const DEADLINE: Duration = Duration::from_mins(4);

/// What may go wrong without a bug of ours: a feature that is not there, a
/// session that is not ready, a disk that is full.
const SETTINGS: &str = r#"
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 501, 503, 507]
"#;

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

const FRIEND: &str = "4915123456789";

/// What would leave nothing to ask about.
const ENDS: [&str; 8] = [
    "delete_v1_sessions_session",
    "post_v1_sessions_session_stop",
    "post_v1_sessions_session_logout",
    "delete_api_sessions_session",
    "post_api_sessions_session_stop",
    "post_api_sessions_session_logout",
    "post_api_sessions_stop",
    "post_api_sessions_logout",
];

/// Answers that do not end by themselves, and what would make the gateway
/// call addresses that were thought up.
const ELSEWHERE: [&str; 3] = [
    "get_v1_events_stream",
    "get_v1_events_ws",
    "post_v1_webhooks",
];

/// Few examples of each kind: there are many operations, and it is the kinds that find something.
fn usual() -> Vec<&'static str> {
    vec![
        "--max-examples",
        "4",
        "--phases",
        "examples,coverage,fuzzing",
    ]
}

struct Attack<'a> {
    folder: &'a Path,
    settings: String,
    arguments: Vec<&'a str>,
}

impl Attack<'_> {
    async fn run(self, gateway: &Scripted) -> Output {
        let settings = self.folder.join("schemathesis.toml");
        std::fs::write(&settings, self.settings).unwrap();
        let mut command = python("checks");
        command
            .args(["-m", "schemathesis.cli", "--config-file"])
            .arg(&settings)
            .arg("run")
            .arg(format!("http://{}/openapi.json", gateway.address))
            .arg("--header")
            .arg(format!("X-Api-Key: {}", gateway.token))
            // The same requests every time.
            .args(["--generation-deterministic", "--no-color"])
            .args(["--checks", CHECKS])
            // One thread: several that parse Python at a time make CPython 3.11 lose
            // count of its own depth ("AST constructor recursion depth mismatch").
            .args(["--workers", "1", "--request-timeout", "30"])
            .args(self.arguments)
            // It keeps what it found last time beside it, if it may.
            .current_dir(self.folder)
            .stdin(Stdio::null());
        let mut command = tokio::process::Command::from(command);
        let output = command.kill_on_drop(true).output();
        tokio::time::timeout(DEADLINE, output)
            .await
            .expect("schemathesis did not end")
            .unwrap()
    }
}

#[track_caller]
fn passed(output: &Output, what: &str) {
    let said = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}:\n{said}\n{err}");
    assert!(
        !said.contains("No test cases"),
        "{what} tested nothing:\n{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_asked_is_answered_as_described() {
    let gateway = Scripted::ready(|config| {
        config.session.max_sessions = 5;
        config.delivery.reply_wait_ms = 200;
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let body = format!("{{\"to\": \"{FRIEND}\", \"text\": \"hello\"}}");
    let headers = [
        ("x-api-key", gateway.token.as_str()),
        ("content-type", "application/json"),
    ];
    let messages = "/v1/sessions/default/messages";
    let taken = call(gateway.address, Method::POST, messages, &headers, body).await;
    let message = taken.json()["id"].as_str().unwrap().to_owned();
    // The session that is there, so that most of it gets beyond the name. What
    // would end it comes second.
    let mut arguments = usual();
    for left_out in ENDS.into_iter().chain(ELSEWHERE) {
        arguments.extend(["--exclude-operation-id", left_out]);
    }
    let output = Attack {
        folder: folder.path(),
        settings: format!(
            "{SETTINGS}\n[parameters]\n\
             \"path.session\" = \"default\"\n\
             \"path.message\" = \"{message}\"\n\
             \"path.chat\" = \"{FRIEND}@c.us\"\n\
             \"path.contact\" = \"{FRIEND}@c.us\"\n\
             \"query.wait_ms\" = 1\n"
        ),
        arguments,
    }
    .run(&gateway)
    .await;
    passed(&output, "a session that is there");

    let mut arguments = usual();
    for ends in ENDS {
        arguments.extend(["--include-operation-id", ends]);
    }
    let output = Attack {
        folder: folder.path(),
        settings: SETTINGS.to_owned(),
        arguments,
    }
    .run(&gateway)
    .await;
    passed(&output, "what ends a session");
    gateway.stop().await;
}
