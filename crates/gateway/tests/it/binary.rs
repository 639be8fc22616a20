//! The real binary, as a person or a script would run it.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use steadfast_sim::Simulator;

/// Generous: other tests use the machine too.
const DEADLINE: Duration = Duration::from_mins(1);

/// A command with nothing of this machine's own configuration in it.
pub(crate) fn steadfast(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_steadfast"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("STEADFAST_") {
            command.env_remove(name);
        }
    }
    command
        .env("HOME", data_dir)
        .env_remove("XDG_DATA_HOME")
        .env("STEADFAST_DATA_DIR", data_dir)
        // No browser is wanted here, and nothing outside is to be reached.
        .env("STEADFAST_BROWSER__PATH", "/nonexistent/chromium")
        .env("STEADFAST_BROWSER__WEB_RESOLVE", "127.0.0.1:9")
        .stdin(Stdio::null());
    command
}

/// A command that finds its browser, and in it the simulator.
pub(crate) fn steadfast_on(simulator: &Simulator, data_dir: &Path) -> Command {
    let mut command = steadfast(data_dir);
    command
        .env_remove("STEADFAST_BROWSER__PATH")
        .env(
            "STEADFAST_BROWSER__WEB_RESOLVE",
            simulator.addr().to_string(),
        )
        .env("STEADFAST_BROWSER__WEB_SPKI", simulator.spki());
    command
}

pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The lines of standard output, each a JSON value.
    pub(crate) fn values(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}\n{}", self.stderr))
        };
        self.stdout.lines().map(parse).collect()
    }

    /// Ended with this code and said all of this on standard error.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        for part in said {
            assert!(
                self.stderr.contains(part),
                "{part:?} is not in: {}",
                self.stderr
            );
        }
        assert!(self.stderr.contains("what helps: "), "{}", self.stderr);
    }
}

/// Runs a command to its end, which must come by itself.
pub(crate) fn run(command: &mut Command) -> Ended {
    run_with(command, "")
}

pub(crate) fn run_with(command: &mut Command, input: &str) -> Ended {
    run_to_its_end(command, input, DEADLINE)
}

/// Runs a command that takes longer than most.
pub(crate) fn run_within(command: &mut Command, deadline: Duration) -> Ended {
    run_to_its_end(command, "", deadline)
}

fn run_to_its_end(command: &mut Command, input: &str, deadline: Duration) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input closes it, which is fine.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let (done, ended) = mpsc::channel();
    let pid = child.id();
    let waiter = std::thread::spawn(move || done.send(child.wait_with_output().unwrap()));
    let output = ended.recv_timeout(deadline).unwrap_or_else(|_| {
        signal(pid, "KILL");
        panic!("the command did not end by itself");
    });
    waiter.join().unwrap().unwrap();
    Ended::of(&output)
}

/// Sends a signal to a process of ours.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// A gateway of ours.
pub(crate) struct Serving {
    child: Child,
    /// The line that it printed.
    pub(crate) said: Value,
    stderr: Option<JoinHandle<String>>,
}

impl Serving {
    pub(crate) fn start(data_dir: &Path) -> Self {
        let mut command = steadfast(data_dir);
        command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
        Self::start_as(&mut command)
    }

    pub(crate) fn start_as(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let stdout = child.stdout.take().unwrap();
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = send.send(line);
        });
        let line = receive.recv_timeout(DEADLINE).unwrap_or_default();
        let Ok(said) = serde_json::from_str(&line) else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{line:?}: {}", stderr.join().unwrap());
        };
        Self {
            child,
            said,
            stderr: Some(stderr),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.said["address"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn token(&self) -> &str {
        self.said["token"].as_str().unwrap()
    }

    /// Ends it by a signal; its exit code, where it had one, and its log.
    pub(crate) fn end(mut self, by: &str) -> (Option<i32>, String) {
        signal(self.pid(), by);
        let until = Instant::now() + DEADLINE;
        let (done, ended) = mpsc::channel();
        let stderr = self.stderr.take().unwrap();
        // Its log ends when it does.
        std::thread::spawn(move || done.send(stderr.join().unwrap()));
        let left = until.saturating_duration_since(Instant::now());
        let log = ended.recv_timeout(left).expect("the gateway did not end");
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
