//! Where the gateway is to live: its folder, its port, its disk.

use super::finding::Finding;
use crate::cli::client::Client;
use crate::config::Config;
use crate::data_dir::{DataDir, DataDirError};
use rustix::fs::statvfs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

const MIB: u64 = 1_024 * 1_024;
/// A profile with a year of messages has several hundred MiB.
const DISK_LOW_BYTES: u64 = 1_024 * MIB;
const DISK_EMPTY_BYTES: u64 = 100 * MIB;
/// Fewer names than these are soon used up: a profile has some thousand files.
const FILES_LOW: u64 = 20_000;

pub(super) fn data_folder(path: &Path, running: Option<&Client>) -> Finding {
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

pub(super) fn nearest_existing(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find(|p| p.exists()).map(Path::to_owned)
}

pub(super) fn port(config: &Config, running: Option<&Client>) -> Finding {
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

pub(super) fn disk(path: &Path) -> Finding {
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
    // A file system without a fixed number of files says 0 of 0.
    if stat.f_files > 0 && stat.f_favail < FILES_LOW {
        let detail = format!("{detail}, and room for only {} files", stat.f_favail);
        return Finding::warn(NAME, detail, "df -i; remove what has many small files");
    }
    match free {
        0..DISK_EMPTY_BYTES => Finding::fail(NAME, detail, fix),
        DISK_EMPTY_BYTES..DISK_LOW_BYTES => Finding::warn(NAME, detail, fix),
        _ => Finding::ok(NAME, detail),
    }
}
