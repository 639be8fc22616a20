//! The protocol with nothing above it: one thread, one pipe, one call at a time.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A browser of its own, with one empty page.
pub(crate) struct RawPipe {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    next: u64,
}

impl RawPipe {
    /// Starts it, and takes hold of its page.
    pub(crate) fn start(browser: &Path, profile: &Path) -> Self {
        let mut command = Command::new("sh");
        // The browser speaks on descriptors 3 and 4; a shell can put our pipes there.
        command.args([
            "-c",
            "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null",
            "sh",
        ]);
        command.arg(browser).args([
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-first-run",
            "--disable-background-networking",
        ]);
        if rustix::process::geteuid().is_root() {
            command.arg("--no-sandbox");
        }
        command
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut raw = Self {
            child,
            to,
            from: BufReader::new(from),
            session: None,
            next: 1,
        };
        let targets = raw.call("Target.getTargets", &json!({}));
        let all = targets["result"]["targetInfos"].as_array().unwrap();
        let page = all.iter().find(|target| target["type"] == "page").unwrap();
        let asked = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = raw.call("Target.attachToTarget", &asked);
        raw.session = attached["result"]["sessionId"].as_str().map(str::to_owned);
        raw.call("Runtime.enable", &json!({}));
        raw
    }

    /// Asks the page; its answer as it came.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        self.call("Runtime.evaluate", &asked)
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        let id = self.next;
        self.next += 1;
        let mut frame = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            frame["sessionId"] = session.as_str().into();
        }
        let mut frame = frame.to_string().into_bytes();
        frame.push(0);
        self.to.write_all(&frame).unwrap();
        let mut answer = Vec::new();
        loop {
            answer.clear();
            let read = self.from.read_until(0, &mut answer).unwrap();
            assert!(read > 0, "the browser is gone");
            answer.pop();
            let said: Value = serde_json::from_slice(&answer).unwrap();
            if said["id"] == id {
                assert!(said["error"].is_null(), "{method}: {said}");
                return said;
            }
        }
    }

    /// Ends the browser.
    pub(crate) fn end(mut self) {
        self.call("Browser.close", &json!({}));
        self.child.wait().unwrap();
    }
}

impl Drop for RawPipe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
