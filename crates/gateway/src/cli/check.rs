//! `steadfast check`: finds what is wrong on this machine, with the command
//! that mends it.

use super::Context;
use super::client::Client;
use super::exit::Exit;
use super::out::{CliError, Tone};
use crate::browser::probe_browser;
use crate::config::{Config, Sandbox};
use crate::data_dir::{DataDir, DataDirError};
use clap::Args;
use rustix::fs::statvfs;
use serde::Serialize;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

const MIB: u64 = 1_024 * 1_024;
/// What one session's browser needs at the least, beside the page's own growth.
const SESSION_BYTES: u64 = 512 * MIB;
/// Below this Chromium crashes on large pages where it uses /dev/shm.
const SHM_BYTES: u64 = 64 * MIB;
/// A profile with a year of messages has several hundred MiB.
const DISK_LOW_BYTES: u64 = 1_024 * MIB;
const DISK_EMPTY_BYTES: u64 = 100 * MIB;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Do not start a browser
    #[arg(long)]
    no_browser: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One thing looked at.
#[derive(Debug, Serialize)]
struct Finding {
    name: &'static str,
    verdict: Verdict,
    detail: String,
    /// The command, or the act, that mends it.
    fix: Option<String>,
}

impl Finding {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Ok,
            detail: detail.into(),
            fix: None,
        }
    }

    fn warn(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Warn,
            detail: detail.into(),
            fix: Some(fix.into()),
        }
    }

    fn fail(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Fail,
            ..Self::warn(name, detail, fix)
        }
    }
}

pub(super) async fn run(context: &Context, args: CheckArgs) -> Result<Exit, CliError> {
    let mut bad = false;
    let mut tell = |finding: Finding| {
        bad |= finding.verdict == Verdict::Fail;
        show(context, &finding);
    };
    let path = context.data_dir()?;
    let running = Client::find(context).await.ok().flatten();
    tell(data_folder(&path, running.as_ref()));
    let config = match context.load_config(Vec::new()) {
        Ok(loaded) => {
            tell(Finding::ok("configuration", "every key is known and fits"));
            for warning in &loaded.warnings {
                tell(Finding::warn(
                    "configuration",
                    warning,
                    "rename it, or remove it",
                ));
            }
            loaded.config
        }
        Err(error) => {
            tell(Finding::fail(
                "configuration",
                &error.message,
                &error.remedy,
            ));
            Config::defaults()?
        }
    };
    tell(port(&config, running.as_ref()));
    tell(disk(&path));
    tell(memory());
    tell(shared_memory());
    tell(sandbox(&config));
    if args.no_browser {
        tell(Finding::warn(
            "browser",
            "not tried",
            "leave --no-browser out",
        ));
    } else {
        tell(browser(&config).await);
    }
    Ok(if bad { Exit::Failed } else { Exit::Done })
}

fn show(context: &Context, finding: &Finding) {
    let out = context.out;
    out.value(finding);
    let (tone, word) = match finding.verdict {
        Verdict::Ok => (Tone::Good, "ok"),
        Verdict::Warn => (Tone::Warn, "warn"),
        Verdict::Fail => (Tone::Bad, "FAIL"),
    };
    let word = out.tone(tone, &format!("{word:<4}"));
    out.line(format!("{word} {}: {}", finding.name, finding.detail));
    if let Some(fix) = &finding.fix {
        out.line(format!("     what helps: {fix}"));
    }
}

fn data_folder(path: &Path, running: Option<&Client>) -> Finding {
    const NAME: &str = "data folder";
    let shown = path.display();
    if let Some(client) = running {
        return Finding::ok(
            NAME,
            format!(
                "{shown}, in use by the gateway at {} (process {})",
                client.url(),
                client.pid()
            ),
        );
    }
    match DataDir::open(path) {
        Ok(dir) => match dir.lock() {
            Ok(_) => Finding::ok(NAME, format!("{shown} is ours and free")),
            Err(error) => Finding::fail(NAME, error.to_string(), error.remedy()),
        },
        Err(DataDirError::Missing(_)) => match nearest_existing(path) {
            Some(parent) if writable(&parent) => {
                Finding::ok(NAME, format!("{shown} does not exist yet; serve makes it"))
            }
            Some(parent) => Finding::fail(
                NAME,
                format!(
                    "{shown} does not exist, and {} cannot be written",
                    parent.display()
                ),
                format!("sudo install -d -m 0700 -o \"$(id -un)\" {shown}"),
            ),
            None => Finding::fail(
                NAME,
                format!("{shown} leads nowhere"),
                "name another with --data-dir DIR",
            ),
        },
        Err(error) => Finding::fail(NAME, error.to_string(), error.remedy()),
    }
}

fn writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

fn nearest_existing(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find(|p| p.exists()).map(Path::to_owned)
}

fn port(config: &Config, running: Option<&Client>) -> Finding {
    const NAME: &str = "port";
    let listen = config.server.listen;
    if let Some(client) = running {
        return Finding::ok(NAME, format!("the gateway listens on {}", client.url()));
    }
    match TcpListener::bind(listen) {
        Ok(_) => Finding::ok(NAME, format!("{listen} is free")),
        Err(error) => {
            let error = crate::serve::ServeError::Bind {
                address: listen,
                error,
            };
            Finding::fail(NAME, error.to_string(), error.remedy())
        }
    }
}

fn disk(path: &Path) -> Finding {
    const NAME: &str = "disk";
    let Some(existing) = nearest_existing(path) else {
        return Finding::warn(NAME, "cannot be looked at", "df -h");
    };
    let Ok(stat) = statvfs(&existing) else {
        return Finding::warn(NAME, "cannot be looked at", "df -h");
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let detail = format!("{} MiB free at {}", free / MIB, existing.display());
    let fix = format!(
        "make room: du -xh {} | sort -h | tail; steadfast clean",
        existing.display()
    );
    match free {
        0..DISK_EMPTY_BYTES => Finding::fail(NAME, detail, fix),
        DISK_EMPTY_BYTES..DISK_LOW_BYTES => Finding::warn(NAME, detail, fix),
        _ => Finding::ok(NAME, detail),
    }
}

fn memory() -> Finding {
    const NAME: &str = "memory";
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = info
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kib| kib.parse::<u64>().ok())
        .map(|kib| kib * 1_024);
    match available {
        Some(bytes) if bytes < SESSION_BYTES => Finding::warn(
            NAME,
            format!(
                "{} MiB available; a session's browser needs {}",
                bytes / MIB,
                SESSION_BYTES / MIB
            ),
            "end what is not needed (ps aux --sort=-rss | head), or set browser.flavor = \"headless_shell\", which needs half",
        ),
        Some(bytes) => Finding::ok(NAME, format!("{} MiB available", bytes / MIB)),
        None => Finding::warn(NAME, "cannot be looked at", "free -m"),
    }
}

fn shared_memory() -> Finding {
    const NAME: &str = "/dev/shm";
    let fix = "mount -o remount,size=512m /dev/shm; in a container: --shm-size=512m";
    match statvfs("/dev/shm") {
        Ok(stat) => {
            let total = stat.f_blocks.saturating_mul(stat.f_frsize);
            let detail = format!("{} MiB", total / MIB);
            if total < SHM_BYTES {
                Finding::warn(NAME, format!("{detail}, too little for large pages"), fix)
            } else {
                Finding::ok(NAME, detail)
            }
        }
        Err(_) => Finding::warn(NAME, "is not there", fix),
    }
}

fn sandbox(config: &Config) -> Finding {
    const NAME: &str = "sandbox";
    if config.browser.sandbox == Sandbox::Off {
        return Finding::warn(
            NAME,
            "switched off by browser.sandbox",
            "set browser.sandbox = \"auto\"",
        );
    }
    if rustix::process::geteuid().is_root() {
        return Finding::warn(
            NAME,
            "as root Chromium runs without its sandbox",
            "run as a user of its own: useradd --system --create-home steadfast",
        );
    }
    let setting = |path: &str| {
        fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    // Either user namespaces or the setuid helper will do.
    let helper = [
        "/usr/lib/chromium/chrome-sandbox",
        "/opt/google/chrome/chrome-sandbox",
    ]
    .iter()
    .any(|path| Path::new(path).exists());
    for (path, closed) in [
        ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
        ),
        ("/proc/sys/user/max_user_namespaces", "0"),
    ] {
        if setting(path) == closed && !helper {
            return Finding::warn(
                NAME,
                format!(
                    "{path} is {closed}: user namespaces are closed, and there is no setuid helper"
                ),
                "apt-get install chromium-sandbox",
            );
        }
    }
    Finding::ok(NAME, "can run")
}

/// Starts a browser as the gateway would, on a profile that is thrown away.
async fn browser(config: &Config) -> Finding {
    const NAME: &str = "browser";
    match probe_browser(config).await {
        Ok(()) => Finding::ok(NAME, "starts and answers"),
        Err(failure) => Finding::fail(
            NAME,
            format!("{}: {}", failure.kind, failure.evidence),
            match failure.kind {
                steadfast_core::failure::Kind::LaunchFailedMissingBrowser => {
                    "apt-get install chromium, or name one with browser.path".to_owned()
                }
                kind => kind.you_can().to_owned(),
            },
        ),
    }
}
