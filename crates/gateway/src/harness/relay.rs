//! A relay between the gateway and its browser, set as `browser.path`.
//!
//! It passes every frame of the DevTools pipe on unchanged, and injects
//! commands of its own when a fault is wanted: a page closed or crashed from
//! inside the browser, a navigation away, the pipe cut. The gateway cannot
//! tell it from a browser, so that what is tested is the gateway as it is.
//!
//! ```text
//! gateway <-- fds 3 and 4 --> script <-- stdin, stdout --> relay <-- fds 3 and 4 --> Chromium
//! ```

use rustix::fd::OwnedFd;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Ids of our own commands: above all that a client reaches, below 2^31.
const FIRST_OWN_ID: i64 = 2_000_000_000;
/// Frames that may wait for the browser.
const QUEUE: usize = 1024;
/// Where the browser is given no bound for the heap of a page's scripts, the
/// relay gives this one: several times what the page needs, and little enough
/// for a renderer that exhausts it to die within a second. In MiB.
const HEAP_MIB: u32 = 384;
/// How long an injected command may take. A crash never answers.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);
/// How long the browser may take to end after its pipe was closed.
const EXIT_LIMIT: Duration = Duration::from_secs(5);

/// Moves a document's `Date`, so far from the right time as was asked last.
const SET_CLOCK: &str = "(() => {
  if (globalThis.__clockAhead === undefined) {
    const Right = Date;
    const now = () => Right.now() + globalThis.__clockAhead;
    globalThis.Date = class Date extends Right {
      constructor(...given) { given.length === 0 ? super(now()) : super(...given); }
      static now() { return now(); }
    };
  }
  globalThis.__clockAhead = $MS;
})()";

/// What can be asked of a running relay, one JSON line per connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Fault {
    /// Close the page as a person closes a tab.
    ClosePage,
    /// Crash the page's renderer.
    CrashPage,
    /// Load the page anew, behind the gateway's back.
    ReloadPage,
    /// Go somewhere else.
    NavigateAway,
    /// Hold the page's main thread for ever.
    HangPage,
    /// Let the renderer run out of memory. The relay bounds its heap.
    ExhaustMemory,
    /// Set the page's wall clock so far from the right time. A document that is loaded later has the right one.
    SetClock {
        /// Milliseconds ahead; less than nothing: behind.
        ms: i64,
    },
    /// Close the pipe to the gateway and let the browser live.
    CutPipe,
    /// Nothing: tell the browser's process id.
    Pid,
}

/// What a relay answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The browser's process id.
    pub pid: u32,
    /// What went wrong, where something did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How the relay was started.
#[derive(Debug, Clone)]
pub struct RelayOptions {
    /// The real browser.
    pub browser: PathBuf,
    /// Where to listen for faults.
    pub socket: PathBuf,
    /// The browser's arguments.
    pub args: Vec<OsString>,
}

/// Writes the script that stands in for the browser. It moves the DevTools
/// pipe from fds 3 and 4 to stdin and stdout, so that neither end needs more
/// than the standard streams.
pub fn write_script(
    script: &Path,
    steadfast: &Path,
    browser: &Path,
    socket: &Path,
) -> io::Result<()> {
    let quote = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let (steadfast, browser, socket) = (quote(steadfast), quote(browser), quote(socket));
    std::fs::write(
        script,
        format!(
            "#!/bin/sh\n\
             [ \"$1\" = --version ] && exec {browser} --version\n\
             exec {steadfast} relay --browser {browser} --socket {socket} -- \"$@\" <&3 >&4 3<&- 4>&-\n"
        ),
    )?;
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o700))
}

/// Asks a relay for a fault; returns the browser's process id. `None` where the
/// relay ended before it had answered: the fault was on its way, and a gateway
/// that answers it with another browser takes the relay down with the old one.
pub async fn inject(socket: &Path, fault: &Fault) -> io::Result<Option<u32>> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await?;
        let mut line = serde_json::to_vec(fault)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = String::new();
        let read = BufReader::new(stream).read_line(&mut answer).await?;
        if read == 0 {
            return Ok(None::<Answer>);
        }
        let answer: Answer = serde_json::from_str(&answer).map_err(io::Error::from)?;
        Ok::<_, io::Error>(Some(answer))
    };
    let answer = tokio::time::timeout(Duration::from_secs(5), exchange)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the relay did not answer"))??;
    match answer {
        None => Ok(None),
        Some(Answer { error: None, pid }) => Ok(Some(pid)),
        Some(Answer {
            error: Some(error), ..
        }) => Err(io::Error::other(error)),
    }
}

/// Relays until the browser or the gateway ends; the browser's exit code.
pub async fn run(options: RelayOptions) -> io::Result<i32> {
    let (from_gateway, to_gateway) = take_standard_streams()?;
    let mut browser = spawn(&options)?;
    let pid = browser.id().unwrap_or_default();
    let (Some(to_browser), Some(from_browser)) = (browser.stdin.take(), browser.stdout.take())
    else {
        return Err(io::Error::other("the browser has no pipe"));
    };
    let (commands, queue) = mpsc::channel(QUEUE);
    let state = Arc::new(State {
        commands: commands.clone(),
        own: Mutex::default(),
        cut: CancellationToken::new(),
        pid,
    });
    // The old relay's socket, if any, is of a browser that is gone.
    let _ = std::fs::remove_file(&options.socket);
    let listener = UnixListener::bind(&options.socket)?;

    let mut tasks = JoinSet::new();
    tasks.spawn(write_commands(queue, to_browser));
    tasks.spawn(serve(listener, Arc::clone(&state)));
    tasks.spawn(pass_up(
        BufReader::new(from_browser),
        to_gateway,
        Arc::clone(&state),
    ));
    tasks.spawn(pass_down(
        BufReader::new(from_gateway),
        commands,
        Arc::clone(&state),
    ));
    let status = loop {
        tokio::select! {
            status = browser.wait() => break status?,
            ended = tasks.join_next() => {
                // The gateway is gone, or the pipe was cut: without its pipe the
                // browser ends by itself, unless it was cut on purpose.
                let gone = matches!(&ended, Some(Ok(Ended::Gateway)) | None);
                if gone {
                    tasks.abort_all();
                    while tasks.join_next().await.is_some() {}
                    if let Ok(status) = tokio::time::timeout(EXIT_LIMIT, browser.wait()).await {
                        break status?;
                    }
                    browser.start_kill()?;
                    break browser.wait().await?;
                }
            }
        }
    };
    Ok(exit_code(status))
}

/// Which part of the relay ended.
enum Ended {
    Gateway,
    Other,
}

struct State {
    commands: mpsc::Sender<Vec<u8>>,
    own: Mutex<Own>,
    cut: CancellationToken,
    pid: u32,
}

/// Our own commands, and what is known of the page.
#[derive(Default)]
struct Own {
    next: i64,
    waiting: HashMap<i64, oneshot::Sender<Value>>,
    /// The gateway's newest session on a page, seen in its own commands.
    session: Option<String>,
}

/// The parts of a frame that the relay must know.
#[derive(Deserialize)]
struct Head<'a> {
    id: Option<i64>,
    #[serde(borrow, rename = "sessionId")]
    session: Option<std::borrow::Cow<'a, str>>,
}

/// Takes the pipe off the standard streams, so that closing it is ours to decide.
fn take_standard_streams() -> io::Result<(pipe::Receiver, pipe::Sender)> {
    let take = |fd: rustix::fd::BorrowedFd<'_>| -> io::Result<OwnedFd> { fd.try_clone_to_owned() };
    let input = take(io::stdin().as_fd())?;
    let output = take(io::stdout().as_fd())?;
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok((
        pipe::Receiver::from_owned_fd(input)?,
        pipe::Sender::from_owned_fd(output)?,
    ))
}

fn spawn(options: &RelayOptions) -> io::Result<tokio::process::Child> {
    // The browser's pipe is fds 3 and 4 again; its standard streams are free.
    Command::new("/bin/sh")
        .arg("-c")
        .arg("exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >&2")
        .arg(&options.browser)
        .args(bound_heap(&options.args))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// The arguments, with a bound for the heap of the page's scripts.
fn bound_heap(args: &[OsString]) -> Vec<OsString> {
    const SWITCH: &str = "--js-flags=";
    let mut args = args.to_vec();
    let bound = format!("--max-old-space-size={HEAP_MIB}");
    let given = args
        .iter_mut()
        .find(|arg| arg.as_encoded_bytes().starts_with(SWITCH.as_bytes()));
    match given {
        // Chromium takes the last of several: the browser's own flags stay.
        Some(flags) => flags.push(format!(",{bound}")),
        // Before the page's address, which comes last.
        None => args.insert(0, format!("{SWITCH}{bound}").into()),
    }
    args
}

async fn write_commands(
    mut queue: mpsc::Receiver<Vec<u8>>,
    mut to_browser: tokio::process::ChildStdin,
) -> Ended {
    while let Some(frame) = queue.recv().await {
        if to_browser.write_all(&frame).await.is_err() {
            break;
        }
    }
    Ended::Other
}

async fn pass_down(
    mut from_gateway: BufReader<pipe::Receiver>,
    commands: mpsc::Sender<Vec<u8>>,
    state: Arc<State>,
) -> Ended {
    loop {
        let mut frame = Vec::new();
        let read = tokio::select! {
            read = from_gateway.read_until(0, &mut frame) => read,
            () = state.cut.cancelled() => break,
        };
        if !matches!(read, Ok(1..)) {
            return Ended::Gateway;
        }
        if let Some(session) = head(&frame).and_then(|h| h.session) {
            state.lock().session = Some(session.into_owned());
        }
        if commands.send(frame).await.is_err() {
            return Ended::Other;
        }
    }
    // Cut: nothing comes from the gateway any more, and the browser lives on.
    drop(from_gateway);
    std::future::pending().await
}

async fn pass_up(
    mut from_browser: BufReader<tokio::process::ChildStdout>,
    to_gateway: pipe::Sender,
    state: Arc<State>,
) -> Ended {
    let mut to_gateway = Some(to_gateway);
    loop {
        let mut frame = Vec::new();
        let read = tokio::select! {
            read = from_browser.read_until(0, &mut frame) => read,
            () = state.cut.cancelled(), if to_gateway.is_some() => {
                to_gateway = None;
                continue;
            }
        };
        if !matches!(read, Ok(1..)) {
            return Ended::Other;
        }
        if let Some(id) = head(&frame).and_then(|h| h.id)
            && id >= FIRST_OWN_ID
        {
            let waiting = state.lock().waiting.remove(&id);
            frame.pop();
            if let (Some(waiting), Ok(answer)) = (waiting, serde_json::from_slice(&frame)) {
                let _ = waiting.send(answer);
            }
            continue;
        }
        if let Some(pipe) = &mut to_gateway
            && pipe.write_all(&frame).await.is_err()
        {
            return Ended::Gateway;
        }
    }
}

/// Reads a frame's head. Frames too long to be worth reading have none of ours.
fn head(frame: &[u8]) -> Option<Head<'_>> {
    const LONGEST: usize = 1 << 20;
    let frame = frame.strip_suffix(&[0]).unwrap_or(frame);
    (frame.len() <= LONGEST).then_some(())?;
    serde_json::from_slice(frame).ok()
}

async fn serve(listener: UnixListener, state: Arc<State>) -> Ended {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return Ended::Other;
        };
        let answered = tokio::time::timeout(Duration::from_secs(5), answer(stream, &state)).await;
        if let Ok(Err(error)) = answered {
            tracing::debug!(event = "relay_control_failed", %error);
        }
    }
}

async fn answer(mut stream: UnixStream, state: &State) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(&mut stream).read_line(&mut line).await?;
    let error = match serde_json::from_str::<Fault>(&line) {
        Ok(fault) => state.inject(&fault).await.err(),
        Err(error) => Some(error.to_string()),
    };
    let answer = Answer {
        pid: state.pid,
        error,
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

impl State {
    fn lock(&self) -> std::sync::MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn inject(&self, fault: &Fault) -> Result<(), String> {
        match fault {
            Fault::Pid => Ok(()),
            Fault::CutPipe => {
                self.cut.cancel();
                Ok(())
            }
            Fault::ClosePage => {
                let target = self.page_target().await?;
                self.fire("Target.closeTarget", json!({"targetId": target}), None)
                    .await
            }
            Fault::CrashPage => self.on_page("Page.crash", json!({})).await,
            Fault::ReloadPage => self.on_page("Page.reload", json!({})).await,
            Fault::NavigateAway => {
                self.on_page("Page.navigate", json!({"url": "about:blank"}))
                    .await
            }
            Fault::HangPage => {
                self.on_page("Runtime.evaluate", json!({"expression": "for(;;){}"}))
                    .await
            }
            Fault::ExhaustMemory => {
                let expression =
                    "globalThis.__held=[];for(;;)__held.push(new Array(1e6).fill(Math.random()))";
                self.on_page("Runtime.evaluate", json!({"expression": expression}))
                    .await
            }
            Fault::SetClock { ms } => {
                let expression = SET_CLOCK.replace("$MS", &ms.to_string());
                self.on_page("Runtime.evaluate", json!({"expression": expression}))
                    .await
            }
        }
    }

    async fn page_target(&self) -> Result<String, String> {
        let answer = self
            .call("Target.getTargets", json!({}), None)
            .await
            .ok_or("the browser did not name its pages")?;
        let targets = answer["result"]["targetInfos"].as_array();
        targets
            .into_iter()
            .flatten()
            .find(|t| {
                t["type"] == "page"
                    && t["url"]
                        .as_str()
                        .is_some_and(|url| url.starts_with("https://"))
            })
            .and_then(|t| t["targetId"].as_str())
            .map(str::to_owned)
            .ok_or_else(|| "no page is open".to_owned())
    }

    async fn on_page(&self, method: &str, params: Value) -> Result<(), String> {
        let session = self.lock().session.clone();
        let session = session.ok_or("the gateway has no page yet")?;
        self.fire(method, params, Some(&session)).await
    }

    /// Sends a command whose answer may never come (a crash, a hang).
    async fn fire(&self, method: &str, params: Value, session: Option<&str>) -> Result<(), String> {
        match self.call(method, params, session).await {
            Some(answer) if answer.get("error").is_some() => Err(answer["error"].to_string()),
            Some(_) | None => Ok(()),
        }
    }

    async fn call(&self, method: &str, params: Value, session: Option<&str>) -> Option<Value> {
        let (sender, answer) = oneshot::channel();
        let id = {
            let mut own = self.lock();
            let id = FIRST_OWN_ID + own.next;
            own.next += 1;
            own.waiting.insert(id, sender);
            id
        };
        let mut command = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let mut frame = command.to_string().into_bytes();
        frame.push(0);
        self.commands.send(frame).await.ok()?;
        let answer = tokio::time::timeout(ANSWER_LIMIT, answer).await;
        self.lock().waiting.remove(&id);
        answer.ok()?.ok()
    }
}

/// As a shell does: a signal's number above 128.
fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A relay that is ended by what it passed on has passed it on.
    #[tokio::test]
    async fn a_relay_that_ends_before_it_answers_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("relay");
        let listener = UnixListener::bind(&socket).unwrap();
        let (asked, ()) = tokio::join!(inject(&socket, &Fault::CrashPage), async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).await.unwrap();
        });
        assert_eq!(asked.unwrap(), None);
        // Where nobody listens, nothing was passed on.
        drop(listener);
        assert!(inject(&socket, &Fault::CrashPage).await.is_err());
    }

    #[test]
    fn a_heap_has_one_bound() {
        let bounded = |args: &[&str]| -> Vec<String> {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            let args = bound_heap(&args);
            args.iter()
                .map(|a| a.to_string_lossy().into_owned())
                .collect()
        };
        assert_eq!(
            bounded(&["--headless=new", "about:blank"]),
            [
                "--js-flags=--max-old-space-size=384",
                "--headless=new",
                "about:blank"
            ]
        );
        assert_eq!(
            bounded(&["--js-flags=--expose-gc"]),
            ["--js-flags=--expose-gc,--max-old-space-size=384"]
        );
    }
}
